// policy.hpp: what a handler does when it calls something else, a database or another service: a bound on the calls
// under way, a timeout for each attempt, retries that can't become a flood, a fallback; all of it within the request's
// budget.
//
// A Bulkhead is the bound alone. A Dependency is one for each thing that is called: its bulkhead, the retries that all
// of its callers share, its counters. A Policy is how one kind of call to it is made: with_policy() on a pool thread,
// with_policy_later() in handlers that answer later.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <sluice/handler.hpp>
#include <sluice/problem.hpp>

namespace sluice {

class Request;
namespace base {
class Clock;
}
namespace detail {
class BlockingCall;
class BulkheadState;
class DependencyState;
class LaterCall;
}  // namespace detail

/// Until when a call may take, and by which clock. Made where one is asked for: of a request, or of a duration.
class CallBudget {
 public:
  /// downstream_budget() of the request: what is left of it, less some for the way back.
  ///   Lifetime: the request lives until the call is over.
  CallBudget(const Request& request) noexcept;  // NOLINT: implicit by intent
  /// That long, from now on.
  template <class Rep, class Period>
  CallBudget(std::chrono::duration<Rep, Period> time)  // NOLINT: the same
      : CallBudget{Plain{}, std::chrono::ceil<std::chrono::nanoseconds>(time)} {}

  std::chrono::steady_clock::time_point deadline() const noexcept { return deadline_; }
  /// What is left, never negative; reads the clock.
  std::chrono::nanoseconds remaining() const noexcept;

 private:
  friend class Bulkhead;
  friend class detail::BlockingCall;
  friend class detail::DependencyState;
  friend class detail::LaterCall;
  struct Plain {};
  CallBudget(Plain, std::chrono::nanoseconds time) noexcept;
  /// That much is left, and the client is still there.
  bool holds(std::chrono::nanoseconds least) const noexcept;

  const Request* request_ = nullptr;
  const base::Clock* clock_;
  std::chrono::steady_clock::time_point deadline_;
};

struct BulkheadOptions {
  /// For whoever reads the counters.
  std::string name{};
  /// Permits: the connections of the pool behind it. 1 to 65,536.
  unsigned in_flight_max = 8;
  /// Callers that may wait for one, 0 to 65,536.
  unsigned waiting_max = 16;
  /// The longest that one of them waits; less if less is left of its budget. Above 0.
  std::chrono::nanoseconds wait_max = std::chrono::milliseconds{100};
};

/// Why there is no permit.
enum class BulkheadError : std::uint8_t {
  full,  // all are taken, and no more callers may wait
  timed_out,  // none came free in time
};
std::string_view to_string(BulkheadError error) noexcept;

/// One moment's numbers of a bulkhead.
struct BulkheadCounters {
  std::uint64_t asked = 0, entered = 0, full = 0, timed_out = 0, released = 0;
  std::uint64_t in_flight = 0, waiting = 0;
  std::chrono::nanoseconds waited{0};  // all who have waited, together

  bool balanced() const noexcept {
    return asked == entered + full + timed_out + waiting && entered == released + in_flight;
  }
};

/// Bounded concurrency in front of a dependency. First come, first served; a permit that comes free goes to the first
/// who waits, so that nobody overtakes.
///   Thread:   any.
///   Lifetime: it may be destroyed while permits are out and callers wait: they keep what they share, and who waits
///             goes on waiting.
class Bulkhead {
 public:
  /// The right to one call; given back once, when it dies. Any thread.
  class Permit {
   public:
    Permit() noexcept = default;
    Permit(Permit&& other) noexcept = default;
    Permit& operator=(Permit&& other) noexcept;
    ~Permit() { release(); }
    /// Gives it back before; harmless the second time.
    void release() noexcept;
    explicit operator bool() const noexcept { return state_ != nullptr; }

   private:
    friend class detail::BulkheadState;
    explicit Permit(std::shared_ptr<detail::BulkheadState> state) noexcept : state_{std::move(state)} {}
    std::shared_ptr<detail::BulkheadState> state_{};
  };
  using Result = std::expected<Permit, BulkheadError>;

  ///   Errors: std::invalid_argument for an option out of its range.
  explicit Bulkhead(BulkheadOptions options);
  Bulkhead(const Bulkhead&) = delete;
  Bulkhead& operator=(const Bulkhead&) = delete;
  ~Bulkhead();

