// Questions and their answers: sweeps, replays, the command line, and what is put out.
#include "sim/tool/study.hpp"

#include <gtest/gtest.h>

#include "load/tool/scenario.hpp"
#include "questions.hpp"
#include "sim/tool/cli.hpp"
#include "sim/tool/page.hpp"
#include "sim/tool/study_json.hpp"
#include "sim/tool/study_text.hpp"
#include "sim/tool/tree.hpp"

namespace sluice::sim {
namespace {

constexpr std::string_view small = R"({"duration_s":4,"warmup_s":0,"arrivals":{"rate_per_s":100,"spacing":"constant"},
  "routes":[{"name":"a","service":{"distribution":"fixed","mean_ms":20},"in_flight_max":1,"budget_ms":200}]})";

TEST(SimStudy, AWhatIfPlaysTheSameCallsWithEachValue) {
  Question question;
  question.scenario = library_file("steady");
  question.changes = {{"duration_s", 8}};
  question.what_if = "in_flight_max";
  question.values = {8, 16, 32};
  const Study study = study_of(question);
  ASSERT_EQ(study.runs.size(), 3u);
  const auto counts = [&](std::size_t run) { return study.runs[run].result.total.counts; };
  EXPECT_EQ(counts(0).offered, counts(1).offered);
  EXPECT_EQ(counts(1).offered, counts(2).offered);
  EXPECT_LT(counts(0).good(), counts(1).good()) << "8 permits are 400 a second";
  EXPECT_LE(study.runs[0].result.total.running_peak, 8u);
}

TEST(SimStudy, ALoadIsSoManyTimesTheFiles) {
  Question question;
  question.scenario = file_of("small.json", small);
  question.loads = {0.5, 1, 2};
  const Study study = study_of(question);
  ASSERT_EQ(study.runs.size(), 3u);
  // One permit and 20 ms: 50 a second, whatever comes.
  EXPECT_NEAR(static_cast<double>(study.runs[0].result.total.counts.offered), 200, 1);
  EXPECT_NEAR(static_cast<double>(study.runs[2].result.total.counts.offered), 800, 1);
  EXPECT_NEAR(static_cast<double>(study.runs[2].result.total.counts.good()), 200, 10);
}

TEST(SimStudy, ReplaysARecordingAtAnySpeed) {
  std::string csv = "arrival_us,route,service_us\n";
  for (int i = 0; i < 400; ++i) csv += std::to_string(1'700'000'000'000'000 + i * 40'000) + ",a,20000\n";
  Question question;
  question.scenario = file_of("small.json", small);
  question.replay = file_of("recording.csv", csv);
  const Counts& once = study_of(question).runs.at(0).result.total.counts;
  EXPECT_EQ(once.offered, 400u);
  EXPECT_EQ(once.good(), 400u) << "25 a second of 50";
  question.speed = 4;
  const Study faster = study_of(question);
  EXPECT_EQ(faster.runs.at(0).result.total.counts.offered, 400u);
  EXPECT_NEAR(static_cast<double>(faster.runs.at(0).result.total.counts.good()), 200, 15) << "100 a second of 50";
}

