// result_json_test.cpp: result files. What is written is read back with simdjson and compared with what went in.
#include "load/output/result_json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.hpp"
#include "load/output/percentiles.hpp"

namespace sluice::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

struct Times {
  Duration each{};
  std::uint64_t count = 1;
};

Latency latency_of(std::initializer_list<Times> times) {
  auto histogram = std::make_shared<base::Histogram>();
  for (const Times& one : times) histogram->record(static_cast<std::uint64_t>(one.each.count()), one.count);
  return Latency{std::move(histogram)};
}

/// 1 to `count` microseconds, each once.
Latency ascending(std::uint64_t count) {
  auto histogram = std::make_shared<base::Histogram>();
  for (std::uint64_t value = 1; value <= count; ++value) histogram->record(value * 1000);
  return Latency{std::move(histogram)};
}

ClassResult& of(RunResult& run, Outcome outcome) { return run.total.classes[static_cast<std::size_t>(outcome)]; }

/// A document and the memory it lives in.
class Read {
 public:
  explicit Read(const std::string& json) : text_{json} {
    EXPECT_EQ(parser_.parse(text_).get(root_), simdjson::SUCCESS) << json;
  }

  /// By JSON pointer.
  simdjson::dom::element at(const std::string& pointer) const {
    simdjson::dom::element value;
    EXPECT_EQ(root_.at_pointer(pointer).get(value), simdjson::SUCCESS) << pointer;
    return value;
  }
  bool has(const std::string& pointer) const { return root_.at_pointer(pointer).error() == simdjson::SUCCESS; }
  std::string text(const std::string& pointer) const {
    std::string_view value;
    EXPECT_EQ(at(pointer).get(value), simdjson::SUCCESS) << pointer;
    return std::string{value};
  }
  double number(const std::string& pointer) const {
    double value = -12345;
    EXPECT_EQ(at(pointer).get(value), simdjson::SUCCESS) << pointer;
    return value;
  }
  bool flag(const std::string& pointer) const {
    bool value = false;
    EXPECT_EQ(at(pointer).get(value), simdjson::SUCCESS) << pointer;
    return value;
  }
  bool null(const std::string& pointer) const { return at(pointer).is_null(); }
  std::size_t size(const std::string& pointer) const {
    simdjson::dom::array array;
    EXPECT_EQ(at(pointer).get(array), simdjson::SUCCESS) << pointer;
    return array.size();
  }
  std::vector<std::string> keys(const std::string& pointer) const {
    simdjson::dom::object object;
    EXPECT_EQ(at(pointer).get(object), simdjson::SUCCESS) << pointer;
    std::vector<std::string> names;
    for (const auto& [key, value] : object) names.emplace_back(key);
    return names;
  }

 private:
  simdjson::dom::parser parser_{};
  simdjson::padded_string text_;
  simdjson::dom::element root_{};
};

