// What lanes, pools, criticalities, client shares and rate limits promise to those who use them, on whole servers.
#include <gtest/gtest.h>

#include <stdexcept>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

class Bulkheads : public Stage {
 protected:
  Handler sleeper() {
    return blocking([this](const Request& q) {
      ++runs[std::string{q.route()}];
      order += q.route();
      sleep(std::chrono::milliseconds{q.query<int>("ms")});
      return text("slept");
    });
  }
  std::uint64_t shed(std::string_view name, ShedReason reason) {
    return lane(name).shed[static_cast<std::size_t>(reason)];
  }
  bool until_running(std::string_view name, std::uint64_t count) {
    return until([&] { return lane(name).in_flight == count; });
  }

  std::map<std::string, int> runs;
  std::string order;
};

TEST_F(Bulkheads, TwoStalledRoutesCannotTakeAThirdOnesReservedPermits) {
  app.get("/a", sleeper(), {.budget = 200ms, .in_flight_max = 4});
  app.get("/b", sleeper(), {.budget = 200ms, .in_flight_max = 4});
  app.get("/c", sleeper(), {.in_flight_max = 2, .reserved = 2});
  serve();
  for (int i = 0; i < 8; ++i) client().get(i % 2 == 0 ? "/a?ms=20000" : "/b?ms=20000");
  ASSERT_TRUE(until([&] { return lane("GET /a").in_flight + lane("GET /b").in_flight == 2; }));
  stage->run_for(1s);  // their clients have their answers, the work goes on
  EXPECT_EQ(lane("GET /a").zombies + lane("GET /b").zombies, 2u);
  for (int i = 0; i < 10; ++i) {
    const base::TimePoint begin = stage->now();
    EXPECT_EQ(client().get("/c?ms=10").last().status, 200);
    EXPECT_LE(stage->now() - begin, 12ms);
  }
}

TEST_F(Bulkheads, ANamedPoolHasThreadsOfItsOwn) {
  app.pool("cpu", {.threads = 1});
  app.get("/waits", sleeper());
  app.get("/computes", sleeper(), {.pool = "cpu"});
  serve();
  for (int i = 0; i < 4; ++i) client().get("/waits?ms=5000");
  ASSERT_TRUE(until_running("GET /waits", 4));  // all of the server's own
  EXPECT_EQ(client().get("/computes?ms=10").last().status, 200);
  client().get("/computes?ms=100");
  ASSERT_TRUE(until_running("GET /computes", 1));
  Talker& second = client().get("/computes?ms=10");
  stage->run_for(50ms);
  EXPECT_EQ(lane("GET /computes").depth, 1u);
  EXPECT_EQ(lane("GET /computes").limit, 1u);
  EXPECT_EQ(second.last().status, 200);
}

TEST_F(Bulkheads, RoutesOfOneLaneShareItsPermitsByImportance) {
  app.lane("shared", {.in_flight_max = 1, .queue_depth_max = 2, .queue_timeout = 2s});
  app.get("/low", sleeper(), {.budget = 10s, .criticality = Criticality::sheddable, .lane = "shared"});
  app.get("/high", sleeper(), {.budget = 10s, .criticality = Criticality::critical_plus, .lane = "shared"});
  serve();
  client().get("/low?ms=300");
  ASSERT_TRUE(until_running("shared", 1));
  Talker& first = client().get("/low?ms=1");
  ASSERT_TRUE(until([&] { return lane("shared").depth == 1; }));
  Talker& second = client().get("/low?ms=1");
  ASSERT_TRUE(until([&] { return lane("shared").depth == 2; }));
  Talker& high = client().get("/high?ms=50");
  const ClientResponse evicted = first.last();  // made room
  EXPECT_EQ(evicted.status, 503);
  EXPECT_EQ(evicted.header("x-request-outcome"), "not-started");
  EXPECT_EQ(lane("shared").evicted, 1u);
  EXPECT_EQ(high.last().status, 200);
  EXPECT_EQ(second.last().status, 200);
  EXPECT_EQ(order, "/low/high/low");
}

