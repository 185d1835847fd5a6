// sweep.hpp: several runs of one load at different rates, as one result. Plain values.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <sluice/bench.hpp>

namespace sluice::bench {

/// One rate of a sweep.
struct SweepRun {
  double rate_per_s = 0;  // that Load::clients[0] had
  RunResult run{};
};

/// The runs of a sweep, in the order they were made.
struct SweepResult {
  std::string name{};
  std::string target{};
  std::string started_at{};  // UTC, ISO 8601
  std::vector<SweepRun> runs{};

  bool valid() const noexcept {
    return std::all_of(runs.begin(), runs.end(), [](const SweepRun& one) { return one.run.valid(); });
  }
};

}  // namespace sluice::bench
