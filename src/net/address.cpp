#include "net/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>

namespace sluice::net {
namespace {

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);
constexpr std::size_t path_max = sizeof(sockaddr_un::sun_path) - 1;  // with its closing zero

template <class T>
T read(const sockaddr_storage& storage) noexcept {
  T value;
  std::memcpy(&value, &storage, sizeof value);
  return value;
}

template <class T>
Address make(const T& value, std::size_t length = sizeof(T)) noexcept {
  sockaddr_storage storage{};
  std::memcpy(&storage, &value, sizeof value);
  return Address{storage, static_cast<socklen_t>(length)};
}

std::unexpected<std::string> wrong(std::string_view text, std::string_view why) {
  return std::unexpected{"\"" + std::string{text} + "\" is not an address to listen on: " + std::string{why}};
}

std::optional<std::uint16_t> parse_port(std::string_view digits) noexcept {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return port;
}

std::expected<Address, std::string> parse_unix(std::string_view text, std::string_view name) {
  if (name.empty() || name == "@") return wrong(text, "a path or @name must follow \"unix:\"");
  if (name.find('\0') != std::string_view::npos) return wrong(text, "it holds a zero byte");
  if (name.size() > path_max) {
    return wrong(text, "a unix socket's name has at most " + std::to_string(path_max) + " bytes, this one has " +
                           std::to_string(name.size()));
  }
  sockaddr_un value{};
  value.sun_family = AF_UNIX;
  std::memcpy(value.sun_path, name.data(), name.size());
  if (name.front() == '@') {  // abstract: a leading zero, and the length ends the name
    value.sun_path[0] = '\0';
    return make(value, path_offset + name.size());
  }
  return make(value, path_offset + name.size() + 1);
}

std::expected<Address, std::string> parse_ipv6(std::string_view text) {
  const std::size_t end = text.find("]:");
  if (end == std::string_view::npos) return wrong(text, "\"]:port\" must follow an IPv6 address");
  const auto port = parse_port(text.substr(end + 2));
  if (!port) return wrong(text, "the port must be a number from 0 to 65535");
  const std::string host{text.substr(1, end - 1)};
  sockaddr_in6 value{};
  value.sin6_family = AF_INET6;
  value.sin6_port = htons(*port);
  if (host.find('\0') != std::string::npos || ::inet_pton(AF_INET6, host.c_str(), &value.sin6_addr) != 1) {
    return wrong(text, "\"" + host + "\" is not an IPv6 address");
  }
  return make(value);
}

std::string_view unix_name(const sockaddr_un& value, socklen_t length) noexcept {
  const std::size_t size = length > path_offset ? std::min(length - path_offset, sizeof value.sun_path) : 0;
  return {value.sun_path, size};
}

}  // namespace

std::expected<Address, std::string> Address::parse(std::string_view text) {
  if (text.starts_with("unix:")) return parse_unix(text, text.substr(5));
  if (text.starts_with('[')) return parse_ipv6(text);
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong(text, "the port is missing (write 127.0.0.1:8080)");
  const std::string host{text.substr(0, colon)};
  if (host.find(':') != std::string::npos) return wrong(text, "an IPv6 address needs brackets (write [::1]:8080)");
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return wrong(text, "the port must be a number from 0 to 65535");
  sockaddr_in value{};
  value.sin_family = AF_INET;
  value.sin_port = htons(*port);
  if (host.find('\0') != std::string::npos || ::inet_pton(AF_INET, host.c_str(), &value.sin_addr) != 1) {
    return wrong(text, "\"" + host + "\" is not an IPv4 address (names are not looked up; 0.0.0.0 is all of them)");
  }
  return make(value);
}

std::string Address::to_string() const {
  if (family() == AF_INET) return host() + ':' + std::to_string(port());
  if (family() == AF_INET6) return '[' + host() + "]:" + std::to_string(port());
  return host();
}

std::string Address::host() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    const auto value = read<sockaddr_in>(storage_);
    return ::inet_ntop(AF_INET, &value.sin_addr, text.data(), text.size());
  }
  if (family() == AF_INET6) {
    const auto value = read<sockaddr_in6>(storage_);
    return ::inet_ntop(AF_INET6, &value.sin6_addr, text.data(), text.size());
  }
  if (family() != AF_UNIX) return "unknown";
  if (!is_abstract()) return "unix:" + std::string{path()};
  const auto value = read<sockaddr_un>(storage_);
  std::string name{unix_name(value, length_)};
  name[0] = '@';
  return "unix:" + name;
}

bool Address::is_abstract() const noexcept {
  if (!is_unix() || length_ <= path_offset) return false;
  return reinterpret_cast<const char*>(&storage_)[path_offset] == '\0';
}

std::uint16_t Address::port() const noexcept {
  if (family() == AF_INET) return ntohs(read<sockaddr_in>(storage_).sin_port);
  if (family() == AF_INET6) return ntohs(read<sockaddr_in6>(storage_).sin6_port);
  return 0;
}

void Address::set_port(std::uint16_t port) noexcept {
  if (family() == AF_INET) {
    auto value = read<sockaddr_in>(storage_);
    value.sin_port = htons(port);
    std::memcpy(&storage_, &value, sizeof value);
  } else if (family() == AF_INET6) {
    auto value = read<sockaddr_in6>(storage_);
    value.sin6_port = htons(port);
    std::memcpy(&storage_, &value, sizeof value);
  }
}

std::string_view Address::path() const noexcept {
  if (!is_unix() || is_abstract() || length_ <= path_offset) return {};
  const char* const name = reinterpret_cast<const char*>(&storage_) + path_offset;
  return {name, ::strnlen(name, std::min<std::size_t>(length_ - path_offset, path_max + 1))};
}

}  // namespace sluice::net
