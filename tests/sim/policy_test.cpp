// Calls to a dependency from blocking handlers, in virtual time: pauses and waits for permits pass there too, none of
// them outlasts the budget, and a dependency that stalls costs the rest of the server nothing.
#include <gtest/gtest.h>

#include <sluice/extra/policy.hpp>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

class Policies : public Stage {
 protected:
  static nanoseconds since(base::TimePoint begin, const SimServer& stage) { return stage.now() - begin; }
  /// A route whose handler calls `work(request)` on the pool; what it returns is the body.
  template <class F>
  void add(std::string_view path, F work, RouteOptions route = {}) {
    app.get(path, blocking([work](const Request& q) { return text(std::string{work(q)}); }), std::move(route));
  }
  static std::string outcome(const std::expected<std::string, PolicyError>& result) {
    return result ? *result : std::string{to_string(result.error().reason)};
  }
  void expect_quiet(const Dependency& dependency) {
    const DependencyCounters c = dependency.counters();
    EXPECT_TRUE(c.balanced());
    EXPECT_EQ(c.active, 0u);
    EXPECT_EQ(c.running, 0u);
    EXPECT_EQ(c.bulkhead.in_flight, 0u);
    EXPECT_EQ(c.bulkhead.waiting, 0u);
  }
};

TEST_F(Policies, PausesPassInVirtualTimeAndAreCounted) {
  Dependency upstream{{.name = "upstream", .seed = 7}};
  const Policy policy{
      .dependency = upstream, .timeout = 100ms, .attempts = 4, .backoff = {.base = 100ms, .max = 150ms}};
  std::vector<base::TimePoint> begins;
  add("/", [&](const Request& q) {
    return outcome(with_policy(policy, q, [&](const Attempt& attempt) -> std::string {
      begins.push_back(stage->now());
      if (attempt.number() < 4) throw std::runtime_error{"not yet"};
      return "the fourth";
    }));
  });
  serve();
  const base::TimePoint begin = stage->now();
  EXPECT_EQ(client().get("/").last().body, "the fourth");
  ASSERT_EQ(begins.size(), 4u);
  const nanoseconds caps[] = {100ms, 150ms, 150ms};
  for (int i = 0; i < 3; ++i) {
    EXPECT_GE(begins[i + 1], begins[i]) << i;
    EXPECT_LE(begins[i + 1] - begins[i], caps[i] + 1ms) << i;
  }
  const DependencyCounters c = upstream.counters();
  EXPECT_EQ(c.attempts, 4u);
  EXPECT_EQ(c.retries, 3u);
  EXPECT_GT(c.slept, 0ns);
  EXPECT_GE(since(begin, *stage), c.slept);
  EXPECT_LE(since(begin, *stage), c.slept + 5ms);
  expect_quiet(upstream);
}

TEST_F(Policies, TheSameSeedPausesTheSame) {
  std::vector<nanoseconds> slept;
  for (const std::uint64_t seed : {7u, 7u, 8u}) {
    Dependency upstream{{.name = "upstream", .seed = seed}};
    const Policy policy{.dependency = upstream, .attempts = 5, .backoff = {.base = 10ms, .max = 1s}};
    add("/", [&](const Request& q) {
      return outcome(with_policy(policy, q, [](const Attempt&) -> std::string { throw 1; }));
    });
    serve();
    EXPECT_EQ(client().get("/").last().body, "attempts_used_up");
    slept.push_back(upstream.counters().slept);
    finish();
  }
  EXPECT_EQ(slept[0], slept[1]);
  EXPECT_NE(slept[0], slept[2]);
}

TEST_F(Policies, AnAttemptHasItsTimeoutAndNoMoreThanIsLeft) {
  Dependency upstream{{.name = "upstream"}};
  const Policy policy{.dependency = upstream, .timeout = 300ms, .attempts = 2, .backoff = {.base = 0ns}};
  std::vector<nanoseconds> left;
  add("/",
      [&](const Request& q) {
        return outcome(with_policy(policy, q, [&](const Attempt& attempt) -> std::string {
          left.push_back(attempt.remaining());
          sleep(attempt.remaining());
          throw std::runtime_error{"timed out"};
        }));
      },
      {.budget = 500ms});
  serve();
  EXPECT_EQ(client().get("/").last().body, "attempts_used_up");
  ASSERT_EQ(left.size(), 2u);
  EXPECT_EQ(left[0], 300ms);
  EXPECT_LE(left[1], 175ms);  // 500 ms less 5 % for the way back, less the first attempt
  EXPECT_GE(left[1], 170ms);
  EXPECT_EQ(lane("GET /").timed_out, 0u);  // the answer came within the budget
}

