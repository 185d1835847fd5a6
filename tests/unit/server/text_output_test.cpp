// text_output_test.cpp: counters and the report, as JSON read back and as text.
#include <sluice/server.hpp>

#include <gtest/gtest.h>
#include <simdjson.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {
namespace {

class Json {
 public:
  explicit Json(const std::string& text) : text_{text} {
    EXPECT_EQ(parser_.parse(text_).get(root), simdjson::SUCCESS) << text;
  }
  std::uint64_t number(std::string_view pointer) const {
    std::uint64_t value = 0;
    EXPECT_EQ(root.at_pointer(pointer).get(value), simdjson::SUCCESS) << pointer;
    return value;
  }
  std::string text(std::string_view pointer) const {
    std::string_view value;
    EXPECT_EQ(root.at_pointer(pointer).get(value), simdjson::SUCCESS) << pointer;
    return std::string{value};
  }
  std::vector<std::string> keys(std::string_view pointer) const {
    std::vector<std::string> names;
    simdjson::dom::object object;
    EXPECT_EQ(root.at_pointer(pointer).get(object), simdjson::SUCCESS) << pointer;
    for (const auto field : object) names.emplace_back(field.key);
    return names;
  }

 private:
  simdjson::padded_string text_;
  simdjson::dom::parser parser_;

 public:
  simdjson::dom::element root;
};

LaneCounters distinct_counters() {
  LaneCounters counters;
  counters.received = 1;
  for (std::size_t i = 0; i < shed_reason_count; ++i) counters.shed[i] = 100 + i;
  counters.queued = 2, counters.inlined = 3, counters.started = 4;
  counters.expired = 5, counters.cancelled = 6, counters.evicted = 7, counters.stale = 8, counters.drained = 9;
  counters.responded = 10, counters.raised = 11, counters.timed_out = 12, counters.abandoned = 13;
  counters.dropped = 14, counters.thrown = 15, counters.late = 16, counters.started_after_deadline = 17;
  counters.depth = 18, counters.running = 19, counters.in_flight = 20, counters.zombies = 21;
  counters.delayed = 22, counters.degraded = 23, counters.mode_changes = 24;
  counters.oldest_zombie_ms = 25, counters.overloaded = 26, counters.stalled = 27;
  counters.limit = 18'446'744'073'709'551'615ULL;
  counters.loop_stalls = 28;
  return counters;
}

TEST(ShedReason, HasOneNameEach) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < shed_reason_count; ++i) names.insert(to_string(static_cast<ShedReason>(i)));
  EXPECT_EQ(names, (std::set<std::string>{"queue_full", "infeasible", "memory", "draining", "connection_share",
                                          "rate_limited", "client_share", "deadline"}));
}

TEST(CountersJson, HasEveryLaneCounterUnderItsName) {
  Counters counters;
  counters.lanes.push_back({"work", distinct_counters()});
  const Json json{counters.to_json()};
  EXPECT_EQ(json.keys("/lanes/work"), (std::vector<std::string>{"received",
                                                                "shed",
                                                                "shed_total",
                                                                "queued",
                                                                "inline",
                                                                "started",
                                                                "expired",
                                                                "cancelled",
                                                                "evicted",
                                                                "stale",
                                                                "drained",
                                                                "responded",
                                                                "raised",
                                                                "dropped",
                                                                "thrown",
                                                                "timed_out",
                                                                "abandoned",
                                                                "late",
                                                                "started_after_deadline",
                                                                "loop_stalls",
                                                                "delayed",
                                                                "degraded",
                                                                "mode_changes",
                                                                "depth",
                                                                "running",
                                                                "in_flight",
                                                                "zombies",
                                                                "limit",
                                                                "oldest_zombie_ms",
                                                                "overloaded",
                                                                "stalled"}));
  const char* const in_order[] = {"received",
                                  "queued",
                                  "inline",
                                  "started",
                                  "expired",
                                  "cancelled",
                                  "evicted",
                                  "stale",
                                  "drained",
                                  "responded",
                                  "raised",
                                  "timed_out",
                                  "abandoned",
                                  "dropped",
                                  "thrown",
                                  "late",
                                  "started_after_deadline",
                                  "depth",
                                  "running",
                                  "in_flight",
                                  "zombies",
                                  "delayed",
                                  "degraded",
                                  "mode_changes",
                                  "oldest_zombie_ms",
                                  "overloaded",
                                  "stalled",
                                  "loop_stalls"};
  std::uint64_t expected = 1;
  for (const std::string name : in_order) EXPECT_EQ(json.number("/lanes/work/" + name), expected++) << name;
  EXPECT_EQ(json.number("/lanes/work/limit"), 18'446'744'073'709'551'615ULL);
  EXPECT_EQ(json.number("/lanes/work/shed_total"), 828U);
  EXPECT_EQ(json.number("/lanes/work/shed/queue_full"), 100U);
  EXPECT_EQ(json.number("/lanes/work/shed/infeasible"), 101U);
  EXPECT_EQ(json.number("/lanes/work/shed/memory"), 102U);
  EXPECT_EQ(json.number("/lanes/work/shed/draining"), 103U);
  EXPECT_EQ(json.number("/lanes/work/shed/connection_share"), 104U);
  EXPECT_EQ(json.number("/lanes/work/shed/rate_limited"), 105U);
  EXPECT_EQ(json.number("/lanes/work/shed/client_share"), 106U);
  EXPECT_EQ(json.number("/lanes/work/shed/deadline"), 107U);
}

