// A client's deadline, in and out: it shortens what a route would give, at every station of a request's life, and never
// lengthens it; a client whose time is over is told so before anything starts; a handler hands on what is left.
#include <gtest/gtest.h>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

class Deadlines : public Stage {
 protected:
  Deadlines() { options.deadline_headers = {DeadlineHeader::grpc_timeout(), DeadlineHeader::prefer_wait()}; }

  /// On the loop: answers what it finds left of its budget, in nanoseconds. The clock stands still meanwhile.
  void add_left(RouteOptions route = {}) {
    app.get("/left", [](const Request& q) { return text(std::to_string(q.remaining().count())); }, std::move(route));
  }
  /// On the pool: takes as long as ?ms= says and remembers what was left when it began.
  void add_slow(RouteOptions route) {
    app.get("/slow", blocking([this](const Request& q) {
              ++runs;
              left_at_start = q.remaining();
              sleep(std::chrono::milliseconds{q.query<int>("ms")});
              return text("slow");
            }),
            std::move(route));
  }
  nanoseconds left(std::string_view fields) {
    return nanoseconds{std::stoll(client().get("/left", fields).last().body)};
  }
  bool until_running(std::uint64_t count) {
    return until([&] { return lane("GET /slow").in_flight == count; });
  }
  static std::uint64_t shed(const LaneCounters& c) { return c.shed[static_cast<std::size_t>(ShedReason::deadline)]; }

  static void expect_spent_on_arrival(const ClientResponse& answer) {
    EXPECT_EQ(answer.status, 504);
    EXPECT_EQ(answer.header("x-request-outcome"), "not-started");
    EXPECT_EQ(answer.header("retry-after"), "");
    EXPECT_EQ(answer.header("content-type"), "application/problem+json");
  }
  void expect_nothing_but_spent(std::string_view name, std::uint64_t count) {
    const LaneCounters c = lane(name);
    EXPECT_EQ(shed(c), count) << name;
    EXPECT_EQ(c.received, count) << name;
    EXPECT_EQ(c.started, 0u) << name;
    EXPECT_TRUE(c.balanced()) << name;
  }

  int runs = 0;
  nanoseconds left_at_start{0};
};

TEST_F(Deadlines, ShortenTheBudgetAndNeverLengthenIt) {
  add_left({.budget = 2s});
  serve();
  EXPECT_EQ(left(""), 2s);
  EXPECT_EQ(left("grpc-timeout: 250m\r\n"), 250ms);
  EXPECT_EQ(left("GRPC-Timeout:   1500u  \r\n"), 1500us);
  EXPECT_EQ(left("grpc-timeout: 3S\r\n"), 2s);
  EXPECT_EQ(left("grpc-timeout: 80000H\r\n"), 2s);
  EXPECT_EQ(left("Prefer: respond-async, wait=1\r\n"), 1s);
  EXPECT_EQ(left("Prefer: wait=1\r\ngrpc-timeout: 300m\r\n"), 300ms);
  EXPECT_EQ(left("grpc-timeout: 700m\r\ngrpc-timeout: 600m\r\n"), 600ms);
}

TEST_F(Deadlines, AreIgnoredWhereNobodyAskedForThem) {
  options.deadline_headers.clear();
  add_left();
  add_slow({.budget = 1s});
  serve();
  EXPECT_EQ(left("grpc-timeout: 250m\r\nPrefer: wait=0\r\n"), 5s);
  EXPECT_EQ(left("x-envoy-expected-rq-timeout-ms: 1\r\n"), 5s);
  EXPECT_EQ(client().get("/slow?ms=100", "grpc-timeout: 0n\r\n").last().status, 200);
}

TEST_F(Deadlines, ThatCannotBeReadAreIgnored) {
  add_left();
  serve();
  for (const char* value : {"", "0", "m", "-1m", "1s", "1.5S", "123456789m", "99999999H", "250 m", "0x1m", "soon"}) {
    EXPECT_EQ(left(std::string{"grpc-timeout: "} + value + "\r\n"), 5s) << value;
  }
  for (const char* value : {"", "wait", "wait=", "wait=-1", "wait=99999999999999999999", "wait=\"1\"", "x;wait=1"}) {
    EXPECT_EQ(left(std::string{"Prefer: "} + value + "\r\n"), 5s) << value;
  }
  EXPECT_EQ(left("grpc-timeout: junk\r\ngrpc-timeout: 40m\r\n"), 40ms);
}

