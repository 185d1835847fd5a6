// Files that say something wrong: one sentence each, with the place and what is allowed there.
#include "sim/tool/scenario_file.hpp"

#include <gtest/gtest.h>

namespace sluice::sim {
namespace {

std::expected<Scenario, std::string> read(std::string_view json) {
  const auto tree = parse_tree(json);
  if (!tree) return std::unexpected{tree.error()};
  return scenario_of(*tree);
}

/// A file with one route, and whatever else.
std::string with(std::string_view more, std::string_view route = "") {
  return R"({"arrivals":{"rate_per_s":100},"routes":[{"name":"a","service":{"mean_ms":20})" + std::string{route} +
         "}]" + std::string{more} + '}';
}

TEST(SimScenarioFile, HasTheLibrarysDefaults) {
  const auto scenario = read(with(""));
  ASSERT_TRUE(scenario.has_value()) << scenario.error();
  EXPECT_EQ(scenario->routes.at(0).budget, std::chrono::seconds{5});
  EXPECT_EQ(scenario->routes.at(0).criticality, Criticality::critical);
  EXPECT_EQ(scenario->host.pool_threads, 16u);
  const auto& lane = scenario->host.lanes.at(0).settings;
  EXPECT_EQ(lane.limit, 16u) << "all threads, as the only lane";
  EXPECT_EQ(lane.depth_max, 256u);
  EXPECT_FALSE(lane.queue_timeout.has_value());
  const RouteOptions library;
  EXPECT_EQ(scenario->routes.at(0).budget, library.budget);
  EXPECT_EQ(lane.depth_max, LaneOptions{}.queue_depth_max);
}

TEST(SimScenarioFile, TwoLanesHaveThreeQuartersOfTheThreadsEach) {
  const auto scenario = read(R"({"arrivals":{"rate_per_s":1},"routes":[{"name":"a","service":{"mean_ms":1}},
    {"name":"b","service":{"mean_ms":1}},{"name":"c","service":{"mean_ms":1},"handler":"answers_later"}]})");
  ASSERT_TRUE(scenario.has_value()) << scenario.error();
  EXPECT_EQ(scenario->host.lanes.at(0).settings.limit, 12u);
  EXPECT_EQ(scenario->host.lanes.at(2).settings.limit, 10'000u);
}

TEST(SimScenarioFile, RoutesShareALane) {
  const auto scenario = read(R"({"arrivals":{"rate_per_s":1},"lanes":[{"name":"both","in_flight_max":4}],
    "routes":[{"name":"a","service":{"mean_ms":1},"lane":"both","budget_ms":100},
              {"name":"b","service":{"mean_ms":1},"lane":"both","budget_ms":300}]})");
  ASSERT_TRUE(scenario.has_value()) << scenario.error();
  EXPECT_EQ(scenario->host.lanes.size(), 1u);
  EXPECT_EQ(scenario->host.lanes[0].budget_max, std::chrono::milliseconds{300});
}

struct Fault {
  std::string json;
  std::string_view says;
};

