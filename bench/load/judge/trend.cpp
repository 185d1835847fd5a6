// trend.cpp: the Mann-Kendall test with a guard for the size of the effect.
// Long series are condensed first: the pairs grow with the square, and neighbours in time depend on each other.
#include "load/judge/trend.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace sluice::bench {
namespace {

constexpr std::size_t points_max = 240;
constexpr double growth_min = 0.05;  // of the median

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// The statistic S in units of its standard deviation, one step towards 0 for continuity.
double kendall_z(std::span<const double> series) {
  double sum = 0;
  for (std::size_t later = 1; later < series.size(); ++later) {
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      sum += static_cast<double>((series[later] > series[earlier]) - (series[later] < series[earlier]));
    }
  }
  const auto spread = [](double n) { return n * (n - 1) * (2 * n + 5) / 18; };
  double variance = spread(static_cast<double>(series.size()));
  std::vector<double> sorted{series.begin(), series.end()};
  std::ranges::sort(sorted);
  for (auto tie = sorted.begin(); tie != sorted.end();) {
    const auto end = std::upper_bound(tie, sorted.end(), *tie);
    variance -= spread(static_cast<double>(end - tie));
    tie = end;
  }
  return sum > 0 && variance > 0 ? (sum - 1) / std::sqrt(variance) : 0;
}

}  // namespace

std::vector<double> condensed(std::span<const double> series, std::size_t points) {
  const std::size_t count = std::min(std::max<std::size_t>(points, 1), series.size());
  std::vector<double> means;
  for (std::size_t point = 0; point < count; ++point) {
    const std::size_t length = series.size() / count;
    const auto stretch = point + 1 < count ? series.subspan(point * length, length) : series.subspan(point * length);
    const double sum = std::accumulate(stretch.begin(), stretch.end(), 0.0);
    means.push_back(sum / static_cast<double>(stretch.size()));
  }
  return means;
}

double slope_per_step(std::span<const double> series) {
  const std::vector<double> points = condensed(series, points_max);
  if (points.size() < 2) return 0;
  std::vector<double> slopes;
  for (std::size_t later = 1; later < points.size(); ++later) {
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      slopes.push_back((points[later] - points[earlier]) / static_cast<double>(later - earlier));
    }
  }
  const double per_point = static_cast<double>(series.size() / points.size());
  return median(std::move(slopes)) / per_point;
}

bool grows(std::span<const double> series, double confidence) {
  if (series.size() < 4) return false;
  const std::vector<double> points = condensed(series, points_max);
  const double chance = std::erfc(kendall_z(points) / std::sqrt(2.0)) / 2;
  if (chance > 1 - confidence) return false;
  const double added = slope_per_step(points) * static_cast<double>(points.size() - 1);
  return added >= std::max(1.0, growth_min * std::abs(median(points)));
}

}  // namespace sluice::bench
