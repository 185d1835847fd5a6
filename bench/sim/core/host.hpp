// host.hpp: one simulated server as its clients and its handlers meet it: arrivals in, outcomes out, in virtual time.
// What it does between the two is its policy: see lane_host.hpp and naive_host.hpp. Here is what all have in common: the
// work that is under way, and the clients that lose patience.
// Thread: one. A watcher is told of everything and must not call back in while it is told.
#pragma once

#include <sluice/admission.hpp>

#include <deque>
#include <optional>
#include <vector>

#include "admission/job.hpp"
#include "sim/core/timeline.hpp"

namespace sluice::sim {

/// One attempt of a client, as a host sees it.
struct Work final : admission::Job {
  After run() noexcept override { return {}; }
  void send_home() noexcept override {}
  void send_home_unstarted() noexcept override { home->push_back(this); }

  std::vector<Work*>* home = nullptr;  // its host's: what ended in a queue or was granted, and is to be looked after
  std::uint64_t owner = 0;  // the watcher's
  unsigned attempt = 0;  // the watcher's, as is the route
  std::size_t route = 0;
  std::uint32_t host = 0;  // the watcher's number of it
  Duration needs{}, needs_behind{};  // of its own host's time, of what it waits for behind that
  std::size_t place = 0;  // of its lane within its host
  TimePoint came{};
  std::uint32_t slot = 0, generation = 0;
  int worker = -1;
  bool fails = false;  // set by the watcher: it ends without a result
  bool waiting = false;  // its watcher was told so
};

class Watcher {
 public:
  /// Admitted, and no permit is free.
  virtual void waits(const Work&) {}
  /// The work has its permit. When it will end, if that is known; else the watcher calls Host::end() at that time.
  virtual std::optional<TimePoint> begun(Work& work) = 0;
  /// What the client sees of it. Claim::idle: refused at the gate, for `reason`.
  virtual void told(const Work& work, admission::Claim outcome, std::optional<ShedReason> reason) = 0;
  /// Its permit is back, whenever its client was told.
  virtual void ended(const Work& work) = 0;

 protected:
  ~Watcher() = default;
};

struct Arrival {
  std::size_t lane = 0;
  std::uint64_t owner = 0;
  unsigned attempt = 0;
  std::size_t route = 0;
  std::uint32_t host = 0;
  Duration needs{}, needs_behind{};
  Duration budget{};
  std::optional<Duration> patience{};  // the client's: then it leaves
  Criticality criticality = Criticality::critical;
  std::uint64_t client = 0;
};

class Host : public Handler {
 public:
  Host(Timeline& timeline, Watcher& watcher) noexcept : timeline_{timeline}, watcher_{watcher} {}
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  virtual ~Host() = default;

  void arrive(const Arrival& arrival);
  /// What begun() did not know the end of has come to it.
  void end(Work& work);
  /// From now on whoever comes is refused.
  void drain() noexcept { draining_ = true; }
  /// Its process ends: everybody whose answer is not there is told that the connection is gone (Claim::abandoned or
  /// Claim::cancelled), and what waits is never started.
  void cut();
  Work& work(std::uint32_t slot) noexcept { return works_[slot]; }
  /// Books that must balance when nothing is left do.
  virtual bool balanced() const noexcept = 0;

  void handle(const Event& event) final;

 protected:
  enum Kind : std::uint32_t { service_end, queue_end, budget_end, patience_end };

  virtual void admit(Work& work, const Arrival& arrival) = 0;
  virtual void finish(Work& work) = 0;
  virtual void queue_over(Work& work) = 0;
  virtual void budget_over(Work& work) = 0;
  virtual void leave(Work& work) = 0;
  /// Nothing that waits will be started.
  virtual void forget() {}
  /// After whatever happened.
  virtual void settle() {}

  void schedule(TimePoint at, Kind kind, const Work& work) {
    timeline_.schedule({.at = at, .to = this, .kind = kind, .slot = work.slot, .generation = work.generation});
  }
  /// Once it has been admitted.
  void expect_patience(const Work& work, const Arrival& arrival) {
    if (arrival.patience) schedule(work.came + *arrival.patience, patience_end, work);
  }
  void count_waiting(Work& work) {
    work.waiting = true;
    watcher_.waits(work);
  }
  TimePoint now() const noexcept { return timeline_.now(); }
  bool draining() const noexcept { return draining_; }
  Watcher& watcher() noexcept { return watcher_; }
  void free_work(Work& work);

 private:
  Work& take_work();

  Timeline& timeline_;
  Watcher& watcher_;
  bool draining_ = false;
  std::deque<Work> works_;  // never freed before the end: a lane may still look at one
  std::vector<std::uint32_t> free_;
};

}  // namespace sluice::sim
