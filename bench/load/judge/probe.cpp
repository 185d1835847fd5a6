// probe.cpp: the conditions of a pass. A queue that grows fails a window before its latencies do: a short window at a
// rate just above the limit would otherwise look well.
#include "load/judge/probe.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "load/judge/shape.hpp"
#include "load/judge/slo.hpp"
#include "load/judge/trend.hpp"
#include "load/plan/units.hpp"

namespace sluice::bench {
namespace {

constexpr double answered_min = 0.995;
constexpr double errors_max = 0.0001;
constexpr double growth_confidence = 0.95;
constexpr double growth_min = 0.005;  // of the rate: what the server falls behind its plan
constexpr double waver_factor = 4;    // times the root of what is under way: so far a steady number wavers by chance
constexpr std::size_t points_min = 8, points_max = 60;

/// Means over about a second, if there are seconds enough: neighbours within one depend on each other.
std::vector<double> in_steps(const std::vector<double>& series, double duration_s) {
  const auto seconds = static_cast<std::size_t>(std::max(0.0, duration_s));
  return condensed(series, std::clamp(seconds, points_min, points_max));
}

/// The growth per second, if it is one.
std::optional<double> growth_per_s(const std::vector<double>& series, const RunResult& run) {
  const std::vector<double> steps = in_steps(series, run.duration_s);
  if (!grows(steps, growth_confidence)) return std::nullopt;
  const double added = slope_per_step(steps) * static_cast<double>(steps.size() - 1);
  const double level = std::accumulate(steps.begin(), steps.end(), 0.0) / static_cast<double>(steps.size());
  if (added < waver_factor * std::sqrt(level)) return std::nullopt;
  const double per_s = slope_per_step(steps) * static_cast<double>(steps.size()) / run.duration_s;
  if (per_s < growth_min * run.offered_rps) return std::nullopt;
  return per_s;
}

std::optional<std::string> growing_lane(const RunResult& run) {
  if (run.server.empty()) return std::nullopt;
  for (const LaneSample& lane : run.server.front().lanes) {
    std::vector<double> depths;
    for (const ServerSample& sample : run.server) {
      const auto found = std::ranges::find(sample.lanes, lane.name, &LaneSample::name);
      if (found != sample.lanes.end()) depths.push_back(static_cast<double>(found->depth));
    }
    if (const auto per_s = growth_per_s(depths, run)) {
      return "the queue of " + lane.name + " grew by " + format_rate(*per_s) + " a second";
    }
  }
  return std::nullopt;
}

bool speaks_of_errors(std::span<const Slo> slos) noexcept {
  return std::ranges::any_of(slos, [](const Slo& slo) { return slo.kind == Slo::Kind::errors; });
}

}  // namespace

std::vector<double> backlog_of(const RunResult& run) {
  std::vector<double> backlog;
  for (const Window& window : run.windows) {
    if (window.at_s + run.window_s > run.duration_s + run.window_s / 100) break;
    backlog.push_back(static_cast<double>(window.outstanding + window.waiting));
  }
  return backlog;
}

std::vector<std::string> failures_of(const RunResult& run, std::span<const Slo> slos) {
  if (run.total.planned == 0) return {"no request was due in this window; it is too short for the rate"};
  std::vector<std::string> failures;
  if (const double share = answered_share(run); share < answered_min) {
    failures.push_back(format_percent(share) + " of the plan were answered in time, not 99.5 %");
  }
  if (const double ratio = run.error_ratio(); !speaks_of_errors(slos) && ratio > errors_max) {
    failures.push_back("errors are " + format_percent(ratio) + ", above 0.01 %");
  }
  for (const Slo& slo : slos) {
    if (auto failure = fails(slo, run)) failures.push_back(std::move(*failure));
  }
  if (const auto per_s = growth_per_s(backlog_of(run), run)) {
    failures.push_back("the requests under way grew by " + format_rate(*per_s) + " a second");
  }
  if (auto lane = growing_lane(run)) failures.push_back(std::move(*lane));
  if (failures.empty() || run.valid()) return failures;
  // All that a late or halted generator does to a window makes it look worse: one that passes in spite of it has passed.
  failures.clear();
  for (const std::string& reason : run.invalid) failures.push_back(std::string{generator_fault} + reason);
  return failures;
}

bool is_generators(std::span<const std::string> failures) noexcept {
  return !failures.empty() && failures.front().starts_with(generator_fault);
}

}  // namespace sluice::bench
