// sim_workers.hpp: the pool's workers in a simulation: real threads that pass one baton, so that one of them runs at a
// time and a seed decides which. A blocking handler runs unchanged; sim::sleep gives the baton back until later.
// Thread: everything but sleep and yield belongs to the driver.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "admission/pool.hpp"
#include "net/sim_net.hpp"

namespace sluice::sim {

class Baton;

/// A WorkerHost whose workers run only while the driver lets them.
class SimWorkers final : public admission::WorkerHost {
 public:
  SimWorkers(net::SimNet& net, unsigned workers);
  ~SimWorkers() override;

  void spawn(int worker, std::function<void()> body) override;
  void park(int worker) noexcept override;
  void unpark(int worker) noexcept override;
  void join() noexcept override;
  bool parks_handlers() const noexcept override { return true; }
  void park_handler(int worker) noexcept override;
  void park_handler_until(int worker, base::TimePoint until) noexcept override;
  const base::Clock& handler_clock() const noexcept override { return net_; }

  /// Workers that would do something now.
  std::vector<int> runnable() const;
  /// Lets one run until it parks, sleeps, yields or ends.
  void run(int worker);
  /// When the first sleeper wakes; base::never if none sleeps.
  base::TimePoint next_wake() const noexcept;
  /// Workers in the middle of a handler that sleeps or waits.
  std::size_t sleeping() const noexcept;
  std::size_t alive() const noexcept;

 private:
  friend void sleep(base::Duration);
  friend void yield();
  struct Worker {
    std::unique_ptr<Baton> baton;
    bool spawned = false;
    bool over = false;
    bool parked = false;
    bool in_handler = false;  // parked there
    unsigned tokens = 0;
    base::TimePoint wake = base::TimePoint::min();  // not before; of one that is parked: at the latest
  };
  bool ready(const Worker& worker) const noexcept;
  void park_until(int worker, base::TimePoint until) noexcept;

  net::SimNet& net_;
  std::vector<Worker> workers_;
};

/// In a handler on a simulated worker: virtual time passes, others run.
void sleep(base::Duration duration);
/// In a handler on a simulated worker: others may run.
void yield();

}  // namespace sluice::sim
