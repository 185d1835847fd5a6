#include "server/connection.hpp"

#include <algorithm>

#include "base/inline.hpp"
#include "server/shard.hpp"

namespace sluice::detail {

using admission::Claim;
using base::TimePoint;

void Connection::open(Shard& shard) noexcept {
  shard_ = &shard;
  exchange_ = nullptr;
  kept_ = base::Buffer{shard.blocks()};
  write_deadline_ = base::never;
  discarded_ = 0;
  refused_in_a_row_ = 0;
  in_flight_requests = 0;
  for_exempt_ = false;
  state_ = State::idle;
  phase_deadline_ = shard.now() + (shard.draining() ? shard.limits().drain_grace : shard.limits().idle_timeout);
}

// ---- input

void Connection::input(std::span<char> bytes) {
  if (state_ == State::closing || state_ == State::lingering) {
    // Past the bound nothing more is read, but the connection stays: a close with bytes unread would be a reset, and a
    // reset can take the answer away from a client that is still sending.
    discarded_ += static_cast<std::uint32_t>(bytes.size());
    if (discarded_ > shard_->limits().linger_bytes_max) shard_->loop().pause(*this);
    return;
  }
  if (!kept_.empty()) {
    keep(bytes);
    pump();
  } else {
    const std::size_t used = process(bytes);
    if (used < bytes.size() && state_ < State::closing) keep(bytes.subspan(used));
  }
  const bool nothing_to_change =
      state_ == State::idle && kept_.empty() && !reading_paused && shard_->pressure() < Pressure::hold;
  if (nothing_to_change) [[likely]]
    return;
  if (shard_->memory_tight()) keep_little();
  update_reading();
}

void Connection::keep(std::span<const char> rest) {
  alone_ = false;
  kept_.append(rest);
}

void Connection::pump() {
  // Whoever had its share of this turn waits at the list's tail, however many more bytes come meanwhile.
  while (!kept_.empty() && state_ < State::closing && !base::ListNode<ReadyTag>::linked()) {
    const std::size_t used = process(kept_.span());
    if (state_ >= State::closing) break;
    kept_.consume(used);
    if (used == 0) break;
  }
  const bool unfinished = state_ == State::head || state_ == State::body || state_ == State::discard;
  if (input_ended && kept_.empty() && (state_ == State::handling || state_ == State::streaming) &&
      rest_of_body() != Rest::none) {
    cut(false);  // the rest of this request's body will not come
    return;
  }
  if (input_ended && unfinished) end_after_output();  // the FIN came while an earlier request was being handled
  if (input_ended && state_ == State::idle && kept_.empty()) end_after_output();  // what was kept has been answered
  update_reading();
}

void Connection::update_reading() noexcept {
  if (state_ >= State::closing) return;
  const std::size_t most = shard_->memory_tight() ? 1 : shard_->limits().pipelined_bytes_max;
  const bool full = (kept_.size() >= most && state_ != State::head) || state_ == State::resting ||
                    (shard_->pressure() >= Pressure::hold && held_back());
  if (full && !reading_paused) shard_->loop().pause(*this);
  if (!full && reading_paused && !base::planted(base::Bug::resume_forgotten)) shard_->loop().resume(*this);
}

std::size_t Connection::process(std::span<char> bytes) {
  std::size_t used = 0;
  unsigned begun = 0;
  for (;;) {
    const std::span<char> rest = bytes.subspan(used);
    std::size_t step = 0;
    switch (state_) {
      case State::idle:
        if (rest.empty()) return used;
        if (out.size() > shard_->output_max()) return used;  // output_drained() goes on
        if (++begun > shard_->limits().pipelined_max) {
          shard_->requeue(*this);
          return used;
        }
        exchange_ = shard_->take_exchange(*this);
        state_ = State::head;
        phase_deadline_ = shard_->now() + shard_->limits().head_timeout;
        [[fallthrough]];
      case State::head:
        step = read_head(rest);
        if (state_ == State::head) {
          arm();
          return used;
        }
        break;
      case State::body:
        step = read_body(rest);
        if (state_ == State::body && step == rest.size()) return used + step;
        break;
      case State::discard:
        step = discard_body(rest);
        if (state_ == State::discard && step == rest.size()) return used + step;
        break;
      case State::handling:
      case State::streaming: return used + feed_body(rest);
      default: return used;
    }
    used += step;
    if (used == bytes.size() && state_ == State::idle) return used;
  }
}

SLUICE_INLINE std::size_t Connection::read_head(std::span<char> bytes) {
  Exchange& x = *exchange_;
  const bool fresh = x.guard.head_size() == 0;
  http::HeadMemory& memory = shard_->head_memory();
  const bool known = fresh && memory.recall(bytes, x.guard, x.head);
  if (!known) {
    switch (x.guard.scan(bytes, shard_->head_limits(), x.head)) {
      case http::Scan::need_more: return 0;
      case http::Scan::rejected: refuse(x.guard.reject()); return 0;
      case http::Scan::complete: break;
    }
    if (!parse_head(bytes.first(x.guard.head_size()))) return 0;
  }
  const std::size_t size = x.guard.head_size();
  x.head_bytes = bytes.data();
  x.head_size = size;
  if (!find_route(known)) return size;
  return size + follow_route(bytes.subspan(size));
}

SLUICE_INLINE bool Connection::parse_head(std::span<char> head) {
  Exchange& x = *exchange_;
  if (const auto parsed = shard_->parser().parse(head, x.guard, x.head); !parsed) {
    refuse(parsed.error());
    return false;
  }
  shard_->head_memory().keep(head, x.guard, x.head);
  return true;
}

/// False: there is none, and the client has been told.
SLUICE_INLINE bool Connection::find_route(bool known) {
  Exchange& x = *exchange_;
  http::HeadMemory& memory = shard_->head_memory();
  const std::string_view path = x.head.path.in(x.head_bytes);
  std::uint32_t route = known ? memory.route() : http::HeadMemory::nowhere;
  if (route == http::HeadMemory::nowhere) {
    route = shard_->core().table().match_static(x.head.method, path);
    if (route == RouteTable::none) return find_route_by_pattern(path);
    memory.lead_to(route);
  }
  x.match.kind = Match::Kind::found;
  x.match.route = route;
  return true;
}

bool Connection::find_route_by_pattern(std::string_view path) {
  Exchange& x = *exchange_;
  if (x.head.target.in(x.head_bytes) == "*") {
    answer_options();
    return false;
  }
  x.match = shard_->core().table().match(x.head.method, path, x.path_scratch);
  if (x.path_scratch.capacity() > 256) x.note_more();  // not to be kept
  switch (x.match.kind) {
    case Match::Kind::found: return true;
    case Match::Kind::not_found: answer_early(404); return false;
    case Match::Kind::method_not_allowed: answer_not_allowed(x.match.allowed); return false;
  }
  return false;
}

SLUICE_INLINE std::size_t Connection::follow_route(std::span<char> behind) {
  Exchange& x = *exchange_;
  x.route = &shard_->core().route(x.match.route);
  if (x.head.content_length > x.route->body_bytes_max) {
    refuse({413, "Content-Length above the route's limit"});
    return 0;
  }
  x.budget = x.route->options.budget;
  if (!shard_->core().options().deadline_headers.empty() && spent_on_arrival()) return 0;
  return begin_body(behind);
}

SLUICE_INLINE std::size_t Connection::begin_body(std::span<char> behind) {
  Exchange& x = *exchange_;
  alone_ = false;
  const bool none =
      x.head.framing == http::Framing::none || (x.head.framing == http::Framing::length && x.head.content_length == 0);
  if (none) {
    alone_ = behind.empty();
    dispatch();
    return 0;
  }
  if (x.head.expect_continue && !expectation_met(behind)) return 0;
  if (x.route->options.stream_body) return begin_streamed_body();
  if (x.route->in_place && x.head.framing == http::Framing::length && x.head.content_length <= behind.size()) {
    const auto size = static_cast<std::size_t>(x.head.content_length);
    x.body = {behind.data(), size};
    alone_ = size == behind.size();
    dispatch();
    return size;
  }
  x.own_head();  // the bytes it lies in end before the body does
  state_ = State::body;
  phase_deadline_ = shard_->now() + shard_->limits().body_timeout;
  arm();
  return 0;
}

std::size_t Connection::read_body(std::span<char> bytes) {
  if (shard_->memory_tight() && exchange_->route->options.criticality != Criticality::exempt) {
    // Nothing was started, and what was read so far is given back at once.
    shard_->tally(*exchange_->route->lane).received.add_owned();
    shed(ShedReason::memory, true);
    return 0;
  }
  return exchange_->head.framing == http::Framing::length ? read_fixed_body(bytes) : read_chunked_body(bytes);
}

std::size_t Connection::read_fixed_body(std::span<char> bytes) {
  Exchange& x = *exchange_;
  const std::uint64_t left = x.head.content_length - x.body_received;
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, bytes.size()));
  x.own_body.append(bytes.first(size));
  x.body_received += size;
  if (size == left) {
    alone_ = size == bytes.size();
    dispatch();
  }
  return size;
}

