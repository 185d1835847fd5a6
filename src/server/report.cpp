// What a server runs with, in figures: Core::report and what it is made of.
#include <algorithm>

#include "base/block_pool.hpp"
#include "net/io.hpp"
#include "server/core.hpp"
#include "server/exchange.hpp"

namespace sluice::detail {
namespace {

using Figures = std::vector<std::pair<std::string, std::uint64_t>>;

std::uint64_t ms(std::chrono::milliseconds value) noexcept { return static_cast<std::uint64_t>(value.count()); }

Figures figures(const Limits& l) {
  return {{"connections_max", l.connections_max},
          {"connection_in_flight_max", l.connection_in_flight_max},
          {"head_timeout_ms", ms(l.head_timeout)},
          {"head_bytes_max", l.head_bytes_max},
          {"head_fields_max", l.head_fields_max},
          {"target_bytes_max", l.target_bytes_max},
          {"body_bytes_max", l.body_bytes_max},
          {"body_timeout_ms", ms(l.body_timeout)},
          {"body_rate_min_bytes_per_second", l.body_rate_min},
          {"body_grace_ms", ms(l.body_grace)},
          {"body_window_bytes", l.body_window_bytes},
          {"idle_timeout_ms", ms(l.idle_timeout)},
          {"write_timeout_ms", ms(l.write_timeout)},
          {"output_high_water_bytes", l.output_high_water},
          {"pipelined_max", l.pipelined_max},
          {"pipelined_bytes_max", l.pipelined_bytes_max},
          {"linger_timeout_ms", ms(l.linger_timeout)},
          {"linger_bytes_max", l.linger_bytes_max},
          {"buffered_bytes_max", l.buffered_bytes_max},
          {"drain_timeout_ms", ms(l.drain_timeout)},
          {"drain_grace_ms", ms(l.drain_grace)}};
}

const char* name_of(Runs runs) noexcept {
  switch (runs) {
    case Runs::on_loop: return "loop";
    case Runs::answers_later: return "later";
    case Runs::on_pool: return "pool";
  }
  return "loop";
}

/// What one loop's pool keeps for the next taker.
constexpr std::uint64_t free_bytes_max() noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < base::BlockPool::class_count; ++i) {
    sum += base::BlockPool::free_max[i] * base::BlockPool::class_bytes[i];
  }
  return sum;
}

}  // namespace

Report Core::report() const {
  Report report;
  report.cores = default_loops();
  report.loops = options_.loops;
  report.pool_threads = options_.pool_threads;
  for (const NamedPool& pool : pools_) {
    if (!pool.name.empty()) report.pools.emplace_back(pool.name, pool.threads);
  }
  report.limits = figures(options_.limits);
  report.limits.emplace_back("loop_stall_threshold_ms", ms(options_.loop_stall_threshold));
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const admission::Lane::Settings& lane = lanes_[i]->settings();
    const base::Duration budget = lane_budget(*lanes_[i]);
    const Runs runs = lane_kinds_[i].runs;
    const base::Duration wait = lanes_[i]->view(budget).queue_timeout;
    const bool queues = needs_permit(runs);
    report.lanes.push_back({lane.name, name_of(runs), queues ? lane.limit_max() : 0, lane.reserved,
                            queues ? lane.depth_max : 0,
                            queues ? ms(std::chrono::duration_cast<std::chrono::milliseconds>(wait)) : 0,
                            ms(std::chrono::duration_cast<std::chrono::milliseconds>(budget)),
                            lane_kinds_[i].pool == no_pool ? std::string{} : pools_[lane_kinds_[i].pool].name});
  }
  report.memory_bytes_max = memory_bytes_max();
  report.warnings = warnings();
  return report;
}

base::Duration Core::lane_budget(const admission::Lane& lane) const noexcept {
  base::Duration shortest = base::Duration::max();
  for (const Route& route : routes_->routes) {
    if (route.lane == &lane) shortest = std::min<base::Duration>(shortest, route.options.budget);
  }
  return shortest;
}

