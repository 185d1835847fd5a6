#include "sim/core/host.hpp"

namespace sluice::sim {

void Host::arrive(const Arrival& arrival) {
  Work& work = take_work();
  work.owner = arrival.owner;
  work.attempt = arrival.attempt;
  work.route = arrival.route;
  work.host = arrival.host;
  work.needs = arrival.needs;
  work.needs_behind = arrival.needs_behind;
  work.place = arrival.lane;
  work.client = arrival.client;
  work.came = work.arrived = now();
  work.deadline = work.came + arrival.budget;
  admit(work, arrival);
  settle();
}

void Host::end(Work& work) {
  finish(work);
  settle();
}

void Host::cut() {
  for (Work& work : works_) {
    if (work.alive()) leave(work);
  }
  forget();
  settle();
}

void Host::handle(const Event& event) {
  Work& work = works_[event.slot];
  if (work.generation != event.generation) return;  // over
  switch (event.kind) {
    case service_end: finish(work); break;
    case queue_end: queue_over(work); break;
    case budget_end: budget_over(work); break;
    case patience_end: leave(work); break;
    default: break;
  }
  settle();
}

Work& Host::take_work() {
  if (free_.empty()) {
    works_.emplace_back();
    works_.back().slot = static_cast<std::uint32_t>(works_.size() - 1);
    free_.push_back(works_.back().slot);
  }
  Work& work = works_[free_.back()];
  free_.pop_back();
  work.claim.store(admission::Claim::idle);
  work.permit = false;
  work.fails = work.waiting = false;
  work.worker = -1;
  return work;
}

void Host::free_work(Work& work) {
  ++work.generation;
  work.claim.store(admission::Claim::idle);
  free_.push_back(work.slot);
}

}  // namespace sluice::sim