TEST_F(Deadlines, ARunningHandlersClientHasIts504AtTheShortenedDeadline) {
  add_slow({.budget = 2s});
  serve();
  const base::TimePoint begin = stage->now();
  const ClientResponse answer = client().get("/slow?ms=1000", "grpc-timeout: 250m\r\n").last();
  EXPECT_GE(stage->now() - begin, 250ms);
  EXPECT_LE(stage->now() - begin, 255ms);
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.header("x-request-outcome"), "unknown");
  EXPECT_LE(left_at_start, 250ms);
  EXPECT_GE(left_at_start, 245ms);
  EXPECT_EQ(lane("GET /slow").timed_out, 1u);
  EXPECT_EQ(shed(lane("GET /slow")), 0u);
}

TEST_F(Deadlines, WorkThatAnswersLaterIsStoppedAtTheShortenedDeadline) {
  std::vector<Responder> held;
  base::TimePoint stopped{};
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  app.get("/later", [&](const Request& q, Responder r) {
    on_stop.emplace(q.stop_token(), [&] { stopped = stage->now(); });
    held.push_back(std::move(r));
  });
  serve();
  const base::TimePoint begin = stage->now();
  EXPECT_EQ(client().get("/later", "grpc-timeout: 100m\r\n").last().status, 504);
  EXPECT_GE(stopped - begin, 100ms);
  EXPECT_LE(stopped - begin, 105ms);
  EXPECT_EQ(held[0].respond(text("late")), Sent::too_late);
  on_stop.reset();
}

TEST_F(Deadlines, QueuedWorkExpiresAtAQuarterOfTheShortenedBudget) {
  add_slow({.budget = 4s, .in_flight_max = 1});
  serve();
  client().get("/slow?ms=2000");
  ASSERT_TRUE(until_running(1));
  const base::TimePoint begin = stage->now();
  const ClientResponse answer = client().get("/slow?ms=1", "grpc-timeout: 200m\r\n").last();
  EXPECT_GE(stage->now() - begin, 50ms);  // without the field it would be 100 ms
  EXPECT_LE(stage->now() - begin, 55ms);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.header("x-request-outcome"), "not-started");
  EXPECT_NE(answer.header("retry-after"), "");
  EXPECT_EQ(lane("GET /slow").expired, 1u);
  stage->run_for(3s);
  EXPECT_EQ(runs, 1);
}

TEST_F(Deadlines, WhatCannotStartInAQuarterOfTheShortenedBudgetIsRefusedAtOnce) {
  add_slow({.budget = 4s, .in_flight_max = 1});
  serve();
  EXPECT_EQ(client().get("/slow?ms=200").last().status, 200);  // now the service time is known
  client().get("/slow?ms=200");
  ASSERT_TRUE(until_running(1));
  const base::TimePoint begin = stage->now();
  EXPECT_EQ(client().get("/slow?ms=1", "grpc-timeout: 600m\r\n").last().status, 503);
  EXPECT_LE(stage->now() - begin, 5ms);
  EXPECT_EQ(lane("GET /slow").shed[static_cast<std::size_t>(ShedReason::infeasible)], 1u);
  EXPECT_EQ(client().get("/slow?ms=1").last().status, 200);  // who has the time may wait
}

