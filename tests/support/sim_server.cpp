#include "support/sim_server.hpp"

#include <algorithm>
#include <charconv>

namespace sluice::sim {

SimServer::SimServer(std::uint64_t seed, Router router, ServerOptions options, bool confirm_later)
    : net_{std::make_shared<net::SimNet>(seed)} {
  net_->options().confirm_later = confirm_later;
  const unsigned loops = options.loops;
  const auto hosts = [this](unsigned threads) {
    auto workers = std::make_unique<SimWorkers>(*net_, threads);
    pools_.push_back(workers.get());
    return workers;
  };
  core_ =
      std::make_shared<detail::Core>(detail::RouterState::take(std::move(router)), std::move(options), *net_, hosts);
  for (unsigned i = 0; i < loops; ++i) {
    units_.push_back(std::make_shared<Unit>(core_, i, net_));
    units_.back()->shard.held_by(units_.back());
    SLUICE_ASSERT(units_.back()->loop.listen(net::SimNet::listener(80), loops > 1) == 0);
  }
  core_->start_pools();
}

SimServer::~SimServer() {
  stop();
  while (!over() && step()) {}
  core_->join_pools();
}

void SimServer::turn(Unit& unit) {
  if (unit.loop.turn(false)) return;
  unit.over = true;
  ++units_over_;
  for (const auto& shared : units_) {
    if (shared.get() == &unit) unit.shard.retire(shared);
  }
}

bool SimServer::step() {
  net_->deliver();
  std::vector<Unit*> loops;
  for (const auto& unit : units_) {
    if (!unit->over && unit->loop.runnable()) loops.push_back(unit.get());
  }
  std::vector<std::pair<SimWorkers*, int>> workers;
  for (SimWorkers* const pool : pools_) {
    for (const int worker : pool->runnable()) workers.emplace_back(pool, worker);
  }
  if (const std::size_t count = loops.size() + workers.size(); count > 0) {
    const std::size_t chosen = net_->random().below(count);
    if (chosen < loops.size()) {
      turn(*loops[chosen]);
    } else {
      const auto [pool, worker] = workers[chosen - loops.size()];
      pool->run(worker);
    }
    return true;
  }
  if (on_quiet) on_quiet();
  base::TimePoint next = net_->next_event();
  for (const SimWorkers* const pool : pools_) next = std::min(next, pool->next_wake());
  for (const auto& unit : units_) {
    if (!unit->over) next = std::min(next, unit->loop.next_deadline());
  }
  if (next == base::never) return false;
  net_->advance_to(std::max(next, net_->now()));
  return true;
}

bool SimServer::run_until(const std::function<bool()>& done, base::Duration at_most) {
  const base::TimePoint end = net_->now() + at_most;
  for (std::uint64_t steps = 0; !done(); ++steps) {
    if (steps > 20'000'000 || net_->now() > end || !step()) return done();
  }
  return true;
}

void SimServer::run_for(base::Duration time) {
  const base::TimePoint end = net_->now() + time;
  bool reached = false;
  net_->at(end, [&reached] { reached = true; });
  run_until([&] { return reached; }, time * 2);
}

void SimServer::drain(base::Duration timeout) {
  core_->clamp_drain_deadline(net_->now() + timeout);
  for (const auto& unit : units_) unit->shard.ask(detail::Shard::Wish::drain);
}

void SimServer::stop() {
  core_->clamp_drain_deadline(net_->now());
  for (const auto& unit : units_) unit->shard.ask(detail::Shard::Wish::cut);
}

Counters SimServer::counters() const {
  Counters counters;
  counters.lanes = core_->lane_counters();
  for (const auto& unit : units_) counters.loops.push_back(unit->shard.status());
  return counters;
}

LaneCounters SimServer::lane(std::string_view name) const {
  for (const auto& lane : core_->lane_counters()) {
    if (lane.name == name) return lane.counters;
  }
  return {};
}

std::string SimServer::describe() {
  std::string all;
  for (const auto& unit : units_) {
    all += "loop" + std::string{unit->over ? " over" : ""} + (unit->shard.draining() ? " draining" : "") + ", " +
           std::to_string(unit->shard.connection_count()) + " connections, " +
           std::to_string(unit->shard.exchange_count()) + " exchanges:";
    unit->shard.for_each_connection([&](detail::Connection& connection) {
      all += " [state " + std::to_string(static_cast<int>(connection.state())) + ", out " +
             std::to_string(connection.out.size()) + (connection.write_blocked ? " blocked" : "") +
             (connection.closing ? " closing" : "") + (connection.timer.armed() ? " armed" : "") +
             (connection.input_ended ? " ended" : "") + ", in flight " + std::to_string(connection.in_flight) + "]";
    });
    all += "\n";
  }
  return all;
}

std::string SimServer::leaks() const {
  std::string all;
  const auto say = [&](const std::string& what) { all += what + "\n"; };
  for (const NamedLaneCounters& lane : core_->lane_counters()) {
    const LaneCounters& c = lane.counters;
    if (!c.balanced()) {
      say("lane " + lane.name + " does not balance: received " + std::to_string(c.received) + " shed " +
          std::to_string(c.shed_total()) + " queued " + std::to_string(c.queued) + " inline " +
          std::to_string(c.inlined) + " started " + std::to_string(c.started) + " expired " +
          std::to_string(c.expired) + " cancelled " + std::to_string(c.cancelled) + " drained " +
          std::to_string(c.drained) + " depth " + std::to_string(c.depth) + " responded " +
          std::to_string(c.responded) + " raised " + std::to_string(c.raised) + " timed_out " +
          std::to_string(c.timed_out) + " abandoned " + std::to_string(c.abandoned) + " running " +
          std::to_string(c.running));
    }
    if (c.depth != 0) say("lane " + lane.name + ": depth " + std::to_string(c.depth));
    if (c.running != 0) say("lane " + lane.name + ": running " + std::to_string(c.running));
    if (c.in_flight != 0) say("lane " + lane.name + ": in_flight " + std::to_string(c.in_flight));
    if (c.zombies != 0) say("lane " + lane.name + ": zombies " + std::to_string(c.zombies));
    if (c.started_after_deadline != 0) say("lane " + lane.name + ": started after its deadline");
  }
  for (const auto& unit : units_) {
    net::LoopBase& loop = unit->loop;
    if (unit->shard.connection_count() != 0) say("connections: " + std::to_string(unit->shard.connection_count()));
    if (unit->shard.exchange_count() != 0) say("exchanges: " + std::to_string(unit->shard.exchange_count()));
    if (loop.blocks().in_use() != 0) say("blocks: " + std::to_string(loop.blocks().in_use()));
    if (loop.blocks().bytes_in_use() != 0) say("buffered bytes: " + std::to_string(loop.blocks().bytes_in_use()));
    if (loop.timers().armed() != 0) say("timers: " + std::to_string(loop.timers().armed()));
  }
  return all;
}

std::string ClientResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

namespace {

bool read_head(std::string_view head, ClientResponse& response, std::string& error) {
  std::size_t line_end = head.find("\r\n");
  const std::string_view status = head.substr(0, line_end);
  if (!status.starts_with("HTTP/1.1 ") || status.size() < 13) {
    error = "bad status line: " + std::string{status.substr(0, 40)};
    return false;
  }
  std::from_chars(status.data() + 9, status.data() + 12, response.status);
  while (line_end != std::string_view::npos && line_end + 2 < head.size()) {
    const std::size_t begin = line_end + 2;
    line_end = head.find("\r\n", begin);
    const std::string_view line = head.substr(begin, line_end == std::string_view::npos ? line_end : line_end - begin);
    const std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos) {
      error = "bad field line: " + std::string{line.substr(0, 40)};
      return false;
    }
    std::string name{line.substr(0, colon)};
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    response.headers.emplace_back(std::move(name), std::string{line.substr(colon + 2)});
  }
  return true;
}

}  // namespace

