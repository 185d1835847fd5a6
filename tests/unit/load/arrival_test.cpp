// arrival_test.cpp: when requests are due: exact where it is computed, in bounds where it is drawn.
#include "load/plan/arrival.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;

std::vector<Duration> first(const ScheduleOptions& options, std::size_t count) {
  Schedule schedule{options};
  std::vector<Duration> times;
  while (times.size() < count) times.push_back(schedule.next());
  return times;
}

std::uint64_t count_until(const ScheduleOptions& options, Duration end) {
  Schedule schedule{options};
  std::uint64_t count = 0;
  while (schedule.next() < end) ++count;
  return count;
}

TEST(Schedule, SpacesConstantArrivalsEvenly) {
  EXPECT_EQ(first({.rate_per_s = 800}, 4), (std::vector<Duration>{0us, 1250us, 2500us, 3750us}));
}

TEST(Schedule, DoesNotDriftWhereTheGapIsNoWholeNanosecond) {
  Schedule schedule{{.rate_per_s = 300'000}};
  Duration at{};
  for (int request = 0; request <= 3'000'000; ++request) at = schedule.next();
  EXPECT_EQ(at, Duration{10s});
}

TEST(Schedule, DealsConstantArrivalsToItsPartsInTurn) {
  const auto whole = first({.rate_per_s = 700}, 30);
  for (unsigned part = 0; part < 3; ++part) {
    const auto own = first({.rate_per_s = 700, .part = part, .parts = 3}, 10);
    for (std::size_t index = 0; index < own.size(); ++index) EXPECT_EQ(own[index], whole[3 * index + part]);
  }
}

TEST(Schedule, DrawsPoissonArrivalsAtTheRateWithExponentialGaps) {
  const ScheduleOptions options{.rate_per_s = 1000, .arrival = Arrival::poisson, .seed = 7};
  const auto times = first(options, 100'001);
  double sum = 0, squares = 0;
  int short_gaps = 0;
  for (std::size_t index = 1; index < times.size(); ++index) {
    const double gap = std::chrono::duration<double>(times[index] - times[index - 1]).count() * 1000;
    sum += gap;
    squares += gap * gap;
    short_gaps += gap < 1 ? 1 : 0;
  }
  EXPECT_NEAR(sum / 1e5, 1, 0.02);
  EXPECT_NEAR(squares / 1e5, 2, 0.1);
  EXPECT_NEAR(short_gaps / 1e5, 1 - std::exp(-1), 0.01);
}

TEST(Schedule, GivesPoissonPartsStreamsOfTheirOwn) {
  const ScheduleOptions left{.rate_per_s = 1000, .arrival = Arrival::poisson, .part = 0, .parts = 2, .seed = 7};
  ScheduleOptions right = left;
  right.part = 1;
  EXPECT_NEAR(static_cast<double>(count_until(left, 20s)), 10'000, 400);
  EXPECT_NEAR(static_cast<double>(count_until(right, 20s)), 10'000, 400);
  EXPECT_NE(first(left, 10), first(right, 10));
}

TEST(Schedule, RepeatsItselfFromTheSameSeedOnly) {
  ScheduleOptions options{.rate_per_s = 1000, .arrival = Arrival::poisson, .seed = 7};
  EXPECT_EQ(first(options, 100), first(options, 100));
  const auto times = first(options, 100);
  options.seed = 8;
  EXPECT_NE(first(options, 100), times);
}

TEST(Schedule, ACopyGoesOnWithTheSameTimes) {
  Schedule schedule{{.rate_per_s = 1000, .arrival = Arrival::poisson}};
  schedule.next();
  Schedule copy = schedule;
  for (int request = 0; request < 10; ++request) EXPECT_EQ(copy.next(), schedule.next());
}

TEST(Schedule, BurstsAreHighFirstAndThenLow) {
  ScheduleOptions options{.rate_per_s = 1000};
  options.pattern = {.kind = Pattern::Kind::burst, .low = 0.2, .high = 3, .on = 1s, .off = 4s};
  EXPECT_EQ(count_until(options, 1s), 3000U);
  EXPECT_EQ(count_until(options, 5s), 3800U);
  EXPECT_EQ(count_until(options, 6s), 6800U);
  options.arrival = Arrival::poisson;
  EXPECT_NEAR(static_cast<double>(count_until(options, 50s)), 38'000, 800);
  EXPECT_NEAR(static_cast<double>(count_until(options, 51s)) - static_cast<double>(count_until(options, 50s)), 3000,
              220);
}

TEST(Schedule, ABurstMayBeSilentInBetween) {
  ScheduleOptions options{.rate_per_s = 100};
  options.pattern = {.kind = Pattern::Kind::burst, .low = 0, .high = 1, .on = 1s, .off = 4s};
  EXPECT_EQ(count_until(options, 1s), 100U);
  EXPECT_EQ(count_until(options, 5s), 100U);
  EXPECT_EQ(count_until(options, 6s), 200U);
}

TEST(Schedule, RampsInAStraightLineAndStaysAtTheEnd) {
  ScheduleOptions options{.rate_per_s = 1000, .length = 10s};
  options.pattern = {.kind = Pattern::Kind::ramp, .low = 0, .high = 2};
  EXPECT_NEAR(static_cast<double>(count_until(options, 5s)), 2500, 1);
  EXPECT_NEAR(static_cast<double>(count_until(options, 10s)), 10'000, 1);
  EXPECT_NEAR(static_cast<double>(count_until(options, 11s)), 12'000, 1);
  options.pattern.low = 2;
  options.pattern.high = 0;
  EXPECT_NEAR(static_cast<double>(count_until(options, 5s)), 7500, 1);
  EXPECT_EQ(count_until(options, Duration::max()), 10'000U);
  options.arrival = Arrival::poisson;
  EXPECT_NEAR(static_cast<double>(count_until(options, 5s)), 7500, 350);
}

TEST(Schedule, NeverGoesBack) {
  for (const auto kind : {Pattern::Kind::steady, Pattern::Kind::burst, Pattern::Kind::ramp}) {
    for (const Arrival arrival : {Arrival::constant, Arrival::poisson}) {
      ScheduleOptions options{.rate_per_s = 12'345.678, .arrival = arrival, .length = 3s};
      options.pattern = {.kind = kind, .low = 0.1, .high = 1.7, .on = 333ms, .off = 77ms};
      Duration before{};
      Schedule schedule{options};
      for (int request = 0; request < 100'000; ++request) {
        const Duration at = schedule.next();
        ASSERT_GE(at, before);
        before = at;
      }
    }
  }
}

TEST(Schedule, TellsHowManyItPlans) {
  for (const auto kind : {Pattern::Kind::steady, Pattern::Kind::burst, Pattern::Kind::ramp}) {
    ScheduleOptions options{.rate_per_s = 1000, .length = 4s, .part = 1, .parts = 4};
    options.pattern = {.kind = kind, .low = 0.5, .high = 2, .on = 300ms, .off = 700ms};
    for (const Duration end : {Duration{250ms}, Duration{3900ms}, Duration{9s}}) {
      EXPECT_NEAR(Schedule{options}.planned_until(end), static_cast<double>(count_until(options, end)), 1.001);
    }
  }
}

TEST(Schedule, WithoutARateHasNoRequest) {
  EXPECT_EQ(Schedule{ScheduleOptions{}}.next(), Duration::max());
  EXPECT_EQ((Schedule{{.rate_per_s = 0, .arrival = Arrival::poisson}}.next()), Duration::max());
  EXPECT_EQ((Schedule{{.rate_per_s = std::nan("")}}.next()), Duration::max());
}

TEST(Random, GivesTheNumbersOfItsDefinition) {
  Random random{1};
  const std::vector<std::uint64_t> got{random.next(), random.next(), random.next()};
  EXPECT_EQ(got, (std::vector<std::uint64_t>{0xb3f2af6d0fc710c5, 0x853b559647364cea, 0x92f89756082a4514}));
}

TEST(Random, StaysWithinItsRanges) {
  Random random{3};
  double sum = 0;
  for (int draw = 0; draw < 100'000; ++draw) {
    const double uniform = random.uniform();
    ASSERT_TRUE(uniform >= 0 && uniform < 1);
    const double exponential = random.exponential();
    ASSERT_TRUE(exponential >= 0 && std::isfinite(exponential));
    sum += exponential;
  }
  EXPECT_NEAR(sum / 1e5, 1, 0.02);
}

}  // namespace
}  // namespace sluice::bench
