// What a lane does when more comes than it can do: newest first, stale dropped, the oldest evicted; who is important goes
// first; clients keep to their share; permits of finished requests are seen.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <vector>

#include "admission/lane_group.hpp"

namespace sluice::admission {
namespace {

using namespace std::chrono_literals;
using Entry = LaneGroup::Entry;

struct StandingClock final : base::Clock {
  base::TimePoint now() const noexcept override { return time; }
  std::time_t wall() const noexcept override { return 0; }
  base::TimePoint time{100s};
};

struct Work final : Job {
  After run() noexcept override { return {}; }
  void send_home() noexcept override {}
  void send_home_unstarted() noexcept override { ++home; }
  unsigned home = 0;
};

class LaneOverload : public testing::Test {
 protected:
  Lane& lane(Lane::Settings settings) {
    lanes_.push_back(std::make_unique<Lane>(std::move(settings), 1));
    group_.add(*lanes_.back());
    return *lanes_.back();
  }
  Work& make() { return work_.emplace_back(); }
  LaneGroup::Admission admit(Lane& lane, Work& work, Criticality criticality = Criticality::critical) {
    work.deadline = clock_.time + 10s;
    lane.tally(0).received.add();
    const ArrivalView arrival{.criticality = criticality, .now = clock_.time};
    const auto admission = lane.group()->admit(work, lane, arrival, 10s, clock_.time);
    if (admission.entry == Entry::shed) lane.tally(0).shed[static_cast<std::size_t>(admission.reason)].add();
    return admission;
  }
  /// A worker ends its job, if it has one, and takes the next.
  Job* next(Lane& lane) {
    Job* const job = running_ == nullptr ? group_.next(0).job : group_.release(lane, running_->ticket, true).next;
    running_ = job;
    return job;
  }
  /// Jobs of 10 ms on one permit with twice as many arrivals, until the lane has noticed.
  void overload(Lane& lane) {
    for (int i = 0; i < 200 && lane.counters().overloaded == 0; ++i) {
      admit(lane, make());
      admit(lane, make());
      next(lane);
      clock_.time += 10ms;
    }
    ASSERT_EQ(lane.counters().overloaded, 1u);
  }
  static Claim claim(const Work& work) { return work.claim.load(); }

