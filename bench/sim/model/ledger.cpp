#include "sim/model/ledger.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sluice::sim {
namespace {

std::size_t slot_index(Duration at) noexcept { return static_cast<std::size_t>(at / slot_length); }
Duration duration_of(double s) noexcept { return Duration{std::llround(s * 1e9)}; }
std::uint64_t ns(Duration time) noexcept { return static_cast<std::uint64_t>(time.count()); }

/// Whole tenths, up to the end.
std::size_t slot_count(const Scenario& scenario) noexcept {
  return static_cast<std::size_t>((scenario.duration + slot_length - Duration{1}) / slot_length);
}

}  // namespace

Ledger::Ledger(const Scenario& scenario, Policy policy)
    : scenario_{scenario}, warmup_{scenario.warmup}, end_{scenario.duration} {
  for (const Trouble& trouble : scenario.troubles) begins_.push_back(trouble.at);
  if (scenario.servers.deploy) begins_.push_back(scenario.servers.deploy->at);
  std::sort(begins_.begin(), begins_.end());
  result_.policy = policy;
  result_.seconds = seconds(end_ - warmup_);
  result_.total.name = "total";
  for (const Route& route : scenario.routes) {
    result_.routes.emplace_back().name = route.name;
    result_.series.emplace_back(slot_count(scenario));
  }
  for (const ClientKind& kind : scenario.clients) result_.clients.emplace_back(kind.name, Counts{});
  result_.servers.resize(scenario.servers.count);
  routes_.resize(scenario.routes.size());
  slots_.resize(slot_count(scenario));
}

Sample* Ledger::sample_at(std::size_t route, Duration at) noexcept {
  auto& series = result_.series[route];
  return slot_index(at) < series.size() ? &series[slot_index(at)] : nullptr;
}

void Ledger::came(const CallView& call) {
  if (Sample* const sample = sample_at(call.route, call.first)) ++sample->offered;
  if (slot_index(call.first) < slots_.size()) ++slots_[slot_index(call.first)].offered;
  if (!measured(call.first)) return;
  ++result_.routes[call.route].counts.offered;
  ++result_.clients[call.client].second.offered;
}

void Ledger::ended(const CallView& call, Fate fate, Duration at) {
  if (fate == Fate::good) {
    if (Sample* const sample = sample_at(call.route, at)) ++sample->good;
    if (slot_index(call.first) < slots_.size()) ++slots_[slot_index(call.first)].good;
  } else if (slot_index(call.first) < slots_.size() && undecided(call, at)) {
    ++slots_[slot_index(call.first)].undecided;
  }
  if (!measured(call.first)) return;
  ++result_.routes[call.route].counts.fates[static_cast<std::size_t>(fate)];
  ++result_.clients[call.client].second.fates[static_cast<std::size_t>(fate)];
}

/// It could still have become good when the next event began, and that may be why it did not.
bool Ledger::undecided(const CallView& call, Duration at) const noexcept {
  const auto next = std::upper_bound(begins_.begin(), begins_.end(), call.first);
  return next != begins_.end() && *next <= at && call.first + scenario_.routes[call.route].budget > *next;
}

void Ledger::attempted(const CallView& call, std::optional<std::uint32_t> server, Duration at) {
  if (slot_index(at) < slots_.size()) ++slots_[slot_index(at)].attempts;
  if (!measured(call.first)) return;
  ++result_.routes[call.route].counts.attempts;
  ++result_.clients[call.client].second.attempts;
  if (server) ++result_.servers[*server].attempts;
}

void Ledger::refused(const CallView& call, std::size_t reason, Duration at) {
  if (Sample* const sample = sample_at(call.route, at)) ++sample->refusals[reason];
  if (!measured(call.first)) return;
  ++result_.routes[call.route].counts.refusals[reason];
  ++result_.clients[call.client].second.refusals[reason];
}

void Ledger::spoiled(const CallView& call, Fate how, Duration at) {
  const auto add = [how](auto& to) {
    if (how == Fate::timed_out) ++to.timed_out;
    else if (how == Fate::failed) ++to.failed;
    else ++to.left;
  };
  if (Sample* const sample = sample_at(call.route, at)) add(*sample);
  if (!measured(call.first)) return;
  add(result_.routes[call.route].counts);
  add(result_.clients[call.client].second);
}

void Ledger::answered(const CallView& call, std::uint32_t server, Duration latency) {
  if (!measured(call.first)) return;
  ++result_.servers[server].good;
  result_.routes[call.route].latency.record(ns(latency));
}

Ledger::Gauge* Ledger::gauge(const Work& work) noexcept {
  auto& host = hosts_[work.host];
  return host.empty() ? nullptr : &host[work.route];
}

/// Adds to one gauge of the host, the route and the total.
void Ledger::change(const Work& work, std::uint64_t Gauge::* which, int by, Duration at) {
  Gauge* const own = gauge(work);
  if (own == nullptr) return;
  note_peaks(work.route, at);  // also what is there when the warm-up ends
  for (Gauge* const one : {own, &routes_[work.route], &total_}) one->*which += static_cast<std::uint64_t>(by);
  note_peaks(work.route, at);
}

void Ledger::note_peaks(std::size_t route, Duration at) noexcept {
  if (at < warmup_) return;
  const auto note = [](PartResult& part, const Gauge& now) {
    part.waiting_peak = std::max(part.waiting_peak, now.waiting);
    part.running_peak = std::max(part.running_peak, now.running);
    part.zombies_peak = std::max(part.zombies_peak, now.zombies);
  };
  note(result_.routes[route], routes_[route]);
  note(result_.total, total_);
}

