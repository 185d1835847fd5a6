// loop_guard.hpp: how long a route's code keeps its loop. In: where that code begins and ends. Out: a count per lane, a
// log line now and then, and for any thread the route that is on the loop at this moment.
// Thread: the loop's, but for what says so. Must never cost a full reading of the clock per request, never blame a
// route for time that was not its own.
#pragma once

#include <atomic>
#include <utility>

#include "server/core.hpp"

namespace sluice::net {
class LoopBase;
}

namespace sluice::detail {

class LoopGuard {
 public:
  LoopGuard(Core& core, std::size_t index) noexcept;

  /// An event begins, in a turn that began at `turn`: what went before is not for the next handler to answer for. The
  /// clock is read again if a user's code has run since that is no route's: a log hook, or the end of a body's owner.
  void look(base::TimePoint turn, std::uint32_t owners_ended) noexcept {
    const std::uint32_t foreign = core_.log_calls() + owners_ended;
    if (std::exchange(foreign_, foreign) != foreign) [[unlikely]]
      look_again();
    const base::Duration::rep began = turn.time_since_epoch().count();
    if (began > seen_.load(std::memory_order_relaxed)) seen_.store(began, std::memory_order_relaxed);
  }
  /// The same at this moment: something has taken its time that was no route's code.
  void look_again() noexcept { seen_.store(coarse(), std::memory_order_relaxed); }
  /// A route's code begins. Since the last look or leave() there was only the library's own work, which is short.
  void enter(const Route& route) noexcept { running_.store(&route, std::memory_order_release); }
  /// It has returned.
  void leave() noexcept {
    const Route* const route = running_.load(std::memory_order_relaxed);
    running_.store(nullptr, std::memory_order_relaxed);
    const base::Duration::rep now = coarse();
    const base::Duration::rep held = now - seen_.load(std::memory_order_relaxed);
    seen_.store(now, std::memory_order_relaxed);
    if (held >= limit_) [[unlikely]]
      stalled(*route, base::Duration{held});
  }

  /// The route whose code the loop is in at this moment, or nullptr. Thread: any.
  const Route* running() const noexcept { return running_.load(std::memory_order_relaxed); }
  /// How the loop is doing. Thread: any.
  LoopStatus status(const net::LoopBase& loop) const;

 private:
  base::Duration::rep coarse() const noexcept { return clock_.coarse().time_since_epoch().count(); }
  void stalled(const Route& route, base::Duration held) noexcept;

  static constexpr base::Duration log_interval = std::chrono::seconds{1};

  Core& core_;
  const base::Clock& clock_;
  const std::size_t index_;
  const base::Duration::rep limit_;  // on the coarse clock; what reaches it took longer than the threshold
  std::atomic<const Route*> running_{nullptr};
  std::atomic<base::Duration::rep> seen_;  // the last reading: in a route's code, when that began
  admission::Count stalls_;
  std::uint32_t foreign_ = 0;  // log calls and owners that had ended, at the last look
  std::uint64_t unlogged_ = 0;  // stalls since the last line
  base::Duration::rep next_line_;  // not before
};

}  // namespace sluice::detail
