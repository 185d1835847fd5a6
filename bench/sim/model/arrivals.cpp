// arrivals.cpp: the rate over time is integrated; a call's time is the inverse of that at its number.
#include "sim/model/arrivals.hpp"

#include <algorithm>
#include <cmath>

namespace sluice::sim {
namespace {

/// Seconds from the stretch's begin until `count` calls have come.
double seconds_until(const Stretch& stretch, double count) noexcept {
  const double length = stretch.end_s - stretch.begin_s;
  const double doubled_slope = 2 * (stretch.to_per_s - stretch.from_per_s) / length;
  const double root = std::sqrt(std::max(0.0, stretch.from_per_s * stretch.from_per_s + doubled_slope * count));
  return count > 0 ? std::min(length, 2 * count / (stretch.from_per_s + root)) : 0;
}

}  // namespace

double calls_of(const Stretch& stretch) noexcept {
  return (stretch.from_per_s + stretch.to_per_s) / 2 * (stretch.end_s - stretch.begin_s);
}

double expected_calls(const Scenario& scenario) noexcept {
  if (!scenario.recording.empty()) return static_cast<double>(scenario.recording.size());
  double sum = 0;
  for (const Stretch& stretch : scenario.arrivals.stretches) sum += calls_of(stretch);
  return sum;
}

std::optional<Duration> ArrivalTimes::next() noexcept {
  count_ += arrivals_.poisson ? static_cast<double>(draw_.next().count()) * 1e-9 : 1;
  for (; stretch_ < arrivals_.stretches.size(); ++stretch_) {
    const Stretch& stretch = arrivals_.stretches[stretch_];
    const double calls = calls_of(stretch);
    if (count_ - before_ < calls) {
      const double at_s = stretch.begin_s + seconds_until(stretch, count_ - before_);
      return Duration{static_cast<std::int64_t>(at_s * 1e9)};
    }
    before_ += calls;
  }
  return std::nullopt;
}

}  // namespace sluice::sim
