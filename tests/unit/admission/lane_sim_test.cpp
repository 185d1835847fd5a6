// The lane in virtual time, in short: what `lane-sim table` shows at length. All numbers are the same on every machine.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "scenarios/lane_sim/scenario.hpp"

namespace sluice::lane_sim {
namespace {

using namespace std::chrono_literals;

std::uint64_t first_seed() {
  const char* const given = std::getenv("SLUICE_SEED");
  return given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
}

void expect_sound(const Scenario& scenario, const Result& result) {
  EXPECT_TRUE(result.balanced) << "seed " << scenario.seed;
  EXPECT_EQ(result.counters.started_after_deadline, 0u) << "seed " << scenario.seed;
  EXPECT_LE(result.longest_queue, scenario.queue_depth_max) << "seed " << scenario.seed;
}

struct Cell {
  Shape shape;
  std::uint32_t permits;
  double load;
};

TEST(LaneSim, DoesNearlyAllThatAlwaysBusyWorkersWouldDo) {
  const Cell cells[] = {
      {Shape::fixed, 1, 1.2},    {Shape::fixed, 16, 10}, {Shape::exponential, 1, 2}, {Shape::exponential, 4, 1.05},
      {Shape::bimodal, 16, 1.2}, {Shape::pareto, 4, 5},  {Shape::pareto, 64, 1.05},
  };
  for (const Cell& cell : cells) {
    Scenario scenario{.shape = cell.shape, .permits = cell.permits, .load = cell.load, .seed = first_seed()};
    scenario.requests = static_cast<std::uint64_t>(4000 * cell.load);
    const Result result = play(scenario);
    expect_sound(scenario, result);
    EXPECT_GE(result.share(), 0.95) << to_string(cell.shape) << ' ' << cell.permits << ' ' << cell.load;
  }
}

TEST(LaneSim, StartsAllThatComesWhereThereIsRoom) {
  Scenario scenario{.permits = 16, .load = 0.5, .requests = 4000, .seed = first_seed()};
  const Result result = play(scenario);
  expect_sound(scenario, result);
  EXPECT_EQ(result.counters.responded, result.calls);
}

/// Short budgets, clients that leave and try again, a stall, in every mixture.
Scenario troubled(std::uint64_t seed) {
  Scenario scenario;
  scenario.seed = seed;
  scenario.shape = shapes[seed % 4];
  scenario.permits = 1u << (seed % 5);
  scenario.workers = seed % 3 != 0;
  scenario.load = 0.5 + static_cast<double>(seed % 7);
  scenario.requests = 1500;
  scenario.budget = seed % 2 == 0 ? 250ms : 40ms;
  if (seed % 4 != 0) scenario.client_timeout = seed % 8 < 4 ? 60ms : 300ms;
  scenario.retries = {.more = static_cast<unsigned>(seed % 4), .delay = 1ms, .backoff = seed % 5 == 0};
  scenario.queue_depth_max = seed % 6 == 0 ? 4 : 256;
  scenario.stall = {.begin = 200ms, .length = 500ms, .factor = 20};
  return scenario;
}

TEST(LaneSim, KeepsItsBooksThroughTimeoutsDeparturesRetriesAndStalls) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 60; ++seed) {
    const Scenario scenario = troubled(seed);
    expect_sound(scenario, play(scenario));
  }
}

TEST(LaneSim, GivesTheSameResultForTheSameSeed) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 12; ++seed) {
    const Result first = play(troubled(seed)), second = play(troubled(seed));
    EXPECT_EQ(first.fingerprint, second.fingerprint) << "seed " << seed;
    EXPECT_EQ(first.good, second.good) << "seed " << seed;
    EXPECT_NE(first.fingerprint, play(troubled(seed + 100)).fingerprint) << "seed " << seed;
  }
}

TEST(LaneSim, RecoversFromAStallThroughARetryStorm) {
  Scenario scenario{.permits = 16, .load = 0.7, .length = 12s, .seed = first_seed(), .budget = 250ms};
  scenario.client_timeout = 300ms;
  scenario.retries = {.more = 3};
  scenario.stall = {.begin = 2s, .length = 5s, .factor = 20};
  const Result result = play(scenario);
  expect_sound(scenario, result);
  EXPECT_LE(recovery(scenario, result), 3s);
}

TEST(LaneSim, AnAdaptiveLimitFollowsTheKneeOfWhatTheWorkWaitsFor) {
  for (const bool workers : {true, false}) {
    Scenario scenario{
        .shape = Shape::exponential, .permits = 16, .workers = workers, .rate_per_s = 2000, .length = 50s};
    scenario.seed = first_seed();
    scenario.budget = 250ms;
    scenario.adaptive = AdaptiveLimit{2, 64};
    scenario.dependency = DependencyOptions{.phases = {{30s, 4}, {20s, 32}}};
    const Result result = play(scenario);
    expect_sound(scenario, result);
    EXPECT_NEAR(result.phases[0].limit_at_end, 4, 4) << "workers " << workers;
    EXPECT_NEAR(result.phases[1].limit_at_end, 32, 16) << "workers " << workers;
  }
}

}  // namespace
}  // namespace sluice::lane_sim
