// uring_io.hpp: the Io over io_uring. One receive per stream goes on by itself, into buffers that all streams of the
// loop share; a busy turn's short answers are sent by the call that waits for the next event; all else is sent as over
// epoll.
// In: events from the kernel. Out: calls of the Sink. Thread: the loop, except wake(). Made on any thread; the first
// wait() binds it to the calling one.
// Must never let go of a slot that an operation in the kernel names, never leave bytes with the kernel that may move.
//
//  * An operation is named by its stream's address. Each counts in Stream::in_flight, and while one counts the slot is
//    not free: close() calls them off, and Sink::gone follows the last event.
//  * A send is carried out while it is handed over, or fails. If the ring skips the events of successful ones, a send
//    is over when all events of that moment have been seen and none was its own.
//  * When the kernel has more events than the ring holds, each that it adds ends an operation that would go on. Nothing
//    is begun until all of them were taken: an operation that has an event at once would end with it, for ever.
//  * A paused stream's receive is called off, since it would go on. A wait for room stands in: an error is heard.
#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "base/assert.hpp"
#include "base/fd.hpp"
#include "net/io.hpp"
#include "net/requeued.hpp"
#include "net/socket_calls.hpp"
#include "net/uring_ring.hpp"

namespace sluice::net {

class UringIo {
 public:
  static constexpr unsigned listeners_max = 64;
  static constexpr std::size_t ring_send_max = 16 * 1024;  // bytes; more goes by a system call of its own
  static constexpr unsigned sends_max = 1024;  // not confirmed yet; beyond that likewise. A power of two
  static constexpr unsigned batches_max = 64;  // of sends that were handed over together
  static constexpr unsigned held_max = 1024;  // connections accepted while accepting was paused
  /// Nothing else to do: so long a successful send may stay unconfirmed.
  static constexpr base::Duration confirm_within = std::chrono::milliseconds{1};

  /// Errors: std::system_error, std::bad_alloc.
  explicit UringIo(UringRing ring);
  explicit UringIo(const UringOptions& options);
  UringIo(const UringIo&) = delete;
  UringIo& operator=(const UringIo&) = delete;
  ~UringIo();

  int listen(int fd, bool shared) noexcept;
  void unlisten() noexcept;
  void pause_accept() noexcept;
  int resume_accept() noexcept;
  void refuse(int fd) noexcept;
  int add(Stream& stream) noexcept;
  int connect(Stream& stream, const Address& to, const ConnectOptions& options) noexcept;
  void pause(Stream& stream) noexcept { tend(stream); }
  void resume(Stream& stream) noexcept { tend(stream); }
  WriteResult write(Stream& stream) noexcept;
  void shutdown(Stream& stream) noexcept;
  bool close(Stream& stream) noexcept;
  void wait(base::TimePoint deadline, base::TimePoint now) noexcept;
  bool has_work() const noexcept;
  void wake() noexcept;

  /// Receives that ended because all buffers were taken; each went on by itself.
  std::uint64_t starved() const noexcept { return starved_; }
  /// Sends that went through the ring, and not by a call of their own.
  std::uint64_t sends_by_ring() const noexcept { return sends_by_ring_; }

  template <class SinkType>
  void dispatch(SinkType& sink) noexcept {
    // Sends first: what was sent is off the chain when the next request's answer comes to it.
    if (sends_told_) answer_sends(sink);
    confirm_sends(sink);
    for (unsigned index = 0; index < event_count_; ++index) {
      event(sink, events_[index]);
      sink.event_done();
    }
    event_count_ = 0;
    ring_.return_buffers();
    accept_held(sink);
    look_again(sink);
  }

 private:
  /// In the low bits of an operation's name; the rest is the stream's address, or a number.
  enum class Operation : std::uint64_t {
    receive,
    send,
    room,  // POLLOUT: room for output, or an end of a connection in the making
    cancel_receive,
    cancel_room,
    accept,
    cancel_accept,
    wake,
  };
  static constexpr std::uint64_t operation_mask = 7;
  static_assert(alignof(Stream) > operation_mask);

