// discipline.hpp: when a lane counts as overloaded, and what it does with its queue then. Pure numbers and one small
// state machine; no lock, no clock, no thread. The constants come from the table of bench/scenarios/lane_sim.
//
// Everything is measured in gaps: the time between two starts at capacity, service / permits. A lane of 4 permits and
// jobs of 500 ms has a gap of 125 ms; the 5 and 100 ms that suit a lane of hundreds would starve it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.hpp"

namespace sluice::admission {

struct Discipline {
  std::uint32_t places = 64;        // jobs that must be able to wait, so that no permit idles between bursts
  std::uint32_t target_gaps = 24;   // a standing delay above this is overload ...
  base::Duration target_least = std::chrono::milliseconds{5};
  std::uint32_t interval_gaps = 64;  // ... if it is never below it for so long
  base::Duration interval_least = std::chrono::milliseconds{100};
  std::uint32_t stale_gaps = 16;    // in overload: who has waited longer makes room ...
  std::uint32_t keep = 24;          // ... while more than these wait
  std::uint32_t newcomers = 2;      // in overload: who may still join these, for each look for work
  std::uint32_t drops_max = 16;     // in one section of the lock
  std::uint32_t service_jobs = 16;  // the service time is an average over about so many

  /// Never above half of the longest wait: a delay that is about to end the wait of everybody is overload, however few
  /// jobs it takes.
  base::Duration target(base::Duration gap, base::Duration queue_timeout) const noexcept {
    return std::min(std::max(target_least, target_gaps * gap), queue_timeout / 2);
  }
  base::Duration interval(base::Duration gap) const noexcept { return std::max(interval_least, interval_gaps * gap); }
  base::Duration stale_after(base::Duration gap, base::Duration queue_timeout) const noexcept {
    return std::min(std::max(2 * target_least, stale_gaps * gap), queue_timeout);
  }
  /// How many may wait in overload: what can be started before it is stale, and never so few that a permit idles.
  std::uint32_t overload_depth(base::Duration gap, base::Duration queue_timeout,
                               std::uint32_t depth_max) const noexcept {
    if (gap <= base::Duration{0}) return depth_max;
    const auto startable = static_cast<std::uint64_t>(stale_after(gap, queue_timeout) / gap);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(std::max<std::uint64_t>(startable, places), depth_max));
  }
  /// Longest wait where none is configured: a queue of `places`, at least 100 ms, never above a quarter of the budget.
  base::Duration queue_timeout(base::Duration gap, base::Duration budget) const noexcept {
    const base::Duration most = budget / 4;
    const base::Duration least = std::min<base::Duration>(std::chrono::milliseconds{100}, most);
    return std::clamp<base::Duration>(places * gap, least, most);
  }
};

/// Tells overload from a burst by the queue's standing delay: the age of the oldest waiting job, at its least over an
/// interval. A burst is worked off and the delay falls; in overload it never does. It does not depend on who is started
/// next, so that turning to the newest first does not hide the overload that was the reason for it.
class OverloadDetector {
 public:
  /// At every look for work. `standing`: age of the oldest waiting job, 0 if none waits.
  /// True: an interval has ended here; interval_delay() and interval_length() are its.
  bool observe(base::Duration standing, base::TimePoint now, base::Duration target, base::Duration interval) noexcept {
    least_ = std::min(least_, standing);
    if (now < end_) return false;
    // Nobody looked for work for a whole interval: either there was none, or nothing could be started. What was seen
    // before tells nothing about now.
    const bool forgotten = now - end_ >= interval;
    delay_ = forgotten ? base::Duration{0} : least_;
    length_ = forgotten ? base::Duration{0} : now - begin_;
    const bool was = overloaded_;
    if (delay_ > target) overloaded_ = true;
    else if (delay_ < target / 2 && (forgotten || !dropped_)) overloaded_ = false;
    dropped_ = false;
    if (overloaded_ != was) ++changes_;
    least_ = standing;
    begin_ = now;
    end_ = now + interval;
    return !forgotten;
  }

  /// Somebody had to go for having waited too long. A queue that is empty for such a reason is not calm: overload lasts
  /// for this interval. Without this it ends whenever all that is kept grows old at once, and begins again.
  void dropped() noexcept { dropped_ = true; }
  bool overloaded() const noexcept { return overloaded_; }
  std::uint64_t changes() const noexcept { return changes_; }
  base::Duration interval_delay() const noexcept { return delay_; }
  base::Duration interval_length() const noexcept { return length_; }

 private:
  base::TimePoint begin_ = base::TimePoint{};
  base::TimePoint end_ = base::TimePoint{};
  base::Duration least_ = base::Duration::max();
  base::Duration delay_{0};
  base::Duration length_{0};
  std::uint64_t changes_ = 0;
  bool dropped_ = false;
  bool overloaded_ = false;
};

}  // namespace sluice::admission
