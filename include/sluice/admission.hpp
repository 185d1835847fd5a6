// admission.hpp: how much work a route may hold, how long it may wait, and the counters that tell what happened.
// Values only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

/// How important a route is. `exempt` is never shed (health, metrics); its queue stays bounded all the same. The other
/// four are treated alike in this version.
enum class Criticality : std::uint8_t { sheddable, sheddable_plus, critical, critical_plus, exempt };

/// A lane: bounded queue + permits. One per route unless routes name a shared one (Router::lane).
struct LaneOptions {
  /// Permits: how much of its work may be alive at once. Range: 1 to pool threads (blocking) or any (answers later).
  /// Unset: 3/4 of the pool's threads (all, if it is the only blocking lane), or connections_max.
  std::optional<std::uint32_t> in_flight_max{};
  /// Jobs that may wait. Range: 1 to 65,536. The time bound usually acts first.
  std::uint32_t queue_depth_max = 256;
  /// Longest wait. Unset: automatic, from the measured service time, never above a quarter of the budget.
  std::optional<std::chrono::milliseconds> queue_timeout{};
  /// Permits no other lane can take. Range: 0 to in_flight_max; the sum stays below the pool's threads.
  std::uint32_t reserved = 0;
};

/// What one route is given. Every field has a finite default.
struct RouteOptions {
  /// Time from the complete request to the answer; the client has its 504 when it is spent. Above 0.
  std::chrono::milliseconds budget{5000};
  /// The four of LaneOptions, for the route's own lane.
  std::optional<std::uint32_t> in_flight_max{};
  std::optional<std::uint32_t> queue_depth_max{};
  std::optional<std::chrono::milliseconds> queue_timeout{};
  std::optional<std::uint32_t> reserved{};
  Criticality criticality = Criticality::critical;
  /// Largest body accepted, in bytes; more is answered 413. Unset: the server's.
  std::optional<std::uint64_t> body_bytes_max{};
  /// Name of a shared lane declared with Router::lane; the four above must then stay unset.
  std::string lane{};
};

/// Why a request was refused before it started.
enum class ShedReason : std::uint8_t { queue_full, infeasible, memory, draining, connection_share };
inline constexpr std::size_t shed_reason_count = 5;
const char* to_string(ShedReason reason) noexcept;

/// Counters of one lane since the start, each counted where it happens, none derived from the others.
///   Balance, at every quiescent moment:
///     received = shed + queued + inline
///     queued + inline = started + expired + cancelled + evicted + stale + drained + depth
///     started = responded + raised + timed_out + abandoned + running
struct LaneCounters {
  std::uint64_t received = 0;  // reached the gate
  std::uint64_t shed[shed_reason_count] = {};
  std::uint64_t queued = 0;  // immediate permits counted as queued
  std::uint64_t inlined = 0;
  std::uint64_t started = 0;
  std::uint64_t expired = 0, cancelled = 0, evicted = 0, stale = 0, drained = 0;  // never started
  std::uint64_t responded = 0, raised = 0, timed_out = 0, abandoned = 0;
  std::uint64_t dropped = 0, thrown = 0;  // columns of raised
  std::uint64_t late = 0;                 // answers that came after the outcome
  std::uint64_t started_after_deadline = 0;
  std::uint64_t loop_stalls = 0;  // times its code held a loop for longer than ServerOptions::loop_stall_threshold
  std::uint64_t depth = 0, running = 0, in_flight = 0, zombies = 0, limit = 0;  // gauges

  std::uint64_t shed_total() const noexcept {
    std::uint64_t sum = 0;
    for (const auto count : shed) sum += count;
    return sum;
  }
  /// Whether the three balance equations hold; meaningful while nothing moves.
  bool balanced() const noexcept {
    return received == shed_total() + queued + inlined &&
           queued + inlined == started + expired + cancelled + evicted + stale + drained + depth &&
           started == responded + raised + timed_out + abandoned + running;
  }
};

/// Counters of all connections since the start.
struct ConnectionCounters {
  std::uint64_t accepted = 0, open = 0, closed = 0;
  std::uint64_t refused_requests = 0;     // answered 4xx/5xx before a route's gate
  std::uint64_t head_timeouts = 0, body_timeouts = 0, idle_closed = 0, slow_readers = 0, resets = 0;
  std::uint64_t accept_pauses = 0, accept_errors = 0;
  std::uint64_t responses = 0, responses_dropped = 0;
  std::uint64_t idle_reaped = 0;  // idle ones closed early, to make room for newcomers or because memory is scarce
  std::uint64_t memory_pauses = 0;  // bodies whose reading was paused because memory is scarce
  std::uint64_t bytes_buffered = 0;  // gauge
};

/// How one loop is doing.
struct LoopStatus {
  std::uint64_t turns = 0;
  /// How long a turn took, since the start: the longest that whatever became ready meanwhile had to wait. Quantiles are
  /// up to 1/16 too large, the maximum is exact.
  std::uint64_t lag_p50_us = 0, lag_p99_us = 0, lag_p999_us = 0, lag_max_us = 0;
  std::uint64_t stalls = 0;  // the loop_stalls of all lanes that happened here
  std::uint64_t blocking_calls = 0;  // check_may_block() on this loop's thread
  /// The route ("GET /path") whose code is on the loop at this moment, if it has been for longer than
  /// ServerOptions::loop_stall_threshold, and for how long by now; else empty and 0.
  std::string stalled_route{};
  std::uint64_t stalled_for_ms = 0;
};

struct NamedLaneCounters {
  std::string name{};
  LaneCounters counters;
};

/// All counters at one moment.
struct Counters {
  std::vector<NamedLaneCounters> lanes{};
  LaneCounters total;
  ConnectionCounters connections;
  std::vector<LoopStatus> loops{};

  /// {"lanes":{NAME:{...}},"total":{...},"connections":{...},"loops":[{...}]}
  std::string to_json() const;
};

}  // namespace sluice
