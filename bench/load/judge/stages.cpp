// stages.cpp: the server below its limit, above it and after it: the curve, the overload, the recovery; the rates that
// keep the maximum low.
#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "load/judge/searcher.hpp"
#include "load/judge/shape.hpp"
#include "load/plan/random.hpp"
#include "load/plan/units.hpp"

namespace sluice::bench {
namespace {

using Stage = Probe::Stage;

constexpr double answered_min = 0.995;
constexpr Duration good_max = std::chrono::milliseconds{200}, ok_max = std::chrono::seconds{1};
constexpr double recovered_factor = 2;
constexpr double recovered_slack_us = 5000;
constexpr double half = 50;  // percent of the limit

std::array<double, 5> shuffled_percents(std::uint64_t seed) {
  std::array<double, 5> percents{10, 25, half, 75, 90};
  Random random{seed};
  for (std::size_t left = percents.size(); left > 1; --left) {
    std::swap(percents[left - 1], percents[random.next() % left]);
  }
  return percents;
}

/// One window, as evidence for or against a rate.
struct Evidence {
  double rate_per_s = 0, length_s = 0;
  bool met = false;
};

/// The highest rate that kept below the maximum. A failure at it or below it is outweighed by it, unless that window was
/// longer: servers do not get better with load, so the shorter window of the two had bad luck, or good.
double highest_below(const std::vector<Probe>& probes, Duration maximum) {
  std::vector<Evidence> all;
  for (const Probe& probe : probes) {
    const bool counts =
        probe.stage != Stage::ceiling && probe.stage != Stage::overload && probe.stage != Stage::recovery;
    if (!counts || probe.run.total.planned == 0) continue;
    const bool met = probe.run.total.all.max() < maximum && answered_share(probe.run) >= answered_min;
    // A window that the generator spoilt proves nothing against the server, but a pass in spite of it counts.
    if (met || probe.run.valid()) all.push_back({probe.rate_per_s, probe.run.duration_s, met});
  }
  double highest = 0;
  for (const Evidence& one : all) {
    const bool outweighed = std::ranges::any_of(all, [&one](const Evidence& other) {
      return !other.met && other.rate_per_s <= one.rate_per_s && other.length_s > 1.01 * one.length_s;
    });
    const auto at_that_rate = [&one, &all](bool met) {
      return std::ranges::count_if(
          all, [&](const Evidence& other) { return other.met == met && other.rate_per_s == one.rate_per_s; });
    };
    if (one.met && !outweighed && at_that_rate(true) >= at_that_rate(false)) {
      highest = std::max(highest, one.rate_per_s);
    }
  }
  return highest;
}

/// The first second from which all windows are as before the overload; -1 if there is none.
double recovered_at(const RunResult& run, double limit_us) {
  double since_s = -1;
  for (const Window& window : run.windows) {
    if (window.at_s >= run.duration_s) break;
    const std::uint64_t ok = window.outcomes[static_cast<std::size_t>(Outcome::ok)];
    const bool well = window.planned == 0 || (2 * ok >= window.planned && window.p99_us <= limit_us);
    if (!well) since_s = -1;
    else if (since_s < 0) since_s = window.at_s;
  }
  return since_s;
}

}  // namespace

Searcher::Step Searcher::draw_curve() {
  if (result_.capacity_rps <= 0) return {};
  const bool half_needed = options_.overload;  // the recovery is held against it
  for (const double percent : shuffled_percents(load_.seed)) {
    if (!options_.curve && !(half_needed && percent == half)) continue;
    const double rate_per_s = result_.capacity_rps * percent / 100;
    const Passed passed =
        probe({.stage = Stage::curve, .rate_per_s = rate_per_s, .length = options_.stage, .percent = percent});
    if (!passed) return std::unexpected{passed.error()};
  }
  return profile("80");
}

/// An extra window for the profiler, if there is one.
Searcher::Step Searcher::profile(std::string_view percent) {
  if (!options_.on_profile_stage) return {};
  const bool below = percent == "80";
  const double share = below ? 80 : 120;
  options_.on_profile_stage(percent, true);
  const Passed passed = probe({.stage = below ? Stage::curve : Stage::overload,
                               .rate_per_s = result_.capacity_rps * share / 100,
                               .length = options_.stage,
                               .percent = share});
  options_.on_profile_stage(percent, false);
  if (!passed) return std::unexpected{passed.error()};
  return {};
}

/// A server that is gone by then ends the stages, not the search.
Searcher::Step Searcher::overload() {
  if (result_.capacity_rps <= 0) return {};
  if (Step done = profile("120"); !done || !options_.overload) return done;
  for (const double percent : {110.0, 150.0, 200.0, 300.0}) {
    const double rate_per_s = result_.capacity_rps * percent / 100;
    const Passed passed =
        probe({.stage = Stage::overload, .rate_per_s = rate_per_s, .length = options_.stage, .percent = percent});
    if (passed) continue;
    if (passed.error().kind != Error::Kind::unreachable) return std::unexpected{passed.error()};
    result_.invalid.push_back("the server was gone at " + format_rate(percent) +
                              " % of its limit: " + passed.error().text);
    result_.recovery_s = -1;
    return {};
  }
  if (const Probe* const twice = find(Stage::overload, 200)) {
    result_.goodput_kept_200 = twice->run.goodput_rps / result_.capacity_rps;
  }
  return recover();
}

/// At once after the overload, without a warm-up: that is what is measured.
Searcher::Step Searcher::recover() {
  const Passed passed = probe({.stage = Stage::recovery,
                               .rate_per_s = result_.capacity_rps * half / 100,
                               .length = options_.stage,
                               .percent = half,
                               .warm = false});
  if (!passed && passed.error().kind != Error::Kind::unreachable) return std::unexpected{passed.error()};
  result_.recovery_s = -1;
  if (!passed) {
    result_.invalid.push_back("the server was gone after the overload: " + passed.error().text);
    return {};
  }
  const Probe* const before = find(Stage::curve, half);
  if (before == nullptr) return {};
  const double p99_us = static_cast<double>(before->run.total.of(Outcome::ok).latency.raw(0.99).count()) * 1e-3;
  result_.recovery_s = recovered_at(last().run, std::max(recovered_factor * p99_us, p99_us + recovered_slack_us));
  return {};
}

void Searcher::rate_by_maximum() {
  result_.good_rps = highest_below(result_.probes, good_max);
  result_.ok_rps = highest_below(result_.probes, ok_max);
}

}  // namespace sluice::bench
