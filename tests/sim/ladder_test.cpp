// The refusal ladder on whole connections: 503s that are held back, connections that are not read for a while, and that
// neither loses an answer, keeps a client that has left, or survives a drain.
#include <gtest/gtest.h>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
using admission::Rung;

class LadderOnConnections : public Stage {
 protected:
  void serve_one_slow() {
    app.get("/slow", blocking([this](const Request& q) {
              ++runs;
              sleep(std::chrono::milliseconds{q.query<int>("ms")});
              return text("slow");
            }),
            {.in_flight_max = 1, .queue_depth_max = 1, .queue_timeout = 2s});
    app.get("/health", [](const Request&) { return text("ok"); }, {.criticality = Criticality::exempt});
    serve();
  }
  /// One runs for that long, one waits: whoever comes is refused.
  void fill(std::chrono::milliseconds time) {
    client().get("/slow?ms=" + std::to_string(time.count()));
    ASSERT_TRUE(until([&] { return lane("GET /slow").in_flight == 1; }));
    client().get("/slow?ms=1");
    ASSERT_TRUE(until([&] { return lane("GET /slow").depth == 1; }));
  }
  detail::Connection::State state_of_newest() {
    auto state = detail::Connection::State::closed;
    stage->shard(0).for_each_connection([&](detail::Connection& connection) { state = connection.state(); });
    return state;
  }

  int runs = 0;
};

TEST_F(LadderOnConnections, ADelayedRefusalComesBetween50And200MillisecondsLater) {
  serve_one_slow();
  stage->shard(0).ladder().hold(Rung::delay);
  fill(1900ms);
  Talker& talker = client();
  for (int i = 0; i < 5; ++i) {
    const base::TimePoint begin = stage->now();
    const ClientResponse refused = talker.get("/slow?ms=1").last();
    EXPECT_EQ(refused.status, 503);
    EXPECT_EQ(refused.header("x-request-outcome"), "not-started");
    EXPECT_FALSE(refused.header("retry-after").empty());
    EXPECT_GE(stage->now() - begin, 50ms);
    EXPECT_LE(stage->now() - begin, 210ms);
  }
  EXPECT_EQ(lane("GET /slow").delayed, 5u);
  EXPECT_EQ(lane("GET /slow").shed_total(), 5u);
  EXPECT_EQ(talker.get("/health").last().status, 200);  // never shed, never held back
}

TEST_F(LadderOnConnections, RequestsBehindADelayedRefusalWaitTheirTurn) {
  serve_one_slow();
  stage->shard(0).ladder().hold(Rung::delay);
  fill(1900ms);
  Talker& talker = client();
  talker.say("GET /slow?ms=1 HTTP/1.1\r\nHost: h\r\n\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n", "GET");
  talker.say("", "GET");
  const ClientResponse last = talker.last();
  EXPECT_EQ(last.status, 200);
  EXPECT_EQ(last.body, "ok");
}

TEST_F(LadderOnConnections, AClientThatLeavesMeanwhileLeavesNothingBehind) {
  serve_one_slow();
  stage->shard(0).ladder().hold(Rung::delay);
  fill(500ms);
  Talker& polite = client().get("/slow?ms=1");
  stage->run_for(10ms);
  ASSERT_EQ(lane("GET /slow").delayed, 1u);
  polite.net().close();
  Talker& rude = client().get("/slow?ms=1");
  stage->run_for(10ms);
  ASSERT_EQ(lane("GET /slow").delayed, 2u);
  rude.net().reset();
  stage->run_for(1s);
  EXPECT_EQ(stage->shard(0).connection_count(), 2u);
}

TEST_F(LadderOnConnections, ADrainAnswersWhatIsHeldBackAtOnce) {
  serve_one_slow();
  stage->shard(0).ladder().hold(Rung::delay);
  fill(500ms);
  Talker& talker = client().get("/slow?ms=1");
  stage->run_for(10ms);
  ASSERT_EQ(lane("GET /slow").delayed, 1u);
  const base::TimePoint begin = stage->now();
  stage->drain(10s);
  const ClientResponse refused = talker.last();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("connection"), "close");
  EXPECT_LE(stage->now() - begin, 10ms);
}

TEST_F(LadderOnConnections, AStopAnswersWhatIsHeldBack) {
  serve_one_slow();
  stage->shard(0).ladder().hold(Rung::delay);
  fill(20ms);
  Talker& talker = client().get("/slow?ms=1");
  stage->run_for(5ms);
  stage->stop();
  EXPECT_EQ(talker.last().status, 503);
}

TEST_F(LadderOnConnections, WhoIsRefusedAgainAndAgainIsNotReadForAWhile) {
  serve_one_slow();
  stage->shard(0).ladder().hold(Rung::pause_reads);
  fill(1900ms);
  Talker& talker = client();
  EXPECT_EQ(talker.get("/slow?ms=1").last().status, 503);
  EXPECT_EQ(state_of_newest(), detail::Connection::State::resting);
  const base::TimePoint begin = stage->now();
  EXPECT_EQ(talker.get("/health").last().status, 200);  // its turn comes
  EXPECT_GE(stage->now() - begin, 40ms);
  EXPECT_LE(stage->now() - begin, 210ms);
  EXPECT_EQ(tally().reads_paused.read(), 1u);
}

TEST_F(LadderOnConnections, AClientThatEndsWhileItIsNotReadIsLetGo) {
  serve_one_slow();
  stage->shard(0).ladder().hold(Rung::pause_reads);
  fill(1900ms);
  Talker& talker = client();
  EXPECT_EQ(talker.get("/slow?ms=1").last().status, 503);
  talker.net().close();
  EXPECT_TRUE(until([&] { return stage->shard(0).connection_count() == 2; }));
}

TEST_F(LadderOnConnections, HoldsNothingBackWhereConnectionsAreShort) {
  options.limits.connections_max = 4;
  serve_one_slow();
  stage->shard(0).ladder().hold(Rung::delay);
  fill(500ms);
  client();
  Talker& talker = client();
  stage->run_for(5ms);
  const base::TimePoint begin = stage->now();
  EXPECT_EQ(talker.get("/slow?ms=1").last().status, 503);
  EXPECT_LE(stage->now() - begin, 10ms);
  EXPECT_EQ(lane("GET /slow").delayed, 0u);
}

TEST_F(LadderOnConnections, PausesAcceptingEveryOtherWindowSoThatHealthGetsIn) {
  serve_one_slow();
  stage->shard(0).ladder().hold(Rung::pause_accept);
  fill(1900ms);
  Talker& flood = client();
  for (int i = 0; i < 6; ++i) {
    flood.get("/slow?ms=1").last();
    const base::TimePoint begin = stage->now();
    EXPECT_EQ(client().get("/health").last().status, 200);
    EXPECT_LE(stage->now() - begin, 250ms);
  }
  EXPECT_GT(tally().accepts_paused.read(), 0u);
}

}  // namespace
}  // namespace sluice::sim