RunResult some_run() {
  RunResult run;
  run.name = "a \"name\"";
  run.target = "http://127.0.0.1:8080/";
  run.started_at = "2026-02-03T04:05:06Z";
  run.duration_s = 10;
  run.offered_rps = 1000.126;
  run.goodput_rps = 999.5;
  run.total.planned = 10'000;
  run.total.sent = 10'001;
  of(run, Outcome::ok) = {9'990, latency_of({{microseconds{500}, 9'990}}), latency_of({{microseconds{400}, 9'990}})};
  of(run, Outcome::shed) = {10, latency_of({{microseconds{50}, 10}}), latency_of({{microseconds{40}, 10}})};
  run.total.all = latency_of({{microseconds{500}, 9'990}, {microseconds{50}, 10}});
  return run;
}

TEST(ResultJson, SaysWhatTheRunSays) {
  const Read json{to_json(some_run())};
  EXPECT_EQ(json.text("/schema"), "sluice-load/1");
  EXPECT_EQ(json.text("/kind"), "run");
  EXPECT_EQ(json.text("/name"), "a \"name\"");
  EXPECT_EQ(json.text("/started_at"), "2026-02-03T04:05:06Z");
  EXPECT_TRUE(json.flag("/valid"));
  EXPECT_EQ(json.number("/planned"), 10'000);
  EXPECT_EQ(json.number("/sent"), 10'001);
  EXPECT_EQ(json.number("/offered_rps"), 1000.13);
  EXPECT_EQ(json.number("/error_ratio"), 0.001);
  EXPECT_EQ(json.number("/classes/2xx/count"), 9'990);
  EXPECT_EQ(json.number("/classes/503/count"), 10);
  EXPECT_NEAR(json.number("/classes/2xx/latency_us/p50"), 500, 0.5);
  EXPECT_NEAR(json.number("/classes/2xx/service_us/p50"), 400, 0.4);
  EXPECT_EQ(json.number("/classes/2xx/latency_us/max"), 500);
}

TEST(ResultJson, HasAllNineClassesEvenIfNothingEndedSo) {
  const Read json{to_json(RunResult{})};
  EXPECT_THAT(json.keys("/classes"),
              ElementsAre("2xx", "429", "503", "504", "other", "broken", "connect_error", "gave_up", "unanswered"));
  EXPECT_EQ(json.number("/classes/gave_up/count"), 0);
  for (const char* const key : {"p50", "p99", "max", "mean"}) {
    EXPECT_TRUE(json.null(std::string{"/classes/gave_up/latency_us/"} + key)) << key;
  }
}

TEST(ResultJson, LeavesOutPercentilesThatTooFewSamplesSupport) {
  RunResult run;
  of(run, Outcome::ok) = {10'000, ascending(10'000), {}};
  const Read json{to_json(run)};
  EXPECT_NEAR(json.number("/classes/2xx/latency_us/p99"), 9'900, 10);
  EXPECT_TRUE(json.null("/classes/2xx/latency_us/p999"));
  EXPECT_TRUE(json.null("/classes/2xx/latency_us/p9999"));
  EXPECT_EQ(json.number("/classes/2xx/latency_us/max"), 10'000);
}

TEST(ResultJson, WritesNanosecondsAsThousandthsOfMicroseconds) {
  RunResult run;
  of(run, Outcome::ok) = {1, latency_of({{Duration{1'234'567}}}), {}};
  EXPECT_THAT(to_json(run), HasSubstr("\"max\":1234.567,"));
}

TEST(ResultJson, KnowsNoCommandConfigOrMachineByItself) {
  const Read json{to_json(some_run())};
  EXPECT_EQ(json.text("/command"), "");
  EXPECT_TRUE(json.null("/config"));
  EXPECT_TRUE(json.null("/environment"));
}

TEST(ResultJson, TellsFromWhichPercentileOnTimesAreLowerBounds) {
  RunResult run;
  run.total.planned = 100'000;
  EXPECT_TRUE(Read{to_json(run)}.null("/all_at_least"));
  of(run, Outcome::ok) = {98'000, latency_of({{milliseconds{1}, 98'000}}), {}};
  of(run, Outcome::unanswered) = {2'000, latency_of({{seconds{2}, 2'000}}), {}};
  run.total.all = latency_of({{milliseconds{1}, 98'000}, {seconds{2}, 2'000}});
  EXPECT_EQ(Read{to_json(run)}.text("/all_at_least"), "p99");
  of(run, Outcome::unanswered) = {2, latency_of({{seconds{2}, 2}}), {}};
  run.total.all = latency_of({{milliseconds{1}, 99'998}, {seconds{2}, 2}});
  EXPECT_EQ(Read{to_json(run)}.text("/all_at_least"), "max");
}

TEST(ResultJson, WritesTheReasonsWhyARunDoesNotCount) {
  RunResult run;
  run.invalid = {"the generator stalled"};
  run.warnings = {"no counters"};
  run.covers = {"failing"};
  const Read json{to_json(run)};
  EXPECT_FALSE(json.flag("/valid"));
  EXPECT_EQ(json.text("/invalid/0"), "the generator stalled");
  EXPECT_EQ(json.text("/warnings/0"), "no counters");
  EXPECT_EQ(json.text("/covers/0"), "failing");
}

TEST(ResultJson, WritesShapesWithAndWithoutAWall) {
  RunResult run;
  run.shape.kind = Shape::Kind::well_behaved;
  const Read without{to_json(run)};
  EXPECT_EQ(without.text("/shape/class"), "well-behaved");
  EXPECT_TRUE(without.null("/shape/wall_percentile"));
  EXPECT_TRUE(without.null("/shape/wall_us"));
  run.shape = {Shape::Kind::wall, 0.999, 12'500};
  const Read with{to_json(run)};
  EXPECT_EQ(with.text("/shape/class"), "wall");
  EXPECT_EQ(with.number("/shape/wall_percentile"), 99.9);
  EXPECT_EQ(with.number("/shape/wall_us"), 12'500);
}

TEST(ResultJson, WritesTheTimeAxisWithTheOutcomesThatOccurred) {
  RunResult run;
  Window window{.at_s = 2, .planned = 100, .sent = 99, .p50_us = 250.12345, .outstanding = 3, .waiting = 1};
  window.outcomes[static_cast<std::size_t>(Outcome::ok)] = 90;
  window.outcomes[static_cast<std::size_t>(Outcome::broken)] = 6;
  run.windows = {window};
  run.silences = {{3.2101, 4.21}};
  const Read json{to_json(run)};
  EXPECT_THAT(json.keys("/series/windows/0/outcomes"), ElementsAre("2xx", "broken"));
  EXPECT_EQ(json.number("/series/windows/0/outcomes/2xx"), 90);
  EXPECT_EQ(json.number("/series/windows/0/p50_us"), 250.123);
  EXPECT_EQ(json.number("/series/windows/0/waiting"), 1);
  EXPECT_EQ(json.number("/silences/0/from_s"), 3.21);
}

TEST(ResultJson, WritesWhatIsNotKnownOfTheServerAsNull) {
  RunResult run;
  run.server = {{.at_s = 1, .cpu_cores = 0.75, .lanes = {{"math", 5, 4, 8, 0}}}};
  const Read json{to_json(run)};
  EXPECT_EQ(json.number("/server/0/cpu_cores"), 0.75);
  EXPECT_TRUE(json.null("/server/0/hottest_thread"));
  EXPECT_TRUE(json.null("/server/0/rss_bytes"));
  EXPECT_EQ(json.text("/server/0/lanes/0/name"), "math");
  EXPECT_EQ(json.number("/server/0/lanes/0/limit"), 8);
}

Load some_load() {
  Load load;
  load.url = "http://127.0.0.1:8080/";
  load.name = "mixed";
  load.clients = {Clients{.name = "callers", .connections = 50, .rate_per_s = 1000, .arrival = Arrival::poisson},
                  Clients{.name = "slow", .connections = 5}};
  load.clients[0].behaviour.give_up_after = milliseconds{250};
  load.clients[0].requests = {RequestSpec{.method = "POST", .target = "/plus", .body = "12345", .weight = 2}};
  load.clients[1].behaviour.read_bytes_per_s = 1000;
  load.background = 1;
  load.warmup = milliseconds{1500};
  return load;
}

TEST(ResultJson, DescribesTheLoad) {
  RunResult run = some_run();
  run.clients = {run.total, ClientsResult{}};
  const Load load = some_load();
  const Read json{to_json(run, Origin{.command = "sluice-load run", .config = &load})};
  EXPECT_EQ(json.text("/command"), "sluice-load run");
  EXPECT_EQ(json.number("/config/rate_rps"), 1000);
  EXPECT_EQ(json.number("/config/connections"), 50);
  EXPECT_EQ(json.number("/config/duration_s"), 10);
  EXPECT_EQ(json.number("/config/warmup_s"), 1.5);
  EXPECT_EQ(json.text("/config/arrival"), "poisson");
  EXPECT_EQ(json.number("/config/clients/0/give_up_after_ms"), 250);
  EXPECT_EQ(json.number("/config/clients/0/requests/0/body_bytes"), 5);
  EXPECT_FALSE(json.flag("/config/clients/0/background"));
  EXPECT_TRUE(json.flag("/config/clients/1/background"));
  EXPECT_EQ(json.number("/config/clients/1/read_bytes_per_s"), 1000);
  EXPECT_FALSE(json.flag("/clients/0/background"));
  EXPECT_TRUE(json.flag("/clients/1/background"));
}

TEST(ResultJson, SaysThatAClosedLoopHasNoRate) {
  const Load load;
  EXPECT_TRUE(Read{to_json(RunResult{}, Origin{.config = &load})}.null("/config/rate_rps"));
}

TEST(ResultJson, WritesTheMachine) {
  const Environment environment{
      .version = "0.1.0", .commit = "", .cpus = 2, .memory_bytes = 1'000, .generator_cpus = "1"};
  const Read json{to_json(RunResult{}, Origin{.environment = &environment})};
  EXPECT_EQ(json.text("/environment/version"), "0.1.0");
  EXPECT_EQ(json.text("/environment/commit"), "");
  EXPECT_EQ(json.number("/environment/cpus"), 2);
  EXPECT_EQ(json.text("/environment/generator_cpus"), "1");
}

TEST(ResultJson, GivesEveryRunOfASweepItsOwnRate) {
  const Load load = some_load();
  SweepResult sweep{.name = "sweep", .runs = {{100, some_run()}, {200, some_run()}}};
  sweep.runs[0].run.covers = {"failing"};
  sweep.runs[1].run.covers = {"failing", "overloaded"};
  sweep.runs[1].run.invalid = {"late"};
  const Read json{to_json(sweep, Origin{.config = &load})};
  EXPECT_EQ(json.text("/kind"), "sweep");
  EXPECT_FALSE(json.flag("/valid"));
  EXPECT_EQ(json.size("/covers"), 2U);
  EXPECT_EQ(json.number("/runs/0/config/rate_rps"), 100);
  EXPECT_EQ(json.number("/runs/1/config/rate_rps"), 200);
  EXPECT_TRUE(json.has("/environment"));
  EXPECT_FALSE(json.has("/runs/0/environment"));
  EXPECT_FALSE(json.has("/runs/0/command"));
}

SearchResult some_search() {
  SearchResult search;
  search.slos = {Slo{.text = "p99<50ms"}};
  search.capacity_rps = 48'000;
  search.limit = "loop CPU";
  search.goodput_kept_200 = 0.95;
  search.recovery_s = -1;
  search.probes.push_back({.stage = Probe::Stage::ceiling, .rate_per_s = 60'000, .run = some_run()});
  search.probes.push_back({.stage = Probe::Stage::climb, .rate_per_s = 49'000, .failures = {"p99 61 ms"}});
  return search;
}

TEST(ResultJson, WritesASearchWithItsProbesAndProfiles) {
  const Load load = some_load();
  const SearchOptions options;
  const std::vector<Flame> flames{{80, {{"server;main;work", 7}, {"server;main", 2}}}};
  const Read json{to_json(some_search(), Origin{.config = &load, .search = &options, .flames = flames})};
  EXPECT_EQ(json.text("/kind"), "search");
  EXPECT_EQ(json.text("/name"), "mixed");
  EXPECT_EQ(json.text("/slos/0"), "p99<50ms");
  EXPECT_EQ(json.number("/capacity_rps"), 48'000);
  EXPECT_EQ(json.number("/recovery_s"), -1);
  EXPECT_TRUE(json.null("/self_check"));
  EXPECT_EQ(json.text("/probes/0/stage"), "ceiling");
  EXPECT_TRUE(json.null("/probes/0/run/config/rate_rps"));
  EXPECT_EQ(json.number("/probes/1/run/config/rate_rps"), 49'000);
  EXPECT_EQ(json.number("/probes/1/run/config/warmup_s"), 1);
  EXPECT_EQ(json.text("/probes/1/failures/0"), "p99 61 ms");
  EXPECT_EQ(json.number("/flames/0/percent"), 80);
  EXPECT_EQ(json.number("/flames/0/samples"), 9);
  EXPECT_EQ(json.text("/flames/0/folded/0/0"), "server;main;work");
  EXPECT_EQ(json.number("/flames/0/folded/0/1"), 7);
}

TEST(ResultJson, WritesTheSelfCheckIfThereWasOne) {
  SearchResult search = some_search();
  search.self_check = SelfCheck{.ceiling_rps = 1e5, .floor_p50_us = 31.25, .problems = {"two threads, one CPU"}};
  const Read json{to_json(search)};
  EXPECT_EQ(json.number("/self_check/ceiling_rps"), 1e5);
  EXPECT_EQ(json.number("/self_check/floor_p50_us"), 31.25);
  EXPECT_EQ(json.text("/self_check/problems/0"), "two threads, one CPU");
}

TEST(ResultJson, HasSpectraOfWhatOccurred) {
  const Read json{to_json(some_run())};
  EXPECT_THAT(json.keys("/spectrum"), ElementsAre("2xx", "service_2xx", "503", "service_503", "all"));
  const std::size_t last = json.size("/spectrum/all") - 1;
  const std::string place = "/spectrum/all/" + std::to_string(last);
  EXPECT_EQ(json.number(place + "/0"), 500);
  EXPECT_EQ(json.number(place + "/1"), 1);
  EXPECT_EQ(json.number(place + "/2"), 10'000);
}

TEST(Spectrum, RisesToTheMaximumInAtMostThreeHundredPoints) {
  const Latency latency = ascending(200'000);
  const std::vector<SpectrumPoint> points = spectrum_of(latency);
  ASSERT_GT(points.size(), 100U);
  EXPECT_LE(points.size(), spectrum_points_max);
  for (std::size_t index = 1; index < points.size(); ++index) {
    EXPECT_LT(points[index - 1].time, points[index].time);
    EXPECT_LT(points[index - 1].quantile, points[index].quantile);
    EXPECT_LT(points[index - 1].cumulative, points[index].cumulative);
  }
  EXPECT_EQ(points.back().time, milliseconds{200});
  EXPECT_EQ(points.back().quantile, 1);
  EXPECT_EQ(points.back().cumulative, 200'000U);
}

TEST(Spectrum, IsAsDenseAmongTheSlowestAsInTheMiddle) {
  std::size_t first_nine = 0, third_nine = 0;
  for (const SpectrumPoint& point : spectrum_of(ascending(200'000))) {
    if (point.quantile < 0.9) ++first_nine;
    if (point.quantile >= 0.99 && point.quantile < 0.999) ++third_nine;
  }
  EXPECT_GT(first_nine, 40U);
  EXPECT_GT(third_nine, 5U);
}

TEST(Spectrum, OfOneSampleIsOnePointAndOfNoneNothing) {
  EXPECT_TRUE(spectrum_of(Latency{}).empty());
  const std::vector<SpectrumPoint> one = spectrum_of(latency_of({{milliseconds{3}}}));
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].time, milliseconds{3});
  EXPECT_EQ(one[0].quantile, 1);
}

TEST(Environment, TellsOfThisMachine) {
  const Environment here = read_environment();
  EXPECT_THAT(here.version, Not(IsEmpty()));
  EXPECT_THAT(here.kernel, StartsWith("Linux "));
  EXPECT_GT(here.cpus, 0U);
  EXPECT_GT(here.memory_bytes, 1U << 20);
  EXPECT_GT(here.descriptors_max, 0U);
  EXPECT_THAT(here.generator_cpus, Not(IsEmpty()));
}

TEST(Environment, ReadsAValueOfCpuinfo) {
  const std::string text = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nmodel\t\t: 17\n";
  EXPECT_EQ(cpuinfo_value(text, "model name"), "Some CPU @ 2.0GHz");
  EXPECT_EQ(cpuinfo_value(text, "model"), "17");
  EXPECT_EQ(cpuinfo_value(text, "flags"), "");
}

TEST(Environment, SumsUpWeaknessesThatTheCpuHas) {
  EXPECT_EQ(summarize_mitigations({}), "");
  EXPECT_EQ(summarize_mitigations({{"meltdown", "Not affected"}}), "none");
  EXPECT_EQ(summarize_mitigations({{"spectre_v2", "Mitigation: Retpolines"},
                                   {"mds", "Vulnerable: no microcode"},
                                   {"meltdown", "Not affected"},
                                   {"spectre_v1", "Mitigation: barriers"},
                                   {"itlb_multihit", "KVM: unclear"}}),
            "mitigated: spectre_v1, spectre_v2; vulnerable: mds; unclear: itlb_multihit");
}

TEST(Environment, WritesCpusAsRanges) {
  EXPECT_EQ(cpu_list({}), "");
  EXPECT_EQ(cpu_list({1}), "1");
  EXPECT_EQ(cpu_list({0, 1, 2, 3, 7}), "0-3,7");
}

}  // namespace
}  // namespace sluice::bench
