// ladder.hpp: how a loop defends itself against its own refusals. A 503 costs little, but not nothing: with k times the
// capacity offered, the loss is about (k-1) x refusal cost / service cost. So the loop measures what refusals take, and
// when that is too much it turns from answering at once to making the sender wait. Pure numbers; one loop's.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/clock.hpp"

namespace sluice::admission {

enum class Rung : std::uint8_t {
  answer,  // a prebuilt 503, at once
  delay,  // the 503 comes 50 to 200 ms later: a client that waits for it sends no more meanwhile
  pause_reads,  // connections that keep being refused are not read for a while
  pause_accept,  // nor are new ones taken, every other window
};

class Ladder {
 public:
  static constexpr base::Duration window = std::chrono::milliseconds{100};
  static constexpr base::Duration delay_least = std::chrono::milliseconds{50};
  static constexpr base::Duration delay_most = std::chrono::milliseconds{200};

  /// What one loop did in one window.
  struct Window {
    base::Duration length{0};
    base::Duration busy{0};  // CPU time of its thread; 0: not known
    std::uint64_t answers = 0;  // of any kind
    std::uint64_t refusals = 0;  // of them, at a gate
  };
  /// Up by one rung where refusals take more of the loop than that rung's share; down by one after five windows in which
  /// they took less than half of what led to the present one.
  Rung observe(const Window& seen) noexcept {
    // Where most answers are refusals, the loop's time is theirs, system calls included.
    if (seen.busy > base::Duration{0} && seen.refusals >= 50 && 2 * seen.refusals >= seen.answers) {
      // Refusals held back are counted here and answered in a later window, or never.
      const base::Duration each = seen.busy / static_cast<std::int64_t>(std::max(seen.answers, seen.refusals));
      cost_ = cost_ + (each - cost_) / 4;
    }
    if (seen.length <= base::Duration{0}) return rung();
    share_ = static_cast<double>(cost_.count()) * static_cast<double>(seen.refusals) /
             static_cast<double>(seen.length.count());
    if (held_) return rung();
    if (rung_ + 1 < shares.size() && share_ > shares[rung_ + 1]) {
      ++rung_;
      calm_ = 0;
    } else if (rung_ > 0 && share_ < shares[rung_] / 2) {
      if (++calm_ >= calm_windows) {
        --rung_;
        calm_ = 0;
      }
    } else {
      calm_ = 0;
    }
    return rung();
  }

  Rung rung() const noexcept { return static_cast<Rung>(rung_); }
  /// Whether a connection that was refused so often, one time after the other, is not to be read for a while.
  bool rests(unsigned refused_in_a_row) const noexcept {
    return rung() >= Rung::pause_reads && refused_in_a_row >= refused_max_;
  }
  /// Stays on this rung, whatever refusals cost, and lets connections rest at once: for simulations.
  void hold(Rung rung) noexcept {
    rung_ = static_cast<std::size_t>(rung);
    held_ = true;
    refused_max_ = 1;
  }
  bool held() const noexcept { return held_; }
  /// CPU time of one refusal, smoothed; a guess of 4 us until it was measured.
  base::Duration cost() const noexcept { return cost_; }
  /// Of the last window: the part of the loop's time that refusals took.
  double share() const noexcept { return share_; }

 private:
  // To get onto each rung. A loop that has little else to do spends most of a refusal on waking up: 25 to 30 us where a
  // busy one takes 8. Below a third of its time nothing is gained by telling clients later.
  static constexpr std::array<double, 4> shares{0.0, 0.30, 0.50, 0.75};
  static constexpr unsigned calm_windows = 5;

  base::Duration cost_ = std::chrono::microseconds{4};
  double share_ = 0;
  std::size_t rung_ = 0;
  unsigned calm_ = 0;
  unsigned refused_max_ = 8;
  bool held_ = false;
};

}  // namespace sluice::admission