TEST_F(Deadlines, TheGateBefore100ContinueKnowsTheShortenedBudget) {
  const auto wait = [](const Request& q) {
    sleep(std::chrono::milliseconds{q.query<int>("ms")});
    return text("slow");
  };
  app.lane("slow", {.in_flight_max = 1});
  app.get("/slow", blocking(wait), {.budget = 4s, .lane = "slow"});
  app.post("/slow", blocking(wait), {.budget = 4s, .lane = "slow"});
  serve();
  EXPECT_EQ(client().get("/slow?ms=200").last().status, 200);
  client().get("/slow?ms=200");
  ASSERT_TRUE(until([&] { return lane("slow").in_flight == 1; }));
  Talker& impatient = client();
  impatient.say(
      "POST /slow?ms=1 HTTP/1.1\r\nHost: h\r\ngrpc-timeout: 600m\r\nContent-Length: 5\r\n"
      "Expect: 100-continue\r\n\r\n",
      "POST");
  EXPECT_EQ(impatient.last().status, 503);
  EXPECT_EQ(impatient.received().find(" 100 "), std::string::npos);
  EXPECT_EQ(lane("slow").shed[static_cast<std::size_t>(ShedReason::infeasible)], 1u);
}

TEST_F(Deadlines, AnImpatientJobBehindPatientOnesNeverStartsLate) {
  add_slow({.budget = 4s, .in_flight_max = 1, .queue_timeout = 3s});
  serve();
  client().get("/slow?ms=500");
  ASSERT_TRUE(until_running(1));
  Talker& patient = client().get("/slow?ms=500");
  ASSERT_TRUE(until([&] { return lane("GET /slow").depth == 1; }));
  Talker& impatient = client().get("/slow?ms=1", "grpc-timeout: 700m\r\n");
  EXPECT_EQ(impatient.last().status, 503);
  EXPECT_EQ(patient.last().status, 200);
  stage->run_for(1s);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(lane("GET /slow").started_after_deadline, 0u);
}

TEST_F(Deadlines, CountFromTheCompleteRequest) {
  app.post("/left", [](const Request& q) { return text(std::to_string(q.remaining().count())); });
  serve();
  Talker& slow = client();
  slow.say("POST /left HTTP/1.1\r\nHost: h\r\ngrpc-timeout: 100m\r\nContent-Length: 4\r\n\r\nbo", "POST");
  after(1s, [&slow] { slow.say("dy"); });
  EXPECT_EQ(slow.last().body, std::to_string(nanoseconds{100ms}.count()));
}

// ---- over before it began

TEST_F(Deadlines, SpentOnArrivalIs504NotStartedInEveryStyleAndKeepsTheConnection) {
  const auto count_run = [this](const Request&) {
    ++runs;
    return text("ran");
  };
  add_left();
  add_slow({});
  app.get("/later", [count_run](const Request& q, Responder r) { r.respond(count_run(q)); });
  app.get("/health", count_run, {.criticality = Criticality::exempt});
  serve();
  Talker& talker = client();
  for (const char* target : {"/left", "/slow?ms=1", "/later", "/health"}) {
    const base::TimePoint begin = stage->now();
    expect_spent_on_arrival(talker.get(target, "grpc-timeout: 0m\r\n").last());
    EXPECT_LE(stage->now() - begin, 5ms);
    expect_spent_on_arrival(talker.get(target, "grpc-timeout: 5S\r\nPrefer: wait=0\r\n").last());
  }
  for (const char* name : {"GET /left", "GET /slow", "GET /later", "GET /health"}) expect_nothing_but_spent(name, 2);
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(talker.get("/slow?ms=1").last().status, 200);
}

TEST_F(Deadlines, SpentOnArrivalHasABodilessHeadForm) {
  add_left();
  serve();
  Talker& talker = client();
  expect_spent_on_arrival(talker.ask("HEAD", "/left", "grpc-timeout: 0m\r\n").last());
  EXPECT_TRUE(talker.received().ends_with("\r\n\r\n")) << talker.received();
  EXPECT_EQ(talker.get("/left").last().status, 200);
}

TEST_F(Deadlines, SpentOnArrivalThrowsASmallBodyAwayAndClosesBeforeALargeOne) {
  app.post("/upload", [this](const Request&) {
    ++runs;
    return text("taken");
  });
  serve();
  Talker& small = client();
  small.ask("POST", "/upload", "grpc-timeout: 0m\r\n", std::string(1000, 'b'));
  expect_spent_on_arrival(small.last());
  EXPECT_EQ(small.ask("POST", "/upload", "", "body").last().body, "taken");
  Talker& large = client();
  large.say("POST /upload HTTP/1.1\r\nHost: h\r\ngrpc-timeout: 0m\r\nContent-Length: 200000\r\n\r\n", "POST");
  expect_spent_on_arrival(large.last());
  EXPECT_EQ(large.last().header("connection"), "close");
  EXPECT_TRUE(large.ended());
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(shed(lane("POST /upload")), 2u);
}

