// Draining and stopping in virtual time: what is finished, what is cut, when, and that nothing stays behind.
#include <gtest/gtest.h>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

class Lifecycle : public Stage {
 protected:
  Lifecycle() {
    app.get("/", [](const Request&) { return text("plain"); });
    app.get("/slow", blocking([this](const Request& q) {
              ++runs;
              left = q.remaining();
              token = q.stop_token();
              sleep(std::chrono::milliseconds{q.query<int>("ms")});
              left_at_end = q.remaining();
              return text("slow");
            }),
            {.budget = 20s, .in_flight_max = 2, .queue_timeout = 10s});
  }
  bool until_running(std::uint64_t count) {
    return until([&] { return lane("GET /slow").in_flight == count; });
  }
  bool until_over() {
    return until([&] { return stage->over(); });
  }
  std::uint64_t finished() { return tally().drain_finished.read(); }
  std::uint64_t cut() { return tally().drain_cut.read(); }

  int runs = 0;
  std::chrono::nanoseconds left{}, left_at_end{};
  std::stop_token token;
};

TEST_F(Lifecycle, DrainWithNobodyThereEndsAtOnce) {
  serve();
  stage->run_for(1s);
  const base::TimePoint begin = stage->now();
  stage->drain(10s);
  ASSERT_TRUE(until_over());
  EXPECT_EQ(stage->now(), begin);
}

TEST_F(Lifecycle, DrainFinishesWhatIsInProgressAndReportsIt) {
  serve();
  Talker& one = client().get("/slow?ms=300");
  Talker& two = client().get("/slow?ms=500");
  Talker& queued = client().get("/slow?ms=100");
  ASSERT_TRUE(until([&] { return lane("GET /slow").depth == 1 && lane("GET /slow").in_flight == 2; }));
  stage->drain(10s);
  for (Talker* talker : {&one, &two, &queued}) {
    const ClientResponse answer = talker->last();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("connection"), "close");
    EXPECT_TRUE(talker->ended());
    EXPECT_FALSE(talker->net().saw_reset());
    talker->net().close();
  }
  ASSERT_TRUE(until_over());
  EXPECT_EQ(finished(), 3u);
  EXPECT_EQ(cut(), 0u);
}

TEST_F(Lifecycle, DrainClosesIdleConnectionsAfterAShortGrace) {
  serve();
  Talker& idle = client().get("/");
  idle.last();
  const base::TimePoint begin = stage->now();
  stage->drain(10s);
  ASSERT_TRUE(idle.ended());
  EXPECT_GE(stage->now() - begin, 99ms);
  EXPECT_LE(stage->now() - begin, 105ms);
  EXPECT_FALSE(idle.net().saw_reset());
  ASSERT_TRUE(until_over());
}

TEST_F(Lifecycle, DrainRefusesNewConnections) {
  serve();
  client().get("/slow?ms=500");
  ASSERT_TRUE(until_running(1));
  stage->drain(10s);
  stage->run_for(10ms);
  Talker& late = client();
  EXPECT_TRUE(late.ended(1s));
  EXPECT_TRUE(late.net().saw_reset());
  EXPECT_EQ(clients[0].last().status, 200);
}

TEST_F(Lifecycle, DrainMovesTheDeadlineOfRunningWorkForward) {
  serve();
  client().get("/slow?ms=300");
  ASSERT_TRUE(until_running(1));
  EXPECT_GT(left, 19s);
  stage->drain(1s);
  ASSERT_TRUE(until([&] { return left_at_end != 0ns; }));
  EXPECT_LT(left_at_end, 800ms);
}

TEST_F(Lifecycle, DrainCutsAtItsDeadline) {
  serve();
  Talker& one = client().get("/slow?ms=5000");
  ASSERT_TRUE(until_running(1));
  const base::TimePoint begin = stage->now();
  stage->drain(1s);
  EXPECT_TRUE(one.ended());
  EXPECT_GE(stage->now() - begin, 1s);
  EXPECT_LE(stage->now() - begin, 1100ms);
  EXPECT_TRUE(until([&] { return token.stop_requested(); }));
  ASSERT_TRUE(until_over());
  EXPECT_LE(stage->now() - begin, 1200ms);
  EXPECT_EQ(finished() + cut(), 1u);
  // It has its 504, or nothing; never half an answer.
  for (const ClientResponse& answer : one.answers()) {
    EXPECT_TRUE(answer.complete);
    EXPECT_EQ(answer.status, 504);
  }
}

