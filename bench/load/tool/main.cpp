// main.cpp: sluice-load. Arguments in, exit code out; what lies between is in cli.hpp and verbs.hpp.
// Thread: main. A first SIGINT or SIGTERM ends the run early and in order, a second one ends the program.
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "load/tool/cli.hpp"
#include "load/tool/verbs.hpp"

namespace {

// Milliseconds of the monotonic clock, of the first signal; 0: there was none. The handler alone writes it.
std::atomic<std::int64_t> interrupted_at{0};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

std::int64_t now_ms() {
  std::timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

/// One request to stop may come as two signals: timeout(1) signals its child and then the whole group.
void interrupt(int number) {
  constexpr std::int64_t same_request_ms = 250;
  const std::int64_t now = now_ms(), first = interrupted_at;
  if (first == 0) {
    interrupted_at = now;
  } else if (now - first > same_request_ms) {
    std::signal(number, SIG_DFL);
    std::raise(number);  // delivered when this handler returns
  }
}

void take_signals() {
  struct ::sigaction action{};
  action.sa_handler = interrupt;
  for (const int number : {SIGINT, SIGTERM}) ::sigaction(number, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a reader of stdout that has left must not cost the files
}

/// Connections are what this program is about: as many descriptors as it may have.
void raise_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int count, char** arguments) try {
  using namespace sluice::bench;
  auto command = parse_command(std::vector<std::string>{arguments + (count > 0 ? 1 : 0), arguments + count});
  if (!command) {
    std::fputs(command.error().out.c_str(), stdout);
    std::fputs(command.error().err.c_str(), stderr);
    return command.error().code;
  }
  take_signals();
  raise_descriptors();
  return execute(std::move(*command), [] { return interrupted_at != 0; });
} catch (const std::exception& error) {
  std::fprintf(stderr, "sluice-load: %s\n", error.what());
  return sluice::bench::exit_code::system;
}
