// lane_model.hpp: the very code of lane.hpp and job.hpp under every interleaving: a pool with two workers, and a lane
// whose jobs are granted to their loop; around it the few lines of Pool, Connection and Shard that use it. What must
// hold: no job is lost, run twice or started dead, no bound is passed, nothing waits while it could run.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "admission/lane_group.hpp"
#include "support/interleave.hpp"

namespace sluice::interleave {

/// A clock that stands still until told.
struct StandingClock final : base::Clock {
  base::TimePoint now() const noexcept override { return time; }
  std::time_t wall() const noexcept override { return 0; }
  base::TimePoint time{std::chrono::seconds{100}};
};

template <class Sync>
class LaneModel {
  using Claim = admission::Claim;
  using Group = admission::LaneGroupOf<Sync>;
  using Lane = admission::LaneOf<Sync>;
  using Base = admission::JobOf<Sync>;
  using Entry = typename Group::Entry;

  struct Job final : Base {
    typename Base::After run() noexcept override { return {}; }
    void send_home() noexcept override {}
    void send_home_unstarted() noexcept override { ++home; }
    unsigned runs = 0, home = 0, unlinked = 0, shed = 0;
    unsigned taken_home = 0;  // posts the loop has seen to
    bool pinned = false;      // a foreign thread keeps it after its frame
  };

 public:
  /// What is tried at the same time.
  enum class Case {
    pool,         // two workers, three jobs, the first is kept by a foreign thread past its frame
    expiry,       // one worker; the loop takes a job out while it may be popped, another's wait is cut short
    close,        // workers are let go while they still have something to do
    granted,      // no workers: a job waits for the permit of another, its deadline passes on the way
  };

  LaneModel(Explorer& explorer, Case which)
      : explorer_{explorer},
        case_{which},
        group_{clock_, which == Case::granted ? 0u : workers()},
        lane_{{.name = "l", .limit = limit(), .reserved = 0, .depth_max = 2, .queue_timeout = std::chrono::seconds{1}},
              1} {
    group_.add(lane_);
    for (Job& job : jobs_) job.deadline = clock_.time + std::chrono::seconds{10};
  }

  Explorer::Plan plan() {
    Explorer::Plan plan;
    plan.threads.push_back([this] { loop(); });
    if (case_ != Case::granted) {
      for (unsigned i = 0; i < workers(); ++i) plan.threads.push_back([this, i] { work(static_cast<int>(i)); });
    }
    if (case_ == Case::pool || case_ == Case::granted) plan.threads.push_back([this] { keeper(); });
    if (case_ == Case::close) plan.threads.push_back([this] { close(); });
    plan.on_stuck = [this] { return quiet(); };
    plan.at_end = [this] { judge(); };
    return plan;
  }

 private:
  unsigned workers() const { return case_ == Case::expiry ? 1 : 2; }
  std::uint32_t limit() const { return case_ == Case::pool ? 2 : 1; }

  void admit(Job& job) {
    const auto admission = group_.admit(job, lane_, {}, std::chrono::seconds{10}, clock_.now());
    if (admission.entry == Entry::shed) ++job.shed;
    if (admission.entry == Entry::start) start(job);
    unpark(admission.wake);
    bounds();
  }

  void bounds() {
    const Explorer::Quiet quiet;
    const admission::LaneView view = lane_.view(std::chrono::seconds{10});
    explorer_.check(view.depth <= view.depth_max, "the queue is longer than its bound");
    explorer_.check(view.in_flight <= view.limit, "more permits are out than there are");
  }

  void start(Job& job) {
    explorer_.check(++job.runs == 1, "a job was run twice");
    explorer_.check(job.unlinked + job.shed + job.home == 0 || case_ == Case::granted, "a job was run after its end");
    explorer_.check(clock_.now() < job.queue_deadline, "a job was started after the end of its waiting time");
    explorer_.check(++running_ <= limit(), "more jobs run than there are permits");
  }
  void stop() { --running_; }

  void unpark(int worker) {
    if (worker != Group::no_worker) ++tokens_[static_cast<std::size_t>(worker)];
  }

  void park(int worker) {
    unsigned& tokens = tokens_[static_cast<std::size_t>(worker)];
    explorer_.wait_until([&] { return tokens > 0; });
    --tokens;
  }

