// flags.hpp: the command line of lane-sim. In: arguments. Out: a scenario, or std::invalid_argument with what is wrong.
#pragma once

#include <span>
#include <string>

#include "scenarios/lane_sim/scenario.hpp"

namespace sluice::lane_sim {

/// The flags as text, one a line.
const char* flags_help() noexcept;

/// `scenario` changed by the flags given; what is not named stays.
///   Errors: std::invalid_argument.
Scenario with_flags(Scenario scenario, std::span<const std::string> arguments);

}  // namespace sluice::lane_sim
