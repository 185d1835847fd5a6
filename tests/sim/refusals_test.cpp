// What a client sees when it is refused, row by row of the table in src/README.md, and what lanes guarantee: bounds,
// permits that belong to the work, reserved and shared ones.
#include <gtest/gtest.h>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

class Refusals : public Stage {
 protected:
  /// A blocking route that takes as long as ?ms= says and counts its runs.
  void add_slow(std::string_view path, RouteOptions route) {
    app.get(path, blocking([this](const Request& q) {
              ++runs;
              sleep(std::chrono::milliseconds{q.query<int>("ms")});
              return text("slow");
            }),
            std::move(route));
  }
  void add_plain() {
    app.get("/", [](const Request&) { return text("plain"); });
  }
  void add_upload(RouteOptions route) {
    app.post("/upload", [](const Request& q) { return text(std::to_string(q.body().size())); }, std::move(route));
  }
  bool until_running(std::string_view name, std::uint64_t count) {
    return until([&] { return lane(name).in_flight == count; });
  }
  static std::uint64_t shed(const LaneCounters& c, ShedReason reason) {
    return c.shed[static_cast<std::size_t>(reason)];
  }

  static void expect_not_started(const ClientResponse& answer, int status = 503) {
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.header("x-request-outcome"), "not-started");
    const std::string after = answer.header("retry-after");
    EXPECT_TRUE(!after.empty() && std::stoi(after) >= 1 && std::stoi(after) <= 30) << after;
    EXPECT_EQ(answer.header("content-type"), "application/problem+json");
    EXPECT_NE(answer.body.find("\"status\":" + std::to_string(status)), std::string::npos) << answer.body;
  }

  int runs = 0;
};

TEST_F(Refusals, FullQueueIs503AtOnceAndKeepsTheConnection) {
  add_slow("/slow", {.in_flight_max = 1, .queue_depth_max = 1, .queue_timeout = 2s});
  serve();
  Talker& first = client().get("/slow?ms=500");
  ASSERT_TRUE(until_running("GET /slow", 1));
  Talker& second = client().get("/slow?ms=1");
  ASSERT_TRUE(until([&] { return lane("GET /slow").depth == 1; }));
  const base::TimePoint begin = stage->now();
  Talker& third = client().get("/slow?ms=1");
  expect_not_started(third.last());
  EXPECT_LE(stage->now() - begin, 5ms);
  EXPECT_EQ(shed(lane("GET /slow"), ShedReason::queue_full), 1u);
  EXPECT_EQ(first.last().status, 200);
  EXPECT_EQ(second.last().status, 200);
  EXPECT_EQ(third.get("/slow?ms=1").last().status, 200);
  EXPECT_EQ(runs, 3);
}

TEST_F(Refusals, WhatCannotStartInItsQueueTimeIsRefusedAtOnce) {
  add_slow("/slow", {.in_flight_max = 1, .queue_timeout = 150ms});
  serve();
  EXPECT_EQ(client().get("/slow?ms=200").last().status, 200);  // now the service time is known
  client().get("/slow?ms=200");
  ASSERT_TRUE(until_running("GET /slow", 1));
  const base::TimePoint begin = stage->now();
  expect_not_started(client().get("/slow?ms=1").last());
  EXPECT_LE(stage->now() - begin, 5ms);
  EXPECT_EQ(shed(lane("GET /slow"), ShedReason::infeasible), 1u);
  EXPECT_EQ(runs, 2);
}

TEST_F(Refusals, ExpiredInTheQueueIs503AndNeverRuns) {
  add_slow("/slow", {.in_flight_max = 1, .queue_timeout = 100ms});
  serve();
  client().get("/slow?ms=1000");
  ASSERT_TRUE(until_running("GET /slow", 1));
  const base::TimePoint begin = stage->now();
  Talker& waiting = client().get("/slow?ms=1");
  expect_not_started(waiting.last());
  EXPECT_GE(stage->now() - begin, 100ms);
  EXPECT_LE(stage->now() - begin, 105ms);
  EXPECT_EQ(lane("GET /slow").expired, 1u);
  stage->run_for(2s);
  EXPECT_EQ(runs, 1);
}

