// search_test.cpp: the search on modelled servers whose limit is known, in virtual time.
#include "load/judge/search.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "modelled_server.hpp"

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Stage = Probe::Stage;

/// Short stages where nothing depends on their length.
SearchOptions options_for(Arrival arrival) {
  SearchOptions options;
  options.arrival = arrival;
  options.confirm = 20s;
  return options;
}

Load load_with(unsigned connections) {
  Load load;
  load.clients.front().connections = connections;
  return load;
}

SearchResult searched(const ModelOptions& model, const SearchOptions& options, const Load& load = load_with(256)) {
  ModelledServer server{model};
  auto result = search_with([&server](const Load& wanted) { return server.run(wanted); }, load, options, {});
  EXPECT_TRUE(result.has_value());
  return result.value_or(SearchResult{});
}

std::vector<const Probe*> of(const SearchResult& result, Stage stage) {
  std::vector<const Probe*> found;
  for (const Probe& probe : result.probes) {
    if (probe.stage == stage) found.push_back(&probe);
  }
  return found;
}

Slo slo(std::string_view text) { return Slo::parse(text).value(); }

const ModelOptions pool{.workers = 16, .service = 20ms, .queue_max = 256, .budget = 1s, .watched = true};

TEST(Search, FindsThePoolsLimitWithConstantArrivals) {
  SearchOptions options = options_for(Arrival::constant);
  options.confirm = 60s;
  const SearchResult result = searched(pool, options);
  EXPECT_NEAR(result.capacity_rps, 800, 24);
  EXPECT_GT(result.capacity_high_rps, result.capacity_rps);
  EXPECT_LE(result.capacity_low_rps, result.capacity_rps);
  EXPECT_NEAR(result.ceiling_rps, 800, 24);
  EXPECT_EQ(result.limit, "pool");
  EXPECT_THAT(result.limit_evidence, HasSubstr("all 16 places of pool were taken"));
  EXPECT_EQ(result.first_full, "pool");
  EXPECT_TRUE(result.valid);
  EXPECT_EQ(result.target, "model");
}

TEST(Search, FindsItWithoutATightLatencyConditionByTheQueueThatGrows) {
  ModelOptions unbounded = pool;
  unbounded.queue_max = 1'000'000;
  unbounded.budget = {};
  SearchOptions options = options_for(Arrival::constant);
  options.confirm = 60s;
  options.slos = {slo("p99<30s")};
  EXPECT_NEAR(searched(unbounded, options, load_with(5000)).capacity_rps, 800, 24);
}

TEST(Search, FindsThePoolsLimitWithPoissonArrivals) {
  const SearchResult result = searched(pool, options_for(Arrival::poisson));
  EXPECT_GT(result.capacity_rps, 800 * 0.9);
  EXPECT_LE(result.capacity_rps, 800 * 1.01);
  EXPECT_EQ(result.limit, "pool");
}

TEST(Search, GivesTheSameResultAgain) {
  const SearchResult one = searched(pool, options_for(Arrival::poisson));
  const SearchResult two = searched(pool, options_for(Arrival::poisson));
  EXPECT_EQ(one.capacity_rps, two.capacity_rps);
  EXPECT_EQ(one.probes.size(), two.probes.size());
}

TEST(Search, CallsAFullThreadLoopCpu) {
  SearchOptions options = options_for(Arrival::poisson);
  options.confirm = 10s;
  const SearchResult result = searched({.service = 50us, .watched = true, .inline_cpu = true}, options);
  EXPECT_NEAR(result.capacity_rps, 20'000, 20'000 * 0.035);
  EXPECT_EQ(result.limit, "loop CPU");
  EXPECT_THAT(result.limit_evidence, HasSubstr("the server's busiest thread ran"));
  EXPECT_EQ(result.first_full, "");
}

TEST(Search, CallsRefusalsErrors) {
  const SearchResult result = searched({.service = 20us, .rate_max = 5000}, options_for(Arrival::constant));
  EXPECT_NEAR(result.capacity_rps, 5000, 150);
  EXPECT_EQ(result.limit, "errors");
  EXPECT_THAT(result.limit_evidence, HasSubstr("most of them by 503"));
  EXPECT_NEAR(result.goodput_kept_200, 1, 0.04);
  EXPECT_EQ(result.recovery_s, 0);
}

