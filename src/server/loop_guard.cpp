#include "server/loop_guard.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

#include "net/loop_base.hpp"

namespace sluice::detail {
namespace {

long long milliseconds(base::Duration time) noexcept {
  return static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

/// Two readings of a clock that stands still for up to `step` lie less than one step further apart than what is between
/// them.
base::Duration limit_for(std::chrono::milliseconds threshold, base::Duration step) noexcept {
  return threshold + std::max(step, base::Duration{1});
}

}  // namespace

LoopGuard::LoopGuard(Core& core, std::size_t index) noexcept
    : core_{core},
      clock_{core.clock()},
      index_{index},
      limit_{limit_for(core.options().loop_stall_threshold, clock_.coarse_step()).count()},
      seen_{coarse()},
      next_line_{seen_.load(std::memory_order_relaxed)} {}

void LoopGuard::stalled(const Route& route, base::Duration held) noexcept {
  stalls_.add_owned();
  route.lane->tally(index_).loop_stalls.add_owned();
  const base::Duration::rep now = seen_.load(std::memory_order_relaxed);
  if (now < next_line_) {
    ++unlogged_;
    return;
  }
  next_line_ = now + log_interval.count();
  char detail[120];
  int size = std::snprintf(detail, sizeof detail, "held the loop for %lld ms", milliseconds(held));
  if (unlogged_ > 0) {
    size += std::snprintf(detail + size, sizeof detail - static_cast<std::size_t>(size),
                          "; %llu more since the last such line", static_cast<unsigned long long>(unlogged_));
  }
  unlogged_ = 0;
  core_.log(LogEvent::Level::warning, "loop_stalled", route.pattern, {detail, static_cast<std::size_t>(size)});
  look_again();  // the hook's time is no handler's
}

LoopStatus LoopGuard::status(const net::LoopBase& loop) const {
  LoopStatus status;
  status.turns = loop.counters().turns.value();
  const base::SharedHistogram::View lag = loop.lag().view();
  status.lag_p50_us = lag.at(0.5);
  status.lag_p99_us = lag.at(0.99);
  status.lag_p999_us = lag.at(0.999);
  status.lag_max_us = lag.max();
  status.stalls = stalls_.read();
  status.blocking_calls = loop.counters().blocking_calls.value();
  // The route first: the time belongs to it then, or to something later, which is shorter.
  const Route* const route = running_.load(std::memory_order_acquire);
  const base::Duration held{coarse() - seen_.load(std::memory_order_relaxed)};
  if (route != nullptr && held.count() >= limit_) {
    status.stalled_route = std::string{to_string(route->method)} + " " + route->pattern;
    status.stalled_for_ms = static_cast<std::uint64_t>(milliseconds(held));
  }
  return status;
}

}  // namespace sluice::detail
