#include <sluice/server.hpp>

#include <sluice/blocking.hpp>

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "net/choose.hpp"
#include "net/epoll_io.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"
#include "net/uring_io.hpp"
#include "server/shard.hpp"

namespace sluice {
namespace {

using detail::Core;
using detail::Shard;

Peer peer_of_socket(int fd) {
  Peer peer;
  const net::Address address = net::peer_address(fd);
  peer.address = address.to_string();
  if (!address.is_unix()) return peer;  // nobody vouches for it, and to ask is a system call
  if (const auto credentials = net::peer_credentials(fd)) {
    peer.process_id = static_cast<std::uint32_t>(credentials->process);
    peer.user_id = credentials->user;
    peer.group_id = credentials->group;
  }
  return peer;
}

[[noreturn]] void throw_listen_error(const std::string& text, const net::Error& error) {
  const std::error_code code{error.number, std::system_category()};
  std::string sentence = "listen \"" + text + "\": " + error.sentence;
  const std::string repeated = ": " + code.message();  // system_error says it too
  if (sentence.ends_with(repeated)) sentence.resize(sentence.size() - repeated.size());
  throw std::system_error{code, sentence};
}

}  // namespace

namespace detail {

/// One loop with its shard. Kept by the server, and by the last exchange if that outlives the server.
struct alignas(64) LoopUnit {
  LoopUnit(std::shared_ptr<Core> core, std::size_t index, std::optional<net::UringRing> ring) : shard{core, index} {
    if (ring) {
      loop = std::make_unique<net::Loop<net::UringIo, Shard>>(shard, core->clock(), *std::move(ring));
    } else {
      loop = std::make_unique<net::Loop<net::EpollIo, Shard>>(shard, core->clock());
    }
    shard.attach(*loop, peer_of_socket);
  }
  Shard shard;
  std::unique_ptr<net::LoopBase> loop;  // its calls are virtual by the turn, not by the event
};

}  // namespace detail

namespace {

using detail::LoopUnit;

net::Wanted wanted(Backend backend) noexcept {
  switch (backend) {
    case Backend::automatic: break;
    case Backend::epoll: return net::Wanted::epoll;
    case Backend::io_uring: return net::Wanted::io_uring;
  }
  return net::Wanted::automatic;
}

void add(ConnectionCounters& sum, const LoopUnit& unit) {
  const detail::ConnectionTally& tally = unit.shard.connection_tally();
  sum.accepted += tally.accepted.read();
  sum.closed += tally.closed.read();
  sum.refused_requests += tally.refused_requests.read();
  sum.head_timeouts += tally.head_timeouts.read();
  sum.body_timeouts += tally.body_timeouts.read();
  sum.idle_closed += tally.idle_closed.read();
  sum.idle_reaped += tally.idle_reaped.read();
  sum.memory_pauses += tally.memory_pauses.read();
  sum.slow_readers += tally.slow_readers.read();
  sum.resets += tally.resets.read();
  sum.accept_pauses += tally.accept_pauses.read();
  sum.accept_errors += unit.loop->counters().accept_errors.value();
  sum.responses += tally.responses.read();
  sum.responses_dropped += tally.responses_dropped.read();
  sum.bytes_buffered += tally.bytes_buffered.read();
  sum.bytes_copied += tally.bytes_copied.read();
  sum.refusals += tally.refusals.read();
  sum.reads_paused += tally.reads_paused.read();
  sum.accepts_paused += tally.accepts_paused.read();
  sum.refusal_rung = std::max(sum.refusal_rung, tally.refusal_rung.read());
  sum.refusal_cost_ns = std::max(sum.refusal_cost_ns, tally.refusal_cost_ns.read());
}

void add(LaneCounters& sum, const LaneCounters& lane) {
  sum.received += lane.received;
  for (std::size_t i = 0; i < shed_reason_count; ++i) sum.shed[i] += lane.shed[i];
  sum.queued += lane.queued;
  sum.inlined += lane.inlined;
  sum.started += lane.started;
  sum.expired += lane.expired;
  sum.cancelled += lane.cancelled;
  sum.evicted += lane.evicted;
  sum.stale += lane.stale;
  sum.drained += lane.drained;
  sum.responded += lane.responded;
  sum.raised += lane.raised;
  sum.timed_out += lane.timed_out;
  sum.abandoned += lane.abandoned;
  sum.dropped += lane.dropped;
  sum.thrown += lane.thrown;
  sum.late += lane.late;
  sum.started_after_deadline += lane.started_after_deadline;
  sum.loop_stalls += lane.loop_stalls;
  sum.depth += lane.depth;
  sum.running += lane.running;
  sum.in_flight += lane.in_flight;
  sum.zombies += lane.zombies;
  sum.limit += lane.limit;
  sum.delayed += lane.delayed;
  sum.degraded += lane.degraded;
  sum.mode_changes += lane.mode_changes;
  sum.oldest_zombie_ms = std::max(sum.oldest_zombie_ms, lane.oldest_zombie_ms);
  sum.overloaded += lane.overloaded;  // how many lanes are
  sum.stalled += lane.stalled;
}

/// Which processor it is that comes `index`-th among those that the process may use, going round; none if nobody knows.
std::optional<unsigned> processor_for(std::size_t index) noexcept {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) == 0) return std::nullopt;
  std::size_t left = index % static_cast<std::size_t>(CPU_COUNT(&allowed));
  for (unsigned processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (CPU_ISSET(processor, &allowed) && left-- == 0) return processor;
  }
  return std::nullopt;
}

