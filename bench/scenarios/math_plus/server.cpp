// server.cpp: adds two numbers, in every style a handler can have, so that the styles can be compared. Written as any
// user's program would be; run.py measures it.
//
//   math-plus-server --listen 127.0.0.1:8080 --loops 1 --middleware 8
//   curl '127.0.0.1:8080/return/math/plus?x=1&y=2'                    {"total":3}
//   curl -d '{"x":1,"y":2}' 127.0.0.1:8080/pool/math/plus             the same, on a thread of the pool
#include <CLI/CLI.hpp>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <simdjson.h>

#include <sluice/extra/json.hpp>
#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>

using sluice::Handler, sluice::Problem, sluice::Raise, sluice::Request, sluice::Respond, sluice::Responder,
    sluice::Response, sluice::Router, sluice::Server;

namespace {

constexpr std::size_t later_max = 10'000;  // requests that wait for the other thread at one time

// ---- what is done; a wrong number or body is a 400, as application/problem+json

Response total(std::int64_t x, std::int64_t y) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(x, y, &sum)) throw Problem{400, {}, "the total is too large for 64 bits"};
  sluice::JsonWriter out;
  out.begin_object().member("total", sum).end_object();
  return sluice::json(std::move(out).take());
}

Response plus_of_query(const Request& request) {
  return total(request.query<std::int64_t>("x"), request.query<std::int64_t>("y"));
}

Response plus_of_body(const Request& request) {
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

// ---- the styles: four ways to run the same function

using Function = Response (*)(const Request&);

/// Two callbacks, one of which is called before the handler returns.
Handler by_callback(Function function) {
  return [function](const Request& request, Respond respond, Raise raise) {
    try {
      respond(function(request));
    } catch (...) { raise(std::current_exception()); }
  };
}

/// One thread that answers in place of the loop. Whoever waits for it holds a handle, and with it the request.
class OtherThread {
 public:
  /// Apart from the constructor, so that signals can be blocked before the thread is there to catch them.
  void start() {
    thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
  }

  /// The lane has as many permits as there may be jobs, so it is the lane that refuses.
  Handler handler(Function function) {
    return [this, function](const Request& request, Responder responder) {
      std::unique_lock lock{mutex_};
      jobs_.push_back({function, &request, std::move(responder)});
      const bool first = jobs_.size() == 1;
      lock.unlock();
      if (first) changed_.notify_one();
    };
  }

 private:
  struct Job {
    Function function;
    const Request* request;  // lives as long as the responder
    Responder responder;
  };

  static void answer(Job& job) {
    try {
      job.responder.respond(job.function(*job.request));
    } catch (...) { job.responder.raise(std::current_exception()); }
  }

  void run(const std::stop_token& stop) {
    std::vector<Job> taken;
    std::unique_lock lock{mutex_};
    while (changed_.wait(lock, stop, [this] { return !jobs_.empty(); })) {
      taken.swap(jobs_);
      lock.unlock();
      for (Job& job : taken) answer(job);
      taken.clear();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<Job> jobs_;  // under it
  std::jthread thread_;    // last: it uses everything above
};

// ---- the program

struct Flags {
  std::vector<std::string> listen{"127.0.0.1:8080"};
  unsigned loops = sluice::default_loops();
  unsigned middleware = 0;
  std::string io = "auto";
};

void describe(CLI::App& program, Flags& flags) {
  const auto range = [](int least, int most) { return CLI::Range(least, most).description(""); };
  program.add_option("--listen", flags.listen, "may be repeated, default: 127.0.0.1:8080")
      ->type_name("ADDR")
      ->allow_extra_args(false);
  program.add_option("--loops", flags.loops, "threads that read and write, default: one per core")
      ->type_name("N")
      ->check(range(1, 1024));
  program.add_option("--middleware", flags.middleware, "layers that do nothing around every handler, default: 0")
      ->type_name("N")
      ->check(range(0, 1000));
  program.add_option("--io", flags.io, "what the loops run on, default: auto")
      ->type_name("auto|epoll|io_uring")
      ->check(CLI::IsMember({"auto", "epoll", "io_uring"}).description(""));
}

sluice::Backend backend_of(const std::string& io) {
  if (io == "epoll") return sluice::Backend::epoll;
  if (io == "io_uring") return sluice::Backend::io_uring;
  return sluice::Backend::automatic;
}

/// Calls the next handler, as every middleware does, and does nothing else.
Handler no_op(Handler next) {
  return [next = std::move(next)](const Request& request, Responder responder) mutable {
    next(request, std::move(responder));
  };
}

void add_routes(Router& app, OtherThread& other, unsigned middleware) {
  for (unsigned layer = 0; layer < middleware; ++layer) app.use(no_op);
  app.lane("later", {.in_flight_max = later_max});
  app.lane("pool");
  app.get("/return/math/plus", plus_of_query);
  app.post("/return/math/plus", plus_of_body);
  app.get("/callback/math/plus", by_callback(plus_of_query));
  app.post("/callback/math/plus", by_callback(plus_of_body));
  app.get("/later/math/plus", other.handler(plus_of_query), {.lane = "later"});
  app.post("/later/math/plus", other.handler(plus_of_body), {.lane = "later"});
  app.get("/pool/math/plus", sluice::blocking(plus_of_query), {.lane = "pool"});
  app.post("/pool/math/plus", sluice::blocking(plus_of_body), {.lane = "pool"});
}

int serve(const Flags& flags) {
  OtherThread other;
  const Server* serving = nullptr;  // set before the server serves: no handler ever sees it unset
  Router app;
  app.get("/counters", [&serving](const Request&) { return sluice::json(serving->counters().to_json()); },
          {.criticality = sluice::Criticality::exempt});
  add_routes(app, other, flags.middleware);

  Server server{std::move(app), {.listen = flags.listen, .loops = flags.loops, .backend = backend_of(flags.io)}};
  serving = &server;
  const sluice::DrainOnSignal drain_on_signal{server};  // before any other thread
  other.start();
  std::fprintf(stderr, "backend %s\n", std::string{server.backend()}.c_str());
  for (const std::string& address : server.addresses()) std::fprintf(stderr, "listening on %s\n", address.c_str());
  return server.run();
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App program{"math-plus-server: adds two numbers, in every style a handler can have"};
  describe(program, flags);
  CLI11_PARSE(program, argc, argv);
  try {
    return serve(flags);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "math-plus-server: %s\n", error.what());
    return 1;
  }
}
