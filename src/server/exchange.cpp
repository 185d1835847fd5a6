#include "server/exchange.hpp"

#include "server/shard.hpp"

namespace sluice {
namespace detail {
namespace {

using admission::Claim;
using admission::Tally;

// Its address names the running thread; nothing is stored in it.
[[gnu::tls_model("initial-exec")]] constinit thread_local char thread_mark = 0;

admission::Count Tally::* column_of(Claim outcome) noexcept {
  switch (outcome) {
    case Claim::responded: return &Tally::responded;
    case Claim::raised: return &Tally::raised;
    case Claim::timed_out: return &Tally::timed_out;
    case Claim::abandoned: return &Tally::abandoned;
    default: SLUICE_ASSERT(!"not an outcome of running work");
  }
}

std::string_view text_of(const std::exception_ptr& error, std::string& keeper) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) { keeper = e.what(); } catch (...) {
    keeper = "not a std::exception";
  }
  return keeper;
}

}  // namespace

void Exchange::settle_in(Shard& home) noexcept {
  home_ = &home;
  own_head_buffer = base::Buffer{home.blocks()};
  own_body = base::Buffer{home.blocks()};
}

void Exchange::own_bytes(int fd) {
  own_head();
  if (!peer_) peer_ = home_->peer_of(fd);
}

Peer Exchange::peer() const { return peer_ ? *peer_ : home_->peer_of(*this); }

Response* Exchange::response() noexcept {
  const Claim outcome = claim.load(std::memory_order_acquire);
  const bool by_work = outcome == Claim::responded || outcome == Claim::raised;
  return has_response_ && (by_work || base::planted(base::Bug::late_answer_written)) ? &response_ : nullptr;
}

void Exchange::own_head() {
  if (!own_head_buffer.empty()) return;
  note_more();
  const char* const old = head_bytes;
  own_head_buffer.append({old, head_size});
  head_bytes = own_head_buffer.data();
  for (std::size_t i = 0; i < match.param_count; ++i) {
    std::string_view& value = match.params[i].value;
    const bool inside = std::less_equal<>{}(old, value.data()) && std::less_equal<>{}(value.data(), old + head_size);
    if (inside) value = {head_bytes + (value.data() - old), value.size()};
  }
}

[[gnu::noinline]] void Exchange::clear_more() noexcept {
  has_more_.store(false, std::memory_order_relaxed);
  own_head_buffer.clear();
  own_body.clear();
  held_until = {};
  permit = zombie = counted = immediate = false;
  peer_.reset();
  edits_.clear();
  decoded_.clear();
  delete stop_.exchange(nullptr, std::memory_order_relaxed);
  inflow.reset();
  delete outflow_.exchange(nullptr, std::memory_order_relaxed);
  reader_taken_.store(false, std::memory_order_relaxed);
  calls_.clear();
  rate_since = {};
  rate_from = 0;
  continue_owed = chunks = closes = false;
  trailers.clear();
  if (path_scratch.capacity() > 256) path_scratch = std::string{};
}

// ---- stopping

void Exchange::request_stop() noexcept {
  if (base::planted(base::Bug::stop_token_silent)) return;
  stop_requested_.store(true, std::memory_order_seq_cst);
  if (stop_.load(std::memory_order_seq_cst) != nullptr) home_->fire_stop_later(*this);
}

std::stop_token Exchange::stop_token() {
  if (const std::stop_source* source = stop_.load(std::memory_order_acquire)) return source->get_token();
  note_more();
  auto made = std::make_unique<std::stop_source>();
  std::stop_source* expected = nullptr;
  if (!stop_.compare_exchange_strong(expected, made.get(), std::memory_order_seq_cst)) return expected->get_token();
  std::stop_source* const mine = made.release();
  // The loop may have asked between its look at stop_ and our publishing: then nobody else will fire.
  if (stop_requested_.load(std::memory_order_seq_cst)) mine->request_stop();
  return mine->get_token();
}

void Exchange::fire_stop() noexcept {
  if (std::stop_source* source = stop_.load(std::memory_order_acquire)) source->request_stop();
}

// ---- outcomes

void Exchange::count(admission::Count Tally::* column, admission::Count Tally::* second) noexcept {
  const bool owned = home_->on_loop_thread();
  Tally& sums = owned ? home_->tally(*route->lane) : route->lane->shared_tally();
  for (const auto& next : {column, second}) {
    if (next == nullptr) continue;
    const std::uint64_t n = next == &Tally::running ? admission::minus_one : 1;
    if (owned) (sums.*next).add_owned(n);
    else (sums.*next).add(n);
  }
}

bool Exchange::claim_running(Claim outcome) noexcept {
  Claim expected = Claim::running;
  if (!claim.compare_exchange_strong(expected, outcome, std::memory_order_acq_rel)) return false;
  count(column_of(outcome), &Tally::running);
  return true;
}