TEST_F(Policies, NoAttemptIsBegunThatTheBudgetCannotHold) {
  Dependency upstream{{.name = "upstream"}};
  const Policy policy{
      .dependency = upstream, .timeout = 200ms, .attempts = 3, .backoff = {.base = 0ns}, .attempt_min = 100ms};
  int attempts = 0;
  add("/",
      [&](const Request& q) {
        return outcome(with_policy(policy, q, [&](const Attempt& attempt) -> std::string {
          ++attempts;
          sleep(attempt.remaining());
          throw std::runtime_error{"timed out"};
        }));
      },
      {.budget = 300ms});
  add("/late",
      [&](const Request& q) {
        sleep(250ms);
        return outcome(with_policy(policy, q, [&](const Attempt&) -> std::string { return "never"; }));
      },
      {.budget = 300ms});
  serve();
  const base::TimePoint begin = stage->now();
  EXPECT_EQ(client().get("/").last().body, "budget_spent");  // 85 ms are left, less than 100
  EXPECT_EQ(attempts, 1);
  EXPECT_LE(since(begin, *stage), 201ms);
  EXPECT_EQ(client().get("/late").last().body, "budget_spent");
  EXPECT_EQ(upstream.counters().attempts, 1u);
  expect_quiet(upstream);
}

TEST_F(Policies, APauseThatWouldOutlastTheBudgetIsNotBegun) {
  Dependency upstream{{.name = "upstream", .seed = 3}};
  const Policy policy{.dependency = upstream, .attempts = 100, .backoff = {.base = 50ms, .max = 10s}};
  add("/",
      [&](const Request& q) { return outcome(with_policy(policy, q, [](const Attempt&) -> std::string { throw 1; })); },
      {.budget = 1s});
  serve();
  for (int i = 0; i < 20; ++i) {
    const base::TimePoint begin = stage->now();
    const std::string body = client().get("/").last().body;
    EXPECT_TRUE(body == "budget_spent" || body == "retry_budget_empty") << body;
    EXPECT_LE(since(begin, *stage), 950ms);
  }
  EXPECT_GT(upstream.counters().failed_for(PolicyFailure::budget_spent), 0u);
  expect_quiet(upstream);
}

TEST_F(Policies, APermitIsWaitedForFirstComeFirstServed) {
  Dependency database{{.name = "database", .bulkhead = {.in_flight_max = 1, .waiting_max = 2, .wait_max = 1s}}};
  const Policy policy{.dependency = database};
  std::vector<std::string> order;
  add("/{who}", [&](const Request& q) {
    return outcome(with_policy(policy, q, [&](const Attempt&) {
      order.emplace_back(q.param("who"));
      sleep(100ms);
      return std::string{"done"};
    }));
  });
  serve();
  Talker* talkers[4];
  for (int i = 0; i < 4; ++i) {
    talkers[i] = &client();
    talkers[i]->get("/" + std::to_string(i));
    stage->run_for(10ms);
  }
  EXPECT_EQ(talkers[3]->last().body, "full");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(talkers[i]->last().body, "done");
  EXPECT_EQ(order, (std::vector<std::string>{"0", "1", "2"}));
  const BulkheadCounters c = database.counters().bulkhead;
  EXPECT_EQ(c.full, 1u);
  EXPECT_GE(c.waited, 90ms + 180ms - 2ms);
  EXPECT_LE(c.waited, 90ms + 180ms + 2ms);
  expect_quiet(database);
}

