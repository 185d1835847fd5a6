#include "admission/gate.hpp"

#include <gtest/gtest.h>

namespace sluice::admission {
namespace {

using namespace std::chrono_literals;

constexpr ArrivalView arrival{};

LaneView busy() {
  LaneView lane;
  lane.depth = lane.ahead = 3;
  lane.depth_max = 10;
  lane.in_flight = lane.limit = lane.permits = 4;
  lane.service = 20ms;
  lane.queue_timeout = 100ms;
  return lane;
}

TEST(Gate, AdmitsWhereAPermitIsFreeWhateverTheWait) {
  LaneView lane = busy();
  lane.can_start = true;
  lane.service = 1h;
  EXPECT_EQ(judge(lane, arrival), std::nullopt);
  EXPECT_EQ(estimated_wait(lane), 0ns);
}

TEST(Gate, RefusesWhenTheQueueIsFull) {
  LaneView lane = busy();
  lane.depth = lane.ahead = 9;
  EXPECT_EQ(judge(lane, arrival), std::nullopt);
  lane.depth = lane.ahead = 10;
  EXPECT_EQ(judge(lane, arrival), ShedReason::queue_full);
}

TEST(Gate, RefusesAtOnceWhatCannotStartInTime) {
  LaneView lane = busy();
  lane.service = 100ms;
  EXPECT_EQ(estimated_wait(lane), 100ms);  // four places in a lane of four permits
  EXPECT_EQ(judge(lane, arrival), std::nullopt);
  lane.service = 101ms;
  EXPECT_EQ(judge(lane, arrival), ShedReason::infeasible);
  lane.service = 0ns;  // not known yet
  EXPECT_EQ(judge(lane, arrival), std::nullopt);
}

TEST(Gate, RefusesForTheServerBeforeTheLane) {
  LaneView lane = busy();
  lane.can_start = true;
  EXPECT_EQ(judge(lane, {.draining = true, .memory_tight = true}), ShedReason::draining);
  EXPECT_EQ(judge(lane, {.memory_tight = true, .connection_over_share = true}), ShedReason::memory);
  EXPECT_EQ(judge(lane, {.connection_over_share = true}), ShedReason::connection_share);
  EXPECT_EQ(judge(ArrivalView{.draining = true}), ShedReason::draining);
  EXPECT_EQ(judge(ArrivalView{.memory_tight = true}), ShedReason::memory);
  EXPECT_EQ(judge(ArrivalView{.connection_over_share = true}), std::nullopt);  // holds no permit
}

TEST(Gate, RefusesAnExemptArrivalOnlyAtAFullQueue) {
  const ArrivalView exempt{
      .draining = true, .memory_tight = true, .connection_over_share = true, .criticality = Criticality::exempt};
  LaneView lane = busy();
  lane.service = 1h;
  EXPECT_EQ(judge(exempt), std::nullopt);
  EXPECT_EQ(judge(lane, exempt), std::nullopt);
  lane.stalled = true;
  EXPECT_EQ(judge(lane, exempt), std::nullopt);
  lane.depth = lane.ahead = lane.depth_max;
  EXPECT_EQ(judge(lane, exempt), ShedReason::queue_full);
}

TEST(Gate, AFullQueueTakesWhoIsMoreImportantThanOneOfThoseInIt) {
  LaneView lane = busy();
  lane.depth = lane.depth_max;
  lane.ahead = lane.depth - 1;
  lane.service = 1ms;
  EXPECT_EQ(judge(lane, arrival), std::nullopt);
  EXPECT_EQ(estimated_wait(lane), lane.service * 10 / 4);  // only those no less important are in the way
}

TEST(Gate, InOverloadAFullQueueTakesANewcomerOnceItsOldestIsStale) {
  LaneView lane = busy();
  lane.overloaded = true;
  lane.depth = lane.ahead = lane.depth_max;
  const base::TimePoint now{100s};
  EXPECT_EQ(judge(lane, {.now = now}), ShedReason::queue_full);
  lane.evicts_from = now + 1ns;
  EXPECT_EQ(judge(lane, {.now = now}), ShedReason::queue_full);
  EXPECT_EQ(judge(lane, {.now = now + 1ns}), std::nullopt);
}

TEST(Gate, InOverloadTheLengthOfTheQueueSaysNothingAboutTheWait) {
  LaneView lane = busy();
  lane.service = 1h;
  EXPECT_EQ(judge(lane, arrival), ShedReason::infeasible);
  lane.overloaded = true;
  EXPECT_EQ(judge(lane, arrival), std::nullopt);
}

TEST(Gate, RefusesAtOnceWhileEveryPermitIsHeldByWorkNobodyWaitsFor) {
  LaneView lane = busy();
  lane.depth = lane.ahead = 0;
  lane.service = 0ns;
  lane.stalled = true;
  EXPECT_EQ(judge(lane, arrival), ShedReason::infeasible);
  lane.can_start = true;
  EXPECT_EQ(judge(lane, arrival), std::nullopt);
}

TEST(Gate, CountsOnlyPermitsThatCanBeHad) {
  LaneView lane = busy();
  lane.service = 100ms;
  EXPECT_EQ(judge(lane, arrival), std::nullopt);
  lane.permits = 3;  // one is a zombie's, or another lane has the thread
  EXPECT_EQ(judge(lane, arrival), ShedReason::infeasible);
}

TEST(Gate, AsksForARetryBetweenOneAndThirtySeconds) {
  LaneView lane = busy();
  lane.service = 0ns;
  EXPECT_EQ(retry_after_seconds(lane), 1u);
  lane.service = 1500ms;
  EXPECT_EQ(retry_after_seconds(lane), 2u);
  lane.service = 1h;
  EXPECT_EQ(retry_after_seconds(lane), 30u);
}

}  // namespace
}  // namespace sluice::admission
