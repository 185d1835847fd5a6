// policy_later.cpp: calls by a policy that hold no thread. An attempt is ended by whoever claims it first: who answers
// it, on any thread, or its timeout, on the request's loop. No user code runs under the lock.
#include <sluice/message.hpp>

#include <optional>
#include <utility>

#include "extra/policy_state.hpp"
#include "server/shard.hpp"

namespace sluice::detail {

using base::TimePoint;

namespace {

std::exception_ptr problem(int status, const char* cause) noexcept {
  try {
    return std::make_exception_ptr(Problem{status}.cause(cause));
  } catch (...) { return std::current_exception(); }
}

}  // namespace

class LaterCall final : public Watch, public std::enable_shared_from_this<LaterCall> {
 public:
  LaterCall(const Policy& policy, const Request& request, std::unique_ptr<LaterBody> body)
      : policy_{policy},
        budget_{request},
        state_{policy.dependency.state_},
        exchange_{Exchange::of(request)},
        pin_{exchange_.second_handle()},
        body_{std::move(body)} {
    state_->call_begins();
  }

  void begin() { ask_for_permit(); }
  void look(bool loop_over) noexcept override;

  bool claim(unsigned attempt) noexcept;
  void succeeded() noexcept;
  void attempt_failed(std::exception_ptr error) noexcept {
    state_->attempt_fails();
    failed(std::move(error));
  }

 private:
  enum class Phase : std::uint8_t {
    deciding,  // whoever brought it here says what is next
    running,  // an attempt is waited for
    pausing,  // before the next one
    over,
  };

  void ask_for_permit() noexcept;
  void entered(Bulkhead::Result permit) noexcept;
  void start(Bulkhead::Permit permit) noexcept;
  bool is_running(unsigned attempt) noexcept;
  bool give_up(unsigned attempt) noexcept;
  void failed(std::exception_ptr error) noexcept;
  void end(std::optional<PolicyFailure> failure) noexcept;
  void enter_phase(Phase phase, TimePoint until) noexcept;
  void log(const char* what) const noexcept {
    exchange_.home().core().log(LogEvent::Level::error, "callback_threw", exchange_.route->pattern, what);
  }

  const Policy policy_;
  const CallBudget budget_;
  const std::shared_ptr<DependencyState> state_;
  Exchange& exchange_;
  Handle pin_;  // until the end
  const std::unique_ptr<LaterBody> body_;