TEST_F(Policies, AWaitForAPermitEndsInTimeAndWithinTheBudget) {
  Dependency database{{.name = "database", .bulkhead = {.in_flight_max = 1, .wait_max = 200ms}}};
  const Policy policy{.dependency = database, .timeout = 10s};
  add("/hold", [&](const Request& q) {
    return outcome(with_policy(policy, q, [](const Attempt&) { return sleep(2s), std::string{"held"}; }));
  });
  const auto ask = [&](const Request& q) {
    return outcome(with_policy(policy, q, [](const Attempt&) { return std::string{"never"}; }));
  };
  add("/patient", ask);
  add("/hurried", ask, {.budget = 100ms});
  serve();
  Talker& holder = client().get("/hold");
  stage->run_for(10ms);
  base::TimePoint begin = stage->now();
  EXPECT_EQ(client().get("/patient").last().body, "timed_out");
  EXPECT_GE(since(begin, *stage), 200ms);
  EXPECT_LE(since(begin, *stage), 201ms);
  begin = stage->now();
  EXPECT_EQ(client().get("/hurried").last().body, "timed_out");
  EXPECT_GE(since(begin, *stage), 89ms);  // 95 ms less the least time of an attempt
  EXPECT_LE(since(begin, *stage), 91ms);
  EXPECT_EQ(holder.last().body, "held");
  expect_quiet(database);
}

TEST_F(Policies, APermitIsNotHeldDuringAPause) {
  Dependency upstream{{.name = "upstream", .bulkhead = {.in_flight_max = 1, .waiting_max = 0}, .seed = 1}};
  const Policy policy{.dependency = upstream, .attempts = 2, .backoff = {.base = 500ms}};
  add("/fails", [&](const Request& q) {
    return outcome(with_policy(policy, q, [](const Attempt&) -> std::string { throw 1; }));
  });
  add("/works", [&](const Request& q) {
    return outcome(with_policy(policy, q, [](const Attempt&) { return std::string{"works"}; }));
  });
  serve();
  Talker& failing = client().get("/fails");
  ASSERT_TRUE(until([&] { return upstream.counters().attempts_failed == 1; }));
  EXPECT_EQ(client().get("/works").last().body, "works");
  EXPECT_EQ(upstream.counters().attempts, 2u) << "the pause was too short to say anything";
  EXPECT_EQ(failing.last().body, "attempts_used_up");
  expect_quiet(upstream);
}

TEST_F(Policies, AClientThatHasLeftGetsNoSecondAttempt) {
  Dependency upstream{{.name = "upstream"}};
  const Policy policy{.dependency = upstream, .attempts = 3, .backoff = {.base = 0ns}};
  add("/", [&](const Request& q) {
    return outcome(with_policy(policy, q, [](const Attempt&) -> std::string {
      sleep(100ms);
      throw 1;
    }));
  });
  serve();
  Talker& leaving = client().get("/");
  ASSERT_TRUE(until([&] { return upstream.counters().running == 1; }));
  leaving.net().reset();
  ASSERT_TRUE(until([&] { return upstream.counters().active == 0; }));
  EXPECT_EQ(upstream.counters().failed_for(PolicyFailure::budget_spent), 1u);
  EXPECT_EQ(upstream.counters().attempts, 1u);
}

TEST_F(Policies, AClientThatLeavesInAPauseGetsNoSecondAttempt) {
  Dependency upstream{{.name = "upstream", .seed = 1}};
  const Policy policy{.dependency = upstream, .attempts = 3, .backoff = {.base = 2s, .max = 2s}};
  add("/", [&](const Request& q) {
    return outcome(with_policy(policy, q, [](const Attempt&) -> std::string { throw 1; }));
  });
  serve();
  Talker& leaving = client().get("/");
  ASSERT_TRUE(until([&] { return upstream.counters().attempts_failed == 1; }));
  ASSERT_EQ(upstream.counters().active, 1u) << "the seed gives no pause";
  leaving.net().reset();
  ASSERT_TRUE(until([&] { return upstream.counters().active == 0; }));
  EXPECT_EQ(upstream.counters().failed_for(PolicyFailure::budget_spent), 1u);
  EXPECT_EQ(upstream.counters().attempts, 1u);
}

