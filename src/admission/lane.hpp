// lane.hpp: bounded queues and their permits. A LaneGroup is one lock over the lanes that share a set of workers (a
// pool), or over one lane whose work is answered later and needs no thread. Any thread; nothing is allocated after
// construction, no user code and no system call runs inside the lock.
//
// A permit belongs to the work: it is taken when the work starts and given back when its last pin ends. Release and
// the choice of the next job are one critical section.
#pragma once

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "admission/gate.hpp"
#include "admission/job.hpp"
#include "admission/tally.hpp"
#include "base/planted.hpp"

namespace sluice::admission {

template <class Sync>
class LaneGroupOf;

/// One queue with its permits. Configured before serving.
template <class Sync>
class LaneOf {
 public:
  using Job = JobOf<Sync>;
  struct Settings {
    std::string name;
    std::uint32_t limit = 1;
    std::uint32_t reserved = 0;
    std::uint32_t depth_max = 256;
    std::optional<base::Duration> queue_timeout{};  // unset: automatic
  };

  LaneOf(Settings settings, std::size_t tally_count) : settings_{std::move(settings)}, tallies_(tally_count) {}

  const Settings& settings() const noexcept { return settings_; }
  LaneGroupOf<Sync>* group() const noexcept { return group_; }
  /// `owner` below the number given at construction; the last one is shared by all threads.
  Tally& tally(std::size_t owner) noexcept { return tallies_[owner]; }
  Tally& shared_tally() noexcept { return tallies_.back(); }

  /// Any thread, no lock: what the gate needs, a moment old at most.
  LaneView view(base::Duration budget) const noexcept {
    LaneView view;
    view.depth = depth_seen_.load(std::memory_order_relaxed);
    view.depth_max = settings_.depth_max;
    view.in_flight = in_flight_seen_.load(std::memory_order_relaxed);
    view.limit = settings_.limit;
    view.can_start = view.depth == 0 && view.in_flight < view.limit;  // hopeful: admit() knows the pool's share too
    view.service = base::Duration{service_seen_.load(std::memory_order_relaxed)};
    view.queue_timeout = queue_timeout(view.service, budget);
    return view;
  }
  LaneCounters counters() const noexcept {
    LaneCounters sum;
    for (const Tally& tally : tallies_) tally.add_to(sum);
    sum.in_flight = in_flight_seen_.load(std::memory_order_relaxed);
    sum.limit = settings_.limit;
    return sum;
  }

 private:
  friend class LaneGroupOf<Sync>;

  base::Duration queue_timeout(base::Duration service, base::Duration budget) const noexcept {
    if (settings_.queue_timeout) return std::min(*settings_.queue_timeout, budget);
    return automatic_queue_timeout(service, settings_.limit, budget);
  }

  const Settings settings_;
  LaneGroupOf<Sync>* group_ = nullptr;
  std::vector<Tally> tallies_;

  // Under the group's lock.
  base::List<Job, QueueTag> queue_;
  std::uint32_t depth_ = 0;
  std::uint32_t in_flight_ = 0;
  base::Duration service_{0};

  // Copies for the gate; written under the lock.
  typename Sync::template Atomic<std::uint32_t> depth_seen_{0};
  typename Sync::template Atomic<std::uint32_t> in_flight_seen_{0};
  typename Sync::template Atomic<std::int64_t> service_seen_{0};
};

template <class Sync>
class LaneGroupOf {
 public:
  using Job = JobOf<Sync>;
  using Lane = LaneOf<Sync>;
  static constexpr int no_worker = -1;

  /// workers: threads of the pool behind these lanes; 0: jobs are granted and start on their loops.
  LaneGroupOf(const base::Clock& clock, unsigned workers) : clock_{clock}, workers_{workers} { idle_.reserve(workers); }
  LaneGroupOf(const LaneGroupOf&) = delete;
  LaneGroupOf& operator=(const LaneGroupOf&) = delete;

  void add(Lane& lane) {
    lane.group_ = this;
    lanes_.push_back(&lane);
    reserved_ += lane.settings_.reserved;
  }

  enum class Entry : std::uint8_t {
    start,   // no workers: a permit was free and is taken; RUNNING, run it here
    queued,  // in the queue (for a pool this is also how work with a free permit starts)
    shed,    // not admitted; see `reason`
  };
  struct Admission {
    Entry entry = Entry::shed;
    ShedReason reason = ShedReason::queue_full;
    int wake = no_worker;  // unpark this worker, after the call
  };

