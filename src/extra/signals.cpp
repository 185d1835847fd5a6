// signals.cpp: SIGTERM and SIGINT as calls of Server::drain and Server::stop. The signals are blocked and read from a
// signalfd, so that no code of ours ever runs inside a signal handler. One thread waits, a second one is made when
// there is something to drain, because the first must go on listening for "at once".
#include <sluice/extra/signals.hpp>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <thread>

#include "base/fd.hpp"

namespace sluice {
namespace {

sigset_t wanted() noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

[[noreturn]] void fail(int error, const char* call) {
  throw std::system_error{error, std::system_category(), std::string{"DrainOnSignal: "} + call};
}

/// The calling thread's mask with SIGTERM and SIGINT added to it, until it dies.
class BlockedSignals {
 public:
  BlockedSignals() {
    const sigset_t set = wanted();
    if (const int error = pthread_sigmask(SIG_BLOCK, &set, &before_); error != 0) fail(error, "pthread_sigmask");
  }
  ~BlockedSignals() {
    // Once the server was asked to end, one more signal asks for nothing new; let through, it would end the process
    // with the wrong exit code.
    if (swallow_pending) {
      const sigset_t set = wanted();
      const timespec now{};
      while (sigtimedwait(&set, nullptr, &now) > 0) continue;
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  bool swallow_pending = false;

 private:
  sigset_t before_;
};

base::Fd open_signals() {
  const sigset_t set = wanted();
  base::Fd fd{signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!fd) fail(errno, "signalfd");
  return fd;
}

base::Fd open_wake() {
  base::Fd fd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!fd) fail(errno, "eventfd");
  return fd;
}

}  // namespace

struct DrainOnSignal::Impl {
  explicit Impl(Server& to_end) : server{to_end}, thread{[this] { listen(); }} {}

  ~Impl() {
    const std::uint64_t one = 1;
    while (write(wake.get(), &one, sizeof one) < 0 && errno == EINTR) continue;
    thread.join();
    if (drainer.joinable()) drainer.join();
    mask.swallow_pending = asked > 0;
  }

  /// On `thread`.
  void listen() noexcept {
    pollfd watched[2] = {{signals.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}};
    for (;;) {
      if (poll(watched, 2, -1) < 0) continue;  // EINTR
      if (watched[1].revents != 0) return;
      signalfd_siginfo info;
      while (read(signals.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) end_server();
    }
  }

  /// On `thread`. The first time gently, the second time at once; further ones have nothing to add.
  void end_server() noexcept {
    ++asked;
    if (asked == 1) {
      try {
        drainer = std::thread{[this] { server.drain(); }};
      } catch (const std::system_error&) {
        server.drain();  // no thread to be had: drain all the same, only without an ear for a second signal
      }
    } else if (asked == 2) {
      server.stop();
    }
  }

  // In the order they are needed: the mask before any thread, the descriptors before the one that reads them.
  BlockedSignals mask;
  base::Fd signals = open_signals();
  base::Fd wake = open_wake();
  Server& server;
  int asked = 0;  // `thread`'s, until it is joined
  std::thread drainer;  // made and used by `thread`, joined after it
  std::thread thread;
};

DrainOnSignal::DrainOnSignal(Server& server) : impl_{std::make_unique<Impl>(server)} {}
DrainOnSignal::~DrainOnSignal() = default;

}  // namespace sluice
