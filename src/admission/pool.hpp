// pool.hpp: the threads that run blocking work, and the seam behind which a simulator puts its own. Workers park
// newest-first, so that a pool which is larger than its load keeps few threads warm.
#pragma once

#include <functional>
#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

#include "admission/lane_group.hpp"

namespace sluice::admission {

/// Where workers live. Each worker has one parking token: unpark before park makes park return at once.
class WorkerHost {
 public:
  virtual ~WorkerHost() = default;
  /// Begins to run `body` as worker number `worker`.
  virtual void spawn(int worker, std::function<void()> body) = 0;
  /// Called by the worker itself; returns when unparked.
  virtual void park(int worker) noexcept = 0;
  /// Any thread.
  virtual void unpark(int worker) noexcept = 0;
  /// Waits until every body has returned.
  virtual void join() noexcept = 0;
  /// Whether a handler that waits on a worker must do it here: where time is not real, nothing else would let it pass.
  virtual bool parks_handlers() const noexcept { return false; }
  /// Only then: as park, from inside a handler.
  virtual void park_handler(int worker) noexcept { park(worker); }
  /// Only then: the same, until that moment of handler_clock() at the latest.
  virtual void park_handler_until(int worker, base::TimePoint) noexcept { park(worker); }
  /// By which time passes for handlers on its workers.
  virtual const base::Clock& handler_clock() const noexcept { return base::system_clock(); }
};

/// The clock of the thread that asks: its host's on a worker where time is not real, the system's on any other thread.
const base::Clock& handler_clock() noexcept;

/// Where the thread that makes it waits inside a handler, a worker's or any other. Lives on its stack.
class Parking {
 public:
  Parking() noexcept;
  Parking(const Parking&) = delete;
  Parking& operator=(const Parking&) = delete;

  /// Returns after wake(), and perhaps before: look again.
  void wait() noexcept;
  /// The same, and once handler_clock() has reached `until`.
  void wait_until(base::TimePoint until) noexcept;
  /// Any thread; once per Parking, and before the one that waits can have left it.
  void wake() noexcept;

 private:
  WorkerHost* host_ = nullptr;  // only if it parks handlers
  int worker_ = -1;
  std::binary_semaphore token_{0};
};

/// Real threads.
class ThreadHost final : public WorkerHost {
 public:
  explicit ThreadHost(unsigned workers);
  ~ThreadHost() override { join(); }
  void spawn(int worker, std::function<void()> body) override;
  void park(int worker) noexcept override;
  void unpark(int worker) noexcept override;
  void join() noexcept override;

 private:
  struct Seat {
    std::binary_semaphore token{0};
    std::thread thread;
  };
  std::vector<std::unique_ptr<Seat>> seats_;
};

/// The blocking-work pool: lanes in front, workers behind.
///   Thread: any, but construction, start and join.
class Pool {
 public:
  Pool(const base::Clock& clock, unsigned workers, WorkerHost& host);
  ~Pool() { join(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  LaneGroup& group() noexcept { return group_; }
  void start();
  /// Lets workers go once they have nothing to run; running handlers are not interrupted.
  void close() noexcept;
  /// Waits for the workers. A handler that never returns keeps it waiting.
  void join() noexcept;
  void unpark(int worker) noexcept;
  /// Whether the caller is one of its workers.
  bool on_worker_thread() const noexcept;

 private:
  void work(int worker) noexcept;

  const unsigned workers_;
  WorkerHost& host_;  // outlives the pool
  LaneGroup group_;
  bool started_ = false;
};

}  // namespace sluice::admission
