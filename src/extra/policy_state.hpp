// policy_state.hpp: what the callers of a dependency share: permits and who waits for them; retries, counters, jitter.
// Any thread; every number changes under the lock of its object. Must never run user code or wait while it is held.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include <sluice/extra/policy.hpp>

#include "admission/pool.hpp"
#include "base/list.hpp"
#include "server/exchange.hpp"

namespace sluice::detail {

struct WaiterTag {};
class LaterWaiter;

/// One who waits for a permit.
struct Waiter : base::ListNode<WaiterTag> {
  Waiter(const base::Clock& its_clock, base::TimePoint its_end)
      : clock{its_clock}, since{its_clock.now()}, until{its_end} {}
  const base::Clock& clock;
  const base::TimePoint since, until;
  bool granted = false;  // it has a permit, and is in no list
  admission::Parking* parking = nullptr;  // of one that blocks
  LaterWaiter* later = nullptr;           // of one that does not
};

class BulkheadState : public std::enable_shared_from_this<BulkheadState> {
 public:
  explicit BulkheadState(BulkheadOptions&& options);

  const BulkheadOptions& options() const noexcept { return options_; }
  BulkheadCounters counters() const;

  Bulkhead::Result try_enter() noexcept;
  /// Waits until then at the latest.
  Bulkhead::Result enter(const base::Clock& clock, base::TimePoint until);
  using Then = std::move_only_function<void(Bulkhead::Result)>;
  /// `exchange` is pinned by the caller. `then` may run in here.
  void enter_later(Exchange& exchange, base::TimePoint until, Then&& then);
  void release() noexcept;

 private:
  friend class LaterWaiter;
  enum class Entry : std::uint8_t { entered, full, must_wait };
  bool must_wait_locked() const noexcept;
  Entry ask_locked() noexcept;
  void wait_locked(Waiter& waiter) noexcept;
  void give_up_locked(Waiter& waiter) noexcept;
  Bulkhead::Permit permit() noexcept { return Bulkhead::Permit{shared_from_this()}; }

  const BulkheadOptions options_;
  mutable std::mutex lock_;
  base::List<Waiter, WaiterTag> waiters_;
  BulkheadCounters counts_{};
};

/// Errors: std::invalid_argument with a sentence.
void check(const Policy& policy);

class DependencyState {
 public:
  DependencyState(const DependencyOptions& options, std::shared_ptr<BulkheadState> bulkhead);

  const std::string& name() const noexcept { return name_; }
  BulkheadState& bulkhead() noexcept { return *bulkhead_; }
  DependencyCounters counters() const;

  void call_begins() noexcept;
  void call_fails(PolicyFailure reason, bool falls_back) noexcept;
  void fell_back() noexcept;
  void attempt_begins(unsigned number) noexcept;
  void attempt_and_call_succeed() noexcept;
  void attempt_fails() noexcept;
  void attempt_times_out() noexcept;
  void attempt_is_late() noexcept;

  /// After an attempt that has failed: when the next one may begin, or why there is none.
  struct Next {
    std::optional<PolicyFailure> failure{};
    base::TimePoint at{};
  };
  Next after(const Policy& policy, const CallBudget& budget, unsigned attempts, const AttemptError& error) noexcept;

 private:
  base::Duration pause(const Backoff& backoff, unsigned retry) noexcept;

  const std::string name_;
  const std::shared_ptr<BulkheadState> bulkhead_;
  const std::uint64_t share_, saved_max_;  // in millionths of a retry
  mutable std::mutex lock_;
  std::uint64_t saved_;  // the same
  std::uint64_t random_;
  DependencyCounters counts_{};
};

/// How long a wait for a permit may take: its bulkhead's wait_max, and no longer than leaves an attempt its least time.
base::TimePoint permit_deadline(const BulkheadState& bulkhead, const base::Clock& clock, base::TimePoint budget_end,
                                base::Duration least) noexcept;

}  // namespace sluice::detail
