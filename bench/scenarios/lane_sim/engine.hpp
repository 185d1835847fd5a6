// engine.hpp: the discrete-event simulation around one lane: a heap of events, a virtual clock, clients and workers.
// In: a scenario. Out: a result. Single-threaded; never reads a real clock and draws from its own generators only.
#pragma once

#include <deque>
#include <queue>
#include <vector>

#include "scenarios/lane_sim/dependency.hpp"
#include "scenarios/lane_sim/rig.hpp"
#include "scenarios/lane_sim/scenario.hpp"

namespace sluice::lane_sim {

class Engine {
 public:
  explicit Engine(const Scenario& scenario);
  /// Once.
  Result run();

 private:
  enum class Kind : std::uint8_t { call, again, end, queue_end, budget_end, client_leaves, dependency_end, phase };
  struct Event {
    TimePoint at{};
    std::uint64_t order = 0;  // of scheduling: ties end the same way on every machine
    Kind kind = Kind::call;
    std::uint32_t slot = 0, generation = 0;  // of the work
    Call call{};                             // of Kind::again

    bool operator>(const Event& other) const noexcept { return at != other.at ? at > other.at : order > other.order; }
  };

  void schedule(TimePoint at, Kind kind, const Work* work = nullptr, Call call = {});
  void handle(const Event& event);
  Work* alive(const Event& event) noexcept;

  void next_call();
  void attempt(Call call);
  void begin(Work& work, int worker);
  void run_worker(int worker);
  void end(Work& work);
  void after(Work& ended, int worker);
  void told_no(const Call& call);
  void queue_end(Work& work);
  void client_leaves(Work& work);
  void watch_dependency();
  void next_phase();
  void settle();  // what the lane has sent home
  void watch_mode();
  void count_overload() noexcept;

  Work& take_work();
  void free_work(Work& work);
  void refused_in_queue(Work& work);
  void note(const Work& work, admission::Claim outcome) noexcept;
  Slot& slot_of(TimePoint time);
  PhaseResult* phase_of(TimePoint time) noexcept;
  Duration service_time() noexcept;
  std::uint64_t capacity() const;
  void close_books();

  const Scenario scenario_;
  VirtualClock clock_;
  const TimePoint start_;
  LaneRig rig_;
  Draw arrivals_, services_, spread_;
  std::optional<Dependency> dependency_;
  std::vector<TimePoint> phase_ends_;
  std::size_t phase_ = 0;
  std::uint32_t dependency_turn_ = 0;  // of the event that counts

  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  std::deque<Work> works_;  // never freed before the end: the lane may still look at one
  std::vector<std::uint32_t> free_;

  Result result_;
  TimePoint horizon_ = base::never;  // of the last call
  bool overloaded_ = false;
  TimePoint mode_since_;
  Duration overloaded_time_{0};
};

}  // namespace sluice::lane_sim
