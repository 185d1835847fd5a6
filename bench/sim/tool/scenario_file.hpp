// scenario_file.hpp: a scenario from its JSON file; bench/sim/README.md lists the keys.
// In: a file's tree. Out: a scenario that can be played, or one sentence with the key's path and what is allowed.
// Thread: any. Must never guess.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "sim/model/scenario.hpp"
#include "sim/tool/tree.hpp"

namespace sluice::sim {

/// `replayed`: arrivals will come from a recording, and may be left out.
///   Errors: `routes[0].budget_ms: must be a number above 0`.
[[nodiscard]] std::expected<Scenario, std::string> scenario_of(const Node& root, bool replayed = false);

/// Puts a number where `path` says. A path of one key that belongs to routes or lanes changes all of them.
[[nodiscard]] std::expected<void, std::string> change(Node& root, std::string_view path, double number);

/// So many times the rate of a scenario that is no replay. `factor` above 0.
void scale_load(Scenario& scenario, double factor);

/// "more than 20000000 attempts" and the like: what only shows when load and duration are known.
[[nodiscard]] std::expected<void, std::string> check_size(const Scenario& scenario);

}  // namespace sluice::sim
