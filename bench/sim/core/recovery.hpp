// recovery.hpp: when a service is well again after something was wrong. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <span>

#include "base/clock.hpp"

namespace sluice::sim {

/// What happened to the calls that came first in this tenth of a second.
struct Slot {
  std::uint64_t offered = 0, good = 0;
  std::uint64_t attempts = 0;  // made in this tenth
  std::uint64_t undecided = 0;  // of those offered: spoiled when the next event had begun, in time for their budget
};
inline constexpr base::Duration slot_length = std::chrono::milliseconds{100};
inline constexpr std::size_t recovery_slots = 5;  // what is judged at a time

/// How long after `from` calls went unanswered: the end of the last half second, from there on, with less than `share` of
/// its calls good. `deviations`: so many standard deviations below it are still put down to chance. `slots` end where
/// something else begins, or they would be judged by that.
inline base::Duration recovery(std::span<const Slot> slots, std::size_t from, double share,
                               double deviations = 0) noexcept {
  constexpr std::size_t width = recovery_slots;
  std::size_t recovered = from;
  for (std::size_t first = from; first + width <= slots.size(); ++first) {
    std::uint64_t offered = 0, good = 0;
    for (const Slot& slot : slots.subspan(first, width)) {
      offered += slot.offered - slot.undecided;
      good += slot.good;
    }
    const double calls = static_cast<double>(offered);
    const double chance = deviations * std::sqrt(calls * share * (1 - share));
    if (static_cast<double>(good) < share * calls - chance) recovered = first + width;
  }
  return slot_length * static_cast<int>(recovered - from);
}

}  // namespace sluice::sim
