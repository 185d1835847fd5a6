// policy_bulkhead.cpp: permits, and who waits for them, in one list: threads that block, and callbacks that wait on
// their request's loop.
#include <sluice/blocking.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/assert.hpp"
#include "extra/policy_state.hpp"
#include "server/shard.hpp"

namespace sluice {
namespace detail {

/// One who waits without a thread. It pins its request, so that its loop is there to be told.
class LaterWaiter final : public Watch, public Waiter, public std::enable_shared_from_this<LaterWaiter> {
 public:
  LaterWaiter(std::shared_ptr<BulkheadState> bulkhead, Exchange& exchange, base::TimePoint end)
      : Waiter{exchange.home().core().clock(), end},
        bulkhead_{std::move(bulkhead)},
        exchange_{exchange},
        pin_{exchange.second_handle()} {
    later = this;
  }

  void look(bool loop_over) noexcept override {
    bool again = false;
    {
      const std::lock_guard lock{bulkhead_->lock_};
      if (then_ == nullptr) return;
      again = !granted && !loop_over && clock.now() < until;
      if (!granted && !again) bulkhead_->give_up_locked(*this);
      if (!again) due_.swap(then_);
    }
    if (again) {
      exchange_.look_at(shared_from_this(), until);
      return;
    }
    exchange_.look_at(shared_from_this(), base::never);
    tell();
  }
  void call_then(BulkheadState::Then&& then) noexcept { then_ = std::move(then); }
  void wait() noexcept { exchange_.look_at(shared_from_this(), until); }
  /// A pin of its own, for who still has to tell it something when it may have found out, and be gone.
  Handle pin() noexcept { return exchange_.second_handle(); }
  void tell_granted() noexcept { exchange_.look_at(shared_from_this(), base::TimePoint::min()); }

 private:
  void tell() noexcept {
    Core& core = exchange_.home().core();
    const auto log = [&](const char* what) {
      core.log(LogEvent::Level::error, "callback_threw", exchange_.route->pattern, what);
    };
    try {
      due_(granted ? Bulkhead::Result{bulkhead_->permit()} : std::unexpected(BulkheadError::timed_out));
    } catch (const std::exception& error) { log(error.what()); } catch (...) {
      log("not a std::exception");
    }
    due_ = nullptr;
    const Handle last = std::move(pin_);
  }

