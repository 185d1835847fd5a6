// handler.hpp: the shapes a handler may have, and the handles it answers through.
//
// Every shape is an adapter over one path, void(const Request&, Responder). The first line of each type says
// on which thread it may be used.
#pragma once

#include <atomic>
#include <concepts>
#include <exception>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <sluice/message.hpp>

namespace sluice {

/// What became of an answer.
enum class Sent : std::uint8_t {
  accepted,  // this is the request's one outcome
  too_late,  // it already had one: an earlier answer, a spent budget, a client that has left
  used_up,   // this handle was used, moved from or never valid
};

class BodyReader;
class Responder;
class ResponseWriter;
struct StreamOptions;

namespace detail {
/// Any thread. One pin on an exchange; nulls itself atomically, so that misuse from two threads is harmless.
class Handle {
 public:
  Handle() noexcept = default;
  Handle(Handle&& other) noexcept : exchange_{other.take()} {}
  Handle& operator=(Handle&& other) noexcept;
  ~Handle() {
    if (Exchange* exchange = take()) drop(exchange);
  }

  Exchange* take() noexcept {
    // Most handles that die were moved from: a look is cheaper than an exchange.
    if (exchange_.load(std::memory_order_relaxed) == nullptr) return nullptr;
    return exchange_.exchange(nullptr, std::memory_order_acq_rel);
  }
  Exchange* peek() const noexcept { return exchange_.load(std::memory_order_acquire); }

 private:
  friend class Exchange;
  friend class sluice::BodyReader;
  friend class sluice::Responder;
  explicit Handle(Exchange* exchange) noexcept : exchange_{exchange} {}
  static void drop(Exchange* exchange) noexcept;
  std::atomic<Exchange*> exchange_{nullptr};
};

Sent answer(Handle& handle, Response&& response) noexcept;
Sent fail(Handle& handle, Problem&& problem) noexcept;
Sent fail(Handle& handle, std::exception_ptr error) noexcept;
}  // namespace detail

/// Any thread. The success callback of a split pair; use once.
class Respond {
 public:
  Sent operator()(Response response) noexcept { return detail::answer(handle_, std::move(response)); }
  explicit operator bool() const noexcept { return handle_.peek() != nullptr; }

 private:
  friend class Responder;
  explicit Respond(detail::Handle&& handle) noexcept : handle_{std::move(handle)} {}
  detail::Handle handle_;
};

/// Any thread. The failure callback of a split pair; use once.
class Raise {
 public:
  Sent operator()(Problem problem) noexcept { return detail::fail(handle_, std::move(problem)); }
  Sent operator()(std::exception_ptr error) noexcept { return detail::fail(handle_, std::move(error)); }
  explicit operator bool() const noexcept { return handle_.peek() != nullptr; }

 private:
  friend class Responder;
  explicit Raise(detail::Handle&& handle) noexcept : handle_{std::move(handle)} {}
  detail::Handle handle_;
};

/// Any thread. Answers one request, once. Dropped unanswered, it gives the client a 500 at once.
///   Lifetime: while it lives the Request and its views live, and the request's permit stays taken.
class Responder {
 public:
  /// Answers the request and uses up this responder; the request's views may end here.
  ///   Cost: off the loop one mailbox post; no allocation of its own.
  Sent respond(Response response) noexcept { return detail::answer(handle_, std::move(response)); }
  /// Fails the request: the error boundary renders the problem.
  Sent raise(Problem problem) noexcept { return detail::fail(handle_, std::move(problem)); }
  /// Fails the request with 500 (or with the Problem inside); the text goes to the log hook only.
  Sent raise(std::exception_ptr error) noexcept { return detail::fail(handle_, std::move(error)); }

  /// Answers with a body that is yet to be written, and uses up this responder: the head is on its way, and is the
  /// request's one outcome. Include <sluice/stream.hpp>.
  ///   Lifetime: takes ownership of `head`, which must have no body.
  ///   Errors:   std::invalid_argument for a head with a body, or with a status that has none (204, 205, 304); then
  ///             this responder can still answer. Too late: the writer is closed() from the start.
  ///   Cost:     one allocation; off the loop one mailbox post for each burst of writes.
  ResponseWriter stream(Response head, const StreamOptions& options) &&;
  ResponseWriter stream(Response head) &&;

  /// Two handles in place of one; the first to be used decides.
  std::pair<Respond, Raise> split() &&;
  /// Lets `edit` see and change every answer given through a handle of this request, rendered problems included; not
  /// the library's own (503, 504, a dropped responder's 500).
  ///   Thread: runs on the answering thread, before the answer is claimed, in reverse order; on two threads at once if
  ///           both halves of a split pair are used at once.
  ///   Cost:   one allocation.
  Responder&& edit(std::move_only_function<void(Response&)> edit) &&;
  explicit operator bool() const noexcept { return handle_.peek() != nullptr; }

