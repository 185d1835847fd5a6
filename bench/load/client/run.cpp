// run.cpp: run(): checks the load, starts the generator threads, watches them from the caller's thread, sums up.
#include <sluice/bench.hpp>

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "load/client/client.hpp"
#include "load/client/merge.hpp"
#include "load/client/settings.hpp"
#include "load/client/target.hpp"
#include "load/judge/shape.hpp"
#include "load/judge/validity.hpp"
#include "net/epoll_io.hpp"
#include "net/loop.hpp"

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr base::Duration start_delay = std::chrono::milliseconds{5};
constexpr base::Duration look_interval = std::chrono::milliseconds{100};
constexpr base::Duration watch_interval = std::chrono::seconds{1};
constexpr std::int64_t windows_max = 600;  // where the caller leaves their width to us
constexpr std::int64_t windows_kept_max = 10'000;
constexpr base::Duration window_min = std::chrono::milliseconds{10};
constexpr std::size_t descriptors_beside = 64;  // standard streams, epoll, and what the program has open
constexpr double rate_max = 1e8;
constexpr unsigned threads_max = 256, connections_max = 1'000'000, pipeline_max = 64;

std::unexpected<Error> usage(std::string text) { return std::unexpected(Error{Error::Kind::usage, std::move(text)}); }

std::optional<std::string> fault_of(const Clients& clients) {
  const std::string who = "clients \"" + clients.name + "\": ";
  const Behaviour& behaviour = clients.behaviour;
  const Pattern& pattern = clients.pattern;
  if (clients.connections == 0 || clients.connections > connections_max) {
    return who + "connections must be 1 to 1,000,000";
  }
  if (!(clients.rate_per_s >= 0) || clients.rate_per_s > rate_max) return who + "the rate must be 0 to 100M per second";
  if (behaviour.pipeline == 0 || behaviour.pipeline > pipeline_max) return who + "pipeline must be 1 to 64";
  if (behaviour.give_up_after < Duration{} || behaviour.retry_backoff < Duration{} || behaviour.deadline < Duration{}) {
    return who + "a time is below zero";
  }
  if (pattern.kind == Pattern::Kind::steady) return std::nullopt;
  if (clients.rate_per_s == 0) return who + "bursts and ramps need a rate";
  if (pattern.low < 0 || pattern.high <= 0) return who + "the pattern's factors must not be below zero";
  if (pattern.kind == Pattern::Kind::burst && (pattern.on <= Duration{} || pattern.off <= Duration{})) {
    return who + "a burst needs times above zero";
  }
  return std::nullopt;
}

std::optional<std::string> fault_in_steering(const Clients& clients) {
  if (clients.rate_per_s == 0) return "clients \"" + clients.name + "\": steering needs a rate";
  if (clients.pattern.kind != Pattern::Kind::steady)
    return "clients \"" + clients.name + "\": bursts and ramps can't be steered";
  return std::nullopt;
}

/// What is kept of a run grows with its windows, and every one costs each thread something.
std::optional<std::string> fault_in_window(const Load& load) {
  if (load.window == Duration{}) return std::nullopt;
  if (load.window < window_min) return "the window must be 10 ms or more";
  if (load.on_window || (load.duration + load.grace) / windows_kept_max < load.window) return std::nullopt;
  return "the window is too narrow: without on_window a run and its grace must have fewer than 10,000 of them";
}

std::optional<std::string> fault_of(const Load& load) {
  if (load.clients.empty()) return "there are no clients";
  if (load.background >= load.clients.size()) return "all clients are in the background; nothing is measured";
  if (load.threads == 0 || load.threads > threads_max) return "threads must be 1 to 256";
  if (load.duration <= Duration{}) return "the duration must be above zero";
  if (load.warmup < Duration{} || load.grace < Duration{} || load.connect_timeout <= Duration{} ||
      load.window < Duration{}) {
    return "a time is below zero";
  }
  if (auto fault = fault_in_window(load)) return fault;
  for (const Clients& clients : load.clients) {
    if (auto fault = fault_of(clients)) return fault;
    if (!load.steer) continue;
    if (auto fault = fault_in_steering(clients)) return fault;
  }
  return std::nullopt;
}

std::expected<void, Error> check_descriptors(const Load& load) {
  std::size_t needed = descriptors_beside;
  for (const Clients& clients : load.clients) needed += clients.connections;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (needed <= limit.rlim_cur) return {};
  return std::unexpected(Error{Error::Kind::descriptors, "too few file descriptors: the load needs " +
                                                             std::to_string(needed) + ", the limit is " +
                                                             std::to_string(limit.rlim_cur) + " (ulimit -n)"});
}

