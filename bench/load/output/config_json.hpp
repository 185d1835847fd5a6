// config_json.hpp: a load and the machine, as JSON: the part of a result file that says how it came about.
// In: Load, Environment. Out: one JSON object each. Keys are listed in bench/load/README.md. Pure.
#pragma once

#include <sluice/bench.hpp>
#include <sluice/extra/json.hpp>

#include "load/output/environment.hpp"

namespace sluice::bench {

/// A load as one of several runs had it: what a sweep or a search varies, beside what it leaves alone.
struct RunConfig {
  const Load& load;
  double rate_per_s = 0;  // of load.clients[0]; 0: closed loop
  double duration_s = 0;
  Duration warmup{};
  Arrival arrival = Arrival::constant;  // of load.clients[0]
};

/// The load as it is.
RunConfig config_of(const Load& load);

void write_config(JsonWriter& out, const RunConfig& config);
void write_environment(JsonWriter& out, const Environment& environment);

/// To a thousandth (times in us or s), a hundredth (rates), a millionth (shares): more digits would say nothing.
double rounded_time(double value) noexcept;
double rounded_rate(double value) noexcept;
double rounded_share(double value) noexcept;

/// "constant", "poisson".
std::string_view name(Arrival arrival) noexcept;
/// "steady", "burst", "ramp".
std::string_view name(Pattern::Kind kind) noexcept;

}  // namespace sluice::bench