TEST(SimScenarioFile, NamesThePlaceAndWhatIsAllowedThere) {
  const Fault faults[] = {
      {"", "is not valid JSON: "},
      {"[]", "must be an object"},
      {"{}", "arrivals: needs rate_per_s"},
      {R"({"arrivals":{"rate_per_s":1}})", "routes: must have at least one route"},
      {R"({"arrivals":{"rate_per_s":1},"routes":{}})", "routes: must be an array"},
      {with(R"(,"colour":1)"), "unknown key \"colour\"; known are description, seed, duration_s, "},
      {with(R"(,"duration_s":0)"), "duration_s: must be a number from 1 to 3600"},
      {with(R"(,"duration_s":"5s")"), "duration_s: must be a number from 1 to 3600"},
      {with(R"(,"warmup_s":30)"), "warmup_s: must be less than duration_s"},
      {with(R"(,"seed":1.5)"), "seed: must be a whole number from 0 to 1000000000"},
      {with("", R"(,"budget_ms":0)"), "routes[0].budget_ms: must be a number above 0, up to 3600000"},
      {with("", R"(,"in_flight_max":0)"), "routes[0].in_flight_max: must be a whole number from 1 to 65536"},
      {with(R"(,"pool_threads":8)", R"(,"in_flight_max":9)"),
       "routes[0].in_flight_max: is 9, more than the 8 of pool_threads"},
      {with("", R"(,"criticality":"high")"), "routes[0].criticality: must be one of \"sheddable\", "},
      {with("", R"(,"service":{"mean_ms":1})"), "routes[0]: the key \"service\" is there twice"},
      {with("", R"(,"lane":"x")"), "routes[0].lane: there is no lane \"x\" in lanes"},
      {with("", R"(,"depends_on":"db")"), "routes[0].depends_on: there is no dependency \"db\""},
      {with("", R"(,"adaptive_limit":{"min":4,"max":2})"), "routes[0].adaptive_limit: min must not be above max"},
      {with("", R"(,"adaptive_limit":{"min":1,"max":2},"in_flight_max":2)"),
       "routes[0]: in_flight_max must be left out where there is an adaptive_limit"},
      {with("", R"(,"reserved":17)"), "reserved: the lanes reserve 17 permits of 16 pool_threads"},
      {with("", R"(,"rate_limit":{"burst":2})"), "routes[0].rate_limit: needs per_second"},
      {with(R"(,"lanes":[{"name":"x"}])"), "lanes[0]: no route uses lane \"x\""},
      {with(R"(,"clients":[{"backoff":1}])"), "clients[0].backoff: must be true or false"},
      {with(R"(,"clients":[{},{}])"), "clients: two are named \"clients\""},
      {with(R"(,"dependencies":[{"name":"db"}])"), "dependencies[0]: needs a service"},
      {with(R"(,"servers":{"slow":{"server":2}})"), "servers.slow: server must be one of the 1 there are"},
      {with(R"(,"events":[{"at_s":1,"for_s":1,"route":"a"}])"), "events[0]: needs one of \"stall\": true, "},
      {with(R"(,"events":[{"at_s":1,"route":"a","stall":true}])"), "events[0]: needs for_s"},
      {with(R"(,"events":[{"at_s":1,"for_s":1,"stall":true}])"),
       "events[0]: needs one of dependency, route and server"},
      {with(R"(,"events":[{"at_s":1,"for_s":1,"route":"b","stall":true}])"),
       "events[0]: there is no dependency or route \"b\""},
      {with(R"(,"events":[{"at_s":29,"for_s":2,"route":"a","stall":true}])"), "events[0]: ends after duration_s"},
      {with(R"(,"events":[{"at_s":1,"for_s":1,"server":2,"slow":3}])"),
       "events[0].server: must be one of the 1 there are"},
      {with(R"(,"events":[{"at_s":2,"for_s":1,"route":"a","stall":true}])"),
       "events[0].at_s: must be later than warmup_s, or there is nothing before it"},
      {with(R"(,"servers":{"deploy":{"at_s":2}})"), "servers.deploy.at_s: must be later than warmup_s"},
      {with(R"(,"servers":{"deploy":{"at_s":30}})"),
       "servers.deploy.at_s: must be before duration_s; nothing would be seen of it"},
      {with(R"(,"lanes":[{"name":"x","handler":"answers_later"}])", R"(,"lane":"x","handler":"blocking")"),
       "routes[0]: what belongs to a lane (in_flight_max, handler, ...) must be said at lane \"x\""},
      {R"({"arrivals":{"pattern":"steps"},"routes":[{"name":"a","service":{"mean_ms":1}}]})",
       "arrivals: needs at least one of steps"},
      {R"({"arrivals":{"steps":[{"at_s":1,"rate_per_s":1},{"at_s":1,"rate_per_s":2}]},"routes":[]})",
       "arrivals.steps[1]: at_s must be later than that of the step before"},
      {R"({"arrivals":{"rate_per_s":1},"routes":[{"name":"a","service":{"samples_ms":[]}}]})",
       "routes[0].service.samples_ms: must have at least one time"},
      {R"({"arrivals":{"rate_per_s":1},"routes":[{"name":"a","service":{}}]})",
       "routes[0].service: needs mean_ms or samples_ms"},
      {R"({"arrivals":{"rate_per_s":1},"routes":[{"name":"a"}]})", "routes[0]: needs a service, or depends_on"},
      {R"({"arrivals":{"rate_per_s":1},"routes":[{"service":{"mean_ms":1}}]})", "routes[0]: needs a name"},
  };
  for (const Fault& fault : faults) {
    const auto scenario = read(fault.json);
    ASSERT_FALSE(scenario.has_value()) << fault.json;
    EXPECT_TRUE(scenario.error().starts_with(fault.says)) << fault.json << "\n says " << scenario.error();
    EXPECT_EQ(scenario.error().find('\n'), std::string::npos) << fault.json;
  }
}

