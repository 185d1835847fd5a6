// core.hpp: what all shards of a server share: options, routes, lanes, the pool, the error boundary. Knows no backend
// and no socket, so that the simulator builds the very same one over a virtual clock and virtual workers.
// Built by one thread; read by all afterwards. Outlives the last exchange.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <sluice/server.hpp>

#include "admission/pool.hpp"
#include "server/route.hpp"

namespace sluice::detail {

/// Everything a server is made of but its loops.
class Core {
 public:
  /// Checks options and routes, builds lanes and pool.
  ///   Errors: std::invalid_argument with a sentence that names the option.
  ///   hosts: makes the place where so many workers live.
  using Hosts = std::function<std::unique_ptr<admission::WorkerHost>(unsigned threads)>;
  Core(std::unique_ptr<RouterState> routes, ServerOptions options, const base::Clock& clock, const Hosts& hosts);

  const ServerOptions& options() const noexcept { return options_; }
  const Limits& limits() const noexcept { return options_.limits; }
  const base::Clock& clock() const noexcept { return clock_; }
  /// When a drain under way cuts what is left; base::never if there is none. Thread: any.
  base::TimePoint drain_deadline() const noexcept {
    return base::TimePoint{base::Duration{drain_deadline_.load(std::memory_order_acquire)}};
  }
  /// Only ever earlier.
  void clamp_drain_deadline(base::TimePoint deadline) noexcept {
    base::Duration::rep seen = drain_deadline_.load(std::memory_order_acquire);
    const base::Duration::rep wanted = deadline.time_since_epoch().count();
    while (wanted < seen && !drain_deadline_.compare_exchange_weak(seen, wanted)) {}
  }
  RouteTable& table() noexcept { return routes_->table; }
  Route& route(std::uint32_t index) noexcept { return *by_index_[index]; }
  std::deque<Route>& routes() noexcept { return routes_->routes; }
  /// The pool behind a lane; nullptr: its work needs no thread.
  admission::Pool* pool_of(const admission::Lane& lane) noexcept;
  void start_pools();
  void close_pools() noexcept;
  void join_pools() noexcept;
  bool on_pool_thread() const noexcept;
  /// Spreads a client's name over all bits; never 0. The seed is this server's, so that nobody can aim at another.
  std::uint64_t client_hash(std::string_view client) const noexcept;
  const std::vector<std::unique_ptr<admission::Lane>>& lanes() const noexcept { return lanes_; }

  /// Renders a problem for the client. Never fails: what throws is replaced by a fixed answer.
  Response render(const Request& request, const Problem& problem) const noexcept;
  /// The fixed body of an answer the library gives itself; needs no memory. Empty for a status it never gives.
  std::string_view fixed_body(int status) const noexcept;
  /// Calls the log hook, if there is one. Swallows what it throws.
  void log(LogEvent::Level level, std::string_view what, std::string_view route,
           std::string_view detail) const noexcept;

  /// How often a log hook was called, by any thread; wraps.
  std::uint32_t log_calls() const noexcept { return log_calls_.load(std::memory_order_relaxed); }

  Report report() const;
  /// Every lane's counters: sums over the tallies of all loops and the shared one. Thread: any.
  std::vector<NamedLaneCounters> lane_counters() const;
  std::vector<RunningWork> running() const;
  /// The name of a lane marked with `readiness` that is stalled, or empty.
  std::string stalled_lane() const;

 private:
  void check_options() const;
  void build_pools(const Hosts& hosts);
  void build_lanes();
  admission::Lane& lane_for(const Route& route);
  static void check_lane_options(const Route& route);
  admission::Lane& make_lane(std::string name, const LaneOptions& options, Runs runs);
  void check_reserved() const;
  void check_reserved(std::size_t pool) const;
  std::vector<std::string> warnings() const;
  std::uint64_t memory_bytes_max() const noexcept;
  /// The shortest budget among the routes of a lane.
  base::Duration lane_budget(const admission::Lane& lane) const noexcept;

  std::unique_ptr<RouterState> routes_;
  std::vector<Route*> by_index_;  // into routes_
  const ServerOptions options_;
  const base::Clock& clock_;
  struct NamedPool {
    std::string name;  // empty: the server's own, the first
    unsigned threads = 0;
    std::uint32_t lanes = 0;  // that use it
    std::unique_ptr<admission::WorkerHost> host;
    std::unique_ptr<admission::Pool> pool;
  };
  NamedPool* find_pool(std::string_view name) noexcept;

  std::vector<NamedPool> pools_;
  std::vector<std::unique_ptr<admission::LaneGroup>> later_groups_;  // one for each lane that needs no thread
  std::vector<std::unique_ptr<admission::Lane>> lanes_;
  struct LaneKind {
    Runs runs = Runs::on_loop;
    std::size_t pool = no_pool;  // index
  };
  static constexpr std::size_t no_pool = ~std::size_t{0};
  std::vector<LaneKind> lane_kinds_;  // by lane, same order
  std::deque<admission::RateLimiter> rate_limiters_;
  std::uint64_t client_seed_ = 0;
  std::vector<std::pair<int, std::string>> fixed_bodies_;
  mutable std::atomic<std::uint32_t> log_calls_{0};
  std::atomic<base::Duration::rep> drain_deadline_{base::never.time_since_epoch().count()};
};

/// Whether a route gives no answer by itself and needs a lane with permits.
constexpr bool needs_permit(Runs runs) noexcept { return runs != Runs::on_loop; }

}  // namespace sluice::detail
