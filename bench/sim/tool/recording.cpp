#include "sim/tool/recording.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

namespace sluice::sim {
namespace {

constexpr std::string_view header = "arrival_us,route,service_us";
constexpr std::uint64_t arrival_us_max = 9'000'000'000'000'000;  // since 1970: in three centuries
constexpr std::uint64_t service_us_max = 3'600'000'000;

std::optional<std::uint64_t> number(std::string_view text, std::uint64_t most) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

std::expected<RecordedLine, std::string> parse_line(std::string_view line) {
  std::array<std::string_view, 3> parts{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t comma = line.find(',');
    if ((comma == line.npos) != (i + 1 == parts.size())) return std::unexpected{std::string{"must have three fields"}};
    parts[i] = line.substr(0, comma);
    line.remove_prefix(std::min(parts[i].size() + 1, line.size()));
  }
  const auto arrival = number(parts[0], arrival_us_max), service = number(parts[2], service_us_max);
  if (!arrival) return std::unexpected{std::string{"arrival_us: must be a whole number of microseconds"}};
  if (!service)
    return std::unexpected{std::string{"service_us: must be a whole number of microseconds, at most an hour of them"}};
  return RecordedLine{*arrival, parts[1], *service};
}

}  // namespace

std::expected<std::vector<RecordedLine>, std::string> parse_recording(std::string_view csv) {
  std::vector<RecordedLine> lines;
  for (std::size_t number = 1; !csv.empty(); ++number) {
    std::string_view line = csv.substr(0, csv.find('\n'));
    csv.remove_prefix(std::min(line.size() + 1, csv.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number == 1) {
      if (line != header) return std::unexpected{"line 1: must be \"" + std::string{header} + '"'};
      continue;
    }
    if (line.empty()) continue;
    const auto parsed = parse_line(line);
    if (!parsed) return std::unexpected{"line " + std::to_string(number) + ": " + parsed.error()};
    if (lines.size() == calls_max) return std::unexpected{"has more than " + std::to_string(calls_max) + " requests"};
    lines.push_back(*parsed);
  }
  if (lines.empty()) return std::unexpected{std::string{"holds no request"}};
  std::stable_sort(lines.begin(), lines.end(),
                   [](const RecordedLine& a, const RecordedLine& b) { return a.arrival_us < b.arrival_us; });
  const std::uint64_t first = lines.front().arrival_us;
  for (RecordedLine& line : lines) line.arrival_us -= first;
  return lines;
}

std::expected<std::vector<Recorded>, std::string> replayed(const std::vector<RecordedLine>& lines,
                                                           const Scenario& scenario, double speed) {
  std::vector<Recorded> calls;
  calls.reserve(lines.size());
  for (const RecordedLine& line : lines) {
    const auto route = std::find_if(scenario.routes.begin(), scenario.routes.end(),
                                    [&](const Route& one) { return one.name == line.route; });
    if (route == scenario.routes.end()) {
      return std::unexpected{"there is no route \"" + std::string{line.route} + "\" in the scenario"};
    }
    calls.push_back({.at = Duration{static_cast<std::int64_t>(static_cast<double>(line.arrival_us) * 1000 / speed)},
                     .route = static_cast<std::uint32_t>(route - scenario.routes.begin()),
                     .service = std::chrono::microseconds{line.service_us}});
  }
  return calls;
}

double length_s(const std::vector<RecordedLine>& lines, double speed) noexcept {
  return std::floor(static_cast<double>(lines.back().arrival_us) * 1e-6 / speed) + 1;
}

}  // namespace sluice::sim
