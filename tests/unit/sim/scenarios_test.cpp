// The scenario library of bench/sim in a short form: what each file is there to show, with the real lanes in virtual time.
// SLUICE_SEED gives another seed; the bars hold for any.
#include <gtest/gtest.h>

#include <filesystem>

#include "questions.hpp"
#include "sim/tool/study_json.hpp"

namespace sluice::sim {
namespace {

using Changes = std::vector<std::pair<std::string, double>>;

Question both(std::string_view name, Changes changes) {
  Question question;
  question.scenario = library_file(name);
  question.changes = std::move(changes);
  question.changes.emplace_back("seed", seed());
  question.policies = {Policy::sluice, Policy::naive};
  return question;
}

double good(const Counts& counts) {
  return counts.offered == 0 ? 0 : static_cast<double>(counts.good()) / static_cast<double>(counts.offered);
}

/// The two results of a question, with what holds for any of them.
struct Pair {
  Study study;
  const Result& sluice() const { return study.runs.at(0).result; }
  const Result& naive() const { return study.runs.at(1).result; }
};
Pair play_both(std::string_view name, Changes changes) {
  Pair pair{study_of(both(name, std::move(changes)))};
  EXPECT_TRUE(pair.study.balanced()) << name;
  for (const Run& run : pair.study.runs) {
    const Counts& counts = run.result.total.counts;
    std::uint64_t ended = 0;
    for (const auto fate : counts.fates) ended += fate;
    EXPECT_EQ(ended, counts.offered) << name << ": every call ends in exactly one way";
    EXPECT_GT(counts.offered, 0u) << name;
  }
  return pair;
}

TEST(SimScenarios, EachFileSaysWhatItAsks) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator{std::string{SLUICE_SOURCE_DIR} + "/bench/sim/scenarios"}) {
    Question question;
    question.scenario = entry.path().string();
    question.changes = {{"seed", seed()}};
    const Study study = study_of(question);
    EXPECT_FALSE(study.scenario.description.empty()) << entry.path();
    EXPECT_TRUE(study.balanced()) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 9);
}

TEST(SimScenarios, SteadyLoadIsServedToTheLastCall) {
  const Pair pair = play_both("steady", {{"duration_s", 10}});
  EXPECT_GE(good(pair.sluice().total.counts), 0.99);
  EXPECT_EQ(pair.sluice().total.counts.left, 0u);
}

TEST(SimScenarios, TenTimesTheSteadyLoadLeavesTheGoodputAtCapacity) {
  Question question = both("steady", {{"duration_s", 10}});
  question.loads = {10};
  const Study study = study_of(question);
  const Result& lanes = study.runs.at(0).result;
  EXPECT_GE(static_cast<double>(lanes.total.counts.good()) / lanes.seconds, 0.95 * 800);
  EXPECT_LT(good(study.runs.at(1).result.total.counts), 0.01);
}

TEST(SimScenarios, ABurstCostsWhatIsAboveCapacityAndIsOverWhenItIsOver) {
  // Two bursts of 2 s at twice the capacity, each with 8 s at half of it behind it: 14 of 24 parts can be done.
  const Pair pair = play_both("burst", {{"duration_s", 22}});
  EXPECT_GE(good(pair.sluice().total.counts), 0.7);
  EXPECT_GE(good(pair.sluice().total.counts), good(pair.naive().total.counts) + 0.2);
  EXPECT_LT(pair.sluice().total.waiting_peak, 257u);
}

TEST(SimScenarios, AStalledDependencyTakesOnlyThoseDownWhoNeedIt) {
  const Pair pair = play_both("stalled_dependency", {{"events.0.at_s", 4}, {"events.0.for_s", 3}, {"duration_s", 12}});
  EXPECT_GE(good(pair.sluice().routes.at(1).counts), 0.999) << "/prices does not need the database";
  ASSERT_EQ(pair.sluice().events.size(), 1u);
  ASSERT_TRUE(pair.sluice().events[0].recovered_s.has_value());
  EXPECT_LE(*pair.sluice().events[0].recovered_s, 1.0);
  EXPECT_FALSE(pair.naive().events.at(0).recovered_s.has_value()) << "its queue is 3 s long by then";
}

