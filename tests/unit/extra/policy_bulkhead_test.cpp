// policy_bulkhead_test.cpp: Bulkhead on real threads. Nobody is woken in vain, overtaken or forgotten, whatever the
// order in which permits come back and waits end. Times are lower bounds only.
#include <sluice/extra/policy.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <vector>

namespace sluice {
namespace {

using namespace std::chrono_literals;
using Permit = Bulkhead::Permit;

static_assert(!std::is_copy_constructible_v<Permit> && std::is_nothrow_move_constructible_v<Permit>);
static_assert(!std::is_move_constructible_v<Bulkhead> && !std::is_copy_constructible_v<Bulkhead>);

/// Until `holds`, without a clock: what it waits for is on its way.
template <class F>
void wait_until(F holds) {
  while (!holds()) std::this_thread::yield();
}

TEST(Bulkhead, OptionsOutOfTheirRangeAreRefusedInWords) {
  EXPECT_THROW(Bulkhead({.in_flight_max = 0}), std::invalid_argument);
  EXPECT_THROW(Bulkhead({.in_flight_max = 65'537}), std::invalid_argument);
  EXPECT_THROW(Bulkhead({.waiting_max = 65'537}), std::invalid_argument);
  EXPECT_THROW(Bulkhead({.wait_max = 0ns}), std::invalid_argument);
  try {
    Bulkhead bulkhead{{.in_flight_max = 0}};
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "BulkheadOptions::in_flight_max must be from 1 to 65536");
  }
}

TEST(Bulkhead, TryEnterNeverWaits) {
  Bulkhead bulkhead{{.name = "db", .in_flight_max = 2, .wait_max = 1h}};
  auto first = bulkhead.try_enter();
  auto second = bulkhead.try_enter();
  ASSERT_TRUE(first && second);
  const auto third = bulkhead.try_enter();
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error(), BulkheadError::full);
  first->release();
  EXPECT_TRUE(bulkhead.try_enter());
  EXPECT_EQ(bulkhead.name(), "db");
  EXPECT_TRUE(bulkhead.counters().balanced());
}

TEST(Bulkhead, APermitIsGivenBackOnce) {
  Bulkhead bulkhead{{.in_flight_max = 4}};
  {
    Permit permit = *bulkhead.try_enter();
    Permit moved = std::move(permit);
    EXPECT_FALSE(permit);  // NOLINT: what a moved-from one says is part of its contract
    EXPECT_TRUE(moved);
    moved.release();
    moved.release();
    EXPECT_EQ(bulkhead.counters().released, 1u);
    Permit one = *bulkhead.try_enter();
    Permit& same = one;
    one = std::move(same);
    EXPECT_TRUE(one);
    one = *bulkhead.try_enter();
    EXPECT_EQ(bulkhead.counters().released, 2u);
  }
  EXPECT_EQ(bulkhead.counters().released, 3u);
  EXPECT_EQ(bulkhead.counters().in_flight, 0u);
}

TEST(Bulkhead, AWaitEndsWithItsTimeOrTheBudget) {
  Bulkhead bulkhead{{.in_flight_max = 1, .wait_max = 20ms}};
  const auto held = bulkhead.try_enter();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(bulkhead.enter(1h).error(), BulkheadError::timed_out);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 20ms);

  Bulkhead patient{{.in_flight_max = 1, .wait_max = 1h}};
  const auto other = patient.try_enter();
  EXPECT_EQ(patient.enter(1ms).error(), BulkheadError::timed_out);
  EXPECT_EQ(patient.enter(0s).error(), BulkheadError::timed_out);
  EXPECT_EQ(patient.enter(-1s).error(), BulkheadError::timed_out);
  EXPECT_EQ(patient.counters().timed_out, 3u);
  EXPECT_GE(patient.counters().waited, 1ms);
  EXPECT_TRUE(patient.counters().balanced());
}

TEST(Bulkhead, NobodyWaitsBehindAFullLine) {
  Bulkhead bulkhead{{.in_flight_max = 1, .waiting_max = 1, .wait_max = 1h}};
  auto held = bulkhead.try_enter();
  std::jthread waiting{[&] { EXPECT_TRUE(bulkhead.enter(1h)); }};
  wait_until([&] { return bulkhead.counters().waiting == 1; });
  EXPECT_EQ(bulkhead.enter(1h).error(), BulkheadError::full);
  EXPECT_EQ(bulkhead.try_enter().error(), BulkheadError::full);
  held->release();
}

TEST(Bulkhead, WhoWaitsIsServedInTheOrderOfComing) {
  Bulkhead bulkhead{{.in_flight_max = 1, .waiting_max = 16, .wait_max = 1h}};
  auto held = bulkhead.try_enter();
  std::vector<int> order;  // under the one permit
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&, i] {
        const auto permit = bulkhead.enter(1h);
        ASSERT_TRUE(permit);
        order.push_back(i);
      });
      wait_until([&] { return bulkhead.counters().waiting == static_cast<std::uint64_t>(i + 1); });
    }
    held->release();
  }
  EXPECT_TRUE(std::ranges::is_sorted(order));
  EXPECT_EQ(order.size(), 16u);
}

TEST(Bulkhead, NoMoreAreInFlightThanPermitsAndTheCountersBalanceAtEveryMoment) {
  constexpr unsigned permits = 3;
  constexpr int threads_count = 8, rounds = 1500;
  Bulkhead bulkhead{{.in_flight_max = permits, .waiting_max = 3, .wait_max = 200us}};
  std::atomic<unsigned> inside{0}, most{0};
  std::atomic<bool> done{false};
  std::jthread reader{[&] {
    while (!done) {
      const BulkheadCounters c = bulkhead.counters();
      ASSERT_TRUE(c.balanced());
      ASSERT_LE(c.in_flight, permits);
      ASSERT_LE(c.waiting, 3u);
    }
  }};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < threads_count; ++i) {
      threads.emplace_back([&, i] {
        for (int round = 0; round < rounds; ++round) {
          const auto permit = (round + i) % 4 == 0 ? bulkhead.try_enter() : bulkhead.enter(round % 3 == 0 ? 50us : 1s);
          if (!permit) continue;
          const unsigned now = ++inside;
          unsigned seen = most;
          while (seen < now && !most.compare_exchange_weak(seen, now)) {}
          if (round % 16 == 0) std::this_thread::yield();
          --inside;
        }
      });
    }
  }
  done = true;
  EXPECT_LE(most, permits);
  const BulkheadCounters c = bulkhead.counters();
  EXPECT_EQ(c.asked, static_cast<std::uint64_t>(threads_count * rounds));
  EXPECT_TRUE(c.balanced());
  EXPECT_EQ(c.in_flight, 0u);
  EXPECT_EQ(c.waiting, 0u);
}

