// loop_base.hpp: the part of a loop that its protocol and other threads may use; the same for every backend.
// In: wishes about streams, posts. Out: time, memory, timers. Thread: the loop's, except post, wake-ups and counters.
// Must never call the protocol back from inside one of these functions: wishes are acted on later in the turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>

#include "base/block_pool.hpp"
#include "base/clock.hpp"
#include "base/planted.hpp"
#include "base/shared_histogram.hpp"
#include "net/io.hpp"
#include "net/mailbox.hpp"
#include "net/stream.hpp"
#include "net/timers.hpp"

namespace sluice::net {

/// A count that only the loop changes and any thread may read.
class LoopCount {
 public:
  void add(std::uint64_t amount) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct LoopCounters {
  LoopCount turns, accepted, connects, refused, closed, accept_errors, bytes_received, bytes_sent, writes, broken;
  LoopCount posts;
  LoopCount blocking_calls;  // announced by user code inside a turn, see refuse_blocking
};

class alignas(64) LoopBase {  // no line of the cache has two loops' own
 public:
  LoopBase(const LoopBase&) = delete;
  LoopBase& operator=(const LoopBase&) = delete;
  virtual ~LoopBase() = default;

  /// Turns until quit(). The caller has closed every stream by then, or loses their descriptors.
  virtual void run() noexcept = 0;
  /// One turn; blocks only if `may_wait` and nothing is left to do, for as long as would have been right at the end of
  /// the turn before. False after quit().
  virtual bool turn(bool may_wait) noexcept = 0;
  /// When the loop has to run again if nothing happens: now() while it has work, base::never if nothing is armed.
  virtual TimePoint next_deadline() const noexcept = 0;

  /// This turn's reading of the clock, taken at its begin.
  TimePoint now() const noexcept { return now_; }
  /// Seconds since 1970, as they were wall_age_max ago or later.
  std::time_t wall() const noexcept {
    if (now_ >= wall_until_) {
      wall_ = clock_.wall();
      wall_until_ = now_ + wall_age_max;
    }
    return wall_;
  }
  BlockPool& blocks() noexcept { return blocks_; }
  Timers& timers() noexcept { return timers_; }
  const LoopCounters& counters() const noexcept { return counters_; }
  /// The length of each turn in microseconds, from its reading of the clock to its end: how long an event that became
  /// ready meanwhile had to wait. Thread: any.
  const base::SharedHistogram& lag() const noexcept { return lag_; }

  /// Has expired(stream) called at `deadline` at the latest: an earlier one stays. No effect on a closing stream.
  void arm(Stream& stream, TimePoint deadline) noexcept {
    if (!stream.closing) timers_.arm_earlier(stream.timer, deadline);
  }
  void disarm(Stream& stream) noexcept { timers_.cancel(stream.timer); }

  /// Stream::out has something new: it is sent at the end of the batch or turn, in one write.
  void touch(Stream& stream) noexcept {
    if (stream.dirty || stream.closing) return;
    stream.dirty = 1;
    append(dirty_, stream);
  }

  /// No more input, please; what is under way may still come. Idempotent.
  void pause(Stream& stream) noexcept;
  void resume(Stream& stream) noexcept;

  /// Ends our sending side once `out` is empty, then calls output_shut(stream). Input goes on.
  void shutdown_after_flush(Stream& stream) noexcept;
  /// Sends what is in `out`, then closes.
  void close_after_flush(Stream& stream) noexcept;
  /// Drops `out` and closes at the end of the turn. No callback but closed(stream) follows. Idempotent.
  void close(Stream& stream) noexcept;
  /// As close; the peer sees a reset.
  void reset(Stream& stream) noexcept;

  /// Has posted(node) called on the loop.
  ///   Thread:   any. The caller keeps the loop alive until post has returned.
  ///   Lifetime: true: the node is the loop's until posted(); false (mailbox closed): it is still the caller's.
  ///   Cost:     one compare-exchange; a write to an eventfd only if the loop sleeps.
  [[nodiscard]] bool post(MailNode* node) noexcept {
    const Posted result = mailbox_.push(node);
    if (result == Posted::queued_wake) wake();
    return result != Posted::closed;
  }
  /// Makes a sleeping loop run a turn. Thread: any.
  virtual void wake() noexcept = 0;
  /// Ends posting for good; returns the nodes that were not run, oldest first, linked by next.
  MailNode* close_mailbox() noexcept { return mailbox_.close(); }

