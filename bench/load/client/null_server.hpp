// null_server.hpp: a server that only answers: each complete request head with the same bytes. It tells what the generator
// can do when nothing is in its way. Own thread; loopback; no request body, no rule of HTTP beyond the empty line.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace sluice::bench {

class NullServer {
 public:
  /// Listens on 127.0.0.1, on a port the kernel chooses. `apart`: keeps to other CPUs than the calling thread may use,
  /// if the machine has others.
  ///   Errors: std::system_error.
  explicit NullServer(bool apart, std::uint16_t port = 0);
  NullServer(const NullServer&) = delete;
  NullServer& operator=(const NullServer&) = delete;
  ~NullServer();

  std::uint16_t port() const noexcept;
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port()) + "/"; }

 private:
  class Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace sluice::bench
