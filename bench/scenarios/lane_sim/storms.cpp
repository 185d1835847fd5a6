// storms.cpp: lane-sim retry and adaptive: what changes while it is watched.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "scenarios/lane_sim/studies.hpp"

namespace sluice::lane_sim {
namespace {

using namespace std::chrono_literals;

double seconds(Duration time) noexcept { return static_cast<double>(time.count()) * 1e-9; }

Slot sum_of(const Result& result, Duration from, Duration to) {
  Slot sum;
  const auto last = std::min(result.slots.size(), static_cast<std::size_t>(to / slot_length));
  for (auto i = static_cast<std::size_t>(from / slot_length); i < last; ++i) {
    sum.offered += result.slots[i].offered;
    sum.good += result.slots[i].good;
    sum.attempts += result.slots[i].attempts;
  }
  return sum;
}

double ratio(std::uint64_t part, std::uint64_t whole) noexcept {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

constexpr Duration recovered_within = 3s;

bool print_storm(const Scenario& scenario) {
  const Result result = play(scenario);
  const Duration begin = scenario.stall.begin, end = begin + scenario.stall.length;
  const Duration took = recovery(scenario, result);
  const Slot during = sum_of(result, begin, end), later = sum_of(result, end + 4s, end + 5s);
  const Slot last = sum_of(result, end + 5s, *scenario.length);
  const bool sound = result.balanced && result.counters.started_after_deadline == 0;
  const bool kept = took <= recovered_within && sound;
  std::printf("| %s | %u%s | %.1f | %.2f | %.1f | %.2f | %llu | %.1f | %s |\n", to_string(scenario.shape),
              scenario.retries.more, scenario.retries.backoff ? ", backing off" : " at once",
              ratio(during.good, during.offered) * 100, ratio(during.attempts, during.offered), seconds(took),
              ratio(later.attempts, later.offered), static_cast<unsigned long long>(result.longest_queue),
              ratio(last.good, last.offered) * 100,
              kept    ? "yes"
              : sound ? "**no**"
                      : "**NOT BALANCED**");
  std::fflush(stdout);
  return kept;
}

struct Contender {
  const char* name;
  std::uint32_t permits;
  std::optional<AdaptiveLimit> adaptive{};
};

void print_contender(Scenario scenario, const Contender& contender) {
  scenario.permits = contender.permits;
  scenario.adaptive = contender.adaptive;
  const Result result = play(scenario);
  std::printf("| %s |", contender.name);
  for (std::size_t i = 0; i < result.phases.size(); ++i) {
    const PhaseResult& phase = result.phases[i];
    const double per_s = static_cast<double>(phase.good) / phase.seconds;
    const double most = std::min(scenario.rate_per_s, scenario.dependency->phases[i].knee / seconds(scenario.service));
    std::printf(" %.0f (%.0f %%) | %.0f | %u |", per_s, per_s / most * 100,
                static_cast<double>(phase.response.at(0.99)) * 1e-6, phase.limit_at_end);
  }
  std::printf(" %s |\n", result.balanced && result.counters.started_after_deadline == 0 ? "yes" : "**NO**");
  std::fflush(stdout);
}

}  // namespace

bool print_retries(const Scenario& base) {
  std::printf("%g of capacity, %u permits, service %.0f ms, from %.0f s on for %.0f s times %u.\n\n", base.load,
              base.permits, seconds(base.service) * 1e3, seconds(base.stall.begin), seconds(base.stall.length),
              base.stall.factor);
  std::printf(
      "| service | retries | good in the stall [%%] | attempts per call in it | recovered after [s] |"
      " attempts per call, 4 to 5 s later | longest queue | good from 5 s on [%%] | within 3 s |\n"
      "|---|---|---|---|---|---|---|---|---|\n");
  bool kept = true;
  for (const Shape shape : shapes) {
    for (const Retries& retries :
         {Retries{}, Retries{.more = 3}, Retries{.more = 10}, Retries{.more = 3, .delay = 100ms, .backoff = true}}) {
      Scenario scenario = base;
      scenario.shape = shape;
      scenario.retries = retries;
      kept &= print_storm(scenario);
    }
  }
  std::printf("\n%s\n", kept ? "PASS" : "FAIL");
  return kept;
}

bool print_adaptive(const Scenario& base) {
  const Contender contenders[] = {
      {"fixed 4", 4}, {"fixed 16", 16}, {"fixed 64", 64}, {"adaptive 2 to 64", 16, AdaptiveLimit{2, 64}}};
  for (const double loss : {0.0, 0.01}) {
    for (const Shape shape : {Shape::fixed, Shape::exponential}) {
      Scenario scenario = base;
      scenario.shape = shape;
      const Duration length = *base.length / 3;
      scenario.dependency =
          DependencyOptions{.phases = {{length, 16}, {length, 4}, {length, 32}}, .loss_per_job = loss};
      std::printf("\nService %s, %.0f ms; %.0f calls/s; each job above the knee costs %.0f %% of the capacity.\n\n",
                  to_string(shape), seconds(base.service) * 1e3, base.rate_per_s, loss * 100);
      std::printf(
          "| limit | knee 16: good/s | p99 [ms] | limit at its end | knee 4: good/s | p99 [ms] | limit |"
          " knee 32: good/s | p99 [ms] | limit | books balance |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
      for (const Contender& contender : contenders) print_contender(scenario, contender);
    }
  }
  return true;
}

}  // namespace sluice::lane_sim
