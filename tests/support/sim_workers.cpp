#include "support/sim_workers.hpp"

#include <mutex>
#include <semaphore>
#include <thread>

namespace sluice::sim {

/// One real thread that runs only between go and back. Threads are kept and used again: a simulation of a few virtual
/// milliseconds must not pay for making sixteen of them.
class Baton {
 public:
  Baton() : thread_{[this] { serve(); }} {}
  ~Baton() {
    quit_ = true;
    go_.release();
    thread_.join();
  }

  void begin(std::function<void()> body) { body_ = std::move(body); }
  /// Driver: lets the thread run until it gives the baton back.
  void run() {
    go_.release();
    back_.acquire();
  }
  /// Thread: gives the baton back and waits for it.
  void give_back() {
    back_.release();
    go_.acquire();
  }
  bool over() const { return over_; }

  static std::unique_ptr<Baton> take() {
    const std::lock_guard lock{mutex()};
    auto& kept = spare();
    if (kept.empty()) return std::make_unique<Baton>();
    auto baton = std::move(kept.back());
    kept.pop_back();
    baton->over_ = false;
    return baton;
  }
  static void keep(std::unique_ptr<Baton> baton) {
    const std::lock_guard lock{mutex()};
    spare().push_back(std::move(baton));
  }

 private:
  static std::mutex& mutex() {
    static std::mutex m;
    return m;
  }
  static std::vector<std::unique_ptr<Baton>>& spare() {
    static std::vector<std::unique_ptr<Baton>> kept;
    return kept;
  }
  void serve() {
    for (;;) {
      go_.acquire();
      if (quit_) return;
      body_();
      body_ = nullptr;
      over_ = true;
      back_.release();
    }
  }

  std::binary_semaphore go_{0};
  std::binary_semaphore back_{0};
  std::function<void()> body_;
  bool over_ = false;
  bool quit_ = false;
  std::thread thread_;
};

namespace {

struct Here {
  SimWorkers* host = nullptr;
  int worker = -1;
};
thread_local Here here;

}  // namespace

SimWorkers::SimWorkers(net::SimNet& net, unsigned workers) : net_{net}, workers_(workers) {}

SimWorkers::~SimWorkers() { join(); }

void SimWorkers::spawn(int worker, std::function<void()> body) {
  Worker& state = workers_[static_cast<std::size_t>(worker)];
  state.baton = Baton::take();
  state.spawned = true;
  state.baton->begin([this, worker, body = std::move(body)] {
    here = {this, worker};
    body();
    here = {};
  });
}

bool SimWorkers::ready(const Worker& worker) const noexcept {
  if (!worker.spawned || worker.over) return false;
  if (worker.parked) return worker.tokens > 0 || worker.wake <= net_.now();
  return worker.wake <= net_.now();
}

std::vector<int> SimWorkers::runnable() const {
  std::vector<int> all;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (ready(workers_[i])) all.push_back(static_cast<int>(i));
  }
  return all;
}

void SimWorkers::run(int worker) {
  Worker& state = workers_[static_cast<std::size_t>(worker)];
  state.baton->run();
  if (!state.baton->over()) return;
  state.over = true;
  Baton::keep(std::move(state.baton));
}

void SimWorkers::park(int worker) noexcept { park_until(worker, base::never); }

void SimWorkers::park_until(int worker, base::TimePoint until) noexcept {
  Worker& state = workers_[static_cast<std::size_t>(worker)];
  state.parked = true;
  state.wake = until;
  while (state.tokens == 0 && net_.now() < until) state.baton->give_back();
  if (state.tokens > 0) --state.tokens;
  state.wake = base::TimePoint::min();
  state.parked = false;
}

void SimWorkers::park_handler_until(int worker, base::TimePoint until) noexcept {
  Worker& state = workers_[static_cast<std::size_t>(worker)];
  state.in_handler = true;
  park_until(worker, until);
  state.in_handler = false;
}

void SimWorkers::park_handler(int worker) noexcept {
  Worker& state = workers_[static_cast<std::size_t>(worker)];
  state.in_handler = true;
  park(worker);
  state.in_handler = false;
}

void SimWorkers::unpark(int worker) noexcept { ++workers_[static_cast<std::size_t>(worker)].tokens; }

void SimWorkers::join() noexcept {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    Worker& state = workers_[i];
    while (state.spawned && !state.over) {
      if (!ready(state) && state.wake != base::never) net_.advance_to(state.wake);
      run(static_cast<int>(i));
    }
  }
}

base::TimePoint SimWorkers::next_wake() const noexcept {
  base::TimePoint first = base::never;
  for (const Worker& worker : workers_) {
    if (worker.spawned && !worker.over) first = std::min(first, worker.wake);
  }
  return first;
}

std::size_t SimWorkers::sleeping() const noexcept {
  std::size_t count = 0;
  for (const Worker& worker : workers_) {
    count += worker.spawned && !worker.over && (!worker.parked || worker.in_handler);
  }
  return count;
}

std::size_t SimWorkers::alive() const noexcept {
  std::size_t count = 0;
  for (const Worker& worker : workers_) count += worker.spawned && !worker.over;
  return count;
}

void sleep(base::Duration duration) {
  SLUICE_ASSERT(here.host != nullptr);
  SimWorkers::Worker& state = here.host->workers_[static_cast<std::size_t>(here.worker)];
  state.wake = here.host->net_.now() + duration;
  state.baton->give_back();
  state.wake = base::TimePoint::min();
}

void yield() { sleep(base::Duration{0}); }

}  // namespace sluice::sim
