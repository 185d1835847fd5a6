// server.cpp: a server to be overloaded. Its routes block until they are let go, take longer on demand, answer later or
// at the very end of their budget. Written as any user's program would be; run.py asks it.
//
//   overload-server --listen 127.0.0.1:8080 --loops 1
//   curl 127.0.0.1:8080/work                       20 ms on the pool; 16 permits make that 800 a second
//   curl -X POST '127.0.0.1:8080/factor?of=20'     from now on 400 ms
//   curl -X POST '127.0.0.1:8080/pace?of=0'        /paced stands still, what has begun there as well
#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/extra/json.hpp>
#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>

#include "later.hpp"

using namespace std::chrono_literals;
using sluice::Criticality, sluice::Request, sluice::Responder, sluice::Response, sluice::Router, sluice::RouteOptions,
    sluice::Server, sluice::ServerOptions;

namespace {

constexpr std::size_t later_max = 20'000;  // answers owed at one time
constexpr std::string_view told = "x-envoy-expected-rq-timeout-ms";
constexpr std::chrono::milliseconds budget = 250ms;  // of what blocks

// ---- what handlers use

/// Where handlers wait until they are let go, a minute at most.
class Wall {
 public:
  void wait() {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, 60s, [this, round = round_] { return open_ || round_ != round; });
  }
  /// Lets those go that wait now.
  void release() {
    const std::lock_guard lock{mutex_};
    ++round_;
    changed_.notify_all();
  }
  /// From now on nobody waits.
  void open() {
    const std::lock_guard lock{mutex_};
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned round_ = 0;
  bool open_ = false;
};

/// How fast work gets on. A change holds for what has begun as well.
class Pace {
 public:
  /// Returns when so much is done, or after a minute in which nothing was.
  void work(std::chrono::nanoseconds needs) {
    std::unique_lock lock{mutex_};
    while (needs > 0ns) {
      const std::uint32_t factor = factor_;
      const auto began = std::chrono::steady_clock::now();
      const bool changed =
          changed_.wait_for(lock, factor == 0 ? stillness_max : needs * factor, [&] { return factor_ != factor; });
      if (!changed) return;
      if (factor != 0) needs -= (std::chrono::steady_clock::now() - began) / factor;
    }
  }
  /// From now on everything takes so many times as long; 0: nothing gets on.
  void slow_down(std::uint32_t factor) {
    const std::lock_guard lock{mutex_};
    factor_ = factor;
    changed_.notify_all();
  }