bool Exchange::edit(Response& response) noexcept {
  try {
    for (auto next = edits_.rbegin(); next != edits_.rend(); ++next) (*next)(response);
    return true;
  } catch (...) {
    std::string keeper;
    home_->core().log(LogEvent::Level::error, "edit_threw", route->pattern, text_of(std::current_exception(), keeper));
    return false;
  }
}

void Exchange::store(Response&& response) noexcept {
  response_ = std::move(response);
  has_response_ = true;
}

Sent Exchange::finish(Response&& response, Claim outcome) noexcept {
  if (!edits_.empty() && !edit(response)) return finish_fixed();
  // The answer is built; from here to the post everything is a noexcept move.
  bool won = claim_running(outcome);
  if (!won) count(&Tally::late);
  if (!won && base::planted(base::Bug::late_answer_written)) won = true;
  if (won) store(std::move(response));
  const Sent sent = won ? Sent::accepted : Sent::too_late;
  end_handle(won);
  return sent;
}

Sent Exchange::finish_fixed() noexcept {
  const bool won = claim_running(Claim::raised);
  if (!won) count(&Tally::late);
  end_handle(won);
  return won ? Sent::accepted : Sent::too_late;
}

Sent Exchange::answer(Response&& response) noexcept { return finish(std::move(response), Claim::responded); }

Sent Exchange::fail(Problem&& problem) noexcept {
  log_problem(problem);
  return finish(home_->core().render(request_, problem), Claim::raised);
}

Sent Exchange::fail(std::exception_ptr error) noexcept {
  if (error == nullptr) return finish_fixed();
  try {
    std::rethrow_exception(std::move(error));
  } catch (Problem& problem) { return fail(std::move(problem)); } catch (const std::exception& e) {
    home_->core().log(LogEvent::Level::error, "exception_raised", route->pattern, e.what());
  } catch (...) {
    home_->core().log(LogEvent::Level::error, "exception_raised", route->pattern, "not a std::exception");
  }
  try {
    return finish(home_->core().render(request_, Problem{500}), Claim::raised);
  } catch (...) {  // no memory to say more
    return finish_fixed();
  }
}

[[gnu::noinline]] void Exchange::log_problem(const Problem& problem) const noexcept {
  const LogEvent::Level level = problem.status() >= 500 ? LogEvent::Level::error : LogEvent::Level::info;
  home_->core().log(level, "problem", route->pattern, problem.cause().empty() ? problem.title() : problem.cause());
}

bool Exchange::unwinding_own_frame() const noexcept {
  return frame_thread_.load(std::memory_order_relaxed) == &thread_mark &&
         std::uncaught_exceptions() > frame_exceptions_;
}

void Exchange::drop() noexcept {
  LifeOf<base::StdSync>::End end;
  if (life_.end_if_not_last_handle(end)) return;
  // While an exception leaves the frame the frame's own pin claims: it knows what was thrown.
  bool won = false;
  if (!unwinding_own_frame() && !base::planted(base::Bug::dropped_unanswered)) {
    won = claim_running(Claim::raised);
    if (won) {
      count(&Tally::dropped);
      home_->core().log(LogEvent::Level::error, "responder_dropped", route->pattern, {});
    }
  }
  end_handle(won);
}

Handle Exchange::second_handle() noexcept {
  life_.add_handle();
  return Handle{this};
}

// ---- pins

void Exchange::settle(LifeOf<base::StdSync>::End end, Shard& home, admission::Lane* held,
                      admission::Ticket of_permit) noexcept {
  if (end.last && held != nullptr) home.release_permit(*held, of_permit);
  if (end.post) home.post(*this);
}

void Exchange::end_handle(bool answered) noexcept {
  if (home_->in_frame_of(*this)) {
    life_.end_handle_in_frame(answered);
    return;
  }
  // Read before the pin ends: afterwards the exchange may be gone, and its server with it.
  Shard& shard = *home_;
  const std::shared_ptr<void> kept = shard.keep();
  admission::Lane* const held = permit ? lane : nullptr;
  const admission::Ticket of_permit = ticket;
  settle(life_.end_handle(answered), shard, held, of_permit);
}

void Exchange::send_home() noexcept { home_->post(*this); }

void Exchange::send_home_unstarted() noexcept {
  const std::shared_ptr<void> kept = home_->keep();  // another loop's, perhaps, and it may end while we are in the post
  life_.post_unstarted();
  home_->post(*this);
}

admission::Job::After Exchange::run() noexcept {
  life_.begin();
  const bool answered = invoke();
  const bool owed = !base::planted(base::Bug::permit_released_early) || permit;
  const LifeOf<base::StdSync>::End end = life_.end_frame(answered);
  const bool release = end.last && owed && !base::planted(base::Bug::permit_leaked);
  return {release, end.post};
}

LifeOf<base::StdSync>::Arrival Exchange::run_on_loop() noexcept {
  life_.begin();
  const bool answered = invoke();
  return life_.end_frame_on_loop(answered);
}