  std::mutex lock_;
  Phase phase_ = Phase::deciding;
  TimePoint until_{};
  unsigned starting_ = 0;         // calls of start() that have not returned
  unsigned attempts_ = 0;         // written by who decides
  std::exception_ptr error_{};    // of the last attempt; the same
};

// From the moment the phase is seen another thread may end the call, and with it the call's own pin.
void LaterCall::enter_phase(Phase phase, TimePoint until) noexcept {
  const Handle pin = exchange_.second_handle();
  {
    const std::lock_guard lock{lock_};
    phase_ = phase;
    until_ = until;
  }
  exchange_.look_at(shared_from_this(), until);
}

void LaterCall::ask_for_permit() noexcept {
  try {
    if (!budget_.holds(policy_.attempt_min)) {
      end(PolicyFailure::budget_spent);
      return;
    }
    BulkheadState& bulkhead = state_->bulkhead();
    const TimePoint until = permit_deadline(bulkhead, *budget_.clock_, budget_.deadline(), policy_.attempt_min);
    bulkhead.enter_later(exchange_, until,
                         [self = shared_from_this()](Bulkhead::Result permit) { self->entered(std::move(permit)); });
  } catch (const std::bad_alloc&) { end(PolicyFailure::full); }  // no memory to wait with
}

void LaterCall::entered(Bulkhead::Result permit) noexcept {
  if (!permit) {
    end(permit.error() == BulkheadError::full ? PolicyFailure::full : PolicyFailure::timed_out);
  } else if (!budget_.holds(policy_.attempt_min)) {
    permit->release();
    end(PolicyFailure::budget_spent);
  } else {
    start(*std::move(permit));
  }
}

void LaterCall::start(Bulkhead::Permit permit) noexcept {
  const std::shared_ptr<LaterCall> self = shared_from_this();
  const unsigned number = attempts_ + 1;
  state_->attempt_begins(number);
  const TimePoint now = budget_.clock_->now();
  const TimePoint end = policy_.timeout < budget_.deadline() - now ? now + policy_.timeout : budget_.deadline();
  {
    const std::lock_guard lock{lock_};
    attempts_ = number;
    ++starting_;
  }
  std::optional<LaterBody::Turn> turn{std::in_place, self, number, std::move(permit), exchange_.second_handle()};
  enter_phase(Phase::running, end);
  std::exception_ptr thrown;
  if (is_running(number)) {  // else its time has passed already, or the loop is over: nothing is begun for nobody
    try {
      body_->start(Attempt{*budget_.clock_, end, number}, *std::move(turn));
    } catch (...) { thrown = std::current_exception(); }
  }
  turn.reset();
  bool forget = false;
  {
    const std::lock_guard lock{lock_};
    forget = --starting_ == 0 && phase_ == Phase::over;
  }
  if (forget) body_->forget_start();
  // Its Reply is somewhere else, or has died on the way here; then the attempt has ended without the reason.
  if (thrown != nullptr && give_up(number)) failed(std::move(thrown));
}

bool LaterCall::is_running(unsigned attempt) noexcept {
  const std::lock_guard lock{lock_};
  return phase_ == Phase::running && attempts_ == attempt;
}

bool LaterCall::claim(unsigned attempt) noexcept {
  {
    const std::lock_guard lock{lock_};
    if (phase_ == Phase::running && attempts_ == attempt) {
      phase_ = Phase::deciding;
      return true;
    }
  }
  state_->attempt_is_late();
  return false;
}

// Counted under the lock: its reply is late only after that.
bool LaterCall::give_up(unsigned attempt) noexcept {
  const std::lock_guard lock{lock_};
  if (phase_ != Phase::running || attempts_ != attempt) return false;
  phase_ = Phase::deciding;
  state_->attempt_times_out();
  return true;
}

void LaterCall::succeeded() noexcept {
  state_->attempt_and_call_succeed();
  end(std::nullopt);
}

// What it was is counted already.
void LaterCall::failed(std::exception_ptr error) noexcept {
  error_ = std::move(error);
  const DependencyState::Next next = state_->after(policy_, budget_, attempts_, AttemptError{error_});
  if (next.failure) end(*next.failure);
  else enter_phase(Phase::pausing, next.at);
}

void LaterCall::look(bool loop_over) noexcept {
  const std::shared_ptr<LaterCall> self = shared_from_this();
  Phase phase = Phase::over;
  bool due = false;
  TimePoint until = base::never;
  {
    const std::lock_guard lock{lock_};
    if (phase_ != Phase::running && phase_ != Phase::pausing) return;
    phase = phase_;
    until = until_;
    due = loop_over || budget_.clock_->now() >= until;
    if (due) phase_ = Phase::deciding;
    if (due && phase == Phase::running) state_->attempt_times_out();  // here: its reply is late only after that
  }
  if (!due) exchange_.look_at(self, until);
  else if (phase == Phase::running) failed(problem(504, "the attempt has timed out"));
  else if (loop_over) end(PolicyFailure::budget_spent);
  else ask_for_permit();
}

void LaterCall::end(std::optional<PolicyFailure> failure) noexcept {
  const std::shared_ptr<LaterCall> self = shared_from_this();
  const Handle last = std::move(pin_);  // until `done` has returned
  bool forget = false;
  {
    const std::lock_guard lock{lock_};
    phase_ = Phase::over;
    forget = starting_ == 0;
  }
  exchange_.look_at(self, base::never);
  if (failure) state_->call_fails(*failure, body_->falls_back());
  try {
    const PolicyError error{failure.value_or(PolicyFailure::attempts_used_up), attempts_, error_};
    body_->finish(failure ? &error : nullptr);
  } catch (const std::exception& thrown) { log(thrown.what()); } catch (...) {
    log("not a std::exception");
  }
  if (forget) body_->forget_start();
}

void call_later(const Policy& policy, const Request& request, std::unique_ptr<LaterBody> body) {
  check(policy);
  std::make_shared<LaterCall>(policy, request, std::move(body))->begin();
}

// ---- the right to end one attempt

LaterBody::Turn::Turn(std::shared_ptr<LaterCall> call, unsigned attempt, Bulkhead::Permit permit, Handle pin) noexcept
    : call_{std::move(call)}, attempt_{attempt}, permit_{std::move(permit)}, pin_{std::move(pin)} {}

LaterBody::Turn::~Turn() {
  if (call_ == nullptr) return;
  if (claim()) failed(problem(500, "the attempt was dropped unanswered"));
}

bool LaterBody::Turn::claim() noexcept {
  if (call_ == nullptr) return false;
  permit_.release();
  if (call_->claim(attempt_)) return true;
  call_.reset();
  return false;
}

void LaterBody::Turn::succeeded() noexcept { std::exchange(call_, nullptr)->succeeded(); }

void LaterBody::Turn::failed(std::exception_ptr error) noexcept {
  std::exchange(call_, nullptr)->attempt_failed(std::move(error));
}

}  // namespace sluice::detail