std::size_t Connection::read_chunked_body(std::span<char> bytes) {
  using Kind = http::ChunkedDecoder::Step::Kind;
  Exchange& x = *exchange_;
  std::size_t used = 0;
  while (used < bytes.size()) {
    const auto step = x.chunked.next({bytes.data() + used, bytes.size() - used});
    used += step.consumed;
    x.body_received += step.consumed;
    if (step.kind == Kind::rejected) {
      refuse(step.reject);
      return used;
    }
    if (x.chunked.announced() > x.route->body_bytes_max) {
      refuse({413, "chunked body above the route's limit"});
      return used;
    }
    if (step.kind == Kind::data) x.own_body.append(step.data);
    if (step.kind == Kind::done) {
      alone_ = used == bytes.size();
      dispatch();
      return used;
    }
  }
  return used;
}

std::size_t Connection::discard_body(std::span<char> bytes) {
  using Kind = http::ChunkedDecoder::Step::Kind;
  Exchange& x = *exchange_;
  bool over = false;
  std::size_t used = 0;
  if (x.head.framing == http::Framing::length) {
    const std::uint64_t left = x.head.content_length - x.body_received;
    used = static_cast<std::size_t>(std::min<std::uint64_t>(left, bytes.size()));
    x.body_received += used;
    over = used == left;
  }
  while (x.head.framing == http::Framing::chunked && used < bytes.size() && !over) {
    const auto step = x.chunked.next({bytes.data() + used, bytes.size() - used});
    used += step.consumed;
    x.body_received += step.consumed;
    over = step.kind == Kind::done;
    if (step.kind == Kind::rejected || x.body_received > shard_->limits().linger_bytes_max) {
      begin_closing();
      return used;
    }
  }
  if (over) {
    release_exchange();
    enter_idle();
  }
  return used;
}