TEST_F(Refusals, RetryAfterFollowsTheMeasuredDrainRate) {
  add_slow("/slow", {.budget = 60s, .in_flight_max = 1, .queue_depth_max = 2, .queue_timeout = 50s});
  serve();
  EXPECT_EQ(client().get("/slow?ms=4000").last().status, 200);
  client().get("/slow?ms=4000");
  ASSERT_TRUE(until_running("GET /slow", 1));
  client().get("/slow?ms=1");
  client().get("/slow?ms=1");
  ASSERT_TRUE(until([&] { return lane("GET /slow").depth == 2; }));
  const ClientResponse refused = client().get("/slow?ms=1").last();
  expect_not_started(refused);
  EXPECT_EQ(refused.header("retry-after"), "12");  // three jobs of four seconds before it
}

TEST_F(Refusals, DrainRefusesNewRequestsAndCloses) {
  add_slow("/slow", {});
  add_plain();
  serve();
  Talker& idle = client().get("/");
  idle.last();
  Talker& busy = client().get("/slow?ms=500");
  ASSERT_TRUE(until_running("GET /slow", 1));
  stage->drain(10s);
  stage->run_for(10ms);
  const ClientResponse refused = idle.get("/").last();
  expect_not_started(refused);
  EXPECT_EQ(refused.header("connection"), "close");
  EXPECT_TRUE(idle.ended());
  EXPECT_EQ(shed(lane("GET /"), ShedReason::draining), 1u);
  const ClientResponse finished = busy.last();
  EXPECT_EQ(finished.status, 200);
  EXPECT_EQ(finished.header("connection"), "close");
}