TEST_F(Lifecycle, WhatStillWaitsAtTheDrainsDeadlineIs503AndNeverRuns) {
  serve();
  client().get("/slow?ms=5000");
  client().get("/slow?ms=5000");
  ASSERT_TRUE(until_running(2));
  Talker& queued = client().get("/slow?ms=1");
  ASSERT_TRUE(until([&] { return lane("GET /slow").depth == 1; }));
  stage->drain(1s);
  const ClientResponse answer = queued.last();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.header("x-request-outcome"), "not-started");
  EXPECT_EQ(answer.header("connection"), "close");
  ASSERT_TRUE(until_over());
  stage->run_for(10s);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(lane("GET /slow").drained + lane("GET /slow").expired, 1u);
}

TEST_F(Lifecycle, ASecondDrainMayOnlyShortenTheFirst) {
  serve();
  client().get("/slow?ms=15000");
  ASSERT_TRUE(until_running(1));
  const base::TimePoint begin = stage->now();
  stage->drain(10s);
  stage->run_for(100ms);
  stage->drain(1s);
  stage->run_for(100ms);
  stage->drain(20s);
  ASSERT_TRUE(until_over());
  EXPECT_LE(stage->now() - begin, 1300ms);
}

TEST_F(Lifecycle, StopEndsEverythingWithoutWaiting) {
  serve();
  Talker& idle = client().get("/");
  idle.last();
  Talker& busy = client().get("/slow?ms=5000");
  ASSERT_TRUE(until_running(1));
  const base::TimePoint begin = stage->now();
  stage->stop();
  ASSERT_TRUE(until_over());
  EXPECT_LE(stage->now() - begin, 100ms);
  EXPECT_TRUE(idle.ended());
  EXPECT_TRUE(busy.ended());
  EXPECT_EQ(finished() + cut(), 1u);
}

TEST_F(Lifecycle, PipelinedRequestsBehindTheOneInProgressAreRefusedByADrain) {
  serve();
  Talker& talker = client().get("/slow?ms=300");
  talker.get("/");
  ASSERT_TRUE(until_running(1));
  stage->run_for(10ms);
  stage->drain(10s);
  ASSERT_TRUE(talker.ended());
  const auto answers = talker.answers();
  ASSERT_EQ(answers.size(), 1u);  // it says close: the client knows that the second was not looked at
  EXPECT_EQ(answers[0].body, "slow");
  EXPECT_EQ(answers[0].header("connection"), "close");
}

TEST_F(Lifecycle, SeveralLoopsDrainTogether) {
  options.loops = 3;
  serve();
  for (int i = 0; i < 12; ++i) client().get("/").last();
  stage->drain(10s);
  for (Talker& talker : clients) EXPECT_TRUE(talker.ended());
  ASSERT_TRUE(until_over());
}

TEST_F(Lifecycle, AClientThatReadsNothingCannotHoldADrain) {
  app.get("/big", [](const Request&) { return text(std::string(500'000, 'x')); });
  serve();
  stage->net().options().send_buffer_bytes = 4096;
  Talker& stuck = client();
  stuck.net().set_window(0);
  stuck.get("/big");
  ASSERT_TRUE(until([&] { return lane("GET /big").responded == 1; }));
  const base::TimePoint begin = stage->now();
  stage->drain(2s);
  ASSERT_TRUE(until_over());
  EXPECT_LE(stage->now() - begin, 2200ms);
}

TEST_F(Lifecycle, AnswersOnTheirWayAreNotCutByADrain) {
  app.get("/big", [](const Request&) { return text(std::string(500'000, 'x')); });
  serve();
  stage->net().options().send_buffer_bytes = 4096;
  stage->net().options().delay_max = 10ms;
  Talker& reader = client().get("/big");
  ASSERT_TRUE(until([&] { return reader.received().size() > 1000; }));
  stage->drain(30s);
  EXPECT_EQ(reader.last().body.size(), 500'000u);
}

}  // namespace
}  // namespace sluice::sim
