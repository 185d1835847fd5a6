// epoll_io.hpp: the Io over epoll. Streams are registered once (IN|OUT|RDHUP, edge-triggered), listeners are level-
// triggered, wake-ups come by an eventfd that is never read.
// In: readiness from the kernel. Out: calls of the Sink. Thread: the loop, except wake().
// Must never call epoll_ctl on the path of a request, never trust a tag without asking Sink::find.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <memory>
#include <span>

#include "base/assert.hpp"
#include "base/fd.hpp"
#include "base/inline.hpp"
#include "net/io.hpp"
#include "net/raw_calls.hpp"
#include "net/requeued.hpp"
#include "net/socket_calls.hpp"

namespace sluice::net {

class EpollIo {
 public:
  static constexpr std::size_t scratch_bytes = 65'536;
  static constexpr unsigned reads_max = 4;        // per stream and event; then it goes to the list's tail
  static constexpr unsigned accept_burst_max = 64;
  static constexpr unsigned listeners_max = 64;

  /// How exact wait() is. `ticks`: whole milliseconds, rounded up, which is what the timers need. `precise`: as exact
  /// as the kernel wakes, and without sleeping when no more than spin_below is left: for a sender that keeps to a plan.
  enum class Waits : std::uint8_t { ticks, precise };
  static constexpr base::Duration spin_below = std::chrono::microseconds{60};

  /// Errors: std::system_error, std::bad_alloc.
  explicit EpollIo(Waits waits = Waits::ticks);
  EpollIo(const EpollIo&) = delete;
  EpollIo& operator=(const EpollIo&) = delete;

  int listen(int fd, bool shared) noexcept;
  void unlisten() noexcept;
  void pause_accept() noexcept;
  int resume_accept() noexcept;
  void refuse(int fd) noexcept;
  int add(Stream& stream) noexcept;
  int connect(Stream& stream, const Address& to, const ConnectOptions& options) noexcept;
  void pause(Stream&) noexcept {}  // the flag is enough: events are remembered, not acted on
  void resume(Stream& stream) noexcept {
    if (!stream.input_pending) return;
    stream.input_pending = 0;
    requeue(stream);
  }
  WriteResult write(Stream& stream) noexcept;
  void shutdown(Stream& stream) noexcept;
  bool close(Stream& stream) noexcept;
  void wait(base::TimePoint deadline, base::TimePoint now) noexcept {
    const int count = waits_ == Waits::precise && !has_work()
                          ? wait_precisely(deadline, now)
                          : raw::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(batch_max),
                                            has_work() ? 0 : timeout_until(deadline, now));
    SLUICE_ASSERT(count >= 0 || errno == EINTR);
    event_count_ = count > 0 ? static_cast<unsigned>(count) : 0;
  }
  bool has_work() const noexcept { return !requeued_.empty(); }
  void wake() noexcept;

  template <class SinkType>
  void dispatch(SinkType& sink) noexcept {
    ++dispatches_;
    // Those that come to the list during this dispatch are for the next one.
    const Stream* const last = requeued_.last();
    for (unsigned index = 0; index < event_count_; ++index) {
      event(sink, events_[index]);
      sink.event_done();
    }
    event_count_ = 0;
    if (last == nullptr) return;
    for (unsigned count = 0; count < batch_max; ++count) {
      Stream& stream = requeued_.take();
      look_again(sink, stream);
      sink.event_done();
      if (&stream == last) break;
    }
  }

 private:
  // In place of a slot, above Slab::slots_max.
  static constexpr std::uint32_t listener_slot = 0xffff'ffff;
  static constexpr std::uint32_t wake_slot = 0xffff'fffe;

  struct ListenerState {
    int fd = -1;
    bool shared = false;
    unsigned burst = 1;  // accepts per event
    unsigned patience = 1;  // events in a row before burst grows; more after an accept that found nothing
    unsigned streak = 0;
    std::uint64_t last_ready = 0;  // the dispatch it was ready in
  };
  enum class Received : std::uint8_t { drained, more, ended, broken };