TEST_F(Refusals, MemoryRefusesNewWorkUntilBytesAreFree) {
  options.limits.buffered_bytes_max = 64 * 1024;
  add_plain();
  add_upload({.criticality = Criticality::exempt});  // may take what others may not
  serve();
  Talker& early = client().say("GET / HTTP/1.1\r\nHost: h\r\n\r", "GET");  // its last byte comes when memory is short
  stage->run_for(10ms);
  Talker& uploader = client();
  uploader.say("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + std::string(150'000, 'b'),
               "POST");
  ASSERT_TRUE(until([&] { return stage->loop(0).blocks().bytes_in_use() > 150'000; }));
  early.say("\n");
  expect_not_started(early.last());
  EXPECT_EQ(shed(lane("GET /"), ShedReason::memory), 1u);
  // A large head is not kept either; a small one may still come together, for it could be for an exempt route.
  expect_not_started(client().say("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(6000, 'x'), "GET").last());
  uploader.net().reset();
  ASSERT_TRUE(until([&] { return stage->loop(0).blocks().bytes_in_use() == 0; }));
  EXPECT_EQ(client().get("/").last().status, 200);
}

TEST_F(Refusals, BodyThatFindsNoMemoryIs503AndGivesBackWhatItHad) {
  options.limits.buffered_bytes_max = 64 * 1024;
  add_upload({});
  serve();
  Talker& uploader = client();
  uploader.say("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + std::string(200'000, 'b'),
               "POST");
  expect_not_started(uploader.last());
  EXPECT_EQ(shed(lane("POST /upload"), ShedReason::memory), 1u);
  EXPECT_EQ(lane("POST /upload").started, 0u);
  EXPECT_TRUE(until([&] { return stage->loop(0).blocks().bytes_in_use() == 0; }));
}

TEST_F(Refusals, AConnectionAboveItsShareIs429AndOthersAreServed) {
  options.limits.connection_in_flight_max = 1;
  add_slow("/slow", {.budget = 50ms});
  serve();
  Talker& greedy = client().get("/slow?ms=1000");
  EXPECT_EQ(greedy.last().status, 504);  // its work goes on
  expect_not_started(greedy.get("/slow?ms=1").last(), 429);
  EXPECT_EQ(client().get("/slow?ms=1").last().status, 200);
  EXPECT_EQ(shed(lane("GET /slow"), ShedReason::connection_share), 1u);
  stage->run_for(1s);
  EXPECT_EQ(greedy.get("/slow?ms=1").last().status, 200);
}

TEST_F(Refusals, ASpentBudgetIs504WithinFiveMillisecondsOfIt) {
  add_slow("/slow", {.budget = 250ms});
  serve();
  const base::TimePoint begin = stage->now();
  const ClientResponse answer = client().get("/slow?ms=1000").last();
  EXPECT_GE(stage->now() - begin, 250ms);
  EXPECT_LE(stage->now() - begin, 255ms);
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.header("x-request-outcome"), "unknown");
  EXPECT_EQ(answer.header("retry-after"), "");
}

TEST_F(Refusals, AHeadThatTakesTooLongIs408HoweverItIsFed) {
  add_plain();
  serve();
  const base::TimePoint begin = stage->now();
  Talker& slow = client();
  slow.say("GET / HTTP/1.1\r\n", "GET");
  for (int second = 1; second < 30; ++second) {
    after(1s * second, [&slow] { slow.say("X-Field: 1\r\n"); });
  }
  EXPECT_EQ(slow.last().status, 408);
  EXPECT_GE(stage->now() - begin, 10s);
  EXPECT_LE(stage->now() - begin, 10s + 10ms);
  EXPECT_EQ(slow.answers()[0].header("connection"), "close");
  EXPECT_TRUE(slow.ended());
  EXPECT_EQ(tally().head_timeouts.read(), 1u);
}

class SlowBody : public Refusals {
 protected:
  Talker& upload(std::size_t bytes_per_second) {
    app.post("/upload", [](const Request&) { return text("never"); });
    options.limits.body_timeout = 20s;
    serve();
    Talker& slow = client();
    slow.say("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n", "POST");
    for (int tenth = 1; tenth < 400; ++tenth) {
      after(100ms * tenth, [&slow, bytes_per_second] { slow.say(std::string(bytes_per_second / 10, 'b')); });
    }
    begin = stage->now();
    return slow;
  }
  base::TimePoint begin;
};

TEST_F(SlowBody, BelowTheMinimumRateIs408AfterTheGrace) {
  Talker& slow = upload(100);
  EXPECT_EQ(slow.last().status, 408);
  EXPECT_GE(stage->now() - begin, 5s);
  EXPECT_LE(stage->now() - begin, 7s);
  EXPECT_EQ(slow.answers()[0].header("connection"), "close");
  EXPECT_EQ(tally().body_timeouts.read(), 1u);
}

TEST_F(SlowBody, AboveTheMinimumRateIs408AfterTheTotalTime) {
  Talker& slow = upload(400);
  EXPECT_EQ(slow.last().status, 408);
  EXPECT_GE(stage->now() - begin, 20s);
  EXPECT_LE(stage->now() - begin, 21s);
  EXPECT_EQ(tally().body_timeouts.read(), 1u);
}

TEST_F(Refusals, ASlowReaderIsResetAndCounted) {
  app.get("/big", [](const Request&) { return text(std::string(2'000'000, 'x')); });
  serve();
  stage->net().options().send_buffer_bytes = 4096;
  Talker& slow = client();
  slow.net().set_window(10'000);
  slow.get("/big");
  const base::TimePoint begin = stage->now();
  EXPECT_TRUE(slow.ended());
  EXPECT_TRUE(slow.net().saw_reset());
  EXPECT_GE(stage->now() - begin, 10s);
  EXPECT_LE(stage->now() - begin, 11s);
  EXPECT_EQ(tally().slow_readers.read(), 1u);
}

TEST_F(Refusals, ReaderThatTakesALittleNowAndThenIsNotReset) {
  app.get("/big", [](const Request&) { return text(std::string(60'000, 'x')); });
  serve();
  stage->net().options().send_buffer_bytes = 4096;
  Talker& slow = client();
  slow.net().set_window(1000);
  slow.get("/big");
  for (int i = 1; i < 20; ++i) {
    after(5s * i, [&slow] { slow.net().set_window(4000); });
  }
  EXPECT_EQ(slow.answer(0, 200s).body.size(), 60'000u);
  EXPECT_EQ(tally().slow_readers.read(), 0u);
}

// ---- who is never refused

TEST_F(Refusals, ExemptRouteOnTheLoopIsServedWithoutMemoryAndWhileDraining) {
  options.limits.buffered_bytes_max = 64 * 1024;
  add_slow("/slow", {});
  app.get("/health", [](const Request&) { return text("ok"); }, {.criticality = Criticality::exempt});
  add_upload({.criticality = Criticality::exempt});  // may take what others may not
  serve();
  Talker& prober = client().get("/health");
  prober.last();
  prober.say("GET /health HTTP/1.1\r\nHost: h\r\n\r", "GET");  // its last byte comes when memory is short
  stage->run_for(10ms);
  Talker& uploader = client();
  uploader.say("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + std::string(150'000, 'b'),
               "POST");
  ASSERT_TRUE(until([&] { return stage->loop(0).blocks().bytes_in_use() > 150'000; }));
  prober.say("\n");
  EXPECT_EQ(prober.last().status, 200);
  uploader.net().reset();
  ASSERT_TRUE(until([&] { return stage->loop(0).blocks().bytes_in_use() < 64 * 1024; }));
  client().get("/slow?ms=500");
  ASSERT_TRUE(until_running("GET /slow", 1));
  stage->drain(10s);
  stage->run_for(10ms);
  const ClientResponse answer = prober.get("/health").last();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("connection"), "close");
  EXPECT_EQ(lane("GET /health").shed_total(), 0u);
}

TEST_F(Refusals, ExemptRouteIsNeverCalledInfeasibleButItsQueueStaysBounded) {
  add_slow("/health",
           {.in_flight_max = 1, .queue_depth_max = 1, .queue_timeout = 150ms, .criticality = Criticality::exempt});
  serve();
  EXPECT_EQ(client().get("/health?ms=200").last().status, 200);
  client().get("/health?ms=100");
  ASSERT_TRUE(until_running("GET /health", 1));
  Talker& waits = client().get("/health?ms=1");
  ASSERT_TRUE(until([&] { return lane("GET /health").depth == 1; }));
  expect_not_started(client().get("/health?ms=1").last());
  EXPECT_EQ(waits.last().status, 200);
  EXPECT_EQ(shed(lane("GET /health"), ShedReason::queue_full), 1u);
  EXPECT_EQ(lane("GET /health").shed_total(), 1u);
}

// ---- permits

TEST_F(Refusals, WorkBeyondItsBudgetKeepsItsPermitAndNewWorkIsNotStarted) {
  add_slow("/slow", {.budget = 100ms, .in_flight_max = 1});
  serve();
  EXPECT_EQ(client().get("/slow?ms=3000").last().status, 504);
  EXPECT_EQ(lane("GET /slow").zombies, 1u);
  for (int i = 0; i < 5; ++i) expect_not_started(client().get("/slow?ms=1").last());
  EXPECT_EQ(lane("GET /slow").in_flight, 1u);
  EXPECT_EQ(runs, 1);
  stage->run_for(3s);
  EXPECT_EQ(lane("GET /slow").zombies, 0u);
  EXPECT_EQ(client().get("/slow?ms=1").last().status, 200);
}

TEST_F(Refusals, ReservedPermitsAreFreeForTheirLaneAlone) {
  add_slow("/own", {.in_flight_max = 2, .reserved = 2});
  add_slow("/common", {.in_flight_max = 4, .queue_timeout = 1s});
  serve();
  for (int i = 0; i < 4; ++i) client().get("/common?ms=300");
  ASSERT_TRUE(until([&] { return lane("GET /common").depth == 2; }));
  EXPECT_EQ(lane("GET /common").in_flight, 2u);  // four threads, two of them reserved
  const base::TimePoint begin = stage->now();
  Talker& one = client().get("/own?ms=10");
  Talker& two = client().get("/own?ms=10");
  EXPECT_EQ(one.last().status, 200);
  EXPECT_EQ(two.last().status, 200);
  EXPECT_LE(stage->now() - begin, 20ms);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(clients[i].last().status, 200);
}

TEST_F(Refusals, RoutesOfOneLaneShareItsPermitsAndItsCounters) {
  app.lane("db", {.in_flight_max = 1, .queue_timeout = 1s});
  add_slow("/a", {.lane = "db"});
  add_slow("/b", {.lane = "db"});
  serve();
  client().get("/a?ms=200");
  ASSERT_TRUE(until_running("db", 1));
  Talker& other = client().get("/b?ms=1");
  ASSERT_TRUE(until([&] { return lane("db").depth == 1; }));
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(other.last().status, 200);
  EXPECT_EQ(lane("db").received, 2u);
  EXPECT_EQ(lane("db").responded, 2u);
}

TEST_F(Refusals, PermitsOfARouteThatAnswersLaterNeedNoThread) {
  std::vector<Responder> held;
  app.get("/later", [&](const Request&, Responder r) { held.push_back(std::move(r)); },
          {.in_flight_max = 2, .queue_depth_max = 1, .queue_timeout = 1s});
  serve();
  for (int i = 0; i < 3; ++i) client().get("/later");
  ASSERT_TRUE(until([&] { return held.size() == 2 && lane("GET /later").depth == 1; }));
  expect_not_started(client().get("/later").last());
  EXPECT_EQ(held[0].respond(text("one")), Sent::accepted);
  ASSERT_TRUE(until([&] { return held.size() == 3; }));  // the permit was passed on
  EXPECT_EQ(lane("GET /later").in_flight, 2u);
  for (Responder& responder : held) responder.respond(text("rest"));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(clients[i].last().status, 200);
}

TEST_F(Refusals, QueueIsNeverAboveItsBoundWhateverArrives) {
  add_slow("/slow", {.budget = 1s, .in_flight_max = 2, .queue_depth_max = 5});
  serve();
  std::uint64_t deepest = 0;
  for (int i = 0; i < 100; ++i) {
    after(1ms * (i % 10), [this] { client().get("/slow?ms=10"); });
  }
  stage->run_until([&] {
    deepest = std::max(deepest, lane("GET /slow").depth);
    return stage->now() > base::TimePoint{} && lane("GET /slow").received == 100 && lane("GET /slow").depth == 0;
  });
  EXPECT_EQ(deepest, 5u);
  std::size_t served = 0;
  for (Talker& talker : clients) {
    const ClientResponse answer = talker.last();
    if (answer.status == 200) ++served;
    else expect_not_started(answer);
  }
  EXPECT_EQ(served, lane("GET /slow").responded);
  EXPECT_GE(served, 7u);
}

// ---- HEAD

struct Bodiless {
  const char* name;
  const char* target;
  const char* fields;
  int status;
};

class HeadForm : public Refusals, public ::testing::WithParamInterface<Bodiless> {};

TEST_P(HeadForm, HasTheLengthAndNoBody) {
  add_slow("/slow", {.budget = 50ms, .in_flight_max = 1, .queue_depth_max = 1});
  app.get("/throw", [](const Request&) -> Response { throw std::runtime_error{"x"}; });
  app.get("/raise", [](const Request&) -> Response { throw Problem{418}; });
  app.post("/post", [](const Request&) { return text("x"); });
  add_plain();
  serve();
  if (std::string_view{GetParam().name} == "NotStarted") {
    client().get("/slow?ms=100");
    ASSERT_TRUE(until_running("GET /slow", 1));
  }
  Talker& talker = client();
  talker.ask("HEAD", GetParam().target, GetParam().fields);
  const ClientResponse answer = talker.last();
  EXPECT_EQ(answer.status, GetParam().status);
  EXPECT_GT(std::stoi(answer.header("content-length")), 0);
  EXPECT_TRUE(talker.received().ends_with("\r\n\r\n")) << talker.received();
  if (answer.header("connection").empty()) { EXPECT_EQ(talker.get("/").last().body, "plain"); }
}

INSTANTIATE_TEST_SUITE_P(Answers, HeadForm,
                         ::testing::Values(Bodiless{"Ok", "/", "", 200}, Bodiless{"NotFound", "/none", "", 404},
                                           Bodiless{"NotAllowed", "/post", "", 405},
                                           Bodiless{"Thrown", "/throw", "", 500}, Bodiless{"Raised", "/raise", "", 418},
                                           Bodiless{"Spent", "/slow?ms=200", "", 504},
                                           Bodiless{"NotStarted", "/slow?ms=1", "", 503},
                                           Bodiless{"BadField", "/", "X : 1\r\n", 400},
                                           Bodiless{"Expectation", "/", "Expect: x\r\n", 417},
                                           Bodiless{"TooLarge", "/", "Content-Length: 99999999\r\n", 413}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace sluice::sim
