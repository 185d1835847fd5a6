// address.hpp: where to listen, and who is at the other end. Text in, socket address out, and back.
// Thread: any; a value. Must never ask a name server: numbers and paths only.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace sluice::net {

/// An IPv4, IPv6 or unix socket address.
class Address {
 public:
  Address() noexcept = default;
  /// As given by the kernel.
  Address(const sockaddr_storage& storage, socklen_t length) noexcept : storage_{storage}, length_{length} {}

  /// "127.0.0.1:8080", "[::1]:8080", "unix:/run/app.sock", "unix:@abstract-name".
  ///   Errors: a sentence that says what is wrong with the text.
  [[nodiscard]] static std::expected<Address, std::string> parse(std::string_view text);

  /// In the form that parse takes; "unix:" for a peer without a name, "unknown" for anything else.
  std::string to_string() const;
  /// The address without its port, for allow lists and logs; as to_string for unix sockets.
  std::string host() const;

  int family() const noexcept { return storage_.ss_family; }
  bool is_unix() const noexcept { return family() == AF_UNIX; }
  bool is_abstract() const noexcept;
  /// 0 for unix sockets.
  std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  /// The file of a unix socket; empty for abstract names and others. A view of this object.
  std::string_view path() const noexcept;

  const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const noexcept { return length_; }

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

}  // namespace sluice::net