void Ledger::waits(const Work& work, Duration at) { change(work, &Gauge::waiting, 1, at); }
void Ledger::waits_no_more(const Work& work, Duration at) { change(work, &Gauge::waiting, -1, at); }
void Ledger::zombie(const Work& work, Duration at) { change(work, &Gauge::zombies, 1, at); }

void Ledger::starts(const Work& work, Duration waited, Duration at) {
  if (work.waiting) change(work, &Gauge::waiting, -1, at);
  change(work, &Gauge::running, 1, at);
  if (Sample* const sample = sample_at(work.route, at)) {
    ++sample->started;
    sample->waited_ns += ns(waited);
    sample->waited_most_ns = std::max(sample->waited_most_ns, ns(waited));
  }
  if (measured(at)) result_.routes[work.route].wait.record(ns(waited));
  if (!work.alive()) zombie(work, at);
}

void Ledger::ends(const Work& work, Duration at) {
  change(work, &Gauge::running, -1, at);
  const admission::Claim claim = work.claim.load();
  if (claim == admission::Claim::timed_out || claim == admission::Claim::abandoned)
    change(work, &Gauge::zombies, -1, at);
}

void Ledger::host_is_new(std::uint32_t host) {
  hosts_.resize(std::max<std::size_t>(hosts_.size(), host + 1));
  hosts_[host].resize(routes_.size());
}

void Ledger::host_is_gone(std::uint32_t host) {
  for (std::size_t route = 0; route < hosts_[host].size(); ++route) {
    const Gauge& was = hosts_[host][route];
    for (Gauge* const one : {&routes_[route], &total_}) {
      one->waiting -= was.waiting;
      one->running -= was.running;
      one->zombies -= was.zombies;
    }
  }
  hosts_[host].clear();
}

bool Ledger::idle(std::uint32_t host) const noexcept {
  return std::all_of(hosts_[host].begin(), hosts_[host].end(),
                     [](const Gauge& gauge) { return gauge.waiting == 0 && gauge.running == 0; });
}

void Ledger::take_sample(Duration at) {
  for (std::size_t route = 0; route < routes_.size(); ++route) {
    note_peaks(route, at);
    Sample* const sample = sample_at(route, at - Duration{1});
    if (sample == nullptr) continue;
    sample->waiting = routes_[route].waiting;
    sample->running = routes_[route].running;
    sample->zombies = routes_[route].zombies;
  }
}

std::size_t Ledger::event(EventResult event) {
  result_.events.push_back(std::move(event));
  return result_.events.size() - 1;
}

void Ledger::event_ends(std::size_t event, Duration at) noexcept {
  result_.events[event].end_s = seconds(std::min(at, end_));
}

Ledger::Span Ledger::span(const EventResult& event) const noexcept {
  const Duration end = std::min(duration_of(event.end_s), end_);
  return {slot_index(duration_of(event.begin_s)), std::min(slot_index(end + slot_length - Duration{1}), slots_.size())};
}

/// From the warm-up on, where nothing else was wrong.
std::optional<double> Ledger::share_before(const EventResult& event) const {
  std::vector<Span> others;
  for (const EventResult& other : result_.events) {
    if (&other != &event) others.push_back(span(other));
  }
  Slot sum;
  for (std::size_t i = slot_index(warmup_); i < std::min(span(event).begin, slots_.size()); ++i) {
    const auto holds = [i](const Span& other) { return other.begin <= i && i < other.end; };
    if (std::any_of(others.begin(), others.end(), holds)) continue;
    sum.offered += slots_[i].offered;
    sum.good += slots_[i].good;
  }
  if (sum.offered == 0) return std::nullopt;
  return static_cast<double>(sum.good) / static_cast<double>(sum.offered);
}

/// Of the calls that came meanwhile, the good ones; 1 if none came.
double Ledger::share_during(const EventResult& event) const noexcept {
  Slot sum;
  for (std::size_t i = span(event).begin; i < std::min(slot_index(duration_of(event.end_s)), slots_.size()); ++i) {
    sum.offered += slots_[i].offered;
    sum.good += slots_[i].good;
  }
  return sum.offered == 0 ? 1 : static_cast<double>(sum.good) / static_cast<double>(sum.offered);
}

void Ledger::judge_event(EventResult& event) const {
  const Span own = span(event);
  event.good_before = share_before(event);
  event.good_during = share_during(event);
  // What is behind it is its own only until something else is wrong.
  std::size_t until = slot_index(end_);
  for (const EventResult& other : result_.events) {
    const Span its = span(other);
    if (&other == &event || its.end <= own.end || its.begin >= until) continue;
    until = std::max(its.begin, own.end);
    event.next_began = true;
  }
  // Nor can anything be said of a time whose calls had to wait for what came of the next one.
  while (until > own.end && 2 * slots_[until - 1].undecided > slots_[until - 1].offered) --until;
  event.aftermath_seen = event.good_before && own.end + recovery_slots <= until;
  if (!event.aftermath_seen) return;
  const Duration took = recovery(std::span{slots_}.first(until), own.end, 0.95 * *event.good_before, 3);
  // Whoever is not well in the last half second that was seen is not well.
  if (own.end + static_cast<std::size_t>(took / slot_length) + recovery_slots <= until) {
    event.recovered_s = seconds(took);
  }
}

Result Ledger::close() {
  std::stable_sort(result_.events.begin(), result_.events.end(),
                   [](const EventResult& a, const EventResult& b) { return a.begin_s < b.begin_s; });
  for (EventResult& event : result_.events) judge_event(event);
  for (const PartResult& route : result_.routes) {
    result_.total.counts.add(route.counts);
    result_.total.wait.merge(route.wait);
    result_.total.latency.merge(route.latency);
  }
  return std::move(result_);
}

}  // namespace sluice::sim