TEST_F(Policies, ALoopIsRefusedBeforeAnythingIsCounted) {
  Dependency upstream{{.name = "upstream", .bulkhead = {.in_flight_max = 1}}};
  const Policy policy{.dependency = upstream};
  options.refuse_blocking = true;
  app.get("/policy", [&](const Request& q) {
    return text(outcome(with_policy(policy, q, [](const Attempt&) { return std::string{"on the loop"}; })));
  });
  app.get("/enter",
          [&](const Request& q) { return text(std::string{upstream.bulkhead().enter(q) ? "entered" : "refused"}); });
  app.get("/try",
          [&](const Request&) { return text(std::string{upstream.bulkhead().try_enter() ? "entered" : "refused"}); });
  serve();
  EXPECT_EQ(client().get("/policy").last().status, 500);
  EXPECT_EQ(client().get("/enter").last().status, 500);
  EXPECT_EQ(upstream.counters().calls, 0u);
  EXPECT_EQ(upstream.counters().bulkhead.asked, 0u);
  EXPECT_EQ(client().get("/try").last().body, "entered");
  expect_quiet(upstream);
}

TEST_F(Policies, WhatWouldReallyWaitIsRefusedOnALoopWhateverIsConfigured) {
  Bulkhead bulkhead{{.name = "database", .in_flight_max = 1}};
  options.refuse_blocking = false;
  app.get("/", [&](const Request& q) { return text(std::string{bulkhead.enter(q) ? "entered" : "refused"}); });
  serve();
  EXPECT_EQ(client().get("/").last().body, "entered");
  auto held = bulkhead.try_enter();
  ASSERT_TRUE(held);
  EXPECT_EQ(client().get("/").last().status, 500);
  EXPECT_EQ(bulkhead.counters().waiting, 0u);
  EXPECT_TRUE(bulkhead.counters().balanced());
}

/// A server whose dependency stalls: every attempt takes all of its time and fails.
class Stalled : public Policies {
 protected:
  static constexpr int clients_count = 300;

  void stall(unsigned attempts, BulkheadOptions bulkhead) {
    upstream.emplace(DependencyOptions{
        .name = "upstream", .bulkhead = std::move(bulkhead), .retry_budget = {.share = 0.1, .floor = 5}, .seed = 1});
    options.pool_threads = 16;
    policy.emplace(Policy{.dependency = *upstream, .timeout = 200ms, .attempts = attempts, .backoff = {.base = 5ms}});
    add("/stalls",
        [this](const Request& q) {
          return outcome(with_policy(*policy, q, [](const Attempt& attempt) -> std::string {
            sleep(attempt.remaining());
            throw std::runtime_error{"timed out"};
          }));
        },
        {.budget = 1s});
    app.get("/other", blocking([](const Request&) {
              sleep(5ms);
              return text("served");
            }),
            {.budget = 100ms, .reserved = 4});
    serve();
  }
  /// One request to each route every 10 ms, for three seconds.
  void load() {
    for (int i = 0; i < clients_count; ++i) {
      after(i * 10ms, [this] { stalls.push_back(&client().get("/stalls")); });
      after(i * 10ms + 5ms, [this] { others.push_back(&client().get("/other")); });
    }
    stage->run_for(8s);
  }

  std::optional<Dependency> upstream;
  std::optional<Policy> policy;
  std::vector<Talker*> stalls, others;
};

TEST_F(Stalled, TheRestOfTheServerGoesOnServing) {
  stall(3, {.in_flight_max = 4, .waiting_max = 4, .wait_max = 50ms});
  load();
  ASSERT_EQ(others.size(), static_cast<std::size_t>(clients_count));
  for (Talker* talker : others) EXPECT_EQ(talker->last().body, "served");
  for (Talker* talker : stalls) EXPECT_EQ(talker->answers().size(), 1u);
  EXPECT_GT(upstream->counters().failed_for(PolicyFailure::full), 0u);
  expect_quiet(*upstream);
}

TEST_F(Stalled, RetriesStayWithinTheirShare) {
  stall(5, {.in_flight_max = 12});
  load();
  const DependencyCounters c = upstream->counters();
  EXPECT_GT(c.calls, 100u);
  EXPECT_GT(c.retries, 5u);
  EXPECT_LE(static_cast<double>(c.attempts), static_cast<double>(c.calls) * 1.1 + 5);
  EXPECT_LE(static_cast<double>(c.retries), static_cast<double>(c.attempts - c.retries) * 0.1 + 5);
  EXPECT_GT(c.failed_for(PolicyFailure::retry_budget_empty), 0u);
  expect_quiet(*upstream);
}

}  // namespace
}  // namespace sluice::sim
