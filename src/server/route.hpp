// route.hpp: one registered route and what it was given. Built before serving, read-only afterwards, but for the
// handler, which is called by several threads at once.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include <sluice/router.hpp>

#include "admission/pool.hpp"
#include "admission/rate_limit.hpp"
#include "server/route_table.hpp"

namespace sluice::detail {

/// The longest time an option may name: for ever to a server, and far below what overflows a clock.
inline constexpr std::chrono::milliseconds time_max = std::chrono::hours{24 * 7};

struct Route {
  Method method = Method::get;
  std::string pattern;
  Handler handler;
  RouteOptions options;
  bool in_place = false;  // a plain function on the loop: it has answered when it returns, so bytes may be borrowed
  // Settled when the server is built:
  std::uint64_t body_bytes_max = 0;
  admission::Lane* lane = nullptr;    // owned by the Core; never null while serving
  admission::Pool* pool = nullptr;    // owned by the Core; only for Runs::on_pool
  admission::RateLimiter* rate_limiter = nullptr;  // owned by the Core
};

struct RouterState {
  RouteTable table;
  std::deque<Route> routes;  // index is what the table gives back
  std::map<std::string, LaneOptions, std::less<>> lanes;
  std::map<std::string, PoolOptions, std::less<>> pools;
  std::vector<Middleware> middleware;

  void add(Method method, std::string pattern, Handler handler, RouteOptions options,
           const std::vector<Middleware>& wrap);

  /// The state inside a Router, for the server that takes it over.
  static std::unique_ptr<RouterState> take(Router&& router) noexcept { return std::move(router.state_); }
};

}  // namespace sluice::detail
