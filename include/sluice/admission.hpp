// admission.hpp: how much work a route may hold, how long it may wait, and the counters that tell what happened.
// Values only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

class Request;
class Response;

/// How important a route is. Of what waits for the same permits or the same pool, the more important starts first, and
/// where a queue is full it takes the place of the least important. `exempt` is never shed for the server's sake (health,
/// metrics); its queue stays bounded all the same.
enum class Criticality : std::uint8_t { sheddable, sheddable_plus, critical, critical_plus, exempt };
inline constexpr std::size_t criticality_count = 5;

/// A named pool of threads for blocking handlers (Router::pool), apart from the server's own.
struct PoolOptions {
  /// Range: 1 to 4,096. Work that waits: as many as may wait at once. Work that computes: one per core, or fewer.
  unsigned threads = 0;
};

/// Lets a lane find its own number of permits between two bounds: more while requests wait and more get done by it,
/// fewer while more in flight only makes each slower. For lanes whose real limit lies behind them and changes.
///   Units: permits, 1 <= min <= max; max as in_flight_max, which must stay unset.
struct AdaptiveLimit {
  std::uint32_t min = 1;
  std::uint32_t max = 64;
};

/// A token bucket: so many requests a second, and so many at once after a pause; what is above is answered 429.
struct RateLimit {
  double per_second = 0;  // above 0, up to 1e9
  std::uint32_t burst = 1;  // at least 1; at that pace, no more than seven days' worth
};

/// Why a request was refused before it started.
enum class ShedReason : std::uint8_t {
  queue_full,
  infeasible,  // could not start within its queue timeout
  memory,  // buffered_bytes_max
  draining,
  connection_share,  // connection_in_flight_max: 429
  rate_limited,  // RouteOptions::rate_limit: 429
  client_share,  // LaneOptions::client_share: 429
  deadline,  // the client's own, see ServerOptions::deadline_headers, was over when it asked: 504
};
inline constexpr std::size_t shed_reason_count = 8;

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
  /// Name of the pool that its blocking handlers run on, declared with Router::pool. Empty: the server's own.
  std::string pool{};
  /// Set: in_flight_max is found by the lane itself.
  std::optional<AdaptiveLimit> adaptive_limit{};
  /// The part of the lane's permits that one client (ServerOptions::client_key) may have in use, waiting requests
  /// included; at least one, what is above is answered 429. Range: above 0, up to 1. Unset: no such limit.
  std::optional<double> client_share{};
  /// Server::ready() is false while all its permits are held by requests that are over.
  bool readiness = false;
};

/// What one route is given. Every field has a finite default.
struct RouteOptions {
  /// Time from the complete request (its head, with stream_body) to the answer (its head, if it is streamed); the client
  /// has its 504 when it is spent. Above 0. A client may ask for less, see ServerOptions::deadline_headers.
  std::chrono::milliseconds budget{5000};
  /// Those of LaneOptions, for the route's own lane.
  std::optional<std::uint32_t> in_flight_max{};
  std::optional<std::uint32_t> queue_depth_max{};
  std::optional<std::chrono::milliseconds> queue_timeout{};
  std::optional<std::uint32_t> reserved{};
  std::string pool{};
  std::optional<AdaptiveLimit> adaptive_limit{};
  std::optional<double> client_share{};
  bool readiness = false;
  Criticality criticality = Criticality::critical;
  /// Requests of this route alone, whatever lane it uses.
  std::optional<RateLimit> rate_limit{};
  /// Largest body accepted, in bytes; more is answered 413. Unset: the server's.
  std::optional<std::uint64_t> body_bytes_max{};
  /// The handler starts when the head is there and reads the body itself: Request::body_reader(). The budget begins
  /// with the head then, and holds for the body too. For handlers that answer later or run on the pool.
  bool stream_body = false;
  /// Longest time an answer may be streamed, from its head to ResponseWriter::finish(); then the connection is cut,
  /// which the writer sees as a client that has left. Unset: as long as its client keeps reading.
  std::optional<std::chrono::milliseconds> stream_duration_max{};
  /// Asked about a request that announces its body and waits (`Expect: 100-continue`), before the body is invited.
  /// A Response refuses it: it is sent, the body is not read, the connection ends. nullopt: go on. A handler that
  /// streams the body may decide later as well: the body is invited by its first read.
  ///   Thread: the request's loop; must not block. Errors: if it throws, the client gets 500.
  std::function<std::optional<Response>(const Request&)> on_expect{};
  /// Name of a shared lane declared with Router::lane; what belongs to a lane must then stay unset here.
  std::string lane{};
  /// Gives a degraded answer (from a cache, say) in place of the 503 of a request that was read and not started.
  /// `infeasible`: it could not start in time, or its waiting time is over; `queue_full`: no place, or it had to make
  /// room. Not for 429s, and not during a drain.
  ///   Thread: the request's loop; must not block. Errors: if it throws, the client gets the plain 503.
  std::function<Response(const Request&, ShedReason)> on_shed{};
};
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
  std::uint64_t late = 0;  // answers that came after the outcome
  std::uint64_t started_after_deadline = 0;
  std::uint64_t delayed = 0;  // of shed: answered 50 to 200 ms later, see the refusal ladder
  std::uint64_t degraded = 0;  // never started, answered by on_shed
  std::uint64_t mode_changes = 0;  // between first come first served and newest first
  std::uint64_t loop_stalls = 0;  // times its code held a loop for longer than ServerOptions::loop_stall_threshold
  std::uint64_t depth = 0, running = 0, in_flight = 0, zombies = 0, limit = 0;  // gauges
  std::uint64_t oldest_zombie_ms = 0;  // gauge: since it got its permit
  std::uint64_t overloaded = 0;  // gauge: 1 while the newest go first
  std::uint64_t stalled = 0;  // gauge: 1 while zombies hold every permit

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
  std::uint64_t refused_requests = 0;  // answered 4xx/5xx before a route's gate
  std::uint64_t head_timeouts = 0, body_timeouts = 0, idle_closed = 0, slow_readers = 0, resets = 0;
  std::uint64_t accept_pauses = 0, accept_errors = 0;
  std::uint64_t responses = 0, responses_dropped = 0;
  std::uint64_t refusals = 0;  // at a gate; those the ladder answered late are the lanes' `delayed`
  std::uint64_t reads_paused = 0;  // by the ladder: connections not read for a while
  std::uint64_t accepts_paused = 0;  // by the ladder: windows of 100 ms without new connections
  std::uint64_t idle_reaped = 0;  // idle ones closed early, to make room for newcomers or because memory is scarce
  std::uint64_t memory_pauses = 0;  // bodies whose reading was paused because memory is scarce
  std::uint64_t bytes_buffered = 0;  // gauge
  /// By the loops, of what is received and sent: input that had to be kept, heads and bodies that outlive the turn they
  /// came in, streamed bodies on their way to their readers, and of answers the heads and small bodies or pieces. What
  /// the kernel copies and handlers do is not in it.
  std::uint64_t bytes_copied = 0;
  std::uint64_t refusal_rung = 0;  // gauge, the highest of all loops: 0 answer, 1 delay, 2 pause reads, 3 pause accept
  std::uint64_t refusal_cost_ns = 0;  // gauge, the highest of all loops: CPU time of one refusal
};

/// A handler at work.
struct RunningWork {
  std::string lane{};
  std::string route{};  // "GET /users/{id}"
  std::chrono::milliseconds age{0};  // since it got its permit
  bool zombie = false;  // the client has its answer, or is gone
};

/// Whether a balancer should send requests here.
struct Readiness {
  bool ready = false;
  std::string reason{};  // why not, or empty
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
