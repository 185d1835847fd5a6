#include "admission/ladder.hpp"

#include <gtest/gtest.h>

namespace sluice::admission {
namespace {

using namespace std::chrono_literals;

/// A window in which all answers are refusals and take `busy` of the loop's time.
Ladder::Window refusing(std::uint64_t refusals, base::Duration busy) {
  return {.length = Ladder::window, .busy = busy, .answers = refusals, .refusals = refusals};
}

TEST(Ladder, StaysOnTheFirstRungWhileRefusalsAreCheap) {
  Ladder ladder;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(ladder.observe(refusing(800, 3200us)), Rung::answer);
  EXPECT_EQ(ladder.cost(), 4us);
  EXPECT_NEAR(ladder.share(), 0.032, 0.001);
}

TEST(Ladder, ClimbsARungInEachWindowThatIsTooDear) {
  Ladder ladder;
  EXPECT_EQ(ladder.observe(refusing(22'500, 90ms)), Rung::delay);
  EXPECT_EQ(ladder.observe(refusing(22'500, 90ms)), Rung::pause_reads);
  EXPECT_EQ(ladder.observe(refusing(22'500, 90ms)), Rung::pause_accept);
  EXPECT_EQ(ladder.observe(refusing(22'500, 90ms)), Rung::pause_accept);
}

TEST(Ladder, LearnsTheCostWhereMostAnswersAreRefusals) {
  Ladder ladder;
  for (int i = 0; i < 30; ++i) ladder.observe(refusing(500, 5ms));
  EXPECT_NEAR(static_cast<double>(ladder.cost().count()), 10'000, 50);
  for (int i = 0; i < 30; ++i) {
    ladder.observe({.length = Ladder::window, .busy = 90ms, .answers = 1000, .refusals = 400});  // others' time
  }
  EXPECT_NEAR(static_cast<double>(ladder.cost().count()), 10'000, 50);
}

TEST(Ladder, RefusalsHeldBackAreNotTakenForDear) {
  Ladder ladder;
  ladder.observe({.length = Ladder::window, .busy = 5ms, .answers = 0, .refusals = 1000});
  EXPECT_LE(ladder.cost(), 5us);
  ladder.observe({.length = Ladder::window, .busy = 5ms, .answers = 1, .refusals = 1000});
  EXPECT_LE(ladder.cost(), 5us);
  EXPECT_EQ(ladder.rung(), Rung::answer);
}

TEST(Ladder, OnlyWhoKeepsBeingRefusedIsNotReadForAWhile) {
  Ladder ladder;
  EXPECT_FALSE(ladder.rests(255));
  for (int i = 0; i < 3; ++i) ladder.observe(refusing(22'500, 90ms));
  EXPECT_FALSE(ladder.rests(7));
  EXPECT_TRUE(ladder.rests(8));
}

TEST(Ladder, ComesDownSlowlyAndOnlyOnceItIsCalm) {
  Ladder ladder;
  ladder.observe(refusing(8000, 32ms));
  ASSERT_EQ(ladder.rung(), Rung::delay);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ladder.observe(refusing(5000, 20ms)), Rung::delay);  // over half of its share
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ladder.observe(refusing(100, 400us)), Rung::delay);
  ladder.observe(refusing(5000, 20ms));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ladder.observe(refusing(0, 0us)), Rung::delay);
  EXPECT_EQ(ladder.observe(refusing(0, 0us)), Rung::answer);
}

}  // namespace
}  // namespace sluice::admission
