// What a file can say that the library of scenarios does not: adaptive limits, rate limits, shared lanes, importance,
// balancers, errors, give-up. Small files, in virtual time.
#include <gtest/gtest.h>

#include "questions.hpp"
#include "sim/model/engine.hpp"

namespace sluice::sim {
namespace {

struct Options {
  std::string arrivals = R"({"rate_per_s":100})";
  std::string routes{};
  std::string more{};  // further keys, each with its comma before it
};

Result played(const Options& options, Policy policy = Policy::sluice) {
  Question question;
  question.scenario = file_of("scenario.json", R"({"duration_s":20,"warmup_s":1,"arrivals":)" + options.arrivals +
                                                   R"(,"routes":[)" + options.routes + ']' + options.more + '}');
  question.changes = {{"seed", seed()}};
  question.policies = {policy};
  const Study study = study_of(question);
  EXPECT_TRUE(study.balanced());
  return study.runs.empty() ? Result{} : study.runs[0].result;
}

double good(const Counts& counts) { return static_cast<double>(counts.good()) / static_cast<double>(counts.offered); }
std::uint64_t shed(const PartResult& part, ShedReason reason) {
  return part.counts.refusals[static_cast<std::size_t>(reason)];
}

TEST(SimEngine, ARateLimitLetsSoManyThrough) {
  const Result result =
      played({.routes = R"({"name":"a","service":{"mean_ms":1},"rate_limit":{"per_second":25,"burst":5}})"});
  EXPECT_NEAR(static_cast<double>(result.total.counts.good()) / result.seconds, 25, 1.5);
  EXPECT_GT(shed(result.total, ShedReason::rate_limited), 0u);
}

TEST(SimEngine, AnAdaptiveLimitStaysNearTheKneeOfItsDependency) {
  const Options options{
      .arrivals = R"({"rate_per_s":2000})",
      .routes = R"({"name":"a","depends_on":"db","adaptive_limit":{"min":2,"max":64},"budget_ms":250})",
      .more = R"(,"dependencies":[{"name":"db","knee":16,"loss_per_job":0.01,"service":{"mean_ms":20}}])"};
  Options fixed = options;
  fixed.routes = R"({"name":"a","depends_on":"db","in_flight_max":64,"budget_ms":250})";
  EXPECT_GT(good(played(options).total.counts), 1.5 * good(played(fixed).total.counts));
}

TEST(SimEngine, RoutesOfOneLaneShareItsPermitsByImportance) {
  const Result result = played(
      {.arrivals = R"({"rate_per_s":600})",
       .routes =
           R"({"name":"vital","lane":"one","criticality":"critical_plus","service":{"mean_ms":20},"budget_ms":500},
                    {"name":"spare","lane":"one","criticality":"sheddable","service":{"mean_ms":20},"budget_ms":500})",
       .more = R"(,"lanes":[{"name":"one","in_flight_max":8}])"});
  // 400 a second can be done, 300 of them are vital.
  EXPECT_GE(good(result.routes.at(0).counts), 0.97);
  EXPECT_LT(good(result.routes.at(1).counts), 0.5);
  EXPECT_LE(result.total.running_peak, 8u);
}

TEST(SimEngine, WorkThatIsAnsweredLaterNeedsNoThread) {
  const Result result = played({.arrivals = R"({"rate_per_s":500})",
                                .routes = R"({"name":"a","handler":"answers_later","service":{"mean_ms":200}})",
                                .more = R"(,"pool_threads":1)"});
  EXPECT_EQ(result.total.counts.good(), result.total.counts.offered);
  EXPECT_GT(result.total.running_peak, 50u);
}

TEST(SimEngine, LanesShareTheThreadsBehindThem) {
  const Result result =
      played({.arrivals = R"({"rate_per_s":1000})",
              .routes = R"({"name":"a","service":{"mean_ms":20}},{"name":"b","service":{"mean_ms":20}})",
              .more = R"(,"pool_threads":4)"});
  EXPECT_EQ(result.total.running_peak, 4u);
}

TEST(SimEngine, AnErrorIsTheAnswerWhileItLasts) {
  const Options options{
      .routes = R"({"name":"a","depends_on":"db","service":{"mean_ms":1}},{"name":"b","service":{"mean_ms":1}})",
      .more = R"(,"dependencies":[{"name":"db","service":{"mean_ms":5}}],
                                    "events":[{"at_s":5,"for_s":5,"dependency":"db","error":true}])"};
  for (const Policy policy : {Policy::sluice, Policy::naive}) {
    const Result result = played(options, policy);
    EXPECT_NEAR(static_cast<double>(result.routes.at(0).counts.failed), 250, 60);
    EXPECT_EQ(result.routes.at(1).counts.failed, 0u);
    EXPECT_NEAR(result.events.at(0).good_during, 0.5, 0.1);
    EXPECT_EQ(result.events.at(0).recovered_s, 0.0);
  }
}

TEST(SimEngine, AStalledServerIsLeftAloneByABalancerThatCounts) {
  const auto with = [](std::string_view balancer) {
    return played({.arrivals = R"({"rate_per_s":300})",
                   .routes = R"({"name":"a","service":{"mean_ms":20},"budget_ms":300})",
                   .more = R"(,"servers":{"count":3,"balancer":")" + std::string{balancer} +
                           R"("},"events":[{"at_s":5,"for_s":10,"server":2,"stall":true}])"},
                  Policy::naive);
  };
  const Result round = with("round_robin"), least = with("least_in_flight"), random = with("random");
  EXPECT_LT(good(round.total.counts), 0.9);
  EXPECT_LT(good(random.total.counts), 0.9);
  EXPECT_GT(good(least.total.counts), 0.97);
  EXPECT_LT(least.servers.at(1).attempts, round.servers.at(1).attempts);
}

