// slo.hpp: whether a run meets a condition, and the sentence for it if it does not.
// In: a Slo and a RunResult. Out: text with the measured value. Pure. Slo::parse is in slo.cpp too.
#pragma once

#include <sluice/bench.hpp>

#include <optional>
#include <string>

namespace sluice::bench {

/// Nothing if the run meets the condition, else e.g. "p99 is 61.2 ms, not below 50 ms".
///   Times are those of every planned request, so that one without an answer counts with its age. Where the samples are
///   too few for a quantile, the nearest sample decides.
std::optional<std::string> fails(const Slo& slo, const RunResult& run);

}  // namespace sluice::bench
