#include "admission/adaptive.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "load/plan/random.hpp"

namespace sluice::admission {
namespace {

using namespace std::chrono_literals;
using Interval = LimitController::Interval;

/// What a lane sees whose work takes 20 ms up to the knee, and of which more than it can do always waits.
struct Bottleneck {
  unsigned knee = 16;
  double loss_per_job = 0;  // above the knee
  double noise = 0;         // standard deviation of an interval's completions, in their square roots
  bench::Random random{1};

  Interval seen(std::uint32_t limit) {
    const double above = limit > knee ? limit - knee : 0;
    const double rate = std::min(limit, knee) / 0.02 * std::max(0.1, 1 - loss_per_job * above);
    double completed = rate * 0.1;
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += random.uniform();  // about normal
    completed = std::max(0.0, completed + noise * sum * std::sqrt(completed));
    return {.length = 100ms,
            .standing_delay = 50ms,
            .target = 5ms,
            .completed = static_cast<std::uint64_t>(completed + 0.5),
            .in_flight_peak = limit};
  }
};

/// The limits over that many intervals, smallest and largest of the last half.
struct Range {
  std::uint32_t lowest = ~0u, highest = 0;
  double mean = 0;
};
Range run(LimitController& controller, Bottleneck& bottleneck, int intervals) {
  Range range;
  for (int i = 0; i < intervals; ++i) {
    const std::uint32_t limit = controller.next(bottleneck.seen(controller.limit()));
    if (i < intervals / 2) continue;
    range.lowest = std::min(range.lowest, limit);
    range.highest = std::max(range.highest, limit);
    range.mean += limit * 2.0 / intervals;
  }
  return range;
}

Interval idle(std::uint32_t peak) {
  return {.length = 100ms, .standing_delay = 0ms, .target = 5ms, .completed = 10, .in_flight_peak = peak};
}

TEST(LimitController, ClimbsToTheKneeAndStaysAroundIt) {
  LimitController controller{{2, 64}, 2};
  Bottleneck bottleneck{.knee = 16};
  const Range range = run(controller, bottleneck, 600);
  EXPECT_GE(range.lowest, 12u);
  EXPECT_LE(range.highest, 21u);
}

TEST(LimitController, StepsDownWhereMoreDoesNotCompleteMore) {
  LimitController controller{{2, 64}, 64};
  Bottleneck bottleneck{.knee = 8};
  const Range range = run(controller, bottleneck, 600);
  EXPECT_GE(range.lowest, 6u);
  EXPECT_LE(range.highest, 12u);
}

TEST(LimitController, FollowsAKneeThatMoves) {
  LimitController controller{{2, 64}, 16};
  Bottleneck bottleneck;
  for (const unsigned knee : {16u, 4u, 32u, 2u, 64u}) {
    bottleneck.knee = knee;
    const Range range = run(controller, bottleneck, 1000);
    EXPECT_NEAR(range.mean, knee, 0.25 * knee + 1) << "knee " << knee;
  }
}

TEST(LimitController, StaysNearTheKneeThroughNoise) {
  for (const double loss : {0.0, 0.01}) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      LimitController controller{{2, 64}, 2};
      Bottleneck bottleneck{.knee = 16, .loss_per_job = loss, .noise = 1, .random = bench::Random{seed}};
      const Range range = run(controller, bottleneck, 2000);
      EXPECT_NEAR(range.mean, 16, 5) << "seed " << seed << " loss " << loss;
    }
  }
}

