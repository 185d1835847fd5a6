// trend.hpp: whether a series grows, or only wavers.
// In: numbers in the order of time. Out: yes or no, and how steep. Pure.
#pragma once

#include <span>
#include <vector>

namespace sluice::bench {

/// True if the series rises with at least this confidence (0.5 to 1, one-sided) and by more than a trifle: over its whole
/// length by 5 % of its median, and by 1. Fewer than four numbers never grow.
///   Source: Mann (1945), Kendall (1975), with the correction for ties; the slope is that of Theil and Sen.
bool grows(std::span<const double> series, double confidence);
/// The median of the slopes between all pairs, per step; 0 for fewer than two numbers.
double slope_per_step(std::span<const double> series);
/// The means of stretches of equal length, at most `points` of them; what is left over at the end goes to the last.
std::vector<double> condensed(std::span<const double> series, std::size_t points);

}  // namespace sluice::bench
