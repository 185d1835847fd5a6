// link.cpp: what a file's parts are to one another: names, lanes and the threads behind them, the rate over time.
#include <algorithm>
#include <set>

#include "sim/tool/draft.hpp"
#include "sim/tool/scenario_file.hpp"

namespace sluice::sim {
namespace {

constexpr std::uint32_t later_permits = 10'000;  // connections_max
constexpr std::uint64_t threads_least = 16;
constexpr std::size_t stretches_max = 100'000;

class Linker {
 public:
  Linker(Draft& draft, Document& document) : draft_{draft}, scenario_{draft.scenario}, document_{document} {}

  void run() {
    check_names();
    if (scenario_.clients.empty()) scenario_.clients.emplace_back();
    if (scenario_.warmup >= scenario_.duration) fail("warmup_s", "must be less than duration_s");
    stretch();
    if (draft_.routes.empty()) return fail("routes", "must have at least one route");
    choose_lanes();
    settle_threads();
    for (std::size_t i = 0; i < draft_.lanes.size(); ++i) settle(draft_.lanes[i]);
    for (std::size_t i = 0; i < draft_.routes.size(); ++i) finish(draft_.routes[i]);
    for (const EventDraft& event : draft_.events) finish(event);
    check_deploy();
  }

 private:
  void fail(const std::string& place, const std::string& problem) {
    if (document_.error.empty()) document_.error = place.empty() ? problem : place + ": " + problem;
  }

  template <class Entries, class Name>
  void check_distinct(const char* list, const Entries& entries, Name name) {
    std::set<std::string> seen;
    for (const auto& entry : entries) {
      if (!seen.insert(name(entry)).second) fail(list, "two are named \"" + name(entry) + '"');
    }
  }
  void check_names() {
    check_distinct("routes", draft_.routes, [](const RouteDraft& route) { return route.route.name; });
    check_distinct("lanes", draft_.lanes, [](const LaneDraft& lane) { return lane.name; });
    check_distinct("clients", scenario_.clients, [](const ClientKind& kind) { return kind.name; });
    check_distinct("dependencies", scenario_.dependencies, [](const Dependency& one) { return one.name; });
  }

  // ---- the rate over time

  /// A key that does nothing is refused: which one came first must not decide.
  bool check_keys(const ArrivalsDraft& from) {
    using Kind = ArrivalsDraft::Kind;
    const Kind kind = from.kind();
    struct Rule {
      const char* key;
      bool useful;
      const char* why;
    };
    const bool shaped = kind == Kind::burst || kind == Kind::ramp;
    const Rule rules[] = {
        {"steps", kind == Kind::steps, "cannot be given with another pattern"},
        {"rate_per_s", kind != Kind::steps, "must be left out where there are steps, which have their own"},
        {"low", shaped, "needs \"pattern\": \"burst\" or \"ramp\""},
        {"high", shaped, "needs \"pattern\": \"burst\" or \"ramp\""},
        {"on_s", kind == Kind::burst, "needs \"pattern\": \"burst\""},
        {"off_s", kind == Kind::burst, "needs \"pattern\": \"burst\""},
    };
    for (const Rule& rule : rules) {
      if (rule.useful || !from.given.contains(rule.key)) continue;
      fail(std::string{"arrivals."} + rule.key, rule.why);
      return false;
    }
    return true;
  }

