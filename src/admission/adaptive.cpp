#include "admission/adaptive.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace sluice::admission {
namespace {

// A change of the rate at an unchanged limit that is no chance any more: the bottleneck is another one now.
constexpr double changed_share = 0.3;
// Fewer completions than this say nothing, not even of a try that ended early.
constexpr std::uint64_t least_completions = 16;

double per_second(std::uint64_t count, base::Duration time) noexcept {
  return static_cast<double>(count) / (static_cast<double>(std::max<std::int64_t>(time.count(), 1)) * 1e-9);
}

double share_of(std::uint32_t part, std::uint32_t whole) noexcept {
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

LimitController::LimitController(AdaptiveLimit bounds, std::uint32_t initial) noexcept
    : bounds_{std::max(bounds.min, 1u), std::max({bounds.max, bounds.min, 1u})},
      limit_{std::clamp(initial, bounds_.min, bounds_.max)},
      base_limit_{limit_} {}

std::uint32_t LimitController::next(const Interval& interval) noexcept {
  if (std::exchange(settling_, false) || interval.length <= base::Duration{0}) return limit_;
  // Demand as the lane's overload: above the target it begins, below half of it it ends.
  if (interval.standing_delay > interval.target) waits_ = true;
  else if (interval.standing_delay <= interval.target / 2) waits_ = false;
  if (!waits_) {
    calm(interval);
    return limit_;
  }
  calm_ = 0;
  calm_peak_ = 0;
  length_ += interval.length;
  completed_ += interval.completed;
  peak_ = std::max(peak_, interval.in_flight_peak);
  if (completed_ >= sample_completions) judge(per_second(completed_, length_));
  SLUICE_ASSERT(limit_ >= bounds_.min && limit_ <= bounds_.max);
  return limit_;
}

void LimitController::judge(double rate) noexcept {
  const bool limit_binds = peak_ >= limit_;
  forget_window();
  if (!limit_binds) return go_back();  // something else keeps the work waiting: nothing to learn
  switch (trial_) {
    case Trial::none: return judge_base(rate);
    case Trial::up: return judge_up(rate);
    case Trial::down: return judge_down(rate);
  }
}

void LimitController::judge_base(double rate) noexcept {
  const bool known = base_rate_ > 0;
  const double change = known ? rate / base_rate_ - 1 : 0;
  const bool changed = change < -changed_share || change > changed_share;
  base_rate_ = !known || changed ? rate : base_rate_ + (rate - base_rate_) / 4;
  if (changed && change < 0) return try_down();
  if (changed || --patience_left_ == 0) try_up();
}

void LimitController::judge_up(double rate) noexcept {
  const double offered = share_of(limit_, base_limit_) - 1;
  if (rate / base_rate_ - 1 > offered / 2) {
    adopt(rate);
    return try_up();
  }
  up_failed();
}

void LimitController::up_failed() noexcept {
  go_back();
  if (++failed_ups_ < ups_per_down) return;
  failed_ups_ = 0;
  try_down();
}

void LimitController::judge_down(double rate) noexcept {
  const double given = 1 - share_of(limit_, base_limit_);
  if (1 - rate / base_rate_ >= given / 2) return go_back();
  adopt(rate);
  try_down();
}

/// Nothing waits. A try up that has brought this about is kept, if it completed more; then the limit follows the work.
void LimitController::calm(const Interval& interval) noexcept {
  if (trial_ == Trial::up && completed_ + interval.completed >= least_completions) {
    const double rate = per_second(completed_ + interval.completed, length_ + interval.length);
    const double offered = share_of(limit_, base_limit_) - 1;
    if (rate / base_rate_ - 1 > offered / 2) adopt(rate);
  }
  if (trial_ != Trial::none) go_back();
  forget_window();
  calm_peak_ = std::max(calm_peak_, interval.in_flight_peak);
  if (++calm_ < calm_intervals) return;
  const std::uint32_t needed = std::clamp(calm_peak_, bounds_.min, limit_);
  calm_ = 0;
  calm_peak_ = 0;
  if (needed == limit_) return;
  move_to(limit_ - (limit_ - needed + 3) / 4);
  base_limit_ = limit_;
  base_rate_ = 0;
}

void LimitController::try_up() noexcept {
  const std::uint32_t tried = std::min(base_limit_ + (base_limit_ + 3) / 4, bounds_.max);
  if (tried == base_limit_) return up_failed();
  trial_ = Trial::up;
  move_to(tried);
}

void LimitController::try_down() noexcept {
  if (base_limit_ == bounds_.min) return go_back();
  trial_ = Trial::down;
  const std::uint32_t step = (base_limit_ + 4) / 5;  // a quarter leads back up
  move_to(std::max(base_limit_ - step, bounds_.min));
}

void LimitController::adopt(double rate) noexcept {
  base_limit_ = limit_;
  base_rate_ = rate;
  trial_ = Trial::none;
  failed_ups_ = 0;
  patience_left_ = patience;
}

void LimitController::go_back() noexcept {
  trial_ = Trial::none;
  patience_left_ = patience;
  if (limit_ != base_limit_) move_to(base_limit_);
}

void LimitController::forget_window() noexcept {
  length_ = base::Duration{0};
  completed_ = 0;
  peak_ = 0;
}

void LimitController::move_to(std::uint32_t limit) noexcept {
  limit_ = limit;
  settling_ = true;
}

}  // namespace sluice::admission
