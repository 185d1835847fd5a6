// units.cpp: reading and writing quantities. Locale has no say in it.
#include "load/plan/units.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>
#include <system_error>

namespace sluice::bench {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array<Unit, 5> rate_units{{{"", 1}, {"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}}};
constexpr std::array<Unit, 7> time_units{
    {{"ns", 1}, {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}}};
constexpr double kibi = 1024, mebi = kibi * 1024, gibi = mebi * 1024;
constexpr std::array<Unit, 14> byte_units{{{"", 1},
                                           {"B", 1},
                                           {"k", kibi},
                                           {"K", kibi},
                                           {"KiB", kibi},
                                           {"kB", 1e3},
                                           {"KB", 1e3},
                                           {"M", mebi},
                                           {"m", mebi},
                                           {"MiB", mebi},
                                           {"MB", 1e6},
                                           {"G", gibi},
                                           {"GiB", gibi},
                                           {"GB", 1e9}}};
constexpr double time_max_ns = 10'000 * 3600e9;
constexpr double bytes_max = 9e15;  // every whole number up to there is a double
constexpr double rate_max = 1e9;

std::string quoted(std::string_view text) { return '"' + std::string{text} + '"'; }

struct Amount {
  double number = 0;
  std::string_view unit{};  // of the text
};

/// Digits, perhaps with a point, and what follows them. No sign, no exponent.
std::optional<Amount> split(std::string_view text) {
  const std::size_t end = text.find_first_not_of("0123456789.");
  const std::string_view digits = text.substr(0, end);
  if (digits.empty() || digits.front() == '.' || digits.back() == '.') return std::nullopt;
  Amount amount;
  const char* const last = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), last, amount.number, std::chars_format::fixed);
  if (read.ec != std::errc{} || read.ptr != last) return std::nullopt;
  if (end != std::string_view::npos) amount.unit = text.substr(end);
  if (amount.unit.starts_with(' ')) amount.unit.remove_prefix(1);
  return amount;
}

std::optional<double> factor_of(std::string_view unit, std::span<const Unit> units) {
  for (const Unit& known : units) {
    if (known.name == unit) return known.factor;
  }
  return std::nullopt;
}

std::string with_decimals(double value, int decimals) {
  std::array<char, 400> digits{};
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed, decimals);
  return {digits.data(), end.ptr};
}

/// Three digits that count; 1,000 and more as a whole number.
std::string three_digits(double value) {
  int decimals = 2;
  if (value >= 99.95) decimals = 0;
  else if (value >= 9.995) decimals = 1;
  return with_decimals(value, decimals);
}

}  // namespace

std::expected<double, std::string> parse_rate(std::string_view text) {
  std::string_view number = text;
  if (number.ends_with("/s")) number.remove_suffix(2);
  const auto amount = split(number);
  const auto factor = amount ? factor_of(amount->unit, rate_units) : std::nullopt;
  if (!factor) return std::unexpected{quoted(text) + " is no rate; write it as 800, 20k or 1.5M"};
  const double rate = amount->number * *factor;
  if (rate > rate_max) return std::unexpected{quoted(text) + " is too much; a rate is at most 1G"};
  return rate;
}

std::expected<Duration, std::string> parse_duration(std::string_view text) {
  const auto amount = split(text);
  if (amount && amount->unit.empty() && amount->number == 0) return Duration{};
  if (amount && amount->unit.empty()) {
    return std::unexpected{quoted(text) + " lacks a unit; write " + std::string{text} + "s, or ns, us, ms, m, h"};
  }
  const auto factor = amount ? factor_of(amount->unit, time_units) : std::nullopt;
  if (!factor) return std::unexpected{quoted(text) + " is no time; write it as 250ms, 1.5s, 2m or 1h"};
  const double time_ns = amount->number * *factor;
  if (time_ns > time_max_ns) return std::unexpected{quoted(text) + " is too long; a time is at most 10000h"};
  return Duration{std::llround(time_ns)};
}

std::expected<std::uint64_t, std::string> parse_bytes(std::string_view text) {
  const auto amount = split(text);
  const auto factor = amount ? factor_of(amount->unit, byte_units) : std::nullopt;
  if (!factor) return std::unexpected{quoted(text) + " is no size; write it as 512, 64k, 1MiB or 1MB"};
  const double bytes = amount->number * *factor;
  if (bytes > bytes_max) return std::unexpected{quoted(text) + " is too large; a size is at most 9e15 bytes"};
  if (std::abs(bytes - std::round(bytes)) > 1e-6) return std::unexpected{quoted(text) + " makes no whole bytes"};
  return static_cast<std::uint64_t>(std::llround(bytes));
}

std::string format_rate(double per_s) {
  if (!(per_s > 0)) return "0";
  if (per_s >= 999'500) return three_digits(per_s / 1e6) + 'M';
  if (per_s >= 9'999.5) return three_digits(per_s / 1e3) + 'k';
  if (per_s >= 99.95 || std::abs(per_s - std::round(per_s)) < 0.005) return with_decimals(per_s, 0);
  return with_decimals(per_s, per_s >= 0.95 ? 1 : 2);
}

std::string format_duration(Duration time) {
  static constexpr std::array<Unit, 6> steps{
      {{" ns", 1}, {" us", 1e3}, {" ms", 1e6}, {" s", 1e9}, {" min", 60e9}, {" h", 3600e9}}};
  // The first value, in the unit, that is written in the next one; seconds stay until two minutes are over.
  static constexpr std::array<double, 6> ends{1000, 999.5, 999.5, 120, 60, 1e30};
  const auto time_ns = static_cast<double>(time.count());
  if (time_ns < 0) return "-" + format_duration(-time);
  std::size_t step = 0;
  while (time_ns / steps[step].factor >= ends[step]) ++step;
  const double value = time_ns / steps[step].factor;
  return (step == 0 ? with_decimals(value, 0) : three_digits(value)) + std::string{steps[step].name};
}

std::string format_percent(double share) {
  const double percent = share * 100;
  int decimals = 2;
  while (decimals < 7 && percent > 0 && percent < std::pow(10.0, 1 - decimals)) ++decimals;
  std::string text = with_decimals(percent, decimals);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text + " %";
}

}  // namespace sluice::bench
