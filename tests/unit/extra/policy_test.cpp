// policy_test.cpp: with_policy() apart from any server: what is tried again and what is not, what the caller is told,
// and that the numbers add up at every moment. Time is real here and decides nothing.
#include <sluice/extra/policy.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace sluice {
namespace {

using namespace std::chrono_literals;

constexpr Backoff at_once{.base = 0ns};
enum class StoreError : std::uint8_t { busy, gone };

void expect_quiet(const Dependency& dependency) {
  const DependencyCounters c = dependency.counters();
  EXPECT_TRUE(c.balanced());
  EXPECT_EQ(c.active, 0u);
  EXPECT_EQ(c.running, 0u);
  EXPECT_EQ(c.bulkhead.in_flight, 0u);
}

TEST(Policy, OneAttemptThatSucceedsIsHandedOn) {
  Dependency db{{.name = "db"}};
  const Policy policy{.dependency = db, .timeout = 1s};
  const auto result = with_policy(policy, 5s, [](const Attempt& attempt) {
    EXPECT_EQ(attempt.number(), 1u);
    EXPECT_LE(attempt.remaining(), 1s);
    EXPECT_GT(attempt.deadline(), std::chrono::steady_clock::time_point{});
    return std::make_unique<int>(7);  // moves only
  });
  ASSERT_TRUE(result);
  EXPECT_EQ(**result, 7);
  EXPECT_EQ(db.counters().succeeded, 1u);
  EXPECT_EQ(db.name(), "db");
  EXPECT_EQ(db.bulkhead().name(), "db");
  expect_quiet(db);
}

TEST(Policy, NothingIsTriedTwiceUnlessAskedFor) {
  Dependency db{{}};
  int calls = 0;
  const auto result = with_policy({.dependency = db}, 5s, [&](const Attempt&) -> int {
    ++calls;
    throw std::runtime_error{"no"};
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, PolicyFailure::attempts_used_up);
  EXPECT_EQ(result.error().attempts, 1u);
  EXPECT_EQ(calls, 1);
  EXPECT_THROW(std::rethrow_exception(result.error().exception), std::runtime_error);
}

TEST(Policy, ErrorsOfAnExpectedAreKeptAndJudged) {
  Dependency db{{}};
  const Policy policy{.dependency = db, .attempts = 5, .backoff = at_once, .retry_if = [](const AttemptError& error) {
                        EXPECT_EQ(error.as<std::string>(), nullptr);
                        return *error.as<StoreError>() == StoreError::busy;
                      }};
  const auto call = [](StoreError last) {
    return [last](const Attempt& attempt) -> std::expected<std::string, StoreError> {
      return std::unexpected(attempt.number() < 3 ? StoreError::busy : last);
    };
  };
  const auto gone = with_policy(policy, 5s, call(StoreError::gone));
  EXPECT_EQ(gone.error().reason, PolicyFailure::not_retryable);
  EXPECT_EQ(gone.error().attempts, 3u);
  EXPECT_EQ(gone.error().error, StoreError::gone);
  const auto busy = with_policy(policy, 5s, call(StoreError::busy));
  EXPECT_EQ(busy.error().reason, PolicyFailure::attempts_used_up);
  EXPECT_EQ(busy.error().attempts, 5u);
  const auto works = with_policy(policy, 5s, [](const Attempt& attempt) -> std::expected<void, StoreError> {
    if (attempt.number() < 2) return std::unexpected(StoreError::busy);
    return {};
  });
  EXPECT_TRUE(works);
  expect_quiet(db);
}

TEST(Policy, WhatAnExpectedThrowsIsAnErrorToo) {
  Dependency db{{}};
  const auto result = with_policy({.dependency = db, .attempts = 2, .backoff = at_once}, 5s,
                                  [](const Attempt& attempt) -> std::expected<int, StoreError> {
                                    if (attempt.number() == 1) return std::unexpected(StoreError::busy);
                                    throw std::runtime_error{"worse"};
                                  });
  EXPECT_EQ(result.error().reason, PolicyFailure::attempts_used_up);
  EXPECT_NE(result.error().exception, nullptr);
  expect_quiet(db);
}

TEST(Policy, AProblemOfTheClientsIsNotTriedAgainAndOneOfTheServersIs) {
  Dependency db{{}};
  const Policy policy{.dependency = db, .attempts = 3, .backoff = at_once};
  const auto status = [&](int code) {
    return with_policy(policy, 5s, [code](const Attempt&) -> int { throw Problem{code}; }).error();
  };
  EXPECT_EQ(status(404).attempts, 1u);
  EXPECT_EQ(status(404).reason, PolicyFailure::not_retryable);
  EXPECT_EQ(status(503).attempts, 3u);
  const Policy careless{.dependency = db, .attempts = 3, .retry_if = [](const AttemptError&) -> bool { throw 1; }};
  EXPECT_EQ(with_policy(careless, 5s, [](const Attempt&) { throw 2; }).error().reason, PolicyFailure::not_retryable);
}

TEST(Policy, ProblemsForTheClientSayWhoseFaultItWas) {
  const auto thrown = [](auto error) { return std::make_exception_ptr(error); };
  EXPECT_EQ(to_problem({PolicyFailure::full, 0, {}}).status(), 503);
  EXPECT_EQ(to_problem({PolicyFailure::full, 0, {}}).headers().front().first, "Retry-After");
  EXPECT_EQ(to_problem({PolicyFailure::timed_out, 1, {}}).status(), 503);
  EXPECT_EQ(to_problem({PolicyFailure::budget_spent, 1, {}}).status(), 504);
  EXPECT_EQ(to_problem({PolicyFailure::retry_budget_empty, 1, {}}).status(), 502);
  EXPECT_EQ(to_problem({PolicyFailure::not_retryable, 1, thrown(Problem{404, {}, "no such user"})}).detail(),
            "no such user");
  EXPECT_EQ(to_problem({PolicyFailure::not_retryable, 1, thrown(Problem{500})}).status(), 502);
  EXPECT_EQ(to_problem({PolicyFailure::attempts_used_up, 1, thrown(Problem{404})}).status(), 502);
  PolicyErrorOf<Problem> returned;
  returned.reason = PolicyFailure::not_retryable;
  returned.error = Problem{404, {}, "no such user"};
  EXPECT_EQ(to_problem(returned).detail(), "no such user");
  const Problem problem = to_problem({PolicyFailure::attempts_used_up, 2, thrown(std::runtime_error{"secret"})});
  EXPECT_EQ(problem.cause(), "attempts_used_up after 2 attempts: secret");
  EXPECT_EQ(problem.detail(), "");
  EXPECT_EQ(to_problem({PolicyFailure::attempts_used_up, 1, thrown(7)}).cause(),
            "attempts_used_up after 1 attempt: not a std::exception");
}

TEST(Policy, AFallbackAnswersEveryCallAndIsCounted) {
  Dependency db{{}};
  const Policy policy{.dependency = db};
  const std::string older = with_policy(
      policy, 5s, [](const Attempt&) -> std::string { throw 1; },
      [](const PolicyError& error) { return "older, " + std::string{to_string(error.reason)}; });
  EXPECT_EQ(older, "older, attempts_used_up");
  EXPECT_EQ(with_policy(policy, 5s, [](const Attempt&) { return 7; }, [](const PolicyError&) { return 0; }), 7);
  with_policy(
      policy, 5s, [](const Attempt&) -> std::expected<void, StoreError> { return std::unexpected(StoreError::gone); },
      [](const PolicyErrorOf<StoreError>& error) { EXPECT_EQ(error.error, StoreError::gone); });
  const DependencyCounters c = db.counters();
  EXPECT_EQ(c.fallbacks, 2u);
  EXPECT_EQ(c.failed_total(), 2u);
  expect_quiet(db);
}

TEST(Policy, AFullDependencyIsNotCalled) {
  Dependency db{{.bulkhead = {.in_flight_max = 1, .waiting_max = 0}}};
  const auto held = db.bulkhead().try_enter();
  const auto result = with_policy({.dependency = db, .attempts = 3}, 5s, [](const Attempt&) { return 1; });
  EXPECT_EQ(result.error().reason, PolicyFailure::full);
  EXPECT_EQ(result.error().attempts, 0u);
  EXPECT_EQ(db.counters().attempts, 0u);
}

TEST(Policy, WithoutBudgetNothingIsBegun) {
  Dependency db{{}};
  const auto result = with_policy({.dependency = db}, 0s, [](const Attempt&) { return 1; });
  EXPECT_EQ(result.error().reason, PolicyFailure::budget_spent);
  EXPECT_EQ(db.counters().bulkhead.asked, 0u);
  EXPECT_TRUE(with_policy({.dependency = db}, std::chrono::nanoseconds::max(), [](const Attempt&) { return 1; }));
}

TEST(Policy, RetriesAreAShareOfTheCallsAndAFloor) {
  Dependency db{{.retry_budget = {.share = 0.25, .floor = 8}, .seed = 1}};
  const Policy policy{.dependency = db, .attempts = 10, .backoff = at_once};
  for (int i = 0; i < 400; ++i) {
    EXPECT_FALSE(with_policy(policy, 1h, [](const Attempt&) -> int { throw 1; }));
    const DependencyCounters c = db.counters();
    EXPECT_LE(c.retries * 4, c.calls + 8 * 4);
  }
  EXPECT_EQ(db.counters().retries, 107u);  // 8, and a quarter of 400; but the first call found no room to save
  EXPECT_EQ(db.counters().attempts, 507u);
  Dependency none{{.retry_budget = {.share = 0, .floor = 0}}};
  EXPECT_EQ(
      with_policy({.dependency = none, .attempts = 2, .backoff = at_once}, 1h, [](const Attempt&) -> int { throw 1; })
          .error()
          .reason,
      PolicyFailure::retry_budget_empty);
}

TEST(Policy, SavedRetriesDoNotGrowBeyondTheFloor) {
  Dependency db{{.retry_budget = {.share = 1, .floor = 3}}};
  const Policy policy{.dependency = db, .attempts = 100, .backoff = at_once};
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(with_policy(policy, 1h, [](const Attempt&) { return 1; }));
  EXPECT_FALSE(with_policy(policy, 1h, [](const Attempt&) -> int { throw 1; }));
  EXPECT_EQ(db.counters().retries, 3u);
}

TEST(Policy, NumbersOutOfTheirRangeAreRefusedBeforeTheCall) {
  EXPECT_THROW(Dependency({.retry_budget = {.share = 1.5}}), std::invalid_argument);
  EXPECT_THROW(Dependency({.retry_budget = {.share = std::numeric_limits<double>::quiet_NaN()}}),
               std::invalid_argument);
  EXPECT_THROW(Dependency({.retry_budget = {.floor = 65'537}}), std::invalid_argument);
  EXPECT_THROW(Dependency({.bulkhead = {.in_flight_max = 0}}), std::invalid_argument);
  Dependency db{{}};
  const auto call = [&](Policy policy) { return with_policy(policy, 1s, [](const Attempt&) { return 1; }); };
  EXPECT_THROW(call({.dependency = db, .timeout = 0ns}).value(), std::invalid_argument);
  EXPECT_THROW(call({.dependency = db, .attempts = 0}).value(), std::invalid_argument);
  EXPECT_THROW(call({.dependency = db, .attempts = 101}).value(), std::invalid_argument);
  EXPECT_THROW(call({.dependency = db, .backoff = {.base = -1ns}}).value(), std::invalid_argument);
  EXPECT_THROW(call({.dependency = db, .attempt_min = 0ns}).value(), std::invalid_argument);
  EXPECT_EQ(db.counters().calls, 0u);
}

TEST(Policy, ManyThreadsKeepEveryPromise) {
  constexpr int threads_count = 8, rounds = 400;
  Dependency db{{.bulkhead = {.in_flight_max = 3, .waiting_max = 2, .wait_max = 1ms},
                 .retry_budget = {.share = 0.2, .floor = 5}}};
  const Policy policy{.dependency = db, .attempts = 4, .backoff = {.base = 10us, .max = 50us}};
  std::atomic<bool> done{false};
  std::atomic<int> values{0}, errors{0}, inside{0};
  std::jthread reader{[&] {
    while (!done) {
      const DependencyCounters c = db.counters();
      ASSERT_TRUE(c.balanced());
      ASSERT_LE(static_cast<double>(c.attempts), static_cast<double>(c.calls) * 1.2 + 5);
    }
  }};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < threads_count; ++i) {
      threads.emplace_back([&, i] {
        for (int round = 0; round < rounds; ++round) {
          const auto result = with_policy(policy, 1s, [&](const Attempt&) {
            EXPECT_LE(++inside, 3);
            const int now = round * threads_count + i;
            if (round % 8 == 0) std::this_thread::yield();
            --inside;
            if (now % 3 == 0) throw std::runtime_error{"now and then"};
            return now;
          });
          ++(result ? values : errors);
        }
      });
    }
  }
  done = true;
  const DependencyCounters c = db.counters();
  EXPECT_EQ(c.calls, static_cast<std::uint64_t>(threads_count * rounds));
  EXPECT_EQ(c.succeeded, static_cast<std::uint64_t>(values));
  EXPECT_EQ(c.failed_total(), static_cast<std::uint64_t>(errors));
  expect_quiet(db);
}

}  // namespace
}  // namespace sluice