  template <class SinkType>
  void event(SinkType& sink, const epoll_event& event) noexcept {
    const auto slot = static_cast<std::uint32_t>(event.data.u64 >> 32);
    const auto generation = static_cast<std::uint32_t>(event.data.u64);
    if (slot == wake_slot) return;
    if (slot == listener_slot) {
      accept(sink, listeners_[generation]);
      return;
    }
    Stream* const stream = sink.find(slot, generation);
    if (stream == nullptr || stream->closing) return;
    if (stream->connecting && !finish_connect(sink, *stream, event.events)) return;
    if (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) stream->hangup_seen = 1;
    if ((event.events & EPOLLERR) && (stream->reading_paused || stream->input_ended)) {
      sink.broke(*stream, take_error(*stream));  // no read will tell
      return;
    }
    if ((event.events & (EPOLLOUT | EPOLLHUP)) && stream->write_blocked) sink.writable(*stream);
    if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) == 0 || stream->input_ended) return;
    if (stream->reading_paused) {
      stream->input_pending = 1;
    } else if (!stream->requeued) {
      read(sink, *stream);
    }
  }

  /// True if the stream is connected now, and the event may tell more.
  template <class SinkType>
  bool finish_connect(SinkType& sink, Stream& stream, std::uint32_t events) noexcept {
    if (stream.failed || (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return false;
    // A hang-up alone is no failure: a unix socket whose server has answered and closed already.
    if (events & EPOLLERR) {
      sink.broke(stream, take_error(stream));
      return false;
    }
    stream.connecting = 0;
    stream.write_blocked = 0;
    sink.connected(stream);
    return !stream.closing;
  }

  template <class SinkType>
  void look_again(SinkType& sink, Stream& stream) noexcept {
    if (stream.closing) {
      if (stream.gone == 0 && stream.fd == -1 && stream.in_flight == 0) sink.gone(stream);
      return;
    }
    if (stream.input_ended || stream.failed) return;
    if (stream.reading_paused) {
      stream.input_pending = 1;
    } else {
      read(sink, stream);
    }
  }

  template <class SinkType>
  SLUICE_INLINE void read(SinkType& sink, Stream& stream) noexcept {
    for (unsigned count = 0; count < reads_max; ++count) {
      std::size_t size = 0;
      int error = 0;
      const Received result = receive(stream, size, error);
      if (result == Received::broken) {
        sink.broke(stream, error);
        return;
      }
      if (result == Received::ended) {
        sink.ended(stream);
        return;
      }
      if (size > 0) sink.received(stream, std::span{scratch_.get(), size});
      if (result == Received::drained || stream.closing || stream.failed) return;
      if (stream.reading_paused) {
        stream.input_pending = 1;
        return;
      }
    }
    requeue(stream);
  }

  template <class SinkType>
  void accept(SinkType& sink, ListenerState& listener) noexcept {
    if (!accepting_) return;
    const unsigned burst = next_burst(listener);
    for (unsigned count = 0; count < burst && accepting_; ++count) {
      int error = 0;
      const int fd = accept_one(listener, error);
      if (fd >= 0) {
        sink.accepted(fd);
        sink.event_done();
      } else if (error != 0) {
        sink.accept_failed(error);
        return;
      } else if (listener.streak == 0) {
        return;  // it found nothing
      }
    }
  }

  void requeue(Stream& stream) noexcept {
    if (!stream.closing) requeued_.push(stream);
  }
  Received receive(Stream& stream, std::size_t& size, int& error) noexcept;
  /// Milliseconds to wait, rounded up, so that no timer is looked at before it is due.
  static int timeout_until(base::TimePoint deadline, base::TimePoint now) noexcept {
    if (deadline == base::never) return -1;
    if (deadline <= now) return 0;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
    return left > INT_MAX ? INT_MAX : static_cast<int>(left);
  }
  int wait_precisely(base::TimePoint deadline, base::TimePoint now) noexcept;
  unsigned next_burst(ListenerState& listener) noexcept;
  int accept_one(ListenerState& listener, int& error) noexcept;
  int watch(unsigned listener) noexcept;

  base::Fd epoll_;
  base::Fd wake_;
  std::unique_ptr<char[]> scratch_;
  RequeuedStreams requeued_{};
  std::uint64_t dispatches_ = 0;
  unsigned event_count_ = 0;
  unsigned listener_count_ = 0;
  bool accepting_ = true;
  Waits waits_;
  std::array<ListenerState, listeners_max> listeners_{};
  std::array<epoll_event, batch_max> events_{};
};

}  // namespace sluice::net
