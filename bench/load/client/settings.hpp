// settings.hpp: what a generator thread is told: where to, when, and which part of the load is its own.
// In: a checked Load. Out: read-only for all threads of the run. Lifetime: longer than every Client.
#pragma once

#include <sluice/bench.hpp>

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/clock.hpp"
#include "load/client/live.hpp"
#include "load/plan/request_text.hpp"
#include "net/address.hpp"

namespace sluice::bench {

/// Fixed before the first thread starts.
struct Settings {
  const Load* load = nullptr;
  net::Address target{};
  std::vector<net::Address> sources{};
  std::vector<RequestMix> mixes{};  // one per Load::clients
  base::Duration window{};          // of the time axis
};

/// What thread number `number` of `count` does of it.
struct Part {
  unsigned number = 0, count = 1;

  /// Its share of `total` things.
  unsigned of(unsigned total) const noexcept { return total / count + (number < total % count ? 1 : 0); }
};

/// The one place where the threads of a run and their caller meet. Relaxed counters, three signals, and what a live
/// run hands over.
struct Meeting {
  static constexpr std::int64_t not_yet = INT64_MIN;

  std::atomic<unsigned> ready{0};                 // threads whose connections are made or have failed
  std::atomic<std::int64_t> start{not_yet};       // nanoseconds of the steady clock; set once all are ready
  std::atomic<bool> stop{false};                  // end the measured part now
  std::atomic<bool> abandon{false};               // end at once, without grace
  std::atomic<bool> not_http{false};              // the first answers of the run were no HTTP
  std::atomic<std::uint64_t> connected{0};
  std::atomic<int> connect_error{0};              // errno of the first connection that failed
  std::atomic<std::uint64_t> ok{0}, refused{0}, failed{0};
  std::atomic<std::int64_t> outstanding{0};
  Courses courses{};  // set before the threads start, if the load is steered
  FinishedWindows windows{};
};

}  // namespace sluice::bench
