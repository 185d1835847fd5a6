// table.hpp: results as the terminal shows them. Plain ASCII unless the names in them are not.
// In: a result. Out: lines of text, at most 100 columns wide, the last one ended.
// Thread: any; pure. Must never show a percentile that too few samples support, or a lower bound as if it were a value.
#pragma once

#include <string>

#include <sluice/bench.hpp>

#include "load/output/sweep.hpp"

namespace sluice::bench {

/// How to write it, and what the result does not know itself.
///   Lifetime: `config` is only used during the call.
struct TextOptions {
  bool color = false;
  const Load* config = nullptr;  // for the line on connections, rate and pattern
};

std::string to_text(const RunResult& result, const TextOptions& options);
std::string to_text(const SweepResult& result, const TextOptions& options);
std::string to_text(const SearchResult& result, const TextOptions& options);

/// "unknown", "well-behaved", "a wall at p99.9, 12.0 ms high", "on fire".
std::string describe(const Shape& shape);

}  // namespace sluice::bench
