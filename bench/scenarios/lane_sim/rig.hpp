// rig.hpp: the lane under test and the lines of Pool, Connection and Exchange that use it. The one place of lane_sim that
// knows the lane's interface.
// In: arrivals, ends, departures. Out: who starts, and the work that was sent home. Single-threaded, in virtual time.
#pragma once

#include <sluice/admission.hpp>

#include <cstdint>
#include <optional>
#include <vector>

#include "admission/lane_group.hpp"
#include "scenarios/lane_sim/scenario.hpp"

namespace sluice::lane_sim {

struct VirtualClock final : base::Clock {
  TimePoint now() const noexcept override { return time; }
  std::time_t wall() const noexcept override { return 0; }
  TimePoint time{std::chrono::seconds{100}};
};

/// One wish of a client, which may take several attempts.
struct Call {
  TimePoint first{};
  unsigned attempts = 0;
};

/// One attempt, as the lane sees it.
struct Work final : admission::Job {
  After run() noexcept override { return {}; }
  void send_home() noexcept override {}
  void send_home_unstarted() noexcept override { home->push_back(this); }

  std::vector<Work*>* home = nullptr;  // the rig's
  Call call{};
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  int worker = -1;
};

class LaneRig {
 public:
  LaneRig(const VirtualClock& clock, const Scenario& scenario);

  struct Arrival {
    bool admitted = false;
    bool start = false;  // without workers: it has its permit
    int wake = -1;  // a worker to run
  };
  /// As Connection::dispatch: a look without the lock, then the lane's decision.
  Arrival arrive(Work& work);
  /// What this worker runs next; null: it is parked.
  Work* next(int worker);
  /// Takes waiting work out; false: it does not wait any more.
  bool leave(Work& work, admission::Claim outcome);
  /// The work's outcome, counted as Exchange does; false: it has one already.
  bool claim(Work& work, admission::Claim outcome);
  struct Ended {
    Work* next = nullptr;
    int wake = -1;
  };
  /// The work has come to its end and gives its permit back.
  Ended end(Work& work);
  /// Granted work has come to its loop.
  void begin_granted(Work& work);

  /// Work that ended in the queue or was granted since the last call to clear().
  std::vector<Work*>& home() noexcept { return home_; }
  bool overloaded() const noexcept;
  std::uint32_t limit() const noexcept;
  std::uint32_t depth() const noexcept { return view().depth; }
  LaneCounters counters() const noexcept { return lane_.counters(); }

 private:
  admission::LaneView view() const noexcept;

  const VirtualClock& clock_;
  const Duration budget_;
  std::vector<Work*> home_;
  admission::LaneGroup group_;
  admission::Lane lane_;
};

}  // namespace sluice::lane_sim
