// Every limit: finite and above 0 by default, refused by name when it is 0 or beyond what can be meant, and listed in
// the report. A limit that is added to Limits without a row here fails the test that counts them.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <sluice/sluice.hpp>

#include "admission/pool.hpp"
#include "base/clock.hpp"
#include "server/core.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

Router one_route() {
  Router app;
  app.get("/", [](const Request&) { return text("x"); });
  return app;
}

Handler pool_handler() {
  return blocking([](const Request&) { return text("x"); });
}
Handler later_handler() {
  return [](const Request&, Responder responder) { responder.respond(text("x")); };
}

std::unique_ptr<detail::Core> core_of(Router app, ServerOptions options) {
  return std::make_unique<detail::Core>(
      detail::RouterState::take(std::move(app)), std::move(options), base::system_clock(),
      [](unsigned threads) { return std::make_unique<admission::ThreadHost>(threads); });
}

/// The sentence with which this configuration is refused; empty if it is not.
std::string refusal(const std::function<Router()>& router, ServerOptions options = {}) {
  try {
    core_of(router(), std::move(options));
  } catch (const std::invalid_argument& error) { return error.what(); }
  return {};
}

std::string refusal(const std::function<void(ServerOptions&)>& change) {
  ServerOptions options;
  change(options);
  return refusal(one_route, options);
}

/// One numeric option, seen as a number.
struct Option {
  const char* name;         // as it stands in the sentence
  const char* report_name;  // as it stands in the report; nullptr: a field of its own there
  std::function<std::uint64_t(const ServerOptions&)> read;
  std::function<void(ServerOptions&, std::uint64_t)> write;
  bool is_time;
};

template <class T>
Option number(const char* name, const char* report_name, T Limits::* field) {
  return {name, report_name, [field](const ServerOptions& o) { return std::uint64_t{o.limits.*field}; },
          [field](ServerOptions& o, std::uint64_t v) { o.limits.*field = static_cast<T>(v); }, false};
}
Option duration(const char* name, const char* report_name, milliseconds Limits::* field) {
  return {name, report_name,
          [field](const ServerOptions& o) { return static_cast<std::uint64_t>((o.limits.*field).count()); },
          [field](ServerOptions& o, std::uint64_t v) { o.limits.*field = milliseconds{v}; }, true};
}
Option threads(const char* name, unsigned ServerOptions::* field) {
  return {name, nullptr, [field](const ServerOptions& o) { return std::uint64_t{o.*field}; },
          [field](ServerOptions& o, std::uint64_t v) { o.*field = static_cast<unsigned>(v); }, false};
}

std::vector<Option> all_options() {
  return {threads("loops", &ServerOptions::loops),
          threads("pool_threads", &ServerOptions::pool_threads),
          number("limits.connections_max", "connections_max", &Limits::connections_max),
          number("limits.connection_in_flight_max", "connection_in_flight_max", &Limits::connection_in_flight_max),
          duration("limits.head_timeout", "head_timeout_ms", &Limits::head_timeout),
          number("limits.head_bytes_max", "head_bytes_max", &Limits::head_bytes_max),
          number("limits.head_fields_max", "head_fields_max", &Limits::head_fields_max),
          number("limits.target_bytes_max", "target_bytes_max", &Limits::target_bytes_max),
          number("limits.body_bytes_max", "body_bytes_max", &Limits::body_bytes_max),
          duration("limits.body_timeout", "body_timeout_ms", &Limits::body_timeout),
          number("limits.body_rate_min", "body_rate_min_bytes_per_second", &Limits::body_rate_min),
          duration("limits.body_grace", "body_grace_ms", &Limits::body_grace),
          number("limits.body_window_bytes", "body_window_bytes", &Limits::body_window_bytes),
          duration("limits.idle_timeout", "idle_timeout_ms", &Limits::idle_timeout),
          duration("limits.write_timeout", "write_timeout_ms", &Limits::write_timeout),
          number("limits.output_high_water", "output_high_water_bytes", &Limits::output_high_water),
          number("limits.pipelined_max", "pipelined_max", &Limits::pipelined_max),
          number("limits.pipelined_bytes_max", "pipelined_bytes_max", &Limits::pipelined_bytes_max),
          duration("limits.linger_timeout", "linger_timeout_ms", &Limits::linger_timeout),
          number("limits.linger_bytes_max", "linger_bytes_max", &Limits::linger_bytes_max),
          number("limits.buffered_bytes_max", "buffered_bytes_max", &Limits::buffered_bytes_max),
          duration("limits.drain_timeout", "drain_timeout_ms", &Limits::drain_timeout),
          duration("limits.drain_grace", "drain_grace_ms", &Limits::drain_grace),
          {"loop_stall_threshold", "loop_stall_threshold_ms",
           [](const ServerOptions& o) { return static_cast<std::uint64_t>(o.loop_stall_threshold.count()); },
           [](ServerOptions& o, std::uint64_t v) { o.loop_stall_threshold = milliseconds{v}; }, true}};
}