 private:
  friend class detail::Exchange;
  explicit Responder(detail::Exchange* exchange) noexcept : handle_{exchange} {}
  detail::Handle handle_;
};

/// Where a handler runs.
enum class Runs : std::uint8_t {
  on_loop,  // returns its answer on the loop; must not block
  answers_later,  // starts on the loop, answers when and from where it likes; must not block either
  on_pool,  // on a thread of the blocking-work pool
};

namespace detail {
template <class R>
concept Answer = std::convertible_to<R, Response> || std::convertible_to<R, std::expected<Response, Problem>>;
template <class F>
concept Returns = std::invocable<F&, const Request&> && Answer<std::invoke_result_t<F&, const Request&>>;
template <class F>
concept ReturnsResponse = Returns<F> && std::convertible_to<std::invoke_result_t<F&, const Request&>, Response>;
template <class F>
concept TakesResponder = std::invocable<F&, const Request&, Responder>;
template <class F>
concept TakesPair = std::invocable<F&, const Request&, Respond, Raise>;
}  // namespace detail

/// What may be registered as a handler: Response(const Request&), std::expected<Response, Problem>(const Request&),
/// void(const Request&, Responder) or void(const Request&, Respond, Raise).
template <class F>
concept HandlerFunction = detail::Returns<F> || detail::TakesResponder<F> || detail::TakesPair<F>;

/// A handler of any shape, and where it runs.
///   Thread: called from several threads at once; what it captures must allow that.
class Handler {
 public:
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, Handler> && HandlerFunction<std::decay_t<F>>)
  Handler(F&& function)  // NOLINT: implicit by intent, app.get("/", lambda)
      : Handler{std::forward<F>(function), detail::Returns<std::decay_t<F>> ? Runs::on_loop : Runs::answers_later} {}

  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, Handler> && HandlerFunction<std::decay_t<F>>)
  Handler(F&& function, Runs runs) : runs_{runs} {
    using D = std::decay_t<F>;
    if constexpr (detail::ReturnsResponse<D>) {
      returns_ = std::forward<F>(function);
    } else if constexpr (detail::Returns<D>) {
      call_ = [f = std::forward<F>(function)](const Request& request, Responder&& responder) mutable {
        std::expected<Response, Problem> result = f(request);
        if (result) responder.respond(*std::move(result));
        else responder.raise(std::move(result).error());
      };
    } else if constexpr (detail::TakesResponder<D>) {
      call_ = std::forward<F>(function);
    } else {
      call_ = [f = std::forward<F>(function)](const Request& request, Responder&& responder) mutable {
        auto [respond, raise] = std::move(responder).split();
        f(request, std::move(respond), std::move(raise));
      };
    }
  }

  /// The same handler, marked to run elsewhere.
  Handler(Handler&& handler, Runs runs) noexcept
      : call_{std::move(handler.call_)},
        returns_{std::move(handler.returns_)},
        first_{std::move(handler.first_)},
        runs_{runs} {}

  /// Has `first` asked before each request takes a permit: a Response is the answer, given on the loop; nullopt sends
  /// the request on to this handler. For what is at hand now and then, in a cache, say.
  ///   Thread: the request's loop; must not block. Errors: if it throws, that is logged and counts as nullopt.
  ///   Middleware does not see it: a handler that is wrapped is asked for every request.
  Handler&& answer_first(std::move_only_function<std::optional<Response>(const Request&)> first) && {
    first_ = std::move(first);
    return std::move(*this);
  }
  bool answers_first() const noexcept { return static_cast<bool>(first_); }
  std::optional<Response> first_answer(const Request& request) { return first_(request); }

  Runs runs() const noexcept { return runs_; }
  void operator()(const Request& request, Responder&& responder) {
    if (returns_) responder.respond(returns_(request));
    else call_(request, std::move(responder));
  }

  /// Whether it is a plain function from request to response, and the call of that function.
  bool returns() const noexcept { return static_cast<bool>(returns_); }
  Response answer(const Request& request) { return returns_(request); }

 private:
  // One of the two is set.
  std::move_only_function<void(const Request&, Responder&&)> call_;
  std::move_only_function<Response(const Request&)> returns_;
  std::move_only_function<std::optional<Response>(const Request&)> first_;
  Runs runs_ = Runs::on_loop;
};

/// Marks a handler as blocking: it runs on the pool, behind its lane's queue and permits.
template <class F>
  requires HandlerFunction<std::decay_t<F>>
Handler blocking(F&& function) {
  return Handler{std::forward<F>(function), Runs::on_pool};
}

/// Wraps a handler in another. Runs where the wrapped handler runs; the router sees to that.
///   Example: [](Handler next) { return [next = std::move(next)](const Request& q, Responder r) mutable {
///              next(q, std::move(r).edit([](Response& a) { a.header("X-Frame-Options", "DENY"); })); }; }
using Middleware = std::function<Handler(Handler)>;

}  // namespace sluice
