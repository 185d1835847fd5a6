// search.hpp: the search for a server's limit, as decisions alone: which load next, and what follows from its result.
// In: a way to run a load. Out: the SearchResult. Reads no clock and opens nothing, so that it is tested on modelled
// servers in virtual time.
#pragma once

#include <sluice/bench.hpp>

#include <expected>
#include <functional>
#include <optional>

namespace sluice::bench {

using RunFn = std::function<std::expected<RunResult, Error>(const Load&)>;

/// Searches with `run`: ceiling, climb, bisection, confirmation, then the curve, the overload and the recovery.
///   Thread: calls `run` and the callbacks of the options on its own thread, one at a time.
///   Errors: those of `run`; an unusable load or option. A server that is gone once it was overloaded makes the result
///           invalid, what was found before stays.
[[nodiscard]] std::expected<SearchResult, Error> search_with(const RunFn& run, const Load& load,
                                                             const SearchOptions& options,
                                                             std::optional<SelfCheck> self_check);

}  // namespace sluice::bench