TEST(Limit, NoneIsZeroOrInfiniteByDefault) {
  const ServerOptions defaults;
  for (const Option& option : all_options()) {
    EXPECT_GT(option.read(defaults), 0u) << option.name;
    EXPECT_LE(option.read(defaults), std::uint64_t{1} << 30) << option.name;
  }
  EXPECT_GT(RouteOptions{}.budget, 0ms);
  EXPECT_LE(RouteOptions{}.budget, 60s);
  EXPECT_GT(LaneOptions{}.queue_depth_max, 0u);
  EXPECT_LE(LaneOptions{}.queue_depth_max, 65'536u);
}

TEST(Limit, EachIsRefusedByNameWhenItIsZero) {
  for (const Option& option : all_options()) {
    const std::string sentence = refusal([&](ServerOptions& o) { option.write(o, 0); });
    EXPECT_EQ(sentence, std::string{option.name} + " must be above 0");
  }
}

TEST(Limit, TimesBelowZeroAreRefused) {
  for (const Option& option : all_options()) {
    if (!option.is_time) continue;
    EXPECT_NE(refusal([&](ServerOptions& o) { option.write(o, static_cast<std::uint64_t>(-5)); }), "") << option.name;
  }
}

TEST(Limit, TimesThatOverflowAClockAreRefusedByName) {
  for (const Option& option : all_options()) {
    if (!option.is_time) continue;
    const std::string sentence =
        refusal([&](ServerOptions& o) { option.write(o, static_cast<std::uint64_t>(milliseconds::max().count())); });
    EXPECT_NE(sentence.find(option.name), std::string::npos) << option.name << ": " << sentence;
  }
}

TEST(Limit, SizesBeyondWhatTheFormatsHoldAreRefusedByName) {
  const std::vector<std::pair<const char*, std::uint64_t>> too_large = {{"loops", 1025},
                                                                        {"pool_threads", 4097},
                                                                        {"limits.connections_max", (1u << 24) + 1},
                                                                        {"limits.head_bytes_max", 65'536},
                                                                        {"limits.head_fields_max", 129},
                                                                        {"limits.target_bytes_max", 16 * 1024 + 1}};
  const std::vector<Option> options = all_options();
  for (const auto& [name, value] : too_large) {
    const auto option =
        std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.name == std::string_view{name}; });
    const std::string sentence = refusal([&](ServerOptions& o) { option->write(o, value); });
    EXPECT_TRUE(sentence.starts_with(std::string{name} + " must not be above")) << name << ": " << sentence;
  }
}

TEST(Limit, PipelinedBytesHoldAtLeastOneHead) {
  EXPECT_NE(refusal([](ServerOptions& o) {
              o.limits.pipelined_bytes_max = o.limits.head_bytes_max - 1;
            }).find("limits.pipelined_bytes_max"),
            std::string::npos);
}

