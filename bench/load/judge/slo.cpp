// slo.cpp: conditions on a run: read, and held against what was measured.
#include "load/judge/slo.hpp"

#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include "load/plan/units.hpp"

namespace sluice::bench {
namespace {

std::string quoted(std::string_view text) { return '"' + std::string{text} + '"'; }

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// Digits with or without a point; nothing else.
std::optional<double> number_of(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  if (text.find_first_not_of("0123456789.") != std::string_view::npos) return std::nullopt;
  const auto read = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  return number;
}

/// As far as to say "not below 50 ms" where format_duration() says "50.0 ms".
std::string limit_text(Duration limit) {
  std::string text = format_duration(limit);
  const std::size_t blank = text.find(' ');
  const std::size_t point = text.find('.');
  if (point == std::string::npos || point > blank) return text;
  std::size_t end = blank;
  while (text[end - 1] == '0') --end;
  if (text[end - 1] == '.') --end;
  return text.erase(end, blank - end);
}

std::string quantile_name(double quantile) {
  std::string text = format_percent(quantile);
  text.resize(text.find(' '));
  return 'p' + text;
}

/// "p99<=50ms" is met by 50 ms, "p99<50ms" is not.
bool allows_limit(const Slo& slo) noexcept { return slo.text.find("<=") != std::string::npos; }

}  // namespace

std::expected<Slo, std::string> Slo::parse(std::string_view text) {
  const std::size_t sign = text.find('<');
  if (sign == std::string_view::npos) {
    return std::unexpected{quoted(text) + " is no condition; write it as p99<50ms, max<1s, mean<2ms or errors<0.1%"};
  }
  const std::string_view what = trimmed(text.substr(0, sign));
  const bool inclusive = text.substr(sign + 1).starts_with('=');
  std::string_view limit = trimmed(text.substr(sign + (inclusive ? 2 : 1)));
  Slo slo;
  slo.text = trimmed(text);
  if (what == "errors") {
    slo.kind = Kind::errors;
    const bool percent = limit.ends_with('%');
    if (percent) limit = trimmed(limit.substr(0, limit.size() - 1));
    const auto number = number_of(limit);
    slo.ratio = number.value_or(-1) / (percent ? 100 : 1);
    if (!number || slo.ratio > 1) return std::unexpected{quoted(text) + ": a share is needed, such as 0.1% or 0.001"};
    if (slo.ratio == 0 && !inclusive) return std::unexpected{quoted(text) + ": nothing is below 0; write errors<=0"};
    return slo;
  }
  if (what == "mean") {
    slo.kind = Kind::mean;
  } else if (what == "max") {
    slo.kind = Kind::max;
  } else {
    const auto percent = what.starts_with('p') ? number_of(what.substr(1)) : std::nullopt;
    if (!percent)
      return std::unexpected{quoted(text) + ": " + quoted(what) + " is none of p50, p99.9, ..., max, mean, errors"};
    if (*percent == 100) return std::unexpected{quoted(text) + ": p100 is written max"};
    if (!(*percent > 0 && *percent < 100)) {
      return std::unexpected{quoted(text) + ": a percentile lies between 0 and 100, as p99.9"};
    }
    slo.quantile = *percent / 100;
  }
  const auto time = parse_duration(limit);
  if (!time) return std::unexpected{quoted(text) + ": " + time.error()};
  if (*time <= Duration{}) return std::unexpected{quoted(text) + ": the time must be above 0"};
  slo.limit = *time;
  return slo;
}

std::optional<std::string> fails(const Slo& slo, const RunResult& run) {
  const std::string not_met = allows_limit(slo) ? ", above " : ", not below ";
  if (slo.kind == Slo::Kind::errors) {
    const double ratio = run.error_ratio();
    if (ratio < slo.ratio || (allows_limit(slo) && ratio <= slo.ratio)) return std::nullopt;
    return "errors are " + format_percent(ratio) + not_met + format_percent(slo.ratio);
  }
  const Latency& all = run.total.all;
  if (all.count() == 0) return (slo.text.empty() ? std::string{"the condition"} : slo.text) + ": there was no request";
  Duration measured{};
  std::string what;
  switch (slo.kind) {
    case Slo::Kind::quantile:
      measured = all.raw(slo.quantile);
      what = quantile_name(slo.quantile);
      break;
    case Slo::Kind::mean:
      measured = all.mean();
      what = "the mean";
      break;
    case Slo::Kind::max:
      measured = all.max();
      what = "the maximum";
      break;
    case Slo::Kind::errors: std::unreachable();
  }
  if (measured < slo.limit || (allows_limit(slo) && measured <= slo.limit)) return std::nullopt;
  return what + " is " + format_duration(measured) + not_met + limit_text(slo.limit);
}

}  // namespace sluice::bench
