// engine.cpp: the calls: when they come, where they go, what becomes of them, and when they are tried again.
#include "sim/model/engine.hpp"

#include <algorithm>
#include <utility>

#include "sim/core/lane_host.hpp"
#include "sim/core/naive_host.hpp"

namespace sluice::sim {
namespace {

using admission::Claim;

constexpr Duration retry_delay_max = std::chrono::hours{1};

/// Streams of random numbers that have nothing to do with one another.
std::uint64_t stream(const Scenario& scenario, std::uint64_t number) noexcept {
  return scenario.seed * 1'000'003 + number * 7'919;
}

/// One of them, each with the probability of its share.
template <class Entry>
std::uint32_t pick(const std::vector<Entry>& entries, double uniform) noexcept {
  double sum = 0;
  for (const Entry& entry : entries) sum += entry.share;
  double left = uniform * sum;
  for (std::size_t i = 0; i + 1 < entries.size(); ++i) {
    if (left < entries[i].share) return static_cast<std::uint32_t>(i);
    left -= entries[i].share;
  }
  return static_cast<std::uint32_t>(entries.size() - 1);
}

Duration scaled(Duration time, double factor) noexcept {
  return Duration{static_cast<std::int64_t>(static_cast<double>(time.count()) * factor)};
}

/// Never 0, and spread over all bits, as lanes that count clients want it.
std::uint64_t identity_of(std::uint32_t kind, std::uint32_t number) noexcept {
  bench::Random mixed{(std::uint64_t{kind} << 32) | number};
  return mixed.next() | 1;
}

/// Until all that was offered has its answer or nobody waits for one, with every attempt there may be.
Duration patience_max(const Scenario& scenario) noexcept {
  Duration budget{0}, most{0};
  for (const Route& route : scenario.routes) budget = std::max(budget, route.budget);
  for (const ClientKind& kind : scenario.clients) {
    const Duration one = std::max(budget, kind.timeout.value_or(Duration{0}));
    Duration all = one;
    for (unsigned attempts = 1; attempts <= kind.retries; ++attempts) all += retry_pause(kind, attempts, 1.5) + one;
    most = std::max(most, kind.give_up ? std::min(all, *kind.give_up) : all);
  }
  return std::max(most, budget) + std::chrono::seconds{1};
}

}  // namespace

Duration retry_pause(const ClientKind& kind, unsigned attempts, double spread) noexcept {
  if (!kind.backoff) return kind.retry_delay;
  return std::min(retry_delay_max, scaled(kind.retry_delay * (1 << std::min(attempts - 1, 16u)), spread));
}

Engine::Engine(const Scenario& scenario, Policy policy)
    : scenario_{scenario},
      policy_{policy},
      start_{timeline_.now()},
      end_{start_ + scenario.duration},
      arrivals_{scenario.arrivals, stream(scenario, 1)},
      routes_draw_{Shape::fixed, Duration{1}, stream(scenario, 2)},
      clients_draw_{Shape::fixed, Duration{1}, stream(scenario, 3)},
      spread_{Shape::fixed, Duration{1}, stream(scenario, 4)},
      balancer_draw_{Shape::fixed, Duration{1}, stream(scenario, 5)},
      ledger_{scenario, policy} {
  for (std::size_t i = 0; i < scenario.routes.size(); ++i) {
    services_.emplace_back(scenario.routes[i].service.shape, scenario.routes[i].service.mean,
                           stream(scenario, 100 + i));
  }
  for (std::size_t i = 0; i < scenario.dependencies.size(); ++i) {
    const Service& service = scenario.dependencies[i].service;
    behind_.emplace_back(service.shape, service.mean, stream(scenario, 10'000 + i));
  }
  for (std::size_t i = 0; i < scenario.servers.count * scenario.routes.size(); ++i) {
    stations_.push_back({Station{StationOptions{}, start_}, 0});
  }
  for (const Dependency& dependency : scenario.dependencies) {
    stations_.push_back({Station{dependency.options, start_}, 0});
  }
  servers_.resize(scenario.servers.count);
  for (Server& server : servers_) new_host(server);
  active_.resize(scenario.troubles.size());
}

Result Engine::run() {
  change_pace();
  for (std::uint32_t i = 0; i < scenario_.troubles.size(); ++i) {
    schedule(start_ + scenario_.troubles[i].at, trouble_begin, i);
    schedule(start_ + scenario_.troubles[i].at + scenario_.troubles[i].length, trouble_end, i);
  }
  schedule(start_ + slot_length, sample);
  if (scenario_.servers.deploy) schedule(start_ + scenario_.servers.deploy->at, rollout);
  next_call();
  // Lanes come to an end by themselves, a queue without a bound need not.
  const TimePoint last = policy_ == Policy::sluice ? base::never : end_ + patience_max(scenario_);
  while (timeline_.step(last)) {}
  for (std::uint32_t call = 0; call < calls_.size(); ++call) {
    if (calls_[call].live) finish(call, Fate::late);
  }
  Result result = ledger_.close();
  for (const auto& host : hosts_) result.balanced = result.balanced && host->balanced();
  return result;
}

void Engine::handle(const Event& event) {
  switch (event.kind) {
    case next_arrival: {
      const bool recorded = !scenario_.recording.empty();
      if (recorded) {
        const Recorded& one = scenario_.recording[recorded_++];
        new_call(one.route, one.service);
      } else {
        new_call(pick(scenario_.routes, routes_draw_.uniform()), std::nullopt);
      }
      return next_call();
    }
    case again: return attempt(event.slot);
    case station_end:
      if (event.generation == stations_[event.slot].turn) end_station(event.slot);
      return;
    case trouble_begin: return trouble(event.slot, true);
    case trouble_end: return trouble(event.slot, false);
    case sample:
      ledger_.take_sample(at());
      if (now() < end_) schedule(now() + slot_length, sample);
      return;
    case rollout: return roll_out();
    default: return;
  }
}

/// When the one behind it comes.
void Engine::next_call() {
  if (scenario_.recording.empty()) {
    const auto next = arrivals_.next();
    if (next && *next < scenario_.duration) schedule(start_ + *next, next_arrival);
  } else if (recorded_ < scenario_.recording.size()) {
    const Duration next = scenario_.recording[recorded_].at;
    if (next < scenario_.duration) schedule(start_ + next, next_arrival);
  }
}

Duration Engine::drawn(const Service& service, Draw& draw) noexcept {
  if (service.none()) return Duration{0};
  if (service.samples.empty()) return draw.next();
  const auto count = static_cast<double>(service.samples.size());
  return service.samples[static_cast<std::size_t>(draw.uniform() * count)];
}

void Engine::new_call(std::uint32_t route, std::optional<Duration> recorded) {
  if (free_calls_.empty()) {
    calls_.emplace_back();
    free_calls_.push_back(static_cast<std::uint32_t>(calls_.size() - 1));
  }
  const std::uint32_t index = free_calls_.back();
  free_calls_.pop_back();
  Call& call = calls_[index];
  call = {};
  call.live = true;
  call.client = pick(scenario_.clients, clients_draw_.uniform());
  const ClientKind& kind = scenario_.clients[call.client];
  call.identity = identity_of(call.client, static_cast<std::uint32_t>(clients_draw_.uniform() * kind.count));
  call.view = {at(), route, call.client};
  const Route& asked = scenario_.routes[route];
  call.needs = recorded ? *recorded : drawn(asked.service, services_[route]);
  if (asked.dependency) {
    call.needs_behind = drawn(scenario_.dependencies[*asked.dependency].service, behind_[*asked.dependency]);
  }
  ledger_.came(call.view);
  attempt(index);
}

std::optional<std::uint32_t> Engine::choose_server() {
  std::vector<std::uint32_t> listed;
  for (std::uint32_t i = 0; i < servers_.size(); ++i) {
    if (servers_[i].stage == Stage::up || servers_[i].stage == Stage::leaving) listed.push_back(i);
  }
  if (listed.empty()) return std::nullopt;
  const std::uint32_t turn = turn_++;
  switch (scenario_.servers.balancer) {
    case Balancer::round_robin: return listed[turn % listed.size()];
    case Balancer::random:
      return listed[static_cast<std::size_t>(balancer_draw_.uniform() * static_cast<double>(listed.size()))];
    case Balancer::least_in_flight: {
      std::uint32_t best = listed[turn % listed.size()];
      for (const std::uint32_t one : listed) {
        if (servers_[one].in_flight < servers_[best].in_flight) best = one;
      }
      return best;
    }
  }
  return std::nullopt;
}

void Engine::attempt(std::uint32_t index) {
  Call& call = calls_[index];
  ++call.attempts;
  const auto chosen = choose_server();
  ledger_.attempted(call.view, chosen, at());
  if (!chosen) {
    ledger_.spoiled(call.view, Fate::failed, at());
    return no_luck(index, Fate::failed);
  }
  const ClientKind& kind = scenario_.clients[call.client];
  std::optional<Duration> patience = kind.timeout;
  if (kind.give_up) {
    const Duration left = call.view.first + *kind.give_up - at();
    patience = patience ? std::min(*patience, left) : left;
  }
  Server& server = servers_[*chosen];
  ++server.in_flight;
  const Route& route = scenario_.routes[call.view.route];
  hosts_[server.host]->arrive({.lane = route.lane,
                               .owner = index,
                               .attempt = call.attempts,
                               .route = call.view.route,
                               .host = server.host,
                               .needs = call.needs,
                               .needs_behind = call.needs_behind,
                               .budget = route.budget,
                               .patience = patience,
                               .criticality = route.criticality,
                               .client = call.identity});
}

void Engine::told(const Work& work, Claim outcome, std::optional<ShedReason> reason) {
  const std::uint32_t server = server_of_host_[work.host];
  --servers_[server].in_flight;
  if (work.waiting && outcome != Claim::abandoned) ledger_.waits_no_more(work, at());
  const auto index = static_cast<std::uint32_t>(work.owner);
  const CallView view = calls_[index].view;
  const auto refused = [&](std::size_t why) {
    ledger_.refused(view, why, at());
    no_luck(index, Fate::refused);
  };
  const auto spoiled = [&](Fate how) {
    if (work.permit && how != Fate::failed) ledger_.zombie(work, at());
    if (cutting_) how = Fate::failed;
    ledger_.spoiled(view, how, at());
    no_luck(index, how);
  };
  switch (outcome) {
    case Claim::idle: return refused(static_cast<std::size_t>(*reason));
    case Claim::expired: return refused(refusal_expired);
    case Claim::shed: return refused(refusal_made_room);
    case Claim::timed_out: return spoiled(Fate::timed_out);
    case Claim::raised: return spoiled(Fate::failed);
    case Claim::abandoned:
    case Claim::cancelled: return spoiled(Fate::gave_up);
    default: break;
  }
  const Duration latency = now() - work.came;
  ledger_.answered(view, server, latency);
  finish(index, latency <= scenario_.routes[view.route].budget ? Fate::good : Fate::late);
}

/// The client has no result: it may try again.
void Engine::no_luck(std::uint32_t index, Fate fate) {
  const Call& call = calls_[index];
  const ClientKind& kind = scenario_.clients[call.client];
  if (call.attempts > kind.retries) return finish(index, fate);
  const Duration delay = retry_pause(kind, call.attempts, kind.backoff ? 0.5 + spread_.uniform() : 1);
  if (kind.give_up && at() + delay >= call.view.first + *kind.give_up) return finish(index, fate);
  schedule(now() + delay, again, index);
}

void Engine::finish(std::uint32_t index, Fate fate) {
  ledger_.ended(calls_[index].view, fate, at());
  calls_[index].live = false;
  free_calls_.push_back(index);
}

Result play(const Scenario& scenario, Policy policy) { return Engine{scenario, policy}.run(); }

}  // namespace sluice::sim
