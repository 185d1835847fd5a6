// units.hpp: rates, times and sizes as people write them, in both directions.
// In: text of a command line or a file. Out: values, or a sentence that says what is wrong. Pure.
#pragma once

#include <sluice/bench.hpp>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace sluice::bench {

/// Requests per second: "800", "20k", "1.5M", each with or without "/s".
[[nodiscard]] std::expected<double, std::string> parse_rate(std::string_view text);
/// "100us", "250ms", "1.5s", "2m", "1h"; also "ns". A number alone is refused, except 0.
///   Units: at most 10,000 hours; rounded to whole nanoseconds.
[[nodiscard]] std::expected<Duration, std::string> parse_duration(std::string_view text);
/// "512", "64k" and "64KiB" (both 65,536), "64kB" (64,000), "1M", "1MiB", "1MB", "2G", ... A fraction is taken if it
/// makes whole bytes.
[[nodiscard]] std::expected<std::uint64_t, std::string> parse_bytes(std::string_view text);

/// Without a unit: "0.5", "12.5", "812", "9340", "20.0k", "1.50M".
std::string format_rate(double per_s);
/// Three digits and a unit: "850 ns", "250 us", "1.24 ms", "12.0 s", "20.5 min", "1.50 h".
std::string format_duration(Duration time);
/// "0.5 %", "99.51 %": at most two decimals, more only for shares below 0.01 %.
std::string format_percent(double share);

}  // namespace sluice::bench
