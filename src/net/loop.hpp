// loop.hpp: the turn: wait, clock, events, mailbox, timers, protocol, flush, close. Everything in it is bounded.
// In: events of an Io. Out: calls of a Protocol, at most one write per stream and batch.
// Thread: one at a time, for a whole turn. Must never sleep while anything is left to do, never free or close anything
// before the end of the turn, never call the protocol from inside one of the protocol's own calls.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <utility>

#include "base/inline.hpp"
#include "net/io.hpp"
#include "net/loop_base.hpp"

namespace sluice::net {

/// What the loop calls. All on the loop's thread, none of them re-entered, all noexcept.
template <class P>
concept Protocol = requires(P protocol, Stream& stream, std::span<char> bytes, std::size_t count, int number,
                            MailNode& node) {
  { protocol.opened(number) } noexcept -> std::same_as<Stream*>;  // a descriptor; null: the loop closes it
  { protocol.input(stream, bytes) } noexcept;       // the bytes are free to be changed, and die on return
  { protocol.input_ended(stream) } noexcept;        // FIN
  { protocol.failed(stream, number) } noexcept;     // errno; nothing more comes or goes: close it
  { protocol.wrote(stream, count) } noexcept;       // progress
  { protocol.drained(stream) } noexcept;            // `out` became empty and all of it was taken
  { protocol.output_shut(stream) } noexcept;        // after shutdown_after_flush
  { protocol.expired(stream) } noexcept;            // the stream's timer; it is disarmed
  { protocol.posted(node) } noexcept;
  {
    protocol.closed(stream)
  } noexcept;             // the last one: the descriptor is closed, give the slot back;
                                                    // the object itself stays alive
  { protocol.turn_ended() } noexcept;               // before the last flush; without has_work(): true: has work left
  { protocol.find(stream.slot, stream.generation) } noexcept -> std::same_as<Stream*>;
  { protocol.accept_paused(number) } noexcept;      // errno; accepting goes on by itself
  // Optional: protocol.timer_fired(TimerNode&) noexcept, for nodes of TimerKind::protocol;
  //           protocol.started(stream) noexcept, after opened(): from here on timers and wishes are heard;
  //           protocol.connected(stream) noexcept, after connect(): bytes may be sent and come;
  //           protocol.writing(stream) noexcept, right before a write of the stream's output;
  //           protocol.flushed() noexcept, after a flush that came between two events;
  //           protocol.has_work() noexcept -> bool, after the last flush, whose calls may have left something to do;
  //           protocol.next_wake() noexcept -> TimePoint: run a turn then, finer than the timers' tick.
};

template <class IoType, class ProtocolType>
class Loop final : public LoopBase {
 public:
  static constexpr unsigned dirty_max = 16;     // then they are flushed in the middle of a batch
  static constexpr unsigned expiries_max = 256;

  /// The Io is made in place from `io_arguments`; what its constructor throws comes through.
  template <class... Arguments>
  explicit Loop(ProtocolType& protocol, const base::Clock& clock, Arguments&&... io_arguments)
      : LoopBase{clock}, protocol_{protocol}, io_{std::forward<Arguments>(io_arguments)...} {
    static_assert(Protocol<ProtocolType>);
    static_assert(Io<IoType, Loop>);
  }

  IoType& io() noexcept { return io_; }

  void run() noexcept override {
    const Running running{*this};
    bool more = run_turn(asleep_ && !has_work());
    while (more) more = run_turn(asleep_);  // nobody can leave work between two turns
  }

  bool turn(bool may_wait) noexcept override {
    const Running running{*this};
    return run_turn(may_wait && asleep_ && !has_work());
  }

  TimePoint next_deadline() const noexcept override { return has_work() ? now_ : next_alarm(); }

  /// For a driver that runs several loops by hand: whether a turn would find something to do.
  bool runnable() const noexcept
    requires requires(const IoType& io) { io.ready(); }
  {
    return !asleep_ || has_work() || io_.ready() || next_alarm() <= clock_.now();
  }

  /// Something is left over: the loop must not sleep.
  bool has_work() const noexcept {
    return dirty_.first != nullptr || closing_.first != nullptr || protocol_has_work() || mailbox_.has_left_over() ||
           io_.has_work();
  }

