#include "sim/tool/study_json.hpp"

#include <algorithm>
#include <cmath>

#include <sluice/extra/json.hpp>

namespace sluice::sim {
namespace {

constexpr std::size_t windows_max = 240;

double rounded(double value, double parts = 1000) noexcept { return std::round(value * parts) / parts; }
double ratio(std::uint64_t part, std::uint64_t whole) noexcept {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

void write_times(JsonWriter& out, std::string_view key, const base::Histogram& times) {
  out.key(key).begin_object().member("count", times.count());
  const auto member = [&](std::string_view name, std::uint64_t ns) {
    out.key(name);
    if (times.count() == 0) out.null();
    else out.value(rounded(static_cast<double>(ns) * 1e-6));
  };
  member("p50", times.at(0.5));
  member("p99", times.at(0.99));
  member("max", times.max());
  out.end_object();
}

void write_refusals(JsonWriter& out, const Refusals& refusals) {
  out.key("refused_attempts").begin_object();
  for (std::size_t i = 0; i < refusal_count; ++i) {
    if (refusals[i] != 0) out.member(refusal_name(i), refusals[i]);
  }
  out.end_object();
}

void write_counts(JsonWriter& out, const Counts& counts, double measured_s) {
  out.member("offered", counts.offered);
  for (std::size_t i = 0; i < fate_count; ++i) out.member(to_string(static_cast<Fate>(i)), counts.fates[i]);
  out.member("good_share", rounded(ratio(counts.good(), counts.offered), 1e6));
  out.member("offered_per_s", rounded(static_cast<double>(counts.offered) / measured_s));
  out.member("good_per_s", rounded(static_cast<double>(counts.good()) / measured_s));
  out.member("attempts", counts.attempts);
  write_refusals(out, counts.refusals);
  out.member("timed_out_attempts", counts.timed_out).member("failed_attempts", counts.failed);
  out.member("left_attempts", counts.left);
}

void write_part(JsonWriter& out, const PartResult& part, double measured_s) {
  out.begin_object().member("name", part.name);
  write_counts(out, part.counts, measured_s);
  write_times(out, "queue_ms", part.wait);
  write_times(out, "latency_ms", part.latency);
  out.member("waiting_peak", part.waiting_peak).member("running_peak", part.running_peak);
  out.member("zombies_peak", part.zombies_peak).end_object();
}

void write_events(JsonWriter& out, const Result& result) {
  out.key("events").begin_array();
  for (const EventResult& event : result.events) {
    out.begin_object().member("what", event.what);
    out.member("from_s", rounded(event.begin_s)).member("to_s", rounded(event.end_s));
    out.key("good_share_before");
    if (event.good_before) out.value(rounded(*event.good_before, 1e6));
    else out.null();
    out.member("good_share_during", rounded(event.good_during, 1e6));
    out.key("recovered_after_s");
    if (event.recovered_s) out.value(rounded(*event.recovered_s));
    else out.null();
    out.member("aftermath_seen", event.aftermath_seen).end_object();
  }
  out.end_array();
}

/// The tenths of a second of some routes as a bounded number of windows.
std::vector<Sample> windows_of(const std::vector<std::vector<Sample>>& series, std::size_t width) {
  std::vector<Sample> windows((series.front().size() + width - 1) / width);
  for (const auto& route : series) {
    for (std::size_t i = 0; i < route.size(); ++i) {
      Sample one = route[i];
      // A gauge is what it was at the window's end.
      const bool last = i % width == width - 1 || i + 1 == route.size();
      if (!last) one.waiting = one.running = one.zombies = 0;
      windows[i / width].add(one);
    }
  }
  return windows;
}

class SeriesWriter {
 public:
  SeriesWriter(JsonWriter& out, const std::vector<Sample>& windows, double window_s)
      : out_{out}, windows_{windows}, window_s_{window_s} {}

  template <class Pick>
  void column(std::string_view name, Pick pick) {
    out_.key(name).begin_array();
    for (const Sample& window : windows_) out_.value(rounded(pick(window)));
    out_.end_array();
  }
  /// A count as so many a second.
  void rate(std::string_view name, std::uint64_t Sample::* which) {
    column(name, [this, which](const Sample& window) { return static_cast<double>(window.*which) / window_s_; });
  }
  void gauge(std::string_view name, std::uint64_t Sample::* which) {
    column(name, [which](const Sample& window) { return static_cast<double>(window.*which); });
  }
  void refusals() {
    out_.key("refused_per_s").begin_object();
    for (std::size_t i = 0; i < refusal_count; ++i) {
      const auto none = [i](const Sample& window) { return window.refusals[i] == 0; };
      if (std::all_of(windows_.begin(), windows_.end(), none)) continue;
      column(refusal_name(i),
             [&](const Sample& window) { return static_cast<double>(window.refusals[i]) / window_s_; });
    }
    out_.end_object();
  }

 private:
  JsonWriter& out_;
  const std::vector<Sample>& windows_;
  double window_s_;
};

void write_series(JsonWriter& out, const Result& result) {
  const std::size_t width = (result.series.front().size() + windows_max - 1) / windows_max;
  const double window_s = seconds(slot_length) * static_cast<double>(width);
  const std::vector<Sample> windows = windows_of(result.series, width);
  out.key("series").begin_object().member("window_s", rounded(window_s));
  SeriesWriter total{out, windows, window_s};
  total.rate("offered_per_s", &Sample::offered);
  total.rate("good_per_s", &Sample::good);
  total.rate("timed_out_per_s", &Sample::timed_out);
  total.rate("failed_per_s", &Sample::failed);
  total.rate("left_per_s", &Sample::left);
  total.refusals();
  total.column("queue_mean_ms", [](const Sample& window) {
    return window.started == 0 ? 0 : static_cast<double>(window.waited_ns) / static_cast<double>(window.started) * 1e-6;
  });
  total.column("queue_max_ms", [](const Sample& window) { return static_cast<double>(window.waited_most_ns) * 1e-6; });
  total.gauge("waiting", &Sample::waiting);
  total.gauge("running", &Sample::running);
  total.gauge("zombies", &Sample::zombies);
  out.key("routes").begin_array();
  for (std::size_t i = 0; i < result.series.size(); ++i) {
    out.begin_object().member("name", result.routes[i].name);
    const std::vector<Sample> own = windows_of({result.series[i]}, width);
    SeriesWriter route{out, own, window_s};
    route.rate("offered_per_s", &Sample::offered);
    route.rate("good_per_s", &Sample::good);
    out.end_object();
  }
  out.end_array().end_object();
}

void write_run(JsonWriter& out, const Study& study, const Run& run) {
  const Result& result = run.result;
  out.begin_object().member("policy", to_string(result.policy));
  if (study.loads) out.member("load", run.load);
  if (!study.what_if.empty()) out.member("value", run.value);
  out.member("measured_s", rounded(result.seconds)).member("books_balance", result.balanced);
  out.key("total");
  write_part(out, result.total, result.seconds);
  out.key("routes").begin_array();
  for (const PartResult& route : result.routes) write_part(out, route, result.seconds);
  out.end_array().key("clients").begin_array();
  for (const auto& [name, counts] : result.clients) {
    out.begin_object().member("name", name);
    write_counts(out, counts, result.seconds);
    out.end_object();
  }
  out.end_array().key("servers").begin_array();
  for (const ServerResult& server : result.servers) {
    out.begin_object().member("attempts", server.attempts).member("answered", server.good).end_object();
  }
  out.end_array();
  write_events(out, result);
  if (!study.sweeps()) write_series(out, result);
  out.end_object();
}

/// Inside of strings alone these bytes can stand, and there JSON has an escape for each.
std::string safe_inside_html(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (json[i] == '<') out += "\\u003c";
    else if (json.substr(i).starts_with("\xE2\x80\xA8") || json.substr(i).starts_with("\xE2\x80\xA9")) {
      out += json[i + 2] == '\xA8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else out += json[i];
  }
  return out;
}

}  // namespace

std::string study_json(const Study& study) {
  const Scenario& scenario = study.scenario;
  JsonWriter out;
  out.begin_object().member("schema", "sluice-sim/1");
  out.member("kind", study.loads ? "loads" : study.what_if.empty() ? "run" : "what_if");
  out.key("scenario").begin_object().member("name", scenario.name).member("description", scenario.description);
  out.member("seed", scenario.seed).member("duration_s", rounded(seconds(scenario.duration)));
  out.member("warmup_s", rounded(seconds(scenario.warmup))).member("servers", scenario.servers.count);
  out.member("replayed", !scenario.recording.empty()).end_object();
  if (!study.what_if.empty()) out.member("what_if", study.what_if);
  out.key("runs").begin_array();
  for (const Run& run : study.runs) write_run(out, study, run);
  out.end_array().end_object();
  return safe_inside_html(std::move(out).take());
}

}  // namespace sluice::sim