  /// Never waits: a permit, or BulkheadError::full.
  [[nodiscard]] Result try_enter() noexcept;
  /// Waits for a permit, for as long as wait_max and the budget allow.
  ///   Thread: not a loop's: there check_may_block() says what happens; what would really wait throws std::logic_error.
  [[nodiscard]] Result enter(const CallBudget& budget);
  /// Calls `then` once, with a permit or with the reason why there is none; holds no thread meanwhile.
  ///   Thread:   before this returns if nobody has to wait; else on the request's loop, between events, where it must
  ///             not block. What it throws there is logged.
  ///   Lifetime: pins the request until then.
  ///   Cost:     one allocation if it has to wait, and up to two mailbox posts.
  void enter(const Request& request, std::move_only_function<void(Result)> then);

  const std::string& name() const noexcept;
  BulkheadCounters counters() const;

 private:
  friend class Dependency;
  std::shared_ptr<detail::BulkheadState> state_;
};

/// How many retries all callers of a dependency have together: `floor` to begin with, and `share` more for each call.
/// Without it, a dependency that fails gets its load times the attempts exactly when it can carry less.
struct RetryBudget {
  double share = 0.1;  // 0 to 1
  unsigned floor = 10;  // 0 to 65,536; also the most that is saved up
};

struct DependencyOptions {
  /// For whoever reads the counters.
  std::string name{};
  BulkheadOptions bulkhead{};
  RetryBudget retry_budget{};
  /// Of the jitter. 0: another one each time.
  std::uint64_t seed = 0;
};

/// Why a call has failed.
enum class PolicyFailure : std::uint8_t {
  full,  // BulkheadError::full
  timed_out,  // BulkheadError::timed_out
  attempts_used_up,  // the last attempt has failed
  not_retryable,  // an attempt has failed, and retry_if said no
  budget_spent,  // too little is left for an attempt, or the client has left
  retry_budget_empty,  // an attempt has failed, and no retry is left
};
inline constexpr std::size_t policy_failure_count = 6;
std::string_view to_string(PolicyFailure failure) noexcept;

/// One moment's numbers of a dependency. They always balance.
struct DependencyCounters {
  std::uint64_t calls = 0, succeeded = 0;
  std::array<std::uint64_t, policy_failure_count> failed{};  // by PolicyFailure
  std::uint64_t fallbacks = 0;  // failed calls that had one all the same
  std::uint64_t active = 0;  // calls under way
  /// An attempt times out only where nobody waits in it: a blocking one ends when it returns. One that threw while its
  /// Reply lives on counts as timed out.
  std::uint64_t attempts = 0, retries = 0, attempts_succeeded = 0, attempts_failed = 0, attempts_timed_out = 0;
  std::uint64_t late = 0;  // of those that had timed out, how many were answered later, and gave back their permit
  std::uint64_t running = 0;  // attempts that are waited for
  std::chrono::nanoseconds slept{0};  // backoff, all together
  BulkheadCounters bulkhead{};  // in_flight, waiting, waited ...; a moment later than the rest

  std::uint64_t failed_for(PolicyFailure failure) const noexcept { return failed[static_cast<std::size_t>(failure)]; }
  std::uint64_t failed_total() const noexcept;
  bool balanced() const noexcept;
};

/// One thing that is called, for all who call it.
///   Thread:   any.
///   Lifetime: longer than every Policy that names it; calls under way keep what they need.
class Dependency {
 public:
  ///   Errors: std::invalid_argument for an option out of its range.
  explicit Dependency(DependencyOptions options);
  Dependency(const Dependency&) = delete;
  Dependency& operator=(const Dependency&) = delete;
  ~Dependency();

  const std::string& name() const noexcept;
  /// For calls that need nothing but a permit.
  Bulkhead& bulkhead() noexcept { return bulkhead_; }
  DependencyCounters counters() const;

 private:
  friend class detail::BlockingCall;
  friend class detail::LaterCall;
  Bulkhead bulkhead_;
  std::shared_ptr<detail::DependencyState> state_;
};

/// The pause before retry n is anything from 0 to min(max, base * 2^(n-1)), evenly: so that those who failed together
/// don't come back together.
struct Backoff {
  std::chrono::nanoseconds base = std::chrono::milliseconds{20};
  std::chrono::nanoseconds max = std::chrono::seconds{1};
};

/// What one attempt has ended with, for Policy::retry_if.
class AttemptError {
 public:
  explicit AttemptError(std::exception_ptr exception) noexcept : exception_{std::move(exception)} {}
  /// `error`: lives as long as this.
  template <class E>
    requires(!std::same_as<E, std::exception_ptr> && !std::same_as<E, AttemptError>)
  explicit AttemptError(const E& error) noexcept : error_{&error}, type_{&typeid(E)} {}

