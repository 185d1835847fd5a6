#include "admission/tally.hpp"

namespace sluice::admission {

void Tally::add_to(LaneCounters& sum) const noexcept {
  sum.received += received.read();
  sum.inlined += inlined.read();
  sum.queued += queued.read();
  sum.started += started.read();
  for (std::size_t i = 0; i < shed_reason_count; ++i) sum.shed[i] += shed[i].read();
  sum.expired += expired.read();
  sum.cancelled += cancelled.read();
  sum.evicted += evicted.read();
  sum.stale += stale.read();
  sum.drained += drained.read();
  sum.responded += responded.read();
  sum.raised += raised.read();
  sum.timed_out += timed_out.read();
  sum.abandoned += abandoned.read();
  sum.dropped += dropped.read();
  sum.thrown += thrown.read();
  sum.late += late.read();
  sum.started_after_deadline += started_after_deadline.read();
  sum.delayed += delayed.read();
  sum.degraded += degraded.read();
  sum.loop_stalls += loop_stalls.read();
  sum.depth += depth.read();
  sum.running += running.read();
  sum.zombies += zombies.read();
}

}  // namespace sluice::admission
