// search_table.cpp: sweeps and searches on the terminal: one row per rate, and what the search concludes from them.
// Pure. Latencies in these tables are those of the 2xx, from the planned send time.
#include "load/output/table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "load/output/percentiles.hpp"
#include "load/output/text_parts.hpp"
#include "load/plan/units.hpp"

namespace sluice::bench {
namespace {

constexpr std::array<double, 4> shown_quantiles{0.5, 0.99, 0.999, 1};

Duration from_seconds(double seconds) { return Duration{std::llround(seconds * 1e9)}; }

std::string rate_text(double per_s) { return per_s > 0 ? format_rate(per_s) + "/s" : "none"; }

void add_times(std::vector<std::string>& cells, const Latency& latency) {
  for (const double quantile : shown_quantiles) {
    const auto time = latency.at(quantile);
    cells.push_back(time ? short_time(*time) : "-");
  }
}

std::string joined(const std::vector<std::string>& texts) {
  std::string text;
  for (const std::string& one : texts) text += (text.empty() ? "" : ", ") + one;
  return text;
}

std::string validity_lines(const std::vector<std::string>& reasons, bool valid, bool color) {
  if (valid) return styled(labelled("verdict", "valid"), Style::good, color);
  if (reasons.empty()) return styled(labelled("verdict", "INVALID"), Style::bad, color);
  std::string text;
  for (const std::string& reason : reasons) {
    text += styled(labelled(text.empty() ? "verdict" : "", "INVALID: " + reason), Style::bad, color);
  }
  return text;
}

/// Why a run does not count, in a word.
std::string_view flaw_of(const RunResult& run) noexcept {
  if (!run.valid()) return "INVALID";
  return run.generator.limited ? "generator-limited" : "";
}

// ---- search

bool is_late_stage(const Probe& probe) noexcept {
  return probe.stage == Probe::Stage::curve || probe.stage == Probe::Stage::overload ||
         probe.stage == Probe::Stage::recovery;
}

std::string probe_verdict(const Probe& probe) {
  // A run past the limit is not expected to pass, and one after it is judged by the time it took.
  const std::string_view flaw = flaw_of(probe.run);
  if (!flaw.empty()) return std::string{flaw};
  if (probe.stage == Probe::Stage::ceiling) return "";
  return probe.passed ? "pass" : "FAIL";
}

/// Of the curve, the overload and the recovery; of all windows if those were not asked for.
std::string probe_table(const SearchResult& result, bool color) {
  const bool late = std::any_of(result.probes.begin(), result.probes.end(), is_late_stage);
  TextTable table{1, true};
  table.add({"stage", "rate", "of limit", "p50", "p99", "p99.9", "max", "2xx/s", ""}, Style::strong);
  bool dashes = false;
  std::vector<const Probe*> shown;
  for (const Probe& probe : result.probes) {
    if (!late || is_late_stage(probe)) shown.push_back(&probe);
  }
  if (shown.empty()) return {};
  const auto by_rate = [](const Probe* a, const Probe* b) {
    return a->rate_per_s != b->rate_per_s ? a->rate_per_s < b->rate_per_s : a < b;  // else as they were made
  };
  const auto not_curve = [](const Probe* probe) { return probe->stage != Probe::Stage::curve; };
  // The curve may have been measured in any order.
  std::sort(shown.begin(), std::find_if(shown.begin(), shown.end(), not_curve), by_rate);
  for (const Probe* const probe : shown) {
    const bool has_rate = probe->stage != Probe::Stage::ceiling;
    const double share = result.capacity_rps > 0 ? probe->rate_per_s / result.capacity_rps : 0;
    std::vector<std::string> cells{std::string{name(probe->stage)}, has_rate ? format_rate(probe->rate_per_s) : "-"};
    if (probe->percent > 0) cells.push_back(format_percent(probe->percent / 100));
    else cells.push_back(has_rate && share > 0 ? format_percent(std::round(share * 100) / 100) : "-");
    add_times(cells, probe->run.total.of(Outcome::ok).latency);
    dashes = dashes || std::find(cells.begin() + 3, cells.end(), "-") != cells.end();
    cells.push_back(format_rate(probe->run.goodput_rps));
    std::string verdict = probe_verdict(*probe);
    const bool failed = verdict != "pass" && !verdict.empty();
    cells.push_back(std::move(verdict));
    table.add(std::move(cells), failed ? Style::bad : Style::plain);
  }
  return '\n' + table.text(color) +
         (dashes ? labelled("", "times: 2xx, from the planned send time; -: fewer than 100 samples above.")
                 : labelled("", "times: 2xx, from the planned send time."));
}

std::string failure_lines(const SearchResult& result) {
  // Why the limit is one: the failure at the lowest rate.
  const Probe* lowest = nullptr;
  for (const Probe& probe : result.probes) {
    const bool searched = probe.stage == Probe::Stage::climb || probe.stage == Probe::Stage::bisect ||
                          probe.stage == Probe::Stage::confirm;
    if (!searched || probe.passed || probe.failures.empty()) continue;
    if (lowest == nullptr || probe.rate_per_s < lowest->rate_per_s) lowest = &probe;
  }
  if (lowest == nullptr) return {};
  return labelled("failed at", rate_text(lowest->rate_per_s) + ": " + joined(lowest->failures));
}

std::string limit_lines(const SearchResult& result, bool color) {
  std::string limit = rate_text(result.capacity_rps);
  if (result.capacity_rps > 0) {
    limit += " meets the conditions";
    if (result.capacity_low_rps > 0) limit += "; last pass " + rate_text(result.capacity_low_rps);
    if (result.capacity_high_rps > 0) limit += ", first failure " + rate_text(result.capacity_high_rps);
  } else {
    limit = "no rate met the conditions";
    if (result.capacity_high_rps > 0) limit += "; lowest failure " + rate_text(result.capacity_high_rps);
  }
  std::string text = styled(labelled("limit", limit), Style::strong, color);
  if (!result.limit.empty()) {
    text += labelled("ended by", result.limit + (result.limit_evidence.empty() ? "" : ": " + result.limit_evidence));
  }
  text += failure_lines(result);
  text += labelled("good", rate_text(result.good_rps) + " with every answer below 200 ms");
  text += labelled("ok", rate_text(result.ok_rps) + " with every answer below 1 s");
  std::string ceiling = rate_text(result.ceiling_rps) + " in a closed loop, 2xx only";
  if (result.ceiling_rps > 0 && result.capacity_rps > 0) {
    ceiling +=
        "; the limit is " + format_percent(std::round(result.capacity_rps / result.ceiling_rps * 100) / 100) + " of it";
  }
  return text + labelled("ceiling", ceiling) + labelled("shape", describe(result.shape) + " at the limit");
}

std::string self_check_line(const SearchResult& result) {
  if (!result.self_check) return {};
  const SelfCheck& check = *result.self_check;
  std::string text = rate_text(check.ceiling_rps) + " against a server that only answers; adds p50 " +
                     format_duration(from_seconds(check.floor_p50_us / 1e6)) + ", send lag p99.9 " +
                     format_duration(from_seconds(check.send_lag_p999_us / 1e6));
  if (!check.problems.empty()) text += "; " + joined(check.problems);
  return labelled("generator", text);
}

std::string overload_lines(const SearchResult& result) {
  std::string text;
  const auto was = [&](Probe::Stage stage) {
    return std::any_of(result.probes.begin(), result.probes.end(),
                       [&](const Probe& one) { return one.stage == stage; });
  };
  if (was(Probe::Stage::overload)) {
    std::string kept = "at twice the limit " + format_percent(std::round(result.goodput_kept_200 * 1000) / 1000) +
                       " of it still came back as 2xx";
    if (!result.first_full.empty()) kept += "; first full: " + result.first_full;
    text += labelled("overload", kept);
  }
  if (was(Probe::Stage::recovery)) {
    text +=
        labelled("recovery", result.recovery_s < 0 ? "p99 did not come back"
                             : result.recovery_s == 0
                                 ? "p99 was back at once"
                                 : "p99 was back " + format_duration(from_seconds(result.recovery_s)) + " after it");
  }
  return text;
}

}  // namespace

std::string to_text(const SearchResult& result, const TextOptions& options) {
  std::string heading = result.target;
  if (options.config != nullptr && !options.config->name.empty()) heading = options.config->name + "  " + heading;
  std::vector<std::string> slos;
  for (const Slo& slo : result.slos) slos.push_back(slo.text);
  std::string text = styled(labelled("search", heading), Style::strong, options.color);
  if (!slos.empty()) text += labelled("conditions", joined(slos));
  text += validity_lines(result.invalid, result.valid, options.color) + '\n';
  text += limit_lines(result, options.color) + self_check_line(result);
  text += probe_table(result, options.color);
  return text + overload_lines(result);
}

std::string to_text(const SearchResult& result) { return to_text(result, TextOptions{}); }

std::string to_text(const SweepResult& result, const TextOptions& options) {
  std::string heading = result.target;
  if (!result.name.empty()) heading = result.name + "  " + heading;
  std::string text = styled(labelled("sweep", heading), Style::strong, options.color) + '\n';
  TextTable table{0, true};
  table.add({"rate", "answered/s", "2xx/s", "not 2xx", "p50", "p99", "p99.9", "max", ""}, Style::strong);
  for (const SweepRun& one : result.runs) {
    const RunResult& run = one.run;
    std::vector<std::string> cells{format_rate(one.rate_per_s), format_rate(run.answered_rps),
                                   format_rate(run.goodput_rps), format_percent(run.error_ratio())};
    add_times(cells, run.total.of(Outcome::ok).latency);
    const std::string flaw{flaw_of(run)};
    cells.push_back(flaw.empty() ? describe(run.shape) : flaw);
    table.add(std::move(cells), flaw.empty() ? Style::plain : Style::bad);
  }
  text += table.text(options.color);
  text += labelled("", "times: 2xx, from the planned send time; -: fewer than 100 samples above.");
  for (const SweepRun& one : result.runs) {
    for (const std::string& reason : one.run.invalid) {
      text += labelled("INVALID", format_rate(one.rate_per_s) + "/s: " + reason);
    }
  }
  return text;
}

}  // namespace sluice::bench
