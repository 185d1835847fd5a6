#include "server/core.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "server/problem_json.hpp"

namespace sluice::detail {
namespace {

constexpr int fixed_statuses[] = {400, 404, 405, 408, 413, 414, 417, 429, 431, 500, 501, 503, 504, 505};

std::string own_lane_name(const Route& route) {
  std::string name{to_string(route.method)};
  name += ' ';
  name += route.pattern;
  return name;
}

[[noreturn]] void fail(const std::string& sentence) { throw std::invalid_argument{sentence}; }

void above_zero(std::string_view option, long long value) {
  if (value <= 0) fail(std::string{option} + " must be above 0");
}

void above_zero(std::string_view option, std::chrono::milliseconds value) {
  above_zero(option, value.count());
  if (value > time_max) fail(std::string{option} + " must not be above seven days");
}

void at_most(std::string_view option, unsigned long long value, unsigned long long most) {
  if (value > most) fail(std::string{option} + " must not be above " + std::to_string(most));
}

}  // namespace

Core::Core(std::unique_ptr<RouterState> routes, ServerOptions options, const base::Clock& clock,
           std::unique_ptr<admission::WorkerHost> host)
    : routes_{std::move(routes)}, options_{std::move(options)}, clock_{clock}, host_{std::move(host)} {
  if (routes_ == nullptr) fail("router: it was moved from");
  check_options();
  pool_ = std::make_unique<admission::Pool>(clock_, options_.pool_threads, *host_);
  build_lanes();
  for (const int status : fixed_statuses) {
    const Response response = render_problem(Problem{status});
    fixed_bodies_.emplace_back(status, std::string{response.body()});
  }
}

void Core::check_options() const {
  const Limits& l = options_.limits;
  above_zero("loops", options_.loops);
  at_most("loops", options_.loops, 1024);
  above_zero("pool_threads", options_.pool_threads);
  at_most("pool_threads", options_.pool_threads, 4096);
  above_zero("loop_stall_threshold", options_.loop_stall_threshold);
  above_zero("limits.connections_max", l.connections_max);
  at_most("limits.connections_max", l.connections_max, 1u << 24);
  above_zero("limits.connection_in_flight_max", l.connection_in_flight_max);
  above_zero("limits.head_timeout", l.head_timeout);
  above_zero("limits.head_bytes_max", l.head_bytes_max);
  at_most("limits.head_bytes_max", l.head_bytes_max, 65'535);
  above_zero("limits.head_fields_max", l.head_fields_max);
  at_most("limits.head_fields_max", l.head_fields_max, 128);
  above_zero("limits.target_bytes_max", l.target_bytes_max);
  at_most("limits.target_bytes_max", l.target_bytes_max, l.head_bytes_max);
  if (l.body_bytes_max == 0) fail("limits.body_bytes_max must be above 0");
  above_zero("limits.body_timeout", l.body_timeout);
  above_zero("limits.body_rate_min", l.body_rate_min);
  above_zero("limits.body_grace", l.body_grace);
  above_zero("limits.idle_timeout", l.idle_timeout);
  above_zero("limits.write_timeout", l.write_timeout);
  above_zero("limits.output_high_water", l.output_high_water);
  above_zero("limits.pipelined_max", l.pipelined_max);
  above_zero("limits.pipelined_bytes_max", l.pipelined_bytes_max);
  if (l.pipelined_bytes_max < l.head_bytes_max) {
    fail("limits.pipelined_bytes_max must not be below limits.head_bytes_max");
  }
  above_zero("limits.linger_timeout", l.linger_timeout);
  above_zero("limits.linger_bytes_max", l.linger_bytes_max);
  if (l.buffered_bytes_max == 0) fail("limits.buffered_bytes_max must be above 0");
  above_zero("limits.drain_timeout", l.drain_timeout);
  above_zero("limits.drain_grace", l.drain_grace);
}

void Core::build_lanes() {
  // How many blocking lanes there are decides their default limit, so they are counted first.
  std::set<std::string> blocking;
  for (const Route& route : routes_->routes) {
    if (route.handler.runs() != Runs::on_pool) continue;
    blocking.insert(route.options.lane.empty() ? own_lane_name(route) : route.options.lane);
  }
  blocking_lanes_ = static_cast<std::uint32_t>(blocking.size());
  for (Route& route : routes_->routes) {
    route.body_bytes_max = route.options.body_bytes_max.value_or(options_.limits.body_bytes_max);
    if (route.body_bytes_max == 0) fail("route " + route.pattern + ": body_bytes_max must be above 0");
    route.lane = &lane_for(route);
    if (route.handler.runs() == Runs::on_pool) route.pool = pool_.get();
  }
  for (const auto& [name, options] : routes_->lanes) {
    const bool used =
        std::any_of(lanes_.begin(), lanes_.end(), [&](const auto& lane) { return lane->settings().name == name; });
    if (!used) fail("lane " + name + ": no route uses it");
  }
  check_reserved();
}

void Core::check_lane_options(const Route& route) {
  const RouteOptions& o = route.options;
  const Runs runs = route.handler.runs();
  const std::string name = own_lane_name(route);
  if (runs == Runs::on_loop && (o.in_flight_max || o.queue_depth_max || o.queue_timeout || o.reserved)) {
    fail("route " + name + ": in_flight_max, queue_depth_max, queue_timeout and reserved have no effect on the loop; " +
         "wrap the handler in blocking()");
  }
  if (runs != Runs::on_pool && o.reserved) fail("route " + name + ": reserved is for routes on the pool");
}

admission::Lane& Core::lane_for(const Route& route) {
  check_lane_options(route);
  const Runs runs = route.handler.runs();
  const std::string name = own_lane_name(route);
  if (route.options.lane.empty()) {
    LaneOptions own;
    own.in_flight_max = route.options.in_flight_max;
    own.queue_depth_max = route.options.queue_depth_max.value_or(own.queue_depth_max);
    own.queue_timeout = route.options.queue_timeout;
    own.reserved = route.options.reserved.value_or(0);
    return make_lane(name, own, runs);
  }
  const auto declared = routes_->lanes.find(route.options.lane);
  if (declared == routes_->lanes.end()) {
    fail("route " + name + ": lane " + route.options.lane + " was not declared with Router::lane");
  }
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i]->settings().name != declared->first) continue;
    if (lane_kinds_[i].second != runs) fail("lane " + declared->first + ": its routes run in different places");
    return *lanes_[i];
  }
  return make_lane(declared->first, declared->second, runs);
}