TEST(SimStudy, SaysWhichLineOfARecordingIsWrong) {
  const std::pair<std::string_view, std::string_view> faults[] = {
      {"", "holds no request"},
      {"a,b,c\n", "line 1: must be \"arrival_us,route,service_us\""},
      {"arrival_us,route,service_us\n1,a\n", "line 2: must have three fields"},
      {"arrival_us,route,service_us\n1,a,2,3\n", "line 2: must have three fields"},
      {"arrival_us,route,service_us\n1,a,2\n-1,a,2\n", "line 3: arrival_us: must be a whole number of microseconds"},
      {"arrival_us,route,service_us\n1,a,2.5\n",
       "line 2: service_us: must be a whole number of microseconds, at most an hour of them"},
      {"arrival_us,route,service_us\n1,a,2\n3600000001,a,2\n",
       "takes more than an hour at this speed; play it faster, or a part of it"},
      {"arrival_us,route,service_us\n1,b,2\n", "there is no route \"b\" in the scenario"},
      {"arrival_us,route,service_us\n1,\"a,2\n", "line 2: has a quote that does not end with its field"},
      {"arrival_us,route,service_us\n1,\"a\"b,2\n", "line 2: has a quote that does not end with its field"},
      {"arrival_us,route,service_us\n1,\"a,2\",3,4\n", "line 2: must have three fields"},
      {"arrival_us,route,service_us\n1,\"a\"\"\",2\n", "there is no route \"\"a\"\"\"\" in the scenario"},
  };
  for (const auto& [csv, says] : faults) {
    Question question;
    question.scenario = file_of("small.json", small);
    question.replay = file_of("recording.csv", csv);
    const auto study = answer(question);
    ASSERT_FALSE(study.has_value()) << csv;
    EXPECT_EQ(study.error(), question.replay + ": " + std::string{says}) << csv;
  }
}

TEST(SimStudy, NamesTheFileThatIsWrong) {
  Question question;
  question.scenario = file_of("bad.json", R"({"routes":5})");
  EXPECT_EQ(answer(question).error(), question.scenario + ": routes: must be an array");
  question.scenario = testing::TempDir() + "sluice_sim_nowhere.json";
  EXPECT_EQ(answer(question).error(), question.scenario + ": No such file or directory");
}

TEST(SimStudy, TheCommandLineSaysWhatItTakes) {
  EXPECT_EQ(parse_command({"--help"}).error().code, 0);
  const std::vector<std::string> wrong[] = {
      {},
      {"a", "b"},
      {"a", "--loads"},
      {"a", "--loads", "1,x"},
      {"a", "--loads", "0"},
      {"a", "--what-if", "budget_ms"},
      {"a", "--policy", "fast"},
      {"a", "--speed", "2"},
      {"a", "--turbo", "1"},
      {"a", "--loads", "1", "--what-if", "seed=1"},
      {"a", "--set", "seed=two"},
      {"a", "--what-if", "seed=1", "--what-if", "pool_threads=1"},
      {"a", "--json", "b", "--json", "c"},
      {"a", "--replay", "b", "--what-if", "duration_s=5,10"},
      {"a", "--replay", "b", "--set", "duration_s=5"},
      {"a", "--replay", "b", "--set", "arrivals.rate_per_s=5"},
      {"a", "--replay", "b", "--what-if", "routes.a.service.mean_ms=5"},
  };
  for (const auto& words : wrong) {
    const auto command = parse_command(words);
    ASSERT_FALSE(command.has_value());
    EXPECT_EQ(command.error().code, 2);
    EXPECT_TRUE(command.error().err.starts_with("sluice-sim: ")) << command.error().err;
  }
  const auto right = parse_command({"a.json", "--what-if", "routes.a.budget_ms=1,2.5", "--policy", "both"});
  ASSERT_TRUE(right.has_value());
  EXPECT_EQ(right->question.what_if, "routes.a.budget_ms");
  EXPECT_EQ(right->question.values, (std::vector<double>{1, 2.5}));
  EXPECT_EQ(right->question.policies.size(), 2u);
  EXPECT_TRUE(parse_command({"a", "--set", "seed=1", "--set", "pool_threads=2"}).has_value());
  EXPECT_TRUE(parse_command({"a", "--replay", "b", "--what-if", "routes.a.budget_ms=5,10"}).has_value());
}