  /// Stream::io_count.
  enum StreamState : std::uint16_t { letting_go = 1, cancelling_receive = 2, cancelling_room = 4 };

  struct ListenerState {
    int fd = -1;
    bool armed = false;
    bool cancelling = false;
  };
  struct Send {  // in the order of handing over
    Stream* stream = nullptr;
    std::uint32_t offered = 0;
    bool answered = false;
  };
  struct Batch {
    std::uint64_t seen_at = 0;  // over when so many events were taken from the ring
    std::uint32_t count = 0;  // of sends
  };

  static std::uint64_t name_of(const Stream& stream, Operation operation) noexcept {
    return reinterpret_cast<std::uintptr_t>(&stream) | static_cast<std::uint64_t>(operation);
  }
  static std::uint64_t name_of(unsigned number, Operation operation) noexcept {
    return (operation_mask + 1) * number | static_cast<std::uint64_t>(operation);
  }
  static Operation operation_of(const UringEvent& event) noexcept {
    return static_cast<Operation>(event.name & operation_mask);
  }
  static Stream& stream_of(const UringEvent& event) noexcept {
    Stream& stream = *reinterpret_cast<Stream*>(event.name & ~operation_mask);
    SLUICE_ASSERT(stream.in_flight > 0);
    return stream;
  }
  static unsigned number_of(const UringEvent& event) noexcept {
    return static_cast<unsigned>(event.name / (operation_mask + 1));
  }

  template <class SinkType>
  void event(SinkType& sink, const UringEvent& event) noexcept {
    switch (operation_of(event)) {
      case Operation::receive: received(sink, event); break;
      case Operation::send: break;  // answer_sends() has seen it
      case Operation::room: room(sink, event); break;
      case Operation::cancel_receive: cancelled(sink, event, cancelling_receive); break;
      case Operation::cancel_room: cancelled(sink, event, cancelling_room); break;
      case Operation::accept: accepted(sink, event); break;
      case Operation::cancel_accept: accept_cancelled(event); break;
      case Operation::wake: woken(event); break;
    }
  }

  template <class SinkType>
  void received(SinkType& sink, const UringEvent& event) noexcept {
    Stream& stream = *reinterpret_cast<Stream*>(event.name & ~operation_mask);
    if (!stream.armed) {  // after its last event: some kernels are said to do that when a connection was reset
      if (event.has_buffer()) ring_.give(event.buffer());
      return;
    }
    SLUICE_ASSERT(stream.in_flight > 0);
    if (!event.more()) {
      stream.armed = 0;
      stream.io_count &= static_cast<std::uint16_t>(~cancelling_receive);
      --stream.in_flight;
    }
    if (event.result > 0) {
      SLUICE_ASSERT(event.has_buffer());
      sink.received(stream, std::span{ring_.buffer(event.buffer()), static_cast<std::size_t>(event.result)});
    } else if (event.result == 0) {
      sink.ended(stream);
    } else if (is_failure(event.result)) {
      sink.broke(stream, -event.result);
    }
    if (event.has_buffer()) ring_.give(event.buffer());
    if (event.result == -ENOBUFS) {
      ++starved_;
      requeued_.push(stream);  // when buffers have come back
    } else {
      tend(stream);
    }
    let_go(sink, stream);
  }

  template <class SinkType>
  void room(SinkType& sink, const UringEvent& event) noexcept {
    Stream& stream = stream_of(event);
    if (!event.more()) {
      stream.polled = 0;
      stream.io_count &= static_cast<std::uint16_t>(~cancelling_room);
      --stream.in_flight;
    }
    if (!stream.closing && !stream.failed) tell_room(sink, stream, event.result);
    tend(stream);
    let_go(sink, stream);
  }

