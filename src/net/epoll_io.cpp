#include "net/epoll_io.hpp"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <system_error>

#include "base/assert.hpp"
#include "net/raw_calls.hpp"

namespace sluice::net {
namespace {

constexpr std::uint64_t tag(std::uint32_t slot, std::uint32_t generation) noexcept {
  return std::uint64_t{slot} << 32 | generation;
}

int register_fd(int epoll, int fd, std::uint32_t events, std::uint64_t data) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

}  // namespace

EpollIo::EpollIo(Waits waits)
    : epoll_{::epoll_create1(EPOLL_CLOEXEC)},
      wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
      scratch_{std::make_unique_for_overwrite<char[]>(scratch_bytes)},
      waits_{waits} {
  if (!epoll_ || !wake_) throw std::system_error{errno, std::system_category(), "epoll_create1 or eventfd"};
  const int error = register_fd(epoll_.get(), wake_.get(), EPOLLIN | EPOLLET, tag(wake_slot, 0));
  if (error != 0) throw std::system_error{error, std::system_category(), "epoll_ctl"};
}

int EpollIo::listen(int fd, bool shared) noexcept {
  if (listener_count_ == listeners_max) return ENOBUFS;
  listeners_[listener_count_] = ListenerState{.fd = fd, .shared = shared};
  if (accepting_) {
    if (const int error = watch(listener_count_); error != 0) return error;
  }
  ++listener_count_;
  return 0;
}

int EpollIo::watch(unsigned listener) noexcept {
  // A shared socket would wake every loop for each connection.
  const std::uint32_t exclusive = listeners_[listener].shared ? EPOLLEXCLUSIVE : 0u;
  return register_fd(epoll_.get(), listeners_[listener].fd, EPOLLIN | exclusive, tag(listener_slot, listener));
}

void EpollIo::unlisten() noexcept {
  pause_accept();
  listener_count_ = 0;
}

void EpollIo::pause_accept() noexcept {
  accepting_ = false;
  for (unsigned index = 0; index < listener_count_; ++index) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listeners_[index].fd, nullptr);
  }
}

int EpollIo::resume_accept() noexcept {
  accepting_ = true;
  for (unsigned index = 0; index < listener_count_; ++index) {
    const int error = watch(index);
    if (error != 0 && error != EEXIST) return error;
  }
  return 0;
}

void EpollIo::refuse(int fd) noexcept { ::close(fd); }

int EpollIo::add(Stream& stream) noexcept {
  const int error = register_fd(epoll_.get(), stream.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                tag(stream.slot, stream.generation));
  if (error == 0) stream.registered = 1;
  return error;
}

int EpollIo::connect(Stream& stream, const Address& to, const ConnectOptions& options) noexcept {
  auto fd = connecting_socket(to, options);
  if (!fd) return fd.error();
  stream.fd = fd->get();
  if (const int error = add(stream); error != 0) {
    stream.fd = -1;
    return error;
  }
  fd->release();
  stream.connecting = 1;
  stream.write_blocked = 1;
  return 0;
}

WriteResult EpollIo::write(Stream& stream) noexcept { return write_now(stream); }

void EpollIo::shutdown(Stream& stream) noexcept { ::shutdown(stream.fd, SHUT_WR); }

bool EpollIo::close(Stream& stream) noexcept {
  if (stream.reset) reset_on_close(stream);
  ::close(stream.fd);
  stream.fd = -1;
  return stream.in_flight == 0;
}

int EpollIo::wait_precisely(base::TimePoint deadline, base::TimePoint now) noexcept {
  const int size = static_cast<int>(batch_max);
  if (deadline == base::never) return ::epoll_wait(epoll_.get(), events_.data(), size, -1);
  base::Duration left{0};
  if (deadline > now) left = deadline - now;
  if (left <= spin_below) return ::epoll_wait(epoll_.get(), events_.data(), size, 0);
  left -= spin_below;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
  const int count = ::epoll_pwait2(epoll_.get(), events_.data(), size, &timeout, nullptr);
  if (count >= 0 || errno == EINTR) return count;
  // Before Linux 5.11, or forbidden by a sandbox: whole milliseconds, and the rest is spun away.
  const auto whole = std::chrono::floor<std::chrono::milliseconds>(left).count();
  return ::epoll_wait(epoll_.get(), events_.data(), size, static_cast<int>(std::min<std::int64_t>(whole, INT_MAX)));
}

void EpollIo::wake() noexcept {
  // Edge-triggered: every write is an event, so that the counter is never read. It can't overflow in this universe.
  const std::uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {}
}

EpollIo::Received EpollIo::receive(Stream& stream, std::size_t& size, int& error) noexcept {
  for (;;) {
    const ssize_t count = raw::recv(stream.fd, scratch_.get(), scratch_bytes, MSG_DONTWAIT);
    if (count > 0) {
      size = static_cast<std::size_t>(count);
      // A short read has drained the socket, unless an end is behind it: that gives no further edge.
      return size < scratch_bytes && !stream.hangup_seen ? Received::drained : Received::more;
    }
    if (count == 0) return Received::ended;
    if (errno == EAGAIN) return Received::drained;
    if (errno != EINTR) {
      error = errno;
      return Received::broken;
    }
  }
}

// One accept per event is right while connections come one by one: an accept that finds nothing costs as much as one
// that succeeds. A listener that stays ready from turn to turn has a queue, and gets doubled bursts.
unsigned EpollIo::next_burst(ListenerState& listener) noexcept {
  if (listener.last_ready + 1 == dispatches_) {
    if (++listener.streak > listener.patience) {
      listener.burst = std::min(2 * listener.burst, accept_burst_max);
      listener.streak = 1;
      if (listener.burst >= 8) listener.patience = 1;
    }
  } else {
    listener.streak = 1;
    listener.burst = 1;
  }
  listener.last_ready = dispatches_;
  return listener.burst;
}

int EpollIo::accept_one(ListenerState& listener, int& error) noexcept {
  const int fd = ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) return fd;
  switch (errno) {
    case EAGAIN:
      listener.burst = 1;
      listener.streak = 0;
      listener.patience = std::min(2 * listener.patience, 16u);
      break;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: error = errno; break;
    default: break;  // this one connection is lost: aborted, or refused by a firewall
  }
  return -1;
}

}  // namespace sluice::net