  // ---- Pool::work
  void work(int worker) {
    Base* job = nullptr;
    for (;;) {
      if (job == nullptr) {
        const typename Group::Next next = group_.next(worker);
        if (next.over) return;
        if (next.job == nullptr) {
          park(worker);
          continue;
        }
        job = next.job;
      }
      Job& mine = static_cast<Job&>(*job);
      start(mine);
      step();
      job = nullptr;
      if (&mine == &jobs_[0] && case_ == Case::pool) {
        mine.pinned = true;  // its handle has gone to the keeper
        continue;
      }
      stop();
      job = group_.release(lane_, mine.ticket, true).next;
      bounds();
    }
  }

  // ---- the loop of all jobs
  void loop() {
    admit(jobs_[0]);
    admit(jobs_[1]);
    admitted_ = true;
    switch (case_) {
      case Case::pool: admit(jobs_[2]); break;
      case Case::expiry:
        group_.clamp(jobs_[0], clock_.now());  // its waiting time ends now
        unlink(jobs_[1]);
        admit(jobs_[2]);
        break;
      case Case::close: break;
      case Case::granted: granted_loop(); break;
    }
  }

  void unlink(Job& job) {
    if (!group_.unlink(job, Claim::expired)) return;
    ++job.unlinked;
    bounds();
  }

  // Connection::end_unstarted, Shard::home and start_granted.
  void granted_loop() {
    Job& job = jobs_[1];
    if (job.runs == 1) {  // the permit was free again
      stop();
      release(job);
      return;
    }
    if (explorer_.choose(2) == 1) {
      if (job.claim.load() == Claim::granted) Group::count_dead_grant(job, Claim::expired);
      else unlink(job);
    }
    explorer_.wait_until([&] { return job.home > 0 || job.unlinked > 0; });
    if (job.unlinked > 0) return;
    ++job.taken_home;
    if (job.claim.load() == Claim::granted) {
      Group::count_start(job, clock_.now());
      start(job);
      stop();
    }
    release(job);
  }

  // A thread that holds the first job's last pin.
  void keeper() {
    explorer_.wait_until([this] { return jobs_[0].pinned || (case_ == Case::granted && jobs_[0].runs == 1); });
    stop();
    release(jobs_[0]);
  }

  void release(Job& job) {
    unpark(group_.release(lane_, job.ticket, false).wake);
    bounds();
  }

  // Once the last loop is over: until then jobs may still come.
  void close() {
    explorer_.wait_until([this] { return admitted_; });
    for (const int worker : group_.close()) unpark(worker);
  }

  /// Nobody can go on: what waits now waits for ever.
  bool quiet() {
    if (closing_) return false;
    closing_ = true;
    const admission::LaneView view = lane_.view(std::chrono::seconds{10});
    const bool waits = view.depth > 0 && view.in_flight < view.limit;
    explorer_.check(!waits || case_ == Case::close, "a job waits while a permit is free and a worker is parked");
    if (case_ != Case::granted && case_ != Case::close) close();
    return true;
  }

  void judge() {
    for (Job& job : jobs_) {
      const bool offered = &job != &jobs_[2] || case_ == Case::pool || case_ == Case::expiry;
      const unsigned ends = job.runs + job.unlinked + job.shed + (job.runs == 0 ? job.home : 0);
      explorer_.check(ends == (offered ? 1u : 0u), "a job was lost, or ended twice");
      explorer_.check(!job.linked(), "a job is still in the queue");
    }
    const LaneCounters c = lane_.counters();
    explorer_.check(c.in_flight == 0 && running_ == 0, "a permit was not given back");
    explorer_.check(c.queued == c.started + c.expired + c.cancelled + c.drained && c.depth == 0,
                    "the books do not balance");
  }

  Explorer& explorer_;
  const Case case_;
  StandingClock clock_;
  Group group_;
  Lane lane_;
  std::array<Job, 3> jobs_{};
  std::array<unsigned, 2> tokens_{};
  unsigned running_ = 0;
  bool closing_ = false;
  bool admitted_ = false;
};

template <class Sync>
Verdict check_lane(typename LaneModel<Sync>::Case which, Bounds bounds) {
  Explorer explorer{bounds};
  std::unique_ptr<LaneModel<Sync>> model;
  return explorer.explore([&] {
    model = std::make_unique<LaneModel<Sync>>(explorer, which);
    return model->plan();
  });
}

}  // namespace sluice::interleave