TEST_F(Deadlines, SpentOnArrivalKeepsItsBodyWhenItWaitsFor100Continue) {
  app.post("/upload", [this](const Request&) {
    ++runs;
    return text("taken");
  });
  serve();
  Talker& talker = client();
  talker.say(
      "POST /upload HTTP/1.1\r\nHost: h\r\ngrpc-timeout: 0m\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
      "POST");
  expect_spent_on_arrival(talker.last());
  EXPECT_EQ(talker.received().find(" 100 "), std::string::npos);
  EXPECT_TRUE(talker.ended());
  expect_nothing_but_spent("POST /upload", 1);
}

TEST_F(Deadlines, SpentOnArrivalAmongPipelinedRequestsIsAnsweredInItsPlace) {
  add_left();
  serve();
  Talker& talker = client();
  talker.say("GET /left HTTP/1.1\r\nHost: h\r\n\r\n", "GET");
  talker.say("GET /left HTTP/1.1\r\nHost: h\r\ngrpc-timeout: 0m\r\n\r\n", "GET");
  talker.say("GET /left HTTP/1.1\r\nHost: h\r\n\r\n", "GET");
  EXPECT_EQ(talker.last().status, 200);
  EXPECT_EQ(talker.answer(0).status, 200);
  expect_spent_on_arrival(talker.answer(1));
  EXPECT_TRUE(lane("GET /left").balanced());
}

// ---- outbound

TEST_F(Deadlines, AHandlerHandsOnWhatIsLeftLessAMargin) {
  app.get("/call", [](const Request& q) {
    std::string said;
    for (const DeadlineHeader& header :
         {DeadlineHeader::grpc_timeout(), DeadlineHeader::envoy_expected_timeout(), DeadlineHeader::prefer_wait(),
          DeadlineHeader{"X-Patience", DeadlineHeader::Format::seconds}}) {
      const auto [name, value] = deadline_header(q, header);
      said += name + ": " + value + "\n";
    }
    return text(said);
  });
  serve();
  EXPECT_EQ(client().get("/call").last().body,  // of 5 s
            "grpc-timeout: 4750000u\nx-envoy-expected-rq-timeout-ms: 4750\nPrefer: wait=4\nX-Patience: 4\n");
  EXPECT_EQ(client().get("/call", "grpc-timeout: 50m\r\n").last().body,
            "grpc-timeout: 45000000n\nx-envoy-expected-rq-timeout-ms: 45\nPrefer: wait=0\nX-Patience: 0\n");
  EXPECT_EQ(client().get("/call", "grpc-timeout: 4m\r\n").last().body,
            "grpc-timeout: 0n\nx-envoy-expected-rq-timeout-ms: 0\nPrefer: wait=0\nX-Patience: 0\n");
}

TEST_F(Deadlines, WhatIsHandedOnShrinksWhileTheHandlerRuns) {
  std::vector<nanoseconds> seen;
  app.get("/work", blocking([&seen](const Request& q) {
            for (int i = 0; i < 4; ++i) {
              seen.push_back(downstream_budget(q));
              sleep(100ms);
            }
            return text("done");
          }));
  serve();
  EXPECT_EQ(client().get("/work", "grpc-timeout: 300m\r\n").last().status, 504);
  stage->run_for(1s);
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_NEAR(static_cast<double>(seen[0].count()), 285e6, 3e6);
  EXPECT_NEAR(static_cast<double>(seen[1].count()), 190e6, 3e6);
  EXPECT_NEAR(static_cast<double>(seen[2].count()), 95e6, 3e6);
  EXPECT_EQ(seen[3], 0ns);
}

}  // namespace
}  // namespace sluice::sim