TEST(SimScenarioFile, AKeyOfArrivalsThatWouldDoNothingIsRefusedWhereverItStands) {
  const std::pair<std::string_view, std::string_view> faults[] = {
      {R"("steps":[{"at_s":0,"rate_per_s":1}],"pattern":"burst")",
       "arrivals.steps: cannot be given with another pattern"},
      {R"("pattern":"burst","steps":[{"at_s":0,"rate_per_s":1}])",
       "arrivals.steps: cannot be given with another pattern"},
      {R"("steps":[{"at_s":0,"rate_per_s":1}],"rate_per_s":1)",
       "arrivals.rate_per_s: must be left out where there are"},
      {R"("rate_per_s":1,"steps":[{"at_s":0,"rate_per_s":1}])",
       "arrivals.rate_per_s: must be left out where there are"},
      {R"("rate_per_s":1,"high":2)", "arrivals.high: needs \"pattern\": \"burst\" or \"ramp\""},
      {R"("low":2,"rate_per_s":1,"pattern":"steady")", "arrivals.low: needs \"pattern\": \"burst\" or \"ramp\""},
      {R"("rate_per_s":1,"pattern":"ramp","on_s":2)", "arrivals.on_s: needs \"pattern\": \"burst\""},
      {R"("rate_per_s":1,"off_s":2)", "arrivals.off_s: needs \"pattern\": \"burst\""},
  };
  for (const auto& [arrivals, says] : faults) {
    const auto scenario =
        read(R"({"routes":[{"name":"a","service":{"mean_ms":1}}],"arrivals":{)" + std::string{arrivals} + "}}");
    ASSERT_FALSE(scenario.has_value()) << arrivals;
    EXPECT_TRUE(scenario.error().starts_with(says)) << scenario.error();
  }
  auto tree = parse_tree(with(""));
  ASSERT_TRUE(change(*tree, "arrivals.high", 4).has_value());
  EXPECT_FALSE(scenario_of(*tree).has_value()) << "as --what-if and --set do";
}

TEST(SimScenarioFile, RefusesMoreAttemptsThanItCanHold) {
  const auto scenario = [](std::string_view retries) {
    return read(with(R"(,"duration_s":3600,"clients":[{"share":3},{"name":"stubborn","retries":)" +
                     std::string{retries} + "}]"));
  };
  EXPECT_TRUE(check_size(*scenario("100")).has_value()) << "360,000 calls, a quarter of them with 101 attempts";
  auto many = *scenario("100");
  scale_load(many, 10);
  EXPECT_FALSE(check_size(many).has_value());
  auto few = *scenario("1");
  scale_load(few, 10);
  EXPECT_TRUE(check_size(few).has_value());
}

TEST(SimScenarioFile, RefusesMoreCallsThanItCanHold) {
  auto scenario = read(with(R"(,"duration_s":3600)"));
  ASSERT_TRUE(scenario.has_value());
  EXPECT_TRUE(check_size(*scenario).has_value());
  scale_load(*scenario, 1000);
  EXPECT_FALSE(check_size(*scenario).has_value());
}

TEST(SimScenarioFile, ChangesANumberByItsPath) {
  auto tree = parse_tree(with(""));
  ASSERT_TRUE(tree.has_value());
  ASSERT_TRUE(change(*tree, "routes.a.budget_ms", 70).has_value());
  ASSERT_TRUE(change(*tree, "in_flight_max", 3).has_value());
  ASSERT_TRUE(change(*tree, "servers.count", 2).has_value()) << "what is not there is made";
  const auto scenario = scenario_of(*tree);
  ASSERT_TRUE(scenario.has_value()) << scenario.error();
  EXPECT_EQ(scenario->routes[0].budget, std::chrono::milliseconds{70});
  EXPECT_EQ(scenario->host.lanes[0].settings.limit, 3u);
  EXPECT_EQ(scenario->servers.count, 2u);
  EXPECT_EQ(change(*tree, "routes.b.budget_ms", 1).error(), "routes.b.budget_ms: there is no entry with this name");
  EXPECT_EQ(change(*tree, "rooms.b", 1).error(), "rooms.b: there is no key \"rooms\"");
  EXPECT_FALSE(change(*tree, "routes..x", 1).has_value());
}

}  // namespace
}  // namespace sluice::sim
