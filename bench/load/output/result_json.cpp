// result_json.cpp: the documents run, sweep and search. Pure; numbers are rounded where more digits would say nothing.
#include "load/output/result_json.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>

#include "load/output/config_json.hpp"
#include "load/output/percentiles.hpp"

namespace sluice::bench {
namespace {

Outcome outcome_at(std::size_t index) noexcept { return static_cast<Outcome>(index); }

/// Of one run: the whole document's, or what is left of it inside of a sweep or a search.
struct RunOrigin {
  bool whole = true;  // with command and environment
  const Origin& origin;
  std::optional<RunConfig> config{};
};

void write_texts(JsonWriter& out, std::string_view key, const std::vector<std::string>& texts) {
  out.key(key).begin_array();
  for (const std::string& text : texts) out.value(text);
  out.end_array();
}

void write_stretches(JsonWriter& out, std::string_view key, const std::vector<Stretch>& stretches) {
  out.key(key).begin_array();
  for (const Stretch& stretch : stretches) {
    out.begin_object().member("from_s", rounded_time(stretch.from_s)).member("to_s", rounded_time(stretch.to_s));
    out.end_object();
  }
  out.end_array();
}

void write_times(JsonWriter& out, std::string_view key, const Latency& latency) {
  out.key(key).begin_object();
  for (const Percentile& percentile : percentiles) {
    const auto time = latency.at(percentile.quantile);
    out.key(percentile.name);
    if (time) out.value(microseconds(*time));
    else out.null();
  }
  out.key("mean");
  if (latency.count() != 0) out.value(microseconds(latency.mean()));
  else out.null();
  out.end_object();
}

void write_classes(JsonWriter& out, const ClientsResult& result) {
  out.key("classes").begin_object();
  for (std::size_t index = 0; index < outcome_count; ++index) {
    const ClassResult& one = result.classes[index];
    out.key(name(outcome_at(index))).begin_object().member("count", one.count);
    write_times(out, "latency_us", one.latency);
    write_times(out, "service_us", one.service);
    out.end_object();
  }
  out.end_object();
}

void write_spectrum(JsonWriter& out, const std::string& key, const Latency& latency) {
  const std::vector<SpectrumPoint> points = spectrum_of(latency);
  if (points.empty()) return;
  out.key(key).begin_array();
  for (const SpectrumPoint& point : points) {
    // Nine digits are enough for 10^9 samples, but only the maximum may be at 1.
    const double quantile = std::round(point.quantile * 1e9) / 1e9;
    out.begin_array().value(microseconds(point.time));
    out.value(quantile < 1 ? quantile : point.quantile).value(point.cumulative).end_array();
  }
  out.end_array();
}

void write_spectra(JsonWriter& out, const ClientsResult& result) {
  out.key("spectrum").begin_object();
  for (std::size_t index = 0; index < outcome_count; ++index) {
    const std::string outcome{name(outcome_at(index))};
    write_spectrum(out, outcome, result.classes[index].latency);
    write_spectrum(out, "service_" + outcome, result.classes[index].service);
  }
  write_spectrum(out, "all", result.all);
  out.end_object();
}

void write_counts(JsonWriter& out, const ClientsResult& result) {
  out.member("planned", result.planned).member("sent", result.sent).member("unsent", result.unsent);
  out.member("retried", result.retried).member("unanswered", result.of(Outcome::unanswered).count);
  out.member("connects", result.connects).member("connect_failures", result.connect_failures);
  out.member("bytes_sent", result.bytes_sent).member("bytes_received", result.bytes_received);
}

void write_generator(JsonWriter& out, const Generator& generator) {
  out.key("generator").begin_object().member("threads", generator.threads);
  out.member("cpu_ratio", rounded_share(generator.cpu_ratio)).member("busy_ratio", rounded_share(generator.busy_ratio));
  out.member("cpu_us_per_request", rounded_time(generator.cpu_us_per_request));
  out.member("steal_ratio", rounded_share(generator.steal_ratio)).member("limited", generator.limited);
  write_stretches(out, "stalls", generator.stalls);
  out.end_object();
}

void write_shape(JsonWriter& out, const Shape& shape) {
  out.key("shape").begin_object().member("class", name(shape.kind));
  out.key("wall_percentile");
  if (shape.wall_quantile > 0) out.value(std::round(shape.wall_quantile * 1e9) / 1e7);
  else out.null();
  out.key("wall_us");
  if (shape.wall_quantile > 0) out.value(rounded_time(shape.wall_us));
  else out.null();
  out.end_object();
}

void write_series(JsonWriter& out, const RunResult& result) {
  out.key("series").begin_object().member("window_s", rounded_time(result.window_s)).key("windows").begin_array();
  for (const Window& window : result.windows) {
    out.begin_object().member("at_s", rounded_time(window.at_s));
    out.member("planned", window.planned).member("sent", window.sent).key("outcomes").begin_object();
    for (std::size_t index = 0; index < outcome_count; ++index) {
      if (window.outcomes[index] != 0) out.member(name(outcome_at(index)), window.outcomes[index]);
    }
    out.end_object().member("p50_us", rounded_time(window.p50_us)).member("p99_us", rounded_time(window.p99_us));
    out.member("max_us", rounded_time(window.max_us));
    out.member("outstanding", window.outstanding).member("waiting", window.waiting).end_object();
  }
  out.end_array().end_object();
}

std::optional<double> rounded_maybe(const std::optional<double>& value) {
  return value ? std::optional{rounded_time(*value)} : std::nullopt;
}

void write_server(JsonWriter& out, const std::vector<ServerSample>& samples) {
  out.key("server").begin_array();
  for (const ServerSample& sample : samples) {
    out.begin_object().member("at_s", rounded_time(sample.at_s));
    out.member("cpu_cores", rounded_maybe(sample.cpu_cores));
    out.member("hottest_thread", rounded_maybe(sample.hottest_thread));
    out.member("voluntary_switches_per_s", rounded_maybe(sample.voluntary_switches_per_s));
    out.member("involuntary_switches_per_s", rounded_maybe(sample.involuntary_switches_per_s));
    out.member("rss_bytes", sample.rss_bytes).member("threads", sample.threads).key("lanes").begin_array();
    for (const LaneSample& lane : sample.lanes) {
      out.begin_object().member("name", lane.name).member("depth", lane.depth).member("in_flight", lane.in_flight);
      out.member("limit", lane.limit).member("zombies", lane.zombies).end_object();
    }
    out.end_array().end_object();
  }
  out.end_array();
}

void write_clients(JsonWriter& out, const RunResult& result, const Load* config) {
  out.key("clients").begin_array();
  for (std::size_t index = 0; index < result.clients.size(); ++index) {
    const ClientsResult& clients = result.clients[index];
    out.begin_object().member("name", clients.name).key("background");
    if (config != nullptr) out.value(index + config->background >= config->clients.size());
    else out.null();
    write_counts(out, clients);
    write_classes(out, clients);
    write_times(out, "all_us", clients.all);
    out.end_object();
  }
  out.end_array();
}

struct Heading {
  std::string_view kind, name, target, started_at;
};

void write_environment_of(JsonWriter& out, const Origin& origin) {
  out.key("environment");
  if (origin.environment != nullptr) write_environment(out, *origin.environment);
  else out.null();
}

void write_heading(JsonWriter& out, const Heading& heading, const Origin* origin) {
  out.member("schema", result_schema).member("kind", heading.kind).member("name", heading.name);
  if (origin != nullptr) out.member("command", origin->command);
  out.member("target", heading.target).member("started_at", heading.started_at);
  if (origin != nullptr) write_environment_of(out, *origin);
}

void write_one_run(JsonWriter& out, const RunResult& result, const RunOrigin& from) {
  out.begin_object();
  write_heading(out, {"run", result.name, result.target, result.started_at}, from.whole ? &from.origin : nullptr);
  out.key("config");
  if (from.config) write_config(out, *from.config);
  else out.null();
  out.member("valid", result.valid());
  write_texts(out, "invalid", result.invalid);
  write_texts(out, "warnings", result.warnings);
  write_texts(out, "covers", result.covers);
  out.member("duration_s", rounded_time(result.duration_s)).member("offered_rps", rounded_rate(result.offered_rps));
  out.member("answered_rps", rounded_rate(result.answered_rps));
  out.member("goodput_rps", rounded_rate(result.goodput_rps));
  out.member("error_ratio", rounded_share(result.error_ratio()));
  const ClientsResult& total = result.total;
  write_counts(out, total);
  write_classes(out, total);
  write_times(out, "all_us", total.all);
  out.key("all_at_least");
  if (const auto from_index = at_least_from(total)) out.value(percentiles[*from_index].name);
  else out.null();
  write_times(out, "connect_us", total.connect);
  write_times(out, "connection_wait_us", total.connection_wait);
  write_times(out, "send_lag_us", total.send_lag);
  write_spectra(out, total);
  write_generator(out, result.generator);
  write_shape(out, result.shape);
  write_stretches(out, "silences", result.silences);
  write_series(out, result);
  write_server(out, result.server);
  write_clients(out, result, from.origin.config);
  out.end_object();
}

/// A run inside of another result, at the rate it had.
void write_inner_run(JsonWriter& out, const RunResult& result, double rate_per_s, const Origin& origin) {
  RunOrigin from{.whole = false, .origin = origin};
  if (origin.config != nullptr) {
    RunConfig config = config_of(*origin.config);
    config.rate_per_s = rate_per_s;
    config.duration_s = result.duration_s;
    if (origin.search != nullptr) {
      config.warmup = origin.search->warmup;
      config.arrival = origin.search->arrival;
    }
    from.config.emplace(config);
  }
  write_one_run(out, result, from);
}

void add_covers(std::vector<std::string>& covers, const RunResult& run) {
  for (const std::string& cover : run.covers) {
    if (std::find(covers.begin(), covers.end(), cover) == covers.end()) covers.push_back(cover);
  }
}

void write_probes(JsonWriter& out, const SearchResult& result, const Origin& origin) {
  out.key("probes").begin_array();
  for (const Probe& probe : result.probes) {
    out.begin_object().member("stage", name(probe.stage)).member("rate_rps", rounded_rate(probe.rate_per_s));
    out.member("percent", rounded_rate(probe.percent)).member("passed", probe.passed);
    write_texts(out, "failures", probe.failures);
    out.key("run");
    const bool closed = probe.stage == Probe::Stage::ceiling;
    write_inner_run(out, probe.run, closed ? 0 : probe.rate_per_s, origin);
    out.end_object();
  }
  out.end_array();
}

void write_self_check(JsonWriter& out, const std::optional<SelfCheck>& check) {
  out.key("self_check");
  if (!check) {
    out.null();
    return;
  }
  out.begin_object().member("ceiling_rps", rounded_rate(check->ceiling_rps));
  out.member("floor_p50_us", rounded_time(check->floor_p50_us));
  out.member("send_lag_p999_us", rounded_time(check->send_lag_p999_us));
  write_texts(out, "problems", check->problems);
  out.end_object();
}

void write_flames(JsonWriter& out, std::span<const Flame> flames) {
  out.key("flames").begin_array();
  for (const Flame& flame : flames) {
    std::uint64_t samples = 0;
    for (const auto& [stack, count] : flame.folded) samples += count;
    out.begin_object().member("percent", flame.percent).member("samples", samples).key("folded").begin_array();
    for (const auto& [stack, count] : flame.folded) out.begin_array().value(stack).value(count).end_array();
    out.end_array().end_object();
  }
  out.end_array();
}

template <class Result>
std::string document(const Result& result, const Origin& origin,
                     void write(JsonWriter&, const Result&, const Origin&)) {
  JsonWriter out;
  write(out, result, origin);
  return std::move(out).take();
}

}  // namespace

void write_run(JsonWriter& out, const RunResult& result, const Origin& origin) {
  RunOrigin from{.whole = true, .origin = origin};
  if (origin.config != nullptr) from.config.emplace(config_of(*origin.config));
  write_one_run(out, result, from);
}

void write_sweep(JsonWriter& out, const SweepResult& result, const Origin& origin) {
  std::vector<std::string> covers;
  for (const SweepRun& one : result.runs) add_covers(covers, one.run);
  out.begin_object();
  write_heading(out, {"sweep", result.name, result.target, result.started_at}, &origin);
  out.member("valid", result.valid());
  write_texts(out, "covers", covers);
  out.key("runs").begin_array();
  for (const SweepRun& one : result.runs) write_inner_run(out, one.run, one.rate_per_s, origin);
  out.end_array().end_object();
}

void write_search(JsonWriter& out, const SearchResult& result, const Origin& origin) {
  std::vector<std::string> covers, slos;
  for (const Probe& probe : result.probes) add_covers(covers, probe.run);
  for (const Slo& slo : result.slos) slos.push_back(slo.text);
  const std::string_view title = origin.config != nullptr ? std::string_view{origin.config->name} : std::string_view{};
  out.begin_object();
  write_heading(out, {"search", title, result.target, result.started_at}, &origin);
  write_texts(out, "slos", slos);
  out.member("valid", result.valid);
  write_texts(out, "invalid", result.invalid);
  write_texts(out, "covers", covers);
  out.member("capacity_rps", rounded_rate(result.capacity_rps));
  out.member("capacity_low_rps", rounded_rate(result.capacity_low_rps));
  out.member("capacity_high_rps", rounded_rate(result.capacity_high_rps));
  out.member("good_rps", rounded_rate(result.good_rps)).member("ok_rps", rounded_rate(result.ok_rps));
  out.member("ceiling_rps", rounded_rate(result.ceiling_rps));
  out.member("limit", result.limit).member("limit_evidence", result.limit_evidence);
  write_shape(out, result.shape);
  write_self_check(out, result.self_check);
  out.member("first_full", result.first_full);
  out.member("goodput_kept_200", rounded_share(result.goodput_kept_200));
  out.member("recovery_s", rounded_time(result.recovery_s));
  write_probes(out, result, origin);
  write_flames(out, origin.flames);
  out.end_object();
}

std::string to_json(const RunResult& result, const Origin& origin) { return document(result, origin, write_run); }
std::string to_json(const SweepResult& result, const Origin& origin) { return document(result, origin, write_sweep); }
std::string to_json(const SearchResult& result, const Origin& origin) { return document(result, origin, write_search); }

std::string to_json(const RunResult& result) { return to_json(result, Origin{}); }
std::string to_json(const SearchResult& result) { return to_json(result, Origin{}); }

}  // namespace sluice::bench
