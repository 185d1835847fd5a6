#include "load/client/target.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <system_error>

#include "base/fd.hpp"

namespace sluice::bench {
namespace {

std::unexpected<Error> wrong(std::string_view url, std::string_view why) {
  return std::unexpected(Error{Error::Kind::usage, "\"" + std::string{url} + "\" " + std::string{why}});
}

std::expected<Target, Error> unix_target(std::string_view url) {
  std::string_view file = url.substr(5);
  std::string_view path = "/";
  if (const std::size_t colon = file.find(":/"); colon != std::string_view::npos) {
    path = file.substr(colon + 1);
    file = file.substr(0, colon);
  }
  const auto address = net::Address::parse("unix:" + std::string{file});
  if (!address) return wrong(url, "is no address: " + address.error());
  return Target{std::string{url}, "localhost", std::string{path}, *address};
}

struct HostPort {
  std::string host, port;
};

std::expected<HostPort, Error> split(std::string_view url, std::string_view authority) {
  std::string_view host = authority, port;
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
    unsigned number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc{} || end != port.data() + port.size() || number == 0 || number > 65'535) {
      return wrong(url, "has no valid port");
    }
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) return wrong(url, "names no host");
  return HostPort{std::string{host}, port.empty() ? "80" : std::string{port}};
}

}  // namespace

std::expected<Target, Error> resolve(std::string_view url) {
  if (url.starts_with("unix:")) return unix_target(url);
  if (url.starts_with("https:")) return wrong(url, "asks for TLS, which is not supported; put a plain port beside it");
  if (!url.starts_with("http://")) return wrong(url, "is no URL that starts with http:// or unix:");
  const std::string_view rest = url.substr(7);
  const std::size_t slash = rest.find_first_of("/?#");
  const std::string_view authority = rest.substr(0, slash);
  std::string path = slash == std::string_view::npos ? "/" : std::string{rest.substr(slash)};
  path.resize(std::min(path.size(), path.find('#')));
  if (!path.starts_with('/')) path.insert(0, 1, '/');
  if (authority.find('@') != std::string_view::npos) return wrong(url, "has a user name, which is not supported");
  const auto where = split(url, authority);
  if (!where) return std::unexpected(where.error());

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(where->host.c_str(), where->port.c_str(), &hints, &found);
  if (error != 0 || found == nullptr) {
    return std::unexpected(
        Error{Error::Kind::unreachable, "cannot look up " + where->host + ": " + ::gai_strerror(error)});
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard{found, &::freeaddrinfo};
  const addrinfo* chosen = found;  // of several, IPv4: servers on a developer's machine seldom listen on ::1 alone
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET) {
      chosen = entry;
      break;
    }
  }
  sockaddr_storage storage{};
  std::memcpy(&storage, chosen->ai_addr, chosen->ai_addrlen);
  std::string host{authority};
  if (where->port == "80" && host.ends_with(":80")) host.resize(host.size() - 3);
  return Target{std::string{url}, std::move(host), std::move(path), net::Address{storage, chosen->ai_addrlen}};
}

std::expected<net::Address, Error> source_address(std::string_view text) {
  const bool six = text.find(':') != std::string_view::npos;
  const std::string with_port = six ? "[" + std::string{text} + "]:0" : std::string{text} + ":0";
  const auto address = net::Address::parse(with_port);
  if (!address || address->is_unix()) return wrong(text, "is no IP address to send from");
  return *address;
}

Error connect_error(const Target& target, int error) {
  if (error == EMFILE || error == ENFILE) {
    return {Error::Kind::descriptors, "too many open files while connecting; raise the limit with ulimit -n"};
  }
  std::string text = "cannot reach " + target.address.to_string() + ": ";
  text += error == ETIMEDOUT ? "no answer in time" : std::generic_category().message(error);
  if (error == EADDRNOTAVAIL) text += " (no local address or port is left; see --source)";
  return {Error::Kind::unreachable, std::move(text)};
}

std::expected<void, Error> reach(const Target& target, std::chrono::milliseconds timeout) {
  const base::Fd fd{::socket(target.address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return std::unexpected(connect_error(target, errno));
  if (::connect(fd.get(), target.address.data(), target.address.size()) == 0) return {};
  if (errno != EINPROGRESS) return std::unexpected(connect_error(target, errno));
  pollfd wait{.fd = fd.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&wait, 1, static_cast<int>(timeout.count())) != 1)
    return std::unexpected(connect_error(target, ETIMEDOUT));
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return std::unexpected(connect_error(target, error));
  return {};
}

}  // namespace sluice::bench
