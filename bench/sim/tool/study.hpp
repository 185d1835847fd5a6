// study.hpp: what is asked of a scenario: one run, two policies side by side, a sweep of its load or of one value.
// In: a file and what the command line says. Out: runs with their results. Single-threaded.
#pragma once

#include <expected>
#include <string>
#include <utility>
#include <vector>

#include "sim/model/result.hpp"

namespace sluice::sim {

/// What the command line asks for, besides where it is to be written.
struct Question {
  std::string scenario{};  // a file's name
  std::vector<std::pair<std::string, double>> changes{};
  std::vector<Policy> policies{Policy::sluice};
  std::vector<double> loads{};
  std::string what_if{};  // a key's path, and its values
  std::vector<double> values{};
  std::string replay{};  // a file's name
  double speed = 1;
};

struct Run {
  double load = 1;   // times the file's
  double value = 0;  // of what_if
  Result result;
};

struct Study {
  Scenario scenario{};
  std::string what_if{};
  bool loads = false;
  std::vector<Run> runs{};  // the policies of one setting are together

  bool sweeps() const noexcept { return loads || !what_if.empty(); }
  bool balanced() const noexcept;
};

/// Errors: one sentence that begins with the file's name.
[[nodiscard]] std::expected<Study, std::string> answer(const Question& question);

}  // namespace sluice::sim
