// The lanes of a server and the pools behind them: built from the routes' options, and asked about afterwards.
#include <algorithm>
#include <set>
#include <stdexcept>

#include "server/core.hpp"

namespace sluice::detail {
namespace {

std::string own_lane_name(const Route& route) {
  std::string name{to_string(route.method)};
  name += ' ';
  name += route.pattern;
  return name;
}

[[noreturn]] void fail(const std::string& sentence) { throw std::invalid_argument{sentence}; }

}  // namespace

Core::NamedPool* Core::find_pool(std::string_view name) noexcept {
  for (NamedPool& pool : pools_) {
    if (pool.name == name) return &pool;
  }
  return nullptr;
}

void Core::build_pools(const Hosts& hosts) {
  const auto build = [&](std::string name, unsigned threads) {
    NamedPool& made = pools_.emplace_back();
    made.name = std::move(name);
    made.threads = threads;
    made.host = hosts(threads);
    made.pool = std::make_unique<admission::Pool>(clock_, threads, *made.host);
  };
  build({}, options_.pool_threads);
  for (const auto& [name, options] : routes_->pools) build(name, options.threads);
}

void Core::build_lanes() {
  // How many blocking lanes a pool has decides their default limit, so they are counted first.
  std::set<std::string> blocking;
  for (const Route& route : routes_->routes) {
    if (route.handler.runs() != Runs::on_pool) continue;
    const bool own = route.options.lane.empty();
    const auto declared = routes_->lanes.find(route.options.lane);
    if (!own && declared == routes_->lanes.end()) continue;  // lane_for() says what is wrong
    if (!blocking.insert(own ? own_lane_name(route) : route.options.lane).second) continue;
    const std::string& name = own ? route.options.pool : declared->second.pool;
    if (NamedPool* pool = find_pool(name)) ++pool->lanes;
  }
  for (Route& route : routes_->routes) {
    route.body_bytes_max = route.options.body_bytes_max.value_or(options_.limits.body_bytes_max);
    if (route.body_bytes_max == 0) fail("route " + route.pattern + ": body_bytes_max must be above 0");
    route.lane = &lane_for(route);
    route.lane->expect(route.options.budget);
    route.pool = pool_of(*route.lane);
    if (route.options.rate_limit) route.rate_limiter = &rate_limiters_.emplace_back(*route.options.rate_limit);
  }
  for (const NamedPool& pool : pools_) {
    if (!pool.name.empty() && pool.lanes == 0) fail("pool " + pool.name + ": no blocking route uses it");
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
  if (runs == Runs::on_loop && (o.in_flight_max || o.queue_depth_max || o.queue_timeout || o.reserved ||
                                o.adaptive_limit || o.client_share || o.readiness || o.on_shed)) {
    fail("route " + name + ": in_flight_max, queue_depth_max, queue_timeout, reserved, adaptive_limit, client_share, " +
         "readiness and on_shed have no effect on the loop; wrap the handler in blocking()");
  }
  if (runs != Runs::on_pool && o.reserved) fail("route " + name + ": reserved is for routes on the pool");
  if (runs != Runs::on_pool && !o.pool.empty()) fail("route " + name + ": pool is for blocking routes");
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
    own.pool = route.options.pool;
    own.adaptive_limit = route.options.adaptive_limit;
    own.client_share = route.options.client_share;
    own.readiness = route.options.readiness;
    return make_lane(name, own, runs);
  }
  const auto declared = routes_->lanes.find(route.options.lane);
  if (declared == routes_->lanes.end()) {
    fail("route " + name + ": lane " + route.options.lane + " was not declared with Router::lane");
  }
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i]->settings().name != declared->first) continue;
    if (lane_kinds_[i].runs != runs) fail("lane " + declared->first + ": its routes run in different places");
    return *lanes_[i];
  }
  return make_lane(declared->first, declared->second, runs);
}

