// policy.cpp: budgets, what the callers of a dependency share, and calls that block. Any thread; only BlockingCall waits.
#include <sluice/extra/policy.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <utility>

#include <sluice/blocking.hpp>
#include <sluice/deadline.hpp>
#include <sluice/message.hpp>

#include "extra/policy_state.hpp"
#include "server/shard.hpp"

namespace sluice {

using base::Duration, base::TimePoint;

namespace {

constexpr std::uint64_t one_retry = 1'000'000;
constexpr unsigned attempts_max = 100;
constexpr unsigned floor_max = 65'536;

/// splitmix64.
std::uint64_t next_random(std::uint64_t& state) noexcept {
  std::uint64_t mixed = (state += 0x9e3779b97f4a7c15u);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return mixed ^ (mixed >> 31);
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

TimePoint later(TimePoint from, Duration time) noexcept {
  return time < base::never - from ? from + time : base::never;
}

/// A handler's problem that says what the client did wrong is no fault of the dependency.
bool retry_by_default(const AttemptError& error) {
  const Problem* const problem = error.as<Problem>();
  return problem == nullptr || problem->status() >= 500;
}

BulkheadOptions checked(const DependencyOptions& options) {
  const RetryBudget& retries = options.retry_budget;
  if (!(retries.share >= 0 && retries.share <= 1))
    throw std::invalid_argument{"RetryBudget::share must be from 0 to 1"};
  if (retries.floor > floor_max) throw std::invalid_argument{"RetryBudget::floor must be at most 65536"};
  BulkheadOptions bulkhead = options.bulkhead;
  if (bulkhead.name.empty()) bulkhead.name = options.name;
  return bulkhead;
}

}  // namespace

// ---- budgets

CallBudget::CallBudget(const Request& request) noexcept
    : request_{&request},
      clock_{&detail::Exchange::of(request).home().core().clock()},
      deadline_{clock_->now() + downstream_budget(request)} {}

CallBudget::CallBudget(Plain, std::chrono::nanoseconds time) noexcept
    : clock_{&admission::handler_clock()}, deadline_{later(clock_->now(), std::max(time, Duration{0}))} {}

std::chrono::nanoseconds CallBudget::remaining() const noexcept {
  return std::max(deadline_ - clock_->now(), Duration{0});
}

bool CallBudget::holds(std::chrono::nanoseconds least) const noexcept {
  return deadline_ - clock_->now() >= least && (request_ == nullptr || !request_->stop_requested());
}

std::chrono::nanoseconds Attempt::remaining() const noexcept {
  return std::max(deadline_ - clock_->now(), Duration{0});
}

// ---- names, sums, problems

std::string_view to_string(PolicyFailure failure) noexcept {
  switch (failure) {
    case PolicyFailure::full: return "full";
    case PolicyFailure::timed_out: return "timed_out";
    case PolicyFailure::attempts_used_up: return "attempts_used_up";
    case PolicyFailure::not_retryable: return "not_retryable";
    case PolicyFailure::budget_spent: return "budget_spent";
    case PolicyFailure::retry_budget_empty: return "retry_budget_empty";
  }
  return "unknown";
}

std::uint64_t DependencyCounters::failed_total() const noexcept {
  std::uint64_t total = 0;
  for (const std::uint64_t count : failed) total += count;
  return total;
}

bool DependencyCounters::balanced() const noexcept {
  return calls == succeeded + failed_total() + active &&
         attempts == attempts_succeeded + attempts_failed + attempts_timed_out + running &&
         succeeded == attempts_succeeded && fallbacks <= failed_total() && late <= attempts_timed_out &&
         retries <= attempts && attempts - retries <= calls && running <= active && bulkhead.balanced();
}

Problem to_problem(const PolicyError& error) {
  std::string cause{to_string(error.reason)};
  cause += " after " + std::to_string(error.attempts) + (error.attempts == 1 ? " attempt" : " attempts");
  try {
    if (error.exception != nullptr) std::rethrow_exception(error.exception);
  } catch (const Problem& problem) {
    if (error.reason == PolicyFailure::not_retryable && problem.status() < 500) return problem;
    cause += ": " + problem.title();
    if (!problem.cause().empty()) cause += ", " + problem.cause();
  } catch (const std::exception& thrown) { cause += std::string{": "} + thrown.what(); } catch (...) {
    cause += ": not a std::exception";
  }
  switch (error.reason) {
    case PolicyFailure::full:
    case PolicyFailure::timed_out: return Problem{503}.header("Retry-After", "1").cause(std::move(cause));
    case PolicyFailure::budget_spent: return Problem{504}.cause(std::move(cause));
    case PolicyFailure::attempts_used_up:
    case PolicyFailure::not_retryable:
    case PolicyFailure::retry_budget_empty: break;
  }
  return Problem{502}.cause(std::move(cause));
}

// ---- dependencies

Dependency::Dependency(DependencyOptions options)
    : bulkhead_{checked(options)}, state_{std::make_shared<detail::DependencyState>(options, bulkhead_.state_)} {}

Dependency::~Dependency() = default;

const std::string& Dependency::name() const noexcept { return state_->name(); }

DependencyCounters Dependency::counters() const { return state_->counters(); }

namespace detail {

void check(const Policy& policy) {
  constexpr Duration nothing{0};
  if (policy.attempts < 1 || policy.attempts > attempts_max)
    throw std::invalid_argument{"Policy::attempts must be from 1 to 100"};
  if (policy.timeout <= nothing) throw std::invalid_argument{"Policy::timeout must be above 0"};
  if (policy.attempt_min <= nothing) throw std::invalid_argument{"Policy::attempt_min must be above 0"};
  if (policy.backoff.base < nothing || policy.backoff.max < nothing)
    throw std::invalid_argument{"Policy::backoff must not be negative"};
}

DependencyState::DependencyState(const DependencyOptions& options, std::shared_ptr<BulkheadState> bulkhead)
    : name_{options.name},
      bulkhead_{std::move(bulkhead)},
      share_{static_cast<std::uint64_t>(std::llround(options.retry_budget.share * static_cast<double>(one_retry)))},
      saved_max_{std::max<std::uint64_t>(options.retry_budget.floor, 1) * one_retry},
      saved_{options.retry_budget.floor * one_retry},
      random_{options.seed != 0 ? options.seed : random_seed()} {}

DependencyCounters DependencyState::counters() const {
  DependencyCounters all;
  {
    const std::lock_guard lock{lock_};
    all = counts_;
  }
  all.bulkhead = bulkhead_->counters();
  return all;
}

void DependencyState::call_begins() noexcept {
  const std::lock_guard lock{lock_};
  ++counts_.calls;
  ++counts_.active;
}

void DependencyState::call_fails(PolicyFailure reason, bool falls_back) noexcept {
  const std::lock_guard lock{lock_};
  ++counts_.failed[static_cast<std::size_t>(reason)];
  counts_.fallbacks += falls_back;
  --counts_.active;
}

void DependencyState::fell_back() noexcept {
  const std::lock_guard lock{lock_};
  ++counts_.fallbacks;
}

void DependencyState::attempt_begins(unsigned number) noexcept {
  const std::lock_guard lock{lock_};
  ++counts_.attempts;
  ++counts_.running;
  if (number > 1) ++counts_.retries;
  else saved_ = std::min(saved_ + share_, saved_max_);  // a call that got as far as the dependency
}

void DependencyState::attempt_and_call_succeed() noexcept {
  const std::lock_guard lock{lock_};
  ++counts_.attempts_succeeded;
  --counts_.running;
  ++counts_.succeeded;
  --counts_.active;
}

void DependencyState::attempt_fails() noexcept {
  const std::lock_guard lock{lock_};
  ++counts_.attempts_failed;
  --counts_.running;
}

void DependencyState::attempt_times_out() noexcept {
  const std::lock_guard lock{lock_};
  ++counts_.attempts_timed_out;
  --counts_.running;
}

void DependencyState::attempt_is_late() noexcept {
  const std::lock_guard lock{lock_};
  ++counts_.late;
}

Duration DependencyState::pause(const Backoff& backoff, unsigned retry) noexcept {
  Duration most = std::min(backoff.base, backoff.max);
  for (unsigned n = 1; n < retry && most < backoff.max; ++n) most = most > backoff.max / 2 ? backoff.max : most * 2;
  return Duration{static_cast<Duration::rep>(next_random(random_) % (static_cast<std::uint64_t>(most.count()) + 1))};
}

// In this order, so that nothing is taken from the shared budget for a retry that can't be.
DependencyState::Next DependencyState::after(const Policy& policy, const CallBudget& budget, unsigned attempts,
                                             const AttemptError& error) noexcept {
  try {
    const bool again = policy.retry_if ? policy.retry_if(error) : retry_by_default(error);
    if (!again) return {PolicyFailure::not_retryable};
  } catch (...) { return {PolicyFailure::not_retryable}; }
  if (attempts >= policy.attempts) return {PolicyFailure::attempts_used_up};
  const TimePoint now = budget.clock_->now();
  const std::lock_guard lock{lock_};
  const Duration slept = pause(policy.backoff, attempts);
  if (!budget.holds(policy.attempt_min) || budget.deadline() - now - policy.attempt_min < slept)
    return {PolicyFailure::budget_spent};
  if (saved_ < one_retry) return {PolicyFailure::retry_budget_empty};
  saved_ -= one_retry;
  counts_.slept += slept;
  return {std::nullopt, now + slept};
}

// ---- calls that block

BlockingCall::BlockingCall(const Policy& policy, const CallBudget& budget)
    : policy_{policy}, budget_{budget}, state_{policy.dependency.state_} {
  check(policy);
  check_may_block("with_policy()");
  state_->call_begins();
}

BlockingCall::~BlockingCall() {  // over, unless the error of an attempt could not be kept
  if (running_) state_->attempt_fails();
  if (!over_) end(PolicyFailure::not_retryable);
}

void BlockingCall::end(PolicyFailure reason) noexcept {
  over_ = failed_ = true;
  reason_ = reason;
  state_->call_fails(reason, false);
}

const Attempt* BlockingCall::next() {
  if (over_) return nullptr;
  const base::Clock& clock = *budget_.clock_;
  if (attempts_ > 0) {
    admission::Parking here;
    while (clock.now() < next_at_) here.wait_until(next_at_);
  }
  if (!budget_.holds(policy_.attempt_min)) {
    end(PolicyFailure::budget_spent);
    return nullptr;
  }
  auto permit = state_->bulkhead().enter(
      clock, permit_deadline(state_->bulkhead(), clock, budget_.deadline(), policy_.attempt_min));
  if (!permit) {
    end(permit.error() == BulkheadError::full ? PolicyFailure::full : PolicyFailure::timed_out);
    return nullptr;
  }
  if (!budget_.holds(policy_.attempt_min)) {
    end(PolicyFailure::budget_spent);
    return nullptr;
  }
  const TimePoint now = clock.now();
  permit_ = *std::move(permit);
  running_ = true;
  state_->attempt_begins(++attempts_);
  attempt_ = Attempt{clock, std::min(later(now, policy_.timeout), budget_.deadline()), attempts_};
  return &*attempt_;
}

void BlockingCall::succeeded() noexcept {
  permit_.release();
  running_ = false;
  over_ = true;
  state_->attempt_and_call_succeed();
}

void BlockingCall::failed(const AttemptError& error) noexcept {
  permit_.release();
  if (!std::exchange(running_, false)) return;  // its value could not be handed on: it has succeeded all the same
  state_->attempt_fails();
  const DependencyState::Next next = state_->after(policy_, budget_, attempts_, error);
  if (next.failure) end(*next.failure);
  else next_at_ = next.at;
}

void BlockingCall::describe(PolicyError& error) const noexcept {
  error.reason = reason_;
  error.attempts = attempts_;
}

void BlockingCall::fell_back() noexcept {
  if (failed_) state_->fell_back();  // else it has succeeded, and only its value could not be handed on
}

}  // namespace detail
}  // namespace sluice