  /// The error, if it is one of that type: of a std::expected, or thrown.
  template <class E>
  const E* as() const {
    if (type_ != nullptr) return *type_ == typeid(E) ? static_cast<const E*>(error_) : nullptr;
    try {
      if (exception_ != nullptr) std::rethrow_exception(exception_);
    } catch (const E& found) { return &found; } catch (...) {
    }
    return nullptr;
  }

 private:
  std::exception_ptr exception_{};
  const void* error_ = nullptr;
  const std::type_info* type_ = nullptr;
};

/// How one kind of call to a dependency is made. A value; what is not set is safe: one attempt.
struct Policy {
  Dependency& dependency;
  /// Of one attempt; less if less is left of the budget. Above 0.
  std::chrono::nanoseconds timeout = std::chrono::seconds{1};
  /// At most so many, 1 to 100. More than one only for what may be done twice.
  unsigned attempts = 1;
  Backoff backoff{};
  /// Whether trying again makes sense. Not set: yes, unless the error is a Problem below 500. What throws says no.
  ///   Thread: several at once.
  std::function<bool(const AttemptError&)> retry_if{};
  /// With less than this left of the budget no attempt is begun. Above 0.
  std::chrono::nanoseconds attempt_min = std::chrono::milliseconds{5};
};

/// One attempt, for the code that makes it. A value.
class Attempt {
 public:
  /// From 1.
  unsigned number() const noexcept { return number_; }
  std::chrono::steady_clock::time_point deadline() const noexcept { return deadline_; }
  /// What this attempt may still take, never negative; reads the clock. Hand it to whatever is called.
  std::chrono::nanoseconds remaining() const noexcept;

 private:
  friend class detail::BlockingCall;
  friend class detail::LaterCall;
  Attempt(const base::Clock& clock, std::chrono::steady_clock::time_point deadline, unsigned number) noexcept
      : clock_{&clock}, deadline_{deadline}, number_{number} {}
  const base::Clock* clock_;
  std::chrono::steady_clock::time_point deadline_;
  unsigned number_;
};

/// How a call has failed.
struct PolicyError {
  PolicyFailure reason = PolicyFailure::attempts_used_up;
  unsigned attempts = 0;  // that were begun
  std::exception_ptr exception{};  // of the last one, if it threw or was failed with one
};
/// The same, of code that returns std::expected<T, E>.
template <class E>
struct PolicyErrorOf : PolicyError {
  std::optional<E> error{};  // of the last attempt, if it returned one
};

/// For the client: 503 (full, timed_out), 504 (budget_spent) or 502; a Problem below 500 that was not_retryable is
/// handed on as it is. The cause, for the log, says what has failed and with which exception.
Problem to_problem(const PolicyError& error);
/// The same for calls that return std::expected<T, Problem>.
template <std::same_as<Problem> E>
Problem to_problem(PolicyErrorOf<E> error) {
  if (error.exception == nullptr && error.error) error.exception = std::make_exception_ptr(*std::move(error.error));
  return to_problem(static_cast<const PolicyError&>(error));
}

namespace detail {

template <class R>
struct PolicyOutcome {
  using Value = R;
  using Error = PolicyError;
  static constexpr bool is_expected = false;
};
template <class T, class E>
struct PolicyOutcome<std::expected<T, E>> {
  using Value = T;
  using Error = PolicyErrorOf<E>;
  static constexpr bool is_expected = true;
};
template <class F>
using PolicyOutcomeOf = PolicyOutcome<std::remove_cvref_t<std::invoke_result_t<F&, const Attempt&>>>;

/// The part of with_policy() that does not depend on types. One thread.
class BlockingCall {
 public:
  BlockingCall(const Policy& policy, const CallBudget& budget);
  BlockingCall(const BlockingCall&) = delete;
  BlockingCall& operator=(const BlockingCall&) = delete;
  ~BlockingCall();

  /// Waits for the pause and a permit. Null: the call has failed.
  const Attempt* next();
  void succeeded() noexcept;
  void failed(const AttemptError& error) noexcept;
  /// Of the call that has failed.
  void describe(PolicyError& error) const noexcept;
  void fell_back() noexcept;

 private:
  void end(PolicyFailure reason) noexcept;