// The one catch around handlers. True: the frame itself has claimed, since the handler threw.
template <class Call>
bool Exchange::call_user(Call&& call) noexcept {
  try {
    call();
    return false;
  } catch (const Problem& problem) {
    log_problem(problem);
    return fail_frame(&problem);
  } catch (const std::exception& error) {
    home_->core().log(LogEvent::Level::error, "handler_threw", route->pattern, error.what());
  } catch (...) { home_->core().log(LogEvent::Level::error, "handler_threw", route->pattern, "not a std::exception"); }
  return fail_frame(nullptr);
}

bool Exchange::invoke() noexcept {
  frame_thread_.store(&thread_mark, std::memory_order_relaxed);
  frame_exceptions_ = std::uncaught_exceptions();
  const bool answered = call_user([&] { route->handler(request_, Responder{this}); });
  frame_thread_.store(nullptr, std::memory_order_relaxed);
  return answered;
}

bool Exchange::run_in_place(Tally& tally, void* place) noexcept {
  tally.inlined.add_owned();
  tally.started.add_owned();
  tally.running.add_owned();
  claim.store(Claim::running, std::memory_order_relaxed);
  const bool threw = call_user([&] { ::new (place) Response(route->handler.answer(request_)); });
  if (threw) return false;
  claim.store(Claim::responded, std::memory_order_relaxed);
  tally.running.add_owned(admission::minus_one);
  tally.responded.add_owned();
  return true;
}

bool Exchange::answer_first() noexcept {
  std::string keeper;
  home_->guard().enter(*route);
  try {
    std::optional<Response> answer = route->handler.first_answer(request_);
    home_->guard().leave();
    if (!answer) return false;
    store(*std::move(answer));
  } catch (...) {
    home_->guard().leave();
    home_->core().log(LogEvent::Level::error, "answer_first_threw", route->pattern,
                      text_of(std::current_exception(), keeper));
    return false;
  }
  Tally& tally = home_->tally(*route->lane);
  tally.inlined.add_owned();
  tally.started.add_owned();
  tally.responded.add_owned();
  claim.store(Claim::responded, std::memory_order_relaxed);
  return true;
}

Response* Exchange::degraded(ShedReason reason) noexcept {
  if (!route->options.on_shed) return nullptr;
  std::string keeper;
  home_->guard().enter(*route);
  try {
    store(route->options.on_shed(request_, reason));
    home_->guard().leave();
    return &response_;
  } catch (...) {
    home_->guard().leave();
    home_->core().log(LogEvent::Level::error, "on_shed_threw", route->pattern,
                      text_of(std::current_exception(), keeper));
    return nullptr;
  }
}

Exchange::Expectation Exchange::ask_about_expectation() noexcept {
  std::string keeper;
  home_->guard().enter(*route);
  try {
    std::optional<Response> answer = route->options.on_expect(request_);
    home_->guard().leave();
    if (!answer) return Expectation::met;
    store(*std::move(answer));
    return Expectation::refused;
  } catch (...) {
    home_->guard().leave();
    home_->core().log(LogEvent::Level::error, "on_expect_threw", route->pattern,
                      text_of(std::current_exception(), keeper));
    return Expectation::threw;
  }
}

[[gnu::noinline]] bool Exchange::fail_frame(const Problem* problem) noexcept {
  Response response;
  bool rendered = false;
  try {
    response = home_->core().render(request_, problem != nullptr ? *problem : Problem{500});
    rendered = edit(response);
  } catch (...) {  // no memory: the fixed 500 needs none
    rendered = false;
  }
  if (!claim_running(Claim::raised)) return false;
  if (problem == nullptr) count(&Tally::thrown);
  if (rendered) store(std::move(response));
  return true;
}

}  // namespace detail

// ---- handles

namespace detail {

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    if (Exchange* old = exchange_.exchange(other.take(), std::memory_order_acq_rel)) old->drop();
  }
  return *this;
}

void Handle::drop(Exchange* exchange) noexcept { exchange->drop(); }

Sent answer(Handle& handle, Response&& response) noexcept {
  Exchange* const exchange = handle.take();
  return exchange == nullptr ? Sent::used_up : exchange->answer(std::move(response));
}

Sent fail(Handle& handle, Problem&& problem) noexcept {
  Exchange* const exchange = handle.take();
  return exchange == nullptr ? Sent::used_up : exchange->fail(std::move(problem));
}

Sent fail(Handle& handle, std::exception_ptr error) noexcept {
  Exchange* const exchange = handle.take();
  return exchange == nullptr ? Sent::used_up : exchange->fail(std::move(error));
}

}  // namespace detail

std::pair<Respond, Raise> Responder::split() && {
  detail::Exchange* const exchange = handle_.peek();
  if (exchange == nullptr) return {Respond{detail::Handle{}}, Raise{detail::Handle{}}};
  detail::Handle second = exchange->second_handle();
  return {Respond{std::move(handle_)}, Raise{std::move(second)}};
}

Responder&& Responder::edit(std::move_only_function<void(Response&)> edit) && {
  if (detail::Exchange* exchange = handle_.peek()) exchange->add_edit(std::move(edit));
  return std::move(*this);
}

}  // namespace sluice
