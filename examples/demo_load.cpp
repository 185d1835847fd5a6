// demo_load.cpp: the load of the demo, in a process of its own: the same clients twice, made by sluice::bench. It is
// told how to go on by the program that started it, tells it what came back, and ends when that does.
//
//   demo_load LEFT RIGHT CONNECTIONS        two addresses on 127.0.0.1, and connections to each
//   in:   RATE PATIENCE_MS RETRIES SLOW     a line whenever something changes; 0 as rate: a pause. SLOW: of the slow
//                                           readers, as far as their lines carry it
//   out:  a line for each quarter of a second: its number, then ten numbers a side (see append_side)
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <mutex>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

#include <sluice/bench.hpp>

using namespace std::chrono_literals;
namespace bench = sluice::bench;

namespace {

constexpr auto window = 250ms;
constexpr auto in_time = 300ms;  // an answer that comes later is of no use
constexpr unsigned slow_connections = 64;  // large answers take ten seconds each: 6.4 a second at the most
constexpr std::uint64_t slow_bytes_per_s = 40'000;
constexpr std::size_t windows_ahead_max = 100;  // of one side, while the other one is late

/// How the clients are to go on. Written by the thread that reads, read by those of the loads.
class Orders {
 public:
  /// False if the line makes no sense.
  bool read(const std::string& line) {
    std::istringstream in{line};
    double rate = 0, slow = 0;
    unsigned patience_ms = 0, retries = 0;
    if (!(in >> rate >> patience_ms >> retries >> slow) || !(rate >= 0) || !(slow >= 0) || rate > 1e6) return false;
    const std::lock_guard lock{mutex_};
    usual_ = {.rate_per_s = rate, .give_up_after = std::chrono::milliseconds{patience_ms}, .retries = retries};
    // Patient while they are there; those of before leave when they next read on.
    slow_ = {.rate_per_s = slow, .give_up_after = slow > 0 ? 0ms : 1ms, .retries = 0};
    return true;
  }
  void apply(std::span<bench::Course> courses) const {
    const std::lock_guard lock{mutex_};
    courses[0] = usual_;
    courses[1] = slow_;
  }

 private:
  mutable std::mutex mutex_;
  bench::Course usual_{}, slow_{};  // nothing, until something was said
};

/// The time in microseconds that `quantile` of those who had a 2xx or left without one did not exceed; 0: they left.
/// Refusals are no part of it: a quick no must not improve it.
std::uint64_t quantile_us(const bench::Window& seen, std::uint64_t gave_up, double quantile) {
  const auto answered = static_cast<double>(seen.ok.count());
  const double of_answered = answered > 0 ? quantile * (answered + static_cast<double>(gave_up)) / answered : 2;
  if (of_answered > 1) return 0;
  return static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::microseconds>(seen.ok.raw(of_answered)).count());
}

/// One side's numbers of a window: planned; 2xx in time, 2xx late; 503, 504, gave up, other; p50 and p99 as
/// quantile_us() has them; waiting for a connection.
void append_side(std::string& line, const bench::Window& seen) {
  const auto count = [&](bench::Outcome outcome) { return seen.outcomes[static_cast<std::size_t>(outcome)]; };
  const std::uint64_t ok = count(bench::Outcome::ok), good = std::min(seen.ok.within(in_time), ok);
  const std::uint64_t other = count(bench::Outcome::limited) + count(bench::Outcome::other) +
                              count(bench::Outcome::broken) + count(bench::Outcome::connect_error);
  const std::array<std::uint64_t, 10> numbers{seen.planned,
                                              good,
                                              ok - good,
                                              count(bench::Outcome::shed),
                                              count(bench::Outcome::timed_out),
                                              count(bench::Outcome::gave_up),
                                              other,
                                              quantile_us(seen, count(bench::Outcome::gave_up), 0.5),
                                              quantile_us(seen, count(bench::Outcome::gave_up), 0.99),
                                              seen.waiting};
  for (const std::uint64_t number : numbers) line += ' ' + std::to_string(number);
}

