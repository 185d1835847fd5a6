// engine.hpp: one scenario from its beginning to its end in virtual time: clients that call and try again, a balancer,
// servers with their lanes, what their handlers wait for, and what goes wrong.
// In: a scenario, a policy. Out: a result. Single-threaded; never reads a real clock and draws from its own generators
// only. What a call needs is drawn when it comes, so that every policy and every setting is given the same work.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "sim/core/host.hpp"
#include "sim/core/station.hpp"
#include "sim/model/arrivals.hpp"
#include "sim/model/ledger.hpp"
#include "sim/model/result.hpp"

namespace sluice::sim {

class Engine final : private Handler, private Watcher {
 public:
  /// `scenario` outlives this.
  Engine(const Scenario& scenario, Policy policy);
  /// Once.
  ///   Cost: some microseconds per attempt.
  Result run();

 private:
  enum Kind : std::uint32_t { next_arrival, again, station_end, trouble_begin, trouble_end, sample, rollout };
  enum class Stage : std::uint8_t { up, leaving, unlisted, down };

  struct Call {
    CallView view{};
    Duration needs{}, needs_behind{};
    std::uint32_t client = 0;  // its kind
    std::uint64_t identity = 0;
    unsigned attempts = 0;
    bool live = false;
  };
  struct Server {
    std::uint32_t host = 0;  // the one that is up, or was last
    Stage stage = Stage::up;
    TimePoint since{};
    std::uint64_t in_flight = 0;  // as the balancer knows it
  };
  struct Place {
    Station station;
    std::uint32_t turn = 0;  // of the event that counts
  };

  // ---- engine.cpp: calls
  void handle(const Event& event) override;
  void next_call();
  void new_call(std::uint32_t route, std::optional<Duration> recorded);
  void attempt(std::uint32_t call);
  std::optional<std::uint32_t> choose_server();
  void told(const Work& work, admission::Claim outcome, std::optional<ShedReason> reason) override;
  void no_luck(std::uint32_t call, Fate fate);
  void finish(std::uint32_t call, Fate fate);
  Duration drawn(const Service& service, Draw& draw) noexcept;

  // ---- servers.cpp: what serves them
  void waits(const Work& work) override { ledger_.waits(work, at()); }
  std::optional<TimePoint> begun(Work& work) override;
  void ended(const Work& work) override;
  void begin_behind(Work& work);
  void end_station(std::uint32_t index);
  void watch(std::uint32_t index);
  void change_pace();
  void trouble(std::size_t index, bool begins);
  void new_host(Server& server);
  void roll_out();
  bool fails(const Work& work) const noexcept;

  std::uint32_t own_station(std::uint32_t server, std::size_t route) const noexcept {
    return static_cast<std::uint32_t>(server * scenario_.routes.size() + route);
  }
  std::uint32_t dependency_station(std::size_t dependency) const noexcept {
    return static_cast<std::uint32_t>(scenario_.servers.count * scenario_.routes.size() + dependency);
  }
  TimePoint now() const noexcept { return timeline_.now(); }
  Duration at() const noexcept { return now() - start_; }
  void schedule(TimePoint when, Kind kind, std::uint32_t slot = 0, std::uint32_t generation = 0) {
    timeline_.schedule({.at = when, .to = this, .kind = kind, .slot = slot, .generation = generation});
  }

  const Scenario& scenario_;
  const Policy policy_;
  Timeline timeline_;
  const TimePoint start_, end_;
  ArrivalTimes arrivals_;
  std::size_t recorded_ = 0;  // of the recording, the next one
  Draw routes_draw_, clients_draw_, spread_, balancer_draw_;
  std::vector<Draw> services_, behind_;  // of routes, of dependencies

  std::deque<Call> calls_;
  std::vector<std::uint32_t> free_calls_;
  std::vector<Server> servers_;
  std::vector<std::unique_ptr<Host>> hosts_;  // those that are gone too: their work may still be under way
  std::vector<std::uint32_t> server_of_host_;
  std::vector<Place> stations_;
  std::vector<bool> active_;  // of the troubles
  std::uint32_t turn_ = 0;    // of the balancer
  std::uint32_t next_leaving_ = 0;
  std::size_t deploy_event_ = 0;  // in the books
  bool cutting_ = false;  // who is told now has lost its connection
  Ledger ledger_;
};

/// Until a client tries again that has tried so often. `spread`, from 0.5 to 1.5, and the doubling are a backoff's; an
/// hour at most, so that no chain of tries leaves what time can hold.
Duration retry_pause(const ClientKind& kind, unsigned attempts, double spread) noexcept;

/// Plays the scenario to its end.
Result play(const Scenario& scenario, Policy policy);

}  // namespace sluice::sim