  void stretch() {
    if (draft_.replayed) return;
    const ArrivalsDraft& from = draft_.arrivals;
    scenario_.arrivals.poisson = from.poisson;
    const ArrivalsDraft::Kind kind = from.kind();
    if (!check_keys(from)) return;
    const bool steps = kind == ArrivalsDraft::Kind::steps;
    if (steps && from.steps.empty()) return fail("arrivals", "needs at least one of steps");
    if (!steps && from.rate_per_s <= 0) return fail("arrivals", "needs rate_per_s");
    const double end = seconds(scenario_.duration);
    const double low = from.low * from.rate_per_s, high = from.high * from.rate_per_s;
    switch (kind) {
      case ArrivalsDraft::Kind::steady: return add(0, end, from.rate_per_s, from.rate_per_s);
      case ArrivalsDraft::Kind::ramp: return add(0, end, low, high);
      case ArrivalsDraft::Kind::burst:
        for (double at = 0; at < end; at += from.on_s + from.off_s) {
          add(at, at + from.on_s, high, high);
          add(at + from.on_s, at + from.on_s + from.off_s, low, low);
        }
        return;
      case ArrivalsDraft::Kind::steps:
        for (std::size_t i = 0; i < from.steps.size(); ++i) {
          const double until = i + 1 < from.steps.size() ? from.steps[i + 1].at_s : end;
          add(from.steps[i].at_s, until, from.steps[i].rate_per_s, from.steps[i].rate_per_s);
        }
        return;
    }
  }
  void add(double begin_s, double end_s, double from_per_s, double to_per_s) {
    const double last = std::min(end_s, seconds(scenario_.duration));
    if (begin_s >= last) return;
    if (scenario_.arrivals.stretches.size() == stretches_max) return fail("arrivals", "has too many bursts");
    scenario_.arrivals.stretches.push_back({begin_s, last, from_per_s, to_per_s});
  }

  // ---- lanes

  void choose_lanes() {
    const std::size_t shared = draft_.lanes.size();
    std::vector<bool> used(shared);
    for (RouteDraft& route : draft_.routes) {
      if (route.lane.empty()) {
        route.own.name = route.route.name;
        route.own.place = route.place;
        route.route.lane = draft_.lanes.size();
        draft_.lanes.push_back(route.own);
        continue;
      }
      const auto found = std::find_if(draft_.lanes.begin(), draft_.lanes.begin() + static_cast<std::ptrdiff_t>(shared),
                                      [&](const LaneDraft& lane) { return lane.name == route.lane; });
      if (found == draft_.lanes.begin() + static_cast<std::ptrdiff_t>(shared)) {
        return fail(route.place + ".lane", "there is no lane \"" + route.lane + "\" in lanes");
      }
      if (route.own.given) {
        return fail(route.place,
                    "what belongs to a lane (in_flight_max, handler, ...) must be said at lane \"" + route.lane + "\"");
      }
      route.route.lane = static_cast<std::size_t>(found - draft_.lanes.begin());
      used[route.route.lane] = true;
    }
    for (std::size_t i = 0; i < shared; ++i) {
      if (!used[i]) fail(draft_.lanes[i].place, "no route uses lane \"" + draft_.lanes[i].name + '"');
    }
  }

  /// As many as a machine of four processors or less has, or as one lane asks for.
  void settle_threads() {
    std::uint64_t threads = threads_least, reserved = 0;
    for (const LaneDraft& lane : draft_.lanes) {
      if (!lane.workers) continue;
      threads =
          std::max<std::uint64_t>({threads, lane.in_flight_max.value_or(1), lane.adaptive ? lane.adaptive->max : 1});
      reserved += lane.reserved;
    }
    scenario_.host.pool_threads = static_cast<unsigned>(draft_.pool_threads.value_or(threads));
    const unsigned have = scenario_.host.pool_threads;
    if (reserved >= have && reserved > 0) {
      fail("reserved", "the lanes reserve " + std::to_string(reserved) + " permits of " + std::to_string(have) +
                           " pool_threads; at least one must be left for the others");
    }
  }

  void settle(const LaneDraft& lane) {
    const std::uint32_t threads = scenario_.host.pool_threads;
    const auto blocking =
        std::count_if(draft_.lanes.begin(), draft_.lanes.end(), [](const LaneDraft& one) { return one.workers; });
    const std::uint32_t pool_share = blocking <= 1 ? threads : std::max(1u, threads * 3 / 4);
    if (lane.adaptive && lane.in_flight_max) {
      return fail(lane.place, "in_flight_max must be left out where there is an adaptive_limit");
    }
    LaneSpec spec;
    spec.workers = lane.workers;
    admission::Lane::Settings& settings = spec.settings;
    settings.name = lane.name;
    settings.limit = lane.in_flight_max.value_or(lane.workers ? pool_share : later_permits);
    settings.adaptive = lane.adaptive;
    if (lane.adaptive) settings.limit = std::clamp(settings.limit, lane.adaptive->min, lane.adaptive->max);
    settings.depth_max = lane.queue_depth_max;
    settings.queue_timeout = lane.queue_timeout;
    settings.reserved = lane.reserved;
    settings.client_share = lane.client_share;
    if (lane.workers && settings.limit_max() > threads) {
      return fail(lane.place + (lane.adaptive ? ".adaptive_limit.max" : ".in_flight_max"),
                  "is " + std::to_string(settings.limit_max()) + ", more than the " + std::to_string(threads) +
                      " of pool_threads");
    }
    if (lane.reserved > 0 && (!lane.workers || lane.reserved > (lane.adaptive ? lane.adaptive->min : settings.limit))) {
      return fail(lane.place + ".reserved", "must not be above in_flight_max, and is for blocking handlers only");
    }
    scenario_.host.lanes.push_back(std::move(spec));
  }

