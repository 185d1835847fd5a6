// draw.hpp: service times and arrival gaps, the same from the same seed on every machine: own generator, and only
// operations that IEEE 754 rounds in one way (no library's distribution, logarithm or power).
// In: a shape, a mean, a seed. Out: durations. One owner.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.hpp"
#include "load/plan/random.hpp"

namespace sluice::sim {

/// How service times are spread around their mean.
enum class Shape : std::uint8_t {
  fixed,        // all the same
  exponential,  // squared coefficient of variation 1
  bimodal,      // nine in ten of half the mean, one of 5.5 times the mean: 2.25
  pareto,       // bounded Pareto, alpha 1.5, at most 50 times the mean: 3.3
};
inline constexpr Shape shapes[] = {Shape::fixed, Shape::exponential, Shape::bimodal, Shape::pareto};

const char* to_string(Shape shape) noexcept;
std::optional<Shape> shape_named(std::string_view name) noexcept;

/// A stream of durations. A value; a copy goes on with the same ones.
class Draw {
 public:
  Draw(Shape shape, base::Duration mean, std::uint64_t seed) noexcept
      : shape_{shape}, mean_{static_cast<double>(mean.count())}, random_{seed} {}

  /// At least 1 ns.
  base::Duration next() noexcept {
    const double time = mean_ * factor();
    return base::Duration{time < 1 ? 1 : static_cast<std::int64_t>(time)};
  }
  /// 0 to below 1.
  double uniform() noexcept { return random_.uniform(); }

 private:
  double factor() noexcept;

  Shape shape_;
  double mean_;
  bench::Random random_;
};

}  // namespace sluice::sim
