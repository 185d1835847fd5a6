#include "sim/core/lane_host.hpp"

#include <algorithm>
#include <utility>

namespace sluice::sim {
namespace {

using admission::Claim;
using admission::Lane;
using admission::LaneGroup;

Work* work_of(admission::Job* job) noexcept { return static_cast<Work*>(job); }

unsigned workers_of(const HostSpec& spec) noexcept {
  const bool any = std::any_of(spec.lanes.begin(), spec.lanes.end(), [](const LaneSpec& lane) { return lane.workers; });
  return any ? spec.pool_threads : 0;
}

}  // namespace

LaneHost::LaneHost(Timeline& timeline, Watcher& watcher, const HostSpec& spec)
    : Host{timeline, watcher}, pool_{timeline.clock(), workers_of(spec)} {
  for (const LaneSpec& lane : spec.lanes) {
    lanes_.push_back(std::make_unique<Lane>(lane.settings, 1));
    if (lane.budget_max > Duration{0}) lanes_.back()->expect(lane.budget_max);
    if (!lane.workers) later_.push_back(std::make_unique<LaneGroup>(timeline.clock(), 0));
    (lane.workers ? pool_ : *later_.back()).add(*lanes_.back());
  }
  for (const auto& limit : spec.rate_limits) {
    limiters_.push_back(limit ? std::make_unique<admission::RateLimiter>(*limit) : nullptr);
  }
  for (unsigned worker = 0; worker < workers_of(spec); ++worker) pool_.next(static_cast<int>(worker));  // parked
}

/// As Connection::dispatch: the rate limit, then a look at the lane without its lock.
std::optional<ShedReason> LaneHost::judge(const Arrival& arrival, const admission::ArrivalView& view) {
  if (const auto reason = admission::judge(view)) return reason;
  if (arrival.route < limiters_.size() && limiters_[arrival.route] && !limiters_[arrival.route]->take(view.now)) {
    return ShedReason::rate_limited;
  }
  return admission::judge(lanes_[arrival.lane]->view(arrival.budget, arrival.criticality), view);
}

void LaneHost::admit(Work& work, const Arrival& arrival) {
  Lane& lane = *lanes_[arrival.lane];
  const admission::ArrivalView view{.draining = draining(), .criticality = arrival.criticality, .now = now()};
  work.home = &home_;
  admission::Tally& tally = lane.tally(0);
  tally.received.add_owned();
  std::optional<ShedReason> reason = judge(arrival, view);
  LaneGroup::Admission admission;
  if (!reason) {
    admission = lane.group()->admit(work, lane, view, arrival.budget, now());
    if (admission.entry == LaneGroup::Entry::shed) reason = admission.reason;
  }
  if (reason) {
    tally.shed[static_cast<std::size_t>(*reason)].add_owned();
    watcher().told(work, Claim::idle, reason);
    return free_work(work);
  }
  expect_patience(work, arrival);
  if (admission.entry == LaneGroup::Entry::start) begin(work, -1);
  if (admission.wake >= 0) run_worker(admission.wake);
  if (!work.linked()) return;
  schedule(work.queue_deadline, queue_end, work);
  count_waiting(work);
}

void LaneHost::begin(Work& work, int worker) {
  work.worker = worker;
  const auto end = watcher().begun(work);
  if (!end || *end > work.deadline) schedule(work.deadline, budget_end, work);
  if (end) schedule(*end, service_end, work);
}

void LaneHost::run_worker(int worker) {
  if (Work* const work = work_of(pool_.next(worker).job)) begin(*work, worker);
}

/// The handler returns, and its permit goes on, as in Pool::work.
void LaneHost::finish(Work& work) {
  const Claim outcome = work.fails ? Claim::raised : Claim::responded;
  if (claim(work, outcome)) {
    watcher().told(work, outcome, std::nullopt);
  } else {
    lanes_[work.place]->shared_tally().zombies.add(admission::minus_one);
    lanes_[work.place]->shared_tally().late.add();
  }
  watcher().ended(work);
  const int worker = work.worker;
  Lane& lane = *lanes_[work.place];
  const LaneGroup::Released released = lane.group()->release(lane, work.ticket, worker >= 0);
  free_work(work);
  if (released.next != nullptr) begin(*work_of(released.next), worker);
  else if (worker >= 0) run_worker(worker);
  if (released.wake >= 0) run_worker(released.wake);
}

/// Its outcome, counted as Exchange does; false: it has one already.
bool LaneHost::claim(Work& work, Claim outcome) {
  if (work.claim.load() != Claim::running) return false;
  work.claim.store(outcome);
  admission::Tally& tally = lanes_[work.place]->shared_tally();
  tally.running.add(admission::minus_one);
  switch (outcome) {
    case Claim::responded: tally.responded.add(); return true;
    case Claim::raised: tally.raised.add(); return true;
    case Claim::timed_out: tally.timed_out.add(); break;
    case Claim::abandoned: tally.abandoned.add(); break;
    default: SLUICE_ASSERT(false);  // not an outcome of running work
  }
  tally.zombies.add();
  lanes_[work.place]->group()->mark_zombie(*lanes_[work.place], work.ticket);
  return true;
}

void LaneHost::queue_over(Work& work) {
  if (lanes_[work.place]->group()->unlink(work, Claim::expired)) refused_in_queue(work);
}

void LaneHost::budget_over(Work& work) {
  if (claim(work, Claim::timed_out)) watcher().told(work, Claim::timed_out, std::nullopt);
}

void LaneHost::leave(Work& work) {
  if (lanes_[work.place]->group()->unlink(work, Claim::cancelled)) return refused_in_queue(work);
  // Otherwise it was told something before.
  if (claim(work, Claim::abandoned)) watcher().told(work, Claim::abandoned, std::nullopt);
}

void LaneHost::refused_in_queue(Work& work) {
  watcher().told(work, work.claim.load(), std::nullopt);
  free_work(work);
}

/// What the lanes have sent home: granted, or ended where it waited.
void LaneHost::settle() {
  for (std::size_t i = 0; i < home_.size(); ++i) {
    Work& work = *home_[i];
    if (work.claim.load() == Claim::granted) {
      LaneGroup::count_start(work, now());
      begin(work, -1);
    } else {
      refused_in_queue(work);
    }
  }
  home_.clear();
}

bool LaneHost::balanced() const noexcept {
  return std::all_of(lanes_.begin(), lanes_.end(), [](const auto& lane) {
    const LaneCounters counters = lane->counters();
    return counters.balanced() && counters.depth == 0 && counters.running == 0 && counters.in_flight == 0 &&
           counters.zombies == 0 && counters.started_after_deadline == 0;
  });
}

}  // namespace sluice::sim
