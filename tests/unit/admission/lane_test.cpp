#include "admission/lane_group.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

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

class LaneTest : public testing::Test {
 protected:
  Lane& lane(LaneGroup& group, Lane::Settings settings) {
    lanes_.push_back(std::make_unique<Lane>(std::move(settings), 1));
    group.add(*lanes_.back());
    return *lanes_.back();
  }
  LaneGroup::Admission admit(Lane& lane, Work& work) {
    work.deadline = clock_.time + 10s;
    return lane.group()->admit(work, lane, {}, 10s, clock_.time);
  }
  void give_back(Lane& lane, const Work& work) { lane.group()->release(lane, work.ticket, false); }
  static std::uint32_t in_flight(const Lane& lane) { return lane.view(10s).in_flight; }

  StandingClock clock_;
  std::array<Work, 12> work_{};
  std::vector<std::unique_ptr<Lane>> lanes_;
};

TEST_F(LaneTest, StartsWhatCameFirst) {
  LaneGroup group{clock_, 4};
  Lane& only = lane(group, {.name = "l", .limit = 4});
  for (unsigned i = 0; i < 3; ++i) EXPECT_EQ(admit(only, work_[i]).entry, Entry::queued);
  for (unsigned i = 0; i < 3; ++i) EXPECT_EQ(group.next(0).job, &work_[i]);
  EXPECT_EQ(work_[0].claim.load(), Claim::running);
  EXPECT_EQ(group.next(0).job, nullptr);
}

TEST_F(LaneTest, NeverHoldsMoreThanItsDepth) {
  LaneGroup group{clock_, 1};
  Lane& only = lane(group, {.name = "l", .limit = 1, .depth_max = 2});
  admit(only, work_[0]);
  ASSERT_EQ(group.next(0).job, &work_[0]);
  EXPECT_EQ(admit(only, work_[1]).entry, Entry::queued);
  EXPECT_EQ(admit(only, work_[2]).entry, Entry::queued);
  const auto full = admit(only, work_[3]);
  EXPECT_EQ(full.entry, Entry::shed);
  EXPECT_EQ(full.reason, ShedReason::queue_full);
  EXPECT_EQ(only.view(10s).depth, 2u);
}

TEST_F(LaneTest, TwoStalledLanesCannotTakeAThirdOnesReservedPermits) {
  LaneGroup group{clock_, 4};
  Lane& first = lane(group, {.name = "a", .limit = 4});
  Lane& second = lane(group, {.name = "b", .limit = 4});
  Lane& third = lane(group, {.name = "c", .limit = 2, .reserved = 2});
  for (unsigned i = 0; i < 4; ++i) admit(i % 2 == 0 ? first : second, work_[i]);
  EXPECT_NE(group.next(0).job, nullptr);
  EXPECT_NE(group.next(1).job, nullptr);
  EXPECT_EQ(group.next(2).job, nullptr);  // two are shared, two are the third lane's
  EXPECT_EQ(admit(third, work_[4]).wake, 2);
  admit(third, work_[5]);
  EXPECT_EQ(group.next(2).job, &work_[4]);
  EXPECT_EQ(group.next(3).job, &work_[5]);
  EXPECT_EQ(in_flight(first) + in_flight(second), 2u);
  EXPECT_EQ(in_flight(third), 2u);
}

TEST_F(LaneTest, GivesEveryLaneItsTurn) {
  LaneGroup group{clock_, 8};
  Lane& first = lane(group, {.name = "a", .limit = 8});
  Lane& second = lane(group, {.name = "b", .limit = 8});
  for (unsigned i = 0; i < 3; ++i) admit(first, work_[i]);
  for (unsigned i = 3; i < 6; ++i) admit(second, work_[i]);
  std::vector<Job*> order;
  for (int i = 0; i < 6; ++i) order.push_back(group.next(0).job);
  EXPECT_EQ(order, (std::vector<Job*>{&work_[0], &work_[3], &work_[1], &work_[4], &work_[2], &work_[5]}));
}

TEST_F(LaneTest, SendsHomeWhatHasWaitedTooLong) {
  LaneGroup group{clock_, 1};
  Lane& only = lane(group, {.name = "l", .limit = 1, .queue_timeout = 50ms});
  admit(only, work_[0]);
  clock_.time += 30ms;
  admit(only, work_[1]);
  clock_.time += 20ms;
  EXPECT_EQ(group.next(0).job, &work_[1]);
  EXPECT_EQ(work_[0].claim.load(), Claim::expired);
  EXPECT_EQ(work_[0].home, 1u);
  EXPECT_EQ(only.counters().expired, 1u);
}

TEST_F(LaneTest, ADrainMovesTheEndOfWaitingForwardOnly) {
  LaneGroup group{clock_, 1};
  Lane& only = lane(group, {.name = "l", .limit = 1, .queue_timeout = 50ms});
  admit(only, work_[0]);
  const base::TimePoint before = work_[0].queue_deadline;
  EXPECT_TRUE(group.clamp(work_[0], before + 1s));
  EXPECT_EQ(work_[0].queue_deadline, before);
  EXPECT_TRUE(group.clamp(work_[0], clock_.time));
  EXPECT_EQ(group.next(0).job, nullptr);
  EXPECT_EQ(work_[0].claim.load(), Claim::expired);
  EXPECT_FALSE(group.clamp(work_[0], clock_.time));
}