  template <class SinkType>
  void tell_room(SinkType& sink, Stream& stream, int result) noexcept {
    if (result < 0) {
      if (is_failure(result)) sink.broke(stream, -result);
      return;
    }
    const auto seen = static_cast<unsigned>(result);
    if (stream.connecting) {
      finish_connect(sink, stream, seen);
    } else if ((seen & POLLERR) && (!stream.armed || (stream.io_count & cancelling_receive))) {
      sink.broke(stream, take_error(stream));  // no receive will tell
    } else if ((seen & (POLLOUT | POLLHUP | POLLERR)) && stream.write_blocked) {
      sink.writable(stream);
    } else if (!wants_room(stream)) {
      cancel_room_of(stream);  // kept for a next time, but it tells of things nobody asked for
    }
  }

  template <class SinkType>
  void finish_connect(SinkType& sink, Stream& stream, unsigned seen) noexcept {
    if ((seen & (POLLOUT | POLLERR | POLLHUP)) == 0) return;
    // A hang-up alone is no failure: a unix socket whose server has answered and closed already.
    if (seen & POLLERR) {
      sink.broke(stream, take_error(stream));
      return;
    }
    stream.connecting = 0;
    stream.write_blocked = 0;
    sink.connected(stream);
  }

  template <class SinkType>
  void cancelled(SinkType& sink, const UringEvent& event, StreamState which) noexcept {
    Stream& stream = stream_of(event);
    --stream.in_flight;
    // Not found: it was between two waits. If it is still there, it is called off again.
    if (event.result < 0) stream.io_count &= static_cast<std::uint16_t>(~which);
    tend(stream);
    let_go(sink, stream);
  }

  template <class SinkType>
  void answer_sends(SinkType& sink) noexcept {
    for (unsigned index = 0; index < event_count_; ++index) {
      if (operation_of(events_[index]) != Operation::send) continue;
      Stream& stream = stream_of(events_[index]);
      Send& send = sends_[stream.io_word % sends_max];
      SLUICE_ASSERT(send.stream == &stream && !send.answered);
      send.answered = true;
      const int result = events_[index].result;
      if (result >= 0) {
        sent(sink, stream, static_cast<std::size_t>(result), 0, static_cast<std::uint32_t>(result) < send.offered);
      } else {
        const bool again = result == -EAGAIN || result == -EINTR;
        sent(sink, stream, 0, again ? 0 : -result, again);
      }
    }
  }

  template <class SinkType>
  void confirm_sends(SinkType& sink) noexcept {
    while (batch_count_ > 0 && batches_[batch_first_ % batches_max].seen_at <= events_taken_) {
      const std::uint32_t count = batches_[batch_first_++ % batches_max].count;
      --batch_count_;
      for (std::uint32_t index = 0; index < count; ++index) {
        const Send send = sends_[send_first_++ % sends_max];
        if (!send.answered) sent(sink, *send.stream, send.offered, 0, false);
      }
    }
  }

  template <class SinkType>
  void sent(SinkType& sink, Stream& stream, std::size_t count, int error, bool blocked) noexcept {
    sink.wrote(stream, count, error, blocked);
    --stream.in_flight;
    tend(stream);
    let_go(sink, stream);
    sink.event_done();
  }

  template <class SinkType>
  void accepted(SinkType& sink, const UringEvent& event) noexcept {
    ListenerState& listener = listeners_[number_of(event)];
    if (!event.more()) listener.armed = listener.cancelling = false;
    if (event.result >= 0) {
      if (accepting_ && held_count_ == 0) {
        sink.accepted(event.result);
      } else {
        hold(event.result);
      }
    } else if (accepting_ && is_lasting(event.result)) {
      sink.accept_failed(-event.result);
    }
    tend_listeners();
  }

  /// Those that came while accepting was paused.
  template <class SinkType>
  void accept_held(SinkType& sink) noexcept {
    for (unsigned count = 0; count < batch_max && accepting_ && held_count_ > 0; ++count) {
      const int fd = held_[held_first_++ % held_max];
      --held_count_;
      sink.accepted(fd);
      sink.event_done();
    }
  }