 private:
  static constexpr std::chrono::nanoseconds stillness_max = 60s;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint32_t factor_ = 1;
};

/// What handlers share and count. Outlives the server.
struct Parts {
  Wall wall;
  Pace pace;
  std::array<Later, 2> later{Later{later_max}, Later{later_max}};  // two threads, so that answers race each other too
  std::atomic<std::uint32_t> factor{1};  // by which /work takes longer
  std::atomic<std::uint64_t> queue_entered{0};  // handlers of /queue
  std::atomic<std::uint64_t> later_entered{0};  // handlers of /later, and of those
  std::atomic<std::uint64_t> entered_late{0};  // behind their deadline
  std::atomic<std::uint64_t> entered_unclipped{0};  // with more time left than their client told
  const Server* server = nullptr;  // set before the server serves: no handler ever sees it unset
};

Response nap(std::chrono::milliseconds time) {
  std::this_thread::sleep_for(time);  // work that can't be cancelled, on purpose
  return sluice::text("done\n");
}

std::chrono::milliseconds milliseconds_of(const Request& request, std::uint32_t otherwise) {
  return std::chrono::milliseconds{std::min<std::uint32_t>(request.query<std::uint32_t>("ms", otherwise), 60'000)};
}

/// Looks at its own deadline before anything else.
void answer_later(Parts& parts, const Request& request, Responder responder) {
  const std::uint64_t number = parts.later_entered.fetch_add(1, std::memory_order_relaxed);
  if (std::chrono::steady_clock::now() > request.deadline()) ++parts.entered_late;
  if (const auto left = sluice::parse_value<std::uint32_t>(request.header(told));
      left && request.remaining() > std::chrono::milliseconds{*left}) {
    ++parts.entered_unclipped;
  }
  parts.later[number % parts.later.size()].answer_in(milliseconds_of(request, 40), std::move(responder),
                                                     sluice::text("later\n"));
}

/// Answers within a millisecond of the deadline, before or behind it: the budget's 504 and the answer race each other.
void answer_at_the_deadline(Parts& parts, const Request& request, Responder responder) {
  thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<int> around{-1000, 1000};
  const auto number = request.query<std::uint64_t>("n");
  parts.later[number % parts.later.size()].answer_at(request.deadline() + std::chrono::microseconds{around(random)},
                                                     std::move(responder),
                                                     sluice::text("race " + std::to_string(number) + "\n"));
}

// ---- the routes

void add_control_routes(Router& app, Parts& parts) {
  const RouteOptions exempt{.criticality = Criticality::exempt};
  app.get("/", [](const Request&) { return sluice::text("Hello, World!"); });
  app.get("/counters", [&parts](const Request&) { return sluice::json(parts.server->counters().to_json()); }, exempt);
  app.get("/report", [&parts](const Request&) { return sluice::json(parts.server->report().to_json()); }, exempt);
  app.get(
      "/state",
      [&parts](const Request&) {
        sluice::JsonWriter out;
        out.begin_object().member("queue_entered", parts.queue_entered.load());
        out.member("later_entered", parts.later_entered.load()).member("entered_late", parts.entered_late.load());
        out.member("entered_unclipped", parts.entered_unclipped.load()).end_object();
        return sluice::json(std::move(out).take());
      },
      exempt);
  app.post(
      "/factor",
      [&parts](const Request& request) {
        parts.factor = request.query<std::uint32_t>("of");
        return sluice::empty(204);
      },
      exempt);
  app.post(
      "/pace",
      [&parts](const Request& request) {
        parts.pace.slow_down(std::min<std::uint32_t>(request.query<std::uint32_t>("of"), 1000));
        return sluice::empty(204);
      },
      exempt);
  app.post(
      "/release",
      [&parts](const Request&) {
        parts.wall.release();
        return sluice::empty(204);
      },
      exempt);
}

/// What waits for /release.
void add_blocked_routes(Router& app, Parts& parts) {
  const auto blocked = [&parts](const Request&) {
    parts.wall.wait();
    return sluice::text("released\n");
  };
  app.lane("stalled", {.in_flight_max = 12});
  app.lane("full", {.in_flight_max = 1, .queue_depth_max = 1, .queue_timeout = 50s});
  app.lane("queue", {.in_flight_max = 4, .queue_depth_max = 2048, .queue_timeout = 30s});
  app.get("/stalled", sluice::blocking(blocked), {.budget = budget, .lane = "stalled"});
  app.get("/full", sluice::blocking(blocked), {.budget = 55s, .lane = "full"});
  app.get("/queue", sluice::blocking([&parts, blocked](const Request& request) {
            ++parts.queue_entered;
            return blocked(request);
          }),
          {.budget = 60s, .lane = "queue"});
}

/// What takes its time and no processor.
void add_working_routes(Router& app, Parts& parts) {
  app.lane("work", {.in_flight_max = 16});
  app.lane("reserved", {.in_flight_max = 4, .reserved = 4});
  app.lane("shared", {.in_flight_max = 16});
  const auto work = [&parts](const Request& request) {
    return nap(milliseconds_of(request, 20) * parts.factor.load());
  };
  const auto rest = [](const Request& request) { return nap(milliseconds_of(request, 20)); };
  app.get("/work", sluice::blocking(work), {.budget = budget, .lane = "work"});
  app.get("/reserved", sluice::blocking(rest), {.budget = budget, .lane = "reserved"});
  for (const auto& [name, criticality] :
       {std::pair{"critical", Criticality::critical}, std::pair{"sheddable", Criticality::sheddable}}) {
    app.get(std::string{"/shared/"} + name, sluice::blocking(rest),
            {.budget = budget, .criticality = criticality, .lane = "shared"});
  }
  app.lane("paced", {.in_flight_max = 16});
  app.get("/paced", sluice::blocking([&parts](const Request& request) {
            parts.pace.work(milliseconds_of(request, 20));
            return sluice::text("done\n");
          }),
          {.budget = budget, .lane = "paced"});
  app.lane("fair", {.in_flight_max = 16, .client_share = 0.25});
  app.get("/fair", sluice::blocking(rest), {.budget = budget, .lane = "fair"});
  for (const std::string name : {"a", "b", "c", "d"}) {
    app.lane("hammered-" + name, {.in_flight_max = 4});
    app.get("/hammered/" + name, sluice::blocking(rest), {.budget = budget, .lane = "hammered-" + name});
  }
  app.get("/failing",
          sluice::blocking([](const Request&) -> Response { throw std::runtime_error{"as it always does"}; }),
          {.lane = "work"});
}

void add_later_routes(Router& app, Parts& parts) {
  app.lane("later", {.in_flight_max = 512});
  app.lane("race", {.in_flight_max = later_max});
  app.get("/later",
          [&parts](const Request& request, Responder responder) { answer_later(parts, request, std::move(responder)); },
          {.lane = "later"});
  app.get("/race",
          [&parts](const Request& request, Responder responder) {
            answer_at_the_deadline(parts, request, std::move(responder));
          },
          {.budget = 5ms, .lane = "race"});
  const auto mebibyte = std::make_shared<const std::string>(1024 * 1024, 'x');
  app.get("/mebibyte", [mebibyte](const Request&) { return sluice::text("").body(sluice::SharedBytes{mebibyte}); });
}

// ---- the program

struct Flags {
  std::vector<std::string> listen{"127.0.0.1:8080"};
  unsigned loops = sluice::default_loops();
  unsigned workers = 80;
  std::chrono::milliseconds::rep head_timeout_ms = 10'000;
};

void describe(CLI::App& program, Flags& flags) {
  const auto range = [](int least, int most) { return CLI::Range(least, most).description(""); };
  program.add_option("--listen", flags.listen, "may be repeated, default: 127.0.0.1:8080")
      ->type_name("ADDR")
      ->allow_extra_args(false);
  program.add_option("--loops", flags.loops, "threads that read and write, default: one per core")
      ->type_name("N")
      ->check(range(1, 1024));
  program.add_option("--workers", flags.workers, "threads for what blocks, default: 80")
      ->type_name("N")
      ->check(range(16, 4096));
  program.add_option("--head-timeout", flags.head_timeout_ms, "milliseconds for a request's head, default: 10000")
      ->type_name("MS")
      ->check(range(1, 3'600'000));
}

int serve(const Flags& flags) {
  Parts parts;
  Router app;
  add_control_routes(app, parts);
  add_blocked_routes(app, parts);
  add_working_routes(app, parts);
  add_later_routes(app, parts);

  ServerOptions options{.listen = flags.listen, .loops = flags.loops, .pool_threads = flags.workers};
  options.limits.head_timeout = std::chrono::milliseconds{flags.head_timeout_ms};
  options.limits.drain_timeout = 2s;  // whoever is blocked at the wall is not worth waiting for
  options.client_key = [](const Request& request) { return std::string{request.header("x-client")}; };
  options.deadline_headers = {sluice::DeadlineHeader::envoy_expected_timeout()};

  Server server{std::move(app), std::move(options)};
  parts.server = &server;
  const sluice::DrainOnSignal drain_on_signal{server};  // before any other thread
  for (Later& later : parts.later) later.start();
  server.start();
  std::fprintf(stderr, "backend %s\n", std::string{server.backend()}.c_str());
  for (const std::string& address : server.addresses()) std::fprintf(stderr, "listening on %s\n", address.c_str());
  server.wait();
  parts.wall.open();  // or the server would wait for them
  parts.pace.slow_down(1);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App program{"overload-server: made to be asked for more than it can do"};
  describe(program, flags);
  CLI11_PARSE(program, argc, argv);
  try {
    return serve(flags);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "overload-server: %s\n", error.what());
    return 1;
  }
}
