#include "net/socket_calls.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "net/raw_calls.hpp"

namespace sluice::net {
namespace {

// A descriptor that is no socket has no MSG_NOSIGNAL: sendfile to a client that has left would end the process.
class QuietPipe {
 public:
  QuietPipe() noexcept {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~QuietPipe() {
    if (raised_ && !was_pending_) {
      const timespec at_once{};
      while (::sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {}
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  QuietPipe(const QuietPipe&) = delete;
  QuietPipe& operator=(const QuietPipe&) = delete;
  void raised() noexcept { raised_ = true; }

 private:
  ::sigset_t pipe_, before_;
  bool was_pending_ = false;
  bool raised_ = false;
};

template <class Send>
WriteResult write_with(std::size_t offered, Send&& send) noexcept {
  for (;;) {
    const ssize_t taken = send();
    if (taken >= 0) {
      const auto bytes = static_cast<std::size_t>(taken);
      return {bytes == offered ? Wrote::all : Wrote::blocked, bytes, 0};
    }
    if (errno == EAGAIN) return {Wrote::blocked, 0, 0};
    if (errno != EINTR) return {Wrote::failed, 0, errno};
  }
}

WriteResult write_parts(Stream& stream, int flags) noexcept {
  std::array<iovec, write_parts_max> parts;
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = stream.out.gather(parts.data(), write_parts_max);
  std::size_t offered = 0;
  for (std::size_t index = 0; index < message.msg_iovlen; ++index) offered += parts[index].iov_len;
  return write_with(offered, [&] { return ::sendmsg(stream.fd, &message, flags); });
}

WriteResult write_memory(Stream& stream, int flags) noexcept {
  flags |= MSG_NOSIGNAL | MSG_DONTWAIT;
  const std::string_view whole = stream.out.whole();
  if (whole.empty()) return write_parts(stream, flags);
  return write_with(whole.size(), [&] { return raw::send(stream.fd, whole.data(), whole.size(), flags); });
}

// What lies in memory in front of a file goes with MSG_MORE, so that head and body share a segment.
WriteResult write_with_files(Stream& stream) noexcept {
  WriteResult result{Wrote::all, 0, 0};
  if (!stream.out.file_at(0)) {
    result = write_memory(stream, MSG_MORE);
    if (result.state != Wrote::all) return result;
  }
  const auto file = stream.out.file_at(result.bytes);
  if (!file) return result;
  QuietPipe quiet;
  const std::size_t wanted = std::min(file->size, file_bytes_max);
  auto offset = static_cast<off_t>(file->offset);
  std::size_t sent = 0;
  while (sent < wanted) {
    const ssize_t count = ::sendfile(stream.fd, file->fd, &offset, wanted - sent);
    if (count > 0) {
      sent += static_cast<std::size_t>(count);
    } else if (count == 0) {
      return {Wrote::failed, 0, EIO};  // the file has become shorter: what was announced can't be sent
    } else if (errno == EAGAIN) {
      return {Wrote::blocked, result.bytes + sent, 0};
    } else if (errno != EINTR) {
      if (errno == EPIPE) quiet.raised();
      return {Wrote::failed, 0, errno};
    }
  }
  return {Wrote::all, result.bytes + sent, 0};
}

}  // namespace

WriteResult write_now(Stream& stream) noexcept {
  return stream.out.has_files() ? write_with_files(stream) : write_memory(stream, 0);
}

std::expected<base::Fd, int> connecting_socket(const Address& to, const ConnectOptions& options) noexcept {
  base::Fd fd{::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd) return std::unexpected(errno);
  const int on = 1;
  if (!to.is_unix()) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (options.receive_buffer_bytes > 0) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &options.receive_buffer_bytes, sizeof options.receive_buffer_bytes);
  }
  if (options.from != nullptr) {
    // The port is chosen when the destination is known: else each local address has 28,000 ports in all.
    ::setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (::bind(fd.get(), options.from->data(), options.from->size()) != 0) return std::unexpected(errno);
  }
  if (::connect(fd.get(), to.data(), to.size()) != 0 && errno != EINPROGRESS) return std::unexpected(errno);
  return fd;
}

int take_error(const Stream& stream) noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(stream.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error == 0) error = ECONNRESET;
  return error;
}

void reset_on_close(const Stream& stream) noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(stream.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace sluice::net