  void wake() noexcept override { io_.wake(); }
  int connect(Stream& stream, const Address& to, const ConnectOptions& options) noexcept override {
    SLUICE_ASSERT(stream.fd == -1 && !stream.registered && !stream.closing);
    const int error = io_.connect(stream, to, options);
    if (error == 0) counters_.connects.add(1);
    return error;
  }
  int listen(int fd, bool shared) noexcept override { return io_.listen(fd, shared); }
  void stop_accepting() noexcept override {
    if (accept_holds_ & stopped) return;
    accept_holds_ |= stopped;
    timers_.cancel(accept_timer_);
    io_.unlisten();
  }
  void pause_accepting() noexcept override { hold_accept(held_by_protocol); }
  void resume_accepting() noexcept override { release_accept(held_by_protocol); }

  // ---- Sink: for the Io alone, during dispatch ----

  Stream* find(std::uint32_t slot, std::uint32_t generation) noexcept { return protocol_.find(slot, generation); }

  void accepted(int fd) noexcept {
    Stream* const stream = protocol_.opened(fd);
    if (stream == nullptr) {
      counters_.refused.add(1);
      io_.refuse(fd);
      return;
    }
    counters_.accepted.add(1);
    stream->fd = fd;
    if constexpr (requires { protocol_.started(*stream); }) protocol_.started(*stream);
    if (stream->closing) return;
    if (const int error = io_.add(*stream); error != 0) broke(*stream, error);
  }
  void connected(Stream& stream) noexcept {
    if constexpr (requires { protocol_.connected(stream); }) protocol_.connected(stream);
    touch(stream);
  }
  void accept_failed(int error) noexcept {
    counters_.accept_errors.add(1);
    if (accept_holds_ & (held_by_error | stopped)) return;
    hold_accept(held_by_error);
    timers_.arm(accept_timer_, now_ + accept_error_pause);
    protocol_.accept_paused(error);
  }
  void received(Stream& stream, std::span<char> bytes) noexcept {
    if (stream.closing || stream.failed) return;
    counters_.bytes_received.add(bytes.size());
    protocol_.input(stream, bytes);
  }
  void ended(Stream& stream) noexcept {
    if (stream.closing || stream.failed || stream.input_ended) return;
    stream.input_ended = 1;
    protocol_.input_ended(stream);
  }
  void broke(Stream& stream, int error) noexcept {
    if (stream.closing || stream.failed) return;
    counters_.broken.add(1);
    stream.failed = 1;
    if (!stream.write_queued) stream.out.clear(blocks_);
    protocol_.failed(stream, error);
  }
  void writable(Stream& stream) noexcept {
    stream.write_blocked = 0;
    touch(stream);
  }
  void wrote(Stream& stream, std::size_t count, int error, bool blocked) noexcept {
    stream.write_queued = 0;
    if (stream.closing || stream.failed) {
      stream.out.clear(blocks_);
    } else if (error != 0) {
      broke(stream, error);
    } else {
      settle(stream, count, blocked);
    }
  }
  void gone(Stream& stream) noexcept {
    SLUICE_ASSERT(stream.closing && stream.in_flight == 0 && !stream.gone);
    stream.gone = 1;
    append(closing_, stream);
  }
  void event_done() noexcept {
    if (dirty_.count < dirty_max) [[likely]]
      return;
    flush();
    if constexpr (requires { protocol_.flushed(); }) protocol_.flushed();
  }

 private:
  static constexpr bool tells_of_work = requires(const ProtocolType& protocol) { protocol.has_work(); };
  bool protocol_has_work() const noexcept {
    if constexpr (tells_of_work) return protocol_.has_work();
    else return left_over_;
  }

  /// `sleeps`: nothing is left to do, and the mailbox knows.
  bool run_turn(bool sleeps) noexcept {
    io_.wait(sleeps ? next_alarm() : TimePoint::min(), turn_end_);
    mailbox_.cancel_sleep();
    asleep_ = false;
    tick();
    counters_.turns.add(1);
    io_.dispatch(*this);
    const unsigned posts = mailbox_.drain(Mailbox<>::drain_max, [this](MailNode& node) { protocol_.posted(node); });
    if (posts > 0) counters_.posts.add(posts);
    timers_.expire(now_, expiries_max, [this](TimerNode& node) { fired(node); });
    if constexpr (tells_of_work) protocol_.turn_ended();
    else left_over_ = protocol_.turn_ended();
    flush();
    release_closed();
    record_lag();
    asleep_ = !has_work() && mailbox_.prepare_sleep();
    return !quit_;
  }

