// result_file_test.cpp: saved results read again: what is taken for one, what is not and why, reports and figures.
#include "load/tool/result_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.hpp"
#include "load/output/result_json.hpp"

namespace sluice::bench {
namespace {

using std::chrono::microseconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::Pair;
using testing::StartsWith;

RunResult some_run(std::vector<std::string> covers = {}) {
  auto histogram = std::make_shared<base::Histogram>();
  histogram->record(500'000, 1'000);
  RunResult run;
  run.name = "math";
  run.target = "http://h/";
  run.offered_rps = 100;
  run.goodput_rps = 99.5;
  run.total.planned = 1'000;
  run.total.classes[0] = {1'000, Latency{histogram}, Latency{histogram}};
  run.total.all = Latency{histogram};
  run.covers = std::move(covers);
  return run;
}

ResultFile parsed(const std::string& json, const std::string& file = "a.json") {
  auto result = parse_result(file, json);
  EXPECT_TRUE(result) << result.error();
  return result ? std::move(*result) : ResultFile{};
}

std::string problem_of(const std::string& json) {
  const auto result = parse_result("a.json", json);
  return result ? "no problem" : result.error();
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return place == std::string::npos ? text : text.replace(place, from.size(), to);
}

/// The figure's value; -1 if there is none.
double figure(const ResultFile& result, const std::string& name) {
  for (const Figure& one : figures_of(result)) {
    if (one.name == name) return one.value;
  }
  return -1;
}

TEST(ResultFile, ReadsWhatARunWrites) {
  const ResultFile result = parsed("\n  " + to_json(some_run({"failing"})) + " \n");
  EXPECT_EQ(result.kind, ResultFile::Kind::run);
  EXPECT_EQ(result.name, "math");
  EXPECT_TRUE(result.valid);
  EXPECT_THAT(result.covers, ElementsAre("failing"));
  EXPECT_EQ(result.text, to_json(some_run({"failing"})));
}

TEST(ResultFile, CoversWhatTheRunsInItCover) {
  SweepResult sweep;
  sweep.runs = {{1, some_run({"failing"})}, {2, some_run({"slow-client", "failing"})}};
  EXPECT_THAT(parsed(to_json(sweep, Origin{})).covers, ElementsAre("failing", "slow-client"));
  SearchResult search;
  search.probes.push_back({.run = some_run({"overloaded"})});
  EXPECT_THAT(parsed(to_json(search)).covers, ElementsAre("overloaded"));
}

TEST(ResultFile, IsInvalidIfItSaysSo) {
  RunResult run = some_run();
  run.invalid = {"late"};
  EXPECT_FALSE(parsed(to_json(run)).valid);
}

TEST(ResultFile, NamesTheFileAndWhatIsWrongWithIt) {
  EXPECT_EQ(problem_of(" \n"), "a.json: is empty");
  EXPECT_THAT(problem_of("{\"schema\":"), StartsWith("a.json: is not JSON: "));
  EXPECT_EQ(problem_of("[1]"), "a.json: is not a result of sluice-load: not a JSON object");
  EXPECT_EQ(problem_of("{\"rate\":1}"), "a.json: is not a result of sluice-load: \"schema\" is missing");
  EXPECT_EQ(problem_of(R"({"schema":"sluice-load/2","kind":"run"})"),
            "a.json: has the schema \"sluice-load/2\"; this program reads \"sluice-load/1\"");
  EXPECT_EQ(problem_of(R"({"schema":"sluice-load/1"})"), "a.json: \"kind\" is missing");
  EXPECT_EQ(problem_of(R"({"schema":"sluice-load/1","kind":"walk"})"),
            "a.json: the kind \"walk\" is not known; run, sweep, search and report are");
}

TEST(ResultFile, MissesWhatARunMustHave) {
  const std::string json = to_json(some_run());
  EXPECT_EQ(problem_of(replaced(json, "\"goodput_rps\"", "\"goodput\"")), "a.json: \"goodput_rps\" is missing");
  EXPECT_EQ(problem_of(replaced(json, "\"valid\":true", "\"valid\":1")), "a.json: \"valid\" is not true or false");
  EXPECT_EQ(problem_of(replaced(json, "\"gave_up\"", "\"given_up\"")),
            "a.json: \"classes\" has no count of \"gave_up\"");
}

TEST(ResultFile, NamesThePlaceInsideOfASweepASearchAndAReport) {
  const std::string bad = replaced(to_json(some_run()), "\"all_us\"", "\"all\"");
  const std::string good = to_json(some_run());
  const std::string start = R"({"schema":"sluice-load/1","target":"","valid":true,)";
  EXPECT_EQ(problem_of(start + R"("kind":"sweep","runs":[)" + good + ',' + bad + "]}"),
            "a.json: runs[1]: \"all_us\" is missing");
  EXPECT_EQ(problem_of(start + R"("kind":"search","capacity_rps":1,"probes":[{"stage":"climb","rate_rps":1,"run":)" +
                       bad + "}]}"),
            "a.json: probes[0]: run: \"all_us\" is missing");
  EXPECT_EQ(problem_of(start + R"("kind":"report","results":[)" + good + ',' + bad + "]}"),
            "a.json: results[1]: \"all_us\" is missing");
  EXPECT_EQ(problem_of(start + R"("kind":"report","results":[{"schema":"sluice-load/1","kind":"report"}]})"),
            "a.json: results[0]: a report inside of a report");
}

TEST(ResultFile, IsReadFromTheDisk) {
  std::string folder = testing::TempDir() + "sluice-result-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/run.json";
  std::ofstream{file} << to_json(some_run()) << '\n';
  const auto result = read_result(file);
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->file, file);
  EXPECT_EQ(result->text, to_json(some_run()));
  const auto missing = read_result(folder + "/none.json");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error(), HasSubstr("none.json"));
  EXPECT_THAT(missing.error(), HasSubstr("No such file or directory"));
  std::filesystem::remove_all(folder);
}

TEST(Report, HoldsEveryResultAsItIs) {
  const std::string text = replaced(to_json(some_run()), "\"offered_rps\":100,", "\"offered_rps\": 1.000e2,");
  const std::vector<ResultFile> results{parsed(text), parsed(to_json(SearchResult{}))};
  const std::string report = report_json(results, "2026-02-03T04:05:06Z");
  EXPECT_THAT(report, HasSubstr("\"results\":[" + text + ',' + to_json(SearchResult{}) + "]}"));
  EXPECT_THAT(report, HasSubstr("\"generated_at\":\"2026-02-03T04:05:06Z\""));
}

TEST(Report, IsCompleteWhenAllKindsOfScenarioAreCovered) {
  const std::vector<ResultFile> some{parsed(to_json(some_run({"slow-client", "large-payload"})))};
  EXPECT_THAT(report_json(some, ""), HasSubstr(R"("complete":false,"missing":["failing","overloaded"],)"));
  std::vector<ResultFile> all = some;
  all.push_back(parsed(to_json(some_run({"overloaded", "failing"}))));
  EXPECT_THAT(missing_scenarios(all), IsEmpty());
  EXPECT_THAT(report_json(all, ""), HasSubstr(R"("complete":true,"missing":[],)"));
}

TEST(Report, TakesTheResultsOutOfAnotherReport) {
  const std::string first = to_json(some_run({"failing"}));
  const std::vector<ResultFile> inner{parsed(first), parsed(to_json(SearchResult{}))};
  const ResultFile report = parsed(report_json(inner, ""));
  EXPECT_THAT(report.covers, ElementsAre("failing"));
  const std::vector<ResultFile> outer{report, parsed(to_json(some_run({"overloaded"})))};
  EXPECT_THAT(report_json(outer, ""), HasSubstr("\"results\":[" + first + ',' + to_json(SearchResult{}) + ',' +
                                                to_json(some_run({"overloaded"})) + "]}"));
}

TEST(Figures, OfARunAreRatesErrorsAndTimes) {
  const ResultFile result = parsed(to_json(some_run()));
  EXPECT_EQ(figure(result, "2xx"), 99.5);
  EXPECT_EQ(figure(result, "not 2xx"), 0);
  EXPECT_NEAR(figure(result, "2xx p50"), 500, 0.5);
  EXPECT_EQ(figure(result, "2xx max"), 500);
  EXPECT_EQ(figure(result, "2xx p99.9"), -1) << "too few samples";
}

TEST(Figures, OfWhatIsInvalidAreLeftOut) {
  SweepResult sweep;
  sweep.runs = {{10'000, some_run()}, {20'000, some_run()}};
  sweep.runs[1].run.invalid = {"late"};
  const Load load;
  const ResultFile result = parsed(to_json(sweep, Origin{.config = &load}));
  EXPECT_EQ(figure(result, "10.0k/s: 2xx"), 99.5);
  EXPECT_EQ(figure(result, "20.0k/s: 2xx"), -1);
}

TEST(Figures, OfASearchAreItsLimitsAndItsCurve) {
  SearchResult search;
  search.capacity_rps = 48'000;
  search.recovery_s = -1;
  search.goodput_kept_200 = 0.9;
  search.probes.push_back({.stage = Probe::Stage::curve, .percent = 50, .run = some_run()});
  search.probes.push_back({.stage = Probe::Stage::overload, .percent = 200, .run = some_run()});
  const ResultFile result = parsed(to_json(search));
  EXPECT_EQ(figure(result, "limit"), 48'000);
  EXPECT_EQ(figure(result, "at 50 %: 2xx max"), 500);
  EXPECT_EQ(figure(result, "kept at 200 %"), 0.9);
  EXPECT_EQ(figure(result, "recovery"), -1) << "it did not recover, which is no time";
}

TEST(Figures, OfAReportHaveTheNameOfTheirResult) {
  const std::vector<ResultFile> parts{parsed(to_json(some_run())), parsed(to_json(some_run()))};
  const ResultFile result = parsed(report_json(parts, ""));
  EXPECT_EQ(figure(result, "math: 2xx"), 99.5);
  EXPECT_EQ(figure(result, "math #2: 2xx"), 99.5);
}

TEST(Conditions, AreTheMachineTheLoadAndTheTarget) {
  const Environment environment{.kernel = "Linux 6.1", .cpus = 2};
  Load load;
  load.clients[0].rate_per_s = 500;
  const auto conditions =
      conditions_of(parsed(to_json(some_run(), Origin{.config = &load, .environment = &environment})));
  EXPECT_THAT(conditions, Contains(Pair("target", "\"http://h/\"")));
  EXPECT_THAT(conditions, Contains(Pair("environment.kernel", "\"Linux 6.1\"")));
  EXPECT_THAT(conditions, Contains(Pair("config.connections", "64")));
  EXPECT_THAT(conditions, Contains(Pair("config.rate_rps", "500")));
  EXPECT_THAT(conditions, Contains(Pair("config.clients[0].pipeline", "1")));
}

TEST(Conditions, OfASearchLeaveOutTheRatesItFound) {
  const Load load;
  SearchResult search;
  search.probes.push_back({.stage = Probe::Stage::climb, .rate_per_s = 123, .run = some_run()});
  const auto conditions = conditions_of(parsed(to_json(search, Origin{.config = &load})));
  EXPECT_THAT(conditions, Contains(Pair("config.connections", "64")));
  EXPECT_THAT(conditions, Not(Contains(Key("config.rate_rps"))));
}

}  // namespace
}  // namespace sluice::bench
