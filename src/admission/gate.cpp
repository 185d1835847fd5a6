#include "admission/gate.hpp"

#include <algorithm>

#include "base/planted.hpp"

namespace sluice::admission {

using namespace std::chrono_literals;

base::Duration estimated_wait(const LaneView& lane) noexcept {
  if (lane.can_start) return base::Duration{0};
  return lane.service * (lane.ahead + 1) / std::max(lane.permits, 1u);
}

std::optional<ShedReason> judge(const LaneView& lane, const ArrivalView& arrival) noexcept {
  if (const auto refused = judge(arrival)) return refused;
  const bool exempt = arrival.criticality == Criticality::exempt;
  if (arrival.connection_over_share && !exempt) return ShedReason::connection_share;
  if (lane.can_start) return std::nullopt;
  const bool room = lane.depth < lane.depth_max || lane.ahead < lane.depth || arrival.now >= lane.evicts_from;
  if (!room && !base::planted(base::Bug::queue_unbounded)) return ShedReason::queue_full;
  if (exempt) return std::nullopt;
  if (lane.stalled) return ShedReason::infeasible;  // nobody knows when a permit comes back
  // In overload the newest start first: how many wait says nothing about how long an arrival will.
  if (!lane.overloaded && estimated_wait(lane) > lane.queue_timeout) return ShedReason::infeasible;
  return std::nullopt;
}

unsigned retry_after_seconds(const LaneView& lane) noexcept {
  const auto wait = std::chrono::ceil<std::chrono::seconds>(estimated_wait(lane)).count();
  return static_cast<unsigned>(std::clamp<long long>(wait, 1, 30));
}

}  // namespace sluice::admission