  /// Whether the caller runs inside this loop's turn. Thread: any.
  bool on_this_thread() const noexcept { return current() == this; }
  /// The loop whose turn the calling thread is in, or nullptr.
  static LoopBase* current() noexcept;

  /// Begins a connection to `to` for a stream that is as new: not from inside the closed() that gives its slot back.
  /// Later connected(stream) or failed(stream, errno), there with the bit `connecting` still set. What is written or
  /// wished for before connected() is done after it.
  ///   Errors: an errno; then nothing was begun, and the slot is still the caller's.
  [[nodiscard]] virtual int connect(Stream& stream, const Address& to, const ConnectOptions& options) noexcept = 0;

  /// Accepts from a bound, listening, non-blocking socket; the caller keeps it open until the loop is done.
  /// `shared`: other loops were given the same socket. Returns 0 or an errno. Before run() or on the loop.
  virtual int listen(int fd, bool shared) noexcept = 0;
  /// For good; the sockets stay open, and stay their owner's.
  virtual void stop_accepting() noexcept = 0;
  /// Pairs: accepting goes on when neither the protocol nor an error holds it.
  virtual void pause_accepting() noexcept = 0;
  virtual void resume_accepting() noexcept = 0;
  bool accepting() const noexcept { return accept_holds_ == 0; }

  /// What user code inside a turn that says it may block is told. Before run().
  void refuse_blocking(bool refuses) noexcept { refuses_blocking_ = refuses; }
  /// User code inside a turn is about to make a call that may block: counts it. True: it must not. On the loop.
  bool blocking_refused() noexcept {
    counters_.blocking_calls.add(1);
    return refuses_blocking_;
  }

  /// Leaves run() after this turn. On the loop.
  void quit() noexcept { quit_ = true; }

  /// The loop has announced that it sleeps: only an event, a wake-up or next_deadline() makes it run.
  bool asleep() const noexcept { return asleep_; }

 protected:
  enum AcceptHold : unsigned { held_by_protocol = 1, held_by_error = 2, stopped = 4 };
  static constexpr Duration wall_age_max = std::chrono::milliseconds{10};
  static constexpr Duration accept_error_pause = std::chrono::milliseconds{100};

  /// A singly linked queue through Stream::next_dirty; a stream is in at most one.
  struct Queue {
    Stream* first = nullptr;
    Stream* last = nullptr;
    unsigned count = 0;
  };
  /// Marks the calling thread as running this loop while it lives.
  class Running {
   public:
    explicit Running(LoopBase& loop) noexcept;
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    LoopBase* before_;
  };

  explicit LoopBase(const base::Clock& clock) noexcept : clock_{clock}, now_{clock.now()}, turn_end_{now_} {
    accept_timer_.kind = TimerKind::loop;
  }

  virtual void io_pause(Stream& stream) noexcept = 0;
  virtual void io_resume(Stream& stream) noexcept = 0;

  void tick() noexcept { now_ = clock_.now(); }
  /// The end of a turn: one more reading of the clock, or the longest turns would be those nobody knows of, and the wait
  /// that follows would be too long by a turn.
  void record_lag() noexcept {
    turn_end_ = clock_.now();
    const Duration::rep lag = (turn_end_ - now_).count();
    static_assert(std::is_same_v<Duration, std::chrono::nanoseconds>);
    lag_.record(lag > 0 ? static_cast<std::uint64_t>(lag) / 1000 : 0);
  }
  static void append(Queue& queue, Stream& stream) noexcept {
    stream.next_dirty = nullptr;
    if (queue.first == nullptr) {
      queue.first = &stream;
    } else {
      queue.last->next_dirty = &stream;
    }
    queue.last = &stream;
    ++queue.count;
  }

  const base::Clock& clock_;
  TimePoint now_;
  TimePoint turn_end_;  // of the last turn
  mutable std::time_t wall_ = 0;
  mutable TimePoint wall_until_ = TimePoint::min();  // when it is to be read again
  bool quit_ = false;
  bool asleep_ = false;
  bool left_over_ = false;  // the protocol's
  bool refuses_blocking_ = false;
  unsigned accept_holds_ = 0;
  BlockPool blocks_;
  Timers timers_;
  TimerNode accept_timer_;
  Queue dirty_;
  Queue closing_;
  Mailbox<> mailbox_;
  LoopCounters counters_;
  base::SharedHistogram lag_;
};

}  // namespace sluice::net
