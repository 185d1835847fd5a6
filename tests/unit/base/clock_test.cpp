// The system's clock: its coarse reading is the same time, a little behind.
#include "base/clock.hpp"

#include <gtest/gtest.h>

namespace sluice::base {
namespace {

using namespace std::chrono_literals;

TEST(SystemClock, CoarseIsTheSameTimeAndNeverAhead) {
  const Clock& clock = system_clock();
  const Duration step = clock.coarse_step();
  EXPECT_GT(step, 0ns);
  EXPECT_LE(step, 10ms);
  for (int i = 0; i < 1000; ++i) {
    const TimePoint before = clock.now();
    const TimePoint coarse = clock.coarse();
    const TimePoint after = clock.now();
    EXPECT_LE(coarse, after);
    EXPECT_GE(coarse, before - 1s);  // the same epoch; how late a tick may come is the machine's affair
  }
}

TEST(SystemClock, AClockWithoutACoarseOneGivesItsTime) {
  struct Standing final : Clock {
    TimePoint now() const noexcept override { return TimePoint{42ms}; }
    std::time_t wall() const noexcept override { return 0; }
  };
  const Standing clock;
  EXPECT_EQ(clock.coarse(), TimePoint{42ms});
  EXPECT_EQ(clock.coarse_step(), 0ns);
}

}  // namespace
}  // namespace sluice::base
