// validity.hpp: whether a run counts, what its reader has to know, and which kinds of load it covered.
// In: a Load and all figures of its RunResult. Out: texts in the RunResult. Pure.
#pragma once

#include <sluice/bench.hpp>

#include <span>
#include <string>
#include <vector>

namespace sluice::bench {

/// Fills RunResult::invalid, warnings, covers and generator.limited, whatever they held; needs all the rest.
///
/// Invalid is what the generator or its machine did to the times: late sends (p99.9 above 200 us and above a tenth of the
/// 2xx' p99), planned requests left unsent while connections were free, stalls, stolen time. What the server did is
/// none of it: silences and a lack of free connections are warnings.
void judge(const Load& load, RunResult& result);

/// Those of "large-payload", "slow-client", "failing" and "overloaded" that are not among `covers`.
std::vector<std::string> missing_coverage(std::span<const std::string> covers);

}  // namespace sluice::bench