  /// A loop hands in a job. Decides under the lock what judge() said a moment ago without it.
  Admission admit(Job& job, Lane& lane, const ArrivalView& arrival, base::Duration budget,
                  base::TimePoint now) noexcept {
    const std::lock_guard lock{mutex_};
    LaneView view = lane.view(budget);
    view.can_start = lane.depth_ == 0 && may_start(lane);
    if (const auto reason = judge(view, arrival); reason) return {Entry::shed, *reason};
    job.lane = &lane;
    job.immediate = view.can_start;
    job.queue_deadline = std::min(now + view.queue_timeout, job.deadline);
    lane.shared_tally().queued.add();
    if (view.can_start && workers_ == 0) {
      take_permit(job, lane, now);
      count_start(job, now);
      return {Entry::start, {}};
    }
    job.claim.store(Claim::queued, std::memory_order_relaxed);
    lane.queue_.push_back(job);
    ++lane.depth_;
    lane.shared_tally().depth.add();
    const int wake = may_start(lane) ? pop_idle() : no_worker;
    publish(lane);
    return {Entry::queued, {}, wake};
  }

  /// Takes a job out of its queue and gives it `outcome`, if it is still there. False: somebody else has it.
  bool unlink(Job& job, Claim outcome) noexcept {
    const std::lock_guard lock{mutex_};
    if (!job.linked()) return false;
    remove(job);
    end_unstarted(job, outcome);
    publish(*job.lane);
    return true;
  }

  /// Moves a queued job's end of waiting forward (a drain). False: it is not queued any more.
  bool clamp(Job& job, base::TimePoint queue_deadline) noexcept {
    const std::lock_guard lock{mutex_};
    if (!job.linked()) return false;
    job.queue_deadline = std::min(job.queue_deadline, queue_deadline);
    return true;
  }

  /// A worker asks for work. Neither: the worker is on the idle stack (newest first) and must park.
  struct Next {
    Job* job = nullptr;
    bool over = false;  // closed, and nothing it could run is left: the worker may go
  };
  Next next(int worker) noexcept {
    Dead dead;
    Next next;
    {
      const std::lock_guard lock{mutex_};
      next.job = pick(dead);
      // Decided where the queue was seen empty: a job that came before close() is never left behind.
      next.over = next.job == nullptr && closed_;
      if (next.job == nullptr && !closed_) idle_.push_back(worker);
    }
    send_home(dead);
    return next;
  }

  /// On the job's loop, instead of count_start: it died on its way there. Its permit is still to be released.
  static void count_dead_grant(Job& job, Claim outcome) noexcept { end_unstarted(job, outcome); }

  /// Gives a permit back. A pool's worker takes the next job in the same section; without workers the next job is
  /// granted and sent to its loop.
  ///   started: when the permit was taken.
  struct Released {
    Job* next = nullptr;   // for the worker that called
    int wake = no_worker;  // unpark this worker, after the call
  };
  Released release(Lane& lane, base::TimePoint started, bool caller_is_worker) noexcept {
    Dead dead;
    Released result;
    Job* granted = nullptr;
    {
      const std::lock_guard lock{mutex_};
      give_back(lane, started);
      Job* const job = caller_is_worker || workers_ == 0 ? pick(dead) : nullptr;
      if (caller_is_worker) result.next = job;
      else granted = job;
      if (workers_ != 0 && !caller_is_worker && startable()) result.wake = pop_idle();
      publish(lane);
    }
    send_home(dead);
    if (granted != nullptr) granted->send_home_unstarted();
    return result;
  }

  /// Work begins: QUEUED (under the lock) or GRANTED (on its loop) becomes RUNNING.
  static void count_start(Job& job, base::TimePoint now) noexcept {
    Tally& tally = job.lane->shared_tally();
    tally.started.add();
    tally.running.add();
    if (now >= job.deadline) tally.started_after_deadline.add();
    job.claim.store(Claim::running, std::memory_order_release);
  }

  /// No job comes any more; next() lets workers go. Returns those to unpark.
  std::vector<int> close() {
    const std::lock_guard lock{mutex_};
    closed_ = true;
    return std::exchange(idle_, {});
  }

 private:
  using Dead = base::List<Job, QueueTag>;