admission::Lane& Core::make_lane(std::string name, const LaneOptions& options, Runs runs) {
  admission::Lane::Settings settings;
  settings.name = std::move(name);
  settings.depth_max = options.queue_depth_max;
  settings.reserved = options.reserved;
  if (options.queue_timeout) settings.queue_timeout = *options.queue_timeout;
  const std::uint32_t threads = options_.pool_threads;
  const std::uint32_t pool_share = blocking_lanes_ <= 1 ? threads : std::max(1u, threads * 3 / 4);
  settings.limit = options.in_flight_max.value_or(runs == Runs::on_pool ? pool_share : options_.limits.connections_max);
  if (runs == Runs::on_pool && settings.limit > threads) {
    fail("lane " + settings.name + ": in_flight_max " + std::to_string(settings.limit) + " exceeds pool_threads " +
         std::to_string(threads));
  }
  if (settings.reserved > settings.limit) fail("lane " + settings.name + ": reserved exceeds in_flight_max");
  lanes_.push_back(std::make_unique<admission::Lane>(std::move(settings), options_.loops + 1));
  lane_kinds_.emplace_back(lanes_.back()->settings().name, runs);
  if (runs == Runs::on_pool) {
    pool_->group().add(*lanes_.back());
  } else if (runs == Runs::answers_later) {
    later_groups_.push_back(std::make_unique<admission::LaneGroup>(clock_, 0));
    later_groups_.back()->add(*lanes_.back());
  }
  return *lanes_.back();
}

void Core::check_reserved() const {
  std::uint64_t reserved = 0;
  bool unreserved = false;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (lane_kinds_[i].second != Runs::on_pool) continue;
    reserved += lanes_[i]->settings().reserved;
    unreserved = unreserved || lanes_[i]->settings().reserved < lanes_[i]->settings().limit;
  }
  if (reserved > options_.pool_threads || (reserved == options_.pool_threads && unreserved)) {
    fail("reserved: the lanes reserve " + std::to_string(reserved) + " permits, but pool_threads is " +
         std::to_string(options_.pool_threads) + "; leave at least one for the others");
  }
}

Response Core::render(const Request& request, const Problem& problem) const noexcept {
  try {
    Response response = options_.render_problem ? options_.render_problem(request, problem) : render_problem(problem);
    for (const auto& [name, value] : problem.headers()) response.header(name, value);
    return response;
  } catch (...) { log(LogEvent::Level::error, "render_problem_threw", request.route(), {}); }
  Response plain;  // needs no memory
  try {
    plain.status(problem.status());
  } catch (...) { log(LogEvent::Level::error, "render_problem_status", request.route(), {}); }
  return plain;
}

std::string_view Core::fixed_body(int status) const noexcept {
  for (const auto& [key, body] : fixed_bodies_) {
    if (key == status) return body;
  }
  return {};
}

void Core::log(LogEvent::Level level, std::string_view what, std::string_view route,
               std::string_view detail) const noexcept {
  if (!options_.log) return;
  try {
    options_.log({level, what, route, detail});
  } catch (...) {  // a log hook that throws has no better place to say so
    return;
  }
}

std::vector<NamedLaneCounters> Core::lane_counters() const {
  std::vector<NamedLaneCounters> all;
  for (const auto& lane : lanes_) all.push_back({lane->settings().name, lane->counters()});
  return all;
}

}  // namespace sluice::detail
