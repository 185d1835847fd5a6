// search.cpp: the way to the limit: ceiling, climb, bisection, confirmation; and what is said about it at the end.
#include "load/judge/search.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "load/judge/limit.hpp"
#include "load/judge/probe.hpp"
#include "load/judge/searcher.hpp"
#include "load/judge/shape.hpp"
#include "load/plan/units.hpp"

namespace sluice::bench {
namespace {

using Stage = Probe::Stage;

constexpr double start_share = 0.1;     // of the ceiling
constexpr double climb_factor = 1.5;
constexpr double ceiling_factor = 4;    // no rate above that many ceilings is tried
constexpr int climb_max = 200;          // probes; enough from 1/s to any rate
constexpr int failures_to_stop = 2;     // in a row
constexpr double descend_factor = 4;
constexpr int descend_max = 5;
constexpr int bisect_max = 60;          // rates; the precision ends it long before
constexpr double edge_factor = 5;       // times the precision: so near, one window is not believed
constexpr double plain_failure = 0.97;  // answered less of the plan: no second look is needed
constexpr int confirm_max = 6;
constexpr double settle_rate_share = 0.02;  // of the highest rate that passed
constexpr Duration settle_max = std::chrono::seconds{30};

std::optional<std::string> unusable(const Load& load, const SearchOptions& options) {
  if (load.clients.empty() || load.clients.size() <= load.background) return "a search needs clients that are measured";
  if (!(options.precision >= 0.001 && options.precision <= 0.5)) return "the precision must lie between 0.001 and 0.5";
  if (!(options.start_per_s >= 0)) return "the first rate must not be negative";
  const Duration shortest = std::min({options.window, options.confirm, options.stage});
  if (shortest <= Duration{} || options.warmup < Duration{}) return "the windows of a search must be longer than 0";
  return std::nullopt;
}

std::vector<Slo> with_default(const std::vector<Slo>& slos) {
  if (!slos.empty()) return slos;
  return {Slo{.kind = Slo::Kind::quantile, .limit = std::chrono::milliseconds{50}, .text = "p99<50ms"},
          Slo{.kind = Slo::Kind::errors, .ratio = 0.001, .text = "errors<0.1%"}};
}

}  // namespace

std::expected<SearchResult, Error> search_with(const RunFn& run, const Load& load, const SearchOptions& options,
                                               std::optional<SelfCheck> self_check) {
  if (auto fault = unusable(load, options)) return std::unexpected{Error{Error::Kind::usage, std::move(*fault)}};
  Searcher searcher{run, load, options};
  return searcher.search(std::move(self_check));
}

Searcher::Searcher(const RunFn& run, const Load& load, const SearchOptions& options)
    : run_{run}, load_{load}, options_{options} {
  result_.slos = with_default(options.slos);
}

std::expected<SearchResult, Error> Searcher::search(std::optional<SelfCheck> self_check) {
  result_.self_check = std::move(self_check);
  using Next = Step (Searcher::*)();
  for (const Next step : {&Searcher::find_ceiling, &Searcher::climb, &Searcher::descend, &Searcher::check_failure,
                          &Searcher::bisect, &Searcher::confirm, &Searcher::draw_curve, &Searcher::overload}) {
    Step done = (this->*step)();
    if (done) continue;
    if (result_.probes.empty()) return std::unexpected{std::move(done.error())};
    // Interrupted, or the server is gone: what was measured until then is worth having.
    result_.invalid.push_back("the search ended early: " + done.error().text);
    break;
  }
  rate_by_maximum();
  conclude();
  return std::move(result_);
}

// ---- one window ----

std::expected<RunResult, Error> Searcher::measure(const Plan& plan) {
  Load load = load_;
  Clients& varied = load.clients.front();
  varied.rate_per_s = plan.rate_per_s;
  varied.arrival = options_.arrival;
  varied.pattern = Pattern{};
  load.warmup = plan.warm ? options_.warmup : Duration{};
  load.duration = plan.length;
  load.seed = load_.seed + runs_++;  // a repeated window is no copy of the first
  auto run = run_(load);
  if (run && load_.interrupted && load_.interrupted()) {
    return std::unexpected{Error{Error::Kind::interrupted, "the search was interrupted"}};
  }
  return run;
}

void Searcher::tell(const Plan& plan, const std::string& what) const {
  if (!options_.on_stage) return;
  std::string line{name(plan.stage)};
  if (plan.percent > 0) line += ' ' + format_rate(plan.percent) + " %";
  if (plan.rate_per_s > 0) line += " at " + format_rate(plan.rate_per_s) + "/s";
  options_.on_stage(line + what);
}

/// Runs one window and notes it. What the generator spoilt is run again, twice at most.
Searcher::Passed Searcher::probe(const Plan& plan) {
  for (int attempt = 1;; ++attempt) {
    tell(plan, " for " + format_duration(plan.length));
    auto run = measure(plan);
    if (!run) return std::unexpected{std::move(run.error())};
    if (result_.probes.empty()) {
      result_.target = run->target;
      result_.started_at = run->started_at;
    }
    Probe made{.stage = plan.stage, .rate_per_s = plan.rate_per_s, .percent = plan.percent};
    if (plan.stage != Stage::ceiling) made.failures = failures_of(*run, result_.slos);
    else if (run->goodput_rps <= 0) made.failures = {"not one request ended in a 2xx"};
    made.passed = made.failures.empty();
    made.run = std::move(*run);
    result_.probes.push_back(std::move(made));
    tell(plan, last().passed ? ": passed" : ": failed, " + last().failures.front());
    if (attempt == 3 || !is_generators(last().failures)) return last().passed;
  }
}

/// A verdict that one window's luck does not turn.
Searcher::Passed Searcher::best_of_three(const Plan& plan) {
  int passes = 0, failures = 0;
  while (passes < 2 && failures < 2) {
    const Passed passed = probe(plan);
    if (!passed) return passed;
    ++(*passed ? passes : failures);
    if (*passed) continue;
    if (answered_share(last().run) < plain_failure) failures = 2;
    if (Step done = settle(last().run); !done) return std::unexpected{std::move(done.error())};
  }
  return passes > failures;
}

/// What a window left unanswered is work that the next one would wait for: gives the server time for it.
Searcher::Step Searcher::settle(const RunResult& before) {
  const std::vector<double> backlog = backlog_of(before);
  const double in_grace = before.answered_rps * std::chrono::duration<double>(load_.grace).count();
  const double left = std::max(static_cast<double>(before.total.of(Outcome::unanswered).count),
                               backlog.empty() ? 0 : backlog.back() - in_grace);
  if (left <= 0 || !(before.answered_rps > 0)) return {};
  const Duration needed{std::llround(std::min(1.5 * left / before.answered_rps + 1, 1e6) * 1e9)};
  const double rate_per_s = std::max(1.0, settle_rate_share * std::max(low_, start_share * result_.ceiling_rps));
  auto run = measure({.rate_per_s = rate_per_s, .length = std::min(needed, settle_max), .warm = false});
  if (!run) return std::unexpected{std::move(run.error())};
  return {};
}

const Probe* Searcher::find(Stage stage, double percent) const noexcept {
  for (auto probe = result_.probes.rbegin(); probe != result_.probes.rend(); ++probe) {
    if (probe->stage == stage && probe->percent == percent) return &*probe;
  }
  return nullptr;
}

// ---- the limit ----

Searcher::Step Searcher::find_ceiling() {
  const Passed passed = probe({.stage = Stage::ceiling, .length = options_.window});
  if (!passed) return std::unexpected{passed.error()};
  result_.ceiling_rps = last().run.goodput_rps;
  return settle(last().run);
}

/// Upwards until two windows in a row failed. One that failed below one that passed was noise.
Searcher::Step Searcher::climb() {
  if (result_.ceiling_rps <= 0 && options_.start_per_s <= 0) return {};
  const double top = ceiling_factor * result_.ceiling_rps;
  double rate_per_s =
      options_.start_per_s > 0 ? options_.start_per_s : std::max(1.0, start_share * result_.ceiling_rps);
  int failures = 0;
  for (int count = 0; count < climb_max && failures < failures_to_stop; ++count) {
    if (top > 0) rate_per_s = std::min(rate_per_s, top);
    const Passed passed = probe({.stage = Stage::climb, .rate_per_s = rate_per_s, .length = options_.window});
    if (!passed) return std::unexpected{passed.error()};
    if (*passed) {
      failures = 0;
      low_ = rate_per_s;
      high_ = beyond_ = 0;
    } else {
      (failures++ == 0 ? high_ : beyond_) = rate_per_s;

      if (Step done = settle(last().run); !done) return done;
    }
    if (rate_per_s == top) break;
    rate_per_s *= climb_factor;
  }
  return {};
}

/// Downwards if not even the first rate passed.
Searcher::Step Searcher::descend() {
  for (int count = 0; count < descend_max && low_ == 0 && high_ > 0; ++count) {
    const double rate_per_s = high_ / descend_factor;
    const Passed passed = best_of_three({.stage = Stage::climb, .rate_per_s = rate_per_s, .length = options_.window});
    if (!passed) return std::unexpected{passed.error()};
    (*passed ? low_ : high_) = rate_per_s;
  }
  return {};
}

/// The first of the two failures may have been chance: then the limit lies between it and the second.
Searcher::Step Searcher::check_failure() {
  if (low_ == 0 || beyond_ <= high_) return {};
  const Plan plan{.stage = Stage::climb, .rate_per_s = high_, .length = 2 * options_.window};
  const Passed passed = best_of_three(plan);
  if (!passed) return std::unexpected{passed.error()};
  if (*passed) low_ = std::exchange(high_, beyond_);
  return {};
}

/// Windows of twice the length: nearer to the limit a queue takes longer to show.
Searcher::Step Searcher::bisect() {
  for (int count = 0; count < bisect_max && low_ > 0 && high_ > low_ * (1 + options_.precision); ++count) {
    const Plan plan{.stage = Stage::bisect, .rate_per_s = std::sqrt(low_ * high_), .length = 2 * options_.window};
    const bool edge = high_ <= low_ * (1 + edge_factor * options_.precision);
    Passed passed = edge ? best_of_three(plan) : probe(plan);
    if (passed && !*passed && !edge) {
      if (Step done = settle(last().run); !done) return done;
      if (answered_share(last().run) >= plain_failure) passed = best_of_three(plan);
    }
    if (!passed) return std::unexpected{std::move(passed.error())};
    (*passed ? low_ : high_) = plan.rate_per_s;
  }
  return {};
}

/// Down in steps that double after the second, until a rate holds for the long window.
Searcher::Step Searcher::confirm() {
  double rate_per_s = low_, step = options_.precision / 2;
  for (int count = 0; count < confirm_max && rate_per_s > 0; ++count) {
    const Passed passed = probe({.stage = Stage::confirm, .rate_per_s = rate_per_s, .length = options_.confirm});
    if (!passed) return std::unexpected{passed.error()};
    if (*passed) {
      result_.capacity_rps = result_.capacity_low_rps = rate_per_s;
      result_.capacity_high_rps = high_;
      return {};
    }
    if (Step done = settle(last().run); !done) return done;
    high_ = rate_per_s;
    if (count >= 2) step *= 2;
    rate_per_s *= 1 - std::min(step, 0.5);
  }
  result_.capacity_high_rps = high_;
  return {};
}

// ---- what is said about it ----

void Searcher::conclude() {
  Limit limit = limit_of(result_);
  result_.limit = std::move(limit.label);
  result_.limit_evidence = std::move(limit.evidence);
  if (result_.limit.empty() && result_.probes.front().run.goodput_rps <= 0) {
    result_.limit = "errors";
    result_.limit_evidence = "in a closed loop " + result_.probes.front().failures.front();
  } else if (result_.limit.empty()) {
    result_.limit_evidence = "no rate failed, up to " + format_rate(low_) + "/s";
  }
  result_.first_full = first_full(result_);
  const Probe* const half = find(Stage::curve, 50);
  std::optional<Duration> half_p50;
  if (half != nullptr && half->run.total.all.count() > 0) half_p50 = half->run.total.all.raw(0.5);
  if (result_.capacity_rps > 0) {
    const auto confirmed = std::ranges::find_if(
        result_.probes, [](const Probe& probe) { return probe.stage == Stage::confirm && probe.passed; });
    result_.shape = shape_of(confirmed->run, half_p50);
  }
  if (result_.limit == "generator") {
    result_.invalid.push_back("the generator, not the server, ended the search: " + result_.limit_evidence);
  }
  if (low_ > 0 && result_.capacity_rps == 0) {
    result_.invalid.push_back("no rate held for " + format_duration(options_.confirm) + ", though " +
                              format_rate(low_) + "/s passed in " + format_duration(2 * options_.window));
  }
  if (result_.self_check) {
    for (const std::string& problem : result_.self_check->problems) result_.invalid.push_back("self check: " + problem);
  }
  result_.valid = result_.invalid.empty();
}

}  // namespace sluice::bench
