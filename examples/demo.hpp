// demo.hpp: the split screen of the showcase: two servers, a LoadProcess that asks both for the same, and a page at /demo.
// In: settings from the page. Out: a sample of both sides every quarter of a second, at /demo/state.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <simdjson.h>

#include <sluice/extra/files.hpp>
#include <sluice/extra/json.hpp>
#include <sluice/sluice.hpp>

#include "demo_sides.hpp"
#include "load_process.hpp"

namespace demo {

using Clock = std::chrono::steady_clock;

constexpr int in_time_ms = 300;  // as demo_load counts
constexpr int patience_ms = 2000;  // of the usual clients; those in a hurry leave as soon as it is of no use any more
constexpr unsigned retries = 3;
constexpr double slow_readers_per_s = 20;  // more than their lines carry, so that none is ever idle
constexpr int window_ms = 250;  // of demo_load
constexpr std::size_t samples_max = 240;
constexpr double factor_usual = 0.7, factor_min = 0.5, factor_max = 10;

// What ends by itself, so that a page that was left alone does no harm.
constexpr auto stall_max = 60s;
constexpr auto unwatched_max = 10s;

struct Settings {
  double factor = factor_usual;  // of what the database can do
  bool retrying = false, hurried = false, slow_readers = false, stalled = false;

  bool operator==(const Settings&) const = default;
};

/// What demo_load says of one side in one window: see append_side there.
struct Seen {
  std::uint64_t planned = 0, good = 0, late = 0, shed = 0, timed_out = 0, gave_up = 0, other = 0, p50_us = 0,
                p99_us = 0, unsent = 0;

  friend std::istream& operator>>(std::istream& in, Seen& seen) {
    return in >> seen.planned >> seen.good >> seen.late >> seen.shed >> seen.timed_out >> seen.gave_up >> seen.other >>
           seen.p50_us >> seen.p99_us >> seen.unsent;
  }
};

struct Sample {
  std::uint64_t number = 0;
  double offered_per_s = 0;
  int patience_ms = 0;
  std::array<Seen, 2> seen{};
  std::array<Inside, 2> inside{};  // its counts are of this window alone
};

/// As many descriptors as the system allows, for both sides' connections; how many that are.
inline std::size_t raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

/// Of the load to each side. At three times the capacity 4,800 clients wait for two seconds.
inline unsigned connections_for(std::size_t descriptors) {
  constexpr std::size_t beside = 1000, least = 64, most = 6000;
  return static_cast<unsigned>(std::clamp(descriptors > beside ? (descriptors - beside) / 2 : 0, least, most));
}

/// What a page may change, and only a page of this server: a foreign one can send a POST as well as ours can.
///   Errors: throws Problem 403.
inline void check_origin(const sluice::Request& request) {
  const std::string_view host = request.header("host"), origin = request.header("origin"),
                         site = request.header("sec-fetch-site");
  const std::string_view name = host.substr(0, host.rfind(':'));
  const bool local = name == "127.0.0.1" || name == "localhost" || name == "[::1]";  // no name that leads here by DNS
  const bool own_origin = origin.empty() || origin == "http://" + std::string{host};
  const bool own_site = site.empty() || site == "same-origin" || site == "none";
  if (!local || !own_origin || !own_site) throw sluice::Problem{403, {}, "only the page at /demo may change the demo"};
}

/// {"factor":3,"stalled":true}: what isn't named stays as it is.
///   Errors: throws Problem 400.
inline Settings changed(Settings settings, std::string_view body) {
  thread_local simdjson::ondemand::parser parser;
  const simdjson::padded_string text{body};
  const std::pair<std::string_view, bool Settings::*> switches[] = {{"retrying", &Settings::retrying},
                                                                    {"hurried", &Settings::hurried},
                                                                    {"slow_readers", &Settings::slow_readers},
                                                                    {"stalled", &Settings::stalled}};
  const char* rest = nullptr;
  try {
    simdjson::ondemand::document document = parser.iterate(text);
    for (auto field : document.get_object()) {
      const std::string_view key = field.unescaped_key();
      const auto found = std::ranges::find(switches, key, [](const auto& entry) { return entry.first; });
      if (found != std::end(switches)) settings.*found->second = field.value().get_bool();
      else if (key == "factor") settings.factor = field.value().get_double();
      else throw sluice::Problem{400, {}, "there is no such setting"};
    }
    if (document.current_location().get(rest) == simdjson::SUCCESS)
      throw simdjson::simdjson_error{simdjson::TAPE_ERROR};
  } catch (const simdjson::simdjson_error& error) {
    throw sluice::Problem{400, {}, "the body must be an object like {\"factor\":3,\"stalled\":true}"}.cause(
        error.what());
  }
  if (!(settings.factor >= factor_min && settings.factor <= factor_max)) {
    throw sluice::Problem{400, {}, "factor must be 0.5 to 10"};
  }
  return settings;
}

/// Everything of the demo. Outlives the server that shows it.
class Demo {
 public:
  /// Errors: std::exception, as Server.
  explicit Demo(std::string load_program)
      : load_program_{std::move(load_program)},
        connections_{connections_for(raise_descriptor_limit())},
        left_{stall_, connections_ + 100},
        right_{stall_, connections_ + 100} {
    if (!std::filesystem::exists(load_program_)) {
      throw std::runtime_error{"the demo's load, " + load_program_ +
                               ", is missing: build the target example_demo_load"};
    }
  }
  Demo(const Demo&) = delete;
  Demo& operator=(const Demo&) = delete;
  ~Demo() {
    stall_.set(false);
    if (load_) load_->end();
    left_.forget();
  }

