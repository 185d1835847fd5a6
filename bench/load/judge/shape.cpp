// shape.cpp: looks for the wall on the axes it is seen on: nines of the quantile against the logarithm of the latency.
#include "load/judge/shape.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace sluice::bench {
namespace {

constexpr double answered_min = 0.995;
constexpr double wall_factor = 10;      // of the median
constexpr double slope_min = 1;         // decades per nine
constexpr double step = 0.05;           // nines between two looks
constexpr double slope_width = 0.1;     // nines
constexpr int refinements = 12;         // halvings of a step
constexpr double samples_above_min = 100;
constexpr std::uint64_t samples_min = 1000;
constexpr double well_behaved_from = 0.9999;

double quantile_at(double nines) { return 1 - std::pow(10.0, -nines); }

struct Curve {
  const Latency& latency;
  double at_us(double nines) const {
    return std::max(1e-3, static_cast<double>(latency.raw(quantile_at(nines)).count()) * 1e-3);
  }
};

/// Nines of the wall; 0 if there is none.
double wall_nines(const Curve& curve) {
  const double begin = std::log10(2.0);
  const double end = std::log10(static_cast<double>(curve.latency.count()) / samples_above_min);
  const double wall_us = wall_factor * curve.at_us(begin);
  for (double nines = begin + step; nines <= end; nines += step) {
    const double here_us = curve.at_us(nines);
    if (here_us < wall_us) continue;
    const double slope = std::log10(here_us / curve.at_us(std::max(begin, nines - slope_width))) / slope_width;
    if (slope <= slope_min) continue;
    double below = nines - step, above = nines;
    for (int round = 0; round < refinements && curve.at_us(below) < wall_us; ++round) {
      const double middle = (below + above) / 2;
      (curve.at_us(middle) < wall_us ? below : above) = middle;
    }
    return above;
  }
  return 0;
}

}  // namespace

double answered_share(const RunResult& run) {
  const ClientsResult& total = run.total;
  if (total.planned == 0) return 0;
  std::uint64_t answers = 0;
  for (const Outcome outcome : {Outcome::ok, Outcome::limited, Outcome::shed, Outcome::timed_out, Outcome::other}) {
    answers += total.of(outcome).count;
  }
  const double by_outcome = static_cast<double>(answers) / static_cast<double>(total.planned);
  if (!(run.offered_rps > 0) || !(run.duration_s > 0)) return std::min(1.0, by_outcome);
  const double median_s = static_cast<double>(total.all.raw(0.5).count()) * 1e-9;
  const double by_rate = run.answered_rps * (1 + median_s / run.duration_s) / run.offered_rps;
  return std::min({1.0, by_outcome, by_rate});
}

Shape shape_of(const RunResult& run, std::optional<Duration> half_rate_p50) {
  const Latency& all = run.total.all;
  Shape shape;
  if (all.count() < samples_min) return shape;
  const Curve curve{all};
  const double nines = wall_nines(curve);
  if (nines > 0) {
    shape.wall_quantile = quantile_at(nines);
    shape.wall_us = curve.at_us(nines);
  }
  const bool slow = half_rate_p50 && *half_rate_p50 > Duration{} && all.raw(0.5) > 10 * *half_rate_p50;
  if (slow || answered_share(run) < answered_min) {
    shape.kind = Shape::Kind::on_fire;
  } else {
    const bool wall = nines > 0 && shape.wall_quantile < well_behaved_from;
    shape.kind = wall ? Shape::Kind::wall : Shape::Kind::well_behaved;
  }
  return shape;
}

}  // namespace sluice::bench
