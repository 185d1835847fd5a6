// lane_group.hpp: one lock over the lanes that share a set of workers (a pool), or over one lane whose work is answered
// later and needs no thread. Any thread; nothing is allocated after construction, no user code and no system call runs
// inside the lock. Release and the choice of the next job are one critical section.
#pragma once

#include <mutex>

#include "admission/lane.hpp"

namespace sluice::admission {

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
    start,  // no workers: a permit was free and is taken; RUNNING, run it here
    queued,  // in the queue (for a pool this is also how work with a free permit starts)
    shed,  // not admitted; see `reason`
  };
  struct Admission {
    Entry entry = Entry::shed;
    ShedReason reason = ShedReason::queue_full;
    int wake = no_worker;  // unpark this worker, after the call
  };

  /// A loop hands in a job. Decides under the lock what judge() said a moment ago without it.
  Admission admit(Job& job, Lane& lane, const ArrivalView& arrival, base::Duration budget,
                  base::TimePoint now) noexcept {
    Dead dead;
    Admission admission;
    {
      const std::lock_guard lock{mutex_};
      admission = admit_locked(job, lane, arrival, budget, now, dead);
    }
    send_home(dead);
    return admission;
  }

  /// Takes a job out of its queue and gives it `outcome`, if it is still there. False: somebody else has it.
  bool unlink(Job& job, Claim outcome) noexcept {
    const std::lock_guard lock{mutex_};
    if (!queued(job)) return false;
    remove(job);
    end_unstarted(job, outcome, column_of(outcome));
    job.lane->publish();
    return true;
  }

  /// Moves a queued job's end of waiting forward (a drain). False: it is not queued any more.
  bool clamp(Job& job, base::TimePoint queue_deadline) noexcept {
    const std::lock_guard lock{mutex_};
    if (!queued(job)) return false;
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
  static void count_dead_grant(Job& job, Claim outcome) noexcept { end_unstarted(job, outcome, column_of(outcome)); }

  /// Gives a permit back. A pool's worker takes the next job in the same section; without workers the next job is
  /// granted and sent to its loop.
  struct Released {
    Job* next = nullptr;  // for the worker that called
    int wake = no_worker;  // unpark this worker, after the call
  };
  Released release(Lane& lane, Ticket ticket, bool caller_is_worker) noexcept {
    Dead dead;
    Dead granted;
    Released result;
    {
      const std::lock_guard lock{mutex_};
      give_back(lane, ticket);
      if (caller_is_worker) result.next = pick(dead);
      // All that may start, not one: the limit may have grown while they waited.
      while (Job* const job = workers_ == 0 ? pick(dead) : nullptr) granted.push_back(*job);
      if (workers_ != 0 && !caller_is_worker && startable()) result.wake = pop_idle();
      lane.publish();
    }
    send_home(dead);
    send_home(granted);
    return result;
  }

  /// The permit's request has its outcome while the work goes on. Nothing happens if the permit is back already.
  ///   Thread: the job's loop.
  void mark_zombie(Lane& lane, Ticket ticket) noexcept {
    const std::lock_guard lock{mutex_};
    if (lane.permits_.mark_zombie(ticket)) lane.publish();
  }

  /// Visits every permit of the lane that is out. `visit` runs inside the lock: short, and without allocating.
  ///   Cost: the lane's limit.
  template <class F>
  void for_each_held(const Lane& lane, F&& visit) {
    const std::lock_guard lock{mutex_};
    lane.permits_.for_each_out(visit);
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
  using Column = Count Tally::*;

  /// Not the same as linked(): what was buried is in a list on its way home, outside the lock.
  static bool queued(const Job& job) noexcept { return job.claim.load(std::memory_order_relaxed) == Claim::queued; }

  std::uint32_t shared_total() const noexcept { return workers_ - reserved_; }

  bool may_start(const Lane& lane) const noexcept {
    const std::uint32_t out = lane.permits_.out();
    if (out >= lane.limit_) return false;
    if (workers_ == 0 || out < lane.settings_.reserved) return true;
    return shared_used_ < shared_total();
  }
  bool startable() const noexcept {
    return std::any_of(lanes_.begin(), lanes_.end(), [&](const Lane* l) { return l->depth_ != 0 && may_start(*l); });
  }

  Admission admit_locked(Job& job, Lane& lane, const ArrivalView& arrival, base::Duration budget, base::TimePoint now,
                         Dead& dead) noexcept {
    LaneView view = lane.view(budget, arrival.criticality);
    view.can_start = view.ahead == 0 && may_start(lane);
    if (const auto reason = judge(view, arrival)) return {Entry::shed, *reason};
    const bool exempt = arrival.criticality == Criticality::exempt;
    if (lane.counts_clients() && !exempt && lane.client_over_share(job.client))
      return {Entry::shed, ShedReason::client_share};
    const bool starts_here = view.can_start && workers_ == 0;
    const bool full = view.depth >= view.depth_max;
    if (!starts_here && full && !make_room(lane, arrival.criticality, now, dead) &&
        !base::planted(base::Bug::queue_unbounded)) {
      return {Entry::shed, ShedReason::queue_full};
    }
    job.lane = &lane;
    job.rank = static_cast<std::uint8_t>(arrival.criticality);
    job.immediate = view.can_start;
    job.arrived = now;
    // A lane's discipline does not depend on the patience of one client, or of one of several routes.
    lane.wait_ = lane.budget_ == base::Duration{0} ? view.queue_timeout : lane.queue_timeout(lane.gap(), lane.budget_);
    job.queue_deadline = std::min(now + view.queue_timeout, job.deadline);
    if (lane.counts_clients()) lane.clients_.add(job.client);
    lane.shared_tally().queued.add();
    if (starts_here) {
      lane.observe(now);
      take_permit(job, lane, now);
      count_start(job, now);
      lane.publish();
      return {Entry::start, {}};
    }
    job.claim.store(Claim::queued, std::memory_order_relaxed);
    if (lane.newcomers_ > 0 && (full || lane.depth_ >= lane.settings_.discipline.keep)) --lane.newcomers_;
    lane.push(job);
    const int wake = may_start(lane) ? pop_idle() : no_worker;
    lane.publish();
    return {Entry::queued, {}, wake};
  }

  /// A full queue: the oldest of the least important makes room for whoever is more important; in overload also for one
  /// that is as important, if it is stale.
  bool make_room(Lane& lane, Criticality criticality, base::TimePoint now, Dead& dead) noexcept {
    if (lane.depth_ == 0) return false;
    Job& victim = lane.queues_[lane.bottom_level()].front();
    if (victim.rank >= static_cast<std::uint8_t>(criticality)) {
      const bool stale = now - victim.arrived >= lane.stale_after_;
      if (victim.rank > static_cast<std::uint8_t>(criticality) || !lane.overload_.overloaded() ||
          lane.newcomers_ == 0 || !stale) {
        return false;
      }
      lane.overload_.dropped();
    }
    bury(victim, Claim::shed, &Tally::evicted, dead);
    return true;
  }

  void take_permit(Job& job, Lane& lane, base::TimePoint now) noexcept {
    job.ticket = lane.permits_.take(now, job.tag, lane.counts_clients() ? job.client : 0);
    lane.peak_ = std::max(lane.peak_, lane.permits_.out());
    if (lane.permits_.out() > lane.settings_.reserved) ++shared_used_;
    job.permit = true;
  }

  void give_back(Lane& lane, Ticket ticket) noexcept {
    if (lane.permits_.out() > lane.settings_.reserved) --shared_used_;
    const Held held = lane.permits_.give_back(ticket);
    if (held.client != 0) lane.clients_.remove(held.client);
    const base::TimePoint now = clock_.now();
    lane.settle_service(now - held.since);
    if (lane.depth_ == 0) lane.observe(now);  // a look that finds nobody waiting
  }

  /// Out of its queue, without a permit of its own.
  void remove(Job& job) noexcept {
    job.lane->remove(job);
    if (job.lane->counts_clients()) job.lane->clients_.remove(job.client);
  }

  static Column column_of(Claim outcome) noexcept {
    switch (outcome) {
      case Claim::expired: return &Tally::expired;
      case Claim::cancelled: return &Tally::cancelled;
      case Claim::shed: return &Tally::drained;
      default: SLUICE_ASSERT(!"not an outcome of unstarted work");
    }
  }

  static void end_unstarted(Job& job, Claim outcome, Column column) noexcept {
    (job.lane->shared_tally().*column).add();  // before the claim: whoever sees it may count on the books
    job.claim.store(outcome, std::memory_order_release);
  }

  void bury(Job& job, Claim outcome, Column column, Dead& dead) noexcept {
    remove(job);
    end_unstarted(job, outcome, column);
    dead.push_back(job);
  }

  /// The next job that may start, with its permit; jobs found dead on the way end in `dead`.
  Job* pick(Dead& dead) noexcept {
    if (workers_ == 0 && base::planted(base::Bug::grant_lost)) return nullptr;
    const base::TimePoint now = clock_.now();
    for (;;) {
      const std::size_t index = next_lane();
      if (index == lanes_.size()) return nullptr;
      Lane& lane = *lanes_[index];
      look_for_work(lane, now, dead);
      Job* const job = lane.depth_ == 0 ? nullptr : &lane.next();
      if (job != nullptr) {
        lane.remove(*job);  // its client keeps it: it runs now
        turn_ = (index + 1) % lanes_.size();  // every lane gets its turn
        take_permit(*job, lane, now);
        if (workers_ != 0) count_start(*job, now);
        else job->claim.store(Claim::granted, std::memory_order_release);
      }
      lane.publish();
      if (job != nullptr) return job;
    }
  }

  /// Of the lanes that could start something: one whose first job is the most important, in turn among equals.
  std::size_t next_lane() const noexcept {
    std::size_t best = lanes_.size();
    std::size_t best_level = 0;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      const std::size_t index = (turn_ + i) % lanes_.size();
      const Lane& lane = *lanes_[index];
      if (lane.depth_ == 0 || !may_start(lane)) continue;
      const std::size_t level = lane.top_level();
      if (best != lanes_.size() && level <= best_level) continue;
      best = index;
      best_level = level;
    }
    return best;
  }

  /// Afterwards lane.next(), if there is one, may be started.
  void look_for_work(Lane& lane, base::TimePoint now, Dead& dead) noexcept {
    lane.observe(now);
    if (base::planted(base::Bug::deadline_unchecked)) return;
    while (lane.depth_ != 0 && now >= lane.next().queue_deadline) {
      bury(lane.next(), Claim::expired, &Tally::expired, dead);
    }
    if (!lane.overload_.overloaded()) return;
    lane.newcomers_ = lane.settings_.discipline.newcomers;
    drop_stale(lane, now, dead);
  }

  /// Overload: those who have waited so long that they will not be started are told so now, from the oldest of the least
  /// important on. A few stay, in case nobody comes meanwhile.
  void drop_stale(Lane& lane, base::TimePoint now, Dead& dead) noexcept {
    const Discipline& rules = lane.settings_.discipline;
    lane.stale_after_ = rules.stale_after(lane.gap(), lane.wait_most());
    for (std::uint32_t dropped = 0; dropped < rules.drops_max && lane.depth_ > rules.keep; ++dropped) {
      Job& oldest = lane.queues_[lane.bottom_level()].front();
      if (now - oldest.arrived < lane.stale_after_) return;
      bury(oldest, Claim::shed, &Tally::stale, dead);
      lane.overload_.dropped();
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

using LaneGroup = LaneGroupOf<base::StdSync>;

}  // namespace sluice::admission
