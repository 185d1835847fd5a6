// config_json.cpp: writes "config" and "environment". Pure; bodies are written as their size alone.
#include "load/output/config_json.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace sluice::bench {
namespace {

double seconds(Duration time) { return static_cast<double>(time.count()) / 1e9; }
double milliseconds(Duration time) { return static_cast<double>(time.count()) / 1e6; }

struct ClientsConfig {
  const Clients& clients;
  bool background = false;
  double rate_per_s = 0;
  Arrival arrival = Arrival::constant;
};

void write_requests(JsonWriter& out, const std::vector<RequestSpec>& requests) {
  out.begin_array();
  for (const RequestSpec& request : requests) {
    out.begin_object().member("method", request.method).member("target", request.target);
    out.member("body_bytes", request.body.size()).member("weight", request.weight).end_object();
  }
  out.end_array();
}

void write_clients(JsonWriter& out, const ClientsConfig& config) {
  const Clients& clients = config.clients;
  const Behaviour& behaviour = clients.behaviour;
  out.begin_object().member("name", clients.name).member("background", config.background);
  out.member("connections", clients.connections).member("rate_rps", rounded_rate(config.rate_per_s));
  out.member("arrival", name(config.arrival)).member("pattern", name(clients.pattern.kind));
  if (clients.pattern.kind != Pattern::Kind::steady) {
    out.member("pattern_low", clients.pattern.low).member("pattern_high", clients.pattern.high);
  }
  if (clients.pattern.kind == Pattern::Kind::burst) {
    out.member("pattern_on_s", seconds(clients.pattern.on)).member("pattern_off_s", seconds(clients.pattern.off));
  }
  out.member("pipeline", behaviour.pipeline).member("requests_per_connection", behaviour.requests_per_connection);
  out.member("read_bytes_per_s", behaviour.read_bytes_per_s).member("write_bytes_per_s", behaviour.write_bytes_per_s);
  out.member("give_up_after_ms", milliseconds(behaviour.give_up_after)).member("retries", behaviour.retries);
  out.member("deadline_ms", milliseconds(behaviour.deadline));
  out.key("requests");
  write_requests(out, clients.requests);
  out.end_object();
}

double rounded(double value, double steps) noexcept { return std::round(value * steps) / steps; }

}  // namespace

double rounded_time(double value) noexcept { return rounded(value, 1e3); }
double rounded_rate(double value) noexcept { return rounded(value, 1e2); }
double rounded_share(double value) noexcept { return rounded(value, 1e6); }

std::string_view name(Arrival arrival) noexcept { return arrival == Arrival::poisson ? "poisson" : "constant"; }

std::string_view name(Pattern::Kind kind) noexcept {
  switch (kind) {
    case Pattern::Kind::steady: return "steady";
    case Pattern::Kind::burst: return "burst";
    case Pattern::Kind::ramp: return "ramp";
  }
  return "?";
}

RunConfig config_of(const Load& load) {
  RunConfig config{.load = load, .duration_s = seconds(load.duration), .warmup = load.warmup};
  if (!load.clients.empty()) {
    config.rate_per_s = load.clients.front().rate_per_s;
    config.arrival = load.clients.front().arrival;
  }
  return config;
}

void write_config(JsonWriter& out, const RunConfig& config) {
  const Load& load = config.load;
  const std::size_t measured = load.clients.size() - std::min<std::size_t>(load.background, load.clients.size());
  double rate_per_s = 0;
  std::uint64_t connections = 0;
  for (std::size_t index = 0; index < measured; ++index) {
    rate_per_s += index == 0 ? config.rate_per_s : load.clients[index].rate_per_s;
    connections += load.clients[index].connections;
  }
  out.begin_object().key("rate_rps");
  if (config.rate_per_s > 0) out.value(rounded_rate(rate_per_s));
  else out.null();
  out.member("connections", connections).member("threads", load.threads);
  out.member("duration_s", rounded_time(config.duration_s)).member("warmup_s", rounded_time(seconds(config.warmup)));
  const Pattern::Kind pattern = load.clients.empty() ? Pattern::Kind::steady : load.clients.front().pattern.kind;
  out.member("arrival", name(config.arrival)).member("pattern", name(pattern)).member("seed", load.seed);
  out.key("clients").begin_array();
  for (std::size_t index = 0; index < load.clients.size(); ++index) {
    const Clients& clients = load.clients[index];
    ClientsConfig one{clients, index >= measured, clients.rate_per_s, clients.arrival};
    if (index == 0) {
      one.rate_per_s = config.rate_per_s;
      one.arrival = config.arrival;
    }
    write_clients(out, one);
  }
  out.end_array().end_object();
}

void write_environment(JsonWriter& out, const Environment& environment) {
  out.begin_object().member("version", environment.version).member("build", environment.build);
  out.member("compiler", environment.compiler).member("commit", environment.commit).member("host", environment.host);
  out.member("kernel", environment.kernel).member("cpu", environment.cpu).member("cpus", environment.cpus);
  out.member("memory_bytes", environment.memory_bytes).member("mitigations", environment.mitigations);
  out.member("descriptors_max", environment.descriptors_max);
  out.member("generator_cpus", environment.generator_cpus).end_object();
}

}  // namespace sluice::bench