TEST(Search, CallsAWaitForConnectionsConnections) {
  // 20 connections with 10 ms each: 2,000/s, whatever the server could do.
  const SearchResult result =
      searched({.workers = 1000, .service = 10ms}, options_for(Arrival::constant), load_with(20));
  EXPECT_NEAR(result.capacity_rps, 2000, 60);
  EXPECT_EQ(result.limit, "connections");
  EXPECT_THAT(result.limit_evidence, HasSubstr("waited for a free connection"));
}

TEST(Search, CallsTheRestLatency) {
  const SearchResult result = searched({.workers = 4, .service = 1ms}, options_for(Arrival::constant));
  EXPECT_NEAR(result.capacity_rps, 4000, 120);
  EXPECT_EQ(result.limit, "latency");
}

TEST(Search, IsNotMisledByANoisyServer) {
  // 5 % of the answers are late by 30 ms at any rate; the condition allows that.
  SearchOptions options = options_for(Arrival::poisson);
  options.slos = {slo("p99<60ms"), slo("errors<0.1%")};
  ModelOptions noisy = pool;
  noisy.spike_share = 0.05;
  noisy.spike = 30ms;
  const SearchResult result = searched(noisy, options);
  EXPECT_GT(result.capacity_rps, 800 * 0.88);
  EXPECT_LE(result.capacity_rps, 800 * 1.01);
}

TEST(Search, PassesOverOneWindowThatFailedByChance) {
  ModelledServer server{pool};
  int climbs = 0;
  const auto run = [&](const Load& load) {
    auto result = server.run(load);
    const double rate = load.clients.front().rate_per_s;
    if (rate > 150 && rate < 200 && climbs++ == 0) result->answered_rps = 0;
    return result;
  };
  const auto result = search_with(run, load_with(256), options_for(Arrival::constant), {});
  ASSERT_TRUE(result.has_value());
  EXPECT_GT(climbs, 0);
  EXPECT_NEAR(result->capacity_rps, 800, 24);
}

TEST(Search, RunsAWindowAgainThatTheGeneratorSpoilt) {
  ModelledServer server{pool};
  int windows = 0;
  const auto run = [&](const Load& load) {
    auto result = server.run(load);
    if (++windows != 3) return result;
    result->invalid = {"the hypervisor took 5 %"};
    result->answered_rps = 0;
    return result;
  };
  const auto result = search_with(run, load_with(256), options_for(Arrival::constant), {});
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->probes[2].failures, std::vector<std::string>{"generator: the hypervisor took 5 %"});
  EXPECT_EQ(result->probes[3].rate_per_s, result->probes[2].rate_per_s);
  EXPECT_TRUE(result->probes[3].passed);
  EXPECT_NEAR(result->capacity_rps, 800, 24);
  EXPECT_TRUE(result->valid);
}

TEST(Search, TakesAPassThoughTheGeneratorWasLate) {
  ModelledServer server{pool};
  const auto run = [&](const Load& load) {
    auto result = server.run(load);
    result->invalid = {"the generator sent late"};  // which can only have made it look worse
    return result;
  };
  const auto result = search_with(run, load_with(256), options_for(Arrival::constant), {});
  ASSERT_TRUE(result.has_value());
  EXPECT_NEAR(result->capacity_rps, 800, 24);
}

TEST(Search, DoesNotCallTheGeneratorsLimitTheServers) {
  ModelledServer server{{.service = 10us}};
  const auto run = [&](const Load& load) {
    auto result = server.run(load);
    if (load.clients.front().rate_per_s <= 3000) return result;
    result->invalid = {"the generator sent late"};
    result->answered_rps /= 2;
    return result;
  };
  SearchOptions options = options_for(Arrival::constant);
  options.start_per_s = 1000;
  options.curve = options.overload = false;
  const auto result = search_with(run, load_with(8), options, {});
  ASSERT_TRUE(result.has_value());
  EXPECT_NEAR(result->capacity_rps, 3000, 90);
  EXPECT_EQ(result->limit, "generator");
  EXPECT_FALSE(result->valid);
}

