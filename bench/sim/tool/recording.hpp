// recording.hpp: what really came, from a CSV file: one line per request, "arrival_us,route,service_us" as its first.
// In: text. Out: arrivals in the order of time, or a sentence with the line's number. Pure.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "sim/model/scenario.hpp"

namespace sluice::sim {

struct RecordedLine {
  std::uint64_t arrival_us = 0;
  std::string_view route{};  // of the text; in quotes if it is there, as a name with a comma must be
  std::uint64_t service_us = 0;
};

/// The first arrival counts as 0. Lines need not be in order.
///   Errors: `line 7: service_us: must be a whole number of microseconds`.
[[nodiscard]] std::expected<std::vector<RecordedLine>, std::string> parse_recording(std::string_view csv);

/// As calls of the scenario's routes, `speed` times as fast.
///   Errors: a route that the scenario has not.
[[nodiscard]] std::expected<std::vector<Recorded>, std::string> replayed(const std::vector<RecordedLine>& lines,
                                                                         const Scenario& scenario, double speed);

/// Whole seconds that hold them all.
double length_s(const std::vector<RecordedLine>& lines, double speed) noexcept;

}  // namespace sluice::sim