TEST(Limit, EachStandsInTheReportWithItsValue) {
  ServerOptions options;
  std::uint64_t value = 20'000;  // another one for each, and legal for each
  for (const Option& option : all_options()) {
    if (option.name == std::string_view{"limits.head_fields_max"}) option.write(options, 77);
    else if (option.name == std::string_view{"limits.target_bytes_max"}) option.write(options, 7'777);
    else if (option.report_name != nullptr) option.write(options, ++value);
  }
  options.loops = 3;
  options.pool_threads = 5;
  const Report report = core_of(one_route(), options)->report();
  EXPECT_EQ(report.loops, 3u);
  EXPECT_EQ(report.pool_threads, 5u);
  std::size_t listed = 0;
  for (const Option& option : all_options()) {
    if (option.report_name == nullptr) continue;
    ++listed;
    const auto found = std::find_if(report.limits.begin(), report.limits.end(),
                                    [&](const auto& limit) { return limit.first == option.report_name; });
    ASSERT_NE(found, report.limits.end()) << option.report_name;
    EXPECT_EQ(found->second, option.read(options)) << option.report_name;
  }
  EXPECT_EQ(report.limits.size(), listed);  // and nothing that this test does not know
}

// ---- routes and lanes

struct RouteRow {
  const char* name;
  std::function<void(RouteOptions&)> change;
};

TEST(RouteLimit, EachIsRefusedByNameWhenItIsZero) {
  const RouteRow rows[] = {{"budget", [](RouteOptions& o) { o.budget = 0ms; }},
                           {"in_flight_max", [](RouteOptions& o) { o.in_flight_max = 0; }},
                           {"queue_depth_max", [](RouteOptions& o) { o.queue_depth_max = 0; }},
                           {"queue_timeout", [](RouteOptions& o) { o.queue_timeout = 0ms; }},
                           {"body_bytes_max", [](RouteOptions& o) { o.body_bytes_max = 0; }}};
  for (const RouteRow& row : rows) {
    const std::string sentence = refusal([&] {
      Router app;
      RouteOptions options;
      row.change(options);
      app.get("/route", pool_handler(), options);
      return app;
    });
    EXPECT_NE(sentence.find(std::string{row.name} + " must be above 0"), std::string::npos)
        << row.name << ": " << sentence;
    EXPECT_NE(sentence.find("/route"), std::string::npos) << sentence;
  }
}

TEST(RouteLimit, WhatIsTooLargeIsRefusedByName) {
  const RouteRow rows[] = {{"budget", [](RouteOptions& o) { o.budget = milliseconds::max(); }},
                           {"in_flight_max", [](RouteOptions& o) { o.in_flight_max = 1'000'000; }},
                           {"queue_depth_max", [](RouteOptions& o) { o.queue_depth_max = 65'537; }},
                           {"queue_timeout", [](RouteOptions& o) { o.queue_timeout = o.budget + 1ms; }},
                           {"reserved", [](RouteOptions& o) { o.in_flight_max = 2, o.reserved = 3; }}};
  for (const RouteRow& row : rows) {
    const std::string sentence = refusal([&] {
      Router app;
      RouteOptions options;
      row.change(options);
      app.get("/route", pool_handler(), options);
      return app;
    });
    EXPECT_NE(sentence.find(row.name), std::string::npos) << row.name << ": " << sentence;
    EXPECT_NE(sentence.find("/route"), std::string::npos) << sentence;
  }
}

TEST(LaneLimit, EachIsRefusedByName) {
  const std::vector<std::pair<const char*, LaneOptions>> rows = {
      {"in_flight_max", {.in_flight_max = 0}},
      {"queue_depth_max", {.queue_depth_max = 0}},
      {"queue_depth_max", {.queue_depth_max = 65'537}},
      {"queue_timeout", {.queue_timeout = 0ms}},
      {"queue_timeout", {.queue_timeout = milliseconds::max()}},
      {"in_flight_max", {.in_flight_max = 1'000'000}},
      {"reserved", {.in_flight_max = 1, .reserved = 2}}};
  for (const auto& [name, options] : rows) {
    const std::string sentence = refusal([&] {
      Router app;
      app.lane("db", options);
      app.get("/route", pool_handler(), {.lane = "db"});
      return app;
    });
    EXPECT_NE(sentence.find(name), std::string::npos) << name << ": " << sentence;
    EXPECT_TRUE(sentence.starts_with("lane db")) << sentence;
  }
}

TEST(LaneLimit, RoutesAndLanesMustFitTogether) {
  const auto with_lane = [](auto&& fill) {
    return refusal([&] {
      Router app;
      app.lane("db", {});
      fill(app);
      return app;
    });
  };
  EXPECT_NE(refusal([] {
              Router app;
              app.get("/", pool_handler(), {.lane = "nowhere"});
              return app;
            }).find("lane nowhere was not declared"),
            std::string::npos);
  EXPECT_NE(with_lane([](Router&) {}).find("lane db: no route uses it"), std::string::npos);
  EXPECT_NE(with_lane([](Router& app) {
              app.get("/", pool_handler(), {.in_flight_max = 3, .lane = "db"});
            }).find("belong to the shared lane"),
            std::string::npos);
  EXPECT_NE(with_lane([](Router& app) {
              app.get("/a", pool_handler(), {.lane = "db"}).get("/b", later_handler(), {.lane = "db"});
            }).find("run in different places"),
            std::string::npos);
  EXPECT_NE(with_lane([](Router& app) { app.lane("db", {}); }).find("declared twice"), std::string::npos);
}

TEST(LaneLimit, ReservedPermitsMustLeaveAThreadForTheOthers) {
  ServerOptions options;
  options.pool_threads = 4;
  const auto router = [](std::uint32_t reserved, bool others) {
    return [=] {
      Router app;
      app.get("/own", pool_handler(), {.in_flight_max = reserved, .reserved = reserved});
      if (others) app.get("/other", pool_handler());
      return app;
    };
  };
  EXPECT_EQ(refusal(router(3, true), options), "");
  EXPECT_EQ(refusal(router(4, false), options), "");
  EXPECT_TRUE(refusal(router(4, true), options).starts_with("reserved:"));
}

// ---- what the report says

TEST(Report, WorstCaseMemoryGrowsWithEveryLimitThatHoldsBytes) {
  const auto memory = [](const std::function<void(ServerOptions&)>& change) {
    ServerOptions options;
    options.loops = 2;
    options.pool_threads = 8;
    change(options);
    return core_of(one_route(), options)->report().memory_bytes_max;
  };
  const std::uint64_t plain = memory([](ServerOptions&) {});
  EXPECT_GT(plain, 256u * 1024 * 1024);
  EXPECT_GT(memory([](ServerOptions& o) { o.limits.connections_max *= 2; }), plain);
  EXPECT_GT(memory([](ServerOptions& o) { o.limits.buffered_bytes_max *= 2; }), plain);
  EXPECT_GT(memory([](ServerOptions& o) { o.limits.body_bytes_max *= 2; }), plain);
  EXPECT_GT(memory([](ServerOptions& o) { o.limits.pipelined_bytes_max *= 2; }), plain);
  EXPECT_GT(memory([](ServerOptions& o) { o.loops *= 2; }), plain);
  EXPECT_GT(memory([](ServerOptions& o) { o.pool_threads *= 2; }), plain);
}

TEST(Report, ListsEveryLaneWithWhatIsInForce) {
  Router app;
  app.get("/loop", [](const Request&) { return text("x"); });
  app.get("/pool", pool_handler(), {.budget = 2s, .in_flight_max = 3, .queue_depth_max = 9, .queue_timeout = 40ms});
  app.get("/later", later_handler(), {.in_flight_max = 7});
  const Report report = core_of(std::move(app), {})->report();
  ASSERT_EQ(report.lanes.size(), 3u);
  EXPECT_EQ(report.lanes[0].runs, "loop");
  EXPECT_EQ(report.lanes[1].name, "GET /pool");
  EXPECT_EQ(report.lanes[1].runs, "pool");
  EXPECT_EQ(report.lanes[1].in_flight_max, 3u);
  EXPECT_EQ(report.lanes[1].queue_depth_max, 9u);
  EXPECT_EQ(report.lanes[1].queue_timeout_ms, 40u);
  EXPECT_EQ(report.lanes[1].budget_ms, 2000u);
  EXPECT_EQ(report.lanes[2].runs, "later");
  EXPECT_EQ(report.lanes[2].in_flight_max, 7u);
}

TEST(Report, BlockingRoutesShareThePoolByDefault) {
  ServerOptions options;
  options.pool_threads = 16;
  Router alone;
  alone.get("/a", pool_handler());
  EXPECT_EQ(core_of(std::move(alone), options)->report().lanes[0].in_flight_max, 16u);
  Router two;
  two.get("/a", pool_handler()).get("/b", pool_handler());
  EXPECT_EQ(core_of(std::move(two), options)->report().lanes[0].in_flight_max, 12u);
}

TEST(Report, WarnsOfLoopsWithoutACoreAndOfAQueueThatCannotBeWorkedOff) {
  ServerOptions options;
  options.loops = default_loops() + 1;
  Router app;
  app.get("/a", pool_handler(), {.budget = 400ms, .in_flight_max = 1, .queue_depth_max = 10'000});
  const Report report = core_of(std::move(app), options)->report();
  ASSERT_EQ(report.warnings.size(), 2u);
  EXPECT_TRUE(report.warnings[0].starts_with("loops "));
  EXPECT_TRUE(report.warnings[1].starts_with("lane GET /a: queue_depth_max 10000"));
  ServerOptions usual;
  usual.loops = 1;
  EXPECT_TRUE(core_of(one_route(), usual)->report().warnings.empty());
}

}  // namespace
}  // namespace sluice
