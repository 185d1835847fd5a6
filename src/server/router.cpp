#include "server/route.hpp"

#include <stdexcept>

namespace sluice {
namespace detail {
namespace {

template <class Fail>
void check(const AdaptiveLimit& limit, bool also_fixed, Fail fail) {
  if (limit.min == 0) fail("adaptive_limit.min must be above 0");
  if (limit.max < limit.min) fail("adaptive_limit.max must not be below min");
  if (also_fixed) fail("in_flight_max and adaptive_limit exclude each other");
}

template <class Fail>
void check_share(double share, Fail fail) {
  if (!(share > 0 && share <= 1)) fail("client_share must be above 0, up to 1");
}

void check(const RouteOptions& options, const std::string& name) {
  const auto fail = [&](const char* what) { throw std::invalid_argument{"route " + name + ": " + what}; };
  if (options.budget <= std::chrono::milliseconds{0}) fail("budget must be above 0");
  if (options.budget > time_max) fail("budget must not be above seven days");
  if (options.stream_duration_max &&
      (*options.stream_duration_max <= std::chrono::milliseconds{0} || *options.stream_duration_max > time_max)) {
    fail("stream_duration_max must be above 0 and not above seven days");
  }
  if (options.in_flight_max && *options.in_flight_max == 0) fail("in_flight_max must be above 0");
  if (options.queue_depth_max && *options.queue_depth_max == 0) fail("queue_depth_max must be above 0");
  if (options.queue_depth_max && *options.queue_depth_max > 65'536) fail("queue_depth_max must not be above 65,536");
  if (options.queue_timeout && options.queue_timeout->count() <= 0) fail("queue_timeout must be above 0");
  if (options.queue_timeout && *options.queue_timeout > options.budget) fail("queue_timeout must not exceed budget");
  if (options.adaptive_limit) check(*options.adaptive_limit, options.in_flight_max.has_value(), fail);
  if (options.client_share) check_share(*options.client_share, fail);
  if (options.rate_limit) {
    const RateLimit& rate = *options.rate_limit;
    if (!(rate.per_second > 0 && rate.per_second <= 1e9)) fail("rate_limit.per_second must be above 0, up to 1e9");
    if (rate.burst == 0) fail("rate_limit.burst must be above 0");
    constexpr double longest_s = 7 * 24 * 3600;  // no wait of ours is longer
    if (rate.per_second * longest_s < 1 || rate.burst / rate.per_second > longest_s) {
      fail("rate_limit: a burst must be over within seven days");
    }
  }
  const bool own = options.in_flight_max || options.queue_depth_max || options.queue_timeout || options.reserved ||
                   options.adaptive_limit || options.client_share || options.readiness || !options.pool.empty();
  if (!options.lane.empty() && own) {
    fail(
        "in_flight_max, queue_depth_max, queue_timeout, reserved, adaptive_limit, client_share, readiness and pool "
        "belong to the shared lane it names");
  }
}

}  // namespace

void RouterState::add(Method method, std::string pattern, Handler handler, RouteOptions options,
                      const std::vector<Middleware>& wrap) {
  const std::string name = std::string{to_string(method)} + " " + pattern;
  if (method == Method::options || method == Method::connect || method == Method::trace) {
    throw std::invalid_argument{"route " + name + ": the library answers this method itself"};
  }
  check(options, name);
  const Runs runs = handler.runs();
  if (options.stream_body && runs == Runs::on_loop) {
    throw std::invalid_argument{"route " + name +
                                ": stream_body needs a handler that answers later or is wrapped in blocking()"};
  }
  // Folded once, here: the first use() ends up outermost. A wrapper runs where the wrapped handler runs.
  for (auto layer = wrap.rbegin(); layer != wrap.rend(); ++layer) { handler = (*layer)(std::move(handler)); }
  table.add(method, pattern, static_cast<std::uint32_t>(routes.size()));
  const bool in_place = runs == Runs::on_loop && wrap.empty() && handler.returns();
  routes.push_back({method, std::move(pattern), Handler{std::move(handler), runs}, std::move(options), in_place});
}

}  // namespace detail

Router::Router() : state_{std::make_unique<detail::RouterState>()} {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

Router& Router::add(Method method, std::string_view pattern, Handler handler, RouteOptions options) {
  state_->add(method, std::string{pattern}, std::move(handler), std::move(options), state_->middleware);
  return *this;
}

Router& Router::use(Middleware middleware) {
  if (!middleware) throw std::invalid_argument{"use(): the middleware is empty"};
  state_->middleware.push_back(std::move(middleware));
  return *this;
}

Router& Router::lane(std::string name, LaneOptions options) {
  const auto fail = [&](const char* what) { throw std::invalid_argument{"lane " + name + ": " + what}; };
  if (name.empty()) throw std::invalid_argument{"lane: the name is empty"};
  if (options.in_flight_max && *options.in_flight_max == 0) fail("in_flight_max must be above 0");
  if (options.queue_depth_max == 0 || options.queue_depth_max > 65'536) fail("queue_depth_max must be 1 to 65,536");
  if (options.queue_timeout && options.queue_timeout->count() <= 0) fail("queue_timeout must be above 0");
  if (options.queue_timeout && *options.queue_timeout > detail::time_max)
    fail("queue_timeout must not be above seven days");
  if (options.adaptive_limit) detail::check(*options.adaptive_limit, options.in_flight_max.has_value(), fail);
  if (options.client_share) detail::check_share(*options.client_share, fail);
  if (!state_->lanes.emplace(name, std::move(options)).second) fail("declared twice");
  return *this;
}

Router& Router::pool(std::string name, PoolOptions options) {
  if (name.empty()) throw std::invalid_argument{"pool: the name is empty"};
  if (options.threads == 0 || options.threads > 4096) {
    throw std::invalid_argument{"pool " + name + ": threads must be 1 to 4,096"};
  }
  const std::string shown = name;
  if (!state_->pools.emplace(std::move(name), options).second) {
    throw std::invalid_argument{"pool " + shown + ": declared twice"};
  }
  return *this;
}

Router::Group Router::group(std::string_view prefix) { return Group{*state_, std::string{prefix}, state_->middleware}; }

Router::Group& Router::Group::add(Method method, std::string_view pattern, Handler handler, RouteOptions options) {
  state_->add(method, prefix_ + std::string{pattern}, std::move(handler), std::move(options), middleware_);
  return *this;
}

Router::Group& Router::Group::use(Middleware middleware) {
  if (!middleware) throw std::invalid_argument{"use(): the middleware is empty"};
  middleware_.push_back(std::move(middleware));
  return *this;
}

Router::Group Router::Group::group(std::string_view prefix) const {
  return Group{*state_, prefix_ + std::string{prefix}, middleware_};
}

}  // namespace sluice
