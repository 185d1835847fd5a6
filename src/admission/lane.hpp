// lane.hpp: one bounded queue with its permits. A lane belongs to a LaneGroup (lane_group.hpp), whose lock guards what is
// private here; what the gate needs is published for everybody. Nothing is allocated after construction.
//
// A permit belongs to the work: it is taken when the work starts and given back when its last pin ends.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "admission/adaptive.hpp"
#include "admission/clients.hpp"
#include "admission/discipline.hpp"
#include "admission/gate.hpp"
#include "admission/job.hpp"
#include "admission/permits.hpp"
#include "admission/tally.hpp"
#include "base/planted.hpp"

namespace sluice::admission {

template <class Sync>
class LaneGroupOf;

/// One queue for each criticality, and the permits. Configured before serving.
template <class Sync>
class LaneOf {
 public:
  using Job = JobOf<Sync>;
  struct Settings {
    std::string name;
    std::uint32_t limit = 1;  // permits; with `adaptive` what it begins with
    std::uint32_t reserved = 0;
    std::uint32_t depth_max = 256;
    std::optional<base::Duration> queue_timeout{};  // unset: automatic
    std::optional<AdaptiveLimit> adaptive{};
    double client_share = 0;  // 0: clients are not counted
    bool readiness = false;
    Discipline discipline{};

    std::uint32_t limit_max() const noexcept { return adaptive ? std::max(adaptive->max, limit) : limit; }
  };

  LaneOf(Settings settings, std::size_t tally_count)
      : settings_{std::move(settings)},
        tallies_(tally_count),
        permits_{settings_.limit_max()},
        clients_{settings_.client_share > 0 ? std::size_t{settings_.limit_max()} + settings_.depth_max : 0},
        limit_{settings_.limit} {
    if (settings_.adaptive) controller_.emplace(*settings_.adaptive, settings_.limit);
    limit_seen_.store(limit_, std::memory_order_relaxed);
  }

  const Settings& settings() const noexcept { return settings_; }
  LaneGroupOf<Sync>* group() const noexcept { return group_; }
  /// `owner` below the number given at construction; the last one is shared by all threads.
  Tally& tally(std::size_t owner) noexcept { return tallies_[owner]; }
  Tally& shared_tally() noexcept { return tallies_.back(); }
  /// Before serving: somebody will ask for so much time. The longest counts for when the lane is overloaded.
  void expect(base::Duration budget) noexcept { budget_ = std::max(budget_, budget); }
  bool counts_clients() const noexcept { return settings_.client_share > 0; }

  /// Any thread, no lock: what the gate needs, a moment old at most.
  LaneView view(base::Duration budget, Criticality criticality = Criticality::critical) const noexcept {
    LaneView view;
    const auto level = static_cast<std::size_t>(criticality);
    for (std::size_t i = 0; i < criticality_count; ++i) {
      const std::uint32_t waiting = depth_seen_[i].load(std::memory_order_relaxed);
      view.depth += waiting;
      if (i >= level) view.ahead += waiting;
    }
    view.in_flight = in_flight_seen_.load(std::memory_order_relaxed);
    view.limit = limit_seen_.load(std::memory_order_relaxed);
    const std::uint32_t zombies = zombies_seen_.load(std::memory_order_relaxed);
    view.can_start = view.ahead == 0 && view.in_flight < view.limit;  // hopeful: admit() knows the pool's share too
    view.stalled = zombies >= view.limit;
    // Where jobs wait although the limit is not reached, other lanes have the rest of the pool.
    const std::uint32_t had = view.depth > 0 ? std::min(view.in_flight, view.limit) : view.limit;
    view.permits = had > zombies ? had - zombies : 1;
    view.overloaded = overloaded_seen_.load(std::memory_order_relaxed);
    view.evicts_from = base::TimePoint{base::Duration{evicts_from_seen_.load(std::memory_order_relaxed)}};
    view.service = base::Duration{service_seen_.load(std::memory_order_relaxed)};
    const base::Duration gap = view.service / std::max(view.limit, 1u);
    view.queue_timeout = queue_timeout(gap, budget);
    view.depth_max = settings_.depth_max;
    if (view.overloaded) {
      const Discipline& rules = settings_.discipline;
      view.depth_max = rules.overload_depth(gap, view.queue_timeout, settings_.depth_max);
      // Between two looks for work a few newcomers are enough, as long as some wait already.
      if (newcomers_seen_.load(std::memory_order_relaxed) == 0) view.depth_max = std::min(view.depth_max, rules.keep);
    }
    return view;
  }

