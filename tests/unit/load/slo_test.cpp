// slo_test.cpp: conditions as text, and runs held against them.
#include "load/judge/slo.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include "base/histogram.hpp"

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;

/// A run of requests that took so long, so many of each.
RunResult run_of(std::initializer_list<std::pair<Duration, std::uint64_t>> times, std::uint64_t bad = 0) {
  auto all = std::make_shared<base::Histogram>();
  for (const auto& [time, count] : times) all->record(static_cast<std::uint64_t>(time.count()), count);
  RunResult run;
  run.total.planned = all->count();
  run.total.classes[static_cast<std::size_t>(Outcome::ok)].count = all->count() - bad;
  run.total.classes[static_cast<std::size_t>(Outcome::shed)].count = bad;
  run.total.all = Latency{all};
  return run;
}

std::string verdict(std::string_view condition, const RunResult& run) {
  return fails(Slo::parse(condition).value(), run).value_or("met");
}

TEST(Slo, ReadsEachKind) {
  const Slo p999 = Slo::parse("p99.9<=200ms").value();
  EXPECT_EQ(p999.kind, Slo::Kind::quantile);
  EXPECT_DOUBLE_EQ(p999.quantile, 0.999);
  EXPECT_EQ(p999.limit, Duration{200ms});
  EXPECT_EQ(p999.text, "p99.9<=200ms");
  EXPECT_EQ(Slo::parse("max<1s").value().kind, Slo::Kind::max);
  EXPECT_EQ(Slo::parse(" mean < 2ms ").value().limit, Duration{2ms});
  EXPECT_DOUBLE_EQ(Slo::parse("errors<0.1%").value().ratio, 0.001);
  EXPECT_DOUBLE_EQ(Slo::parse("errors<0.001").value().ratio, 0.001);
  EXPECT_DOUBLE_EQ(Slo::parse("errors<=0").value().ratio, 0);
}

TEST(Slo, RefusesWhatItCannotMean) {
  for (const char* text : {"",         "p99",        "p99>50ms",    "p99<50",   "p99<",     "p99<0ms",    "99<50ms",
                           "px<5ms",   "p<5ms",      "p0<5ms",      "p999<5ms", "p100<5ms", "median<5ms", "errors<",
                           "errors<x", "errors<-1%", "errors<101%", "errors<0", "p1e1<5ms", "p99<<5ms"}) {
    EXPECT_FALSE(Slo::parse(text).has_value()) << text;
  }
  EXPECT_EQ(Slo::parse("p100<5ms").error(), "\"p100<5ms\": p100 is written max");
  EXPECT_EQ(Slo::parse("errors<0").error(), "\"errors<0\": nothing is below 0; write errors<=0");
}

TEST(Slo, SaysWhatWasMeasuredWhereItIsNotMet) {
  const RunResult run = run_of({{5ms, 9000}, {61'200us, 1000}});
  EXPECT_EQ(verdict("p99<50ms", run), "p99 is 61.2 ms, not below 50 ms");
  EXPECT_EQ(verdict("p50<50ms", run), "met");
  EXPECT_EQ(verdict("p99.9<1.5ms", run), "p99.9 is 61.2 ms, not below 1.5 ms");
  EXPECT_EQ(verdict("max<60ms", run), "the maximum is 61.2 ms, not below 60 ms");
  EXPECT_EQ(verdict("mean<10ms", run), "the mean is 10.6 ms, not below 10 ms");
  EXPECT_EQ(verdict("mean<11ms", run), "met");
}

TEST(Slo, MeetsTheLimitItselfOnlyIfTold) {
  const RunResult run = run_of({{50ms, 1000}});
  EXPECT_EQ(verdict("max<50ms", run), "the maximum is 50.0 ms, not below 50 ms");
  EXPECT_EQ(verdict("max<=50ms", run), "met");
  EXPECT_EQ(verdict("max<=49ms", run), "the maximum is 50.0 ms, above 49 ms");
}

TEST(Slo, DecidesOnFewSamplesToo) {
  const RunResult run = run_of({{1ms, 9}, {80ms, 1}});
  EXPECT_EQ(verdict("p99<50ms", run), "p99 is 80.0 ms, not below 50 ms");
  EXPECT_EQ(verdict("p99<50ms", RunResult{}), "p99<50ms: there was no request");
}

TEST(Slo, CountsErrors) {
  const RunResult run = run_of({{1ms, 1000}}, 5);
  EXPECT_EQ(verdict("errors<0.1%", run), "errors are 0.5 %, not below 0.1 %");
  EXPECT_EQ(verdict("errors<1%", run), "met");
  EXPECT_EQ(verdict("errors<=0", run), "errors are 0.5 %, above 0 %");
  EXPECT_EQ(verdict("errors<=0", run_of({{1ms, 1000}})), "met");
}

}  // namespace
}  // namespace sluice::bench
