// csv_test.cpp: rows and columns of the CSV output, quoting, and the percentile files.
#include "load/output/csv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/histogram.hpp"
#include "load/output/hgrm.hpp"

namespace sluice::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Latency latency_of(Duration each, std::uint64_t count) {
  auto histogram = std::make_shared<base::Histogram>();
  histogram->record(static_cast<std::uint64_t>(each.count()), count);
  return Latency{std::move(histogram)};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream{text};
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

RunResult some_run() {
  RunResult run;
  run.name = "math, \"fast\"";
  run.target = "http://h/";
  run.started_at = "2026-02-03T04:05:06Z";
  run.duration_s = 10;
  run.offered_rps = 100.5;
  run.answered_rps = 99;
  run.goodput_rps = 98;
  run.total.planned = 1'000;
  run.total.classes[0] = {995, latency_of(microseconds{500}, 995), latency_of(microseconds{400}, 995)};
  run.total.classes[2] = {5, latency_of(microseconds{50}, 5), {}};
  run.total.all = latency_of(microseconds{500}, 1'000);
  return run;
}

TEST(Csv, QuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(csv_field("plain text"), "plain text");
  EXPECT_EQ(csv_field(""), "");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"hi\""), "\"say \"\"hi\"\"\"");
  EXPECT_EQ(csv_field("two\nlines"), "\"two\nlines\"");
}

TEST(Csv, HasARowForEveryOutcomeAndOneForAll) {
  const std::vector<std::string> lines = lines_of(runs_csv(some_run()));
  ASSERT_EQ(lines.size(), 1 + outcome_count + 1);
  EXPECT_EQ(lines[0],
            "run,name,stage,rate_rps,target,started_at,valid,duration_s,offered_rps,answered_rps,goodput_rps,outcome,"
            "count,share,p50_us,p75_us,p90_us,p99_us,p999_us,p9999_us,p99999_us,max_us,mean_us,service_p50_us,"
            "service_p75_us,service_p90_us,service_p99_us,service_p999_us,service_p9999_us,service_p99999_us,"
            "service_max_us,service_mean_us");
  const std::string start = "0,\"math, \"\"fast\"\"\",,100.5,http://h/,2026-02-03T04:05:06Z,true,10,100.5,99,98,";
  EXPECT_EQ(lines[1], start + "2xx,995,0.995,500,500,,,,,,500,500,400,400,,,,,,400,400");
  EXPECT_EQ(lines[2], start + "429,0,0,,,,,,,,,,,,,,,,,,");
  EXPECT_EQ(lines[3], start + "503,5,0.005,50,,,,,,,50,50,,,,,,,,,");
  EXPECT_EQ(lines[10], start + "all,1000,1,500,500,500,,,,,500,500,,,,,,,,,");
}

TEST(Csv, HasAsManyFieldsInEveryRow) {
  RunResult run = some_run();
  run.name = "plain";
  const std::vector<std::string> lines = lines_of(runs_csv(run));
  for (const std::string& line : lines) {
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), std::count(lines[0].begin(), lines[0].end(), ',')) << line;
  }
}

TEST(Csv, NumbersTheRunsOfASearchAndNamesTheirStage) {
  SearchResult search;
  search.probes.push_back({.stage = Probe::Stage::climb, .rate_per_s = 100});
  search.probes.push_back({.stage = Probe::Stage::curve, .rate_per_s = 200.125});
  const std::vector<std::string> lines = lines_of(runs_csv(search));
  ASSERT_EQ(lines.size(), 1 + 2 * (outcome_count + 1));
  EXPECT_THAT(lines[1], StartsWith("0,,climb,100,"));
  EXPECT_THAT(lines[11], StartsWith("1,,curve,200.13,"));
}

TEST(Csv, HasARowForEveryWindowOfEveryRun) {
  SweepResult sweep;
  sweep.runs = {{100, {}}, {200, {}}};
  Window window{.at_s = 1, .planned = 100, .sent = 99, .p50_us = 250.5, .p99_us = 300, .max_us = 400, .outstanding = 2};
  window.outcomes[0] = 97;
  window.outcomes[8] = 1;
  sweep.runs[0].run.windows = {window};
  sweep.runs[1].run.windows = {Window{}};
  EXPECT_THAT(lines_of(series_csv(sweep)),
              ElementsAre("run,name,stage,rate_rps,at_s,window_s,planned,sent,2xx,429,503,504,other,broken,"
                          "connect_error,gave_up,unanswered,p50_us,p99_us,max_us,outstanding,waiting",
                          "0,,,100,1,1,100,99,97,0,0,0,0,0,0,0,1,250.5,300,400,2,0",
                          "1,,,200,0,1,0,0,0,0,0,0,0,0,0,0,0,,,,0,0"));
}

TEST(Hgrm, HasAFileForEachDistributionThatIsNotEmpty) {
  const std::vector<HgrmFile> files = hgrm_files("out/run", some_run());
  std::vector<std::string> names;
  for (const HgrmFile& file : files) names.push_back(file.name);
  EXPECT_THAT(names,
              ElementsAre("out/run.2xx.hgrm", "out/run.2xx.service.hgrm", "out/run.503.hgrm", "out/run.all.hgrm"));
}

TEST(Hgrm, IsInMilliseconds) {
  RunResult run;
  run.total.all = latency_of(milliseconds{250}, 10);
  const std::vector<HgrmFile> files = hgrm_files("run", run);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_THAT(files[0].text, HasSubstr("#[Max     =      250.000, Total count    =           10]"));
}

TEST(Hgrm, WritesTheFilesAndTellsTheirNames) {
  std::string folder = testing::TempDir() + "sluice-hgrm-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto names = write_hgrm(folder + "/run", some_run());
  ASSERT_TRUE(names) << names.error();
  ASSERT_EQ(names->size(), 4U);
  std::ifstream in{names->front()};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  EXPECT_EQ(text, hgrm_files("", some_run())[0].text);
  std::filesystem::remove_all(folder);
}

TEST(Hgrm, NamesTheFileThatCannotBeWritten) {
  const auto names = write_hgrm("/nowhere/at/all/run", some_run());
  ASSERT_FALSE(names);
  EXPECT_EQ(names.error(), "cannot write /nowhere/at/all/run.2xx.hgrm: No such file or directory");
}

}  // namespace
}  // namespace sluice::bench
