// timers_bench.cpp: deadlines of a loop, armed, cancelled and fired, beside as many others as there are connections.
#include <benchmark/benchmark.h>

#include <chrono>
#include <vector>

#include "net/timers.hpp"

namespace sluice::net {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint start{1h};

/// Timers in which `count` others are armed, over the next minute.
class Filled {
 public:
  explicit Filled(std::int64_t count) : nodes_(static_cast<std::size_t>(count)) {
    timers.expire(start, 1, [](TimerNode&) {});
    for (std::size_t i = 0; i < nodes_.size(); ++i) timers.arm(nodes_[i], start + 1s + i % 60'000 * 1ms);
  }
  ~Filled() {
    for (TimerNode& node : nodes_) timers.cancel(node);
  }
  Filled(const Filled&) = delete;
  Filled& operator=(const Filled&) = delete;

  Timers timers;

 private:
  std::vector<TimerNode> nodes_;
};

void timers_arm_and_cancel(benchmark::State& state) {
  Filled filled{state.range()};
  TimerNode node;
  std::int64_t turn = 0;
  for (auto _ : state) {
    filled.timers.arm(node, start + (turn++ % 10'000) * 1ms);
    filled.timers.cancel(node);
  }
}
BENCHMARK(timers_arm_and_cancel)->Arg(0)->Arg(10'000);

/// What a kept connection does with each request: its deadline moves on, the node stays where it is.
void timers_arm_earlier(benchmark::State& state) {
  Filled filled{state.range()};
  TimerNode node;
  std::int64_t turn = 0;
  filled.timers.arm(node, start + 1s);
  for (auto _ : state) filled.timers.arm_earlier(node, start + 2s + (turn++ % 10'000) * 1ms);
  filled.timers.cancel(node);
}
BENCHMARK(timers_arm_earlier)->Arg(0)->Arg(10'000);

/// One node armed and fired per tick.
void timers_arm_and_expire(benchmark::State& state) {
  Filled filled{0};
  TimerNode node;
  TimePoint now = start;
  for (auto _ : state) {
    filled.timers.arm(node, now + 1ms);
    now += 2ms;
    unsigned fired = filled.timers.expire(now, 64, [](TimerNode&) {});
    benchmark::DoNotOptimize(fired);
  }
  filled.timers.cancel(node);
}
BENCHMARK(timers_arm_and_expire);

/// A turn in which nothing is due.
void timers_nothing_due(benchmark::State& state) {
  Filled filled{state.range()};
  for (auto _ : state) {
    unsigned fired = filled.timers.expire(start, 64, [](TimerNode&) {});
    benchmark::DoNotOptimize(fired);
    benchmark::DoNotOptimize(filled.timers.next());
  }
}
BENCHMARK(timers_nothing_due)->Arg(0)->Arg(10'000);

}  // namespace
}  // namespace sluice::net