TEST(CountersJson, NamesLanesTotalAndConnections) {
  Counters counters;
  counters.lanes.push_back({"GET /users/{id}", {}});
  counters.lanes.push_back({"odd \"name\"\n\xFF", {}});
  counters.total = distinct_counters();
  counters.connections.accepted = 7;
  counters.connections.bytes_buffered = 8;
  counters.connections.bytes_copied = 10;
  counters.connections.responses_dropped = 9;
  const Json json{counters.to_json()};
  EXPECT_EQ(json.keys(""), (std::vector<std::string>{"lanes", "total", "connections", "loops"}));
  EXPECT_EQ(json.keys("/lanes"), (std::vector<std::string>{"GET /users/{id}", "odd \"name\"\n\xEF\xBF\xBD"}));
  EXPECT_EQ(json.number("/total/started"), 4U);
  EXPECT_EQ(json.number("/connections/accepted"), 7U);
  EXPECT_EQ(json.number("/connections/bytes_buffered"), 8U);
  EXPECT_EQ(json.number("/connections/bytes_copied"), 10U);
  EXPECT_EQ(json.number("/connections/responses_dropped"), 9U);
  EXPECT_EQ(json.keys("/connections").size(), 22U);
}

TEST(CountersJson, HasEveryLoopInItsPlace) {
  Counters counters;
  LoopStatus& loop = counters.loops.emplace_back();
  loop.turns = 1, loop.lag_p50_us = 2, loop.lag_p99_us = 3, loop.lag_p999_us = 4, loop.lag_max_us = 5;
  loop.stalls = 6, loop.blocking_calls = 7, loop.stalled_for_ms = 8;
  loop.stalled_route = "GET /users/{id}";
  counters.loops.emplace_back();
  const Json json{counters.to_json()};
  EXPECT_EQ(json.keys("/loops/0"),
            (std::vector<std::string>{"turns", "lag_p50_us", "lag_p99_us", "lag_p999_us", "lag_max_us", "stalls",
                                      "blocking_calls", "stalled_for_ms", "stalled_route"}));
  std::uint64_t expected = 1;
  for (const std::string name : {"turns", "lag_p50_us", "lag_p99_us", "lag_p999_us", "lag_max_us", "stalls",
                                 "blocking_calls", "stalled_for_ms"}) {
    EXPECT_EQ(json.number("/loops/0/" + name), expected++) << name;
  }
  EXPECT_EQ(json.text("/loops/0/stalled_route"), "GET /users/{id}");
  EXPECT_EQ(json.text("/loops/1/stalled_route"), "");
}

TEST(CountersJson, IsValidWithoutAnyLane) {
  const Json json{Counters{}.to_json()};
  EXPECT_TRUE(json.keys("/lanes").empty());
}

TEST(LaneCounters, BalanceWhenEveryEquationHolds) {
  LaneCounters counters;
  EXPECT_TRUE(counters.balanced());
  counters.received = 10, counters.queued = 6, counters.inlined = 2, counters.shed[1] = 2;
  counters.started = 5, counters.expired = 2, counters.depth = 1;
  counters.responded = 3, counters.raised = 1, counters.running = 1, counters.dropped = 1;
  EXPECT_TRUE(counters.balanced());
  ++counters.running;
  EXPECT_FALSE(counters.balanced());
}