  std::uint32_t shared_total() const noexcept { return workers_ - reserved_; }

  bool may_start(const Lane& lane) const noexcept {
    if (lane.in_flight_ >= lane.settings_.limit) return false;
    if (workers_ == 0 || lane.in_flight_ < lane.settings_.reserved) return true;
    return shared_used_ < shared_total();
  }
  bool startable() const noexcept {
    return std::any_of(lanes_.begin(), lanes_.end(), [&](const Lane* l) { return l->depth_ != 0 && may_start(*l); });
  }

  void take_permit(Job& job, Lane& lane, base::TimePoint now) noexcept {
    ++lane.in_flight_;
    if (lane.in_flight_ > lane.settings_.reserved) ++shared_used_;
    job.started = now;
    job.permit = true;
    publish(lane);
  }

  void give_back(Lane& lane, base::TimePoint started) noexcept {
    SLUICE_ASSERT(lane.in_flight_ > 0);
    if (lane.in_flight_ > lane.settings_.reserved) --shared_used_;
    --lane.in_flight_;
    const base::Duration held = clock_.now() - started;
    // An average over about eight jobs: quick enough to follow a change, slow enough not to follow one job.
    lane.service_ = lane.service_ == base::Duration{0} ? held : lane.service_ + (held - lane.service_) / 8;
  }

  void remove(Job& job) noexcept {
    job.unlink();
    --job.lane->depth_;
    job.lane->shared_tally().depth.add(minus_one);
  }

  static void end_unstarted(Job& job, Claim outcome) noexcept {
    job.claim.store(outcome, std::memory_order_release);
    Tally& tally = job.lane->shared_tally();
    switch (outcome) {
      case Claim::expired: tally.expired.add(); break;
      case Claim::cancelled: tally.cancelled.add(); break;
      case Claim::shed: tally.drained.add(); break;
      default: SLUICE_ASSERT(!"not an outcome of unstarted work");
    }
  }

  /// The next job that may start, with its permit; jobs found dead on the way end in `dead`.
  Job* pick(Dead& dead) noexcept {
    if (workers_ == 0 && base::planted(base::Bug::grant_lost)) return nullptr;
    const base::TimePoint now = clock_.now();
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      Lane& lane = *lanes_[(turn_ + i) % lanes_.size()];
      if (lane.depth_ == 0) continue;
      bury(lane, dead, now);
      if (lane.depth_ == 0 || !may_start(lane)) {
        publish(lane);
        continue;
      }
      Job& job = lane.queue_.front();
      remove(job);
      turn_ = (turn_ + i + 1) % lanes_.size();  // every lane gets its turn
      take_permit(job, lane, now);
      if (workers_ != 0) count_start(job, now);
      else job.claim.store(Claim::granted, std::memory_order_release);
      return &job;
    }
    return nullptr;
  }

  void bury(Lane& lane, Dead& dead, base::TimePoint now) noexcept {
    if (base::planted(base::Bug::deadline_unchecked)) return;
    while (lane.depth_ != 0 && now >= lane.queue_.front().queue_deadline) {
      Job& job = lane.queue_.front();
      remove(job);
      end_unstarted(job, Claim::expired);
      dead.push_back(job);
    }
  }

  static void send_home(Dead& dead) noexcept {
    while (Job* job = dead.pop_front()) job->send_home_unstarted();
  }

  int pop_idle() noexcept {
    if (idle_.empty()) return no_worker;
    const int worker = idle_.back();
    idle_.pop_back();
    return worker;
  }

  void publish(Lane& lane) noexcept {
    lane.depth_seen_.store(lane.depth_, std::memory_order_relaxed);
    lane.in_flight_seen_.store(lane.in_flight_, std::memory_order_relaxed);
    lane.service_seen_.store(lane.service_.count(), std::memory_order_relaxed);
  }

  const base::Clock& clock_;
  const std::uint32_t workers_;
  std::uint32_t reserved_ = 0;
  std::vector<Lane*> lanes_;  // fixed once serving begins

  typename Sync::Mutex mutex_;
  std::uint32_t shared_used_ = 0;
  std::size_t turn_ = 0;
  std::vector<int> idle_;  // parked workers, newest last; capacity reserved
  bool closed_ = false;
};

using Lane = LaneOf<base::StdSync>;
using LaneGroup = LaneGroupOf<base::StdSync>;

}  // namespace sluice::admission
