#include "support/chaos.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include <sluice/sluice.hpp>

#include "support/sim_server.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
using base::TimePoint;

enum class Kind { on_loop, echo, echo_pool, pool, small, later, never, twice, throws, throws_pool, drops, raises, watches, hooked, big };
constexpr int kind_count = 15;

/// One request of a client's script.
struct Ask {
  Kind kind = Kind::on_loop;
  std::uint64_t id = 0;
  std::chrono::milliseconds takes{0};
  std::string method = "GET";
  std::string bytes;
  std::string body;
  TimePoint sent{};
  bool was_sent = false;
};

struct Script {
  net::SimClient* client = nullptr;
  std::vector<Ask> asks;
  std::size_t next = 0;         // first ask not sent yet
  bool pipelines = false;
  bool left = false;            // by its own will
  bool polite = true;           // reads, waits, does not leave early
  TimePoint left_at = base::never;
};

class Chaos {
 public:
  Chaos(std::uint64_t seed, ChaosStatistics& statistics);
  std::string run();

 private:
  Router routes();
  ServerOptions options();
  void plan();
  Ask make_ask();
  void send_next(Script& script);
  void misbehave(Script& script);
  bool finished(const Script& script) const;
  void check_quiet();
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
  std::string violation_;
  std::vector<Script> scripts_;
  std::map<std::uint64_t, int> started_;
  std::map<std::uint64_t, std::size_t> asker_;  // id -> script
  std::uint64_t next_id_ = 1;
  std::vector<std::unique_ptr<std::stop_callback<std::function<void()>>>> hooks_;
  std::unique_ptr<SimServer> server_;
};

constexpr std::size_t big_size = 200'000;

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
  const bool confirm_later = random_.chance(500'000);
  ServerOptions opts = options();
  server_ = std::make_unique<SimServer>(seed, routes(), std::move(opts), confirm_later);
  if (faulty_) server_->net().random_faults(random_.chance(500'000) ? 20'000 : 100'000, resets_);
  server_->on_quiet = [this] { check_quiet(); };
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
  if (++started_[id] > 1) violated("handler ran twice for request " + std::to_string(id));
  const auto asker = asker_.find(id);
  if (asker == asker_.end()) return;
  const Script& script = scripts_[asker->second];
  // A reset needs its way through the net; after that no user code may start for this client.
  if (!faulty_ && script.left_at != base::never && server_->now() > script.left_at + 100ms) {
    violated("handler started for a client that had left, request " + std::to_string(id));
  }
}

Router Chaos::routes() {
  Router app;
  const auto id_of = [](const Request& q) { return std::string{q.query("id")}; };
  const auto takes = [](const Request& q) { return std::chrono::milliseconds{q.query<int>("ms")}; };
  const RouteOptions quick{.budget = 100ms};
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
           }), {.budget = 300ms});
  app.get("/pool", blocking([=, this](const Request& q) {
            start_of(q);
            sleep(takes(q));
            return text(id_of(q));
          }), quick);
  app.get("/small", blocking([=, this](const Request& q) {
            start_of(q);
            sleep(takes(q));
            return text(id_of(q));
          }), {.budget = 200ms, .in_flight_max = 1, .queue_depth_max = 2, .queue_timeout = 150ms});
  app.get("/later", [=, this](const Request& q, Responder r) {
    start_of(q);
    auto held = std::make_shared<Responder>(std::move(r));
    server_->net().at(server_->now() + takes(q), [held, id = id_of(q)] { held->respond(text(id)); });
  }, {.budget = 100ms, .in_flight_max = 2, .queue_depth_max = 3, .queue_timeout = 80ms});
  app.get("/never", [=, this](const Request& q, Responder r) {
    start_of(q);
    auto held = std::make_shared<Responder>(std::move(r));
    server_->net().at(server_->now() + takes(q), [held]() mutable { held.reset(); });
  }, {.budget = 100ms, .in_flight_max = 2});
  app.get("/twice", [=, this](const Request& q, Respond respond, Raise raise) {
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
  }, quick);
  app.get("/throw", [this](const Request& q) -> Response {
    start_of(q);
    throw std::runtime_error{"secret"};
  });
  app.get("/throw-pool", blocking([=, this](const Request& q) -> Response {
            start_of(q);
            sleep(takes(q));
            throw std::runtime_error{"secret"};
          }), quick);
  app.get("/drop", [this](const Request& q, Responder) { start_of(q); }, quick);
  app.get("/raise", [this](const Request& q, Responder r) {
    start_of(q);
    r.raise(Problem{418});
  }, quick);
  app.get("/watch", blocking([=, this](const Request& q) {
            start_of(q);
            const TimePoint due = q.deadline();
            const std::stop_token token = q.stop_token();
            for (int i = 0; i < 100 && !token.stop_requested(); ++i) sleep(5ms);
            if (!token.stop_requested() && server_->now() > due + 50ms) violated("the stop token did not fire");
            return text(id_of(q));
          }), quick);
  app.get("/hook", [=, this](const Request& q, Responder r) {
    start_of(q);
    auto held = std::make_shared<std::optional<Responder>>(std::move(r));
    hooks_.push_back(std::make_unique<std::stop_callback<std::function<void()>>>(
        q.stop_token(), std::function<void()>{[held] { held->reset(); }}));
    server_->net().at(server_->now() + takes(q), [held, id = id_of(q)] {
      if (*held) (*held)->respond(text(id));
    });
  }, quick);
  app.get("/big", [this](const Request& q) {
    start_of(q);
    return Response{}.body(SharedBytes{std::shared_ptr<const void>{}, big_body()});
  });
  return app;
}

