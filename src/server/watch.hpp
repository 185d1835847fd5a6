// watch.hpp: something that wants to be looked at on a request's loop, at a moment or as soon as it is told: timed
// waits of handlers that hold no thread. In: Exchange::look_at(), from any thread. Out: Watch::look(), on the loop,
// between events. Must never allocate, so that telling can't fail; must never outlive its last look unseen: a loop that
// ends looks at everything once more.
#pragma once

#include <atomic>
#include <memory>

#include "base/clock.hpp"
#include "base/list.hpp"
#include "net/timers.hpp"

namespace sluice::detail {

struct Route;
struct WatchTag {};

/// Belongs to one exchange. Like a condition variable it may be looked at once too often; each look uses up the moment
/// that was asked for.
class Watch : private net::TimerNode, private base::ListNode<WatchTag> {
 public:
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  virtual ~Watch() = default;

  /// loop_over: time will not pass any more, and this is the last look.
  ///   Thread: the loop's; once that is over whichever finds it.
  virtual void look(bool loop_over) noexcept = 0;

 protected:
  Watch() noexcept = default;

 private:
  friend class Exchange;
  friend class Shard;
  friend class base::List<Watch, WatchTag>;

  base::TimePoint at() const noexcept { return base::TimePoint{base::Duration{at_.load(std::memory_order_acquire)}}; }
  // The nearest moment wins, so that of two threads that ask at once the later one can't undo the earlier one's wish.
  void want(base::TimePoint at) noexcept {
    const base::Duration::rep wanted = at.time_since_epoch().count();
    base::Duration::rep seen = at_.load(std::memory_order_relaxed);
    while ((at == base::never || wanted < seen) &&
           !at_.compare_exchange_weak(seen, wanted, std::memory_order_acq_rel)) {}
  }
  void look_now(bool loop_over) noexcept {
    at_.store(base::never.time_since_epoch().count(), std::memory_order_seq_cst);  // what comes from here on counts
    look(loop_over);
  }

  std::atomic<base::Duration::rep> at_{base::never.time_since_epoch().count()};
  std::atomic<bool> queued_{false};  // in its exchange's list
  std::shared_ptr<Watch> next_{};  // there, under the exchange's lock
  std::shared_ptr<Watch> held_{};  // itself, while it is in a list of the loop's; loop only
  const Route* route_ = nullptr;  // loop only: whose time a look takes
};

}  // namespace sluice::detail
