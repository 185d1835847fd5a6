// main.cpp: lane-sim: the lane of src/admission in virtual time. Exit code 0: the line is kept; 1: it is not; 2: usage.
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "scenarios/lane_sim/flags.hpp"
#include "scenarios/lane_sim/studies.hpp"

namespace {

using namespace std::chrono_literals;
using sluice::lane_sim::Scenario;

Scenario storm() {
  Scenario scenario;
  scenario.load = 0.7;
  scenario.length = 40s;
  scenario.budget = 250ms;
  scenario.client_timeout = 300ms;
  scenario.stall = {.begin = 10s, .length = 10s, .factor = 20};
  return scenario;
}

Scenario dependent() {
  Scenario scenario;
  scenario.rate_per_s = 2000;
  scenario.length = 90s;
  scenario.budget = 250ms;
  return scenario;
}

struct Verb {
  bool (*print)(const Scenario&);
  Scenario base{};
};

const std::map<std::string, Verb>& verbs() {
  using namespace sluice::lane_sim;
  static const std::map<std::string, Verb> all{
      {"run", {print_run}},
      {"table", {print_table, {.requests = 50'000}}},
      {"constants", {print_constants, {.requests = 20'000}}},
      {"retry", {print_retries, storm()}},
      {"adaptive", {print_adaptive, dependent()}},
  };
  return all;
}

}  // namespace

int main(int count, char** arguments) try {
  const std::vector<std::string> words{arguments + 1, arguments + count};
  const auto verb = words.empty() ? verbs().end() : verbs().find(words.front());
  if (verb == verbs().end()) {
    std::fprintf(stderr, "usage: lane-sim run|table|constants|retry|adaptive [flags]\n%s",
                 sluice::lane_sim::flags_help());
    return 2;
  }
  const Scenario scenario = sluice::lane_sim::with_flags(verb->second.base, std::span{words}.subspan(1));
  return verb->second.print(scenario) ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "lane-sim: %s\n", error.what());
  return 2;
}
