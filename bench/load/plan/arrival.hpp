// arrival.hpp: when each request is due. The plan is fixed before the run and knows nothing of the answers.
// In: rate, arrival, pattern, and which part of the load this thread has. Out: one offset after the other.
// One owner; never reads a clock. Each offset is computed from the request's place, so that no rounding adds up.
#pragma once

#include <sluice/bench.hpp>

#include <cstdint>

#include "load/plan/random.hpp"

namespace sluice::bench {

struct ScheduleOptions {
  double rate_per_s = 0;  // of all parts together
  Arrival arrival = Arrival::constant;
  Pattern pattern{};
  Duration length{};  // of the ramp, which goes on at its last rate behind it
  unsigned part = 0, parts = 1;
  std::uint64_t seed = 1;
};

/// The plan of one part. A value; a copy goes on with the same times.
///
/// Constant arrivals: request k of the whole load is due when the integrated rate reaches k, and belongs to part
/// k mod parts. Poisson arrivals: each part draws a stream of its own, of rate / parts. A burst begins with `high`.
class Schedule {
 public:
  explicit Schedule(const ScheduleOptions& options) noexcept;

  /// Offset of the next request from the start; never below the one before. Duration::max() when no more will come.
  ///   Cost: tens of nanoseconds.
  Duration next() noexcept;
  /// How many requests this part has before `offset`: to within one with constant arrivals, on average else.
  double planned_until(Duration offset) const noexcept;

 private:
  double seconds_at(double count) const noexcept;
  double count_at(double seconds) const noexcept;

  Pattern::Kind kind_;
  Arrival arrival_;
  unsigned parts_;
  double low_per_s_, high_per_s_;  // of all parts; both the rate if it is steady
  double on_s_, off_s_;            // the ramp: on_s_ is its length
  double first_count_;             // in the first stretch: the ramp, or a burst's `on`
  double period_count_;            // in `on` and `off` together
  double position_;  // on the integrated rate: of the next request (constant), of the last one (Poisson)
  Duration last_{};
  Random random_;
};

}  // namespace sluice::bench
