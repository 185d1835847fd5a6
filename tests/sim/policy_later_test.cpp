// Calls to a dependency from handlers that answer later, in virtual time: no thread waits, neither for a permit nor in
// a pause nor for an answer, and every call ends exactly once, whatever becomes of its loop.
#include <gtest/gtest.h>

#include <sluice/extra/policy.hpp>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using Text = std::string;

class LaterCalls : public Stage {
 protected:
  using Start = std::function<void(const Attempt&, Reply<Text>)>;
  /// A route that answers with what its call ends with.
  void add(std::string path, const Policy& policy, Start start, RouteOptions route = {}) {
    app.get(
        path,
        [this, policy, start](const Request& q, Responder responder) {
          with_policy_later<Text>(policy, q,
                                  {.start = start, .done = [this, r = std::move(responder)](auto result) mutable {
                                     ++ended;
                                     r.respond(text(result ? *result : Text{to_string(result.error().reason)}));
                                   }});
        },
        std::move(route));
  }
  /// A dependency that answers after that time, without a thread.
  Start answers_after(nanoseconds time) {
    return [this, time](const Attempt&, Reply<Text> reply) {
      after(time, [held = std::make_shared<Reply<Text>>(std::move(reply))] { held->succeed("answered"); });
    };
  }
  void expect_quiet(const Dependency& dependency) {
    const DependencyCounters c = dependency.counters();
    EXPECT_TRUE(c.balanced());
    EXPECT_EQ(c.active, 0u);
    EXPECT_EQ(c.running, 0u);
    EXPECT_EQ(c.late, c.attempts_timed_out);
    EXPECT_EQ(c.bulkhead.in_flight, 0u);
    EXPECT_EQ(c.bulkhead.waiting, 0u);
  }

  int ended = 0;
};

