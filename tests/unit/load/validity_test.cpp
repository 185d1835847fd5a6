// validity_test.cpp: each rule of judge() on a run that breaks it, and on one that just does not.
#include "load/judge/validity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/histogram.hpp"

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Latency times(Duration usual, std::uint64_t count, Duration rare = {}, std::uint64_t rare_count = 0) {
  auto recorded = std::make_shared<base::Histogram>();
  recorded->record(static_cast<std::uint64_t>(usual.count()), count);
  recorded->record(static_cast<std::uint64_t>(rare.count()), rare_count);
  return Latency{recorded};
}

std::size_t index(Outcome outcome) { return static_cast<std::size_t>(outcome); }

/// 10,000 requests in 10 seconds, at which there is nothing to find fault with.
struct Case {
  Load load{};
  RunResult run{};

  Case() {
    load.clients.front().rate_per_s = 1000;
    run.duration_s = 10;
    run.offered_rps = run.answered_rps = run.goodput_rps = 1000;
    run.total.planned = run.total.sent = 10'000;
    run.total.classes[0].count = 10'000;
    run.total.classes[0].latency = run.total.all = times(1ms, 10'000);
    run.total.send_lag = times(10us, 10'000);
    run.total.connection_wait = times(0ns, 10'000);
  }
  /// Turns some of the 2xx into another outcome.
  void turn(Outcome outcome, std::uint64_t count) {
    run.total.classes[0].count -= count;
    run.total.classes[index(outcome)].count += count;
  }
  const RunResult& judged() {
    run.clients = {run.total};
    judge(load, run);
    return run;
  }
};

TEST(Validity, HasNothingToSayOfAGoodRun) {
  const RunResult run = Case{}.judged();
  EXPECT_TRUE(run.valid());
  EXPECT_THAT(run.warnings, IsEmpty());
  EXPECT_THAT(run.covers, IsEmpty());
  EXPECT_FALSE(run.generator.limited);
}

TEST(Validity, ForgetsWhatWasSaidBefore) {
  Case test;
  test.run.invalid = test.run.warnings = test.run.covers = {"old"};
  const RunResult& run = test.judged();
  EXPECT_THAT(run.invalid, IsEmpty());
  EXPECT_THAT(run.warnings, IsEmpty());
  EXPECT_THAT(run.covers, IsEmpty());
}

TEST(Validity, LateSendsMakeARunInvalid) {
  Case test;
  test.run.total.send_lag = times(10us, 9980, 300us, 20);
  EXPECT_THAT(test.judged().invalid,
              ElementsAre("the generator sent late: p99.9 of its own delay is 300 us, more than 200 us"));
  test.load.clients.front().rate_per_s = 0;
  EXPECT_TRUE(test.judged().valid());
}

TEST(Validity, LateSendsMatterLessWhereAnswersAreSlow) {
  Case test;
  test.run.total.send_lag = times(10us, 9980, 300us, 20);
  test.run.total.classes[0].latency = times(5ms, 10'000);
  EXPECT_TRUE(test.judged().valid());
}

TEST(Validity, RequestsLeftUnsentWithFreeConnectionsMakeItInvalid) {
  Case test;
  test.run.total.unsent = 11;
  EXPECT_THAT(test.judged().invalid, ElementsAre("the generator missed its plan: 11 of 10000 requests were not sent "
                                                 "though connections were free"));
  test.run.total.unsent = 10;
  EXPECT_TRUE(test.judged().valid());
}

TEST(Validity, RequestsThatFoundNoConnectionAreTheServersDoing) {
  Case test;
  test.run.total.unsent = 500;
  test.run.windows = {{.waiting = 200}, {.waiting = 500}};
  test.run.total.connection_wait = times(0ns, 8500, 30ms, 1000);
  EXPECT_TRUE(test.judged().valid());
  EXPECT_THAT(test.run.warnings, ElementsAre("1500 of 10000 requests found no free connection; the server never saw "
                                             "more than 64 in flight: give more connections"));
}

TEST(Validity, ConnectionsThatCouldNotBeMadeAreTheServersDoing) {
  Case test;
  test.run.total.unsent = 500;
  test.run.total.connect_failures = 3;
  EXPECT_TRUE(test.judged().valid());
}

TEST(Validity, StolenTimeMakesItInvalid) {
  Case test;
  test.run.generator.steal_ratio = 0.023;
  EXPECT_THAT(test.judged().invalid, ElementsAre("the hypervisor took 2.3 % of the machine's time, more than 1 %"));
  test.run.generator.steal_ratio = 0.01;
  EXPECT_TRUE(test.judged().valid());
}

TEST(Validity, StallsMakeItInvalidByTheirSumOrByOne) {
  Case test;
  test.run.generator.stalls = {{.from_s = 1, .to_s = 1.004}, {.from_s = 2, .to_s = 2.005}};
  EXPECT_TRUE(test.judged().valid());
  test.run.generator.stalls.push_back({.from_s = 3.2, .to_s = 3.203});
  EXPECT_THAT(test.judged().invalid, ElementsAre("the generator stood still for 12.0 ms in all: from 1.00 s to 1.00 s, "
                                                 "from 2.00 s to 2.01 s, from 3.20 s to 3.20 s"));
  test.run.duration_s = 600;
  EXPECT_TRUE(test.judged().valid());
  test.run.generator.stalls.push_back({.from_s = 4, .to_s = 4.06});
  EXPECT_FALSE(test.judged().valid());
}

TEST(Validity, NamesOnlyTheFirstOfManyStalls) {
  Case test;
  test.run.generator.stalls.assign(9, {.from_s = 1, .to_s = 1.1});
  EXPECT_THAT(test.judged().invalid.front(), HasSubstr(" and 4 times more"));
}

TEST(Validity, ABusyGeneratorLimitsAClosedLoopOnly) {
  Case test;
  test.run.generator.cpu_ratio = 0.95;
  EXPECT_FALSE(test.judged().generator.limited);
  test.load.clients.front().rate_per_s = 0;
  EXPECT_TRUE(test.judged().generator.limited);
  EXPECT_TRUE(test.run.valid());
}

TEST(Validity, WarnsOfFewRequests) {
  Case test;
  test.run.total.planned = 99;
  EXPECT_THAT(test.judged().warnings, ElementsAre("only 99 requests: too few for percentiles"));
}

TEST(Validity, WarnsOfTimesThatTcpMakes) {
  Case test;
  test.run.total.all = times(1ms, 9999, 203ms, 1);
  EXPECT_THAT(test.judged().warnings, ElementsAre("the maximum is 203 ms: close to 200 ms, it may be a retransmission "
                                                  "and not the server's work"));
  test.run.total.all = times(1ms, 199'000, 40'500us, 1000);
  EXPECT_EQ(test.judged().warnings.size(), 2U);
  EXPECT_THAT(test.run.warnings.front(), HasSubstr("p99.9 is 40.5 ms: close to 40.0 ms"));
  test.run.total.all = times(1ms, 9999, 210ms, 1);
  EXPECT_THAT(test.judged().warnings, IsEmpty());
}

TEST(Validity, TellsOfSilences) {
  Case test;
  test.run.silences = {{.from_s = 3.2, .to_s = 4.2}};
  EXPECT_THAT(test.judged().warnings, ElementsAre("no answer for 1.00 s from 3.20 s to 4.20 s: the server (or its "
                                                  "machine) stood still"));
  test.run.silences.assign(7, {.from_s = 3, .to_s = 4});
  EXPECT_EQ(test.judged().warnings.size(), 6U);
  EXPECT_EQ(test.run.warnings.back(), "no answer 2 times more");
  EXPECT_TRUE(test.run.valid());
}

TEST(Coverage, SeesLargePayloadsInEitherDirection) {
  Case up;
  up.load.clients.front().requests = {{.body = std::string(64 * 1024, 'x')}};
  EXPECT_THAT(up.judged().covers, ElementsAre("large-payload"));
  Case down;
  down.run.total.bytes_received = 10'000ULL * 64 * 1024;
  EXPECT_THAT(down.judged().covers, ElementsAre("large-payload"));
}

TEST(Coverage, SeesSlowClientsInTheBackgroundToo) {
  Case test;
  test.load.clients.emplace_back().behaviour.read_bytes_per_s = 1000;
  test.load.background = 1;
  EXPECT_THAT(test.judged().covers, ElementsAre("slow-client"));
  Case impatient;
  impatient.load.clients.front().behaviour.give_up_after = 1s;
  EXPECT_THAT(impatient.judged().covers, ElementsAre("slow-client"));
}

TEST(Coverage, SeesFailuresButNotInRefusals) {
  Case test;
  test.turn(Outcome::other, 60);
  EXPECT_THAT(test.judged().covers, IsEmpty());
  test.turn(Outcome::broken, 40);
  EXPECT_THAT(test.judged().covers, ElementsAre("failing"));
  Case refused;
  refused.turn(Outcome::shed, 499);
  EXPECT_THAT(refused.judged().covers, IsEmpty());
  refused.turn(Outcome::limited, 1);
  EXPECT_THAT(refused.judged().covers, ElementsAre("overloaded"));
}

TEST(Coverage, SeesOverloadInTheRate) {
  Case test;
  test.run.answered_rps = 949;
  EXPECT_THAT(test.judged().covers, ElementsAre("overloaded"));
}

TEST(Coverage, ListsWhatIsMissing) {
  EXPECT_THAT(missing_coverage(std::vector<std::string>{"failing", "other", "overloaded"}),
              ElementsAre("large-payload", "slow-client"));
  EXPECT_EQ(missing_coverage({}).size(), 4U);
}

}  // namespace
}  // namespace sluice::bench
