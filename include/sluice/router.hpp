// router.hpp: which handler answers which request. Built before serving, read-only afterwards.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <sluice/admission.hpp>
#include <sluice/handler.hpp>

namespace sluice {

namespace detail {
struct RouterState;
}

/// The routes of a server.
///   Patterns: "/static/path", "/users/{id}" (one segment), "/files/{rest...}" (the rest, at the end only).
///             A static segment beats a parameter, a parameter beats a rest; two patterns that differ in
///             parameter names only are a conflict.
///   HEAD is answered by GET's handler without the body, OPTIONS by the list of methods, an unknown path by 404,
///   an unregistered method by 405 with Allow.
///   Errors: every member throws std::invalid_argument with a sentence that names the route or option.
///   Thread: one, before the router is given to a Server.
class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  Router& add(Method method, std::string_view pattern, Handler handler, RouteOptions options = {});
  Router& get(std::string_view pattern, Handler handler, RouteOptions options = {}) {
    return add(Method::get, pattern, std::move(handler), std::move(options));
  }
  Router& post(std::string_view pattern, Handler handler, RouteOptions options = {}) {
    return add(Method::post, pattern, std::move(handler), std::move(options));
  }
  Router& put(std::string_view pattern, Handler handler, RouteOptions options = {}) {
    return add(Method::put, pattern, std::move(handler), std::move(options));
  }
  Router& patch(std::string_view pattern, Handler handler, RouteOptions options = {}) {
    return add(Method::patch, pattern, std::move(handler), std::move(options));
  }
  Router& del(std::string_view pattern, Handler handler, RouteOptions options = {}) {
    return add(Method::delete_, pattern, std::move(handler), std::move(options));
  }

  /// Wraps every handler added afterwards, the first use() outermost. Folded once, at registration.
  Router& use(Middleware middleware);

  /// Declares a lane that several routes share by naming it in RouteOptions::lane.
  Router& lane(std::string name, LaneOptions options = {});

  /// Declares a pool of threads that lanes put their blocking handlers on by naming it in their `pool`: work that must
  /// not find all threads taken by other work, or that computes and wants no more threads than there are cores.
  Router& pool(std::string name, PoolOptions options);

  /// A router whose patterns get `prefix` in front and whose use() touches its own routes only; it starts with
  /// this router's middleware. Lives no longer than this router.
  class Group;
  Group group(std::string_view prefix);

 private:
  friend class Server;
  friend struct detail::RouterState;
  std::unique_ptr<detail::RouterState> state_;
};

class Router::Group {
 public:
  Group& add(Method method, std::string_view pattern, Handler handler, RouteOptions options = {});
  Group& get(std::string_view pattern, Handler handler, RouteOptions options = {}) {
    return add(Method::get, pattern, std::move(handler), std::move(options));
  }
  Group& post(std::string_view pattern, Handler handler, RouteOptions options = {}) {
    return add(Method::post, pattern, std::move(handler), std::move(options));
  }
  Group& put(std::string_view pattern, Handler handler, RouteOptions options = {}) {
    return add(Method::put, pattern, std::move(handler), std::move(options));
  }
  Group& patch(std::string_view pattern, Handler handler, RouteOptions options = {}) {
    return add(Method::patch, pattern, std::move(handler), std::move(options));
  }
  Group& del(std::string_view pattern, Handler handler, RouteOptions options = {}) {
    return add(Method::delete_, pattern, std::move(handler), std::move(options));
  }
  Group& use(Middleware middleware);
  Group group(std::string_view prefix) const;

 private:
  friend class Router;
  Group(detail::RouterState& state, std::string prefix, std::vector<Middleware> middleware)
      : state_{&state}, prefix_{std::move(prefix)}, middleware_{std::move(middleware)} {}
  detail::RouterState* state_;  // owned by the Router
  std::string prefix_;
  std::vector<Middleware> middleware_;
};

}  // namespace sluice