  // ---- routes and events

  template <class Entries>
  std::optional<std::size_t> index_of(const Entries& entries, const std::string& name) const {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].name == name) return i;
    }
    return std::nullopt;
  }

  void finish(RouteDraft& from) {
    if (!document_.error.empty()) return;
    Route& route = from.route;
    if (!from.depends_on.empty()) {
      route.dependency = index_of(scenario_.dependencies, from.depends_on);
      if (!route.dependency) { fail(from.place + ".depends_on", "there is no dependency \"" + from.depends_on + '"'); }
    }
    if (route.service.none() && !route.dependency) fail(from.place, "needs a service, or depends_on");
    Duration& longest = scenario_.host.lanes[route.lane].budget_max;
    longest = std::max(longest, route.budget);
    scenario_.host.rate_limits.push_back(route.rate_limit);
    scenario_.routes.push_back(std::move(route));
  }

  void finish(const EventDraft& from) {
    Trouble trouble = from.trouble;
    std::optional<std::size_t> index = trouble.index;
    if (trouble.where == Trouble::Where::dependency) index = index_of(scenario_.dependencies, from.name);
    if (trouble.where == Trouble::Where::route) index = index_of(scenario_.routes, from.name);
    if (!index) return fail(from.place, "there is no dependency or route \"" + from.name + '"');
    if (trouble.where == Trouble::Where::server && *index >= scenario_.servers.count) {
      return fail(from.place + ".server",
                  "must be one of the " + std::to_string(scenario_.servers.count) + " there are");
    }
    if (trouble.at + trouble.length > scenario_.duration) {
      return fail(from.place, "ends after duration_s; nothing would be seen of what comes then");
    }
    check_begin(from.place, trouble.at);
    trouble.index = *index;
    scenario_.troubles.push_back(trouble);
  }

  void check_begin(const std::string& place, Duration at) {
    if (at <= scenario_.warmup) fail(place + ".at_s", "must be later than warmup_s, or there is nothing before it");
  }
  void check_deploy() {
    const auto& deploy = scenario_.servers.deploy;
    if (!deploy) return;
    if (deploy->at >= scenario_.duration) {
      return fail("servers.deploy.at_s", "must be before duration_s; nothing would be seen of it");
    }
    check_begin("servers.deploy", deploy->at);
  }

  Draft& draft_;
  Scenario& scenario_;
  Document& document_;
};

}  // namespace

void link(Draft& draft, Document& document) { Linker{draft, document}.run(); }

void scale_load(Scenario& scenario, double factor) {
  for (Stretch& stretch : scenario.arrivals.stretches) {
    stretch.from_per_s *= factor;
    stretch.to_per_s *= factor;
  }
}

std::expected<void, std::string> check_size(const Scenario& scenario) {
  double shares = 0, attempts = 0;  // of a call, if none has luck
  for (const ClientKind& kind : scenario.clients) shares += kind.share;
  for (const ClientKind& kind : scenario.clients) attempts += kind.share / shares * (1.0 + kind.retries);
  if (expected_calls(scenario) * attempts > static_cast<double>(calls_max)) {
    return std::unexpected{"arrivals: more than " + std::to_string(calls_max) +
                           " attempts could come; lower rate_per_s, duration_s or retries"};
  }
  return {};
}

}  // namespace sluice::sim