namespace {

/// Takes a chunked body off `bytes`, as far as it is there; complete once its last line is.
void read_chunks(std::string_view& bytes, ClientResponse& response, std::string& error) {
  while (!bytes.empty()) {
    const std::size_t line = bytes.find("\r\n");
    std::size_t size = 0;
    const auto parsed = std::from_chars(bytes.data(), bytes.data() + std::min(line, bytes.size()), size, 16);
    if (line == std::string_view::npos) break;
    if (parsed.ptr != bytes.data() + line) error = "a chunk's size that is none";
    if (size == 0) {
      const std::size_t end = bytes.find("\r\n\r\n", line);
      if (end == std::string_view::npos) break;
      if (end > line) response.trailers = bytes.substr(line + 2, end - line);
      response.complete = true;
      bytes.remove_prefix(end + 4);
      return;
    }
    if (bytes.size() < line + 2 + size + 2) break;
    response.body += bytes.substr(line + 2, size);
    if (bytes.substr(line + 2 + size, 2) != "\r\n") error = "a chunk without its end";
    bytes.remove_prefix(line + 2 + size + 2);
  }
  bytes = {};
}

}  // namespace

std::vector<ClientResponse> read_responses(std::string_view bytes, const std::vector<std::string>& methods,
                                           std::string& error) {
  std::vector<ClientResponse> all;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      all.emplace_back();  // a head that is cut off
      if (bytes.substr(0, 5) != std::string_view{"HTTP/"}.substr(0, std::min<std::size_t>(5, bytes.size()))) {
        error = "not a response: " + std::string{bytes.substr(0, 40)};
      }
      return all;
    }
    ClientResponse response;
    if (!read_head(bytes.substr(0, end), response, error)) return all;
    bytes.remove_prefix(end + 4);
    if (response.status < 200) continue;
    const bool head = all.size() < methods.size() && methods[all.size()] == "HEAD";
    if (!head && response.header("transfer-encoding") == "chunked") {
      read_chunks(bytes, response, error);
      all.push_back(std::move(response));
      continue;
    }
    std::size_t length = 0;
    const std::string text = response.header("content-length");
    std::from_chars(text.data(), text.data() + text.size(), length);
    if (head || response.status == 204 || response.status == 304) length = 0;
    else if (text.empty() && response.header("connection") == "close") {  // until the end of the connection
      response.body = bytes;
      all.push_back(std::move(response));
      return all;
    } else if (text.empty() && response.header("transfer-encoding").empty()) {
      error = "response without Content-Length";
    }
    if (response.status == 408) length = bytes.size();  // to a HEAD whose method had not come yet: nothing follows it
    response.complete = bytes.size() >= length;
    response.body = bytes.substr(0, length);
    bytes.remove_prefix(std::min(length, bytes.size()));
    all.push_back(std::move(response));
  }
  return all;
}

std::unique_ptr<SimServer> plain_sim_server(Router router) {
  ServerOptions options;
  options.loops = 1;
  options.pool_threads = 1;
  auto server = std::make_unique<SimServer>(1, std::move(router), options);
  server->net().options().delay_max = base::Duration{0};
  server->net().options().segment_bytes_max = 1 << 20;
  return server;
}

}  // namespace sluice::sim