TEST_F(LaterCalls, TenThousandWaitWithoutAThread) {
  Dependency upstream{{.name = "upstream", .bulkhead = {.in_flight_max = 10'000}}};
  add("/", {.dependency = upstream}, answers_after(500ms));
  serve();
  for (int i = 0; i < 1000; ++i) {
    Talker& talker = client();
    for (int k = 0; k < 10; ++k) talker.get("/");
  }
  for (Talker& talker : clients) EXPECT_EQ(talker.last().body, "answered");
  EXPECT_EQ(ended, 10'000);
  EXPECT_EQ(upstream.counters().succeeded, 10'000u);
  expect_quiet(upstream);
}

TEST_F(LaterCalls, AnAttemptThatIsNotAnsweredTimesOutAndItsReplyIsLate) {
  Dependency upstream{{.name = "upstream"}};
  std::vector<nanoseconds> left;
  std::optional<bool> late;
  std::shared_ptr<Reply<Text>> first;
  add("/", {.dependency = upstream, .timeout = 100ms, .attempts = 2, .backoff = {.base = 0ns}},
      [&](const Attempt& attempt, Reply<Text> reply) {
        left.push_back(attempt.remaining());
        if (attempt.number() == 1) first = std::make_shared<Reply<Text>>(std::move(reply));
        else reply.succeed("the second");
      });
  serve();
  const base::TimePoint begin = stage->now();
  EXPECT_EQ(client().get("/").last().body, "the second");
  EXPECT_GE(stage->now() - begin, 100ms);
  EXPECT_LE(stage->now() - begin, 102ms);
  EXPECT_EQ(left, (std::vector<nanoseconds>{100ms, 100ms}));
  EXPECT_EQ(upstream.counters().attempts_timed_out, 1u);
  EXPECT_EQ(upstream.counters().bulkhead.in_flight, 1u) << "whose work goes on keeps its permit";
  late = first->succeed("too late");
  EXPECT_EQ(late, false);
  EXPECT_EQ(first->succeed("again"), false);
  EXPECT_EQ(ended, 1);
  expect_quiet(upstream);
}

TEST_F(LaterCalls, WaitForAPermitInTurnAndNoLongerThanTheyMay) {
  Dependency database{{.name = "database", .bulkhead = {.in_flight_max = 1, .waiting_max = 2, .wait_max = 150ms}}};
  add("/", {.dependency = database}, answers_after(100ms));
  serve();
  Talker* talkers[4];
  for (Talker*& talker : talkers) {
    talker = &client();
    talker->get("/");
    stage->run_for(1ms);
  }
  EXPECT_EQ(talkers[3]->last().body, "full");
  EXPECT_EQ(talkers[0]->last().body, "answered");
  EXPECT_EQ(talkers[2]->last().body, "timed_out");
  EXPECT_EQ(talkers[1]->last().body, "answered");
  EXPECT_EQ(ended, 4);
  expect_quiet(database);
}

TEST_F(LaterCalls, PausesPassOnTheLoopWithinTheBudget) {
  Dependency upstream{{.name = "upstream", .seed = 5}};
  std::vector<base::TimePoint> begins;
  add("/", {.dependency = upstream, .attempts = 100, .backoff = {.base = 100ms, .max = 100ms}},
      [&](const Attempt&, Reply<Text> reply) {
        begins.push_back(stage->now());
        reply.fail(Problem{503});
      },
      {.budget = 1s});
  serve();
  const base::TimePoint begin = stage->now();
  const Text body = client().get("/").last().body;
  EXPECT_TRUE(body == "budget_spent" || body == "retry_budget_empty") << body;
  EXPECT_LE(stage->now() - begin, 950ms);
  EXPECT_GT(upstream.counters().slept, 0ns);
  EXPECT_GE(stage->now() - begin, upstream.counters().slept - 100ms) << "but for the last one, which may be cut";
  ASSERT_GT(begins.size(), 3u);
  for (std::size_t i = 1; i < begins.size(); ++i) EXPECT_LE(begins[i] - begins[i - 1], 102ms);
  expect_quiet(upstream);
}

TEST_F(LaterCalls, ADroppedReplyAndAStartThatThrowsAreFailedAttempts) {
  Dependency upstream{{.name = "upstream"}};
  std::vector<int> statuses;
  std::shared_ptr<Reply<Text>> kept;
  const Policy policy{
      .dependency = upstream, .attempts = 3, .backoff = {.base = 0ns}, .retry_if = [&](const AttemptError& e) {
        statuses.push_back(e.as<Problem>() != nullptr ? e.as<Problem>()->status() : 0);
        return true;
      }};
  add("/", policy, [&](const Attempt& attempt, Reply<Text> reply) {
    if (attempt.number() == 1) return;
    if (attempt.number() == 2) {
      kept = std::make_shared<Reply<Text>>(std::move(reply));
      throw Problem{502};
    }
    throw std::runtime_error{"no upstream"};
  });
  serve();
  EXPECT_EQ(client().get("/").last().body, "attempts_used_up");
  EXPECT_EQ(statuses, (std::vector<int>{500, 502, 500}));
  EXPECT_FALSE(kept->succeed("too late"));
  expect_quiet(upstream);
}

TEST_F(LaterCalls, FallBackToAnOlderValue) {
  Dependency upstream{{.name = "upstream"}};
  app.get("/", [&](const Request& q, Responder responder) {
    with_policy_later<Text>({.dependency = upstream}, q,
                            {.start = [](const Attempt&, Reply<Text> reply) { reply.fail(Problem{503}); },
                             .done = [r = std::move(responder)](auto result) mutable { r.respond(text(*result)); },
                             .fallback = [](const PolicyError&) { return Text{"yesterday's"}; }});
  });
  serve();
  EXPECT_EQ(client().get("/").last().body, "yesterday's");
  EXPECT_EQ(upstream.counters().fallbacks, 1u);
  EXPECT_EQ(upstream.counters().failed_for(PolicyFailure::attempts_used_up), 1u);
  expect_quiet(upstream);
}

TEST_F(LaterCalls, WhatDoneThrowsOnTheLoopIsLoggedAndTheClientIsTold) {
  Dependency upstream{{.name = "upstream"}};
  app.get("/", [&](const Request& q, Responder responder) {
    with_policy_later<Text>({.dependency = upstream, .timeout = 50ms}, q,
                            {.start = [held = std::make_shared<std::vector<Reply<Text>>>()](
                                          const Attempt&, Reply<Text> reply) { held->push_back(std::move(reply)); },
                             .done = [r = std::move(responder)](auto) { throw std::runtime_error{"oh"}; }});
  });
  serve();
  EXPECT_EQ(client().get("/").last().status, 500);
  ASSERT_FALSE(log.empty());
  EXPECT_EQ(log[0].what, "callback_threw");
  EXPECT_EQ(log[0].detail, "oh");
}

TEST_F(LaterCalls, ABulkheadAloneCallsBackOnceWithAPermitOrWithout) {
  Bulkhead bulkhead{{.name = "slots", .in_flight_max = 1, .waiting_max = 1, .wait_max = 100ms}};
  std::vector<Bulkhead::Permit> permits;
  app.get("/", [&](const Request& q, Responder responder) {
    bulkhead.enter(q, [&, r = std::move(responder)](Bulkhead::Result result) mutable {
      ++ended;
      r.respond(text(result ? "entered" : Text{to_string(result.error())}));
      if (result) permits.push_back(*std::move(result));
    });
  });
  serve();
  EXPECT_EQ(client().get("/").last().body, "entered");
  Talker& waiting = client().get("/");
  ASSERT_TRUE(until([&] { return bulkhead.counters().waiting == 1; }));
  EXPECT_EQ(client().get("/").last().body, "full");
  permits.clear();
  EXPECT_EQ(waiting.last().body, "entered");
  const base::TimePoint begin = stage->now();
  EXPECT_EQ(client().get("/").last().body, "timed_out");
  EXPECT_GE(stage->now() - begin, 100ms);
  EXPECT_LE(stage->now() - begin, 102ms);
  EXPECT_EQ(ended, 4);
  permits.clear();
  EXPECT_TRUE(bulkhead.counters().balanced());
  EXPECT_EQ(bulkhead.counters().in_flight, 0u);
}

TEST_F(LaterCalls, ThreadsAndCallbacksWaitInOneLine) {
  Bulkhead bulkhead{{.name = "slots", .in_flight_max = 1, .waiting_max = 4, .wait_max = 5s}};
  std::vector<int> order;
  app.get("/later", [&](const Request& q, Responder responder) {
    bulkhead.enter(q, [&, r = std::move(responder)](Bulkhead::Result result) mutable {
      order.push_back(result ? 1 : 0);
      r.respond(text("later"));
    });
  });
  app.get("/blocks", blocking([&](const Request& q) {
            const auto permit = bulkhead.enter(q);
            order.push_back(permit ? 2 : 0);
            return text("blocks");
          }));
  serve();
  auto held = bulkhead.try_enter();
  std::uint64_t count = 0;
  for (const char* path : {"/later", "/blocks", "/later", "/blocks"}) {
    client().get(path);
    ++count;
    ASSERT_TRUE(until([&] { return bulkhead.counters().waiting == count; }));
  }
  held->release();
  for (Talker& talker : clients) EXPECT_EQ(talker.last().status, 200);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 1, 2}));
}

TEST_F(LaterCalls, EveryCallEndsOnceWhenTheServerDoes) {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u}) {
    ended = 0;
    Dependency upstream{
        {.name = "upstream", .bulkhead = {.in_flight_max = 2, .waiting_max = 2, .wait_max = 20s}, .seed = seed}};
    auto held = std::make_shared<std::vector<Reply<Text>>>();
    add("/holds", {.dependency = upstream, .timeout = 20s},
        [held](const Attempt&, Reply<Text> reply) { held->push_back(std::move(reply)); }, {.budget = 30s});
    add("/pauses", {.dependency = upstream, .attempts = 2, .backoff = {.base = 20s, .max = 20s}},
        [](const Attempt&, Reply<Text> reply) { reply.fail(Problem{503}); }, {.budget = 30s});
    serve(seed);
    for (int i = 0; i < 3; ++i) {
      client().get("/pauses");
      stage->run_for(1ms);
    }
    for (int i = 0; i < 4; ++i) client().get("/holds");  // two run, two wait
    stage->run_for(20ms);
    ASSERT_EQ(upstream.counters().bulkhead.waiting, 2u);
    stage->stop();
    ASSERT_TRUE(until([&] { return stage->over(); }));
    EXPECT_EQ(ended, 7) << "seed " << seed;
    EXPECT_EQ(upstream.counters().active, 0u);
    held->clear();
    expect_quiet(upstream);
    clients.clear();
    stage.reset();
    app = Router{};
    log.clear();
  }
}

}  // namespace
}  // namespace sluice::sim
