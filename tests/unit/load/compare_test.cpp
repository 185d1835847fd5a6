// compare_test.cpp: which differences are claimed, which are not, and what the table says of both sides.
#include "load/tool/compare.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.hpp"
#include "load/output/result_json.hpp"

namespace sluice::bench {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

Change judged(std::vector<double> before, std::vector<double> after, Better better = Better::lower) {
  return judge(spread_of(std::move(before)), spread_of(std::move(after)), better);
}

TEST(Spread, KnowsMedianAndEnds) {
  EXPECT_EQ(spread_of({}).count, 0U);
  const Spread odd = spread_of({3, 1, 2});
  EXPECT_EQ(odd.median, 2);
  EXPECT_EQ(odd.low, 1);
  EXPECT_EQ(odd.high, 3);
  EXPECT_EQ(spread_of({4, 1, 2, 3}).median, 2.5);
}

TEST(Judge, ClaimsADifferenceWhenIntervalsAreApart) {
  EXPECT_EQ(judged({10, 11, 12}, {8, 9}), Change::better);
  EXPECT_EQ(judged({8, 9}, {10, 11, 12}), Change::worse);
  EXPECT_EQ(judged({10, 11, 12}, {8, 9}, Better::higher), Change::worse);
  EXPECT_EQ(judged({8, 9}, {10, 11, 12}, Better::higher), Change::better);
}

TEST(Judge, ClaimsNothingWhenIntervalsOverlap) {
  EXPECT_EQ(judged({10, 12}, {9, 11}), Change::unknown);
  EXPECT_EQ(judged({10, 12}, {12, 14}), Change::unknown);
  EXPECT_EQ(judged({10, 20}, {15}), Change::unknown);
}

TEST(Judge, ClaimsNothingFromSmallChangesOfSingleResults) {
  EXPECT_EQ(judged({100}, {96}), Change::unknown);
  EXPECT_EQ(judged({100}, {94}), Change::better);
  EXPECT_EQ(judged({100, 100.5}, {104.9}), Change::unknown);
}

TEST(Judge, CallsTheSameWhatIsWithinTwoPercentOrEqual) {
  EXPECT_EQ(judged({100, 101}, {100.5, 101.5}), Change::same);
  EXPECT_EQ(judged({100, 101}, {102.5, 103.5}), Change::worse);
  EXPECT_EQ(judged({0}, {0}), Change::same);
}

TEST(Judge, KnowsNothingOfAFigureThatOneSideLacks) {
  EXPECT_EQ(judged({}, {1, 2}), Change::unknown);
  EXPECT_EQ(judged({1, 2}, {}), Change::unknown);
}

RunResult some_run(std::uint64_t time_us, double goodput_rps) {
  auto histogram = std::make_shared<base::Histogram>();
  histogram->record(time_us * 1000, 1'000);
  RunResult run;
  run.target = "http://h/";
  run.goodput_rps = goodput_rps;
  run.total.planned = 1'000;
  run.total.classes[0] = {1'000, Latency{histogram}, {}};
  return run;
}

ResultFile file_of(const std::string& name, const std::string& json) {
  auto result = parse_result(name, json);
  EXPECT_TRUE(result) << result.error();
  return result ? std::move(*result) : ResultFile{};
}

ResultFile file_of(const std::string& name, const RunResult& run) { return file_of(name, to_json(run)); }

std::string compared(const std::vector<ResultFile>& before, const std::vector<ResultFile>& after, bool color = false) {
  const auto text = compare_text(before, after, color);
  EXPECT_TRUE(text) << text.error();
  return text.value_or("");
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream{text};
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(Compare, ShowsBothSidesAndTheVerdictOfEachFigure) {
  const std::vector<std::string> lines = lines_of(compared(
      {file_of("a1", some_run(500, 1000)), file_of("a2", some_run(520, 1010)), file_of("a3", some_run(510, 990))},
      {file_of("b1", some_run(400, 1000)), file_of("b2", some_run(420, 1005)), file_of("b3", some_run(410, 995))}));
  EXPECT_THAT(lines, Contains("A           3 results: a1, a2, a3"));
  EXPECT_THAT(lines, Contains("B           3 results: b1, b2, b3"));
  EXPECT_THAT(lines, Contains("figure                        A                      B    B/A  B is"));
  EXPECT_THAT(lines, Contains("2xx       1000/s [990/s-1010/s]  1000/s [995/s-1005/s]  1.00x  same"));
  EXPECT_THAT(lines, Contains("answered                    0/s                    0/s      -  same"));
  EXPECT_THAT(lines, Contains("2xx max     510us [500us-520us]    410us [400us-420us]  0.80x  better"));
}

TEST(Compare, ShowsSingleResultsWithoutAnIntervalAndWarns) {
  const std::string text = compared({file_of("a", some_run(500, 1000))}, {file_of("b", some_run(510, 1200))});
  EXPECT_THAT(lines_of(text), Contains("2xx       1000/s  1200/s  1.20x  better"));
  EXPECT_THAT(lines_of(text), Contains("2xx p50    500us   510us  1.02x  unknown"));
  EXPECT_THAT(text, HasSubstr("One result on a side proves little"));
}

TEST(Compare, ShowsADashWhereOneSideKnowsNothing) {
  RunResult none = some_run(500, 1000);
  none.total.classes[0] = {};
  const std::string text = compared({file_of("a", some_run(500, 1000))}, {file_of("b", none)});
  EXPECT_THAT(lines_of(text), Contains("2xx p50    500us       -      -  unknown"));
}

TEST(Compare, LeavesOutWhatIsInvalidAndSaysSo) {
  RunResult bad = some_run(100, 5000);
  bad.invalid = {"the generator stalled"};
  const std::string text =
      compared({file_of("a", some_run(500, 1000))}, {file_of("b1", some_run(500, 1000)), file_of("b2", bad)});
  EXPECT_THAT(lines_of(text), Contains("INVALID     B: b2; what does not count in it is left out"));
  EXPECT_THAT(lines_of(text), Contains("2xx       1000/s  1000/s  1.00x  same"));
}

TEST(Compare, TellsInWhichConditionsTheSidesDiffer) {
  const Environment old_kernel{.kernel = "Linux 6.1"}, new_kernel{.kernel = "Linux 6.2"};
  Load few, many;
  many.clients[0].connections = 128;
  const std::string text =
      compared({file_of("a", to_json(some_run(1, 1), Origin{.config = &few, .environment = &old_kernel}))},
               {file_of("b", to_json(some_run(1, 1), Origin{.config = &many, .environment = &new_kernel}))});
  EXPECT_THAT(text, HasSubstr("The conditions differ:\n"));
  EXPECT_THAT(lines_of(text), Contains("  environment.kernel: A \"Linux 6.1\", B \"Linux 6.2\""));
  EXPECT_THAT(lines_of(text), Contains("  config.connections: A 64, B 128"));
  EXPECT_THAT(text, Not(HasSubstr("config.threads")));
}

TEST(Compare, SaysWhenTheConditionsAreTheSameOrUnknown) {
  const Environment here{.kernel = "Linux 6.1"};
  const ResultFile known = file_of("a", to_json(some_run(1, 1), Origin{.environment = &here}));
  EXPECT_THAT(compared({known}, {known}), HasSubstr("The conditions are the same.\n"));
  const ResultFile unknown = file_of("a", some_run(1, 1));
  EXPECT_THAT(compared({unknown}, {unknown}), HasSubstr("do not say on what machine"));
}

TEST(Compare, RefusesResultsOfDifferentKinds) {
  const std::vector<ResultFile> before{file_of("a.json", some_run(1, 1))};
  const std::vector<ResultFile> after{file_of("b.json", to_json(SearchResult{}))};
  const auto text = compare_text(before, after);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error(), "a.json is a run and b.json a search; they have no figures in common");
}

TEST(Compare, HasColoursOnlyIfAsked) {
  const std::vector<ResultFile> before{file_of("a", some_run(500, 1000))}, after{file_of("b", some_run(300, 1000))};
  EXPECT_THAT(compared(before, after), Not(HasSubstr("\x1b")));
  EXPECT_THAT(compared(before, after, true), HasSubstr("\x1b[32m2xx p50"));
}

}  // namespace
}  // namespace sluice::bench
