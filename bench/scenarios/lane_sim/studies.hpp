// studies.hpp: what lane-sim answers: each takes a scenario to vary, prints a Markdown table and says whether its line
// is kept. Single-threaded.
#pragma once

#include "scenarios/lane_sim/scenario.hpp"

namespace sluice::lane_sim {

/// One scenario in detail. True: the books balance, and nothing was started after its deadline.
bool print_run(const Scenario& scenario);

/// Goodput over distributions, permits and loads; 95 % of capacity from load 1.05 to 10.
///   Units: `base.requests` at load 1, in proportion at others.
bool print_table(const Scenario& base);

/// The constants of the discipline, one varied at a time.
bool print_constants(const Scenario& base);

/// Clients that try again through a stall: recovered within 3 s.
bool print_retries(const Scenario& base);

/// A dependency whose knee moves: fixed limits and the adaptive one.
bool print_adaptive(const Scenario& base);

}  // namespace sluice::lane_sim
