// Where the steps of the memory budget lie: a pure function of two numbers.
#include "server/pressure.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace sluice::detail {
namespace {

TEST(Pressure, StepsLieAtThreeQuartersSevenEighthsAndAboveTheShare) {
  constexpr PressureSteps steps{1000};
  EXPECT_EQ(steps.of(0), Pressure::none);
  EXPECT_EQ(steps.of(749), Pressure::none);
  EXPECT_EQ(steps.of(750), Pressure::reap);
  EXPECT_EQ(steps.of(874), Pressure::reap);
  EXPECT_EQ(steps.of(875), Pressure::hold);
  EXPECT_EQ(steps.of(1000), Pressure::hold);
  EXPECT_EQ(steps.of(1001), Pressure::refuse);
  EXPECT_EQ(steps.of(std::numeric_limits<std::size_t>::max()), Pressure::refuse);
}

TEST(Pressure, OnlyEverRisesWithWhatIsInUseWhateverTheShare) {
  for (std::size_t share = 1; share < 300; ++share) {
    const PressureSteps steps{share};
    EXPECT_EQ(steps.of(0), Pressure::none) << share;
    Pressure before = Pressure::none;
    for (std::size_t bytes = 0; bytes <= 2 * share; ++bytes) {
      EXPECT_GE(steps.of(bytes), before) << share << " " << bytes;
      EXPECT_EQ(steps.of(bytes) == Pressure::refuse, bytes > share) << share << " " << bytes;
      before = steps.of(bytes);
    }
  }
}

TEST(Pressure, AShareThatIsNoMultipleOfEightStaysInOrder) {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  constexpr PressureSteps steps{most};  // no overflow on the way
  EXPECT_LT(steps.reap_from, steps.hold_from);
  EXPECT_LT(steps.hold_from, steps.most);
}

}  // namespace
}  // namespace sluice::detail