Report sample_report() {
  Report report;
  report.backend = "epoll";
  report.cores = 2;
  report.loops = 1;
  report.pool_threads = 16;
  report.addresses = {"127.0.0.1:8080", "unix:/run/app.sock"};
  report.limits = {{"connections_max", 10'000},
                   {"head_timeout_ms", 10'000},
                   {"drain_grace_ms", 100},
                   {"head_bytes_max", 16'384},
                   {"body_rate_min_bytes_per_second", 240},
                   {"buffered_bytes_max", 268'435'456}};
  report.lanes.push_back({"/users/{id}", "pool", 16, 0, 128, 62, 250});
  report.lanes.push_back({"/hello", "loop", 0, 0, 0, 0, 5'000});
  report.memory_bytes_max = 1'610'612'736;
  report.warnings = {"One loop on two cores."};
  return report;
}

TEST(ReportText, IsAlignedAndNamesEveryUnit) {
  EXPECT_EQ(sample_report().to_text(),
            "sluice\n"
            "  listening on  127.0.0.1:8080\n"
            "                unix:/run/app.sock\n"
            "  backend       epoll\n"
            "  threads       1 loop, 16 pool threads, on 2 cores\n"
            "  memory        at most 1.5 GiB under these limits\n"
            "\n"
            "limits\n"
            "  connections_max                      10,000\n"
            "  head_timeout_ms                      10,000  10 s\n"
            "  drain_grace_ms                          100\n"
            "  head_bytes_max                       16,384  16 KiB\n"
            "  body_rate_min_bytes_per_second          240\n"
            "  buffered_bytes_max              268,435,456  256 MiB\n"
            "\n"
            "lanes (\"-\": none)\n"
            "  lane         runs on  in flight  reserved  queue  waits  budget\n"
            "  /users/{id}  pool            16         -    128  62 ms  250 ms\n"
            "  /hello       loop             -         -      -      -     5 s\n"
            "\n"
            "warnings\n"
            "  * One loop on two cores.\n");
}

TEST(ReportText, NamesPoolsAndWhoUsesThem) {
  Report report = sample_report();
  report.pools = {{"cpu", 2}};
  report.lanes.push_back({"/thumb", "pool", 2, 0, 64, 62, 250, "cpu"});
  const std::string text = report.to_text();
  EXPECT_NE(text.find("  pool cpu      2 threads\n"), std::string::npos) << text;
  EXPECT_NE(text.find("/thumb       pool cpu"), std::string::npos) << text;
  const Json json{report.to_json()};
  EXPECT_EQ(json.number("/pools/cpu"), 2U);
  EXPECT_EQ(json.text("/lanes/2/pool"), "cpu");
}

TEST(ReportText, LeavesOutWhatIsEmpty) {
  const std::string text = Report{}.to_text();
  EXPECT_EQ(text.find("\nlimits"), std::string::npos);
  EXPECT_EQ(text.find("lanes"), std::string::npos);
  EXPECT_EQ(text.find("warnings"), std::string::npos);
  EXPECT_NE(text.find("0 bytes"), std::string::npos);
}

TEST(ReportText, ShowsAmountsInTheUnitThatFits) {
  const auto memory = [](std::uint64_t bytes) {
    Report report;
    report.memory_bytes_max = bytes;
    return report.to_text();
  };
  EXPECT_NE(memory(1).find("most 1 byte under"), std::string::npos);
  EXPECT_NE(memory(1023).find("most 1023 bytes"), std::string::npos);
  EXPECT_NE(memory(1024).find("most 1 KiB"), std::string::npos);
  EXPECT_NE(memory(1024 * 1024 - 1).find("most 1 MiB"), std::string::npos);
  EXPECT_NE(memory(UINT64_MAX).find("most 16 EiB"), std::string::npos);
  Report report;
  report.limits = {{"a_ms", 1'500}, {"b_ms", 3'600'050}, {"bytes_per_second", 2048}};
  EXPECT_NE(report.to_text().find("1.5 s"), std::string::npos);
  EXPECT_NE(report.to_text().find("3,600.05 s"), std::string::npos);
  EXPECT_NE(report.to_text().find("2 KiB per second"), std::string::npos);
}

TEST(ReportJson, HasEverythingTheReportHas) {
  const Json json{sample_report().to_json()};
  EXPECT_EQ(json.keys(""), (std::vector<std::string>{"backend", "cores", "loops", "pool_threads", "pools", "addresses",
                                                     "limits", "lanes", "memory_bytes_max", "warnings"}));
  EXPECT_EQ(json.text("/backend"), "epoll");
  EXPECT_EQ(json.number("/cores"), 2U);
  EXPECT_EQ(json.number("/loops"), 1U);
  EXPECT_EQ(json.number("/pool_threads"), 16U);
  EXPECT_EQ(json.text("/addresses/1"), "unix:/run/app.sock");
  EXPECT_EQ(json.keys("/limits").size(), 6U);
  EXPECT_EQ(json.number("/limits/buffered_bytes_max"), 268'435'456U);
  EXPECT_EQ(json.text("/lanes/0/name"), "/users/{id}");
  EXPECT_EQ(json.text("/lanes/1/runs"), "loop");
  EXPECT_EQ(json.number("/lanes/0/in_flight_max"), 16U);
  EXPECT_EQ(json.number("/lanes/0/queue_depth_max"), 128U);
  EXPECT_EQ(json.number("/lanes/0/queue_timeout_ms"), 62U);
  EXPECT_EQ(json.number("/lanes/0/budget_ms"), 250U);
  EXPECT_EQ(json.number("/memory_bytes_max"), 1'610'612'736U);
  EXPECT_EQ(json.text("/warnings/0"), "One loop on two cores.");
}

TEST(ReportJson, IsValidWhenEmpty) {
  const Json json{Report{}.to_json()};
  EXPECT_TRUE(json.keys("/limits").empty());
}

}  // namespace
}  // namespace sluice