  /// Apart from the constructor, so that signals can be blocked before there are threads to catch them.
  void start() {
    left_.start();
    right_.start();
    const std::lock_guard lock{mutex_};  // it may speak before it is kept
    load_.emplace(
        std::vector<std::string>{load_program_, left_.address(), right_.address(), std::to_string(connections_)},
        [this](const std::string& line) { heard(line); });
  }

  void add_routes(sluice::Router& app, const std::string& site) {
    // No script but its own, and nothing from elsewhere.
    auto page = app.group("/demo").use([](sluice::Handler next) {
      return [next = std::move(next)](const sluice::Request& request, sluice::Responder responder) mutable {
        next(request, std::move(responder).edit([](sluice::Response& answer) {
          answer.header("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'");
          answer.header("X-Content-Type-Options", "nosniff");
        }));
      };
    });
    const sluice::FileOptions fresh{.cache_control = "no-cache"};
    page.get("", sluice::file(site + "/demo.html", fresh));
    page.get("/demo.css", sluice::file(site + "/demo.css", fresh));
    page.get("/demo.js", sluice::file(site + "/demo.js", fresh));
    const sluice::RouteOptions control{.criticality = sluice::Criticality::exempt, .body_bytes_max = 1024};
    page.get("/state", [this](const sluice::Request& request) { return state(request); }, control);
    page.post(
        "/set",
        [this](const sluice::Request& request) {
          check_origin(request);
          const std::lock_guard lock{mutex_};
          set(changed(settings_, request.body()));
          note_.clear();
          return sluice::empty(204);
        },
        control);
    page.post(
        "/restart",
        [this](const sluice::Request& request) {
          check_origin(request);
          const std::size_t lost = left_.forget();
          return sluice::json("{\"lost\":" + std::to_string(lost) + "}");
        },
        control);
  }

 private:
  // ---- under the mutex

  void set(const Settings& settings) {
    if (settings.stalled && !settings_.stalled) stalled_since_ = Clock::now();
    settings_ = settings;
    stall_.set(settings.stalled);
    tell_load();
  }

  void set_back(std::string note) {
    set(Settings{});
    note_ = std::move(note);
  }

  bool watched() const { return Clock::now() - last_look_ < unwatched_max; }

  /// What can't be told now is told with the next sample.
  void tell_load() {
    if (!load_) return;
    char line[128];
    const double rate = watched() ? settings_.factor * capacity_per_s : 0;
    std::snprintf(line, sizeof line, "%.1f %d %u %.1f\n", rate, settings_.hurried ? in_time_ms : patience_ms,
                  settings_.retrying ? retries : 0, watched() && settings_.slow_readers ? slow_readers_per_s : 0.0);
    if (line != told_ && load_->say(line)) told_ = line;
  }

  /// What must not go on for ever.
  void look_after() {
    if (left_.look().waiting > naive_depth_max) {
      set_back("More than 50,000 requests wait on the left, so the load went back to normal.");
    } else if (settings_.stalled && Clock::now() - stalled_since_ > stall_max) {
      Settings freed = settings_;
      freed.stalled = false;
      set(freed);
      note_ = "The database was stalled for a minute, so it was let go.";
    } else if (!watched() && settings_ != Settings{}) {
      set_back("Nobody was looking, so everything went back to normal.");
    }
    tell_load();
  }

  // ---- what comes from the load

