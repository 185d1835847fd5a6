// compare.cpp: medians, intervals, verdicts. Pure.
#include "load/tool/compare.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "load/output/text_parts.hpp"
#include "load/plan/units.hpp"

namespace sluice::bench {
namespace {

/// One figure of both sides.
struct Pair {
  Figure figure{};
  std::array<std::vector<double>, 2> values{};  // A, B
};

/// The figures of all results, in the order in which they first came.
std::vector<Pair> paired(std::span<const ResultFile> before, std::span<const ResultFile> after) {
  std::vector<Pair> pairs;
  std::map<std::string, std::size_t> places;
  for (std::size_t side = 0; side < 2; ++side) {
    for (const ResultFile& result : side == 0 ? before : after) {
      for (Figure& figure : figures_of(result)) {
        const double value = figure.value;
        const auto [place, is_new] = places.try_emplace(figure.name, pairs.size());
        if (is_new) pairs.push_back({std::move(figure), {}});
        pairs[place->second].values[side].push_back(value);
      }
    }
  }
  return pairs;
}

std::string value_text(double value, Measure measure) {
  constexpr double nanoseconds_per_microsecond = 1e3, nanoseconds_per_second = 1e9;
  switch (measure) {
    case Measure::per_second: return format_rate(value) + "/s";
    case Measure::microseconds: return short_time(Duration{std::llround(value * nanoseconds_per_microsecond)});
    case Measure::seconds: return short_time(Duration{std::llround(value * nanoseconds_per_second)});
    case Measure::share: {
      std::string text = format_percent(value);
      std::erase(text, ' ');
      return text;
    }
  }
  return "?";
}

std::string spread_text(const Spread& spread, Measure measure) {
  if (spread.count == 0) return "-";
  std::string text = value_text(spread.median, measure);
  const std::string low = value_text(spread.low, measure), high = value_text(spread.high, measure);
  if (low != high) text += " [" + low + '-' + high + ']';
  return text;
}

std::string ratio_text(const Spread& before, const Spread& after) {
  if (before.count == 0 || after.count == 0 || !(before.median > 0)) return "-";
  std::array<char, 400> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), after.median / before.median,
                                 std::chars_format::fixed, 2);
  return std::string{digits.data(), end.ptr} + 'x';
}

Style style_of(Change change) noexcept {
  switch (change) {
    case Change::better: return Style::good;
    case Change::worse: return Style::bad;
    case Change::same: return Style::plain;
    case Change::unknown: return Style::faint;
  }
  return Style::plain;
}

std::string figure_table(const std::vector<Pair>& pairs, bool color) {
  TextTable table{1, true};
  table.add({"figure", "A", "B", "B/A", "B is"}, Style::strong);
  for (const Pair& pair : pairs) {
    const Measure measure = pair.figure.measure;
    const Spread before = spread_of(pair.values[0]), after = spread_of(pair.values[1]);
    const Change change = judge(before, after, pair.figure.better);
    table.add({printable(pair.figure.name), spread_text(before, measure), spread_text(after, measure),
               ratio_text(before, after), std::string{name(change)}},
              style_of(change));
  }
  return table.text(color);
}

// ---- conditions

using Values = std::map<std::string, std::set<std::string>>;

Values conditions_of(std::span<const ResultFile> results) {
  Values values;
  for (const ResultFile& result : results) {
    for (auto& [key, value] : sluice::bench::conditions_of(result)) values[key].insert(value);
  }
  return values;
}

std::string joined(const std::set<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : " and ") + value;
  return text.empty() ? "not said" : text;
}

/// Whether one side says it and the other one something else, or nothing.
std::string condition_lines(std::span<const ResultFile> before, std::span<const ResultFile> after) {
  const Values a = conditions_of(before), b = conditions_of(after);
  std::set<std::string> keys;
  for (const auto& [key, values] : a) keys.insert(key);
  for (const auto& [key, values] : b) keys.insert(key);
  std::string text;
  for (const std::string& key : keys) {
    static const std::set<std::string> nothing;
    const auto in_a = a.find(key), in_b = b.find(key);
    const std::set<std::string>& values_a = in_a == a.end() ? nothing : in_a->second;
    const std::set<std::string>& values_b = in_b == b.end() ? nothing : in_b->second;
    if (values_a == values_b) continue;
    text += labelled("  " + printable(key) + ':', "A " + joined(values_a) + ", B " + joined(values_b));
  }
  const auto has_machine = [](const Values& values) {
    const auto first = values.lower_bound("environment.");
    return first != values.end() && first->first.starts_with("environment.");
  };
  if (text.empty() && !has_machine(a)) return "The results do not say on what machine they were measured.\n";
  if (text.empty()) return "The conditions are the same.\n";
  return "The conditions differ:\n" + text;
}

std::string invalid_lines(std::string_view side, std::span<const ResultFile> results) {
  std::string text;
  for (const ResultFile& result : results) {
    if (result.valid) continue;
    text += labelled("INVALID", std::string{side} + ": " + result.file + "; what does not count in it is left out");
  }
  return text;
}

std::string names_line(std::string_view side, std::span<const ResultFile> results) {
  std::string text;
  for (const ResultFile& result : results) text += (text.empty() ? "" : ", ") + result.file;
  return labelled(side, counted(results.size(), "result") + ": " + text);
}

}  // namespace

std::string_view name(Change change) noexcept {
  switch (change) {
    case Change::better: return "better";
    case Change::same: return "same";
    case Change::worse: return "worse";
    case Change::unknown: return "unknown";
  }
  return "?";
}

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back(), values.size()};
}

Change judge(const Spread& before, const Spread& after, Better better) noexcept {
  if (before.count == 0 || after.count == 0) return Change::unknown;
  const double low = std::min(before.low, after.low), high = std::max(before.high, after.high);
  const bool single = before.count == 1 || after.count == 1;
  if (low == high) return Change::same;
  if (!single && high - low <= same_spread_max * high) return Change::same;
  if (before.low <= after.high && after.low <= before.high) return Change::unknown;
  const double difference = std::abs(after.median - before.median);
  if (single && difference < single_change_min * std::abs(before.median)) return Change::unknown;
  return (after.median > before.median) == (better == Better::higher) ? Change::better : Change::worse;
}

std::expected<std::string, std::string> compare_text(std::span<const ResultFile> before,
                                                     std::span<const ResultFile> after, bool color) {
  if (before.empty() || after.empty()) return std::unexpected{std::string{"nothing to compare with"}};
  for (const std::span<const ResultFile> side : {before, after}) {
    for (const ResultFile& result : side) {
      if (result.kind == before.front().kind) continue;
      return std::unexpected{before.front().file + " is a " + std::string{name(before.front().kind)} + " and " +
                             result.file + " a " + std::string{name(result.kind)} + "; they have no figures in common"};
    }
  }
  std::string text = names_line("A", before) + names_line("B", after);
  text += styled(invalid_lines("A", before) + invalid_lines("B", after), Style::bad, color) + '\n';
  text += figure_table(paired(before, after), color) + '\n';
  if (before.size() == 1 || after.size() == 1) {
    text += "One result on a side proves little: repeat both at least three times, in turn.\n";
  }
  return text + condition_lines(before, after);
}

}  // namespace sluice::bench
