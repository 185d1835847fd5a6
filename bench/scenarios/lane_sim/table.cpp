// table.cpp: lane-sim run, table and constants.
#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "scenarios/lane_sim/studies.hpp"

namespace sluice::lane_sim {
namespace {

constexpr double loads[] = {0.7, 1.0, 1.05, 1.2, 1.5, 2, 5, 10};
constexpr std::uint32_t permit_counts[] = {1, 2, 4, 16, 64};
constexpr double line = 0.95;
constexpr double judged_from = 1.05;

double ms(std::uint64_t ns) noexcept { return static_cast<double>(ns) * 1e-6; }

/// Of what could have been done: the capacity, or all that came.
double share(const Result& result) noexcept {
  const std::uint64_t possible = std::min(result.capacity, result.calls);
  return possible == 0 ? 1 : static_cast<double>(result.good) / static_cast<double>(possible);
}

bool sound(const Result& result) noexcept { return result.balanced && result.counters.started_after_deadline == 0; }

Result play_cell(Scenario scenario, Shape shape, std::uint32_t permits, double load) {
  scenario.shape = shape;
  scenario.permits = permits;
  scenario.load = load;
  scenario.requests = static_cast<std::uint64_t>(static_cast<double>(scenario.requests) * load);
  return play(scenario);
}

/// Over many cells.
struct Sum {
  double lowest = 1, total = 0;
  unsigned cells = 0;
  std::string lowest_cell = "-";
  double changes_per_s = 0;
  bool sound = true;

