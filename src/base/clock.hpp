// clock.hpp: the only place that reads time. Deadlines travel as TimePoint, durations are configuration.
#pragma once

#include <chrono>
#include <ctime>

namespace sluice::base {

using Duration = std::chrono::steady_clock::duration;
using TimePoint = std::chrono::steady_clock::time_point;

inline constexpr TimePoint never = TimePoint::max();

/// A source of time. Thread: any; lives as long as everything that was given it.
class Clock {
 public:
  virtual TimePoint now() const noexcept = 0;
  /// Seconds since 1970, for the Date field.
  virtual std::time_t wall() const noexcept = 0;
  /// CPU time the calling thread has had. Virtual time costs nothing.
  virtual Duration thread_cpu() const noexcept { return Duration{0}; }
  /// As now(), but up to coarse_step() behind it: for who asks often and wants to know roughly.
  ///   Cost: a few nanoseconds with system_clock(), where now() takes several times that.
  virtual TimePoint coarse() const noexcept { return now(); }
  /// The longest time for which coarse() may stand still.
  virtual Duration coarse_step() const noexcept { return Duration{0}; }

 protected:
  ~Clock() = default;
};

/// CLOCK_MONOTONIC, CLOCK_REALTIME and CLOCK_MONOTONIC_COARSE.
const Clock& system_clock() noexcept;

}  // namespace sluice::base