  StandingClock clock_;
  LaneGroup group_{clock_, 1};
  std::deque<Work> work_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  Job* running_ = nullptr;
};

TEST_F(LaneOverload, TurnsToTheNewestFirst) {
  Lane& only = lane({.name = "l", .limit = 1});
  overload(only);
  Work& older = make();
  Work& newer = make();
  admit(only, older);
  clock_.time += 1ms;
  admit(only, newer);
  EXPECT_EQ(next(only), &newer);
  EXPECT_EQ(only.counters().mode_changes, 1u);
}

TEST_F(LaneOverload, TellsTheStaleAtOnceAndKeepsAFewInCaseNobodyComes) {
  Lane& only = lane({.name = "l", .limit = 1});
  overload(only);
  clock_.time += 500ms;  // all that wait are stale by now
  for (int i = 0; i < 4; ++i) next(only);
  const LaneCounters after = only.counters();
  EXPECT_GT(after.stale, 0u);
  EXPECT_LE(after.depth, Discipline{}.keep);
  EXPECT_GT(after.depth, 0u);
  unsigned home = 0;
  for (const Work& work : work_) home += work.home;
  EXPECT_EQ(home, after.stale + after.expired + after.evicted);
  EXPECT_TRUE(after.balanced());
}

TEST_F(LaneOverload, AFullQueueGivesUpItsOldestForTwoNewcomersBetweenTwoStarts) {
  Lane& only = lane({.name = "l", .limit = 1, .depth_max = 8});
  overload(only);
  while (only.counters().depth < 8) admit(only, make());
  next(only);
  admit(only, make());
  clock_.time += 90ms;
  const std::uint64_t before = only.counters().evicted;
  EXPECT_EQ(admit(only, make()).entry, Entry::queued);  // in the place of the oldest
  EXPECT_EQ(admit(only, make()).entry, Entry::queued);
  EXPECT_EQ(only.counters().evicted, before + 2);
  EXPECT_EQ(admit(only, make()).entry, Entry::shed);  // until the next start
  EXPECT_EQ(only.counters().depth, 8u);
  next(only);
  admit(only, make());
  EXPECT_EQ(admit(only, make()).entry, Entry::queued);
  EXPECT_EQ(only.counters().evicted, before + 3);
  EXPECT_TRUE(only.counters().balanced());
}

TEST_F(LaneOverload, AFewNewcomersAreEnoughBetweenTwoStartsAsLongAsSomeWait) {
  Lane& only = lane({.name = "l", .limit = 1});
  overload(only);
  const auto joined = [&] {
    unsigned count = 0;
    while (admit(only, make()).entry == Entry::queued) ++count;
    return count;
  };
  joined();
  const std::uint32_t keep = Discipline{}.keep;
  const std::uint32_t newcomers = Discipline{}.newcomers;
  ASSERT_GE(only.counters().depth, keep);
  next(only);
  EXPECT_EQ(joined(), newcomers);
  EXPECT_EQ(only.view(10s).depth_max, keep);
  while (only.counters().depth >= keep) next(only);
  EXPECT_EQ(joined(), 1 + newcomers);  // one more, so that enough wait
}

TEST_F(LaneOverload, ReturnsToFirstComeFirstServedWithoutGoingBackAndForth) {
  Lane& only = lane({.name = "l", .limit = 1});
  overload(only);
  for (int i = 0; i < 300; ++i) {  // half of what it can do
    if (i % 2 == 0) admit(only, make());
    next(only);
    clock_.time += 10ms;
  }
  EXPECT_EQ(only.counters().overloaded, 0u);
  EXPECT_EQ(only.counters().mode_changes, 2u);
  Work& older = make();
  Work& newer = make();
  admit(only, older);
  admit(only, newer);
  EXPECT_EQ(next(only), &older);
}

TEST_F(LaneOverload, NeverStartsWhatHasWaitedTooLongWhicheverEndItComesFrom) {
  Lane& only = lane({.name = "l", .limit = 1, .queue_timeout = 50ms});
  overload(only);
  Work& last = make();
  admit(only, last);
  clock_.time += 50ms;
  EXPECT_EQ(next(only), nullptr);
  EXPECT_EQ(claim(last), Claim::expired);
  EXPECT_EQ(only.counters().depth, 0u);
}

TEST_F(LaneOverload, TheMoreImportantStartFirst) {
  Lane& only = lane({.name = "l", .limit = 1});
  Work& low = make();
  Work& plain = make();
  Work& high = make();
  admit(only, low, Criticality::sheddable);
  admit(only, plain);
  admit(only, high, Criticality::critical_plus);
  EXPECT_EQ(next(only), &high);
  EXPECT_EQ(next(only), &plain);
  EXPECT_EQ(next(only), &low);
}

TEST_F(LaneOverload, TheLeastImportantMakeRoom) {
  Lane& only = lane({.name = "l", .limit = 1, .depth_max = 3});
  Work& first = make();
  Work& second = make();
  admit(only, first, Criticality::sheddable);
  admit(only, second, Criticality::sheddable_plus);
  admit(only, make());
  EXPECT_EQ(admit(only, make(), Criticality::sheddable).entry, Entry::shed);
  EXPECT_EQ(admit(only, make()).entry, Entry::queued);
  EXPECT_EQ(claim(first), Claim::shed);
  EXPECT_EQ(first.home, 1u);
  EXPECT_EQ(admit(only, make()).entry, Entry::queued);
  EXPECT_EQ(claim(second), Claim::shed);
  EXPECT_EQ(admit(only, make()).entry, Entry::shed);  // nobody is less important any more
  EXPECT_EQ(only.counters().evicted, 2u);
  EXPECT_EQ(only.counters().depth, 3u);
  EXPECT_TRUE(only.counters().balanced());
}

TEST_F(LaneOverload, ALaneWithMoreImportantWorkGoesBeforeAnotherOfItsPool) {
  Lane& plain = lane({.name = "plain", .limit = 1});
  Lane& urgent = lane({.name = "urgent", .limit = 1});
  Work& one = make();
  Work& two = make();
  Work& three = make();
  admit(plain, one);
  admit(urgent, two, Criticality::critical_plus);
  admit(plain, three);
  EXPECT_EQ(next(plain), &two);
  EXPECT_EQ(group_.release(urgent, two.ticket, true).next, &one);
}

TEST_F(LaneOverload, AClientHoldsNoMoreThanItsShareWaitingAndRunningTogether) {
  Lane& only = lane({.name = "l", .limit = 1, .client_share = 1});
  const auto from = [&](std::uint64_t client) -> Work& {
    Work& work = make();
    work.client = client;
    return work;
  };
  Work& greedy = from(7);
  EXPECT_EQ(admit(only, greedy).entry, Entry::queued);
  const auto refused = admit(only, from(7));
  EXPECT_EQ(refused.entry, Entry::shed);
  EXPECT_EQ(refused.reason, ShedReason::client_share);
  Work& polite = from(8);
  EXPECT_EQ(admit(only, polite).entry, Entry::queued);
  ASSERT_EQ(next(only), &greedy);
  EXPECT_EQ(admit(only, from(7)).entry, Entry::shed);  // it runs
  ASSERT_EQ(next(only), &polite);
  Work& again = from(7);
  EXPECT_EQ(admit(only, again).entry, Entry::queued);
  EXPECT_TRUE(group_.unlink(again, Claim::cancelled));
  EXPECT_EQ(admit(only, from(7)).entry, Entry::queued);
}

TEST_F(LaneOverload, ZombiesAreSeenAndStallALane) {
  Lane& only = lane({.name = "l", .limit = 1});
  Work& work = make();
  work.tag = 5;
  admit(only, work);
  ASSERT_EQ(next(only), &work);
  EXPECT_EQ(only.counters().stalled, 0u);
  clock_.time += 3s;
  group_.mark_zombie(only, work.ticket);
  EXPECT_EQ(only.counters().stalled, 1u);
  const auto refused = admit(only, make());
  EXPECT_EQ(refused.reason, ShedReason::infeasible);
  unsigned seen = 0;
  group_.for_each_held(only, [&](const Held& held) {
    ++seen;
    EXPECT_TRUE(held.zombie);
    EXPECT_EQ(held.tag, 5u);
    EXPECT_EQ(held.since, clock_.time - 3s);
  });
  EXPECT_EQ(seen, 1u);
  EXPECT_EQ(next(only), nullptr);
  EXPECT_EQ(only.counters().stalled, 0u);
  group_.mark_zombie(only, work.ticket);  // too late: nothing happens
  EXPECT_EQ(only.counters().stalled, 0u);
}

TEST_F(LaneOverload, AnAdaptiveLimitStaysWithinItsBounds) {
  Lane& only = lane({.name = "l", .limit = 1, .adaptive = AdaptiveLimit{.min = 1, .max = 1}});
  overload(only);
  EXPECT_EQ(only.counters().limit, 1u);
}

}  // namespace
}  // namespace sluice::admission
