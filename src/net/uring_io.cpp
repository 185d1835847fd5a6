#include "net/uring_io.hpp"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/assert.hpp"

namespace sluice::net {
namespace {

UringRing ring_or_throw(const UringOptions& options) {
  auto ring = UringRing::open(options);
  if (!ring) throw std::system_error{ring.error().number, std::system_category(), ring.error().sentence};
  return *std::move(ring);
}

}  // namespace

UringIo::UringIo(UringRing ring)
    : ring_{std::move(ring)},
      wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
      sends_{std::make_unique<Send[]>(sends_max)},
      held_{std::make_unique<int[]>(held_max)} {
  if (!wake_) throw std::system_error{errno, std::system_category(), "eventfd"};
}

UringIo::UringIo(const UringOptions& options) : UringIo{ring_or_throw(options)} {
  rings_when_quiet_ = options.rings_when_quiet;
}

// Connections that the kernel has accepted for us, and that nobody has seen.
UringIo::~UringIo() {
  for (unsigned count = 0; count < held_count_; ++count) ::close(held_[(held_first_ + count) % held_max]);
  do {
    for (unsigned index = 0; index < event_count_; ++index) {
      if (operation_of(events_[index]) == Operation::accept && events_[index].result >= 0)
        ::close(events_[index].result);
    }
    event_count_ = ring_.take(events_);
  } while (event_count_ > 0);
}

// ---- accepting

int UringIo::listen(int fd, bool) noexcept {
  if (listener_count_ == listeners_max) return ENOBUFS;
  listeners_[listener_count_++] = ListenerState{.fd = fd};
  if (ring_.started()) tend_listeners();
  return 0;
}

// The kernel must have let go of the sockets when this returns: their owner closes them, and may bind the port again.
void UringIo::unlisten() noexcept {
  accepting_ = false;
  unlistened_ = true;
  while (held_count_ > 0) {
    --held_count_;
    ::close(held_[held_first_++ % held_max]);
  }
  if (!ring_.started()) return;
  tend_listeners();
  ring_.look();
  if (listeners_wait_) tend_listeners();
  ring_.look();
}

void UringIo::pause_accept() noexcept {
  accepting_ = false;
  if (ring_.started()) tend_listeners();
}

int UringIo::resume_accept() noexcept {
  accepting_ = true;
  if (ring_.started()) tend_listeners();
  return 0;
}

void UringIo::refuse(int fd) noexcept { ::close(fd); }

void UringIo::tend_listeners() noexcept {
  listeners_wait_ = false;
  for (unsigned number = 0; number < listener_count_; ++number) {
    ListenerState& listener = listeners_[number];
    const std::uint64_t name = name_of(number, Operation::accept);
    if (accepting_ && !listener.armed) {
      listener.armed = !ring_.overflowed() && ring_.accept(listener.fd, name);
      listeners_wait_ |= !listener.armed;
    } else if (!accepting_ && listener.armed && !listener.cancelling) {
      listener.cancelling = ring_.cancel(name, name_of(number, Operation::cancel_accept));
      listeners_wait_ |= !listener.cancelling;
    }
  }
}

void UringIo::accept_cancelled(const UringEvent& event) noexcept {
  if (event.result >= 0) return;
  listeners_[number_of(event)].cancelling = false;  // not found: if it is still there, once more
  tend_listeners();
}

void UringIo::hold(int fd) noexcept {
  if (unlistened_ || held_count_ == held_max) {
    ::close(fd);
    return;
  }
  held_[(held_first_ + held_count_++) % held_max] = fd;
}

// Else it is about one connection, which is lost: aborted, or refused by a firewall.
bool UringIo::is_lasting(int result) noexcept {
  switch (-result) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EFAULT: return true;
    default: return false;
  }
}

// ---- streams

int UringIo::add(Stream& stream) noexcept {
  stream.registered = 1;
  tend(stream);
  return 0;
}

int UringIo::connect(Stream& stream, const Address& to, const ConnectOptions& options) noexcept {
  auto fd = connecting_socket(to, options);
  if (!fd) return fd.error();
  stream.fd = fd->release();
  stream.connecting = 1;
  stream.write_blocked = 1;
  return add(stream);
}

void UringIo::tend(Stream& stream) noexcept {
  bool done = true;
  if (stream.io_count & letting_go) {
    done = tend_closing(stream);
  } else if (stream.registered && !stream.closing && !stream.failed) {
    const bool wants_input = !stream.reading_paused && !stream.input_ended && !stream.connecting;
    if (wants_input && !stream.armed) done = receive_from(stream);
    if (stream.reading_paused && stream.armed) done = cancel_receive_of(stream);
    if (wants_room(stream) && !stream.polled) done = wait_for_room(stream) && done;
  }
  if (!done) requeued_.push(stream);
}

bool UringIo::tend_closing(Stream& stream) noexcept {
  const bool receive_ends = !stream.armed || cancel_receive_of(stream);
  const bool room_ends = !stream.polled || cancel_room_of(stream);
  return receive_ends && room_ends;
}

bool UringIo::receive_from(Stream& stream) noexcept {
  if (ring_.overflowed() || !ring_.receive(stream.fd, name_of(stream, Operation::receive))) return false;
  stream.armed = 1;
  ++stream.in_flight;
  return true;
}

bool UringIo::wait_for_room(Stream& stream) noexcept {
  if (ring_.overflowed() || !ring_.poll(stream.fd, POLLOUT, name_of(stream, Operation::room))) return false;
  stream.polled = 1;
  ++stream.in_flight;
  return true;
}

