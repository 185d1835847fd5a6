// tally.hpp: the counters of one lane, counted where things happen. Each loop owns one Tally per lane and bumps it
// without locked instructions; everybody else shares one more. Readers add them up. None is derived from others.
#pragma once

#include <atomic>
#include <cstdint>

#include <sluice/admission.hpp>

namespace sluice::admission {

/// A number with relaxed reads from anywhere. Gauges go down by adding -1; sums over tallies wrap back.
class Count {
 public:
  /// Any thread.
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  /// Only by the one thread that owns this count.
  void add_owned(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void set_owned(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t read() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

inline constexpr std::uint64_t minus_one = ~std::uint64_t{0};

/// Thread: `owned` says who may add_owned; see the file's head.
struct alignas(64) Tally {
  Count received, inlined, queued, started;
  Count shed[shed_reason_count];
  Count expired, cancelled, evicted, stale, drained;
  Count responded, raised, timed_out, abandoned;
  Count dropped, thrown, late, started_after_deadline, delayed, degraded, loop_stalls;
  Count depth, running, zombies;

  /// Adds this tally's numbers to `sum`.
  void add_to(LaneCounters& sum) const noexcept;
};

}  // namespace sluice::admission
