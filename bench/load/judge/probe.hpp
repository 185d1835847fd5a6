// probe.hpp: whether one window of a search passed.
// In: its RunResult and the conditions. Out: one sentence for each that it does not meet. Pure.
#pragma once

#include <sluice/bench.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::bench {

/// What begins the sentence of a window that says nothing about the server.
inline constexpr std::string_view generator_fault = "generator: ";

/// Empty if the window passed: 99.5 % of the plan were answered in time, at most 0.01 % did not end in a 2xx (unless a
/// condition speaks of errors), all conditions are met, and no queue grew. A window that failed and is not valid says
/// nothing about the server: its failures are the generator's.
std::vector<std::string> failures_of(const RunResult& run, std::span<const Slo> slos);
/// Whether those failures are the generator's.
bool is_generators(std::span<const std::string> failures) noexcept;
/// Requests that were due and not answered, window by window, without the last one if that was cut short.
std::vector<double> backlog_of(const RunResult& run);

}  // namespace sluice::bench
