// engine.hpp: the clients around one lane, and what is counted of them; the lane itself and its workers are a LaneHost.
// In: a scenario. Out: a result. Single-threaded; never reads a real clock and draws from its own generators only.
#pragma once

#include <optional>
#include <vector>

#include "scenarios/lane_sim/scenario.hpp"
#include "sim/core/lane_host.hpp"
#include "sim/core/station.hpp"

namespace sluice::lane_sim {

/// One wish of a client, which may take several attempts.
struct Call {
  TimePoint first{};
  unsigned attempts = 0;

  std::uint64_t number() const noexcept { return static_cast<std::uint64_t>(first.time_since_epoch().count()); }
  static Call of(std::uint64_t number, unsigned attempts) noexcept {
    return {TimePoint{Duration{static_cast<std::int64_t>(number)}}, attempts};
  }
};

class Engine final : private sim::Handler, private sim::Watcher {
 public:
  explicit Engine(const Scenario& scenario);
  /// Once.
  Result run();

 private:
  enum Kind : std::uint32_t { next_arrival, again, dependency_end, phase_end };

  void handle(const sim::Event& event) override;
  std::optional<TimePoint> begun(sim::Work& work) override;
  void told(const sim::Work& work, admission::Claim outcome, std::optional<ShedReason> reason) override;
  void ended(const sim::Work&) override {}

  void schedule(TimePoint at, Kind kind, Call call = {});
  void next_call();
  void attempt(Call call);
  void answered(const sim::Work& work, const Call& call);
  void told_no(const Call& call);
  void watch_dependency();
  void next_phase();
  void watch_mode();
  void count_overload() noexcept;

  void note(const sim::Work& work, admission::Claim outcome) noexcept;
  Slot& slot_of(TimePoint time);
  PhaseResult* phase_of(TimePoint time) noexcept;
  Duration service_time() noexcept;
  std::uint64_t capacity() const;
  void close_books();
  TimePoint now() const noexcept { return timeline_.now(); }

  const Scenario scenario_;
  sim::Timeline timeline_;
  const TimePoint start_;
  sim::LaneHost host_;
  sim::Draw arrivals_, services_, spread_;
  std::optional<sim::Station> dependency_;
  std::vector<TimePoint> phase_ends_;
  std::size_t phase_ = 0;
  std::uint32_t dependency_turn_ = 0;  // of the event that counts

  Result result_;
  TimePoint horizon_ = base::never;  // of the last call
  bool overloaded_ = false;
  TimePoint mode_since_;
  Duration overloaded_time_{0};
};

}  // namespace sluice::lane_sim