TEST_F(Bulkheads, AClientOverItsShareIs429AndOthersAreServed) {
  options.client_key = [](const Request& q) { return std::string{q.header("x-key")}; };
  app.get("/slow", sleeper(), {.in_flight_max = 4, .client_share = 0.5});
  serve();
  for (int i = 0; i < 2; ++i) client().get("/slow?ms=500", "X-Key: greedy\r\n");
  ASSERT_TRUE(until_running("GET /slow", 2));
  const ClientResponse refused = client().get("/slow?ms=1", "X-Key: greedy\r\n").last();
  EXPECT_EQ(refused.status, 429);
  EXPECT_FALSE(refused.header("retry-after").empty());
  EXPECT_EQ(shed("GET /slow", ShedReason::client_share), 1u);
  EXPECT_EQ(client().get("/slow?ms=1", "X-Key: polite\r\n").last().status, 200);
  EXPECT_EQ(client().get("/slow?ms=1").last().status, 200);  // by its address
  stage->run_for(1s);
  EXPECT_EQ(client().get("/slow?ms=1", "X-Key: greedy\r\n").last().status, 200);
}

TEST_F(Bulkheads, AKeyFunctionThatThrowsCountsAsNone) {
  options.client_key = [](const Request&) -> std::string { throw std::runtime_error{"no key"}; };
  app.get("/slow", sleeper(), {.in_flight_max = 4, .client_share = 1.0});
  serve();
  EXPECT_EQ(client().get("/slow?ms=1").last().status, 200);
  ASSERT_FALSE(log.empty());
  EXPECT_EQ(log.back().what, "client_key_threw");
}

TEST_F(Bulkheads, ARateAboveTheLimitIs429WithTheTimeToWait) {
  app.get("/", [](const Request&) { return text("x"); }, {.rate_limit = RateLimit{.per_second = 0.5, .burst = 3}});
  serve();
  Talker& talker = client();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(talker.get("/").last().status, 200);
  const ClientResponse refused = talker.get("/").last();
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("retry-after"), "2");
  EXPECT_EQ(shed("GET /", ShedReason::rate_limited), 1u);
  stage->run_for(2s);
  EXPECT_EQ(talker.get("/").last().status, 200);
  EXPECT_TRUE(lane("GET /").balanced());
}

class OnShed : public Bulkheads {
 protected:
  void serve_degrading(std::function<Response(const Request&, ShedReason)> on_shed) {
    app.get("/slow", sleeper(),
            {.in_flight_max = 1, .queue_depth_max = 1, .queue_timeout = 100ms, .on_shed = std::move(on_shed)});
    serve();
    client().get("/slow?ms=1000");
    EXPECT_TRUE(until_running("GET /slow", 1));
  }
};

TEST_F(OnShed, GivesADegradedAnswerAtTheGateAndWhereTheWaitIsOver) {
  std::vector<ShedReason> reasons;
  serve_degrading([&](const Request& q, ShedReason reason) {
    reasons.push_back(reason);
    return text("cached " + std::string{q.query("ms")});
  });
  Talker& waiting = client().get("/slow?ms=7");
  ASSERT_TRUE(until([&] { return lane("GET /slow").depth == 1; }));
  Talker& refused = client();
  const ClientResponse at_gate = refused.get("/slow?ms=8").last();
  EXPECT_EQ(at_gate.status, 200);
  EXPECT_EQ(at_gate.body, "cached 8");
  EXPECT_EQ(waiting.last().body, "cached 7");
  EXPECT_EQ(reasons, (std::vector{ShedReason::queue_full, ShedReason::infeasible}));
  const LaneCounters counters = lane("GET /slow");
  EXPECT_EQ(counters.degraded, 2u);
  EXPECT_EQ(counters.shed_total(), 1u);
  EXPECT_EQ(counters.expired, 1u);
  EXPECT_EQ(refused.get("/slow?ms=9").last().status, 200);  // the connection goes on
}

