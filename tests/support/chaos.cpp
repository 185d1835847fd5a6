#include "support/chaos.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include <sluice/sluice.hpp>

#include "support/chaos_script.hpp"
#include "support/sim_server.hpp"

namespace sluice::sim {
namespace {

class Chaos {
 public:
  Chaos(std::uint64_t seed, ChaosStatistics& statistics);
  std::string run();

 private:
  Router routes();
  ServerOptions options();
  void plan();
  Ask make_ask();
  std::string make_body(const Ask& ask);
  void add_body(Ask& ask);
  void begin(Script& script);
  void over(Script& script);
  void send_next(Script& script);
  void run_for(base::Duration time);
  bool stuck();
  void misbehave(Script& script);
  bool finished(Script& script) const;
  void check_quiet();
  void check_lanes();
  void check_queues();
  void count(const net::SimFaultMet& met);
  void check_client(const Script& script);
  void check_answer(const Script& script, const Ask& ask, const ClientResponse& response);
  void start_of(const Request& request);
  void violated(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }
  std::chrono::milliseconds some_time() { return std::chrono::milliseconds{random_.below(120)}; }

  net::SimRandom random_;
  ChaosStatistics& statistics_;
  bool faulty_ = false;
  bool resets_ = false;
  bool drains_ = false;
  bool trickles_ = false;
  bool closing_time_ = false;  // nobody comes any more
  std::optional<Kind> favourite_;  // most clients ask for it, at the same moment: queues fill
  TimePoint drain_over_ = base::never;
  std::uint64_t steps_ = 0;
  std::string violation_;
  std::vector<Script> scripts_;
  std::map<std::uint64_t, int> started_;
  struct Asker {
    const Script* script;
    Kind kind;
  };
  std::map<std::uint64_t, Asker> asker_;  // by the request's id
  std::uint64_t next_id_ = 1;
  std::vector<std::unique_ptr<std::stop_callback<std::function<void()>>>> hooks_;
  std::unique_ptr<SimServer> server_;
};

constexpr std::size_t big_size = 40'000;

const std::string& big_body() {
  static const std::string body = [] {
    std::string text(big_size, '.');
    for (std::size_t i = 0; i < text.size(); i += 7) text[i] = static_cast<char>('a' + i % 26);
    return text;
  }();
  return body;
}

Chaos::Chaos(std::uint64_t seed, ChaosStatistics& statistics) : random_{seed * 2 + 1}, statistics_{statistics} {
  faulty_ = random_.chance(500'000);
  resets_ = faulty_ && random_.chance(500'000);
  drains_ = random_.chance(300'000);
  if (random_.chance(300'000)) {
    static constexpr std::array crowded{Kind::small, Kind::later, Kind::echo_pool, Kind::never, Kind::too_large};
    favourite_ = crowded[random_.below(crowded.size())];
  }
  const bool confirm_later = random_.chance(500'000);
  ServerOptions opts = options();
  server_ = std::make_unique<SimServer>(seed, routes(), std::move(opts), confirm_later);
  if (seed % 4 == 3) {  // refusals are told later, or by not listening
    constexpr std::array rungs{admission::Rung::delay, admission::Rung::pause_reads, admission::Rung::pause_accept};
    for (std::size_t i = 0; i < server_->loop_count(); ++i) {
      server_->shard(i).ladder().hold(rungs[seed / 4 % rungs.size()]);
    }
  }
  if (faulty_) server_->net().random_faults(random_.chance(500'000) ? 20'000 : 100'000, resets_);
  if (random_.chance(150'000)) {  // answers leave slowly while the next requests trickle in
    server_->net().options().segment_bytes_max = 40;
    server_->net().options().send_buffer_bytes = 200;
    trickles_ = true;
    if (faulty_) server_->net().random_faults(300'000, resets_);
    if (random_.chance(300'000)) favourite_ = random_.chance(500'000) ? Kind::too_large : Kind::missing;
  }
  server_->on_quiet = [this] { check_quiet(); };
  server_->net().on_fault = [this](const net::SimFaultMet& met) { count(met); };
  plan();
}

ServerOptions Chaos::options() {
  ServerOptions o;
  o.loops = random_.chance(300'000) ? 2 : 1;
  o.pool_threads = 2 + static_cast<unsigned>(random_.below(3));
  o.limits.connections_max = 64;
  o.limits.head_bytes_max = 1024;
  o.limits.target_bytes_max = 512;
  o.limits.pipelined_bytes_max = 1024;
  o.limits.output_high_water = 1024;
  o.limits.pipelined_max = 4;
  o.half_close_cancels = random_.chance(800'000);
  return o;
}

void Chaos::start_of(const Request& request) {
  const auto id = request.query<std::uint64_t>("id");
  const std::string name = "request " + std::to_string(id);
  if (++started_[id] > 1) violated("handler ran twice for " + name);
  const auto asker = asker_.find(id);
  if (asker == asker_.end()) return;
  const TimePoint now = server_->now();
  const Terms& promised = of(asker->second.kind);
  // A drain brings the deadline forward; without one it tells when the request was complete.
  if (!drains_ && now - (request.deadline() - promised.budget) >= promised.wait_max) {
    violated("handler started after the end of its waiting time, " + name);
  }
  const TimePoint left_at = asker->second.script->left_at;
  // A reset needs its way through the net; after that no user code may start for this client.
  if (!faulty_ && left_at != base::never && now > left_at + server_->net().options().delay_max + 2ms) {
    violated("handler started for a client that had left, " + name);
  }
}

Router Chaos::routes() {
  Router app;
  const auto id_of = [](const Request& q) { return std::string{q.query("id")}; };
  const auto takes = [](const Request& q) { return std::chrono::milliseconds{q.query<int>("ms")}; };
  const auto budget = [](Kind kind) { return RouteOptions{.budget = of(kind).budget}; };
  app.get("/loop", [=, this](const Request& q) {
    start_of(q);
    return text(id_of(q));
  });
  app.post("/echo", [this](const Request& q) {
    start_of(q);
    return text(q.body());
  });
  app.post("/echo-pool", blocking([=, this](const Request& q) {
             start_of(q);
             sleep(takes(q));
             return text(q.body());
           }),
           budget(Kind::echo_pool));
  app.get("/pool", blocking([=, this](const Request& q) {
            start_of(q);
            sleep(takes(q));
            return text(id_of(q));
          }),
          budget(Kind::pool));
  app.get("/small", blocking([=, this](const Request& q) {
            start_of(q);
            sleep(takes(q));
            return text(id_of(q));
          }),
          {.budget = of(Kind::small).budget,
           .in_flight_max = 1,
           .queue_depth_max = 2,
           .queue_timeout = of(Kind::small).wait_max});
  app.get("/later",
          [=, this](const Request& q, Responder r) {
            start_of(q);
            auto held = std::make_shared<Responder>(std::move(r));
            server_->net().at(server_->now() + takes(q), [held, id = id_of(q)] { held->respond(text(id)); });
          },
          {.budget = of(Kind::later).budget,
           .in_flight_max = 2,
           .queue_depth_max = 3,
           .queue_timeout = of(Kind::later).wait_max});
  app.get("/never",
          [=, this](const Request& q, Responder r) {
            start_of(q);
            auto held = std::make_shared<Responder>(std::move(r));
            server_->net().at(server_->now() + takes(q), [held]() mutable { held.reset(); });
          },
          {.budget = of(Kind::never).budget, .in_flight_max = 2, .queue_timeout = of(Kind::never).wait_max});
  app.get(
      "/twice",
      [=, this](const Request& q, Respond respond, Raise raise) {
        start_of(q);
        auto both = std::make_shared<std::pair<Respond, Raise>>(std::move(respond), std::move(raise));
        server_->net().at(server_->now() + takes(q), [both, this, id = id_of(q)] {
          const Sent first = both->first(text(id));
          const Sent second = both->second(Problem{418});
          const Sent third = both->first(text("again"));
          if (second == Sent::accepted) violated("a second answer was accepted");
          if (third != Sent::used_up) violated("a used handle was not refused");
          (void)first;
        });
      },
      budget(Kind::twice));
  app.get("/throw", [this](const Request& q) -> Response {
    start_of(q);
    throw std::runtime_error{"secret"};
  });
  app.get("/throw-pool", blocking([=, this](const Request& q) -> Response {
            start_of(q);
            sleep(takes(q));
            throw std::runtime_error{"secret"};
          }),
          budget(Kind::throws_pool));
  app.get("/drop", [this](const Request& q, Responder) { start_of(q); }, budget(Kind::drops));
  app.get(
      "/raise",
      [this](const Request& q, Responder r) {
        start_of(q);
        r.raise(Problem{418});
      },
      budget(Kind::raises));
  app.get("/watch", blocking([=, this](const Request& q) {
            start_of(q);
            const TimePoint due = q.deadline();
            const std::stop_token token = q.stop_token();
            for (int i = 0; i < 100 && !token.stop_requested(); ++i) sleep(5ms);
            if (!token.stop_requested() && server_->now() > due + 50ms) violated("the stop token did not fire");
            return text(id_of(q));
          }),
          budget(Kind::watches));
  app.get(
      "/hook",
      [=, this](const Request& q, Responder r) {
        start_of(q);
        auto held = std::make_shared<std::optional<Responder>>(std::move(r));
        hooks_.push_back(std::make_unique<std::stop_callback<std::function<void()>>>(
            q.stop_token(), std::function<void()>{[held] { held->reset(); }}));
        server_->net().at(server_->now() + takes(q), [held, id = id_of(q)] {
          if (*held) (*held)->respond(text(id));
        });
      },
      budget(Kind::hooked));
  app.post("/tiny",
           [this](const Request& q) {
             start_of(q);
             return text("fits");
           },
           {.body_bytes_max = 10});
  const auto streamed = [](Kind kind) { return RouteOptions{.budget = of(kind).budget, .stream_body = true}; };
  app.post("/stream-in", blocking([=, this](const Request& q) {
             start_of(q);
             sleep(takes(q) / 4);
             return text(q.body_reader().read_all(20'000));
           }),
           streamed(Kind::streams_in));
  app.post("/through", blocking([=, this](const Request& q, Responder r) {
             start_of(q);
             BodyReader in = q.body_reader();
             sleep(takes(q) / 4);
             ResponseWriter out = std::move(r).stream(Response{}, {.length = q.query<std::uint64_t>("size")});
             std::array<char, 700> piece;
             while (const std::size_t count = in.read(piece)) {
               if (!out.write({piece.data(), count})) return;
             }
             out.finish();
           }),
           streamed(Kind::streams_both));
  app.get("/big", [this](const Request& q) {
    start_of(q);
    return Response{}.body(SharedBytes{std::shared_ptr<const void>{}, big_body()});
  });
  return app;
}

Ask Chaos::make_ask() {
  Ask ask;
  ask.kind = static_cast<Kind>(random_.below(kind_count));
  if (favourite_ && random_.chance(700'000)) ask.kind = *favourite_;
  ask.id = next_id_++;
  ask.takes = random_.chance(300'000) ? 0ms : some_time();
  // Work that ends at the very moment at which others have waited long enough.
  if (favourite_ && random_.chance(600'000)) ask.takes = std::chrono::milliseconds{25 * random_.below(5)};
  const bool posts = ask.kind == Kind::echo || ask.kind == Kind::echo_pool || ask.kind == Kind::too_large ||
                     ask.kind == Kind::streams_in || ask.kind == Kind::streams_both ||
                     (ask.kind == Kind::missing && random_.chance(700'000));
  if (posts) ask.method = "POST";
  else if (random_.chance(100'000)) ask.method = "HEAD";
  std::string target = of(ask.kind).path;
  target += "?id=" + std::to_string(ask.id) + "&ms=" + std::to_string(ask.takes.count());
  if (ask.kind == Kind::streams_both) {
    ask.body = make_body(ask);
    target += "&size=" + std::to_string(ask.body.size());
  }
  ask.bytes = ask.method + " " + target + " HTTP/1.1\r\nHost: h\r\n";
  ask.closes = random_.chance(50'000);
  if (ask.closes) ask.bytes += "Connection: close\r\n";
  if (random_.chance(100'000)) ask.bytes += "X-Padding: " + std::string(random_.below(400), 'p') + "\r\n";
  if (posts) add_body(ask);
  else ask.bytes += "\r\n";
  return ask;
}

std::string Chaos::make_body(const Ask& ask) {
  // A refused body that comes slowly is thrown away while earlier answers still leave.
  const bool refused = ask.kind == Kind::too_large || ask.kind == Kind::missing;
  const bool large = random_.chance(trickles_ && refused ? 950'000 : 300'000);
  const std::uint64_t more = large ? random_.below(9000) : random_.below(50);
  return std::to_string(ask.id) + std::string(ask.kind == Kind::too_large ? 11 + more : more, 'b');
}

void Chaos::add_body(Ask& ask) {
  if (ask.body.empty()) ask.body = make_body(ask);
  if (random_.chance(500'000)) ask.bytes += "Expect: 100-continue\r\n";
  if (random_.chance(500'000)) {
    ask.bytes += "Content-Length: " + std::to_string(ask.body.size()) + "\r\n\r\n" + ask.body;
    return;
  }
  ask.bytes += "Transfer-Encoding: chunked\r\n\r\n";
  for (std::size_t at = 0; at < ask.body.size();) {
    const std::size_t size = std::min<std::size_t>(ask.body.size() - at, 1 + random_.below(3000));
    char hex[20];
    std::snprintf(hex, sizeof hex, "%zx\r\n", size);
    ask.bytes += hex + ask.body.substr(at, size) + "\r\n";
    at += size;
  }
  ask.bytes += "0\r\n\r\n";
}

void Chaos::plan() {
  scripts_.resize(1 + random_.below(favourite_ ? 9 : 6));
  for (std::size_t i = 0; i < scripts_.size(); ++i) {
    Script& script = scripts_[i];
    script.client = &server_->net().client();
    script.pipelines = random_.chance(trickles_ ? 900'000 : favourite_ ? 100'000 : 400'000);
    script.leaves_when_done = random_.chance(400'000);
    const std::size_t count = 1 + random_.below(script.pipelines ? 12 : 5);
    for (std::size_t k = 0; k < count; ++k) {
      script.asks.push_back(make_ask());
      asker_[script.asks.back().id] = {&script, script.asks.back().kind};
    }
    script.client->on_data = [this, &script](std::string_view) { send_next(script); };
    script.client->on_over = [this, &script] { over(script); };
    if (i > 0 && random_.chance(400'000)) {
      scripts_[i - 1].successor = &script;
      script.predecessor = &scripts_[i - 1];
    } else {
      const base::Duration start = favourite_ ? base::Duration{random_.below(3) * 1ms} : some_time();
      server_->net().at(server_->now() + start, [this, &script] { begin(script); });
    }
  }
  if (!drains_) return;
  server_->net().at(server_->now() + some_time() * 3, [this] {
    static constexpr std::array<std::chrono::milliseconds, 3> times{5ms, 50ms, 2000ms};
    const std::chrono::milliseconds time = times[random_.below(times.size())];
    // The last words of the cut connections, and the longest way of a last write.
    drain_over_ = server_->now() + time + 60ms + server_->net().options().delay_max;
    server_->drain(time);
  });
}

void Chaos::begin(Script& script) {
  if (closing_time_) return;
  script.begun = true;
  script.client->connect();
  if (random_.chance(350'000)) misbehave(script);
  send_next(script);
}

void Chaos::over(Script& script) {
  Script* const next = std::exchange(script.successor, nullptr);
  if (next == nullptr) return;
  server_->net().at(server_->now() + base::Duration{random_.below(2000) * 1us}, [this, next] { begin(*next); });
}

void Chaos::misbehave(Script& script) {
  script.polite = false;
  const TimePoint when = server_->now() + 1ms + some_time() * (favourite_ ? 1 : 2);
  switch (random_.below(4)) {
    case 0:
      server_->net().at(when, [this, &script] {
        script.client->reset();
        script.left = true;
        script.left_at = server_->now();
        over(script);
      });
      break;
    case 1:
      server_->net().at(when, [&script] {
        script.client->half_close();
        script.left = true;
      });
      break;
    case 2:
      server_->net().at(when, [this, &script] {
        script.client->close();
        script.left = true;
        over(script);
      });
      break;
    default:  // stops reading for a while
      script.client->set_window(random_.below(5000));
      server_->net().at(when + some_time() * 10, [&script] { script.client->set_window(net::SimClient::unlimited); });
  }
}

void Chaos::send_next(Script& script) {
  if (script.left || script.client->over()) return;
  while (script.next < script.asks.size() && (script.pipelines || complete(script) >= script.next)) {
    Ask& ask = script.asks[script.next++];
    ask.sent = server_->now();
    ask.was_sent = true;
    script.broke_its_word |= std::exchange(script.said_close, ask.closes);
    script.client->send(ask.bytes);
  }
  if (!script.leaves_when_done || !script.polite || !finished(script)) return;
  server_->net().at(server_->now(), [this, &script] {
    if (script.left) return;
    script.left = true;
    script.client->close();
    over(script);
  });
}

bool Chaos::finished(Script& script) const {
  if (!script.begun) return script.predecessor != nullptr && script.predecessor->successor != nullptr;  // it never will
  if (script.left || script.client->over()) return true;
  return script.next == script.asks.size() && complete(script) >= script.asks.size();
}

// Nothing can move: what is waiting now waits for the clock alone, and must have reason to.
void Chaos::check_quiet() {
  for (std::size_t i = 0; i < server_->loop_count(); ++i) {
    if (server_->shard(i).undelivered() != 0) violated("an answer is there and nobody delivers it");
  }
  if (server_->now() > drain_over_ && !server_->over()) violated("the drain goes on after its end");
  check_lanes();
  check_queues();
}

void Chaos::check_lanes() {
  const bool pool_idle = server_->workers().sleeping() < server_->core().options().pool_threads;
  for (const auto& lane : server_->core().lanes()) {
    const LaneCounters c = lane->counters();
    const std::string& name = lane->settings().name;
    if (c.depth > lane->settings().depth_max) violated("queue of " + name + " above its bound");
    if (c.in_flight > lane->settings().limit) violated("permits of " + name + " above the limit");
    if (c.zombies > c.in_flight) violated("a zombie of " + name + " has lost its permit");
    if (lane->group() == nullptr || c.depth == 0 || c.in_flight >= lane->settings().limit) continue;
    const bool later = server_->core().pool_of(*lane) == nullptr;
    if (later) violated("a job waits while a permit is free");
    else if (pool_idle) violated("a job waits while a permit is free and a worker is idle");
  }
}

// Whoever waits in a queue has a client that waits for it.
void Chaos::check_queues() {
  std::uint64_t depth = 0;
  for (const auto& lane : server_->core().lanes()) depth += lane->counters().depth;
  std::uint64_t waiting = 0;
  for (std::size_t i = 0; i < server_->loop_count(); ++i) {
    server_->shard(i).for_each_connection([&](detail::Connection& connection) {
      if (connection.state() != detail::Connection::State::handling) return;
      waiting += connection.exchange()->claim.load(std::memory_order_relaxed) == admission::Claim::queued;
    });
  }
  if (depth != waiting) {
    violated(std::to_string(depth) + " jobs are queued, " + std::to_string(waiting) + " connections wait for theirs");
  }
}

void Chaos::count(const net::SimFaultMet& met) {
  ++statistics_.faults;
  if (met.generation == 0) {
    ++statistics_.met_accepting[static_cast<std::size_t>(met.kind)];
    return;
  }
  net::Stream* const stream = server_->shard(met.io).find(met.slot, met.generation);
  if (stream == nullptr) return;
  const auto state = static_cast<std::size_t>(static_cast<detail::Connection*>(stream)->state());
  ++statistics_.met[state][ChaosStatistics::column(met.op, met.kind)];
}

void Chaos::check_answer(const Script& script, const Ask& ask, const ClientResponse& response) {
  ++statistics_.answers[static_cast<std::size_t>(std::clamp(response.status, 0, 599))];
  std::set<int> allowed{200};
  switch (ask.kind) {
    case Kind::on_loop:
    case Kind::echo:
    case Kind::big: break;
    case Kind::never:
    case Kind::throws_pool: allowed = {500, 503, 504}; break;
    case Kind::throws: allowed = {500}; break;
    case Kind::drops: allowed = {500, 503}; break;
    case Kind::raises: allowed = {418, 503}; break;
    case Kind::missing: allowed = {404}; break;
    case Kind::too_large: allowed = {413}; break;
    case Kind::hooked: allowed = {200, 500, 503, 504}; break;  // its hook drops the responder
    default: allowed = {200, 503, 504};
  }
  if (drains_) allowed.insert(503);
  if (faulty_ || !script.polite) allowed.insert(408);
  const std::string name =
      ask.method + " request " + std::to_string(ask.id) + " of kind " + std::to_string(static_cast<int>(ask.kind));
  if (!allowed.contains(response.status)) violated(name + ": unexpected status " + std::to_string(response.status));
  if (response.body.find("secret") != std::string::npos) violated(name + ": an exception's text reached the client");
  if (response.status != 200 || !response.complete || ask.method == "HEAD") return;
  const std::string wanted = ask.kind == Kind::big  ? big_body()
                             : ask.method == "POST" ? ask.body
                                                    : std::to_string(ask.id);
  if (response.body != wanted) violated(name + ": the body is not its own: " + response.body.substr(0, 40));
}

void Chaos::check_client(const Script& script) {
  std::vector<std::string> methods;
  for (const Ask& ask : script.asks) methods.push_back(ask.method);
  std::string error;
  const auto responses = read_responses(script.client->received(), methods, error);
  if (!error.empty()) violated("client " + std::to_string(script.client->number()) + ": " + error);
  std::size_t sent = 0;
  for (const Ask& ask : script.asks) sent += ask.was_sent;
  statistics_.requests += sent;
  if (responses.size() > sent) violated("more answers than requests");
  bool closing = false;
  for (std::size_t i = 0; i < responses.size() && i < sent; ++i) {
    if (responses[i].status == 0) break;
    if (closing) violated("an answer after Connection: close");
    check_answer(script, script.asks[i], responses[i]);
    closing = responses[i].header("connection") == "close";
    if (!responses[i].complete && i + 1 < responses.size()) violated("an answer was cut in the middle of others");
  }
  // A client that does nothing wrong, on a net that breaks no connection, gets every answer, whole.
  bool entitled = script.polite && !resets_ && !drains_ && !script.client->saw_reset();
  // A body that was refused, or answered before it was read, and stays away too long ends the connection.
  static const std::set<int> early{404, 413, 503, 504};
  if (faulty_ && !responses.empty() && early.contains(responses.back().status)) {
    entitled = entitled && !script.client->saw_fin();
  }
  if (entitled && !closing && (responses.size() < sent || (sent > 0 && !responses.back().complete))) {
    violated("client " + std::to_string(script.client->number()) + " has " + std::to_string(responses.size()) +
             " answers to " + std::to_string(sent) + " requests");
  }
  const bool keeps_to_rules = script.polite && !script.broke_its_word;
  if (keeps_to_rules && !faulty_ && script.client->saw_reset() && !drains_) violated("a polite client was reset");
}

// A run is a few thousand steps; one that goes round and round must end all the same.
bool Chaos::stuck() {
  constexpr std::uint64_t steps_max = 2'000'000;
  if (++steps_ > steps_max) violated("no end after " + std::to_string(steps_max) + " steps");
  return !violation_.empty();
}

void Chaos::run_for(base::Duration time) {
  bool reached = false;
  server_->net().at(server_->now() + time, [&reached] { reached = true; });
  server_->run_until([&] { return reached || stuck(); }, time * 2);
}

std::string Chaos::run() {
  const auto all_finished = [&] {
    return stuck() || std::all_of(scripts_.begin(), scripts_.end(), [&](Script& s) { return finished(s); });
  };
  server_->run_until(all_finished, trickles_ ? 1200s : 120s);  // 40 bytes at a time, and stalls of seconds
  closing_time_ = true;
  run_for(1s);  // zombies go home, hooks fire
  for (const Script& script : scripts_) check_client(script);
  for (const Script& script : scripts_) {
    if (script.begun) script.client->close();
  }
  server_->net().random_faults(0, false);
  hooks_.clear();
  run_for(200s);
  if (drains_ && !server_->over()) violated("the drain did not end: " + server_->describe());
  const std::string leaks = server_->leaks();
  if (!leaks.empty()) violated(leaks);
  ++statistics_.runs;
  return violation_;
}

}  // namespace

std::string run_chaos(std::uint64_t seed, ChaosStatistics& statistics) {
  Chaos chaos{seed, statistics};
  return chaos.run();
}

}  // namespace sluice::sim
