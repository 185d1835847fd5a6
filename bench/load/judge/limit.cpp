// limit.cpp: one rule per label. A rule looks at the nearest failed windows and says what it saw, or nothing.
#include "load/judge/limit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "load/judge/probe.hpp"
#include "load/judge/trend.hpp"
#include "load/plan/units.hpp"

namespace sluice::bench {
namespace {

using Stage = Probe::Stage;
using Probes = std::vector<const Probe*>;
using Evidence = std::optional<std::string>;

constexpr std::size_t nearest_max = 3;
constexpr double self_check_max = 0.7;  // of what the generator can do alone
constexpr double busy_max = 0.9;        // of a thread or a core
constexpr double most = 0.5;            // of the samples
constexpr double growth_confidence = 0.95;
constexpr double fast_factor = 1.5;     // of the service time at the lowest rate that passed
constexpr double errors_min = 0.001;

bool finds_the_limit(const Probe& probe) noexcept {
  return probe.stage == Stage::climb || probe.stage == Stage::bisect || probe.stage == Stage::confirm;
}

/// The failed windows above the capacity, the lowest rates first.
Probes nearest_failures(const SearchResult& result) {
  Probes failed;
  for (const Probe& probe : result.probes) {
    if (finds_the_limit(probe) && !probe.passed && probe.rate_per_s > result.capacity_rps) failed.push_back(&probe);
  }
  // Equal rates in the order they were made: the probes lie in one vector.
  std::ranges::sort(failed, {}, [](const Probe* probe) { return std::pair{probe->rate_per_s, probe}; });
  failed.resize(std::min(failed.size(), nearest_max));
  return failed;
}

std::string at(const Probe& probe) { return "at " + format_rate(probe.rate_per_s) + "/s "; }

Evidence generator_limits(const Probes& failed, const SearchResult& result) {
  const auto faults = std::ranges::count_if(failed, [](const Probe* probe) { return is_generators(probe->failures); });
  if (2 * faults > std::ssize(failed)) {
    const auto first = std::ranges::find_if(failed, [](const Probe* probe) { return is_generators(probe->failures); });
    return at(**first) + (*first)->failures.front().substr(generator_fault.size());
  }
  const Probe& nearest = *failed.front();
  const double ceiling = result.self_check ? result.self_check->ceiling_rps : 0;
  if (ceiling > 0 && nearest.rate_per_s > self_check_max * ceiling) {
    return format_rate(nearest.rate_per_s) + "/s is more than 70 % of the " + format_rate(ceiling) +
           "/s that the generator can do by itself";
  }
  const double busy = nearest.run.generator.busy_ratio;
  if (busy <= busy_max) return std::nullopt;
  return at(nearest) + "the generator's threads worked " + format_percent(busy) + " of the time";
}

/// In how many of the samples each lane was full with requests behind it.
std::map<std::string, double> full_shares(const RunResult& run) {
  std::map<std::string, double> shares;
  for (const ServerSample& sample : run.server) {
    for (const LaneSample& lane : sample.lanes) {
      const bool full = lane.limit > 0 && lane.in_flight >= lane.limit && lane.depth > 0;
      shares[lane.name] += (full ? 1.0 : 0.0) / static_cast<double>(run.server.size());
    }
  }
  return shares;
}

/// The lane full in the largest share of the samples, if that is most of them.
Evidence fullest_lane(const RunResult& run) {
  const auto shares = full_shares(run);
  const auto by_share = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto fullest = std::ranges::max_element(shares, by_share);
  if (fullest == shares.end() || fullest->second <= most) return std::nullopt;
  return fullest->first;
}

Evidence pool_limits(const Probes& failed, const SearchResult&) {
  for (const Probe* probe : failed) {
    const Evidence lane = fullest_lane(probe->run);
    if (!lane) continue;
    std::uint64_t limit = 0;
    for (const ServerSample& sample : probe->run.server) {
      for (const LaneSample& seen : sample.lanes) limit = seen.name == *lane ? seen.limit : limit;
    }
    return at(*probe) + "all " + std::to_string(limit) + " places of " + *lane +
           " were taken, with requests queued, in " + format_percent(full_shares(probe->run)[*lane]) +
           " of the samples";
  }
  return std::nullopt;
}

Evidence cpu_limits(const Probes& failed, const SearchResult&) {
  for (const Probe* probe : failed) {
    double thread = 0, cores = 0;
    int threads_seen = 0, cores_seen = 0;
    for (const ServerSample& sample : probe->run.server) {
      if (sample.hottest_thread) thread += *sample.hottest_thread, ++threads_seen;
      if (sample.cpu_cores) cores += *sample.cpu_cores, ++cores_seen;
    }
    if (threads_seen > 0 && thread / threads_seen >= busy_max) {
      return at(*probe) + "the server's busiest thread ran " + format_percent(std::min(1.0, thread / threads_seen)) +
             " of the time";
    }
    if (threads_seen == 0 && cores_seen > 0 && cores / cores_seen >= busy_max) {
      return at(*probe) + "the server used " + format_percent(cores / cores_seen) + " of a core";
    }
  }
  return std::nullopt;
}

/// The service time of the lowest rate that passed: what an answer takes when nothing is short.
Duration unhurried(const SearchResult& result) {
  const Probe* lowest = nullptr;
  for (const Probe& probe : result.probes) {
    const bool usable = probe.passed && (finds_the_limit(probe) || probe.stage == Stage::curve);
    if (usable && (lowest == nullptr || probe.rate_per_s < lowest->rate_per_s)) lowest = &probe;
  }
  return lowest == nullptr ? Duration{} : lowest->run.total.of(Outcome::ok).service.raw(0.5);
}

/// Requests wait for a connection, but an answer takes no longer than ever.
Evidence connections_limit(const Probes& failed, const SearchResult& result) {
  const Duration fast = unhurried(result);
  for (const Probe* probe : failed) {
    std::vector<double> waiting;
    for (const Window& window : probe->run.windows) {
      if (window.at_s < probe->run.duration_s) waiting.push_back(static_cast<double>(window.waiting));
    }
    const Duration service = probe->run.total.of(Outcome::ok).service.raw(0.5);
    if (fast == Duration{} || service > std::chrono::duration_cast<Duration>(fast * fast_factor)) continue;
    const auto some = std::ranges::count_if(waiting, [](double count) { return count > 0; });
    if (!grows(waiting, growth_confidence) && static_cast<double>(some) <= most * static_cast<double>(waiting.size()))
      continue;
    return at(*probe) + std::to_string(static_cast<std::uint64_t>(std::ranges::max(waiting))) +
           " requests waited for a free connection while an answer took " + format_duration(service) + " as before";
  }
  return std::nullopt;
}

Evidence errors_limit(const Probes& failed, const SearchResult&) {
  for (const Probe* probe : failed) {
    const ClientsResult& total = probe->run.total;
    Outcome worst = Outcome::limited;
    std::uint64_t bad = 0;
    for (const Outcome outcome : {Outcome::limited, Outcome::shed, Outcome::timed_out, Outcome::other, Outcome::broken,
                                  Outcome::connect_error}) {
      bad += total.of(outcome).count;
      if (total.of(outcome).count > total.of(worst).count) worst = outcome;
    }
    const double share = total.planned == 0 ? 0 : static_cast<double>(bad) / static_cast<double>(total.planned);
    if (share < errors_min) continue;
    return at(*probe) + format_percent(share) + " of the requests failed, most of them by " + std::string{name(worst)};
  }
  return std::nullopt;
}

Evidence latency_limits(const Probes& failed, const SearchResult&) {
  const auto fault = std::ranges::find_if(
      failed, [](const Probe* probe) { return !probe->failures.empty() && !is_generators(probe->failures); });
  if (fault == failed.end()) return std::nullopt;
  return at(**fault) + (*fault)->failures.front();
}

}  // namespace

Limit limit_of(const SearchResult& result) {
  using Rule = Evidence (*)(const Probes&, const SearchResult&);
  static constexpr std::array<std::pair<const char*, Rule>, 6> rules{{{"generator", generator_limits},
                                                                      {"pool", pool_limits},
                                                                      {"loop CPU", cpu_limits},
                                                                      {"connections", connections_limit},
                                                                      {"errors", errors_limit},
                                                                      {"latency", latency_limits}}};
  Probes failed = nearest_failures(result);
  if (failed.empty()) return {};
  for (const auto& [label, rule] : rules) {
    if (Evidence evidence = rule(failed, result)) return {label, std::move(*evidence)};
    // What the generator spoilt says nothing about the server.
    std::erase_if(failed, [](const Probe* probe) { return is_generators(probe->failures); });
    if (failed.empty()) return {};
  }
  return {};
}

std::string first_full(const SearchResult& result) {
  const Probe* lowest = nullptr;
  for (const Probe& probe : result.probes) {
    const bool open_loop = probe.stage != Stage::ceiling && probe.stage != Stage::recovery;
    if (!open_loop || (lowest != nullptr && probe.rate_per_s >= lowest->rate_per_s)) continue;
    if (fullest_lane(probe.run)) lowest = &probe;
  }
  return lowest == nullptr ? std::string{} : *fullest_lane(lowest->run);
}

}  // namespace sluice::bench