  const Policy& policy_;
  const CallBudget& budget_;
  const std::shared_ptr<DependencyState> state_;
  Bulkhead::Permit permit_{};
  std::optional<Attempt> attempt_{};
  std::chrono::steady_clock::time_point next_at_{};  // not before
  unsigned attempts_ = 0;
  bool running_ = false, over_ = false, failed_ = false;
  PolicyFailure reason_ = PolicyFailure::attempts_used_up;
};

template <class F, class Error>
std::expected<typename PolicyOutcomeOf<F>::Value, Error> run_blocking(BlockingCall& run, F& call) {
  using Outcome = PolicyOutcomeOf<F>;
  Error error;
  while (const Attempt* const attempt = run.next()) {
    try {
      error.exception = nullptr;
      if constexpr (Outcome::is_expected) {
        error.error.reset();
        auto result = call(*attempt);
        if (!result) {
          error.error.emplace(std::move(result).error());
          run.failed(AttemptError{*error.error});
          continue;
        }
        run.succeeded();
        if constexpr (std::is_void_v<typename Outcome::Value>) return {};
        else return *std::move(result);
      } else if constexpr (std::is_void_v<typename Outcome::Value>) {
        call(*attempt);
        run.succeeded();
        return {};
      } else {
        typename Outcome::Value value = call(*attempt);
        run.succeeded();
        return std::expected<typename Outcome::Value, Error>{std::in_place, std::move(value)};
      }
    } catch (...) {
      error.exception = std::current_exception();
      run.failed(AttemptError{error.exception});
    }
  }
  run.describe(error);
  return std::unexpected(std::move(error));
}

}  // namespace detail

/// What may be called by a policy: takes its Attempt, so that it can't overlook how long it has.
template <class F>
concept PolicyCall = std::invocable<std::remove_reference_t<F>&, const Attempt&>;

/// Calls `call(const Attempt&)` as the policy says, until it succeeds or must not be called again. It fails by throwing,
/// or by returning an unexpected value, and must itself keep to attempt.remaining(). No attempt is begun that the budget
/// can't hold, and no pause outlasts it. The permit is held during an attempt, not between two.
///   Thread: not a loop's, as Bulkhead::enter.
///   Errors: PolicyError, or PolicyErrorOf<E> if `call` returns std::expected<T, E>; std::invalid_argument for a policy
///           that is none.
template <PolicyCall F>
[[nodiscard]] auto with_policy(const Policy& policy, const CallBudget& budget, F&& call) {
  using Call = std::remove_reference_t<F>;
  detail::BlockingCall run{policy, budget};
  return detail::run_blocking<Call, typename detail::PolicyOutcomeOf<Call>::Error>(run, call);
}

/// The same, and if the call fails what `fallback(const PolicyError&)` says (PolicyErrorOf<E>, as above): an older
/// value, an empty list. There is always an answer.
template <PolicyCall F, class G>
  requires std::convertible_to<
      std::invoke_result_t<G&, const typename detail::PolicyOutcomeOf<std::remove_reference_t<F>>::Error&>,
      typename detail::PolicyOutcomeOf<std::remove_reference_t<F>>::Value>
auto with_policy(const Policy& policy, const CallBudget& budget, F&& call, G&& fallback) ->
    typename detail::PolicyOutcomeOf<std::remove_reference_t<F>>::Value {
  using Call = std::remove_reference_t<F>;
  detail::BlockingCall run{policy, budget};
  auto result = detail::run_blocking<Call, typename detail::PolicyOutcomeOf<Call>::Error>(run, call);
  if (result) return *std::move(result);
  run.fell_back();
  return std::forward<G>(fallback)(std::as_const(result.error()));
}

namespace detail {

/// What with_policy_later() calls, without its types.
class LaterBody {
 public:
  virtual ~LaterBody() = default;
  class Turn;
  virtual void start(const Attempt& attempt, Turn&& turn) = 0;
  /// Null: the value is there.
  virtual void finish(const PolicyError* error) = 0;
  virtual bool falls_back() const noexcept = 0;
  /// It is over, and start() does not run: what it holds may hold a Turn.
  virtual void forget_start() noexcept = 0;
};

/// The right to end one attempt, its permit, and a pin of its request. Moves only; the one who claims must say what it was.
class LaterBody::Turn {
 public:
  Turn(std::shared_ptr<LaterCall> call, unsigned attempt, Bulkhead::Permit permit, Handle pin) noexcept;
  Turn(Turn&&) noexcept = default;
  Turn& operator=(Turn&&) = delete;
  ~Turn();
  /// False: it was used, or is not waited for any more. Gives back the permit.
  bool claim() noexcept;
  void succeeded() noexcept;
  void failed(std::exception_ptr error) noexcept;

