// ledger.hpp: what is counted while a scenario runs: calls and attempts after the warm-up, every tenth of a second, and
// how well things went before, during and after each trouble.
// In: what happens, with its time. Out: a result. Single-threaded.
#pragma once

#include <vector>

#include "sim/core/host.hpp"
#include "sim/model/result.hpp"

namespace sluice::sim {

/// What the books know of a call.
struct CallView {
  Duration first{};  // since the start
  std::uint32_t route = 0;
  std::uint32_t client = 0;
};

class Ledger {
 public:
  /// `scenario` outlives this.
  explicit Ledger(const Scenario& scenario, Policy policy);

  void came(const CallView& call);
  void ended(const CallView& call, Fate fate, Duration at);
  /// `server`: none if nobody was there to ask.
  void attempted(const CallView& call, std::optional<std::uint32_t> server, Duration at);
  void refused(const CallView& call, std::size_t reason, Duration at);
  /// A 504, an error, or a client that left.
  void spoiled(const CallView& call, Fate how, Duration at);
  void answered(const CallView& call, std::uint32_t server, Duration latency);

  // ---- work: on a host, until that is gone
  void waits(const Work& work, Duration at);
  void waits_no_more(const Work& work, Duration at);
  void starts(const Work& work, Duration waited, Duration at);
  void ends(const Work& work, Duration at);
  void zombie(const Work& work, Duration at);
  void host_is_new(std::uint32_t host);
  void host_is_gone(std::uint32_t host);
  /// Nothing waits or runs there.
  bool idle(std::uint32_t host) const noexcept;

  /// At the end of each tenth of a second.
  void take_sample(Duration at);
  /// Its number.
  std::size_t event(EventResult event);
  /// At another time than was said; not after the run.
  void event_ends(std::size_t event, Duration at) noexcept;
  Result close();

 private:
  struct Gauge {
    std::uint64_t waiting = 0, running = 0, zombies = 0;
  };

  bool measured(Duration at) const noexcept { return at >= warmup_ && at <= end_; }
  Sample* sample_at(std::size_t route, Duration at) noexcept;
  Gauge* gauge(const Work& work) noexcept;
  void change(const Work& work, std::uint64_t Gauge::* which, int by, Duration at);
  void note_peaks(std::size_t route, Duration at) noexcept;
  bool undecided(const CallView& call, Duration at) const noexcept;
  /// The tenths that an event touches.
  struct Span {
    std::size_t begin = 0, end = 0;
  };
  Span span(const EventResult& event) const noexcept;
  std::optional<double> share_before(const EventResult& event) const;
  double share_during(const EventResult& event) const noexcept;
  void judge_event(EventResult& event) const;

  const Scenario& scenario_;
  const Duration warmup_, end_;
  std::vector<Duration> begins_{};  // of all events, in their order
  Result result_;
  std::vector<std::vector<Gauge>> hosts_{};  // of each route; empty: gone
  std::vector<Gauge> routes_{};
  Gauge total_{};
  std::vector<Slot> slots_{};
};

}  // namespace sluice::sim