bool pin_this_thread(std::optional<unsigned> processor) noexcept {
  if (!processor) return false;
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(*processor, &only);
  return pthread_setaffinity_np(pthread_self(), sizeof only, &only) == 0;
}

}  // namespace

unsigned default_loops() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1u, static_cast<unsigned>(CPU_COUNT(&set)));
  return std::max(1u, std::thread::hardware_concurrency());
}

unsigned default_pool_threads() noexcept { return std::max(16u, 4 * default_loops()); }

std::uint32_t default_connections_max() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 512;
  const auto half = static_cast<std::uint64_t>(limit.rlim_cur) / 2;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(half, 16, 10'000));
}

bool default_refuse_blocking() noexcept {
#ifdef NDEBUG
  return false;
#else
  return true;
#endif
}

class Server::Impl {
 public:
  Impl(Router router, ServerOptions options);
  ~Impl();

  void start();
  void wait();
  DrainReport end(Shard::Wish wish, std::chrono::milliseconds timeout);
  Readiness ready();
  /// Throws where waiting for this server would hold a loop of another one.
  void check_may_wait(std::string_view what) const;

  std::shared_ptr<Core> core;
  std::vector<std::shared_ptr<LoopUnit>> units;
  std::vector<net::Listener> listeners;
  std::vector<std::string> addresses;
  std::string_view backend;

 private:
  void make_units();
  void bind();
  void serve(std::size_t index) noexcept;
  bool called_from_inside() const noexcept;
  void join_all();
  void begin_end(Shard::Wish wish, std::chrono::milliseconds timeout);
  DrainReport summary(base::TimePoint since);

  std::string backend_reason_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::mutex join_mutex_;  // after mutex_, never before it
  std::vector<std::thread> threads_;  // filled by start(), then only joined, under join_mutex_
  bool started_ = false;
  bool ended_ = false;
  std::size_t loops_over_ = 0;
  std::size_t loops_expected_ = 0;
  std::map<std::string, std::uint64_t> still_running_;
};

Server::Impl::Impl(Router router, ServerOptions options) {
  if (!http::parser_self_test()) throw std::runtime_error{"llhttp: the parser that was built in is not strict"};
  if (options.listen.empty()) throw std::invalid_argument{"listen: no address given"};
  core = std::make_shared<Core>(detail::RouterState::take(std::move(router)), std::move(options), base::system_clock(),
                                [](unsigned threads) { return std::make_unique<admission::ThreadHost>(threads); });
  make_units();
  bind();
}

