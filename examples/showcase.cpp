// showcase.cpp: one server with a route for everything, written as any user's program would be. The demo, the probes and
// the benchmarks talk to it.
//
//   sluice-showcase --listen 127.0.0.1:8080        then: curl 127.0.0.1:8080/report
#include <sqlite3.h>  // used by user_store.hpp; named here, where the build looks for what a program needs
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <expected>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <simdjson.h>

#include <sluice/extra/files.hpp>
#include <sluice/extra/json.hpp>
#include <sluice/extra/recording.hpp>
#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>

#include "bodies.hpp"
#include "demo.hpp"
#include "later.hpp"
#include "user_store.hpp"

using namespace std::chrono_literals;
using sluice::Criticality, sluice::LaneOptions, sluice::Problem, sluice::Request, sluice::Responder, sluice::Response,
    sluice::Router, sluice::RouteOptions, sluice::Server, sluice::ServerOptions;

namespace {

constexpr int user_count = 5000;
constexpr std::size_t later_max = 20'000;  // answers owed at one time
constexpr std::uint64_t echo_bytes_max = 4 * 1024 * 1024;

// ---- handlers that are more than a line

Response echo(const Request& request) {
  Response response;
  if (request.has_header("content-type")) response.header("Content-Type", request.header("content-type"));
  return std::move(response).body(request.body());
}

Response total(std::int64_t x, std::int64_t y) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(x, y, &sum)) throw Problem{400, {}, "the total is too large for 64 bits"};
  sluice::JsonWriter out;
  out.begin_object().member("total", sum).end_object();
  return sluice::json(std::move(out).take());
}

// {"x":1,"y":2}, read in one pass without building a tree. simdjson has checked the UTF-8; what this program doesn't look
// at it skips.
Response plus(const Request& request) {
  thread_local simdjson::ondemand::parser parser;  // its buffers are worth keeping
  const simdjson::padded_string body{request.body()};
  std::optional<std::int64_t> x, y;
  const char* rest = nullptr;
  try {
    simdjson::ondemand::document document = parser.iterate(body);
    for (auto field : document.get_object()) {
      const std::string_view key = field.unescaped_key();
      if (key == "x") x = field.value().get_int64();
      else if (key == "y") y = field.value().get_int64();
    }
    if (document.current_location().get(rest) == simdjson::SUCCESS)
      throw Problem{400, {}, "there is more after the object"};
  } catch (const simdjson::simdjson_error& error) {
    throw Problem{400, {}, "the body must be an object like {\"x\":1,\"y\":2}"}.cause(error.what());
  }
  if (!x || !y) throw Problem{400, {}, "both \"x\" and \"y\" are needed"};
  return total(*x, *y);
}