// ---- time

void Connection::arm() noexcept { shard_->loop().arm(*this, next_deadline()); }

TimePoint Connection::next_deadline() const noexcept {
  TimePoint first = write_deadline_;
  switch (state_) {
    case State::handling: {
      const Claim claim = exchange_->claim.load(std::memory_order_acquire);
      const bool waits = claim == Claim::queued || claim == Claim::granted;
      if (waits) first = std::min(first, exchange_->queue_deadline);
      else if (claim == Claim::running) first = std::min(first, shard_->effective_deadline(*exchange_));
      first = std::min(first, next_rate_check());
      break;
    }
    case State::streaming: first = std::min({first, next_rate_check(), phase_deadline_}); break;
    case State::body: {
      const TimePoint judged = phase_deadline_ - shard_->limits().body_timeout + shard_->limits().body_grace;
      first = std::min({first, phase_deadline_, std::max(judged, shard_->now() + std::chrono::seconds{1})});
      if (shard_->now() < judged) first = std::min(first, judged);
      if (shard_->now() < exchange_->held_until) first = std::min(first, exchange_->held_until);
      break;
    }
    case State::closing:
    case State::closed: break;
    default: first = std::min(first, phase_deadline_);
  }
  return first;
}

bool Connection::body_is_slow() const noexcept {
  const Limits& limits = shard_->limits();
  const base::Duration elapsed = shard_->now() - (phase_deadline_ - limits.body_timeout);
  if (elapsed < limits.body_grace) return false;
  const double wanted = static_cast<double>(limits.body_rate_min) * std::chrono::duration<double>(elapsed).count();
  return static_cast<double>(exchange_->body_received) < wanted;
}

