// result.cpp: the small functions of the public result types.
#include <sluice/bench.hpp>

#include "base/histogram.hpp"

namespace sluice::bench {

std::string_view name(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::ok: return "2xx";
    case Outcome::limited: return "429";
    case Outcome::shed: return "503";
    case Outcome::timed_out: return "504";
    case Outcome::other: return "other";
    case Outcome::broken: return "broken";
    case Outcome::connect_error: return "connect_error";
    case Outcome::gave_up: return "gave_up";
    case Outcome::unanswered: return "unanswered";
  }
  return "?";
}

std::string_view name(Shape::Kind kind) noexcept {
  switch (kind) {
    case Shape::Kind::unknown: return "unknown";
    case Shape::Kind::well_behaved: return "well-behaved";
    case Shape::Kind::wall: return "wall";
    case Shape::Kind::on_fire: return "on fire";
  }
  return "?";
}

std::string_view name(Probe::Stage stage) noexcept {
  switch (stage) {
    case Probe::Stage::ceiling: return "ceiling";
    case Probe::Stage::climb: return "climb";
    case Probe::Stage::bisect: return "bisect";
    case Probe::Stage::confirm: return "confirm";
    case Probe::Stage::curve: return "curve";
    case Probe::Stage::overload: return "overload";
    case Probe::Stage::recovery: return "recovery";
  }
  return "?";
}

std::uint64_t Latency::count() const noexcept { return recorded_ ? recorded_->count() : 0; }

std::uint64_t Latency::within(Duration limit) const noexcept {
  if (!recorded_ || limit < Duration{}) return 0;
  return recorded_->count() - recorded_->count_above(static_cast<std::uint64_t>(limit.count()));
}

Duration Latency::raw(double quantile) const noexcept {
  return recorded_ ? Duration{recorded_->at(quantile)} : Duration{};
}

std::optional<Duration> Latency::at(double quantile) const noexcept {
  constexpr double samples_above_min = 100;
  if (count() == 0) return std::nullopt;
  const bool always = quantile >= 1 || quantile <= 0.5;
  // A hair of tolerance: 0.99 of 10,000 leaves 100.00000000000009 above it, or 99.99999999999991.
  const double above = (1 - quantile) * static_cast<double>(count()) + 1e-6;
  if (!always && above < samples_above_min) return std::nullopt;
  return raw(quantile);
}

Duration Latency::max() const noexcept { return recorded_ ? Duration{recorded_->max()} : Duration{}; }

Duration Latency::mean() const noexcept {
  return recorded_ ? Duration{static_cast<Duration::rep>(recorded_->mean())} : Duration{};
}

double RunResult::error_ratio() const noexcept {
  if (total.planned == 0) return 0;
  return 1 - static_cast<double>(total.of(Outcome::ok).count) / static_cast<double>(total.planned);
}

}  // namespace sluice::bench