bool UringIo::cancel_receive_of(Stream& stream) noexcept {
  if (stream.io_count & cancelling_receive) return true;
  if (!ring_.cancel(name_of(stream, Operation::receive), name_of(stream, Operation::cancel_receive))) return false;
  stream.io_count |= cancelling_receive;
  ++stream.in_flight;
  return true;
}

bool UringIo::cancel_room_of(Stream& stream) noexcept {
  if (!stream.polled || (stream.io_count & cancelling_room)) return true;
  if (!ring_.cancel(name_of(stream, Operation::room), name_of(stream, Operation::cancel_room))) return false;
  stream.io_count |= cancelling_room;
  ++stream.in_flight;
  return true;
}

// What a quiet turn sends goes at once: handed over to the ring it would gain nothing, and cost a loop that has nothing
// else to do a turn for its confirmation.
WriteResult UringIo::write(Stream& stream) noexcept {
  if (!std::exchange(quiet_, false) && send(stream)) return {Wrote::queued, 0, 0};
  const WriteResult result = write_now(stream);
  if (result.state == Wrote::blocked && !stream.polled && !wait_for_room(stream)) requeued_.push(stream);
  return result;
}

/// True if the ring sends it: a short answer in one piece, which is what most are. What is longer gains nothing from
/// going through the ring, and would need its parts kept in an order that the ring does not promise.
bool UringIo::send(Stream& stream) noexcept {
  if (unconfirmed() == sends_max || stream.out.has_files()) return false;
  std::array<iovec, 2> parts;
  if (stream.out.gather(parts.data(), 2) != 1 || parts[0].iov_len > ring_send_max) return false;
  if (!ring_.send(stream.fd, parts[0].iov_base, parts[0].iov_len, name_of(stream, Operation::send))) return false;
  ++stream.in_flight;
  ++sends_by_ring_;
  stream.io_word = static_cast<std::uint32_t>(send_last_++);  // enough of it, modulo the ring's size
  sends_[stream.io_word % sends_max] = {&stream, static_cast<std::uint32_t>(parts[0].iov_len), false};
  // Something follows at once when it is sent; all others may wait for the next event.
  if (stream.close_when_flushed || stream.want_shutdown || stream.reading_paused) urgent_until_ = send_last_;
  return true;
}

void UringIo::shutdown(Stream& stream) noexcept { ::shutdown(stream.fd, SHUT_WR); }

// The receive is called off: shutdown() would end it as well, but not on every kernel if a byte comes in the same moment,
// and then for ever.
bool UringIo::close(Stream& stream) noexcept {
  if (stream.reset) reset_on_close(stream);
  if (stream.in_flight == 0) {
    stream.io_count = 0;
    close_fd(stream);
    return true;
  }
  stream.io_count |= letting_go;
  tend(stream);
  return false;
}

void UringIo::close_fd(Stream& stream) noexcept { ::close(std::exchange(stream.fd, -1)); }

// ---- waiting

void UringIo::start() noexcept {
  if (!ring_.started()) {
    const int error = ring_.start();
    SLUICE_ASSERT(error == 0);
    tend_listeners();
  }
  if (!wake_armed_ && !ring_.overflowed()) {
    wake_armed_ = ring_.poll(wake_.get(), POLLIN, name_of(0, Operation::wake));
  }
}

void UringIo::wait(base::TimePoint deadline, base::TimePoint now) noexcept {
  start();
  if (deadline == base::TimePoint::min() || has_work() || !wake_armed_) {
    if (ring_.unsubmitted() > 0 || ring_.ready() < batch_max) ring_.look();
  } else {
    ring_.wait(time_until(deadline, now));
  }
  mark_sends();
  event_count_ = ring_.take(events_);
  events_taken_ += event_count_;
  quiet_ = event_count_ <= 1 && !rings_when_quiet_;
  sends_told_ = false;
  for (unsigned index = 0; index < event_count_; ++index)
    sends_told_ |= operation_of(events_[index]) == Operation::send;
}

base::Duration UringIo::time_until(base::TimePoint deadline, base::TimePoint now) const noexcept {
  const base::Duration left =
      deadline == base::never ? base::Duration::max() : std::max(deadline - now, base::Duration{0});
  return unconfirmed() > 0 ? std::min(left, confirm_within) : left;
}

// All that was handed over has been carried out, and those that failed have their events in the ring: when these have
// been seen, the others were successful.
void UringIo::mark_sends() noexcept {
  const auto count = static_cast<std::uint32_t>(send_last_ - sends_marked_);
  if (count == 0 || ring_.unsubmitted() > 0 || ring_.overflowed()) return;
  const std::uint64_t seen_at = events_taken_ + ring_.ready();
  if (batch_count_ == batches_max) {
    Batch& last = batches_[(batch_first_ + batch_count_ - 1) % batches_max];
    last = {seen_at, last.count + count};
  } else {
    batches_[(batch_first_ + batch_count_++) % batches_max] = {seen_at, count};
  }
  sends_marked_ = send_last_;
}

bool UringIo::has_work() const noexcept {
  return !requeued_.empty() || listeners_wait_ || (accepting_ && held_count_ > 0) || urgent_until_ > send_first_ ||
         ring_.ready() > 0;
}

void UringIo::wake() noexcept {
  // Every write is an event, so that the counter is never read. It can't overflow in this universe.
  const std::uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {}
}

void UringIo::woken(const UringEvent& event) noexcept {
  if (!event.more()) wake_armed_ = false;
}

}  // namespace sluice::net