Ask Chaos::make_ask() {
  static constexpr const char* paths[kind_count] = {"/loop",  "/echo",  "/echo-pool",  "/pool", "/small",
                                                    "/later", "/never", "/twice",      "/throw", "/throw-pool",
                                                    "/drop",  "/raise", "/watch",      "/hook",  "/big"};
  Ask ask;
  ask.kind = static_cast<Kind>(random_.below(kind_count));
  ask.id = next_id_++;
  ask.takes = random_.chance(300'000) ? 0ms : some_time();
  const bool posts = ask.kind == Kind::echo || ask.kind == Kind::echo_pool;
  if (posts) ask.method = "POST";
  else if (random_.chance(100'000)) ask.method = "HEAD";
  std::string target = paths[static_cast<int>(ask.kind)];
  target += "?id=" + std::to_string(ask.id) + "&ms=" + std::to_string(ask.takes.count());
  ask.bytes = ask.method + " " + target + " HTTP/1.1\r\nHost: h\r\n";
  if (random_.chance(100'000)) ask.bytes += "X-Padding: " + std::string(random_.below(400), 'p') + "\r\n";
  if (posts) {
    ask.body = std::to_string(ask.id) + std::string(random_.chance(300'000) ? random_.below(9000) : random_.below(50), 'b');
    if (random_.chance(500'000)) {
      ask.bytes += "Content-Length: " + std::to_string(ask.body.size()) + "\r\n\r\n" + ask.body;
    } else {
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
  } else {
    ask.bytes += "\r\n";
  }
  return ask;
}

void Chaos::plan() {
  scripts_.resize(1 + random_.below(6));
  for (std::size_t i = 0; i < scripts_.size(); ++i) {
    Script& script = scripts_[i];
    script.client = &server_->net().client();
    script.pipelines = random_.chance(400'000);
    const std::size_t count = 1 + random_.below(script.pipelines ? 12 : 5);
    for (std::size_t k = 0; k < count; ++k) {
      script.asks.push_back(make_ask());
      asker_[script.asks.back().id] = i;
    }
    script.client->on_data = [this, &script](std::string_view) { send_next(script); };
    server_->net().at(server_->now() + some_time(), [this, &script] {
      script.client->connect();
      send_next(script);
    });
    if (random_.chance(350'000)) misbehave(script);
  }
  if (drains_) {
    server_->net().at(server_->now() + some_time() * 3, [this] { server_->drain(random_.chance(500'000) ? 50ms : 2s); });
  }
}

void Chaos::misbehave(Script& script) {
  script.polite = false;
  const TimePoint when = server_->now() + 120ms + some_time() * 2;  // by then every client has connected
  switch (random_.below(4)) {
    case 0:
      server_->net().at(when, [this, &script] {
        script.client->reset();
        script.left = true;
        script.left_at = server_->now();
      });
      break;
    case 1:
      server_->net().at(when, [&script] {
        script.client->half_close();
        script.left = true;
      });
      break;
    case 2:
      server_->net().at(when, [&script] {
        script.client->close();
        script.left = true;
      });
      break;
    default:  // stops reading for a while
      script.client->set_window(random_.below(5000));
      server_->net().at(when + some_time() * 10, [&script] { script.client->set_window(net::SimClient::unlimited); });
  }
}

void Chaos::send_next(Script& script) {
  if (script.left || script.client->over()) return;
  std::vector<std::string> methods;
  for (const Ask& ask : script.asks) methods.push_back(ask.method);
  std::string error;
  const auto responses = read_responses(script.client->received(), methods, error);
  const auto complete = static_cast<std::size_t>(
      std::count_if(responses.begin(), responses.end(), [](const ClientResponse& r) { return r.complete; }));
  while (script.next < script.asks.size() && (script.pipelines || complete >= script.next)) {
    Ask& ask = script.asks[script.next++];
    ask.sent = server_->now();
    ask.was_sent = true;
    script.client->send(ask.bytes);
  }
}

bool Chaos::finished(const Script& script) const {
  if (script.left || script.client->over()) return true;
  if (script.next < script.asks.size()) return false;
  std::vector<std::string> methods;
  for (const Ask& ask : script.asks) methods.push_back(ask.method);
  std::string error;
  const auto responses = read_responses(script.client->received(), methods, error);
  return responses.size() >= script.asks.size() && responses.back().complete;
}

// Nothing can move: what is waiting now waits for the clock alone, and must have reason to.
void Chaos::check_quiet() {
  for (std::size_t i = 0; i < server_->loop_count(); ++i) {
    if (server_->shard(i).undelivered() != 0) violated("an answer is there and nobody delivers it");
  }
  bool pool_idle = server_->workers().sleeping() < server_->core().options().pool_threads;
  for (const auto& lane : server_->core().lanes()) {
    const LaneCounters c = lane->counters();
    if (c.depth > lane->settings().depth_max) violated("queue of " + lane->settings().name + " above its bound");
    if (c.in_flight > lane->settings().limit) violated("permits of " + lane->settings().name + " above the limit");
    const bool later = lane->group() != nullptr && lane->group() != &server_->core().pool().group();
    if (later && c.depth > 0 && c.in_flight < lane->settings().limit) violated("a job waits while a permit is free");
    if (!later && lane->group() != nullptr && c.depth > 0 && c.in_flight < lane->settings().limit && pool_idle &&
        server_->counters().lanes.size() == 1) {
      violated("a job waits while a worker is idle");
    }
  }
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
    case Kind::hooked: allowed = {200, 500, 503, 504}; break;  // its hook drops the responder
    default: allowed = {200, 503, 504};
  }
  if (drains_) allowed.insert(503);
  if (faulty_ || !script.polite) allowed.insert(408);
  const std::string name = ask.method + " request " + std::to_string(ask.id) + " of kind " +
                           std::to_string(static_cast<int>(ask.kind));
  if (!allowed.contains(response.status)) violated(name + ": unexpected status " + std::to_string(response.status));
  if (response.body.find("secret") != std::string::npos) violated(name + ": an exception's text reached the client");
  if (response.status != 200 || !response.complete || ask.method == "HEAD") return;
  const std::string wanted = ask.kind == Kind::big ? big_body()
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
  const bool entitled = script.polite && !resets_ && !drains_ && !script.client->saw_reset();
  if (entitled && !closing && (responses.size() < sent || (sent > 0 && !responses.back().complete))) {
    violated("client " + std::to_string(script.client->number()) + " has " + std::to_string(responses.size()) +
             " answers to " + std::to_string(sent) + " requests");
  }
  if (script.polite && !faulty_ && script.client->saw_reset() && !drains_) violated("a polite client was reset");
}

std::string Chaos::run() {
  const auto all_finished = [&] {
    return !violation_.empty() || std::all_of(scripts_.begin(), scripts_.end(), [&](const Script& s) { return finished(s); });
  };
  server_->run_until(all_finished, 120s);
  server_->run_for(1s);  // zombies go home, hooks fire
  for (const Script& script : scripts_) check_client(script);
  for (const Script& script : scripts_) script.client->close();
  server_->net().random_faults(0, false);
  hooks_.clear();
  server_->run_for(200s);
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

std::string ChaosStatistics::table() const {
  std::string all = "runs " + std::to_string(runs) + ", requests " + std::to_string(requests) + "\nanswers:";
  for (std::size_t status = 0; status < answers.size(); ++status) {
    if (answers[status] != 0) all += " " + std::to_string(status) + "=" + std::to_string(answers[status]);
  }
  return all + "\n";
}

}  // namespace sluice::sim
