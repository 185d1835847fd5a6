#include "admission/discipline.hpp"

#include <gtest/gtest.h>

namespace sluice::admission {
namespace {

using namespace std::chrono_literals;

constexpr Discipline rules{};

TEST(Discipline, TheWaitHoldsAQueueThatKeepsThePermitsBusyWithinAQuarterOfTheBudget) {
  EXPECT_EQ(rules.queue_timeout(0ns, 4s), 100ms);
  EXPECT_EQ(rules.queue_timeout(10ms, 4s), rules.places * 10ms);
  EXPECT_EQ(rules.queue_timeout(1h, 4s), 1s);
  EXPECT_EQ(rules.queue_timeout(0ns, 200ms), 50ms);  // a short budget's quarter is less than 100 ms
}

TEST(Discipline, ScalesEveryConstantWithTheGapBetweenTwoStarts) {
  EXPECT_EQ(rules.target(0ns, 1s), rules.target_least);
  EXPECT_EQ(rules.target(20ms, 1s), rules.target_gaps * 20ms);
  EXPECT_EQ(rules.target(1h, 1s), 500ms);  // half of the wait at most
  EXPECT_EQ(rules.interval(0ns), rules.interval_least);
  EXPECT_EQ(rules.interval(125ms), rules.interval_gaps * 125ms);
  EXPECT_EQ(rules.stale_after(1us, 1s), 2 * rules.target_least);
  EXPECT_EQ(rules.stale_after(125ms, 1s), 1s);  // never later than the end of waiting
}

TEST(Discipline, InOverloadFewerWaitButNeverSoFewThatAPermitIdles) {
  EXPECT_EQ(rules.overload_depth(0ns, 1s, 256), 256u);          // nothing is known yet
  EXPECT_EQ(rules.overload_depth(20ms, 1s, 256), rules.places);
  EXPECT_EQ(rules.overload_depth(100us, 1s, 256), 100u);        // what 10 ms can start
  EXPECT_EQ(rules.overload_depth(1us, 1s, 256), 256u);
  EXPECT_EQ(rules.overload_depth(20ms, 1s, 8), 8u);
}

class Detector : public testing::Test {
 protected:
  /// Looks for work every 10 ms for that long.
  void look(base::Duration standing, base::Duration time) {
    for (const base::TimePoint end = now_ + time; now_ < end; now_ += 10ms)
      detector_.observe(standing, now_, 5ms, 100ms);
  }
  OverloadDetector detector_;
  base::TimePoint now_{100s};
};

TEST_F(Detector, ADelayThatStandsForAnIntervalIsOverload) {
  look(0ms, 200ms);
  look(20ms, 90ms);
  EXPECT_FALSE(detector_.overloaded());
  look(20ms, 120ms);
  EXPECT_TRUE(detector_.overloaded());
  EXPECT_EQ(detector_.changes(), 1u);
}

TEST_F(Detector, ABurstThatIsWorkedOffIsNot) {
  for (int i = 0; i < 20; ++i) {
    look(50ms, 80ms);
    look(0ms, 20ms);
  }
  EXPECT_FALSE(detector_.overloaded());
  EXPECT_EQ(detector_.changes(), 0u);
}

TEST_F(Detector, LeavesOnceTheDelayWasUnderHalfTheTarget) {
  look(20ms, 300ms);
  ASSERT_TRUE(detector_.overloaded());
  look(4ms, 500ms);  // below the target, above half of it: as it was
  EXPECT_TRUE(detector_.overloaded());
  look(2ms, 300ms);
  EXPECT_FALSE(detector_.overloaded());
  look(4ms, 500ms);
  EXPECT_FALSE(detector_.overloaded());
  EXPECT_EQ(detector_.changes(), 2u);
}

TEST_F(Detector, StaysWhileTheQueueIsShortOnlyBecauseTheOldHadToGo) {
  look(20ms, 300ms);
  ASSERT_TRUE(detector_.overloaded());
  for (int i = 0; i < 5; ++i) {
    detector_.dropped();
    look(1ms, 100ms);
    EXPECT_TRUE(detector_.overloaded());
  }
  look(1ms, 200ms);
  EXPECT_FALSE(detector_.overloaded());
}

TEST_F(Detector, ForgetsWhatItSawBeforeNobodyCameForLong) {
  look(20ms, 300ms);
  ASSERT_TRUE(detector_.overloaded());
  now_ += 10s;
  look(0ms, 10ms);
  EXPECT_FALSE(detector_.overloaded());
}

TEST_F(Detector, TellsWhatAnIntervalWasLike) {
  detector_.observe(7ms, now_, 5ms, 100ms);
  detector_.observe(9ms, now_ + 60ms, 5ms, 100ms);
  EXPECT_TRUE(detector_.observe(8ms, now_ + 110ms, 5ms, 100ms));
  EXPECT_EQ(detector_.interval_delay(), 7ms);
  EXPECT_EQ(detector_.interval_length(), 110ms);
  EXPECT_FALSE(detector_.observe(8ms, now_ + 111ms, 5ms, 100ms));
}

}  // namespace
}  // namespace sluice::admission
