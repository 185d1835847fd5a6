#include "sim/core/naive_host.hpp"

namespace sluice::sim {

using admission::Claim;

NaiveHost::NaiveHost(Timeline& timeline, Watcher& watcher, const HostSpec& spec)
    : Host{timeline, watcher}, threads_{spec.pool_threads} {
  for (const LaneSpec& lane : spec.lanes) lanes_.push_back({.limit = lane.settings.limit, .workers = lane.workers});
}

void NaiveHost::admit(Work& work, const Arrival& arrival) {
  if (draining()) {
    watcher().told(work, Claim::idle, ShedReason::draining);
    return free_work(work);
  }
  Lane& lane = lanes_[work.place];
  work.claim.store(Claim::queued);
  expect_patience(work, arrival);
  if (lane.queue.empty() && may_start(lane)) return begin(work);
  lane.queue.push_back(&work);
  count_waiting(work);
}

void NaiveHost::begin(Work& work) {
  Lane& lane = lanes_[work.place];
  ++lane.out;
  if (lane.workers) ++busy_;
  work.permit = true;
  if (work.claim.load() == Claim::queued) work.claim.store(Claim::running);
  if (const auto end = watcher().begun(work)) schedule(*end, service_end, work);
}

void NaiveHost::finish(Work& work) {
  if (work.alive()) {
    const Claim outcome = work.fails ? Claim::raised : Claim::responded;
    work.claim.store(outcome);
    watcher().told(work, outcome, std::nullopt);
  }
  watcher().ended(work);
  Lane& lane = lanes_[work.place];
  --lane.out;
  if (lane.workers) --busy_;
  free_work(work);
  start_next();
}

/// Whoever has waited longest, of those that may start.
void NaiveHost::start_next() {
  for (;;) {
    Lane* first = nullptr;
    for (Lane& lane : lanes_) {
      if (lane.queue.empty() || !may_start(lane)) continue;
      if (first == nullptr || lane.queue.front()->came < first->queue.front()->came) first = &lane;
    }
    if (first == nullptr) return;
    Work& work = *first->queue.front();
    first->queue.pop_front();
    begin(work);
  }
}

void NaiveHost::forget() {
  for (Lane& lane : lanes_) {
    for (Work* const work : lane.queue) free_work(*work);
    lane.queue.clear();
  }
}

void NaiveHost::leave(Work& work) {
  if (!work.alive()) return;
  work.claim.store(Claim::abandoned);
  watcher().told(work, Claim::abandoned, std::nullopt);
}

}  // namespace sluice::sim
