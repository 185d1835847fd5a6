// validity.cpp: the rules, one function each. Each adds at most a sentence or two.
#include "load/judge/validity.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <utility>

#include "base/histogram.hpp"
#include "load/plan/units.hpp"

namespace sluice::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration send_lag_max = microseconds{200};
constexpr int send_lag_part = 10;              // of the 2xx' p99
constexpr double unsent_max = 0.001;           // of the planned requests
constexpr double waited_max = 0.001;           // of the planned requests, before it is worth a word
constexpr std::uint64_t waited_ns = 1000;      // less is no wait
constexpr double steal_max = 0.01;
constexpr double stalls_max = 0.001;           // of the run
constexpr double stall_max_s = 0.05;
constexpr double cpu_max = 0.9;
constexpr std::uint64_t samples_min = 100;
constexpr double plateau_width = 0.03;
constexpr std::size_t stretches_shown = 5;
constexpr std::uint64_t large_bytes = 64 * 1024;
constexpr double failing_min = 0.01, refused_min = 0.05, answered_min = 0.95;
constexpr std::array<std::string_view, 4> kinds{"large-payload", "slow-client", "failing", "overloaded"};

struct Plateau {
  Duration time;
  std::string_view cause;
};
constexpr std::array<Plateau, 3> plateaus{{{milliseconds{40}, "a delayed acknowledgement"},
                                           {milliseconds{200}, "a retransmission"},
                                           {milliseconds{1000}, "a lost connection request or a timer of a second"}}};

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

Duration from_seconds(double seconds) { return Duration{std::llround(seconds * 1e9)}; }
/// A moment of the run, in seconds with two decimals.
std::string moment(double at_s) {
  const auto hundredths = std::llround(std::max(at_s, 0.0) * 100);
  const std::string rest = std::to_string(hundredths % 100);
  return std::to_string(hundredths / 100) + '.' + (rest.size() == 1 ? "0" : "") + rest;
}

std::string between(const Stretch& stretch) {
  return "from " + moment(stretch.from_s) + " s to " + moment(stretch.to_s) + " s";
}

std::span<const Clients> measured(const Load& load) {
  const std::size_t background = std::min<std::size_t>(load.background, load.clients.size());
  return std::span{load.clients}.first(load.clients.size() - background);
}

bool open_loop(const Load& load) {
  return std::ranges::any_of(measured(load), [](const Clients& clients) { return clients.rate_per_s > 0; });
}

void judge_send_lag(RunResult& result) {
  const Latency& lag = result.total.send_lag;
  if (lag.count() == 0) return;
  const Duration allowed = std::max(send_lag_max, result.total.of(Outcome::ok).latency.raw(0.99) / send_lag_part);
  const Duration measured = lag.raw(0.999);
  if (measured <= allowed) return;
  result.invalid.push_back("the generator sent late: p99.9 of its own delay is " + format_duration(measured) +
                           ", more than " + format_duration(allowed));
}

/// Requests that found no connection free are the server's doing; requests that nobody sent are the generator's.
void judge_unsent(const Load& load, RunResult& result) {
  const ClientsResult& total = result.total;
  std::uint64_t waiting = 0;
  for (const Window& window : result.windows) waiting = std::max(waiting, window.waiting);
  const bool connections_lacked = total.connect_failures > 0 || total.of(Outcome::connect_error).count > 0;
  const std::uint64_t explained = connections_lacked ? total.unsent : std::min(total.unsent, waiting);
  const std::uint64_t missed = total.unsent - explained;
  if (ratio(missed, total.planned) > unsent_max) {
    result.invalid.push_back("the generator missed its plan: " + std::to_string(missed) + " of " +
                             std::to_string(total.planned) + " requests were not sent though connections were free");
  }
  const base::Histogram* const waits = total.connection_wait.recorded();
  const std::uint64_t waited = explained + (waits == nullptr ? 0 : waits->count_above(waited_ns));
  if (connections_lacked || ratio(waited, total.planned) <= waited_max) return;
  std::uint64_t in_flight = 0;
  for (const Clients& clients : measured(load))
    in_flight += std::uint64_t{clients.connections} * clients.behaviour.pipeline;
  result.warnings.push_back(std::to_string(waited) + " of " + std::to_string(total.planned) +
                            " requests found no free connection; the server never saw more than " +
                            std::to_string(in_flight) + " in flight: give more connections");
}

void judge_machine(RunResult& result) {
  const Generator& generator = result.generator;
  if (generator.steal_ratio > steal_max) {
    result.invalid.push_back("the hypervisor took " + format_percent(generator.steal_ratio) +
                             " of the machine's time, more than 1 %");
  }
  double sum_s = 0, longest_s = 0;
  for (const Stretch& stall : generator.stalls) {
    sum_s += stall.to_s - stall.from_s;
    longest_s = std::max(longest_s, stall.to_s - stall.from_s);
  }
  if (sum_s <= stalls_max * result.duration_s && longest_s < stall_max_s) return;
  std::string text = "the generator stood still for " + format_duration(from_seconds(sum_s)) + " in all: ";
  const std::size_t shown = std::min(stretches_shown, generator.stalls.size());
  for (std::size_t index = 0; index < shown; ++index)
    text += (index == 0 ? "" : ", ") + between(generator.stalls[index]);
  if (shown < generator.stalls.size())
    text += " and " + std::to_string(generator.stalls.size() - shown) + " times more";
  result.invalid.push_back(std::move(text));
}