  // Those that come to the list meanwhile are for the next dispatch. What waits for a buffer waits on if there is none.
  template <class SinkType>
  void look_again(SinkType& sink) noexcept {
    if (ring_.overflowed()) return;
    if (listeners_wait_) tend_listeners();
    const Stream* const last = requeued_.last();
    if (last == nullptr) return;
    // Each may have an event at once, and a buffer with it.
    const unsigned taken = ring_.ready();
    const unsigned places = std::min(ring_.buffers(), ring_.completions());
    for (unsigned left = taken < places ? std::min(batch_max, places - taken) : 0; left > 0; --left) {
      Stream& stream = requeued_.take();
      const bool was_last = &stream == last;
      tend(stream);
      let_go(sink, stream);
      if (was_last) break;
    }
  }

  /// The last step of a close, when no operation names the stream any more.
  template <class SinkType>
  void let_go(SinkType& sink, Stream& stream) noexcept {
    if (stream.in_flight > 0 || (stream.io_count & letting_go) == 0) return;
    stream.io_count = 0;
    close_fd(stream);
    sink.gone(stream);
  }

  static bool is_failure(int result) noexcept {
    return result != -ECANCELED && result != -ENOBUFS && result != -EAGAIN && result != -EINTR;
  }
  static bool is_lasting(int result) noexcept;
  static bool wants_room(const Stream& stream) noexcept {
    return stream.write_blocked || stream.reading_paused || (stream.input_ended && !stream.close_when_flushed);
  }
  static void close_fd(Stream& stream) noexcept;
  /// Makes the stream's operations in the kernel what its bits ask for; those there is no room for are for later.
  void tend(Stream& stream) noexcept;
  bool tend_closing(Stream& stream) noexcept;
  bool receive_from(Stream& stream) noexcept;
  bool wait_for_room(Stream& stream) noexcept;
  bool cancel_receive_of(Stream& stream) noexcept;
  bool cancel_room_of(Stream& stream) noexcept;
  bool send(Stream& stream) noexcept;
  void tend_listeners() noexcept;
  void accept_cancelled(const UringEvent& event) noexcept;
  void woken(const UringEvent& event) noexcept;
  void hold(int fd) noexcept;
  void start() noexcept;
  void mark_sends() noexcept;
  std::uint64_t unconfirmed() const noexcept { return send_last_ - send_first_; }
  base::Duration time_until(base::TimePoint deadline, base::TimePoint now) const noexcept;

  UringRing ring_;
  base::Fd wake_;
  bool wake_armed_ = false;
  bool accepting_ = true;
  bool unlistened_ = false;
  bool listeners_wait_ = false;  // for room in the queue
  bool sends_told_ = false;  // among the events is one of a send
  bool quiet_ = false;  // this turn had one event at most, and has not sent anything yet
  bool rings_when_quiet_ = false;  // for tests
  unsigned listener_count_ = 0;
  unsigned event_count_ = 0;
  std::uint64_t events_taken_ = 0;
  std::uint64_t starved_ = 0;
  std::uint64_t sends_by_ring_ = 0;
  RequeuedStreams requeued_{};
  // Three rings. The counts of sends are compared and never go round; all are taken modulo their ring's size.
  std::uint64_t send_first_ = 0, send_last_ = 0;
  std::uint64_t sends_marked_ = 0;  // up to here they are in a batch
  std::uint64_t urgent_until_ = 0;  // up to here somebody waits for the confirmation
  std::uint32_t batch_first_ = 0, batch_count_ = 0;
  std::uint32_t held_first_ = 0, held_count_ = 0;
  std::array<UringEvent, batch_max> events_{};
  std::array<ListenerState, listeners_max> listeners_{};
  std::array<Batch, batches_max> batches_{};
  std::unique_ptr<Send[]> sends_;
  std::unique_ptr<int[]> held_;
};

}  // namespace sluice::net
