// trend_test.cpp: series that grow, and those that only seem to.
#include "load/judge/trend.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "load/plan/random.hpp"

namespace sluice::bench {
namespace {

TEST(Trend, SeesAQueueThatGrowsFromSecondToSecond) {
  EXPECT_TRUE(grows(std::vector<double>{16, 40, 64, 88, 112}, 0.95));
  EXPECT_TRUE(grows(std::vector<double>{0, 3, 2, 5, 9, 8, 12, 15}, 0.95));
}

TEST(Trend, SeesNoneInWhatStaysOrShrinks) {
  EXPECT_FALSE(grows(std::vector<double>(20, 7.0), 0.95));
  EXPECT_FALSE(grows(std::vector<double>{9, 8, 7, 6, 5, 4}, 0.5));
  EXPECT_FALSE(grows(std::vector<double>{5, 9, 4, 8, 5, 9, 4, 8}, 0.95));
}

TEST(Trend, TakesLittleNoiseForNoGrowth) {
  Random random{11};
  int seen = 0;
  for (int round = 0; round < 1000; ++round) {
    std::vector<double> series(20);
    for (double& value : series) value = 50 + 20 * random.uniform();
    seen += grows(series, 0.95) ? 1 : 0;
  }
  EXPECT_LT(seen, 75);
}

TEST(Trend, IgnoresAGrowthTooSmallToMatter) {
  std::vector<double> series;
  for (int index = 0; index < 20; ++index) series.push_back(1000 + index);
  EXPECT_FALSE(grows(series, 0.99));
  for (int index = 0; index < 20; ++index) series[static_cast<std::size_t>(index)] += 4 * index;
  EXPECT_TRUE(grows(series, 0.99));
}

TEST(Trend, NeedsFourNumbers) {
  EXPECT_FALSE(grows(std::vector<double>{1, 100, 10'000}, 0.9));
  EXPECT_TRUE(grows(std::vector<double>{1, 100, 10'000, 1'000'000}, 0.9));
  EXPECT_FALSE(grows({}, 0.9));
}

TEST(Trend, AsksForTheConfidenceGiven) {
  const std::vector<double> series{1, 5, 3, 7, 4, 9};
  EXPECT_TRUE(grows(series, 0.9));
  EXPECT_FALSE(grows(series, 0.999));
}

TEST(Trend, TellsTheSlopeWithoutBeingMisledByAnOutlier) {
  EXPECT_DOUBLE_EQ(slope_per_step(std::vector<double>{0, 2, 4, 6, 8}), 2);
  EXPECT_DOUBLE_EQ(slope_per_step(std::vector<double>{0, 2, 4, 900, 8, 10, 12}), 2);
  EXPECT_DOUBLE_EQ(slope_per_step(std::vector<double>{5}), 0);
}

TEST(Trend, CopesWithALongSeries) {
  std::vector<double> series;
  for (int index = 0; index < 100'000; ++index) series.push_back(0.5 * index);
  EXPECT_TRUE(grows(series, 0.99));
  EXPECT_NEAR(slope_per_step(series), 0.5, 0.01);
}

TEST(Trend, CondensesToMeans) {
  EXPECT_EQ(condensed(std::vector<double>{1, 3, 5, 7, 9}, 2), (std::vector<double>{2, 7}));
  EXPECT_EQ(condensed(std::vector<double>{1, 3}, 5), (std::vector<double>{1, 3}));
  EXPECT_TRUE(condensed({}, 5).empty());
}

}  // namespace
}  // namespace sluice::bench