Response sleep_for_ms(const Request& request) {
  const auto ms = std::min<std::uint32_t>(request.query<std::uint32_t>("ms"), 60'000);
  std::this_thread::sleep_for(std::chrono::milliseconds{ms});  // work that can't be cancelled, on purpose
  return sluice::text("slept " + std::to_string(ms) + " ms\n");
}

// Burns time of the processor, not of the wall: two that share a core take twice as long.
Response spin_for_us(const Request& request) {
  const auto us = std::min<std::uint32_t>(request.query<std::uint32_t>("us"), 5'000'000);
  const auto used = [] {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
  };
  const auto end = used() + std::chrono::microseconds{us};
  while (used() < end) continue;
  return sluice::text("spun for " + std::to_string(us) + " us\n");
}

Response find_user(UserStore& users, const Request& request) {
  const auto id = request.param<std::uint64_t>("id");  // not a number: 400
  if (id > INT64_MAX) throw Problem{404, {}, "no such user"};
  const auto user = users.with(request, [&](UserConnection& db) { return db.find(static_cast<std::int64_t>(id)); });
  if (!user) throw Problem{404, {}, "no such user"};
  sluice::JsonWriter out;
  out.begin_object().member("id", user->id).member("name", user->name).member("email", user->email).end_object();
  return sluice::json(std::move(out).take());
}

Response running_as_json(const Server& server) {
  sluice::JsonWriter out;
  out.begin_array();
  for (const sluice::RunningWork& work : server.running()) {
    out.begin_object().member("lane", work.lane).member("route", work.route).member("age_ms", work.age.count());
    out.member("zombie", work.zombie).end_object();
  }
  out.end_array();
  return sluice::json(std::move(out).take());
}

// ---- the routes

/// What handlers use. Outlives the server.
struct Parts {
  explicit Parts(unsigned user_connections) : users{user_connections, user_count} {}
  UserStore users;
  Later later{later_max};
  const Server* server = nullptr;  // set once it is made, before it serves: no handler ever sees it unset
};

void add_plain_routes(Router& app, Parts& parts) {
  app.get("/", [](const Request&) { return sluice::text("Hello, World!"); });
  app.post("/echo", echo, {.body_bytes_max = echo_bytes_max});
  app.post("/count", [](const Request& request) { return sluice::text(std::to_string(request.body().size())); },
           {.body_bytes_max = echo_bytes_max});
  const auto big = std::make_shared<const std::string>(65'536, 'x');
  app.get("/big", [big](const Request&) { return sluice::text("").body(sluice::SharedBytes{big}); });
  app.get("/math/plus", [](const Request& request) {
    return total(request.query<std::int64_t>("x"), request.query<std::int64_t>("y"));
  });
  app.post("/math/plus", plus);

  // Whoever watches over the server must get through exactly when nobody else does.
  const RouteOptions exempt{.criticality = Criticality::exempt};
  app.get("/health", [](const Request&) { return sluice::text("ok"); }, exempt);
  app.get("/counters", [&parts](const Request&) { return sluice::json(parts.server->counters().to_json()); }, exempt);
  app.get(
      "/ready",
      [&parts](const Request&) {
        const sluice::Readiness readiness = parts.server->ready();
        return readiness.ready ? sluice::text("ready") : sluice::text(readiness.reason).status(503);
      },
      exempt);
  app.get("/running", [&parts](const Request&) { return running_as_json(*parts.server); }, exempt);
  app.get("/report", [&parts](const Request&) { return sluice::json(parts.server->report().to_json()); }, exempt);
}

// The lanes share the pool's threads: each may take many, but "other" always finds its reserved four free, however
// many requests to the others there are.
void add_pool_routes(Router& app, Parts& parts, unsigned workers, unsigned user_connections) {
  app.lane("sleep", {.in_flight_max = std::min(16u, workers), .readiness = true});
  app.lane("other", {.in_flight_max = std::min(16u, workers), .reserved = std::min(4u, workers - 1)});
  app.lane("spin", {.in_flight_max = std::min(sluice::default_loops(), workers), .queue_depth_max = 64});
  app.lane("users", {.in_flight_max = user_connections});
  app.get("/sleep", sluice::blocking(sleep_for_ms), {.budget = 250ms, .lane = "sleep"});
  app.get("/other/sleep", sluice::blocking(sleep_for_ms), {.budget = 250ms, .lane = "other"});
  app.get("/spin", sluice::blocking(spin_for_us), {.lane = "spin"});
  app.get("/users/{id}", sluice::blocking([&parts](const Request& request) { return find_user(parts.users, request); }),
          {.lane = "users"});
}

// Work whose length is the client's: a lane of its own, and budgets in minutes.
void add_body_routes(Router& app, const std::string& site, unsigned workers) {
  app.lane("bodies", {.in_flight_max = std::max(1u, workers / 2)});
  app.lane("files", {.in_flight_max = std::max(1u, workers / 2)});
  constexpr std::uint64_t upload_bytes_max = std::uint64_t{4} << 30;
  app.post("/upload", sluice::blocking(sum_up),
           {.budget = 10min, .body_bytes_max = upload_bytes_max, .stream_body = true, .lane = "bodies"});
  app.get("/stream", sluice::blocking(stream_bytes), {.lane = "bodies"});
  app.post("/form", sluice::blocking(list_form),
           {.budget = 2min, .body_bytes_max = std::uint64_t{64} << 20, .stream_body = true, .lane = "bodies"});
  if (site.empty()) return;
  const RouteOptions files{.lane = "files"};
  app.get("/file", sluice::file(site + "/about.txt"), files);
  app.get("/static/{path...}", sluice::static_files(site, {.cache_control = "max-age=60"}), files);
}

void add_later_and_failing_routes(Router& app, Parts& parts) {
  app.lane("later", {.in_flight_max = later_max});
  app.get("/later",
          [&parts](const Request& request, Responder responder) {
            const auto ms = std::min<std::uint32_t>(request.query<std::uint32_t>("ms"), 60'000);
            parts.later.answer_in(std::chrono::milliseconds{ms}, std::move(responder),
                                  sluice::text("answered after " + std::to_string(ms) + " ms\n"));
          },
          {.lane = "later"});

  app.get("/throw",
          [](const Request&) -> Response { throw std::runtime_error{"this text goes to the log, not to the client"}; });
  app.get("/drop", [](const Request&, Responder) {});  // the last handle dies unanswered: 500, at once
  app.get("/raise", [](const Request&) -> std::expected<Response, Problem> {
    return std::unexpected(Problem{418, "I'm a teapot", "this one makes no coffee"});
  });
}

// ---- the program

struct Flags {
  std::vector<std::string> listen{"127.0.0.1:8080"};
  unsigned loops = sluice::default_loops();
  unsigned workers = 32;
  std::string site = SLUICE_EXAMPLES_SITE;
  std::string io = "auto";
  std::string record{};
  std::chrono::milliseconds::rep head_timeout_ms = 0;
  bool quiet = false, demo = false;
};

void describe(CLI::App& program, Flags& flags) {
  const auto range = [](int least, int most) { return CLI::Range(least, most).description(""); };
  program.add_option("--listen", flags.listen, "may be repeated, default: 127.0.0.1:8080")
      ->type_name("ADDR")
      ->allow_extra_args(false);
  program.add_option("--loops", flags.loops, "threads that read and write, default: one per core")
      ->type_name("N")
      ->check(range(1, 1024));
  program.add_option("--io", flags.io, "the kernel interface, default: auto")
      ->type_name("auto|epoll|io_uring")
      ->check(CLI::IsMember({"auto", "epoll", "io_uring"}).description(""));
  program.add_option("--workers", flags.workers, "threads for blocking handlers, default: 32")
      ->type_name("N")
      ->check(range(1, 4096));
  program
      .add_option("--site", flags.site,
                  "the folder behind /static, empty: none; default: the one beside this program's source")
      ->type_name("DIR");
  program
      .add_option("--head-timeout", flags.head_timeout_ms, "milliseconds a client may take to send a request's head")
      ->type_name("MS")
      ->check(range(1, 3'600'000));
  program.add_option("--record", flags.record, "writes down what comes, for sluice-sim")->type_name("FILE");
  program.add_flag("--quiet", flags.quiet, "no report and no log");
  program.add_flag("--demo", flags.demo, "the split screen at /demo: two more servers, and the load on them");
}

ServerOptions options_from(const Flags& flags) {
  ServerOptions options;
  options.listen = flags.listen;
  options.loops = flags.loops;
  options.pool_threads = flags.workers;
  if (flags.io == "epoll") options.backend = sluice::Backend::epoll;
  if (flags.io == "io_uring") options.backend = sluice::Backend::io_uring;  // not to be had: an error, not a fallback
  if (flags.head_timeout_ms > 0) {
    // One patience for everything a client may be slow at: a body that stalls is given up as a head that doesn't end
    // is, and a connection that says nothing soon afterwards.
    sluice::Limits& limits = options.limits;
    limits.head_timeout = std::chrono::milliseconds{flags.head_timeout_ms};
    limits.body_grace = std::min(limits.body_grace, limits.head_timeout);
    limits.idle_timeout = std::min(limits.idle_timeout, limits.head_timeout + 500ms);
  }
  if (!flags.quiet) {
    options.log = [](const sluice::LogEvent& event) {
      if (event.level == sluice::LogEvent::Level::info) return;
      std::fprintf(stderr, "%.*s %.*s %.*s\n", static_cast<int>(event.what.size()), event.what.data(),
                   static_cast<int>(event.route.size()), event.route.data(), static_cast<int>(event.detail.size()),
                   event.detail.data());
    };
  }
  return options;
}

int serve(const Flags& flags) {
  const unsigned user_connections = std::min(8u, flags.workers);
  Parts parts{user_connections};
  Router app;
  std::optional<sluice::Recording> recording;
  if (!flags.record.empty()) app.use(recording.emplace(sluice::RecordingOptions{.path = flags.record}).middleware());
  add_plain_routes(app, parts);
  add_pool_routes(app, parts, flags.workers, user_connections);
  add_later_and_failing_routes(app, parts);
  // A program that was moved away from its source does without.
  const bool has_site = flags.site != SLUICE_EXAMPLES_SITE || std::filesystem::is_directory(flags.site);
  add_body_routes(app, has_site ? flags.site : std::string{}, flags.workers);
  std::optional<demo::Demo> demo;
  if (flags.demo) {
    if (!has_site) throw std::runtime_error{"--demo needs the page in " + flags.site};
    const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    demo.emplace((here / "demo_load").string()).add_routes(app, flags.site);
  }

  Server server{std::move(app), options_from(flags)};
  parts.server = &server;
  {
    const sluice::DrainOnSignal drain_on_signal{server};  // first of all, so that every thread has the signals blocked
    parts.later.start();
    if (demo) demo->start();
    server.start();
    if (!flags.quiet) std::fprintf(stderr, "%s", server.report().to_text().c_str());
    for (const std::string& address : server.addresses()) std::fprintf(stderr, "listening on %s\n", address.c_str());
    server.wait();
  }
  const sluice::DrainReport drained = server.stop();  // it is over; this only asks what the drain found
  if (!flags.quiet) {
    std::fprintf(stderr, "drained: %llu requests in progress finished, %llu cut\n",
                 static_cast<unsigned long long>(drained.finished), static_cast<unsigned long long>(drained.cut));
    for (const auto& [route, count] : drained.still_running) {
      std::fprintf(stderr, "drained: %s still runs %llu times\n", route.c_str(),
                   static_cast<unsigned long long>(count));
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App program{"sluice-showcase: every feature of sluice behind one port"};
  describe(program, flags);
  CLI11_PARSE(program, argc, argv);
  try {
    return serve(flags);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sluice-showcase: %s\n", error.what());
    return 1;
  }
}
