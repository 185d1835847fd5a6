// scenario.hpp: what one simulated run is given, and what it gives back. Values only.
#pragma once

#include <sluice/admission.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "admission/discipline.hpp"
#include "base/histogram.hpp"
#include "sim/core/draw.hpp"
#include "sim/core/recovery.hpp"

namespace sluice::lane_sim {

using base::Duration;
using base::TimePoint;
using sim::Shape;
using sim::shape_named;
using sim::shapes;
using sim::Slot;
using sim::slot_length;
using sim::to_string;

/// Clients that try again.
struct Retries {
  unsigned more = 0;  // attempts after the first one
  Duration delay = std::chrono::milliseconds{1};
  bool backoff = false;  // doubled with each attempt, and spread over 50 to 150 %
};

/// A time in which work takes longer: what starts in it takes `factor` times its service time.
struct Stall {
  Duration begin{0}, length{0};
  unsigned factor = 20;
};

/// What the work waits for serves up to `knee` at a time at full speed; above it all get slower together.
struct Phase {
  Duration length{0};
  unsigned knee = 1;
};
struct DependencyOptions {
  std::vector<Phase> phases{};
  double loss_per_job = 0;  // share of the capacity lost by each job above the knee
};

struct Scenario {
  Shape shape = Shape::exponential;
  Duration service = std::chrono::milliseconds{20};  // mean
  std::uint32_t permits = 16;
  bool workers = true;  // false: work that is answered later, granted on its loop
  /// Offered calls per permits / service; or, if above 0, calls per second.
  double load = 2;
  double rate_per_s = 0;
  std::uint64_t requests = 100'000;
  std::optional<Duration> length{};  // instead of `requests`
  std::uint64_t seed = 1;

  Duration budget = std::chrono::seconds{5};
  std::optional<Duration> client_timeout{};
  Retries retries{};
  Stall stall{};
  std::optional<DependencyOptions> dependency{};

  std::uint32_t queue_depth_max = 256;
  std::optional<Duration> queue_timeout{};
  admission::Discipline discipline{};
  std::optional<AdaptiveLimit> adaptive{};
};

/// Of the calls that came in one phase of the dependency.
struct PhaseResult {
  double seconds = 0;
  std::uint64_t offered = 0, good = 0;
  std::uint32_t limit_at_end = 0;
  base::Histogram response{0.01};  // of the good ones, in ns
};

struct Result {
  double seconds = 0;  // until the last arrival; what ends later is not good
  std::uint64_t calls = 0, attempts = 0, good = 0;
  std::uint64_t capacity = 0;  // what always busy workers finish of the same sequence of service times
  LaneCounters counters;       // when all is over
  bool balanced = false;       // exactly, and nothing is left
  base::Histogram wait{0.01};     // in the queue, of the started ones
  base::Histogram refusal{0.01};  // in the queue, of those refused there
  std::uint64_t mode_changes = 0;
  double overloaded_share = 0;
  std::uint64_t longest_queue = 0;
  std::vector<Slot> slots{};
  std::vector<PhaseResult> phases{};
  std::uint64_t fingerprint = 0;  // of every outcome and its time

  double share() const noexcept {
    return capacity == 0 ? 0 : static_cast<double>(good) / static_cast<double>(capacity);
  }
};

/// Plays the scenario to its end in virtual time.
///   Cost: some 0.3 us per event.
Result play(const Scenario& scenario);

/// How long after the stall calls went unanswered: the end of the last half second, from the stall's end on, with less
/// than `share` of its calls good.
Duration recovery(const Scenario& scenario, const Result& result, double share = 0.95);

}  // namespace sluice::lane_sim
