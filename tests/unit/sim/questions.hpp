// questions.hpp: what the tests of sluice-sim ask it: the scenarios of bench/sim, and files of their own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "sim/tool/study.hpp"

namespace sluice::sim {

inline std::string library_file(std::string_view name) {
  return std::string{SLUICE_SOURCE_DIR} + "/bench/sim/scenarios/" + std::string{name} + ".json";
}

/// A file of its own for this test, which lives as long as the build's temporary folder.
inline std::string file_of(std::string_view name, std::string_view text) {
  const auto* const test = testing::UnitTest::GetInstance()->current_test_info();
  std::string path = testing::TempDir() + "sluice_sim_" + test->name() + '_' + std::string{name};
  std::ofstream{path, std::ios::binary} << text;
  return path;
}

inline double seed() {
  const char* const given = std::getenv("SLUICE_SEED");
  return given == nullptr ? 1 : std::strtod(given, nullptr);
}

/// The answer, which is there.
inline Study study_of(const Question& question) {
  auto study = answer(question);
  EXPECT_TRUE(study.has_value()) << study.error();
  return study ? std::move(*study) : Study{};
}

}  // namespace sluice::sim
