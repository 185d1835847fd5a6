#include "net/timers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <vector>

namespace sluice::net {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr TimePoint start{1234567890123ns};

unsigned fire(Timers& timers, TimePoint now, unsigned max = 1000) {
  return timers.expire(now, max, [](TimerNode&) {});
}

TEST(Timers, HasNoDeadlineWhenNothingIsArmed) {
  Timers timers;
  EXPECT_EQ(timers.next(), base::never);
  EXPECT_EQ(fire(timers, start), 0u);
  EXPECT_EQ(timers.armed(), 0u);
}

TEST(Timers, NeverFiresEarlyAndAtMostATickLate) {
  for (const nanoseconds after :
       {1ns, 999'999ns, 1'000'000ns, 1'000'001ns, 63'500'000ns, 64'000'000ns, 5'000'000'000ns}) {
    Timers timers;
    TimerNode node;
    fire(timers, start);
    timers.arm(node, start + after);
    EXPECT_EQ(fire(timers, start + after - 1ns), 0u) << after.count();
    EXPECT_EQ(fire(timers, start + after + 1ms), 1u) << after.count();
    EXPECT_FALSE(node.armed());
  }
}

TEST(Timers, FiresWhatIsDueAtOnce) {
  Timers timers;
  TimerNode node;
  fire(timers, start);
  timers.arm(node, start - 1h);
  EXPECT_LE(timers.next(), start);
  EXPECT_EQ(fire(timers, start), 1u);
}

TEST(Timers, ArmEarlierNeverPostpones) {
  Timers timers;
  TimerNode node;
  timers.arm_earlier(node, start + 50ms);
  timers.arm_earlier(node, start + 100ms);
  EXPECT_LE(timers.next(), start + 51ms);
  timers.arm_earlier(node, start + 10ms);
  EXPECT_EQ(fire(timers, start + 11ms), 1u);
  timers.arm(node, start + 20ms);
  timers.arm(node, start + 200ms);
  EXPECT_EQ(fire(timers, start + 100ms), 0u);
  timers.arm(node, base::never);
  EXPECT_FALSE(node.armed());
  EXPECT_EQ(timers.armed(), 0u);
}

TEST(Timers, ExpiresABoundedNumberAndKeepsTheRest) {
  Timers timers;
  std::vector<TimerNode> nodes(100);
  for (TimerNode& node : nodes) timers.arm(node, start + 5ms);
  EXPECT_EQ(fire(timers, start + 10ms, 30), 30u);
  EXPECT_EQ(timers.armed(), 70u);
  EXPECT_LE(timers.next(), start + 10ms);
  timers.cancel(nodes[99]);
  EXPECT_EQ(fire(timers, start + 10ms), 69u);
}

TEST(Timers, ACallbackMayArmAndCancelAnyNode) {
  Timers timers;
  TimerNode first, second, third;
  timers.arm(first, start + 1ms);
  timers.arm(second, start + 1ms);
  unsigned fired = 0;
  timers.expire(start + 5ms, 100, [&](TimerNode& node) {
    ++fired;
    if (&node == &first) {
      timers.cancel(second);
      timers.arm(third, start);
      timers.arm(first, start + 1h);
    }
  });
  EXPECT_EQ(fired, 2u);
  EXPECT_TRUE(first.armed());
  EXPECT_FALSE(second.armed());
  timers.cancel(first);
}

TEST(Timers, KeepsDeadlinesOfYears) {
  Timers timers;
  TimerNode node;
  fire(timers, start);
  timers.arm(node, start + 24h * 365 * 100);
  TimePoint now = start;
  unsigned looks = 0;
  while (fire(timers, now) == 0) {
    ASSERT_LT(++looks, 20u);
    ASSERT_GT(timers.next(), now);
    now = timers.next();
  }
  EXPECT_GE(now, start + 24h * 365 * 100);
}

struct ModelNode {
  TimerNode node;
  TimePoint deadline{};
  bool armed = false;
};

void check_fired(ModelNode& item, TimePoint now, TimePoint before) {
  ASSERT_TRUE(item.armed);
  ASSERT_LE(item.deadline, now);
  ASSERT_GT(item.deadline + 2ms, std::min(before, now)) << "it was due in an earlier look";
  item.armed = false;
}

void run_model(unsigned seed) {
  std::mt19937_64 random{seed};
  Timers timers;
  std::vector<ModelNode> items(60);
  TimePoint now{nanoseconds{static_cast<long>(random() % 1'000'000'000'000'000)}};
  fire(timers, now);
  static constexpr nanoseconds ranges[] = {2ms, 70ms, 5s, 300s, 20'000s, 2'000'000s};
  for (int step = 0; step < 4000; ++step) {
    ModelNode& item = items[random() % items.size()];
    const nanoseconds range = ranges[random() % std::size(ranges)];
    const TimePoint deadline =
        now + nanoseconds{static_cast<long>(random() % static_cast<std::uint64_t>(range.count()))};
    switch (random() % 4) {
      case 0:
        timers.arm(item.node, deadline);
        item.deadline = deadline;
        item.armed = true;
        break;
      case 1:
        timers.arm_earlier(item.node, deadline);
        item.deadline = item.armed ? std::min(item.deadline, deadline) : deadline;
        item.armed = true;
        break;
      case 2:
        timers.cancel(item.node);
        item.armed = false;
        break;
      default: {
        const TimePoint before = now;
        now += nanoseconds{static_cast<long>(random() % static_cast<std::uint64_t>(range.count()))};
        if (random() % 2 == 0 && timers.next() != base::never) now = std::max(before, timers.next());
        timers.expire(now, 1000,
                      [&](TimerNode& node) { check_fired(reinterpret_cast<ModelNode&>(node), now, before); });
      }
    }
    TimePoint earliest = base::never;
    std::size_t armed = 0;
    for (const ModelNode& each : items) {
      ASSERT_EQ(each.armed, each.node.armed()) << "seed " << seed << " step " << step;
      if (!each.armed) continue;
      ++armed;
      earliest = std::min(earliest, each.deadline);
    }
    ASSERT_EQ(timers.armed(), armed);
    if (armed == 0) {
      ASSERT_EQ(timers.next(), base::never);
    } else {
      ASSERT_LE(timers.next(), earliest + 1ms);
      ASSERT_GT(earliest + 1ms, now) << "what is due has fired";
    }
  }
}

TEST(Timers, RandomOperationsMatchANaiveModel) {
  for (unsigned seed = 1; seed <= 40; ++seed) run_model(seed);
}

}  // namespace
}  // namespace sluice::net
