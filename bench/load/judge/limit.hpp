// limit.hpp: what it is that ends at the limit, told from the windows just above it.
// In: a SearchResult with its probes and its capacity. Out: a label with its evidence, the queue that filled first. Pure.
#pragma once

#include <sluice/bench.hpp>

#include <string>

namespace sluice::bench {

/// A label of SearchResult::limit. Both empty if nothing failed.
struct Limit {
  std::string label{};
  std::string evidence{};
};

/// Looks at the failed windows nearest above SearchResult::capacity_rps; the first that applies: generator, pool, loop
/// CPU, connections, errors, latency.
Limit limit_of(const SearchResult& result);
/// The lane that was full, with requests queued behind it, at the lowest rate; empty if none was or none was watched.
std::string first_full(const SearchResult& result);

}  // namespace sluice::bench
