// scenario_file.cpp: one table of keys per kind of object. Names are looked up when all of them are known, in link.cpp.
#include "sim/tool/scenario_file.hpp"

#include <algorithm>
#include <array>

#include "sim/tool/draft.hpp"

namespace sluice::sim {
namespace {

constexpr double ms_max = 3'600'000, s_max = 3'600, permits_max = 65'536;
constexpr std::size_t list_max = 64;
constexpr std::array<std::string_view, 12> top_keys{"description", "seed",         "duration_s", "warmup_s",
                                                    "arrivals",    "routes",       "lanes",      "pool_threads",
                                                    "clients",     "dependencies", "servers",    "events"};
constexpr std::array<std::string_view, 5> lane_keys{"in_flight_max", "queue_depth_max", "queue_timeout_ms", "reserved",
                                                    "client_share"};

Duration ms(const Value& value, Range range = {0, ms_max}) {
  return Duration{static_cast<std::int64_t>(read_number(value, range) * 1e6)};
}
Duration s(const Value& value, Range range = {0, s_max}) {
  return Duration{static_cast<std::int64_t>(read_number(value, range) * 1e9)};
}
template <class T>
void count(const Value& value, T& out, Range range) {
  out = static_cast<T>(read_count(value, range));
}

void read_service(const Value& value, Service& service) {
  std::string shape;
  bool shaped = false;
  read_object(value, {
                         {"distribution",
                          [&](const Value& it) {
                            shaped = true;
                            read_choice<Shape>(it, service.shape,
                                               {{"fixed", Shape::fixed},
                                                {"exp", Shape::exponential},
                                                {"bimodal", Shape::bimodal},
                                                {"pareto", Shape::pareto}});
                          }},
                         {"mean_ms", [&](const Value& it) { service.mean = ms(it, {0, ms_max, true}); }},
                         {"samples_ms",
                          [&](const Value& it) {
                            read_array(it, [&](const Value& one) { service.samples.push_back(ms(one)); });
                            if (service.samples.empty()) it.fail("must have at least one time");
                          }},
                     });
  const bool recorded = !service.samples.empty();
  if (recorded && (shaped || service.mean > Duration{0})) value.fail("has samples_ms and a distribution; give one");
  if (!recorded && service.mean == Duration{0}) value.fail("needs mean_ms or samples_ms");
}

void read_adaptive(const Value& value, std::optional<AdaptiveLimit>& out) {
  AdaptiveLimit limit;
  read_object(value, {
                         {"min", [&](const Value& it) { count(it, limit.min, {1, permits_max}); }},
                         {"max", [&](const Value& it) { count(it, limit.max, {1, permits_max}); }},
                     });
  if (limit.min > limit.max) value.fail("min must not be above max");
  out = limit;
}

/// What belongs to a lane, there or at a route with a lane of its own. False: it is not one of these keys.
bool read_lane_key(const Value& value, std::string_view key, LaneDraft& lane) {
  lane.given = true;
  if (key == "in_flight_max") lane.in_flight_max = static_cast<std::uint32_t>(read_count(value, {1, permits_max}));
  else if (key == "queue_depth_max") count(value, lane.queue_depth_max, {1, 65'536});
  else if (key == "queue_timeout_ms") {
    if (value.node.kind != Node::Kind::null) lane.queue_timeout = ms(value, {0, ms_max, true});
  } else if (key == "reserved") count(value, lane.reserved, {0, permits_max});
  else if (key == "client_share") lane.client_share = read_number(value, {0, 1, true});
  else if (key == "adaptive_limit") read_adaptive(value, lane.adaptive);
  else return false;
  return true;
}
Key lane_key(std::string_view key, LaneDraft& lane) {
  return {key, [key, &lane](const Value& it) { read_lane_key(it, key, lane); }};
}

void read_rate_limit(const Value& value, std::optional<RateLimit>& out) {
  RateLimit limit;
  read_object(value, {
                         {"per_second", [&](const Value& it) { limit.per_second = read_number(it, {0, 1e9, true}); }},
                         {"burst", [&](const Value& it) { count(it, limit.burst, {1, 1e6}); }},
                     });
  if (limit.per_second <= 0) value.fail("needs per_second");
  out = limit;
}

void read_route(const Value& value, Draft& draft) {
  RouteDraft& route = draft.routes.emplace_back();
  route.place = value.place;
  read_object(value, {
                         {"name", [&](const Value& it) { read_text(it, route.route.name); }},
                         {"share", [&](const Value& it) { route.route.share = read_number(it, {0, 1e9, true}); }},
                         {"service", [&](const Value& it) { read_service(it, route.route.service); }},
                         {"budget_ms", [&](const Value& it) { route.route.budget = ms(it, {0, ms_max, true}); }},
                         {"criticality",
                          [&](const Value& it) {
                            read_choice<Criticality>(it, route.route.criticality,
                                                     {{"sheddable", Criticality::sheddable},
                                                      {"sheddable_plus", Criticality::sheddable_plus},
                                                      {"critical", Criticality::critical},
                                                      {"critical_plus", Criticality::critical_plus},
                                                      {"exempt", Criticality::exempt}});
                          }},
                         {"handler",
                          [&](const Value& it) {
                            route.own.given = true;
                            read_choice<bool>(it, route.own.workers, {{"blocking", true}, {"answers_later", false}});
                          }},
                         {"rate_limit", [&](const Value& it) { read_rate_limit(it, route.route.rate_limit); }},
                         {"depends_on", [&](const Value& it) { read_text(it, route.depends_on); }},
                         {"lane", [&](const Value& it) { read_text(it, route.lane); }},
                         lane_key("in_flight_max", route.own),
                         lane_key("queue_depth_max", route.own),
                         lane_key("queue_timeout_ms", route.own),
                         lane_key("reserved", route.own),
                         lane_key("client_share", route.own),
                         lane_key("adaptive_limit", route.own),
                     });
  if (route.route.name.empty()) value.fail("needs a name");
}

void read_lane(const Value& value, Draft& draft) {
  LaneDraft& lane = draft.lanes.emplace_back();
  lane.place = value.place;
  read_object(value, {
                         {"name", [&](const Value& it) { read_text(it, lane.name); }},
                         {"handler",
                          [&](const Value& it) {
                            read_choice<bool>(it, lane.workers, {{"blocking", true}, {"answers_later", false}});
                          }},
                         lane_key("in_flight_max", lane),
                         lane_key("queue_depth_max", lane),
                         lane_key("queue_timeout_ms", lane),
                         lane_key("reserved", lane),
                         lane_key("client_share", lane),
                         lane_key("adaptive_limit", lane),
                     });
  if (lane.name.empty()) value.fail("needs a name");
}

void read_clients(const Value& value, Draft& draft) {
  ClientKind& kind = draft.scenario.clients.emplace_back();
  read_object(value, {
                         {"name", [&](const Value& it) { read_text(it, kind.name); }},
                         {"share", [&](const Value& it) { kind.share = read_number(it, {0, 1e9, true}); }},
                         {"count", [&](const Value& it) { count(it, kind.count, {1, 1e6}); }},
                         {"timeout_ms", [&](const Value& it) { kind.timeout = ms(it, {0, ms_max, true}); }},
                         {"retries", [&](const Value& it) { count(it, kind.retries, {0, 100}); }},
                         {"retry_delay_ms", [&](const Value& it) { kind.retry_delay = ms(it); }},
                         {"backoff", [&](const Value& it) { read_flag(it, kind.backoff); }},
                         {"give_up_ms", [&](const Value& it) { kind.give_up = ms(it, {0, ms_max, true}); }},
                     });
}

void read_dependency(const Value& value, Draft& draft) {
  Dependency& dependency = draft.scenario.dependencies.emplace_back();
  StationOptions& options = dependency.options;
  read_object(value, {
                         {"name", [&](const Value& it) { read_text(it, dependency.name); }},
                         {"service", [&](const Value& it) { read_service(it, dependency.service); }},
                         {"connections", [&](const Value& it) { count(it, options.connections, {1, permits_max}); }},
                         {"knee", [&](const Value& it) { count(it, options.knee, {1, permits_max}); }},
                         {"loss_per_job", [&](const Value& it) { options.loss_per_job = read_number(it, {0, 1}); }},
                     });
  if (dependency.name.empty()) value.fail("needs a name");
  if (dependency.service.none()) value.fail("needs a service");
}

void read_slow_server(const Value& value, Draft& draft) {
  Servers& servers = draft.scenario.servers;
  std::uint64_t number = 1;
  read_object(value, {
                         {"server", [&](const Value& it) { count(it, number, {1, 1000}); }},
                         {"factor", [&](const Value& it) { servers.slow_factor = read_number(it, {0.001, 1e6}); }},
                     });
  if (number > servers.count) value.fail("server must be one of the " + std::to_string(servers.count) + " there are");
  servers.slow = static_cast<std::uint32_t>(number - 1);
}

void read_deploy(const Value& value, Draft& draft) {
  Deploy& deploy = draft.scenario.servers.deploy.emplace();
  read_object(value, {
                         {"at_s", [&](const Value& it) { deploy.at = s(it); }},
                         {"notice_s", [&](const Value& it) { deploy.notice = s(it); }},
                         {"drain_s", [&](const Value& it) { deploy.drain_max = s(it); }},
                         {"down_s", [&](const Value& it) { deploy.down = s(it); }},
                     });
}

/// `count` first, since the others speak of it.
void read_servers(const Value& value, Draft& draft) {
  Servers& servers = draft.scenario.servers;
  if (const Node* const number = value.node.find("count")) {
    count(Value{*number, value.place + ".count", value.document}, servers.count, {1, 1000});
  }
  read_object(value, {
                         {"count", [](const Value&) {}},
                         {"balancer",
                          [&](const Value& it) {
                            read_choice<Balancer>(it, servers.balancer,
                                                  {{"round_robin", Balancer::round_robin},
                                                   {"random", Balancer::random},
                                                   {"least_in_flight", Balancer::least_in_flight}});
                          }},
                         {"slow", [&](const Value& it) { read_slow_server(it, draft); }},
                         {"deploy", [&](const Value& it) { read_deploy(it, draft); }},
                     });
}

void read_event(const Value& value, Draft& draft) {
  EventDraft& event = draft.events.emplace_back();
  event.place = value.place;
  int places = 0, effects = 0;
  const auto named = [&](Trouble::Where where) {
    return [&event, &places, where](const Value& it) {
      ++places;
      event.trouble.where = where;
      read_text(it, event.name);
    };
  };
  const auto effect = [&](Trouble::What what) {
    return [&event, &effects, what](const Value& it) {
      bool on = false;
      read_flag(it, on);
      if (on) event.trouble.what = what;
      effects += on ? 1 : 0;
    };
  };
  read_object(value, {
                         {"at_s", [&](const Value& it) { event.trouble.at = s(it); }},
                         {"for_s", [&](const Value& it) { event.trouble.length = s(it, {0, s_max, true}); }},
                         {"dependency", named(Trouble::Where::dependency)},
                         {"route", named(Trouble::Where::route)},
                         {"server",
                          [&](const Value& it) {
                            ++places;
                            event.trouble.where = Trouble::Where::server;
                            event.trouble.index = read_count(it, {1, 1000}) - 1;
                          }},
                         {"stall", effect(Trouble::What::stall)},
                         {"error", effect(Trouble::What::error)},
                         {"slow",
                          [&](const Value& it) {
                            ++effects;
                            event.trouble.what = Trouble::What::slow;
                            event.trouble.factor = read_number(it, {0.001, 1e6});
                          }},
                     });
  if (places != 1) value.fail("needs one of dependency, route and server");
  if (effects != 1) value.fail("needs one of \"stall\": true, \"error\": true and \"slow\": FACTOR");
  if (event.trouble.length == Duration{0}) value.fail("needs for_s");
}

void read_step(const Value& value, ArrivalsDraft& arrivals) {
  StepDraft& step = arrivals.steps.emplace_back();
  read_object(value, {
                         {"at_s", [&](const Value& it) { step.at_s = read_number(it, {0, s_max}); }},
                         {"rate_per_s", [&](const Value& it) { step.rate_per_s = read_number(it, {0, 1e6}); }},
                     });
  const std::size_t count = arrivals.steps.size();
  if (count > 1 && arrivals.steps[count - 2].at_s >= step.at_s)
    value.fail("at_s must be later than that of the step before");
}

void read_arrivals(const Value& value, ArrivalsDraft& arrivals) {
  using Kind = ArrivalsDraft::Kind;
  arrivals.given.insert(value.node.keys.begin(), value.node.keys.end());
  read_object(
      value,
      {
          {"rate_per_s", [&](const Value& it) { arrivals.rate_per_s = read_number(it, {0, 1e6, true}); }},
          {"spacing",
           [&](const Value& it) { read_choice<bool>(it, arrivals.poisson, {{"poisson", true}, {"constant", false}}); }},
          {"pattern",
           [&](const Value& it) {
             read_choice<Kind>(
                 it, arrivals.pattern.emplace(),
                 {{"steady", Kind::steady}, {"burst", Kind::burst}, {"ramp", Kind::ramp}, {"steps", Kind::steps}});
           }},
          {"low", [&](const Value& it) { arrivals.low = read_number(it, {0, 1e6}); }},
          {"high", [&](const Value& it) { arrivals.high = read_number(it, {0, 1e6}); }},
          {"on_s", [&](const Value& it) { arrivals.on_s = read_number(it, {0.1, s_max}); }},
          {"off_s", [&](const Value& it) { arrivals.off_s = read_number(it, {0.1, s_max}); }},
          {"steps", [&](const Value& it) { read_array(it, [&](const Value& step) { read_step(step, arrivals); }); }},
      });
}

template <class One>
Read list(One one, Draft& draft) {
  return [one, &draft](const Value& it) {
    if (it.node.children.size() > list_max) return it.fail("has more than " + std::to_string(list_max) + " entries");
    read_array(it, [&](const Value& entry) { one(entry, draft); });
  };
}

void read_top(const Value& value, Draft& draft) {
  Scenario& scenario = draft.scenario;
  read_object(value, {
                         {"description", [&](const Value& it) { read_text(it, scenario.description); }},
                         {"seed", [&](const Value& it) { scenario.seed = read_count(it, {0, 1e9}); }},
                         {"duration_s", [&](const Value& it) { scenario.duration = s(it, {1, s_max}); }},
                         {"warmup_s", [&](const Value& it) { scenario.warmup = s(it); }},
                         {"arrivals", [&](const Value& it) { read_arrivals(it, draft.arrivals); }},
                         {"routes", list(read_route, draft)},
                         {"lanes", list(read_lane, draft)},
                         {"pool_threads", [&](const Value& it) { draft.pool_threads = read_count(it, {1, 4096}); }},
                         {"clients", list(read_clients, draft)},
                         {"dependencies", list(read_dependency, draft)},
                         {"servers", [&](const Value& it) { read_servers(it, draft); }},
                         {"events", list(read_event, draft)},
                     });
}

bool has(const auto& keys, std::string_view key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); }

}  // namespace

std::expected<Scenario, std::string> scenario_of(const Node& root, bool replayed) {
  Draft draft;
  draft.replayed = replayed;
  Document document;
  read_top({root, {}, document}, draft);
  if (document.error.empty()) link(draft, document);
  if (!document.error.empty()) return std::unexpected{std::move(document.error)};
  return std::move(draft.scenario);
}

std::expected<void, std::string> change(Node& root, std::string_view path, double number) {
  const std::string_view first = path.substr(0, path.find('.'));
  if (first != path || has(top_keys, first)) {
    if (!has(top_keys, first))
      return std::unexpected{std::string{path} + ": there is no key \"" + std::string{first} + '"'};
    return put_number(root, path, number);
  }
  bool changed = false;
  for (const std::string_view list : {"routes", "lanes"}) {
    const Node* const entries = root.find(list);
    if (entries == nullptr || entries->kind != Node::Kind::array || (list == "lanes" && !has(lane_keys, path)))
      continue;
    for (std::size_t i = 0; i < entries->children.size(); ++i) {
      // What belongs to a lane is said there.
      if (has(lane_keys, path) && entries->children[i].find("lane") != nullptr) continue;
      const std::string whole = std::string{list} + '.' + std::to_string(i) + '.' + std::string{path};
      if (auto done = put_number(root, whole, number); !done) return done;
      changed = true;
    }
  }
  if (!changed) return std::unexpected{std::string{path} + ": there is no route to change"};
  return {};
}

}  // namespace sluice::sim