TEST(Search, DistrustsARateNearTheGeneratorsOwnCeiling) {
  ModelledServer server{pool};
  const auto run = [&](const Load& load) { return server.run(load); };
  const auto near = search_with(run, load_with(256), options_for(Arrival::constant), SelfCheck{.ceiling_rps = 1000});
  ASSERT_TRUE(near.has_value());
  EXPECT_EQ(near->limit, "generator");
  EXPECT_FALSE(near->valid);
  const auto far = search_with(run, load_with(256), options_for(Arrival::constant), SelfCheck{.ceiling_rps = 100'000});
  ASSERT_TRUE(far.has_value());
  EXPECT_EQ(far->limit, "pool");
  EXPECT_TRUE(far->valid);
}

TEST(Search, TakesOverTheProblemsOfTheSelfCheck) {
  ModelledServer server{pool};
  const auto run = [&](const Load& load) { return server.run(load); };
  const SelfCheck check{.ceiling_rps = 100'000, .problems = {"it stalls"}};
  const auto result = search_with(run, load_with(256), options_for(Arrival::constant), check);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->invalid, std::vector<std::string>{"self check: it stalls"});
  EXPECT_FALSE(result->valid);
}

TEST(Search, GoesDownWhenTheFirstRateIsTooHigh) {
  SearchOptions options = options_for(Arrival::constant);
  options.start_per_s = 6000;
  EXPECT_NEAR(searched(pool, options, load_with(1000)).capacity_rps, 800, 24);
}

TEST(Search, FindsNoLimitWhereNothingPasses) {
  SearchOptions options = options_for(Arrival::constant);
  options.slos = {slo("p99<1ms")};
  const SearchResult result = searched(pool, options);
  EXPECT_EQ(result.capacity_rps, 0);
  EXPECT_EQ(result.limit, "latency");
  EXPECT_TRUE(of(result, Stage::confirm).empty());
  EXPECT_TRUE(of(result, Stage::curve).empty());
}

TEST(Search, GivesUpOnAServerThatOnlyFails) {
  const SearchResult result =
      searched({.queue_max = 0, .budget = {}, .rate_max = 1e-9}, options_for(Arrival::constant));
  EXPECT_EQ(result.capacity_rps, 0);
  EXPECT_LE(result.probes.size(), 20U);
  EXPECT_EQ(result.limit, "errors");
}

TEST(Search, MeasuresTheRecoveryOfAQueueWithoutABound) {
  // Overloads of 2 s at 110, 150, 200 and 300 % leave some 7 s of work; half of the server is there for it: 14 s.
  SearchOptions options = options_for(Arrival::constant);
  options.stage = 30s;
  Load load = load_with(20'000);
  load.grace = 100ms;
  options.slos = {slo("p99<50ms")};
  ModelledServer server{{.workers = 4, .service = 4ms}};
  const auto run = [&](const Load& wanted) {
    Load shorter = wanted;
    if (wanted.clients.front().rate_per_s > 1010) shorter.duration = 1s;
    return server.run(shorter);
  };
  const auto result = search_with(run, load, options, {});
  ASSERT_TRUE(result.has_value());
  EXPECT_NEAR(result->capacity_rps, 1000, 30);
  EXPECT_NEAR(result->recovery_s, 14, 3);
}

TEST(Search, SaysWhenTheServerDoesNotRecover) {
  SearchOptions options = options_for(Arrival::constant);
  Load load = load_with(20'000);
  load.grace = 100ms;
  const SearchResult result = searched({.workers = 4, .service = 4ms}, options, load);
  EXPECT_NEAR(result.capacity_rps, 1000, 30);
  EXPECT_EQ(result.recovery_s, -1);
}

TEST(Search, DrawsTheCurveInRandomOrderAndTheOverloadUpwards) {
  const SearchResult result = searched(pool, options_for(Arrival::constant));
  std::vector<double> curve, overload;
  for (const Probe* probe : of(result, Stage::curve)) curve.push_back(probe->percent);
  for (const Probe* probe : of(result, Stage::overload)) overload.push_back(probe->percent);
  EXPECT_THAT(curve, testing::UnorderedElementsAre(10, 25, 50, 75, 90));
  EXPECT_THAT(overload, testing::ElementsAre(110, 150, 200, 300));
  ASSERT_EQ(of(result, Stage::recovery).size(), 1U);
  EXPECT_EQ(of(result, Stage::recovery).front()->run.duration_s, 5);
  EXPECT_GT(result.goodput_kept_200, 0.95);
  Load other = load_with(256);
  other.seed = 99;
  std::vector<double> again;
  const SearchResult seeded = searched(pool, options_for(Arrival::constant), other);
  for (const Probe* probe : of(seeded, Stage::curve)) again.push_back(probe->percent);
  EXPECT_NE(curve, again);
}

TEST(Search, LeavesOutWhatIsNotWanted) {
  SearchOptions options = options_for(Arrival::constant);
  options.curve = options.overload = false;
  const SearchResult result = searched(pool, options);
  EXPECT_TRUE(of(result, Stage::curve).empty());
  EXPECT_TRUE(of(result, Stage::overload).empty());
  EXPECT_TRUE(of(result, Stage::recovery).empty());
}

TEST(Search, CallsTheProfilerAroundItsStages) {
  SearchOptions options = options_for(Arrival::constant);
  std::vector<std::string> calls;
  options.on_profile_stage = [&](std::string_view percent, bool begins) {
    calls.push_back(std::string{percent} + (begins ? " begins" : " ends"));
  };
  const SearchResult result = searched(pool, options);
  EXPECT_THAT(calls, testing::ElementsAre("80 begins", "80 ends", "120 begins", "120 ends"));
  EXPECT_EQ(of(result, Stage::curve).size(), 6U);
  EXPECT_EQ(of(result, Stage::overload).size(), 5U);
}

TEST(Search, RatesTheMaximumToo) {
  const SearchResult result = searched(pool, options_for(Arrival::constant));
  EXPECT_GE(result.good_rps, result.capacity_rps);
  EXPECT_GE(result.ok_rps, result.good_rps);
  EXPECT_LT(result.ok_rps, 1000);
}

TEST(Search, HandsOnTheErrorOfARun) {
  const auto run = [](const Load&) -> std::expected<RunResult, Error> {
    return std::unexpected{Error{Error::Kind::unreachable, "nothing listens"}};
  };
  const auto result = search_with(run, load_with(1), {}, {});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().text, "nothing listens");
}

TEST(Search, KeepsWhatItFoundWhenTheServerDiesOfTheOverload) {
  ModelledServer server{pool};
  const auto run = [&](const Load& load) -> std::expected<RunResult, Error> {
    if (load.clients.front().rate_per_s > 2000) return std::unexpected{Error{Error::Kind::unreachable, "refused"}};
    return server.run(load);
  };
  const auto result = search_with(run, load_with(256), options_for(Arrival::constant), {});
  ASSERT_TRUE(result.has_value());
  EXPECT_NEAR(result->capacity_rps, 800, 24);
  EXPECT_FALSE(result->valid);
  EXPECT_EQ(result->recovery_s, -1);
  EXPECT_THAT(result->invalid.front(), HasSubstr("the server was gone at 300 % of its limit: refused"));
}

TEST(Search, KeepsWhatItFoundWhenItIsInterrupted) {
  ModelledServer server{pool};
  int runs = 0;
  Load load = load_with(64);
  load.interrupted = [&runs] { return runs >= 3; };
  const auto run = [&](const Load& wanted) {
    ++runs;
    return server.run(wanted);
  };
  const auto result = search_with(run, load, {}, {});
  ASSERT_TRUE(result.has_value());
  EXPECT_FALSE(result->valid);
  EXPECT_THAT(result->invalid.front(), HasSubstr("ended early: the search was interrupted"));
  EXPECT_EQ(result->probes.size(), 2u);
  EXPECT_GT(result->ceiling_rps, 0);
  EXPECT_EQ(runs, 3);
}

TEST(Search, RefusesOptionsThatMakeNoSense) {
  const auto refused = [](const Load& load, const SearchOptions& options) {
    const auto result = search_with([](const Load&) { return RunResult{}; }, load, options, {});
    return !result && result.error().kind == Error::Kind::usage;
  };
  EXPECT_TRUE(refused(load_with(1), {.precision = 0}));
  EXPECT_TRUE(refused(load_with(1), {.window = 0s}));
  Load empty;
  empty.clients.clear();
  EXPECT_TRUE(refused(empty, {}));
}

}  // namespace
}  // namespace sluice::bench