  TimePoint next_alarm() const noexcept {
    if constexpr (requires { protocol_.next_wake(); }) return std::min(timers_.next(), protocol_.next_wake());
    return timers_.next();
  }

  // One pass over what is dirty now; what becomes dirty meanwhile is for the next one.
  void flush() noexcept {
    Stream* next = std::exchange(dirty_, Queue{}).first;
    while (next != nullptr) {
      Stream& stream = *next;
      next = stream.next_dirty;
      stream.dirty = 0;
      flush(stream);
    }
  }

  SLUICE_INLINE void flush(Stream& stream) noexcept {
    if (stream.closing) {
      append(closing_, stream);
      return;
    }
    if (stream.write_queued) return;
    if (stream.failed) {
      if (stream.close_when_flushed) close(stream);
      return;
    }
    if (stream.write_blocked) return;
    if (stream.out.empty()) {
      finish_output(stream);
      return;
    }
    counters_.writes.add(1);
    if constexpr (requires { protocol_.writing(stream); }) protocol_.writing(stream);
    const WriteResult result = io_.write(stream);
    switch (result.state) {
      case Wrote::all: settle(stream, result.bytes, false); break;
      case Wrote::blocked: settle(stream, result.bytes, true); break;
      case Wrote::queued: stream.write_queued = 1; break;
      case Wrote::failed: broke(stream, result.error); break;
    }
  }

  // `count` bytes were taken. Each call of the protocol may append, pause or close.
  SLUICE_INLINE void settle(Stream& stream, std::size_t count, bool blocked) noexcept {
    if (base::planted(base::Bug::short_write_lost)) count = stream.out.size();
    stream.out.pop(blocks_, count);
    counters_.bytes_sent.add(count);
    stream.write_blocked = blocked && !stream.out.empty();
    if (count == 0) return;
    const bool emptied = stream.out.empty();
    protocol_.wrote(stream, count);
    if (emptied && !stream.closing && stream.out.empty()) protocol_.drained(stream);
    if (stream.closing) return;
    if (stream.out.empty()) {
      finish_output(stream);
    } else if (!stream.write_blocked) {
      touch(stream);
    }
  }

  // `out` is empty and no write is under way.
  void finish_output(Stream& stream) noexcept {
    if (stream.close_when_flushed) {
      close(stream);
    } else if (stream.want_shutdown && !stream.was_shutdown) {
      stream.was_shutdown = 1;
      io_.shutdown(stream);
      protocol_.output_shut(stream);
    }
  }

  void fired(TimerNode& node) noexcept {
    switch (node.kind) {
      case TimerKind::stream: protocol_.expired(Stream::of(node)); break;
      case TimerKind::loop: release_accept(held_by_error); break;
      case TimerKind::protocol:
        if constexpr (requires { protocol_.timer_fired(node); }) protocol_.timer_fired(node);
        break;
    }
  }

  void hold_accept(unsigned reason) noexcept {
    if (accept_holds_ == 0) io_.pause_accept();
    accept_holds_ |= reason;
  }
  void release_accept(unsigned reason) noexcept {
    if ((accept_holds_ & reason) == 0) return;
    accept_holds_ &= ~reason;
    if (accept_holds_ == 0 && io_.resume_accept() != 0) {
      io_.pause_accept();
      accept_holds_ |= held_by_error;
      timers_.arm(accept_timer_, now_ + accept_error_pause);
    }
  }

  // Frees only here, when no event of this turn can name a closed stream any more.
  void release_closed() noexcept {
    Stream* next = std::exchange(closing_, Queue{}).first;
    while (next != nullptr) {
      Stream& stream = *next;
      next = stream.next_dirty;
      if (!stream.gone && !io_.close(stream)) continue;  // Sink::gone brings it back
      stream.out.clear(blocks_);
      stream.fd = -1;
      counters_.closed.add(1);
      // Still marked as closing, so that no wish of closed() has an effect. Only then is it as new: opened() may arm,
      // pause or write at once.
      protocol_.closed(stream);
      stream.recycle();
    }
  }

  void io_pause(Stream& stream) noexcept override { io_.pause(stream); }
  void io_resume(Stream& stream) noexcept override { io_.resume(stream); }

  ProtocolType& protocol_;
  IoType io_;
};

}  // namespace sluice::net
