// arrival.cpp: the rate over time is integrated in closed form; a request's time is the inverse of that at its number.
#include "load/plan/arrival.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sluice::bench {
namespace {

constexpr double offset_max_ns = 9.2e18;
constexpr double never = std::numeric_limits<double>::infinity();

double seconds(Duration time) noexcept { return static_cast<double>(std::max(time, Duration{}).count()) * 1e-9; }
double positive(double value) noexcept { return value > 0 && std::isfinite(value) ? value : 0; }

}  // namespace

Schedule::Schedule(const ScheduleOptions& options) noexcept
    : kind_{options.pattern.kind},
      arrival_{options.arrival},
      parts_{std::max(options.parts, 1U)},
      low_per_s_{positive(options.rate_per_s)},
      high_per_s_{low_per_s_},
      on_s_{seconds(options.length)},
      off_s_{0},
      first_count_{0},
      period_count_{0},
      position_{arrival_ == Arrival::constant ? static_cast<double>(options.part) : 0},
      random_{options.seed + options.part * 0xd1342543de82ef95} {
  if (kind_ != Pattern::Kind::steady) {
    low_per_s_ *= positive(options.pattern.low);
    high_per_s_ *= positive(options.pattern.high);
  }
  if (kind_ == Pattern::Kind::burst) {
    on_s_ = seconds(options.pattern.on);
    off_s_ = seconds(options.pattern.off);
    first_count_ = high_per_s_ * on_s_;
    period_count_ = first_count_ + low_per_s_ * off_s_;
  } else if (kind_ == Pattern::Kind::ramp) {
    first_count_ = (low_per_s_ + high_per_s_) / 2 * on_s_;
  }
}

Duration Schedule::next() noexcept {
  double at_s = 0;
  if (arrival_ == Arrival::constant) {
    at_s = seconds_at(position_);
    position_ += parts_;
  } else {
    position_ += random_.exponential() * parts_;
    at_s = seconds_at(position_);
  }
  const double at_ns = at_s * 1e9;
  last_ = at_ns < offset_max_ns ? std::max(last_, Duration{std::llround(at_ns)}) : Duration::max();
  return last_;
}

double Schedule::planned_until(Duration offset) const noexcept {
  return count_at(seconds(offset)) / static_cast<double>(parts_);
}

/// When the integrated rate reaches `count`.
double Schedule::seconds_at(double count) const noexcept {
  switch (kind_) {
    case Pattern::Kind::steady: return high_per_s_ > 0 ? count / high_per_s_ : never;
    case Pattern::Kind::burst: {
      if (!(period_count_ > 0)) return never;
      const double periods = std::floor(count / period_count_);
      const double rest = count - periods * period_count_;
      const double begin_s = periods * (on_s_ + off_s_);
      if (rest < first_count_) return begin_s + rest / high_per_s_;
      if (!(low_per_s_ > 0)) return begin_s + on_s_ + off_s_;  // rest is the period's count but for rounding
      return begin_s + on_s_ + (rest - first_count_) / low_per_s_;
    }
    case Pattern::Kind::ramp: {
      if (count >= first_count_) return high_per_s_ > 0 ? on_s_ + (count - first_count_) / high_per_s_ : never;
      const double doubled_slope = 2 * (high_per_s_ - low_per_s_) / on_s_;
      const double root = std::sqrt(std::max(0.0, low_per_s_ * low_per_s_ + doubled_slope * count));
      return count > 0 ? 2 * count / (low_per_s_ + root) : 0;
    }
  }
  return never;
}

double Schedule::count_at(double seconds) const noexcept {
  switch (kind_) {
    case Pattern::Kind::steady: break;
    case Pattern::Kind::burst: {
      if (!(on_s_ + off_s_ > 0)) return 0;
      const double periods = std::floor(seconds / (on_s_ + off_s_));
      const double rest = seconds - periods * (on_s_ + off_s_);
      return periods * period_count_ + high_per_s_ * std::min(rest, on_s_) + low_per_s_ * std::max(0.0, rest - on_s_);
    }
    case Pattern::Kind::ramp:
      if (seconds >= on_s_) return first_count_ + high_per_s_ * (seconds - on_s_);
      return low_per_s_ * seconds + (high_per_s_ - low_per_s_) / on_s_ * seconds * seconds / 2;
  }
  return high_per_s_ * seconds;
}

}  // namespace sluice::bench
