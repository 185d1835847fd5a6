// percentiles.hpp: which percentiles are written, the same ones in every output, and the points of a spectrum.
// In: distributions. Out: names, and (time, quantile, count) triples. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <sluice/bench.hpp>

namespace sluice::bench {

/// One column of every table of percentiles.
struct Percentile {
  std::string_view name;   // as in result files
  std::string_view label;  // as people write it
  double quantile;
};

/// Upwards; the last one is the maximum.
inline constexpr std::array<Percentile, 8> percentiles{{{"p50", "p50", 0.5},
                                                        {"p75", "p75", 0.75},
                                                        {"p90", "p90", 0.9},
                                                        {"p99", "p99", 0.99},
                                                        {"p999", "p99.9", 0.999},
                                                        {"p9999", "p99.99", 0.9999},
                                                        {"p99999", "p99.999", 0.99999},
                                                        {"max", "max", 1}}};

inline double microseconds(Duration time) noexcept { return static_cast<double>(time.count()) / 1000; }

/// From which of `percentiles` on the times of `result.all` are only lower bounds, because requests that never were
/// answered are in them with their age. Nothing if all were answered.
std::optional<std::size_t> at_least_from(const ClientsResult& result) noexcept;

/// A point of a distribution: `cumulative` samples, a share `quantile` of all, take no longer than `time`.
struct SpectrumPoint {
  Duration time{};
  double quantile = 0;
  std::uint64_t cumulative = 0;
};

inline constexpr std::size_t spectrum_points_max = 300;

/// The distribution, evenly dense in nines (0.9, 0.99, ...); the last point is the maximum, at quantile 1. Times are
/// upper ends of buckets, as in Latency::raw().
std::vector<SpectrumPoint> spectrum_of(const Latency& latency);

}  // namespace sluice::bench
