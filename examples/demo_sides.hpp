// demo_sides.hpp: the two servers of the demo, which run the same handler: the left one behind a NaivePool, the right
// one behind sluice's defaults. Both listen on a port of the kernel's choice. Out: what each says of itself.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <sluice/sluice.hpp>

#include "database.hpp"
#include "naive.hpp"

namespace demo {

using namespace std::chrono_literals;

constexpr unsigned database_connections = 16;
constexpr auto query_time = 20ms;
constexpr double capacity_per_s = database_connections / std::chrono::duration<double>{query_time}.count();
constexpr std::size_t naive_depth_max = 50'000;  // then the demo ends the overload
constexpr std::size_t large_answer_bytes = 400'000;

/// Requests that a side refused, by reason.
struct Refused {
  std::uint64_t infeasible = 0;  // could not have started in time
  std::uint64_t queue_full = 0;
  std::uint64_t made_room = 0;  // for a newer one
  std::uint64_t expired = 0;  // waited for too long
  std::uint64_t other = 0;

  friend Refused operator-(const Refused& now, const Refused& before) {
    return {now.infeasible - before.infeasible, now.queue_full - before.queue_full, now.made_room - before.made_room,
            now.expired - before.expired, now.other - before.other};
  }
};

/// What a side's server says of itself.
struct Inside {
  std::uint64_t waiting = 0, in_flight = 0, zombies = 0;
  std::uint64_t for_nobody = 0;  // since the start, as `refused`
  Refused refused{};
};

/// The handler of both sides: one query, and its answer.
class Handler {
 public:
  explicit Handler(Stall& stall) : database_{stall, query_time} {}

  sluice::Response operator()(const sluice::Request& request) {
    const bool large = request.query<bool>("large", false);
    database_.query(request);
    return large ? sluice::text("").body(sluice::SharedBytes{large_answer_}) : sluice::text("a row\n");
  }
  const std::string& large_answer() const noexcept { return *large_answer_; }
  const Database& database() const noexcept { return database_; }

 private:
  Database database_;
  std::shared_ptr<const std::string> large_answer_ = std::make_shared<std::string>(large_answer_bytes, 'x');
};

inline sluice::ServerOptions options_for(unsigned connections) {
  sluice::ServerOptions options{.listen = {"127.0.0.1:0"}, .loops = 1};
  options.limits.connections_max = connections;  // all of the load's, so that it is the queue that decides
  return options;
}

/// The usual pool. What sluice would do about it is set so high that it never acts: permits and budget; the demo itself
/// ends the load before (naive_depth_max). Reading, parsing, writing are sluice's, as on the other side.
class Left {
 public:
  Left(Stall& stall, unsigned connections) : handler_{stall} {
    sluice::Router app;
    app.get("/query",
            [this](const sluice::Request& request, sluice::Responder responder) {
              pool_.add(request, std::move(responder));
            },
            {.budget = 24h, .in_flight_max = 4 * naive_depth_max});
    sluice::ServerOptions options = options_for(connections);
    options.limits.buffered_bytes_max = std::uint64_t{1} << 40;
    server_.emplace(std::move(app), std::move(options));
  }
  void start() {
    pool_.start(database_connections);
    server_->start();
  }
  std::size_t forget() { return pool_.forget(); }

  Inside look() const {
    const Database::Counts counts = handler_.database().counts();
    return {.waiting = pool_.depth(),
            .in_flight = counts.in_flight,
            .zombies = counts.zombies,
            .for_nobody = counts.for_nobody};
  }
  sluice::Readiness ready() const { return server_->ready(); }
  std::string address() const { return server_->addresses().front(); }

 private:
  /// The thread that did the work sends the answer too. A small one is in the socket at once; with a large one it waits
  /// for its client.
  void work(const sluice::Request& request, sluice::Responder responder) {
    try {
      sluice::Response response = handler_(request);
      if (!request.has_query("large")) {
        responder.respond(std::move(response));
        return;
      }
      sluice::ResponseWriter out = std::move(responder).stream({}, {.length = large_answer_bytes});
      if (out.write(handler_.large_answer())) out.finish();
    } catch (...) { responder.raise(std::current_exception()); }
  }

  Handler handler_;
  NaivePool pool_{
      [this](const sluice::Request& request, sluice::Responder responder) { work(request, std::move(responder)); }};
  std::optional<sluice::Server> server_;
};

/// sluice, told nothing but how many connections the database has.
class Right {
 public:
  Right(Stall& stall, unsigned connections) : handler_{stall} {
    sluice::Router app;
    app.lane("query", {.in_flight_max = database_connections, .readiness = true});
    app.get("/query", sluice::blocking([this](const sluice::Request& request) { return handler_(request); }),
            {.lane = "query"});
    sluice::ServerOptions options = options_for(connections);
    options.pool_threads = database_connections;
    server_.emplace(std::move(app), std::move(options));
  }
  void start() { server_->start(); }

  Inside look() const {
    const Database::Counts counts = handler_.database().counts();
    Inside inside{.in_flight = counts.in_flight, .zombies = counts.zombies, .for_nobody = counts.for_nobody};
    for (const auto& [name, lane] : server_->counters().lanes) {
      if (name != "query") continue;
      const auto shed = [&lane](sluice::ShedReason reason) { return lane.shed[static_cast<std::size_t>(reason)]; };
      inside.waiting = lane.depth;
      inside.refused = {.infeasible = shed(sluice::ShedReason::infeasible),
                        .queue_full = shed(sluice::ShedReason::queue_full),
                        .made_room = lane.evicted + lane.stale,
                        .expired = lane.expired};
      inside.refused.other = lane.shed_total() - inside.refused.infeasible - inside.refused.queue_full;
    }
    return inside;
  }
  sluice::Readiness ready() const { return server_->ready(); }
  std::string address() const { return server_->addresses().front(); }

 private:
  Handler handler_;
  std::optional<sluice::Server> server_;
};

}  // namespace demo
