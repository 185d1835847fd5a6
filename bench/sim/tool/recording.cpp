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

/// Where the field at the front of `line` ends; with a quote that is not closed, or with something behind its quotes,
/// nowhere. Source: RFC 4180 2.
std::size_t field_end(std::string_view line) noexcept {
  if (!line.starts_with('"')) return std::min(line.find(','), line.size());
  std::size_t at = 1;
  while ((at = line.find('"', at)) != line.npos && line.substr(at + 1).starts_with('"')) at += 2;
  if (at == line.npos || (at + 1 < line.size() && line[at + 1] != ',')) return line.npos;
  return at + 1;
}

/// Whether a route's field, in quotes or not, is that name.
bool names(std::string_view field, std::string_view name) {
  if (!field.starts_with('"')) return field == name;
  std::string text;
  for (std::size_t i = 1; i + 1 < field.size(); ++i) {
    text += field[i];
    if (field[i] == '"') ++i;
  }
  return text == name;
}

std::expected<RecordedLine, std::string> parse_line(std::string_view line) {
  std::array<std::string_view, 3> parts{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t end = field_end(line);
    if (end == line.npos) return std::unexpected{std::string{"has a quote that does not end with its field"}};
    if ((end == line.size()) != (i + 1 == parts.size())) {
      return std::unexpected{std::string{"must have three fields"}};
    }
    parts[i] = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
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
                                    [&](const Route& one) { return names(line.route, one.name); });
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