TEST(SimStudy, NoOutputIsWrittenOverAnythingThatIsNeeded) {
  Command command;
  command.question.scenario = file_of("small.json", small);
  const std::string again = testing::TempDir() + "./" + command.question.scenario.substr(testing::TempDir().size());
  const std::string recording = file_of("day.csv", "arrival_us,route,service_us\n1,a,2\n");
  const std::string out = testing::TempDir() + "sluice_sim_out";
  struct Clash {
    std::string json, html, replay, says;
  };
  const Clash clashes[] = {
      {command.question.scenario, "", "", "--json: " + command.question.scenario + " is the scenario's file"},
      {"", again, "", "--html: " + again + " is the scenario's file"},
      {"", recording, recording, "--html: " + recording + " is the recording"},
      {out, out, "", "--json and --html name the same file, " + out},
  };
  for (const Clash& clash : clashes) {
    command.json = clash.json;
    command.html = clash.html;
    command.question.replay = clash.replay;
    const Ending ending = execute(command);
    EXPECT_EQ(ending.code, 2);
    EXPECT_EQ(ending.err, "sluice-sim: " + clash.says + '\n');
  }
  EXPECT_EQ(bench::read_file(command.question.scenario, 1 << 20), std::string{small});
}

TEST(SimStudy, AWrongFileEndsWithTwoAndOneSentence) {
  Command command;
  command.question.scenario = file_of("bad.json", "{}");
  const Ending ending = execute(command);
  EXPECT_EQ(ending.code, 2);
  EXPECT_EQ(ending.err, "sluice-sim: " + command.question.scenario + ": arrivals: needs rate_per_s\n");
  EXPECT_EQ(ending.out, "");
}

TEST(SimStudy, PutsOutJsonThatCanBeReadAndWhoseSumsAreRight) {
  Question question;
  question.scenario = library_file("stalled_dependency");
  question.policies = {Policy::sluice, Policy::naive};
  const auto root = parse_tree(study_json(study_of(question)));
  ASSERT_TRUE(root.has_value()) << root.error();
  EXPECT_EQ(root->find("schema")->text, "sluice-sim/1");
  ASSERT_EQ(root->find("runs")->children.size(), 2u);
  for (const Node& run : root->find("runs")->children) {
    const Node& total = *run.find("total");
    double ended = 0, offered = 0;
    for (const char* const fate : {"good", "late", "refused", "timed_out", "failed", "gave_up"}) {
      ended += total.find(fate)->number;
    }
    for (const Node& route : run.find("routes")->children) offered += route.find("offered")->number;
    EXPECT_EQ(ended, total.find("offered")->number);
    EXPECT_EQ(offered, total.find("offered")->number);
    const auto windows = run.find("series")->find("good_per_s")->children.size();
    EXPECT_GT(windows, 100u);
    EXPECT_LE(windows, 240u);
  }
}

TEST(SimStudy, APageNeedsNothingElseAndNoTextOfTheFileBecomesMarkup) {
  Question question;
  question.scenario = file_of("small.json", R"({"description":"</script><script>alert(1)</script>","duration_s":2,
    "warmup_s":0,"arrivals":{"rate_per_s":10},"routes":[{"name":"<b>","service":{"mean_ms":1}}]})");
  const std::string page = study_page(study_json(study_of(question)));
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  EXPECT_EQ(page.find("<script>alert"), page.npos);
  EXPECT_EQ(page.find("<b>"), page.npos);
  EXPECT_EQ(page.find("src="), page.npos);
  EXPECT_EQ(page.find("@import"), page.npos);
  EXPECT_EQ(page.find("<!-- @"), page.npos) << "every mark is filled";
  EXPECT_NE(page.find("overload simulation"), page.npos);
}

TEST(SimStudy, TheTableLeavesNoControlCharacterThrough) {
  Question question;
  question.scenario = file_of("small.json", R"({"duration_s":2,"warmup_s":0,"arrivals":{"rate_per_s":10},
    "routes":[{"name":"a\u001b[2J","service":{"mean_ms":1}}]})");
  const std::string text = study_text(study_of(question), false);
  EXPECT_EQ(text.find('\x1b'), text.npos);
  EXPECT_NE(text.find("a?[2J"), text.npos);
}

}  // namespace
}  // namespace sluice::sim