void Connection::timer_fired() {
  const TimePoint now = shard_->now();
  if (now >= write_deadline_) {
    shard_->counts().slow_readers.add_owned();
    cut(true);
    return;
  }
  bool early = false;
  switch (state_) {
    case State::handling:
      judge_body_rate();
      early = !handling_timed_out(now);
      break;
    case State::streaming:
      if (now >= phase_deadline_) {
        stream_over_time();
        return;
      }
      judge_body_rate();
      early = true;
      break;
    case State::body:
      early = now < phase_deadline_ && !body_is_slow();
      if (!early) {
        shard_->counts().body_timeouts.add_owned();
        refuse({408, "body too slow"});
      }
      break;
    case State::closing:
    case State::closed: early = true; break;
    default:
      early = now < phase_deadline_;
      if (!early) phase_over();
  }
  if (early && base::planted(base::Bug::timer_not_rearmed)) return;
  if (state_ != State::closed) arm();
}

void Connection::phase_over() {
  switch (state_) {
    case State::idle:
      if (!out.empty()) {  // not idle: its answer is still being read, under the write timeout
        enter_idle();
        break;
      }
      shard_->counts().idle_closed.add_owned();
      cut(false);
      break;
    case State::head:
      shard_->counts().head_timeouts.add_owned();
      if (exchange_->guard.started()) refuse({408, "head too slow"});
      else end_after_output();
      break;
    case State::discard: begin_closing(); break;
    case State::refusing: answer_shed(exchange_->refused, false); break;
    case State::resting:
      enter_idle();
      if (state_ == State::idle && !kept_.empty()) shard_->requeue(*this);
      update_reading();
      break;
    default: cut(false);
  }
}

bool Connection::handling_timed_out(TimePoint now) {
  Exchange& x = *exchange_;
  const Claim claim = x.claim.load(std::memory_order_acquire);
  if ((claim == Claim::queued || claim == Claim::granted) && now >= x.queue_deadline) {
    end_unstarted(now >= shard_->core().drain_deadline() ? Claim::shed : Claim::expired);
    return true;
  }
  if (claim != Claim::running || now < shard_->effective_deadline(x)) return false;
  if (!x.claim_running(Claim::timed_out)) return false;  // an answer is on its way
  x.request_stop();
  shard_->mark_zombie(x);
  if (x.inflow != nullptr) fail_body({504, "the budget is spent"});
  answer_claimed(x);
  return true;
}

void Connection::end_unstarted(Claim outcome) {
  Exchange& x = *exchange_;
  if (x.claim.load(std::memory_order_acquire) == Claim::granted) {
    // Its node is in the mailbox: the permit is passed on and the exchange freed when it arrives. User code, as on_shed
    // is, waits until then too.
    if (x.route->options.on_shed && !shard_->draining()) return;
    admission::LaneGroup::count_dead_grant(x, outcome);
    answer_claimed(x);
    return;
  }
  if (!x.lane->group()->unlink(x, outcome)) return;  // a worker has it by now
  if (x.route->options.on_shed && !shard_->draining()) {
    x.send_home_unstarted();  // user code: not from inside a timer
    return;
  }
  const Done done{*this, x};
  answer_claimed(x);
}

// ---- the end

void Connection::input_over() {
  switch (state_) {
    case State::handling:
    case State::streaming:
      if (!kept_.empty()) return;
      if (rest_of_body() != Rest::none) {
        cut(false);  // the rest of this request's body will not come
        return;
      }
      if (!shard_->core().options().half_close_cancels) return;
      exchange_->request_stop();
      if (state_ == State::streaming) return;
      // Work that found a free permit is as good as started; only what really waits is given up.
      if (exchange_->claim.load(std::memory_order_acquire) == Claim::queued && !exchange_->immediate) cut(false);
      return;
    case State::refusing:
      if (kept_.empty() && shard_->core().options().half_close_cancels) cut(false);
      return;
    case State::resting:
    case State::idle:
    case State::discard:
      if (!kept_.empty()) return;
      end_after_output();
      return;
    case State::head:
    case State::body: end_after_output(); return;  // the rest of this request will not come
    case State::closing: return;  // output_closed() ends it
    default: cut(false);
  }
}

