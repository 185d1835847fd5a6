// live_client.hpp: a blocking client over a real socket, for tests: sends bytes as they are, reads whole answers.
// Thread: one at a time. Whatever waits gives up after 20 s, so that a hang is a failure and not a hang.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "support/sim_server.hpp"

namespace sluice::live {

using sim::ClientResponse;

class Client {
 public:
  /// "127.0.0.1:8080", "[::1]:8080", "unix:/path", "unix:@name". A failed connect is a failed test.
  explicit Client(const std::string& address);
  Client(Client&&) = default;

  /// Whether the connection was made.
  bool connected() const noexcept { return connected_; }
  /// False: the server has broken the connection off.
  bool send(std::string_view bytes);
  bool ask(std::string_view method, std::string_view target, std::string_view fields = {}, std::string_view body = {});
  bool get(std::string_view target) { return ask("GET", target); }
  /// The next answer; incomplete if the connection ended before it did, status 0 if nothing of it came.
  ClientResponse read(std::string_view method = "GET");
  /// What comes until the end of the connection, without what read() has taken.
  std::string read_to_end();
  /// Whether it ended in a reset.
  bool was_reset() const noexcept { return reset_; }
  void half_close();
  /// The server sees a reset.
  void reset();
  void close() { fd_ = base::Fd{}; }

 private:
  bool fill();
  bool until_size(std::size_t size);

  base::Fd fd_;
  bool connected_ = false;
  bool reset_ = false;
  std::string buffer_;
};

}  // namespace sluice::live
