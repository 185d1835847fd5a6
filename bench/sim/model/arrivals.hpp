// arrivals.hpp: when each call comes, from the rate over time: the same times from the same seed on every machine.
// In: stretches of a rate, a seed. Out: one offset after the other. One owner; never reads a clock.
#pragma once

#include <cstddef>
#include <optional>

#include "sim/core/draw.hpp"
#include "sim/model/scenario.hpp"

namespace sluice::sim {

/// How many calls a stretch has.
double calls_of(const Stretch& stretch) noexcept;

class ArrivalTimes {
 public:
  /// `arrivals` outlives this.
  ArrivalTimes(const Arrivals& arrivals, std::uint64_t seed) noexcept
      : arrivals_{arrivals}, draw_{Shape::exponential, std::chrono::seconds{1}, seed} {}

  /// Offset of the next call; never below the one before. None: no more will come.
  std::optional<Duration> next() noexcept;

 private:
  const Arrivals& arrivals_;
  Draw draw_;
  std::size_t stretch_ = 0;
  double count_ = 0;   // on the integrated rate: of the next call
  double before_ = 0;  // the same at the beginning of this stretch
};

}  // namespace sluice::sim
