// peer.hpp: what the programs of this folder share: the work behind each route, the same as in sluice-showcase, and
// their ends.
#pragma once

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace peer {

constexpr int threads = 16;

inline unsigned long number_of(const std::string& text) { return std::strtoul(text.c_str(), nullptr, 10); }

inline std::string sleep_for_ms(unsigned long ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds{ms});
  return "slept " + std::to_string(ms) + " ms\n";
}

/// Burns time of the processor, not of the wall.
inline std::string spin_for_us(unsigned long us) {
  const auto used = [] {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
  };
  const auto end = used() + std::chrono::microseconds{us};
  while (used() < end) continue;
  return "spun for " + std::to_string(us) + " us\n";
}

/// Of `--port N`; 0, the kernel's choice, without it.
inline int port_of(int argc, char** argv) {
  if (argc == 1) return 0;
  if (argc == 3 && std::strcmp(argv[1], "--port") == 0) return std::atoi(argv[2]);
  std::fprintf(stderr, "usage: %s [--port N]\n", argv[0]);
  std::exit(2);
}

/// SIGTERM and SIGINT end the process at once: what waits in a queue without a bound can't be waited for. Before any
/// other thread is made.
inline void end_on_sigterm() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread{[signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    _exit(0);
  }}.detach();
}

}  // namespace peer