admission::Lane& Core::make_lane(std::string name, const LaneOptions& options, Runs runs) {
  const bool blocks = runs == Runs::on_pool;
  if (runs == Runs::on_loop && (options.in_flight_max || options.queue_timeout || options.reserved != 0 ||
                                options.adaptive_limit || options.client_share || options.readiness)) {
    fail("lane " + name +
         ": in_flight_max, queue_timeout, reserved, adaptive_limit, client_share and readiness have no " +
         "effect on the loop; wrap its handlers in blocking()");
  }
  if (!blocks && !options.pool.empty()) fail("lane " + name + ": pool is for blocking routes");
  NamedPool* const pool = blocks ? find_pool(options.pool) : nullptr;
  if (blocks && pool == nullptr)
    fail("lane " + name + ": pool " + options.pool + " was not declared with Router::pool");
  const std::uint32_t threads = blocks ? pool->threads : 0;

  admission::Lane::Settings settings;
  settings.name = std::move(name);
  settings.depth_max = options.queue_depth_max;
  settings.reserved = options.reserved;
  settings.adaptive = options.adaptive_limit;
  settings.client_share = options.client_share.value_or(0);
  settings.readiness = options.readiness;
  if (options.queue_timeout) settings.queue_timeout = *options.queue_timeout;
  const std::uint32_t pool_share = blocks && pool->lanes <= 1 ? threads : std::max(1u, threads * 3 / 4);
  settings.limit = options.in_flight_max.value_or(blocks ? pool_share : options_.limits.connections_max);
  if (settings.adaptive) settings.limit = std::clamp(settings.limit, settings.adaptive->min, settings.adaptive->max);
  constexpr std::uint32_t permits_max = 1u << 24;
  if (settings.limit_max() > permits_max) {
    fail("lane " + settings.name + ": in_flight_max and adaptive_limit.max must not be above " +
         std::to_string(permits_max));
  }
  if (blocks && settings.limit_max() > threads) {
    fail("lane " + settings.name + ": " + (settings.adaptive ? "adaptive_limit.max " : "in_flight_max ") +
         std::to_string(settings.limit_max()) + " exceeds the " + std::to_string(threads) + " threads of its pool");
  }
  if (settings.reserved > (settings.adaptive ? settings.adaptive->min : settings.limit)) {
    fail("lane " + settings.name + ": reserved exceeds in_flight_max, or adaptive_limit.min");
  }
  lanes_.push_back(std::make_unique<admission::Lane>(std::move(settings), options_.loops + 1));
  lane_kinds_.push_back({runs, blocks ? static_cast<std::size_t>(pool - pools_.data()) : no_pool});
  if (blocks) {
    pool->pool->group().add(*lanes_.back());
  } else if (runs == Runs::answers_later) {
    later_groups_.push_back(std::make_unique<admission::LaneGroup>(clock_, 0));
    later_groups_.back()->add(*lanes_.back());
  }
  return *lanes_.back();
}

void Core::check_reserved() const {
  for (std::size_t i = 0; i < pools_.size(); ++i) check_reserved(i);
}

void Core::check_reserved(std::size_t pool) const {
  std::uint64_t reserved = 0;
  bool unreserved = false;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (lane_kinds_[i].pool != pool) continue;
    reserved += lanes_[i]->settings().reserved;
    unreserved = unreserved || lanes_[i]->settings().reserved < lanes_[i]->settings().limit_max();
  }
  const unsigned threads = pools_[pool].threads;
  if (reserved > threads || (reserved == threads && unreserved)) {
    const std::string size = pool == 0 ? "pool_threads is " : "pool " + pools_[pool].name + " has ";
    fail("reserved: the lanes reserve " + std::to_string(reserved) + " permits, but " + size + std::to_string(threads) +
         "; leave at least one for the others");
  }
}

admission::Pool* Core::pool_of(const admission::Lane& lane) noexcept {
  for (NamedPool& pool : pools_) {
    if (lane.group() == &pool.pool->group()) return pool.pool.get();
  }
  return nullptr;
}

void Core::start_pools() {
  for (NamedPool& pool : pools_) pool.pool->start();
}

void Core::close_pools() noexcept {
  for (NamedPool& pool : pools_) pool.pool->close();
}

void Core::join_pools() noexcept {
  for (NamedPool& pool : pools_) pool.pool->join();
}

bool Core::on_pool_thread() const noexcept {
  return std::any_of(pools_.begin(), pools_.end(), [](const NamedPool& p) { return p.pool->on_worker_thread(); });
}

std::vector<NamedLaneCounters> Core::lane_counters() const {
  std::vector<NamedLaneCounters> all;
  for (const auto& lane : lanes_) {
    LaneCounters& counters = all.emplace_back(lane->settings().name, lane->counters()).counters;
    if (counters.zombies == 0 || lane->group() == nullptr) continue;
    base::TimePoint oldest = base::never;
    lane->group()->for_each_held(*lane, [&](const admission::Held& held) {
      if (held.zombie) oldest = std::min(oldest, held.since);
    });
    if (oldest == base::never) continue;
    const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - oldest);
    counters.oldest_zombie_ms = static_cast<std::uint64_t>(age.count());
  }
  return all;
}

std::vector<RunningWork> Core::running() const {
  std::vector<std::pair<const admission::Lane*, admission::Held>> all;
  for (const auto& lane : lanes_) {
    if (lane->group() == nullptr) continue;
    // What fits is taken: the memory is asked for before the lock, and the number may have grown since.
    const std::size_t begin = all.size();
    all.resize(begin + lane->counters().in_flight + 16);
    std::size_t end = begin;
    lane->group()->for_each_held(*lane, [&](const admission::Held& held) {
      if (end < all.size()) all[end++] = {lane.get(), held};
    });
    all.resize(end);
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.second.since < b.second.since; });
  std::vector<RunningWork> list;
  const base::TimePoint now = clock_.now();
  for (const auto& [lane, held] : all) {
    const Route& route = routes_->routes[held.tag];
    list.push_back({lane->settings().name, own_lane_name(route),
                    std::chrono::duration_cast<std::chrono::milliseconds>(now - held.since), held.zombie});
  }
  return list;
}

std::string Core::stalled_lane() const {
  for (const auto& lane : lanes_) {
    if (lane->settings().readiness && lane->counters().stalled != 0) return lane->settings().name;
  }
  return {};
}

std::uint64_t Core::client_hash(std::string_view client) const noexcept {
  std::uint64_t hash = client_seed_;
  for (const char c : client) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  hash *= 0xBF58476D1CE4E5B9u;
  hash ^= hash >> 32;
  return hash == 0 ? 1 : hash;
}

}  // namespace sluice::detail