TEST(Bulkhead, NoWakeUpIsLostWhenWaitsEndWhilePermitsComeBack) {
  // Waits of about as long as a permit is held: a grant and an end of waiting meet again and again. A permit that went
  // to somebody who had left would be missing at the end; one that nobody was told of would keep a thread for an hour.
  Bulkhead bulkhead{{.in_flight_max = 1, .waiting_max = 8, .wait_max = 1h}};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        for (int round = 0; round < 1000; ++round) {
          const auto permit = i % 2 == 0 ? bulkhead.enter(1h) : bulkhead.enter(std::chrono::microseconds{round % 100});
          if (i % 2 == 0) { ASSERT_TRUE(permit); }
          if (permit && round % 8 == 0) std::this_thread::sleep_for(20us);
        }
      });
    }
  }
  EXPECT_EQ(bulkhead.counters().in_flight, 0u);
  EXPECT_TRUE(bulkhead.counters().balanced());
  EXPECT_TRUE(bulkhead.try_enter());
}

TEST(Bulkhead, MayGoWhilePermitsAreOutAndCallersWait) {
  auto bulkhead = std::make_unique<Bulkhead>(BulkheadOptions{.in_flight_max = 1, .wait_max = 1h});
  auto held = bulkhead->try_enter();
  ASSERT_TRUE(held);
  std::optional<Bulkhead::Result> result;
  std::jthread waiting{[&result, &own = *bulkhead] { result = own.enter(1h); }};
  wait_until([&] { return bulkhead->counters().waiting == 1; });
  bulkhead.reset();
  held->release();
  waiting.join();
  ASSERT_TRUE(result);
  EXPECT_TRUE(*result);
}

}  // namespace
}  // namespace sluice