/// Puts the windows of both sides together that lie nearest in time, and says them. Any thread.
class Teller {
 public:
  void add(std::size_t side, const bench::Window& seen) {
    const std::lock_guard lock{mutex_};
    if (number_ == 0) windows_[side].clear();  // the other side's connections are still being made
    if (windows_[side].size() < windows_ahead_max) windows_[side].push_back(seen);
    while (!windows_[0].empty() && !windows_[1].empty()) {
      std::string line = std::to_string(number_++);
      for (auto& windows : windows_) {
        append_side(line, windows.front());
        windows.pop_front();
      }
      std::puts(line.c_str());
      std::fflush(stdout);
    }
  }

 private:
  std::mutex mutex_;
  std::array<std::deque<bench::Window>, 2> windows_;
  std::uint64_t number_ = 0;
};

bench::Load load_on(const std::string& address, unsigned connections) {
  bench::Load load{
      .url = "http://" + address + "/query", .name = "demo", .background = 1, .duration = 24h, .grace = 0s};
  load.window = window;
  const bench::Behaviour leaving{.give_up_unsent = true, .give_up_resets = true};
  bench::Clients usual{.name = "usual", .connections = connections, .rate_per_s = 1, .behaviour = leaving};
  usual.behaviour.retry_backoff = 5ms;  // at once, as good as
  bench::Clients slow{.name = "slow readers", .connections = slow_connections, .rate_per_s = 1, .behaviour = leaving};
  slow.behaviour.read_bytes_per_s = slow_bytes_per_s;
  slow.requests = {{.target = "/query?large=true"}};
  load.clients = {usual, slow};
  return load;
}

/// Reads orders until their sender is gone or `over`.
void listen_for(Orders& orders, const std::atomic<bool>& over) {
  std::string text;
  pollfd in{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  while (!over) {
    if (::poll(&in, 1, 100) <= 0) continue;
    char piece[512];
    const ssize_t count = ::read(STDIN_FILENO, piece, sizeof piece);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0 || text.size() > 4096) return;
    text.append(piece, static_cast<std::size_t>(count));
    for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
      if (!orders.read(text.substr(0, end))) std::fprintf(stderr, "demo_load: RATE PATIENCE_MS RETRIES SLOW, please\n");
      text.erase(0, end + 1);
    }
  }
}

int run(const std::array<std::string, 2>& addresses, unsigned connections) {
  Orders orders;
  Teller teller;
  std::atomic<bool> over{false}, failed{false};
  {
    std::array<std::jthread, 2> threads;
    for (std::size_t side = 0; side < threads.size(); ++side) {
      threads[side] = std::jthread{[&, side] {
        bench::Load load = load_on(addresses[side], connections);
        load.interrupted = [&over] { return over.load(); };
        load.steer = [&orders](std::span<bench::Course> courses) { orders.apply(courses); };
        load.on_window = [&teller, side](const bench::Window& seen) { teller.add(side, seen); };
        const auto result = bench::run(load);
        if (!result && !over) {
          std::fprintf(stderr, "demo_load: %s\n", result.error().text.c_str());
          failed = true;
        }
        over = true;
      }};
    }
    listen_for(orders, over);
    over = true;
  }
  return failed ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::string_view loopback = "127.0.0.1:";
  unsigned connections = 0;
  const std::string_view last = argc == 4 ? argv[3] : "";
  const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), connections);
  if (argc != 4 || !std::string_view{argv[1]}.starts_with(loopback) ||
      !std::string_view{argv[2]}.starts_with(loopback) || error != std::errc{} || end != last.data() + last.size() ||
      connections < 1 || connections > 20'000) {
    std::fprintf(stderr, "usage: demo_load 127.0.0.1:PORT 127.0.0.1:PORT CONNECTIONS (1 to 20,000)\n");
    return 2;
  }
  try {
    return run({argv[1], argv[2]}, connections);
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "demo_load: %s\n", thrown.what());
    return 1;
  }
}
