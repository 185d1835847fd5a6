// shape_test.cpp: distributions of known form and what they are called.
#include "load/judge/shape.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <memory>

#include "base/histogram.hpp"

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;

constexpr int samples = 200'000;

/// A run whose latency at each quantile is given in microseconds.
RunResult run_of(const std::function<double(double)>& latency_us, int count = samples) {
  auto all = std::make_shared<base::Histogram>();
  for (int index = 0; index < count; ++index) {
    all->record(static_cast<std::uint64_t>(latency_us((index + 0.5) / count) * 1000));
  }
  RunResult run;
  run.duration_s = 10;
  run.offered_rps = run.answered_rps = run.goodput_rps = count / 10.0;
  run.total.planned = run.total.classes[0].count = all->count();
  run.total.all = Latency{all};
  return run;
}

double exponential(double quantile) { return 1000 * (1 - std::log(1 - quantile)); }

TEST(Shape, AnExponentialTailIsWellBehaved) {
  const Shape shape = shape_of(run_of(exponential));
  EXPECT_EQ(shape.kind, Shape::Kind::well_behaved);
  EXPECT_EQ(shape.wall_quantile, 0);
  EXPECT_EQ(shape.wall_us, 0);
}

TEST(Shape, FindsTheWallAndItsHeight) {
  const Shape shape = shape_of(run_of([](double quantile) { return quantile < 0.99 ? 1000 : 200'000; }));
  EXPECT_EQ(shape.kind, Shape::Kind::wall);
  EXPECT_NEAR(shape.wall_quantile, 0.99, 0.0005);
  EXPECT_NEAR(shape.wall_us, 200'000, 400);
}

TEST(Shape, ARiseBelowTenTimesTheMedianIsNoWall) {
  EXPECT_EQ(shape_of(run_of([](double quantile) { return quantile < 0.99 ? 1000 : 9000; })).kind,
            Shape::Kind::well_behaved);
}

TEST(Shape, AHighButFlatTailIsNoWall) {
  // Each nine takes eight times as long; a wall is where it takes more than ten times.
  const Shape shape = shape_of(run_of([](double quantile) { return 1000 * std::pow(1 - quantile, -0.9); }));
  EXPECT_EQ(shape.kind, Shape::Kind::well_behaved);
  const Shape steep = shape_of(run_of([](double quantile) { return 1000 * std::pow(1 - quantile, -1.3); }));
  EXPECT_EQ(steep.kind, Shape::Kind::wall);
}

TEST(Shape, AWallBeyondFourNinesLeavesItWellBehaved) {
  const Shape shape = shape_of(run_of([](double quantile) { return quantile < 0.99993 ? 1000 : 200'000; }, 2'000'000));
  EXPECT_EQ(shape.kind, Shape::Kind::well_behaved);
  EXPECT_NEAR(shape.wall_quantile, 0.99993, 0.00001);
}

TEST(Shape, LooksOnlyWhereAHundredSamplesLieAbove) {
  const Shape shape = shape_of(run_of([](double quantile) { return quantile < 0.9996 ? 1000 : 200'000; }));
  EXPECT_EQ(shape.wall_quantile, 0);
  EXPECT_EQ(shape.kind, Shape::Kind::well_behaved);
}

TEST(Shape, IsUnknownForFewRequests) {
  EXPECT_EQ(shape_of(run_of(exponential, 999)).kind, Shape::Kind::unknown);
  EXPECT_NE(shape_of(run_of(exponential, 1000)).kind, Shape::Kind::unknown);
  EXPECT_EQ(shape_of(RunResult{}).kind, Shape::Kind::unknown);
}

TEST(Shape, IsOnFireWhenTheRateIsMissed) {
  RunResult run = run_of(exponential);
  run.answered_rps = 0.99 * run.offered_rps;
  EXPECT_EQ(shape_of(run).kind, Shape::Kind::on_fire);
}

TEST(Shape, IsOnFireWhenItsMedianIsTenTimesThatAtHalfTheRate) {
  const RunResult run = run_of(exponential);
  EXPECT_EQ(shape_of(run, 150us).kind, Shape::Kind::on_fire);
  EXPECT_EQ(shape_of(run, 500us).kind, Shape::Kind::well_behaved);
}

TEST(AnsweredShare, CountsEveryAnswerAndNothingElse) {
  RunResult run = run_of(exponential, 1000);
  run.total.classes[static_cast<std::size_t>(Outcome::ok)].count = 900;
  run.total.classes[static_cast<std::size_t>(Outcome::shed)].count = 50;
  run.total.classes[static_cast<std::size_t>(Outcome::broken)].count = 50;
  EXPECT_DOUBLE_EQ(answered_share(run), 0.95);
  EXPECT_DOUBLE_EQ(answered_share(RunResult{}), 0);
}

TEST(AnsweredShare, ForgivesWhatIsUnderWayAtAnyMoment) {
  // A median of 200 ms is 2 % of ten seconds.
  RunResult run = run_of([](double) { return 200'000.0; });
  run.answered_rps = 0.985 * run.offered_rps;
  EXPECT_GE(answered_share(run), 0.995);
  run.answered_rps = 0.95 * run.offered_rps;
  EXPECT_LT(answered_share(run), 0.98);
}

}  // namespace
}  // namespace sluice::bench