TEST_F(LaneTest, AJobIsTakenOutOnce) {
  LaneGroup group{clock_, 1};
  Lane& only = lane(group, {.name = "l", .limit = 1});
  admit(only, work_[0]);
  EXPECT_TRUE(group.unlink(work_[0], Claim::cancelled));
  EXPECT_FALSE(group.unlink(work_[0], Claim::expired));
  EXPECT_EQ(work_[0].claim.load(), Claim::cancelled);
  EXPECT_EQ(only.view(10s).depth, 0u);
}

/// Asks for another's place while both are on their way home, as a loop may whose timer fires just then.
struct Meddler final : Job {
  After run() noexcept override { return {}; }
  void send_home() noexcept override {}
  void send_home_unstarted() noexcept override {
    ++home;
    taken = lane->group()->unlink(*other, Claim::cancelled);
    moved = lane->group()->clamp(*other, deadline);
  }
  Job* other = nullptr;
  unsigned home = 0;
  bool taken = false, moved = false;
};

TEST_F(LaneTest, AJobOnItsWayHomeIsNotInItsQueue) {
  LaneGroup group{clock_, 1};
  Lane& only = lane(group, {.name = "l", .limit = 1, .queue_timeout = 50ms});
  Meddler meddler;
  meddler.other = &work_[0];
  meddler.deadline = clock_.time + 10s;
  only.tally(0).received.add(2);
  group.admit(meddler, only, {}, 10s, clock_.time);
  admit(only, work_[0]);
  clock_.time += 60ms;
  EXPECT_EQ(group.next(0).job, nullptr);
  EXPECT_EQ(meddler.home + work_[0].home, 2u);
  EXPECT_FALSE(meddler.taken);
  EXPECT_FALSE(meddler.moved);
  EXPECT_EQ(work_[0].claim.load(), Claim::expired);
  EXPECT_EQ(only.counters().expired, 2u);
  EXPECT_TRUE(only.counters().balanced());
}

TEST_F(LaneTest, WithoutWorkersAReleaseGrantsToTheNext) {
  LaneGroup group{clock_, 0};
  Lane& only = lane(group, {.name = "l", .limit = 1});
  EXPECT_EQ(admit(only, work_[0]).entry, Entry::start);
  EXPECT_EQ(admit(only, work_[1]).entry, Entry::queued);
  give_back(only, work_[0]);
  EXPECT_EQ(work_[1].claim.load(), Claim::granted);
  EXPECT_EQ(work_[1].home, 1u);
  EXPECT_EQ(in_flight(only), 1u);
  LaneGroup::count_start(work_[1], clock_.time);
  give_back(only, work_[1]);
  EXPECT_EQ(in_flight(only), 0u);
}

TEST_F(LaneTest, FollowsTheServiceTimeQuicklyAtFirst) {
  LaneGroup group{clock_, 1};
  Lane& only = lane(group, {.name = "l", .limit = 1});
  const auto serve = [&](Work& work, base::Duration time) {
    admit(only, work);
    ASSERT_EQ(group.next(0).job, &work);
    clock_.time += time;
    give_back(only, work);
  };
  serve(work_[0], 80ms);
  EXPECT_EQ(only.view(10s).service, 80ms);
  serve(work_[1], 160ms);
  EXPECT_EQ(only.view(10s).service, 120ms);
  for (int i = 0; i < 200; ++i) serve(work_[0], 40ms);
  EXPECT_NEAR(std::chrono::duration<double>(only.view(10s).service).count(), 0.040, 0.001);
  serve(work_[0], 200ms);
  EXPECT_NEAR(std::chrono::duration<double>(only.view(10s).service).count(), 0.050, 0.001);  // a sixteenth of it
}

TEST_F(LaneTest, WakesTheWorkerThatParkedLast) {
  LaneGroup group{clock_, 3};
  Lane& only = lane(group, {.name = "l", .limit = 3});
  for (int worker : {0, 1, 2}) EXPECT_EQ(group.next(worker).job, nullptr);
  EXPECT_EQ(admit(only, work_[0]).wake, 2);
  EXPECT_EQ(admit(only, work_[1]).wake, 1);
  EXPECT_EQ(group.close(), std::vector<int>{0});
  EXPECT_NE(group.next(2).job, nullptr);
  EXPECT_NE(group.next(1).job, nullptr);
  EXPECT_TRUE(group.next(0).over);
}

TEST_F(LaneTest, TheBooksBalance) {
  LaneGroup group{clock_, 2};
  Lane& only = lane(group, {.name = "l", .limit = 1, .queue_timeout = 50ms});
  only.tally(0).received.add(3);
  for (unsigned i = 0; i < 3; ++i) admit(only, work_[i]);
  EXPECT_TRUE(only.counters().balanced());
  ASSERT_EQ(group.next(0).job, &work_[0]);
  group.unlink(work_[1], Claim::cancelled);
  EXPECT_TRUE(only.counters().balanced());
  clock_.time += 60ms;
  give_back(only, work_[0]);
  EXPECT_EQ(group.next(0).job, nullptr);
  const LaneCounters sums = only.counters();
  EXPECT_TRUE(sums.balanced());
  EXPECT_EQ(sums.expired + sums.cancelled + sums.started, 3u);
}

}  // namespace
}  // namespace sluice::admission