  /// Any thread, no lock; `oldest_zombie_ms` is the group's to tell.
  LaneCounters counters() const noexcept {
    LaneCounters sum;
    for (const Tally& tally : tallies_) tally.add_to(sum);
    sum.in_flight = in_flight_seen_.load(std::memory_order_relaxed);
    sum.limit = limit_seen_.load(std::memory_order_relaxed);
    sum.overloaded = overloaded_seen_.load(std::memory_order_relaxed) ? 1 : 0;
    sum.stalled = zombies_seen_.load(std::memory_order_relaxed) >= sum.limit ? 1 : 0;
    sum.mode_changes = mode_changes_seen_.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  friend class LaneGroupOf<Sync>;

  static constexpr std::uint64_t level_bit(std::size_t level) noexcept { return std::uint64_t{1} << level; }

  base::Duration queue_timeout(base::Duration gap, base::Duration budget) const noexcept {
    if (settings_.queue_timeout) return std::min(*settings_.queue_timeout, budget);
    return settings_.discipline.queue_timeout(gap, budget);
  }

  // ---- under the group's lock

  base::Duration gap() const noexcept { return service_ / std::max(limit_, 1u); }

  /// Nobody waits longer: for the queue timeout, or for the time a full queue takes. A short queue would else never count
  /// as overloaded.
  base::Duration wait_most() const noexcept {
    const base::Duration full =
        std::max<base::Duration>(settings_.depth_max * gap(), 2 * settings_.discipline.target_least);
    return std::min(wait_, full);
  }

  /// The most important level that waits; `levels_` is not 0.
  std::size_t top_level() const noexcept { return static_cast<std::size_t>(std::bit_width(levels_)) - 1; }
  std::size_t bottom_level() const noexcept { return static_cast<std::size_t>(std::countr_zero(levels_)); }

  void push(Job& job) noexcept {
    queues_[job.rank].push_back(job);
    levels_ |= level_bit(job.rank);
    ++depth_;
    count_depth(job.rank, 1);
  }
  void remove(Job& job) noexcept {
    job.unlink();
    if (queues_[job.rank].empty()) levels_ &= ~level_bit(job.rank);
    --depth_;
    count_depth(job.rank, -1);
  }
  void count_depth(std::size_t level, int change) noexcept {
    auto& seen = depth_seen_[level];
    seen.store(seen.load(std::memory_order_relaxed) + static_cast<std::uint32_t>(change), std::memory_order_relaxed);
    shared_tally().depth.add(change > 0 ? 1 : minus_one);
  }

  /// Of those that wait, whoever came first.
  base::TimePoint oldest_arrival() const noexcept {
    base::TimePoint first = base::never;
    for (std::uint64_t left = levels_; left != 0; left &= left - 1) {
      first = std::min(first, queues_[static_cast<std::size_t>(std::countr_zero(left))].front().arrived);
    }
    return first;
  }

  /// Who is next: the most important; of them the oldest, in overload the newest.
  Job& next() noexcept {
    auto& queue = queues_[top_level()];
    return overload_.overloaded() ? queue.back() : queue.front();
  }

  /// A look for work: learns what the queue's delay is, and at the end of an interval what follows from it.
  void observe(base::TimePoint now) noexcept {
    const base::Duration standing = depth_ == 0 ? base::Duration{0} : now - oldest_arrival();
    const Discipline& rules = settings_.discipline;
    const base::Duration between = gap();
    const base::Duration target = rules.target(between, wait_most());
    if (!overload_.observe(standing, now, target, rules.interval(between))) return;
    if (controller_) {
      limit_ = controller_->next({.length = overload_.interval_length(),
                                  .standing_delay = overload_.interval_delay(),
                                  .target = target,
                                  .completed = std::exchange(completed_, 0),
                                  .in_flight_peak = std::exchange(peak_, permits_.out())});
    }
  }

  void settle_service(base::Duration held) noexcept {
    ++completed_;
    const auto jobs = static_cast<std::int64_t>(settings_.discipline.service_jobs);
    // Quick at first, so that one odd job in the beginning is not believed for long.
    if (served_ < jobs) ++served_;
    service_ += (held - service_) / served_;
  }

  bool client_over_share(std::uint64_t client) const noexcept {
    const auto most = static_cast<std::uint32_t>(settings_.client_share * static_cast<double>(limit_));
    return clients_.count(client) >= std::max(1u, most);
  }

  /// What the gate may read without the lock.
  void publish() noexcept {
    in_flight_seen_.store(permits_.out(), std::memory_order_relaxed);
    zombies_seen_.store(permits_.zombies(), std::memory_order_relaxed);
    limit_seen_.store(limit_, std::memory_order_relaxed);
    service_seen_.store(service_.count(), std::memory_order_relaxed);
    overloaded_seen_.store(overload_.overloaded(), std::memory_order_relaxed);
    mode_changes_seen_.store(overload_.changes(), std::memory_order_relaxed);
    base::TimePoint from = base::never;
    newcomers_seen_.store(newcomers_, std::memory_order_relaxed);
    if (overload_.overloaded() && newcomers_ > 0 && depth_ > 0) from = oldest_arrival() + stale_after_;
    evicts_from_seen_.store(from.time_since_epoch().count(), std::memory_order_relaxed);
  }

  const Settings settings_;
  LaneGroupOf<Sync>* group_ = nullptr;
  base::Duration budget_{0};
  std::vector<Tally> tallies_;

  // Under the group's lock.
  std::array<base::List<Job, QueueTag>, criticality_count> queues_{};
  std::uint64_t levels_ = 0;  // a bit for each queue that is not empty
  std::uint32_t depth_ = 0;
  PermitTable permits_;
  ClientTable clients_;
  std::uint32_t limit_;
  base::Duration service_{0};
  std::int64_t served_ = 0;
  base::Duration wait_{std::chrono::milliseconds{100}};  // queue timeout of the last that came
  OverloadDetector overload_;
  base::Duration stale_after_{0};  // in force since the last look for work
  std::uint32_t newcomers_ = 0;  // in overload: how many more may come until the next look for work
  std::optional<LimitController> controller_{};
  std::uint64_t completed_ = 0;  // since the controller was asked
  std::uint32_t peak_ = 0;

  // Copies for the gate; written under the lock. They only hint, so a checker need not see every order of all of them.
  std::array<std::atomic<std::uint32_t>, criticality_count> depth_seen_{};
  typename Sync::template Atomic<std::uint32_t> in_flight_seen_{0};
  std::atomic<std::uint32_t> zombies_seen_{0};
  std::atomic<std::uint32_t> limit_seen_{0};
  std::atomic<bool> overloaded_seen_{false};
  std::atomic<std::int64_t> service_seen_{0};
  std::atomic<std::int64_t> evicts_from_seen_{base::never.time_since_epoch().count()};
  std::atomic<std::uint32_t> newcomers_seen_{0};
  std::atomic<std::uint64_t> mode_changes_seen_{0};
};

using Lane = LaneOf<base::StdSync>;

}  // namespace sluice::admission
