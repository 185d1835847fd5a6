#include "scenarios/lane_sim/rig.hpp"

#include <utility>

namespace sluice::lane_sim {
namespace {

using admission::Claim;
using admission::Lane;
using admission::LaneGroup;

unsigned worker_count(const Scenario& scenario) noexcept {
  if (!scenario.workers) return 0;
  return scenario.adaptive ? scenario.adaptive->max : scenario.permits;
}

Lane::Settings settings(const Scenario& scenario) {
  Lane::Settings settings;
  settings.name = "simulated";
  settings.limit = scenario.permits;
  settings.depth_max = scenario.queue_depth_max;
  settings.queue_timeout = scenario.queue_timeout;
  settings.discipline = scenario.discipline;
  settings.adaptive = scenario.adaptive;
  return settings;
}

Work* work(admission::Job* job) noexcept { return static_cast<Work*>(job); }

}  // namespace

LaneRig::LaneRig(const VirtualClock& clock, const Scenario& scenario)
    : clock_{clock}, budget_{scenario.budget}, group_{clock, worker_count(scenario)}, lane_{settings(scenario), 1} {
  group_.add(lane_);
  for (unsigned worker = 0; worker < worker_count(scenario); ++worker) group_.next(static_cast<int>(worker));  // parked
}

admission::LaneView LaneRig::view() const noexcept { return lane_.view(budget_); }

LaneRig::Arrival LaneRig::arrive(Work& work) {
  const admission::ArrivalView arrival{.now = clock_.now()};
  work.home = &home_;
  work.deadline = work.arrived + budget_;
  admission::Tally& tally = lane_.tally(0);
  tally.received.add_owned();
  if (const auto reason = judge(view(), arrival)) {
    tally.shed[static_cast<std::size_t>(*reason)].add_owned();
    return {};
  }
  const LaneGroup::Admission admission = group_.admit(work, lane_, arrival, budget_, clock_.now());
  if (admission.entry == LaneGroup::Entry::shed) tally.shed[static_cast<std::size_t>(admission.reason)].add_owned();
  return {.admitted = admission.entry != LaneGroup::Entry::shed,
          .start = admission.entry == LaneGroup::Entry::start,
          .wake = admission.wake};
}

Work* LaneRig::next(int worker) { return work(group_.next(worker).job); }

bool LaneRig::leave(Work& work, Claim outcome) { return group_.unlink(work, outcome); }

bool LaneRig::claim(Work& work, Claim outcome) {
  if (work.claim.load() != Claim::running) return false;
  work.claim.store(outcome);
  admission::Tally& tally = lane_.shared_tally();
  tally.running.add(admission::minus_one);
  switch (outcome) {
    case Claim::responded: tally.responded.add(); break;
    case Claim::timed_out: tally.timed_out.add(); break;
    case Claim::abandoned: tally.abandoned.add(); break;
    default: SLUICE_ASSERT(!"not an outcome of running work");
  }
  if (outcome == Claim::responded) return true;
  tally.zombies.add();
  group_.mark_zombie(lane_, work.ticket);
  return true;
}

LaneRig::Ended LaneRig::end(Work& ended) {
  if (ended.claim.load() != Claim::responded) {
    lane_.shared_tally().zombies.add(admission::minus_one);
    lane_.shared_tally().late.add();
  }
  const LaneGroup::Released released = group_.release(lane_, ended.ticket, ended.worker >= 0);
  return {work(released.next), released.wake};
}

void LaneRig::begin_granted(Work& work) { LaneGroup::count_start(work, clock_.now()); }

bool LaneRig::overloaded() const noexcept { return view().overloaded; }
std::uint32_t LaneRig::limit() const noexcept { return view().limit; }

}  // namespace sluice::lane_sim
