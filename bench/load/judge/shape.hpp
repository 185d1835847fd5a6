// shape.hpp: how a run's distribution ends: well-behaved, at a wall, or with the server on fire.
// In: a RunResult. Out: its class, and where the wall stands. Pure.
#pragma once

#include <sluice/bench.hpp>

#include <optional>

namespace sluice::bench {

/// How many of the requests that were due had an answer in time, 0 to 1: by outcomes, or by the rate of the answers if
/// that is less. What a server of that median latency has under way at any moment is no backlog and does not count.
double answered_share(const RunResult& run);

/// The wall is the smallest quantile from 0.5 on at which the latency is ten times the median and rises by more than a
/// decade per nine; only quantiles with 100 samples above them are looked at. Unknown for fewer than 1,000 requests.
/// On fire: the rate was missed (answered_share() below 99.5 %), or the median is above ten times `half_rate_p50`.
///   `half_rate_p50`: the median at half the rate, if there is such a run.
Shape shape_of(const RunResult& run, std::optional<Duration> half_rate_p50 = {});

}  // namespace sluice::bench
