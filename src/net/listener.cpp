#include "net/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "base/assert.hpp"

namespace sluice::net {
namespace {

Error failure(int number, const std::string& tried, const Address& address) {
  return {number, tried + ' ' + address.to_string() + ": " + std::generic_category().message(number)};
}

base::Fd new_socket(int family) noexcept {
  return base::Fd{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
}

bool set_option(int fd, int level, int option, int value) noexcept {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

bool switch_on(int fd, int level, int option) noexcept { return set_option(fd, level, option, 1); }

enum class Occupant { nothing, dead_socket, live_socket, other_file };

/// What is at the path. A socket nobody listens on refuses the connection; a full one makes it wait (EAGAIN).
Occupant occupant_of(const Address& address, const std::string& path) noexcept {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return Occupant::nothing;  // if it is there all the same, bind says why
  if (!S_ISSOCK(status.st_mode)) return Occupant::other_file;
  const base::Fd probe = new_socket(AF_UNIX);
  if (probe && ::connect(probe.get(), address.data(), address.size()) != 0 && errno == ECONNREFUSED) {
    return Occupant::dead_socket;
  }
  return Occupant::live_socket;
}

template <int (*Ask)(int, sockaddr*, socklen_t*)>
Address ask_address(int fd) noexcept {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (Ask(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return Address{storage, length};
}

}  // namespace

std::expected<Listener, Error> Listener::open(const Address& address, const ListenOptions& options) {
  SLUICE_ASSERT(options.loops > 0);
  Listener listener{address};
  listener.fds_.reserve(options.loops);
  auto error = address.is_unix() ? listener.open_unix(options) : listener.open_tcp(options);
  if (error) return std::unexpected{std::move(*error)};
  return listener;
}

Listener& Listener::operator=(Listener&& other) noexcept {
  if (this != &other) {
    close();
    address_ = other.address_;
    fds_ = std::move(other.fds_);
    file_ = std::exchange(other.file_, std::nullopt);
  }
  return *this;
}

void Listener::close() noexcept {
  // The file goes first: a successor that finds it gone can bind; one that finds it dead would remove it itself.
  if (file_ && !fds_.empty()) {
    const File file = *std::exchange(file_, std::nullopt);
    struct stat status{};
    const char* const path = address_.path().data();  // ends in a zero: parse made it
    if (::lstat(path, &status) == 0 && status.st_dev == file.device && status.st_ino == file.inode) ::unlink(path);
  }
  fds_.clear();
}

std::optional<Error> Listener::open_tcp(const ListenOptions& options) {
  for (unsigned loop = 0; loop < options.loops; ++loop) {
    if (auto error = add_tcp(loop == 0, options)) return error;
  }
  // Only now, with every socket bound: connections are spread by the number of listening sockets.
  for (const base::Fd& fd : fds_) {
    if (::listen(fd.get(), options.backlog) != 0) return failure(errno, "cannot listen on", address_);
  }
  return std::nullopt;
}

// The first socket binds without SO_REUSEPORT, so that it fails if anybody has the port, even another reuseport server
// of the same user, which would else share the connections without a word. The option is set after that; the kernel
// looks at it when the next socket binds and when each one listens.
std::optional<Error> Listener::add_tcp(bool first, const ListenOptions& options) {
  base::Fd fd = new_socket(address_.family());
  if (!fd) return failure(errno, "cannot make a socket for", address_);
  const bool several = options.loops > 1;
  // What holds for a connection it inherits from here: no call for each.
  bool good = switch_on(fd.get(), SOL_SOCKET, SO_REUSEADDR) && switch_on(fd.get(), IPPROTO_TCP, TCP_NODELAY) &&
              set_option(fd.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent_bytes_max);
  if (address_.family() == AF_INET6) good = good && switch_on(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
  if (!first) good = good && switch_on(fd.get(), SOL_SOCKET, SO_REUSEPORT);
  if (!good) return failure(errno, "cannot set the options of a socket for", address_);
  if (::bind(fd.get(), address_.data(), address_.size()) != 0) return failure(errno, "cannot bind to", address_);
  if (first) {
    if (several && !switch_on(fd.get(), SOL_SOCKET, SO_REUSEPORT)) {
      return failure(errno, "cannot share among loops", address_);
    }
    address_.set_port(local_address(fd.get()).port());
  }
  fds_.push_back(std::move(fd));
  return std::nullopt;
}

std::optional<Error> Listener::open_unix(const ListenOptions& options) {
  base::Fd fd = new_socket(AF_UNIX);
  if (!fd) return failure(errno, "cannot make a socket for", address_);
  if (address_.is_abstract()) {
    if (::bind(fd.get(), address_.data(), address_.size()) != 0) return failure(errno, "cannot bind to", address_);
  } else if (auto error = bind_path(fd.get(), options.unix_mode)) {
    return error;
  }
  fds_.push_back(std::move(fd));
  for (unsigned loop = 1; loop < options.loops; ++loop) {
    base::Fd copy{::fcntl(fds_.front().get(), F_DUPFD_CLOEXEC, 0)};
    if (!copy) return failure(errno, "cannot share among loops", address_);
    fds_.push_back(std::move(copy));
  }
  if (::listen(fds_.front().get(), options.backlog) != 0) return failure(errno, "cannot listen on", address_);
  return std::nullopt;
}

std::optional<Error> Listener::bind_path(int fd, std::uint32_t mode) {
  const std::string path{address_.path()};
  switch (occupant_of(address_, path)) {
    case Occupant::nothing: break;
    case Occupant::dead_socket:
      if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failure(errno, "cannot remove the dead", address_);
      break;
    case Occupant::live_socket: return failure(EADDRINUSE, "another process listens on", address_);
    case Occupant::other_file:
      return Error{EADDRINUSE, "cannot bind to " + address_.to_string() + ": a file that is no socket is there"};
  }
  // The file is made with the mode of the socket less the umask: never wider than asked, at no moment. The umask itself
  // belongs to the whole process and is left alone; nobody can connect before listen().
  if (::fchmod(fd, mode) != 0) return failure(errno, "cannot set the mode of", address_);
  if (::bind(fd, address_.data(), address_.size()) != 0) return failure(errno, "cannot bind to", address_);
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return failure(errno, "cannot find", address_);
  file_ = File{status.st_dev, status.st_ino};
  if ((status.st_mode & 07777u) != mode && ::chmod(path.c_str(), mode) != 0) {
    const int number = errno;
    ::unlink(path.c_str());
    return failure(number, "cannot set the mode of", address_);
  }
  return std::nullopt;
}

Address peer_address(int fd) noexcept { return ask_address<::getpeername>(fd); }
Address local_address(int fd) noexcept { return ask_address<::getsockname>(fd); }

std::optional<Credentials> peer_credentials(int fd) noexcept {
  ucred value{};
  socklen_t length = sizeof value;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &value, &length) != 0 || value.pid == 0) return std::nullopt;
  return Credentials{value.pid, value.uid, value.gid};
}

}  // namespace sluice::net