void Connection::end_after_output() noexcept {
  if (out.empty()) cut(false);
  else begin_closing();  // answers owed come first
}

void Connection::output_drained() {
  write_deadline_ = base::never;
  if (state_ == State::idle && !kept_.empty()) shard_->requeue(*this);
}

void Connection::output_progressed() noexcept {
  write_deadline_ = out.empty() ? base::never : shard_->now() + shard_->limits().write_timeout;
  // User code is for later: this may be the middle of a flush.
  if (state_ == State::streaming && exchange_->outflow()->progress(out.size())) shard_->call_later(*exchange_);
}

void Connection::output_closed() noexcept {
  write_deadline_ = base::never;
  if (input_ended) {
    cut(false);
    return;
  }
  state_ = State::lingering;
  phase_deadline_ = shard_->now() + shard_->limits().linger_timeout;
  arm();
}

void Connection::enter_idle() noexcept {
  state_ = State::idle;
  phase_deadline_ = shard_->now() + (shard_->draining() ? base::Duration{shard_->limits().drain_grace}
                                                        : base::Duration{shard_->limits().idle_timeout});
  shard_->loop().arm(*this, phase_deadline_);  // what is armed may be for later, as a long write timeout is
  if (input_ended && kept_.empty()) begin_closing();
}

void Connection::begin_closing() noexcept {
  if (exchange_ != nullptr) release_exchange();
  state_ = State::closing;
  kept_.clear();
  shard_->forget(*this);
  if (reading_paused) shard_->loop().resume(*this);  // a FIN must be heard
  shard_->loop().shutdown_after_flush(*this);
}

// A client that asked for the end and has sent all it had sends nothing more (RFC 9112, 9.6): nothing can come that would
// make a reset of the close, so there is nothing to wait for.
[[gnu::noinline]] void Connection::end_behind_answer(const http::Head& head) noexcept {
  const bool at_once = alone_ && head.close;
  begin_closing();
  if (at_once) shard_->loop().close_after_flush(*this);
}

void Connection::release_exchange() noexcept { shard_->free(*std::exchange(exchange_, nullptr)); }

void Connection::cut(bool with_reset) noexcept {
  if (state_ == State::closed) return;
  const bool handling = state_ == State::handling || state_ == State::streaming;
  if (state_ == State::streaming) with_reset = true;  // a body without its end must not look whole
  state_ = State::closed;
  kept_.clear();
  shard_->forget(*this);
  if (Exchange* const x = std::exchange(exchange_, nullptr)) {
    if (handling) shard_->abandon(*x);
    else shard_->free(*x);
  }
  if (with_reset) shard_->loop().reset(*this);
  else shard_->loop().close(*this);
}

void Connection::begin_drain() noexcept {
  if (state_ == State::handling) {
    // The drain's deadline is everybody's: a worker looks at it before it starts a job, the timer ends the rest.
    if (exchange_->lane->group() != nullptr && !base::planted(base::Bug::drain_ignores_queue)) {
      exchange_->lane->group()->clamp(*exchange_, shard_->core().drain_deadline());
    }
    arm();
  }
  if (state_ == State::refusing) {
    phase_deadline_ = shard_->now();
    arm();
  }
  if (state_ != State::idle && state_ != State::resting) return;
  phase_deadline_ = std::min(phase_deadline_, shard_->now() + shard_->limits().drain_grace);
  arm();
}

void Connection::drain_out() {
  if (state_ == State::handling) {
    const Claim claim = exchange_->claim.load(std::memory_order_acquire);
    if (claim == Claim::queued || claim == Claim::granted) end_unstarted(Claim::shed);
    else if (claim == Claim::expired || claim == Claim::shed)
      answer_claimed(*exchange_);  // its node is on its way here
  }
  if (state_ == State::refusing) answer_shed(exchange_->refused, false);
  if (state_ == State::closing && !out.empty()) {  // one last write, then the end
    shard_->loop().close_after_flush(*this);
    return;
  }
  cut(false);
}

void Connection::deliver_late(Exchange& x) {
  exchange_ = &x;
  answer_claimed(x);
}

}  // namespace sluice::detail
