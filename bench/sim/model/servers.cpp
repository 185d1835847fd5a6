// servers.cpp: what serves the calls: hosts, the time their handlers take, what they wait for, and what goes wrong there.
#include <algorithm>

#include "sim/core/naive_host.hpp"
#include "sim/model/engine.hpp"

namespace sluice::sim {
namespace {

constexpr Duration rollout_step = std::chrono::milliseconds{50};

std::string name_of(const Scenario& scenario, const Trouble& trouble) {
  std::string where;
  switch (trouble.where) {
    case Trouble::Where::dependency: where = "dependency " + scenario.dependencies[trouble.index].name; break;
    case Trouble::Where::route: where = "route " + scenario.routes[trouble.index].name; break;
    case Trouble::Where::server: where = "server " + std::to_string(trouble.index + 1); break;
  }
  switch (trouble.what) {
    case Trouble::What::stall: return where + " stalls";
    case Trouble::What::error: return where + " fails";
    case Trouble::What::slow: break;
  }
  return where + " is slow x" + plain_number(trouble.factor);
}

/// Where the work is, for a station that gives it back.
std::uint64_t number_of(const Work& work) noexcept { return (std::uint64_t{work.host} << 32) | work.slot; }

}  // namespace

void Engine::new_host(Server& server) {
  server.host = static_cast<std::uint32_t>(hosts_.size());
  server_of_host_.push_back(static_cast<std::uint32_t>(&server - servers_.data()));
  ledger_.host_is_new(server.host);
  Watcher& watcher = *this;
  std::unique_ptr<Host> host;
  if (policy_ == Policy::sluice) host = std::make_unique<LaneHost>(timeline_, watcher, scenario_.host);
  else host = std::make_unique<NaiveHost>(timeline_, watcher, scenario_.host);
  hosts_.push_back(std::move(host));
}

bool Engine::fails(const Work& work) const noexcept {
  const std::uint32_t server = server_of_host_[work.host];
  for (std::size_t i = 0; i < active_.size(); ++i) {
    const Trouble& trouble = scenario_.troubles[i];
    if (!active_[i] || trouble.what != Trouble::What::error) continue;
    if (trouble.where == Trouble::Where::route && trouble.index == work.route) return true;
    if (trouble.where == Trouble::Where::server && trouble.index == server) return true;
  }
  return false;
}

std::optional<TimePoint> Engine::begun(Work& work) {
  ledger_.starts(work, now() - work.came, at());
  work.waiting = false;
  if (fails(work)) {
    work.fails = true;
    return now();
  }
  if (work.needs == Duration{0} && scenario_.routes[work.route].dependency) {
    begin_behind(work);
    return work.fails ? std::optional{now()} : std::nullopt;
  }
  const std::uint32_t index = own_station(server_of_host_[work.host], work.route);
  stations_[index].station.begin(number_of(work), work.needs, now());
  watch(index);
  return std::nullopt;
}

/// Its own part is done: now for what it waits for.
void Engine::begin_behind(Work& work) {
  const std::size_t dependency = *scenario_.routes[work.route].dependency;
  for (std::size_t i = 0; i < active_.size(); ++i) {
    const Trouble& trouble = scenario_.troubles[i];
    if (active_[i] && trouble.what == Trouble::What::error && trouble.where == Trouble::Where::dependency &&
        trouble.index == dependency) {
      work.fails = true;
      return;
    }
  }
  const std::uint32_t index = dependency_station(dependency);
  stations_[index].station.begin(number_of(work), work.needs_behind, now());
  watch(index);
}

void Engine::end_station(std::uint32_t index) {
  const std::uint64_t number = stations_[index].station.take(now());
  Host& host = *hosts_[static_cast<std::size_t>(number >> 32)];
  Work& work = host.work(static_cast<std::uint32_t>(number));
  const bool own = index < dependency_station(0);
  if (own && scenario_.routes[work.route].dependency) begin_behind(work);
  if (!own || !scenario_.routes[work.route].dependency || work.fails) host.end(work);
  watch(index);
}

void Engine::ended(const Work& work) { ledger_.ends(work, at()); }

void Engine::watch(std::uint32_t index) {
  Place& place = stations_[index];
  const auto next = place.station.next_end();
  ++place.turn;
  if (next) schedule(*next, station_end, index, place.turn);
}

/// How fast everything goes, from what is wrong at this moment.
void Engine::change_pace() {
  std::vector<double> paces(stations_.size(), 1.0);
  const std::size_t routes = scenario_.routes.size(), own = dependency_station(0);
  for (std::size_t i = 0; i < own; ++i) {
    if (scenario_.servers.slow && i / routes == *scenario_.servers.slow) paces[i] /= scenario_.servers.slow_factor;
  }
  for (std::size_t t = 0; t < active_.size(); ++t) {
    const Trouble& trouble = scenario_.troubles[t];
    if (!active_[t] || trouble.what == Trouble::What::error) continue;
    const double pace = trouble.what == Trouble::What::stall ? 0 : 1 / trouble.factor;
    for (std::size_t i = 0; i < stations_.size(); ++i) {
      const bool behind = i >= own;
      const bool hit = trouble.where == Trouble::Where::dependency ? behind && i - own == trouble.index
                       : trouble.where == Trouble::Where::route    ? !behind && i % routes == trouble.index
                                                                   : !behind && i / routes == trouble.index;
      if (hit) paces[i] *= pace;
    }
  }
  for (std::uint32_t i = 0; i < stations_.size(); ++i) {
    stations_[i].station.change_pace(paces[i], now());
    watch(i);
  }
}

void Engine::trouble(std::size_t index, bool begins) {
  active_[index] = begins;
  change_pace();
  if (!begins) return;
  const Trouble& trouble = scenario_.troubles[index];
  ledger_.event({.what = name_of(scenario_, trouble),
                 .begin_s = seconds(trouble.at),
                 .end_s = seconds(trouble.at + trouble.length)});
}

/// One step of a deploy: a server leaves, is taken off the balancer's list, goes when nothing is left or its time is
/// over, and comes back; then the next one leaves.
void Engine::roll_out() {
  const Deploy& deploy = *scenario_.servers.deploy;
  Server& server = servers_[next_leaving_];
  const Duration took = now() - server.since;
  switch (server.stage) {
    case Stage::up:
      // Its end is not known yet, and may not be seen.
      if (next_leaving_ == 0) {
        deploy_event_ = ledger_.event({.what = "deploy of " + std::to_string(servers_.size()) + " servers",
                                       .begin_s = seconds(deploy.at),
                                       .end_s = seconds(scenario_.duration)});
      }
      hosts_[server.host]->drain();
      server.stage = Stage::leaving;
      server.since = now();
      break;
    case Stage::leaving:
      if (took >= deploy.notice) server.stage = Stage::unlisted;
      break;
    case Stage::unlisted:
      if (!ledger_.idle(server.host) && took < deploy.drain_max) break;
      cutting_ = true;
      hosts_[server.host]->cut();
      cutting_ = false;
      ledger_.host_is_gone(server.host);
      server.stage = Stage::down;
      server.since = now();
      break;
    case Stage::down:
      if (took < deploy.down) break;
      server.stage = Stage::up;
      new_host(server);
      if (++next_leaving_ == servers_.size()) { return ledger_.event_ends(deploy_event_, at()); }
      break;
  }
  schedule(now() + rollout_step, rollout);
}

}  // namespace sluice::sim