base::Duration window_of(base::Duration duration) noexcept {
  constexpr base::Duration second = std::chrono::seconds{1};
  if (duration < 5 * second) return std::chrono::milliseconds{100};
  return std::max(second, duration / windows_max);
}

std::expected<Settings, Error> prepare(const Load& load, const Target& target) {
  Settings settings;
  settings.load = &load;
  settings.target = target.address;
  settings.window = load.window > Duration{} ? load.window : window_of(load.duration);
  for (const std::string& source : load.sources) {
    auto address = source_address(source);
    if (!address) return std::unexpected(address.error());
    settings.sources.push_back(*address);
  }
  for (const Clients& clients : load.clients) {
    const Behaviour& behaviour = clients.behaviour;
    auto mix = RequestMix::compile(clients.requests, {.host = target.host,
                                                      .target = target.path,
                                                      .deadline = behaviour.deadline,
                                                      .deadline_header = behaviour.deadline_header});
    if (!mix) return usage("clients \"" + clients.name + "\": " + mix.error());
    settings.mixes.push_back(std::move(*mix));
  }
  return settings;
}

/// The machine's CPU time so far, in clock ticks.
struct MachineTime {
  std::uint64_t all = 0, stolen = 0;
};

MachineTime machine_time() {
  std::ifstream file{"/proc/stat"};
  std::string label;
  file >> label;
  MachineTime time;
  std::uint64_t value = 0;
  for (int column = 0; column < 8 && file >> value; ++column) {
    time.all += value;
    if (column == 7) time.stolen = value;
  }
  return time;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// The generator threads of one run, and what their caller does meanwhile.
class Run {
 public:
  Run(const Load& load, const Settings& settings, const Target& target)
      : load_{load}, settings_{settings}, target_{target}, records_(load.threads) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() { end(); }

  std::expected<RunResult, Error> make() {
    steer();
    start_threads();
    if (auto connected = wait_for_connections(); !connected) return std::unexpected(connected.error());
    const MachineTime before = machine_time();
    const auto started = Clock::now() + start_delay;
    started_at_ = utc_now();
    meeting_.start.store(started.time_since_epoch().count());
    measured_from_ = started + load_.warmup;
    watch();
    end();
    show_windows(1);  // a thread that was done before the others has given fewer
    if (trouble_) return std::unexpected(*trouble_);
    if (no_http()) {
      return std::unexpected(Error{Error::Kind::not_http, target_.url + " does not answer in HTTP/1.1"});
    }
    RunResult result = merge(settings_, records_, measured_from_);
    result.started_at = started_at_;
    result.server = std::move(samples_);
    const MachineTime after = machine_time();
    if (after.all > before.all) {
      result.generator.steal_ratio =
          static_cast<double>(after.stolen - before.stolen) / static_cast<double>(after.all - before.all);
    }
    result.shape = shape_of(result);
    judge(load_, result);
    std::uint64_t left = 0;
    for (const ThreadRecord& record : records_) left += record.left_from_warmup;
    if (left > connections()) {
      result.warnings.push_back(
          std::to_string(left) +
          " requests were left from the warm-up and went out first: the load was too much already");
    }
    return result;
  }

 private:
  /// Something came, but no answer of any status.
  bool no_http() const noexcept { return meeting_.not_http && meeting_.ok + meeting_.refused + meeting_.failed == 0; }

  std::uint64_t connections() const noexcept {
    std::uint64_t sum = 0;
    for (const Clients& clients : load_.clients) sum += clients.connections;
    return sum;
  }

  void start_threads() {
    const unsigned count = load_.threads;
    try {
      for (unsigned number = 0; number < count; ++number) {
        threads_.emplace_back([this, number, count] { generate({number, count}); });
      }
    } catch (const std::system_error& error) { fail(error.what()); }
  }

  void generate(Part part) noexcept {
    ::prctl(PR_SET_TIMERSLACK, 1UL);  // else the kernel may wake us 50 us late
    try {
      Client client{settings_, meeting_, part, base::system_clock()};
      net::Loop<net::EpollIo, Client> loop{client, base::system_clock(), net::EpollIo::Waits::precise};
      client.use(loop);
      loop.run();
      records_[part.number] = client.take_record();
    } catch (const std::exception& error) { fail(error.what()); }
    finished_.fetch_add(1);
  }

  void fail(const char* what) {
    const std::lock_guard hold{trouble_mutex_};
    if (!trouble_) trouble_ = Error{Error::Kind::system, std::string{"cannot start a generator thread: "} + what};
    meeting_.abandon = true;
  }

  bool interrupted() {
    if (load_.interrupted && load_.interrupted()) interrupted_ = true;
    return interrupted_;
  }

  std::expected<void, Error> wait_for_connections() {
    while (meeting_.ready.load() < load_.threads && finished_.load() == 0) {
      if (meeting_.abandon || interrupted()) break;
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    const bool any_kept = std::ranges::any_of(
        load_.clients, [](const Clients& clients) { return clients.behaviour.requests_per_connection != 1; });
    const int error = meeting_.connect_error;
    {
      const std::lock_guard hold{trouble_mutex_};  // other threads may still be failing
      if (!trouble_ && interrupted_) trouble_ = Error{Error::Kind::interrupted, "interrupted before the load began"};
      if (!trouble_ && any_kept && meeting_.connected == 0) trouble_ = connect_error(target_, error);
      if (!trouble_ && (error == EMFILE || error == ENFILE)) trouble_ = connect_error(target_, error);
      if (!trouble_) return {};
    }
    end();
    return std::unexpected(*trouble_);
  }

  /// Until all threads are through.
  void watch() {
    Clock::time_point next_look = Clock::now(), next_sample = measured_from_;
    while (finished_.load() < load_.threads) {
      std::this_thread::sleep_until(next_look);
      next_look += look_interval;
      const auto now = Clock::now();
      if (interrupted()) meeting_.stop = true;
      if (no_http()) meeting_.abandon = true;
      const double at_s = std::chrono::duration<double>(now - measured_from_).count();
      if (load_.on_progress) tell(at_s);
      show_windows(load_.threads);
      steer();
      if (!load_.watch_server || now < next_sample || meeting_.abandon) continue;
      next_sample += watch_interval;
      if (now > measured_from_ + load_.duration + watch_interval) continue;
      if (auto sample = load_.watch_server()) {
        sample->at_s = at_s;
        samples_.push_back(std::move(*sample));
      }
    }
  }

  /// Those that so many threads have given.
  void show_windows(unsigned threads) {
    if (!load_.on_window) return;
    meeting_.windows.take(threads, [this](std::size_t index, const WindowRecord& record) {
      const double window_s = std::chrono::duration<double>(settings_.window).count();
      load_.on_window(window_of(record, window_s * static_cast<double>(index)));
    });
  }

  /// Nothing is told to the threads unless something was changed.
  void steer() {
    if (!load_.steer) return;
    if (courses_.empty()) {
      for (const Clients& clients : load_.clients) {
        courses_.push_back({clients.rate_per_s, clients.behaviour.give_up_after, clients.behaviour.retries});
      }
    }
    const std::vector<Course> before = courses_;
    load_.steer(courses_);
    for (Course& course : courses_) {
      course.rate_per_s = std::clamp(course.rate_per_s, 0.0, rate_max);
      course.give_up_after = std::max(course.give_up_after, Duration{});
    }
    if (courses_ != before) meeting_.courses.set(courses_);
  }

  void tell(double at_s) {
    const std::int64_t outstanding = meeting_.outstanding;
    load_.on_progress({.at_s = at_s,
                       .of_s = std::chrono::duration<double>(load_.duration).count(),
                       .ok = meeting_.ok,
                       .refused = meeting_.refused,
                       .failed = meeting_.failed,
                       .outstanding = outstanding > 0 ? static_cast<std::uint64_t>(outstanding) : 0});
  }

  void end() {
    if (finished_.load() < threads_.size()) meeting_.abandon = true;
    threads_.clear();  // joins
  }

  const Load& load_;
  const Settings& settings_;
  const Target& target_;
  Meeting meeting_{};
  std::vector<ThreadRecord> records_;
  std::atomic<unsigned> finished_{0};
  std::mutex trouble_mutex_{};
  std::optional<Error> trouble_{};
  bool interrupted_ = false;
  std::string started_at_{};
  Clock::time_point measured_from_{};
  std::vector<ServerSample> samples_{};
  std::vector<Course> courses_{};  // as last asked for
  std::vector<std::jthread> threads_{};
};

}  // namespace

std::expected<RunResult, Error> run(const Load& load) {
  if (const auto fault = fault_of(load)) return usage(*fault);
  const auto target = resolve(load.url);
  if (!target) return std::unexpected(target.error());
  if (auto enough = check_descriptors(load); !enough) return std::unexpected(enough.error());
  const auto settings = prepare(load, *target);
  if (!settings) return std::unexpected(settings.error());
  const auto timeout = std::chrono::ceil<std::chrono::milliseconds>(load.connect_timeout);
  if (auto there = reach(*target, timeout); !there) return std::unexpected(there.error());
  return Run{load, *settings, *target}.make();
}

}  // namespace sluice::bench