// All loops run on the same backend, chosen before there is a socket.
void Server::Impl::make_units() {
  const ServerOptions& options = core->options();
  auto choice = net::choose(wanted(options.backend), options.loops);
  if (!choice) throw std::runtime_error{"backend: " + choice.error()};
  backend = choice->rings.empty() ? "epoll" : "io_uring";
  backend_reason_ = std::move(choice->reason);
  for (std::size_t i = 0; i < options.loops; ++i) {
    std::optional<net::UringRing> ring;
    if (!choice->rings.empty()) ring = std::move(choice->rings[i]);
    units.push_back(std::make_shared<LoopUnit>(core, i, std::move(ring)));
    units.back()->shard.held_by(units.back());
  }
}

Server::Impl::~Impl() {
  end(Shard::Wish::cut, std::chrono::milliseconds{0});
  join_all();
}

void Server::Impl::bind() {
  const ServerOptions& options = core->options();
  for (const std::string& text : options.listen) {
    const auto address = net::Address::parse(text);
    if (!address) throw std::invalid_argument{"listen \"" + text + "\": " + address.error()};
    net::ListenOptions listen_options;
    listen_options.loops = options.loops;
    listen_options.unix_mode = options.unix_mode;
    auto listener = net::Listener::open(*address, listen_options);
    if (!listener) throw_listen_error(text, listener.error());
    for (unsigned i = 0; i < options.loops; ++i) {
      const int error = units[i]->loop->listen(listener->fd(i), listener->shared());
      if (error != 0) throw std::system_error{error, std::system_category(), "listen \"" + text + "\""};
    }
    addresses.push_back(listener->address().to_string());
    listeners.push_back(*std::move(listener));
  }
}

void Server::Impl::start() {
  const std::lock_guard lock{mutex_};
  if (started_) throw std::logic_error{"start: the server was started before"};
  if (ended_) return;  // a signal was quicker; wait() returns at once
  started_ = true;
  loops_expected_ = units.size();
  core->start_pools();
  try {
    for (std::size_t i = 0; i < units.size(); ++i) threads_.emplace_back([this, i] { serve(i); });
  } catch (...) {  // no thread to be had: those that run are all there will be, and the destructor ends them
    loops_expected_ = threads_.size();
    throw;
  }
  core->log(LogEvent::Level::info, "backend", {}, backend_reason_);
}

void Server::Impl::serve(std::size_t index) noexcept {
  LoopUnit& unit = *units[index];
  if (core->options().pin_loops && !pin_this_thread(processor_for(index))) {
    core->log(LogEvent::Level::warning, "not_pinned", {},
              "loop " + std::to_string(index) + " runs where the kernel likes");
  }
  unit.loop->run();
  std::map<std::string, std::uint64_t> running;
  unit.shard.count_running(running);
  unit.shard.retire(units[index]);
  const std::lock_guard lock{mutex_};
  for (const auto& [route, count] : running) still_running_[route] += count;
  ++loops_over_;
  changed_.notify_all();
}

bool Server::Impl::called_from_inside() const noexcept {
  const net::LoopBase* const current = net::LoopBase::current();
  for (const auto& unit : units) {
    if (unit->loop.get() == current) return true;
  }
  return core->on_pool_thread();
}

// On a thread of their own server drain and stop do not wait.
void Server::Impl::check_may_wait(std::string_view what) const {
  if (!called_from_inside()) check_may_block(what);
}

void Server::Impl::begin_end(Shard::Wish wish, std::chrono::milliseconds timeout) {
  core->clamp_drain_deadline(core->clock().now() + std::clamp(timeout, std::chrono::milliseconds{0}, detail::time_max));
  for (const auto& unit : units) unit->shard.ask(wish);
}