TEST_F(OnShed, OneThatThrowsLeavesThePlain503) {
  serve_degrading([](const Request&, ShedReason) -> Response { throw std::runtime_error{"empty cache"}; });
  client().get("/slow?ms=1");
  ASSERT_TRUE(until([&] { return lane("GET /slow").depth == 1; }));
  EXPECT_EQ(client().get("/slow?ms=1").last().status, 503);
  EXPECT_EQ(lane("GET /slow").degraded, 0u);
  ASSERT_FALSE(log.empty());
  EXPECT_EQ(log.back().what, "on_shed_threw");
}

TEST_F(OnShed, AClientThatLeavesBeforeTheDegradedAnswerLeavesNothingBehind) {
  serve_degrading([](const Request&, ShedReason) { return text("cached"); });
  Talker& waiting = client().get("/slow?ms=1");
  ASSERT_TRUE(until([&] { return lane("GET /slow").depth == 1; }));
  after(99ms, [&] { waiting.net().reset(); });
  stage->run_for(2s);
  EXPECT_TRUE(lane("GET /slow").balanced());
}

TEST_F(Bulkheads, ZombiesAreListedWithRouteAndAgeAndStallTheLane) {
  app.get("/slow/{id}", sleeper(), {.budget = 100ms, .in_flight_max = 2, .readiness = true});
  app.get("/fine", sleeper());
  serve();
  for (int i = 0; i < 2; ++i) client().get("/slow/7?ms=3000");
  client().get("/fine?ms=2500");
  ASSERT_TRUE(until_running("GET /slow/{id}", 2));
  EXPECT_EQ(stage->core().stalled_lane(), "");
  stage->run_for(1s);
  const auto running = stage->core().running();
  ASSERT_EQ(running.size(), 3u);
  unsigned zombies = 0;
  for (const RunningWork& work : running) {
    EXPECT_NEAR(static_cast<double>(work.age.count()), 1000, 20);
    zombies += work.zombie;
    EXPECT_EQ(work.zombie, work.route == "GET /slow/{id}") << work.route;
    EXPECT_EQ(work.lane, work.route);
  }
  EXPECT_EQ(zombies, 2u);
  EXPECT_EQ(stage->core().stalled_lane(), "GET /slow/{id}");
  const LaneCounters stalled = lane("GET /slow/{id}");
  EXPECT_EQ(stalled.stalled, 1u);
  EXPECT_NEAR(static_cast<double>(stalled.oldest_zombie_ms), 1000, 20);
  const base::TimePoint begin = stage->now();
  EXPECT_EQ(client().get("/slow/7?ms=1").last().status, 503);
  EXPECT_LE(stage->now() - begin, 10ms);
  stage->run_for(3s);
  EXPECT_EQ(lane("GET /slow/{id}").stalled, 0u);
  EXPECT_EQ(stage->core().stalled_lane(), "");
  EXPECT_TRUE(stage->core().running().empty());
}

// 16 permits of 20 ms make 800 a second; ten times as much comes for two seconds.
TEST_F(Bulkheads, StaysAtCapacityUnderTenTimesTheLoad) {
  options.pool_threads = 16;
  app.get("/work", sleeper(), {.budget = 250ms});
  serve();
  std::uint64_t asked = 0;
  std::function<void()> ask = [&] {
    Talker& talker = client().get("/work?ms=20");
    after(300ms, [&talker] { talker.net().close(); });
    if (++asked < 16'000) after(125us, ask);
  };
  ask();
  stage->run_for(200ms);
  const std::uint64_t begin = lane("GET /work").responded;
  stage->run_for(1500ms);
  const LaneCounters counters = lane("GET /work");
  EXPECT_GE(counters.responded - begin, 1200 * 95 / 100);
  EXPECT_EQ(counters.started_after_deadline, 0u);
  EXPECT_LE(counters.depth, 256u);
  EXPECT_EQ(counters.overloaded, 1u);
  EXPECT_EQ(counters.mode_changes, 1u);
  stage->run_for(3s);
  EXPECT_TRUE(lane("GET /work").balanced());
  EXPECT_EQ(client().get("/work?ms=20").last().status, 200);
}

}  // namespace
}  // namespace sluice::sim