// Everything the limits allow the library to hold at once. Buffered bytes are capped as a whole; what a handler
// allocates for itself, a response's body included, is its own, and so are the bodies of exempt routes.
std::uint64_t Core::memory_bytes_max() const noexcept {
  constexpr std::uint64_t connection_bytes = 256;         // Connection and its share of the slab
  constexpr std::uint64_t exchange_bytes = 3 * 1024;      // Exchange, with the offsets of every field
  constexpr std::uint64_t permit_bytes = 48;              // its place in the lane's list
  constexpr std::uint64_t client_bytes = 64;              // up to four places in a table that is at most half full
  static_assert(sizeof(Exchange) <= exchange_bytes);
  constexpr std::uint64_t thread_stack_bytes = 64 * 1024; // touched part of a thread's stack, usual case
  // The pool's free lists; what the backend receives into, 1 MiB at most; tables.
  constexpr std::uint64_t loop_bytes = free_bytes_max() + 2 * 1024 * 1024;
  // Above the budget a connection still has a small head, and the head and the body's owner of one answer.
  constexpr std::uint64_t last_bytes = 3 * sizeof(base::Block);
  // The budget is looked at before bytes are kept and when a turn ends: what a turn can still read comes on top. Each
  // read is counted as the size class that what was kept before may grow into.
  constexpr std::uint64_t turn_bytes = 2 * net::batch_max * std::uint64_t{256 * 1024};
  const Limits& l = options_.limits;
  std::uint64_t permits = 0;
  std::uint64_t streams = 0;  // what waits for or behind a handler that streams; any that holds a permit may
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (!needs_permit(lane_kinds_[i].runs)) continue;
    const std::uint64_t of_lane = lanes_[i]->settings().limit_max();
    permits += of_lane;
    const bool reads = std::ranges::any_of(routes_->routes, [&](const Route& route) {
      return route.lane == lanes_[i].get() && route.options.stream_body;
    });
    streams += of_lane * (l.output_high_water + (reads ? l.body_window_bytes : 0u));
  }
  std::uint64_t clients = 0;
  for (const auto& lane : lanes_) {
    if (lane->counts_clients()) clients += lane->settings().limit_max() + lane->settings().depth_max;
  }
  std::uint64_t body_max = l.body_bytes_max;
  for (const Route& route : routes_->routes) body_max = std::max(body_max, route.body_bytes_max);
  std::uint64_t threads = 0;
  for (const NamedPool& pool : pools_) threads += pool.threads;
  // One body may be growing: into the next size class, or to twice its size.
  const std::uint64_t growth = 1024 * 1024 + 2 * body_max + l.pipelined_bytes_max;
  const std::uint64_t buffered = l.buffered_bytes_max + options_.loops * (growth + turn_bytes);
  return l.connections_max * (connection_bytes + exchange_bytes + last_bytes) +
         permits * (exchange_bytes + permit_bytes) + streams + clients * client_bytes + buffered +
         threads * thread_stack_bytes + options_.loops * loop_bytes;
}

std::vector<std::string> Core::warnings() const {
  std::vector<std::string> all;
  const unsigned cores = default_loops();
  if (options_.loops > cores) {
    all.push_back("loops " + std::to_string(options_.loops) + " is more than the " + std::to_string(cores) +
                  " cores this process may use");
  }
  if (options_.limits.connections_max > default_connections_max() * 2ull) {
    all.push_back("connections_max " + std::to_string(options_.limits.connections_max) +
                  " is more than the file descriptors this process may open");
  }
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (!needs_permit(lane_kinds_[i].runs)) continue;
    const admission::Lane::Settings& lane = lanes_[i]->settings();
    const base::Duration budget = lane_budget(*lanes_[i]);
    const base::Duration wait = lanes_[i]->view(budget).queue_timeout;
    // A queue that can't be emptied within its wait even if every job takes only a millisecond.
    if (std::uint64_t{lane.depth_max} * std::chrono::milliseconds{1} > wait * lane.limit_max()) {
      all.push_back("lane " + lane.name + ": queue_depth_max " + std::to_string(lane.depth_max) + " is more than " +
                    std::to_string(lane.limit_max()) + " permits can work off in its queue_timeout of " +
                    std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(wait).count()) +
                    " ms, even at 1 ms each");
    }
  }
  return all;
}

}  // namespace sluice::detail