  void add(const Result& result, Shape shape, std::uint32_t permits, double load) {
    const double reached = share(result);
    total += reached;
    ++cells;
    if (reached < lowest) {
      char cell[64];
      std::snprintf(cell, sizeof cell, "%s %u at %g", to_string(shape), permits, load);
      lowest = reached;
      lowest_cell = cell;
    }
    changes_per_s = std::max(changes_per_s, static_cast<double>(result.mode_changes) / result.seconds);
    sound &= lane_sim::sound(result);
  }
};

void print_refusals(const LaneCounters& counters) {
  std::printf("refused at the gate ");
  for (std::size_t i = 0; i < shed_reason_count; ++i) {
    if (counters.shed[i] == 0) continue;
    std::printf(" %s %llu", to_string(static_cast<ShedReason>(i)), static_cast<unsigned long long>(counters.shed[i]));
  }
  std::printf("\nended in the queue   expired %llu stale %llu evicted %llu cancelled %llu drained %llu\n",
              static_cast<unsigned long long>(counters.expired), static_cast<unsigned long long>(counters.stale),
              static_cast<unsigned long long>(counters.evicted), static_cast<unsigned long long>(counters.cancelled),
              static_cast<unsigned long long>(counters.drained));
  std::printf("started              %llu: responded %llu timed out %llu abandoned %llu, after their deadline %llu\n",
              static_cast<unsigned long long>(counters.started), static_cast<unsigned long long>(counters.responded),
              static_cast<unsigned long long>(counters.timed_out), static_cast<unsigned long long>(counters.abandoned),
              static_cast<unsigned long long>(counters.started_after_deadline));
}

/// The rows of the table of one distribution; what is below the line in bold.
bool print_rows(const Scenario& base, Shape shape, Sum& sum) {
  bool kept = true;
  for (const std::uint32_t permits : permit_counts) {
    std::printf("| %s, %u |", to_string(shape), permits);
    double wait = 0, changes = 0;
    for (const double load : loads) {
      const Result result = play_cell(base, shape, permits, load);
      const bool judged = load >= judged_from;
      const bool low = judged && share(result) < line;
      if (judged) sum.add(result, shape, permits, load);
      else sum.sound &= sound(result);
      kept &= !low;
      std::printf(low ? " **%.1f** |" : " %.1f |", share(result) * 100);
      wait = std::max(wait, ms(result.wait.at(0.99)));
      changes = std::max(changes, static_cast<double>(result.mode_changes) / result.seconds);
    }
    std::printf(" %.0f | %.2f |\n", wait, changes);
    std::fflush(stdout);
  }
  return kept;
}

struct Variant {
  const char* name;
  std::uint32_t admission::Discipline::* constant;
  std::vector<std::uint32_t> values;
};

/// What a set of constants does over the cells it is judged by.
struct Verdict {
  std::array<double, std::size(shapes)> lowest{};
  Sum all{};
  double wait_ms = 0;     // p99 of the started, 16 permits, the worst over loads
  double refusal_ms = 0;  // p99 of those refused in the queue, likewise
  double in_vain = 0;     // refused in the queue, per started: the worst over all cells
};

Verdict verdict(const Scenario& scenario) {
  constexpr std::uint32_t some_permits[] = {1, 4, 16, 64};
  constexpr double some_loads[] = {1.05, 1.2, 2, 10};
  Verdict found;
  for (std::size_t i = 0; i < std::size(shapes); ++i) {
    Sum sum;
    for (const std::uint32_t permits : some_permits) {
      for (const double load : some_loads) {
        const Result result = play_cell(scenario, shapes[i], permits, load);
        sum.add(result, shapes[i], permits, load);
        found.all.add(result, shapes[i], permits, load);
        found.in_vain =
            std::max(found.in_vain, static_cast<double>(result.refusal.count()) /
                                        static_cast<double>(std::max<std::uint64_t>(1, result.wait.count())));
        if (permits != 16) continue;
        found.wait_ms = std::max(found.wait_ms, ms(result.wait.at(0.99)));
        found.refusal_ms = std::max(found.refusal_ms, ms(result.refusal.at(0.99)));
      }
    }
    found.lowest[i] = sum.lowest;
  }
  return found;
}

void print_variant(const char* name, std::uint32_t value, const Verdict& found) {
  std::printf("| %s %u |", name, value);
  for (const double lowest : found.lowest) std::printf(lowest < line ? " **%.1f** |" : " %.1f |", lowest * 100);
  std::printf(" %.2f | %s | %.0f | %.0f | %.2f | %.2f |\n", found.all.total / found.all.cells * 100,
              found.all.lowest_cell.c_str(), found.wait_ms, found.refusal_ms, found.in_vain, found.all.changes_per_s);
  std::fflush(stdout);
}

}  // namespace

bool print_run(const Scenario& scenario) {
  const Result result = play(scenario);
  std::printf("%llu calls, %llu attempts in %.1f s of virtual time, seed %llu\n",
              static_cast<unsigned long long>(result.calls), static_cast<unsigned long long>(result.attempts),
              result.seconds, static_cast<unsigned long long>(scenario.seed));
  std::printf("good                 %llu, %.1f/s", static_cast<unsigned long long>(result.good),
              static_cast<double>(result.good) / result.seconds);
  if (result.capacity != 0) {
    std::printf(": %.2f %% of a capacity of %llu", result.share() * 100,
                static_cast<unsigned long long>(result.capacity));
  }
  std::printf("\n");
  print_refusals(result.counters);
  std::printf("queue wait           p50 %.1f ms, p99 %.1f ms, longest queue %llu\n", ms(result.wait.at(0.5)),
              ms(result.wait.at(0.99)), static_cast<unsigned long long>(result.longest_queue));
  std::printf("refused in the queue after p50 %.1f ms, p99 %.1f ms\n", ms(result.refusal.at(0.5)),
              ms(result.refusal.at(0.99)));
  std::printf("mode                 overloaded %.1f %% of the time, %.2f changes/s\n", result.overloaded_share * 100,
              static_cast<double>(result.mode_changes) / result.seconds);
  std::printf("books                %s, fingerprint %016llx\n", result.balanced ? "balanced" : "NOT BALANCED",
              static_cast<unsigned long long>(result.fingerprint));
  return sound(result);
}

bool print_table(const Scenario& base) {
  std::printf("Goodput in %% of what was possible; in bold: below %.0f %% at a load of %g or more.\n\n", line * 100,
              judged_from);
  std::printf("| service, permits |");
  for (const double load : loads) std::printf(" %g |", load);
  std::printf(" wait p99 [ms] | mode changes/s |\n|---|");
  for (std::size_t i = 0; i < std::size(loads) + 2; ++i) std::printf("---|");
  std::printf("\n");
  Sum sum;
  bool kept = true;
  for (const Shape shape : shapes) kept &= print_rows(base, shape, sum);
  std::printf("\nlowest %.2f %% (%s), mean %.2f %%; books %s; seed %llu\n%s\n", sum.lowest * 100,
              sum.lowest_cell.c_str(), sum.total / sum.cells * 100,
              sum.sound ? "balanced" : "NOT BALANCED, or started late", static_cast<unsigned long long>(base.seed),
              kept && sum.sound ? "PASS" : "FAIL");
  return kept && sum.sound;
}

bool print_constants(const Scenario& base) {
  const Variant variants[] = {
      {"places", &admission::Discipline::places, {16, 32, 64, 128}},
      {"target, gaps", &admission::Discipline::target_gaps, {4, 8, 16, 24, 32}},
      {"interval, gaps", &admission::Discipline::interval_gaps, {16, 32, 64, 128}},
      {"stale, gaps", &admission::Discipline::stale_gaps, {8, 16, 48}},
      {"keep", &admission::Discipline::keep, {0, 8, 16, 24, 32, 64}},
      {"newcomers", &admission::Discipline::newcomers, {1, 2, 4, 1000}},
      {"service, jobs", &admission::Discipline::service_jobs, {4, 16, 64}},
  };
  std::printf(
      "| constant | fixed | exp | bimodal | pareto | mean | lowest cell | wait p99, 16 permits [ms] |"
      " refused after, p99 [ms] | refused in the queue per started | mode changes/s |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|\n");
  bool kept = true;
  Scenario small = base;  // a queue half as long, judged after half the time, by a quarter of the delay
  small.discipline.places = small.discipline.interval_gaps = 32;
  small.discipline.target_gaps = 4;
  small.discipline.stale_gaps = 8;
  print_variant("as they are, but target 4, stale 8, interval and places", 32, verdict(small));
  for (const Variant& variant : variants) {
    for (const std::uint32_t value : variant.values) {
      Scenario scenario = base;
      scenario.discipline.*variant.constant = value;
      const Verdict found = verdict(scenario);
      kept &= found.all.sound;
      print_variant(variant.name, value, found);
    }
  }
  return kept;
}

}  // namespace sluice::lane_sim