void warn_of_plateaus(RunResult& result) {
  const auto check = [&result](std::string_view what, std::optional<Duration> measured) {
    if (!measured) return;
    for (const Plateau& plateau : plateaus) {
      const double off =
          static_cast<double>((*measured - plateau.time).count()) / static_cast<double>(plateau.time.count());
      if (std::abs(off) > plateau_width) continue;
      result.warnings.push_back(std::string{what} + " is " + format_duration(*measured) + ": close to " +
                                format_duration(plateau.time) + ", it may be " + std::string{plateau.cause} +
                                " and not the server's work");
    }
  };
  if (result.total.all.count() == 0) return;
  check("p99.9", result.total.all.at(0.999));
  check("the maximum", result.total.all.max());
}

void warn_of_silences(RunResult& result) {
  const std::size_t shown = std::min(stretches_shown, result.silences.size());
  for (std::size_t index = 0; index < shown; ++index) {
    const Stretch& silence = result.silences[index];
    result.warnings.push_back("no answer for " + format_duration(from_seconds(silence.to_s - silence.from_s)) + ' ' +
                              between(silence) + ": the server (or its machine) stood still");
  }
  if (shown < result.silences.size()) {
    result.warnings.push_back("no answer " + std::to_string(result.silences.size() - shown) + " times more");
  }
}

bool large_payload(const Load& load, const RunResult& result) {
  for (const Clients& clients : load.clients) {
    for (const RequestSpec& spec : clients.requests) {
      if (spec.weight > 0 && spec.body.size() >= large_bytes) return true;
    }
  }
  return std::ranges::any_of(result.clients, [](const ClientsResult& clients) {
    std::uint64_t answers = 0;
    for (const Outcome outcome : {Outcome::ok, Outcome::limited, Outcome::shed, Outcome::timed_out, Outcome::other}) {
      answers += clients.of(outcome).count;
    }
    return answers > 0 && clients.bytes_received / answers >= large_bytes;
  });
}

bool slow_client(const Load& load) {
  return std::ranges::any_of(load.clients, [](const Clients& clients) {
    const Behaviour& behaviour = clients.behaviour;
    return behaviour.read_bytes_per_s > 0 || behaviour.write_bytes_per_s > 0 || behaviour.give_up_after > Duration{};
  });
}

/// The share of the outcomes named.
double share_of(const ClientsResult& clients, std::initializer_list<Outcome> outcomes) {
  std::uint64_t count = 0;
  for (const Outcome outcome : outcomes) count += clients.of(outcome).count;
  return ratio(count, clients.planned);
}

/// What fails by being overloaded (unanswered) or by the client's will (gave_up) shows nothing of failures.
bool failing(const RunResult& result) {
  const auto fails = [](const ClientsResult& clients) {
    return share_of(clients, {Outcome::timed_out, Outcome::other, Outcome::broken, Outcome::connect_error}) >=
           failing_min;
  };
  return fails(result.total) || std::ranges::any_of(result.clients, fails);
}

bool overloaded(const RunResult& result) {
  const double refused =
      share_of(result.total, {Outcome::shed, Outcome::limited, Outcome::timed_out, Outcome::unanswered});
  return refused >= refused_min || (result.offered_rps > 0 && result.answered_rps < answered_min * result.offered_rps);
}

}  // namespace

void judge(const Load& load, RunResult& result) {
  result.invalid.clear();
  result.warnings.clear();
  result.covers.clear();
  const bool open = open_loop(load);
  if (open) {
    judge_send_lag(result);
    judge_unsent(load, result);
  }
  judge_machine(result);
  result.generator.limited = !open && result.generator.cpu_ratio > cpu_max;
  if (result.generator.limited) {
    result.warnings.push_back("the generator's threads were busy " + format_percent(result.generator.cpu_ratio) +
                              " of the time: this closed loop measured the generator");
  }
  if (result.total.planned < samples_min) {
    result.warnings.push_back("only " + std::to_string(result.total.planned) + " requests: too few for percentiles");
  }
  warn_of_plateaus(result);
  warn_of_silences(result);
  const std::array<bool, kinds.size()> covered{large_payload(load, result), slow_client(load), failing(result),
                                               overloaded(result)};
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    if (covered[kind]) result.covers.emplace_back(kinds[kind]);
  }
}

std::vector<std::string> missing_coverage(std::span<const std::string> covers) {
  std::vector<std::string> missing;
  for (const std::string_view kind : kinds) {
    if (std::ranges::find(covers, kind) == covers.end()) missing.emplace_back(kind);
  }
  return missing;
}

}  // namespace sluice::bench