 private:
  std::shared_ptr<LaterCall> call_;
  unsigned attempt_;
  Bulkhead::Permit permit_;
  Handle pin_;
};

void call_later(const Policy& policy, const Request& request, std::unique_ptr<LaterBody> body);

template <class T>
class LaterBodyOf;

}  // namespace detail

/// Any thread. The answer to one attempt, to be given once. Dropped unanswered, the attempt has failed.
///   Lifetime: until it is used or dies, the request and its views live and the permit stays taken, even if the attempt
///             has timed out and the client has its answer: work that goes on can't pile up.
template <class T>
class Reply {
 public:
  /// False: too late, or used.
  bool succeed(T value) noexcept;
  bool fail(std::exception_ptr error) noexcept;
  bool fail(Problem problem) { return fail(std::make_exception_ptr(std::move(problem))); }

 private:
  friend class detail::LaterBodyOf<T>;
  Reply(detail::LaterBody::Turn&& turn, detail::LaterBodyOf<T>& body) noexcept : turn_{std::move(turn)}, body_{&body} {}
  detail::LaterBody::Turn turn_;
  detail::LaterBodyOf<T>* body_;  // lives as long as the turn
};

/// A call that is answered later.
template <class T>
struct PolicyCallLater {
  /// Begins an attempt; must not block. Throwing fails the attempt.
  std::move_only_function<void(const Attempt&, Reply<T>)> start;
  /// Called once: with the value, or why there is none. Holds the Responder, as a rule.
  std::move_only_function<void(std::expected<T, PolicyError>)> done;
  /// What there is in place of a value.
  std::move_only_function<T(const PolicyError&)> fallback{};
};

/// As with_policy(), for handlers that answer later: no thread is held, neither by an attempt nor by a pause. An attempt
/// that is not answered by its deadline has timed out: Problem 504 for retry_if.
///   Thread:   a handler's, while it is pinned. `start` and `done` run in here, on the thread that answers an attempt, or
///             on the request's loop between events; what they throw on the loop is logged. `done` may run while `start`
///             has not returned, if the attempt's time passes meanwhile.
///   Lifetime: pins the request until `done` has returned. The policy is copied.
///   Errors:   std::invalid_argument for a policy that is none, or without `start` or `done`.
///   Cost:     two allocations, and up to two mailbox posts for each pause or timeout that is asked for off the loop.
template <class T>
  requires std::is_nothrow_move_constructible_v<T>
void with_policy_later(const Policy& policy, const Request& request, PolicyCallLater<T> call);

namespace detail {

template <class T>
class LaterBodyOf final : public LaterBody {
 public:
  explicit LaterBodyOf(PolicyCallLater<T>&& call) noexcept : call_{std::move(call)} {}
  void start(const Attempt& attempt, Turn&& turn) override { call_.start(attempt, Reply<T>{std::move(turn), *this}); }
  void finish(const PolicyError* error) override {
    auto done = std::exchange(call_.done, nullptr);
    auto fallback = std::exchange(call_.fallback, nullptr);
    done(error == nullptr ? std::expected<T, PolicyError>{*std::move(value_)} : in_place_of(*error, fallback));
  }
  bool falls_back() const noexcept override { return static_cast<bool>(call_.fallback); }
  void forget_start() noexcept override { const auto start = std::exchange(call_.start, nullptr); }

 private:
  friend class Reply<T>;
  using Fallback = std::move_only_function<T(const PolicyError&)>;
  static std::expected<T, PolicyError> in_place_of(PolicyError error, Fallback& fallback) {
    try {
      if (fallback) return fallback(error);
    } catch (...) { error.exception = std::current_exception(); }
    return std::unexpected(std::move(error));
  }

  PolicyCallLater<T> call_;
  std::optional<T> value_{};  // written by who has claimed
};

}  // namespace detail

template <class T>
bool Reply<T>::succeed(T value) noexcept {
  detail::LaterBody::Turn turn = std::move(turn_);
  if (!turn.claim()) return false;
  body_->value_.emplace(std::move(value));
  turn.succeeded();
  return true;
}

template <class T>
bool Reply<T>::fail(std::exception_ptr error) noexcept {
  detail::LaterBody::Turn turn = std::move(turn_);
  if (!turn.claim()) return false;
  turn.failed(std::move(error));
  return true;
}

template <class T>
  requires std::is_nothrow_move_constructible_v<T>
void with_policy_later(const Policy& policy, const Request& request, PolicyCallLater<T> call) {
  if (!call.start || !call.done) throw std::invalid_argument{"with_policy_later() needs start and done"};
  detail::call_later(policy, request, std::make_unique<detail::LaterBodyOf<T>>(std::move(call)));
}

}  // namespace sluice