TEST(SimEngine, ServersThatAreAllDownLoseTheirCalls) {
  const Result result = played(
      {.routes = R"({"name":"a","service":{"mean_ms":20}})", .more = R"(,"servers":{"deploy":{"at_s":5,"down_s":4}})"});
  EXPECT_NEAR(static_cast<double>(result.total.counts.failed), 400, 80);
  ASSERT_EQ(result.events.size(), 1u);
  EXPECT_NEAR(result.events[0].end_s, 9.2, 0.3);
  EXPECT_EQ(result.events[0].recovered_s, 0.0);
}

TEST(SimEngine, AServerThatEndsTakesWhatItHasNotFinishedWithIt) {
  const Result result = played({.routes = R"({"name":"a","service":{"distribution":"fixed","mean_ms":4000}})",
                                .more = R"(,"servers":{"count":2,"deploy":{"at_s":5,"drain_s":1,"down_s":1}})"});
  EXPECT_GE(result.total.counts.failed, 16u) << "those that held a permit of a server that left";
}

TEST(SimEngine, AClientGivesUpAfterAllItsTriesTogether) {
  const Options options{
      .routes = R"({"name":"a","service":{"distribution":"fixed","mean_ms":1000}})",
      .more = R"(,"clients":[{"timeout_ms":200,"retries":50,"retry_delay_ms":100,"backoff":false,"give_up_ms":1000}])"};
  const Result result = played(options);
  EXPECT_EQ(result.total.counts.good(), 0u);
  const double tries =
      static_cast<double>(result.total.counts.attempts) / static_cast<double>(result.total.counts.offered);
  EXPECT_LT(tries, 11);
  EXPECT_GT(tries, 3);
}

TEST(SimEngine, ANaiveRunLastsUntilTheLastTryOfItsClients) {
  // 26 s of tries behind a call, none of which has an answer: the client leaves each of them.
  const Result result =
      played({.arrivals = R"({"rate_per_s":10})",
              .routes = R"({"name":"a","service":{"distribution":"fixed","mean_ms":600000},"in_flight_max":1})",
              .more = R"(,"clients":[{"timeout_ms":300,"retries":20,"retry_delay_ms":1000,"backoff":false}])"},
             Policy::naive);
  EXPECT_EQ(result.total.counts.fates[static_cast<std::size_t>(Fate::late)], 0u);
  EXPECT_EQ(result.total.counts.fates[static_cast<std::size_t>(Fate::gave_up)], result.total.counts.offered);
  EXPECT_EQ(result.total.counts.attempts, 21 * result.total.counts.offered);
}

TEST(SimEngine, PausesBetweenTriesStayWithinWhatTimeCanHold) {
  const Result result =
      played({.arrivals = R"({"rate_per_s":2})",
              .routes = R"({"name":"a","service":{"distribution":"fixed","mean_ms":50},"budget_ms":10})",
              .more = R"(,"clients":[{"retries":100,"retry_delay_ms":3600000}])"});
  EXPECT_EQ(result.total.counts.attempts, 101 * result.total.counts.offered);
  EXPECT_EQ(result.total.counts.timed_out, result.total.counts.attempts);
  const ClientKind kind{.retry_delay = std::chrono::minutes{1}};
  EXPECT_EQ(retry_pause(kind, 4, 1.5), std::chrono::minutes{12});
  EXPECT_EQ(retry_pause(kind, 100, 1.5), std::chrono::hours{1});
}

TEST(SimEngine, PeaksAreThoseBehindTheWarmUp) {
  const Options options{.arrivals = R"({"steps":[{"at_s":0,"rate_per_s":2000},{"at_s":5,"rate_per_s":10}]})",
                        .routes = R"({"name":"a","service":{"distribution":"fixed","mean_ms":20},"budget_ms":250})"};
  EXPECT_EQ(played(options).total.running_peak, 16u) << "those that are there when it ends count";
  Question question;
  question.scenario = file_of("late.json", R"({"duration_s":20,"warmup_s":10,"arrivals":)" + options.arrivals +
                                               R"(,"routes":[)" + options.routes + "]}");
  const PartResult total = study_of(question).runs.at(0).result.total;
  EXPECT_EQ(total.waiting_peak, 0u);
  EXPECT_EQ(total.zombies_peak, 0u);
  EXPECT_LT(total.running_peak, 8u);
}

TEST(SimEngine, RecordedSamplesAreWhatIsDrawn) {
  const Result result = played({.arrivals = R"({"rate_per_s":10})",
                                .routes = R"({"name":"a","service":{"samples_ms":[10,30]},"in_flight_max":16})"});
  EXPECT_NEAR(static_cast<double>(result.total.latency.at(0.05)) * 1e-6, 10, 0.2);
  EXPECT_NEAR(static_cast<double>(result.total.latency.at(0.95)) * 1e-6, 30, 0.5);
}

}  // namespace
}  // namespace sluice::sim
