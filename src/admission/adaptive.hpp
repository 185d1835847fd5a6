// adaptive.hpp: finds a lane's limit by trying: a pure function of what was seen interval after interval.
// In: what waited and what was completed in each interval. Out: the limit for the next one. No clock, no lock, no thread:
// whoever owns it calls it in order. The limit never leaves its bounds.
#pragma once

#include <cstdint>

#include <sluice/admission.hpp>

#include "base/clock.hpp"

namespace sluice::admission {

/// Climbs the hill of completions per second over the limit, and only while work waits.
///
/// Response times are not looked at: they grow with the limit wherever it is the limit that bounds the work, and with
/// the work itself. What counts is whether more at once completes more. A step of a quarter is tried; it is kept if at
/// least half of what it could have brought came. Then the same downwards: a step down is kept if it cost less than
/// half of what it could have cost. So the limit comes to rest where the completions stop growing.
class LimitController {
 public:
  /// Completions a rate is taken from: with exponential service times it is right to 9 %, and the line between kept and
  /// not kept is 12 % away from both sides.
  static constexpr std::uint64_t sample_completions = 128;
  /// Rates at an unchanged limit between two tries.
  static constexpr unsigned patience = 4;
  /// A try down costs throughput where the limit is right: only each so-many-th try up that failed is followed by one.
  static constexpr unsigned ups_per_down = 2;
  /// Intervals without a queue after which the limit follows the work that was there.
  static constexpr unsigned calm_intervals = 8;

  /// What a lane saw in one interval.
  struct Interval {
    base::Duration length{0};
    base::Duration standing_delay{0};  // age of the oldest waiting job, its minimum over the interval
    base::Duration target{0};  // a standing delay above it is demand that waits
    std::uint64_t completed = 0;  // permits given back
    std::uint32_t in_flight_peak = 0;
  };

  /// `initial` is brought within the bounds.
  LimitController(AdaptiveLimit bounds, std::uint32_t initial) noexcept;

  /// The limit from now on, after what was seen.
  std::uint32_t next(const Interval& interval) noexcept;
  std::uint32_t limit() const noexcept { return limit_; }

 private:
  enum class Trial : std::uint8_t { none, up, down };

  void judge(double rate) noexcept;
  void judge_base(double rate) noexcept;
  void judge_up(double rate) noexcept;
  void judge_down(double rate) noexcept;
  void up_failed() noexcept;
  void calm(const Interval& interval) noexcept;
  void try_up() noexcept;
  void try_down() noexcept;
  void adopt(double rate) noexcept;  // the tried limit is the new base
  void go_back() noexcept;  // to the base
  void move_to(std::uint32_t limit) noexcept;
  void forget_window() noexcept;

  AdaptiveLimit bounds_;
  std::uint32_t limit_;

  std::uint32_t base_limit_;  // the best one known
  double base_rate_ = 0;  // completions per second at it, smoothed; 0: not known
  Trial trial_ = Trial::none;
  unsigned patience_left_ = 1;
  unsigned failed_ups_ = 0;
  bool waits_ = false;  // there is demand
  bool settling_ = false;  // the interval after a change still has work of before

  // The intervals the next rate is taken from.
  base::Duration length_{0};
  std::uint64_t completed_ = 0;
  std::uint32_t peak_ = 0;

  unsigned calm_ = 0;
  std::uint32_t calm_peak_ = 0;
};

}  // namespace sluice::admission