  const std::shared_ptr<BulkheadState> bulkhead_;
  Exchange& exchange_;
  Handle pin_;
  BulkheadState::Then then_{};  // until it is due; under the bulkhead's lock
  BulkheadState::Then due_{};
};

BulkheadState::BulkheadState(BulkheadOptions&& options) : options_{std::move(options)} {
  constexpr unsigned most = 65'536;
  if (options_.in_flight_max < 1 || options_.in_flight_max > most)
    throw std::invalid_argument{"BulkheadOptions::in_flight_max must be from 1 to 65536"};
  if (options_.waiting_max > most) throw std::invalid_argument{"BulkheadOptions::waiting_max must be at most 65536"};
  if (options_.wait_max <= std::chrono::nanoseconds{0})
    throw std::invalid_argument{"BulkheadOptions::wait_max must be above 0"};
}

BulkheadCounters BulkheadState::counters() const {
  const std::lock_guard lock{lock_};
  return counts_;
}

bool BulkheadState::must_wait_locked() const noexcept {
  return counts_.in_flight >= options_.in_flight_max && counts_.waiting < options_.waiting_max;
}

BulkheadState::Entry BulkheadState::ask_locked() noexcept {
  ++counts_.asked;
  if (must_wait_locked()) return Entry::must_wait;
  if (counts_.in_flight >= options_.in_flight_max) {
    ++counts_.full;
    return Entry::full;
  }
  ++counts_.entered;  // nobody waits: a permit that comes back is handed over
  ++counts_.in_flight;
  return Entry::entered;
}

void BulkheadState::wait_locked(Waiter& waiter) noexcept {
  waiters_.push_back(waiter);
  ++counts_.waiting;
}

void BulkheadState::give_up_locked(Waiter& waiter) noexcept {
  waiter.unlink();
  --counts_.waiting;
  ++counts_.timed_out;
  counts_.waited += waiter.clock.now() - waiter.since;
}

Bulkhead::Result BulkheadState::try_enter() noexcept {
  const std::lock_guard lock{lock_};
  switch (ask_locked()) {
    case Entry::entered: return permit();
    case Entry::must_wait: ++counts_.full; break;
    case Entry::full: break;
  }
  return std::unexpected(BulkheadError::full);
}

Bulkhead::Result BulkheadState::enter(const base::Clock& clock, base::TimePoint until) {
  admission::Parking here;
  Waiter waiter{clock, until};
  waiter.parking = &here;
  std::unique_lock lock{lock_};
  if (must_wait_locked() && on_loop_thread())
    throw std::logic_error{"Bulkhead::enter() would block its loop; wrap the handler in blocking()"};
  switch (ask_locked()) {
    case Entry::entered: return permit();
    case Entry::full: return std::unexpected(BulkheadError::full);
    case Entry::must_wait: break;
  }
  wait_locked(waiter);
  while (!waiter.granted && clock.now() < until) {
    lock.unlock();
    here.wait_until(until);
    lock.lock();
  }
  if (waiter.granted) return permit();
  give_up_locked(waiter);
  return std::unexpected(BulkheadError::timed_out);
}

void BulkheadState::enter_later(Exchange& exchange, base::TimePoint until, Then&& then) {
  std::shared_ptr<LaterWaiter> waiter;
  Handle pin;  // until wait() has returned: as soon as it is in the list it may be granted, told, and over
  Entry entry = Entry::entered;
  {
    std::unique_lock lock{lock_};
    if (must_wait_locked()) {
      lock.unlock();  // what it may need is made without the lock
      waiter = std::make_shared<LaterWaiter>(shared_from_this(), exchange, until);
      lock.lock();
    }
    entry = ask_locked();
    if (entry == Entry::must_wait) {
      SLUICE_ASSERT(waiter != nullptr);  // else the lock was held all the time
      waiter->call_then(std::move(then));
      pin = waiter->pin();
      wait_locked(*waiter);
    }
  }
  switch (entry) {
    case Entry::entered: then(permit()); break;
    case Entry::full: then(std::unexpected(BulkheadError::full)); break;
    case Entry::must_wait: waiter->wait(); break;
  }
}

void BulkheadState::release() noexcept {
  std::shared_ptr<LaterWaiter> told;
  Handle pin;
  {
    const std::lock_guard lock{lock_};
    ++counts_.released;
    Waiter* const next = waiters_.pop_front();
    if (next == nullptr) {
      --counts_.in_flight;
      return;
    }
    --counts_.waiting;
    ++counts_.entered;
    counts_.waited += next->clock.now() - next->since;
    next->granted = true;
    if (next->parking != nullptr) {
      next->parking->wake();  // under the lock: after it the one who waited may be gone
      return;
    }
    told = next->later->shared_from_this();
    pin = next->later->pin();
  }
  told->tell_granted();
}

base::TimePoint permit_deadline(const BulkheadState& bulkhead, const base::Clock& clock, base::TimePoint budget_end,
                                base::Duration least) noexcept {
  const base::TimePoint now = clock.now();
  const base::Duration left = std::max(budget_end - now - least, base::Duration{0});
  return now + std::min<base::Duration>(bulkhead.options().wait_max, left);
}

}  // namespace detail

// ---- the public side

std::string_view to_string(BulkheadError error) noexcept { return error == BulkheadError::full ? "full" : "timed_out"; }

Bulkhead::Permit& Bulkhead::Permit::operator=(Permit&& other) noexcept {
  if (this != &other) {
    release();
    state_ = std::move(other.state_);
  }
  return *this;
}

void Bulkhead::Permit::release() noexcept {
  if (const auto state = std::exchange(state_, nullptr)) state->release();
}

Bulkhead::Bulkhead(BulkheadOptions options) : state_{std::make_shared<detail::BulkheadState>(std::move(options))} {}

Bulkhead::~Bulkhead() = default;

Bulkhead::Result Bulkhead::try_enter() noexcept { return state_->try_enter(); }

Bulkhead::Result Bulkhead::enter(const CallBudget& budget) {
  check_may_block("Bulkhead::enter()");
  const auto state = state_;  // for who waits while the bulkhead goes
  const auto until = detail::permit_deadline(*state, *budget.clock_, budget.deadline(), base::Duration{0});
  return state->enter(*budget.clock_, until);
}

void Bulkhead::enter(const Request& request, std::move_only_function<void(Result)> then) {
  if (!then) throw std::invalid_argument{"Bulkhead::enter() without a callback"};
  const CallBudget budget{request};
  const auto until = detail::permit_deadline(*state_, *budget.clock_, budget.deadline(), base::Duration{0});
  state_->enter_later(detail::Exchange::of(request), until, std::move(then));
}

const std::string& Bulkhead::name() const noexcept { return state_->options().name; }

BulkheadCounters Bulkhead::counters() const { return state_->counters(); }

}  // namespace sluice
