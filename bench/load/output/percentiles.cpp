// percentiles.cpp: lower bounds and spectra, from the histograms' buckets. Pure.
#include "load/output/percentiles.hpp"

#include <algorithm>
#include <cmath>

#include "base/histogram.hpp"

namespace sluice::bench {

std::optional<std::size_t> at_least_from(const ClientsResult& result) noexcept {
  const ClassResult& unanswered = result.of(Outcome::unanswered);
  if (unanswered.count == 0 || result.all.count() == 0) return std::nullopt;
  const bool aged = unanswered.latency.count() != 0;
  const Duration youngest = aged ? Duration{unanswered.latency.recorded()->min()} : Duration{};
  for (std::size_t index = 0; index + 1 < percentiles.size(); ++index) {
    const auto time = result.all.at(percentiles[index].quantile);
    if (time && *time >= youngest) return index;
  }
  return percentiles.size() - 1;
}

std::vector<SpectrumPoint> spectrum_of(const Latency& latency) {
  std::vector<SpectrumPoint> points;
  const base::Histogram* const recorded = latency.recorded();
  if (recorded == nullptr || recorded->count() == 0) return points;
  constexpr auto slots_max = static_cast<double>(spectrum_points_max - 2);
  const std::uint64_t total = recorded->count();
  const double slots_per_nine = total > 1 ? slots_max / std::log10(static_cast<double>(total)) : 0;
  long slot_before = -1;
  std::uint64_t cumulative = 0;
  recorded->for_each([&](std::uint64_t, std::uint64_t highest, std::uint64_t count) {
    cumulative += count;
    if (cumulative == total) return;
    const double above = static_cast<double>(total - cumulative) / static_cast<double>(total);
    const long slot = std::lround(std::floor(-std::log10(above) * slots_per_nine));
    if (slot == slot_before) return;
    slot_before = slot;
    points.push_back({Duration{std::min(highest, recorded->max())}, 1 - above, cumulative});
  });
  points.push_back({latency.max(), 1, total});
  return points;
}

}  // namespace sluice::bench