DrainReport Server::Impl::end(Shard::Wish wish, std::chrono::milliseconds timeout) {
  const base::TimePoint since = core->clock().now();
  {
    const std::lock_guard lock{mutex_};
    if (!started_) {
      listeners.clear();
      ended_ = true;
      changed_.notify_all();
      return {};
    }
  }
  begin_end(wish, timeout);
  if (called_from_inside()) return summary(since);
  // A handler that never returns on a loop can't be ended: past the deadline it is reported, and only the destructor
  // waits for it.
  const base::TimePoint patience = std::min(since + timeout, core->drain_deadline()) + std::chrono::seconds{1};
  std::unique_lock lock{mutex_};
  while (loops_over_ < loops_expected_ && core->clock().now() < patience) {
    const bool refusing =
        std::all_of(units.begin(), units.end(), [](const auto& u) { return u->shard.stopped_accepting(); });
    if (refusing) listeners.clear();  // from here on the kernel refuses new clients
    changed_.wait_for(lock, std::chrono::milliseconds{listeners.empty() ? 100 : 5});
  }
  listeners.clear();
  const bool idle = still_running_.empty() && loops_over_ == loops_expected_;
  lock.unlock();
  core->close_pools();
  if (idle) join_all();
  return summary(since);
}

// A drain and a stop may both be waiting for the end: one joins, the other finds nothing left to join.
void Server::Impl::join_all() {
  const std::lock_guard lock{join_mutex_};
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  core->join_pools();
}

DrainReport Server::Impl::summary(base::TimePoint since) {
  DrainReport report;
  for (const auto& unit : units) {
    report.finished += unit->shard.connection_tally().drain_finished.read();
    report.cut += unit->shard.connection_tally().drain_cut.read();
  }
  const std::lock_guard lock{mutex_};
  std::map<std::string, std::uint64_t> running = still_running_;
  for (const auto& unit : units) {
    if (const detail::Route* route = unit->shard.running_route()) {
      ++running[std::string{to_string(route->method)} + " " + route->pattern];
    }
  }
  report.still_running.assign(running.begin(), running.end());
  report.took = std::chrono::ceil<std::chrono::milliseconds>(core->clock().now() - since);
  return report;
}

Readiness Server::Impl::ready() {
  {
    const std::lock_guard lock{mutex_};
    if (!started_ && !ended_) return {false, "not started"};
    if (ended_ || core->drain_deadline() != base::never) return {false, "draining"};
  }
  const std::string stalled = core->stalled_lane();
  if (!stalled.empty()) return {false, "lane " + stalled + " is stalled"};
  return {true, {}};
}

void Server::Impl::wait() {
  if (called_from_inside()) throw std::logic_error{"wait: called on a loop or pool thread of this server"};
  check_may_block("Server::wait");
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return ended_ || (started_ && loops_over_ == loops_expected_); });
}

// ---- the public face

Server::Server(Router router, ServerOptions options)
    : impl_{std::make_unique<Impl>(std::move(router), std::move(options))} {}
Server::~Server() = default;

void Server::start() { impl_->start(); }

int Server::run() {
  impl_->start();
  impl_->wait();
  return 0;
}

void Server::wait() { impl_->wait(); }

DrainReport Server::drain(std::chrono::milliseconds timeout) {
  impl_->check_may_wait("Server::drain");
  return impl_->end(Shard::Wish::drain, timeout);
}

DrainReport Server::drain() { return drain(impl_->core->limits().drain_timeout); }

DrainReport Server::stop() {
  impl_->check_may_wait("Server::stop");
  return impl_->end(Shard::Wish::cut, std::chrono::milliseconds{0});
}

std::vector<std::string> Server::addresses() const { return impl_->addresses; }

std::string_view Server::backend() const noexcept { return impl_->backend; }

Report Server::report() const {
  Report report = impl_->core->report();
  report.backend = backend();
  report.addresses = impl_->addresses;
  return report;
}

Readiness Server::ready() const { return impl_->ready(); }

std::vector<RunningWork> Server::running() const { return impl_->core->running(); }

Counters Server::counters() const {
  Counters counters;
  counters.lanes = impl_->core->lane_counters();
  for (const NamedLaneCounters& lane : counters.lanes) add(counters.total, lane.counters);
  for (const auto& unit : impl_->units) {
    add(counters.connections, *unit);
    counters.loops.push_back(unit->shard.status());
  }
  counters.connections.open = counters.connections.accepted - counters.connections.closed;
  return counters;
}

}  // namespace sluice