TEST(LimitController, NeverLeavesItsBounds) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    bench::Random random{seed};
    const auto min = static_cast<std::uint32_t>(1 + random.next() % 8);
    const auto max = static_cast<std::uint32_t>(min + random.next() % 60);
    LimitController controller{{min, max}, static_cast<std::uint32_t>(random.next() % 100)};
    for (int i = 0; i < 2000; ++i) {
      const Interval seen{.length = base::Duration{static_cast<std::int64_t>(random.next() % 1'000'000'000)},
                          .standing_delay = random.next() % 3 == 0 ? 0ms : 10ms,
                          .target = 5ms,
                          .completed = random.next() % 1000,
                          .in_flight_peak = static_cast<std::uint32_t>(random.next() % 80)};
      const std::uint32_t limit = controller.next(seen);
      ASSERT_GE(limit, min) << "seed " << seed;
      ASSERT_LE(limit, max) << "seed " << seed;
      ASSERT_EQ(limit, controller.limit());
    }
  }
}

TEST(LimitController, BringsItsStartWithinBounds) {
  EXPECT_EQ((LimitController{{4, 8}, 1}.limit()), 4u);
  EXPECT_EQ((LimitController{{4, 8}, 100}.limit()), 8u);
  EXPECT_EQ((LimitController{{0, 0}, 0}.limit()), 1u);
}

TEST(LimitController, IsNotRaisedWithoutDemand) {
  LimitController controller{{2, 64}, 8};
  for (int i = 0; i < 1000; ++i) {
    Interval seen = idle(8);
    seen.standing_delay = 5ms;  // the target itself is no demand yet
    EXPECT_LE(controller.next(seen), 8u);
  }
  EXPECT_EQ(controller.limit(), 8u);
}

TEST(LimitController, FollowsThePeakDownWhenNothingWaits) {
  LimitController controller{{2, 64}, 64};
  std::uint32_t before = 64;
  for (int i = 0; i < 16; ++i) {
    const std::uint32_t limit = controller.next(idle(5));
    EXPECT_LE(limit, before);
    before = limit;
  }
  EXPECT_GT(before, 20u);  // slowly: a burst may come back
  for (int i = 0; i < 1000; ++i) controller.next(idle(5));
  EXPECT_EQ(controller.limit(), 5u);
  for (int i = 0; i < 1000; ++i) controller.next(idle(0));
  EXPECT_EQ(controller.limit(), 2u);
}

TEST(LimitController, KeepsTheRaiseThatEndedTheQueue) {
  LimitController controller{{2, 64}, 8};
  Bottleneck bottleneck{.knee = 64};
  while (controller.limit() == 8) controller.next(bottleneck.seen(controller.limit()));
  const std::uint32_t raised = controller.limit();
  ASSERT_GT(raised, 8u);
  Interval seen = bottleneck.seen(raised);
  controller.next(seen);  // still with work of before
  seen.standing_delay = 0ms;
  controller.next(seen);
  EXPECT_EQ(controller.limit(), raised);
}

TEST(LimitController, LearnsNothingWhereSomethingElseIsTheLimit) {
  LimitController controller{{2, 64}, 16};
  Bottleneck bottleneck{.knee = 16};
  for (int i = 0; i < 1000; ++i) {
    Interval seen = bottleneck.seen(controller.limit());
    seen.in_flight_peak = 7;  // the pool has no thread for more
    EXPECT_EQ(controller.next(seen), 16u);
  }
}

TEST(LimitController, WaitsForEnoughCompletions) {
  LimitController controller{{2, 64}, 16};
  for (int i = 0; i < 1000; ++i) {  // a stall: nothing is completed, which no limit would change
    EXPECT_EQ(controller.next({.length = 100ms, .standing_delay = 1s, .target = 5ms, .in_flight_peak = 16}), 16u);
  }
}

TEST(LimitController, GivesTheSameLimitsForTheSameIntervals) {
  std::vector<std::uint32_t> limits[2];
  for (auto& seen : limits) {
    LimitController controller{{2, 64}, 16};
    Bottleneck bottleneck{.knee = 10, .noise = 1, .random = bench::Random{7}};
    for (int i = 0; i < 500; ++i) seen.push_back(controller.next(bottleneck.seen(controller.limit())));
  }
  EXPECT_EQ(limits[0], limits[1]);
}

}  // namespace
}  // namespace sluice::admission