TEST(SimScenarios, ARetryStormEndsWithItsCause) {
  const Pair pair = play_both("retry_storm", {{"events.0.at_s", 4}, {"events.0.for_s", 5}, {"duration_s", 16}});
  ASSERT_TRUE(pair.sluice().events.at(0).recovered_s.has_value());
  EXPECT_LE(*pair.sluice().events.at(0).recovered_s, 3.0);
  EXPECT_FALSE(pair.naive().events.at(0).recovered_s.has_value());
}

TEST(SimScenarios, OneSlowServerOfTwentyIsLeftByItsClientsBeforeTheyLosePatience) {
  const Pair pair = play_both("one_slow_of_twenty", {{"duration_s", 6}});
  const Result& lanes = pair.sluice();
  EXPECT_GE(good(lanes.total.counts), 0.99);
  EXPECT_LT(lanes.servers.at(6).good, lanes.servers.at(7).good / 2) << "the seventh is the slow one";
  EXPECT_LT(lanes.total.waiting_peak * 10, pair.naive().total.waiting_peak);
}

TEST(SimScenarios, GreedyClientsAreRefusedAndTheOthersAreNot) {
  const Pair pair = play_both("uneven_clients", {{"duration_s", 10}});
  const auto& clients = pair.sluice().clients;
  EXPECT_LT(good(clients.at(0).second), 0.75);
  EXPECT_GE(good(clients.at(1).second), 0.98);
  EXPECT_GT(clients.at(0).second.refusals[static_cast<std::size_t>(ShedReason::client_share)], 0u);
  EXPECT_LT(good(pair.naive().clients.at(1).second), 0.5);
}

TEST(SimScenarios, ADeployIsNotNoticedByClientsThatTryAgain) {
  const Pair pair = play_both("deploy_under_load", {{"servers.deploy.at_s", 4}, {"duration_s", 26}});
  const Result& lanes = pair.sluice();
  ASSERT_EQ(lanes.events.size(), 1u);
  EXPECT_GE(lanes.events[0].good_during, 0.98);
  EXPECT_TRUE(lanes.events[0].recovered_s.has_value());
  EXPECT_EQ(lanes.total.counts.failed, 0u) << "nobody loses a connection";
  EXPECT_GT(lanes.total.counts.refusals[static_cast<std::size_t>(ShedReason::draining)], 0u);
}

TEST(SimScenarios, SlowQueriesFillThePoolsShortLineAndItIsEmptyWhenTheyEnd) {
  const Pair pair = play_both("sqlite_pool", {{"events.0.at_s", 4}, {"events.0.for_s", 5}, {"duration_s", 16}});
  ASSERT_TRUE(pair.sluice().events.at(0).recovered_s.has_value());
  EXPECT_LE(*pair.sluice().events.at(0).recovered_s, 1.0);
  EXPECT_FALSE(pair.naive().events.at(0).recovered_s.has_value()) << "its line is seconds long by then";
  EXPECT_GE(good(pair.sluice().routes.at(1).counts), 0.99) << "/version asks no database";
  EXPECT_GE(good(pair.sluice().total.counts), good(pair.naive().total.counts) + 0.2);
}

TEST(SimScenarios, ASlowUpstreamIsNoticedByItsOwnRouteAndForgottenWhenItIsQuick) {
  const Pair pair = play_both("slow_upstream", {{"events.0.at_s", 4}, {"events.0.for_s", 5}, {"duration_s", 16}});
  EXPECT_GE(good(pair.sluice().routes.at(1).counts), 0.99) << "/statistics asks nobody";
  ASSERT_TRUE(pair.sluice().events.at(0).recovered_s.has_value());
  EXPECT_LE(*pair.sluice().events.at(0).recovered_s, 1.0);
  EXPECT_FALSE(pair.naive().events.at(0).recovered_s.has_value());
  EXPECT_GE(good(pair.sluice().routes.at(0).counts), good(pair.naive().routes.at(0).counts) + 0.2);
}

TEST(SimScenarios, TheSameFileGivesTheSameBytes) {
  for (const char* const name : {"retry_storm", "deploy_under_load", "uneven_clients"}) {
    const Question question = both(name, {{"duration_s", 30}});
    const std::string first = study_json(study_of(question));
    EXPECT_EQ(first, study_json(study_of(question))) << name;
    Question other = question;
    other.changes.emplace_back("seed", seed() + 1);
    EXPECT_NE(first, study_json(study_of(other))) << name;
  }
}

}  // namespace
}  // namespace sluice::sim