  void heard(const std::string& line) {
    const std::lock_guard lock{mutex_};
    if (line.empty()) {
      load_ended_ = true;
      return;
    }
    Sample sample{.patience_ms = settings_.hurried ? in_time_ms : patience_ms};
    std::istringstream in{line};
    if (!(in >> sample.number >> sample.seen[0] >> sample.seen[1])) return;
    sample.offered_per_s = static_cast<double>(sample.seen[1].planned) * 1000 / window_ms;
    const std::array<Inside, 2> now{left_.look(), right_.look()};
    for (std::size_t side = 0; side < now.size(); ++side) {
      sample.inside[side] = now[side];
      sample.inside[side].for_nobody -= inside_before_[side].for_nobody;
      sample.inside[side].refused = now[side].refused - inside_before_[side].refused;
    }
    inside_before_ = now;
    samples_.push_back(sample);
    if (samples_.size() > samples_max) samples_.pop_front();
    look_after();
  }

  // ---- what goes to the page

  static double per_s(std::uint64_t count) { return static_cast<double>(count) * 1000 / window_ms; }

  static void write_side(sluice::JsonWriter& out, const Seen& seen, const Inside& inside) {
    out.begin_object();
    out.member("planned", per_s(seen.planned))
        .member("good", per_s(seen.good))
        .member("late", per_s(seen.late))
        .member("gave_up", per_s(seen.gave_up));
    out.member("s503", per_s(seen.shed)).member("s504", per_s(seen.timed_out)).member("other", per_s(seen.other));
    // Nothing: more than that many left without an answer, so it is more than their patience.
    const auto ms = [](std::uint64_t us) {
      return us > 0 ? std::optional{static_cast<double>(us) / 1000} : std::nullopt;
    };
    out.member("p50_ms", ms(seen.p50_us)).member("p99_ms", ms(seen.p99_us));
    out.member("asked", seen.good + seen.late + seen.gave_up > 0);
    out.member("waiting", inside.waiting).member("in_flight", inside.in_flight).member("zombies", inside.zombies);
    out.member("for_nobody", per_s(inside.for_nobody)).key("refused").begin_object();
    out.member("infeasible", per_s(inside.refused.infeasible)).member("queue_full", per_s(inside.refused.queue_full));
    out.member("made_room", per_s(inside.refused.made_room)).member("expired", per_s(inside.refused.expired));
    out.member("other", per_s(inside.refused.other)).end_object().end_object();
  }

  void write_facts(sluice::JsonWriter& out) const {
    out.key("facts").begin_object().member("capacity_per_s", capacity_per_s).member("in_time_ms", in_time_ms);
    out.member("patience_ms", patience_ms).member("database_connections", database_connections);
    out.member("query_ms", std::chrono::milliseconds{query_time}.count()).member("window_ms", window_ms);
    out.member("factor_min", factor_min).member("factor_max", factor_max).member("factor_usual", factor_usual);
    out.member("retries", retries).member("load_connections", connections_).end_object();
    out.key("settings").begin_object().member("factor", settings_.factor).member("retrying", settings_.retrying);
    out.member("hurried", settings_.hurried).member("slow_readers", settings_.slow_readers);
    out.member("stalled", settings_.stalled).end_object();
    out.member("note", note_).member("load_ended", load_ended_).key("ready").begin_object();
    for (const auto& [side, ready] : {std::pair{"left", left_.ready()}, std::pair{"right", right_.ready()}}) {
      out.key(side).begin_object().member("ready", ready.ready).member("reason", ready.reason).end_object();
    }
    out.end_object();
  }

  /// ?after=N: samples with a higher number only; all of them if N is from before a restart, higher than any.
  sluice::Response state(const sluice::Request& request) {
    auto after = request.query<std::int64_t>("after", -1);
    const std::lock_guard lock{mutex_};
    if (samples_.empty() || after > static_cast<std::int64_t>(samples_.back().number)) after = -1;
    last_look_ = Clock::now();
    tell_load();
    sluice::JsonWriter out;
    out.begin_object();
    write_facts(out);
    out.key("samples").begin_array();
    for (const Sample& sample : samples_) {
      if (static_cast<std::int64_t>(sample.number) <= after) continue;
      out.begin_object().member("number", sample.number).member("offered", sample.offered_per_s);
      out.member("patience_ms", sample.patience_ms).key("left");
      write_side(out, sample.seen[0], sample.inside[0]);
      write_side(out.key("right"), sample.seen[1], sample.inside[1]);
      out.end_object();
    }
    out.end_array().end_object();
    return sluice::json(std::move(out).take()).header("Cache-Control", "no-store");
  }

  const std::string load_program_;
  const unsigned connections_;
  Stall stall_;
  Left left_;
  Right right_;

  std::mutex mutex_;
  Settings settings_{};
  std::string note_;
  Clock::time_point last_look_{}, stalled_since_{};
  std::deque<Sample> samples_;
  std::array<Inside, 2> inside_before_{};
  std::string told_;
  bool load_ended_ = false;
  std::optional<LoadProcess> load_;  // last: its thread uses everything above
};

}  // namespace demo
