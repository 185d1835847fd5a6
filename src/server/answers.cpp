// The answering half of Connection: responses and refusals to bytes.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/inline.hpp"
#include "http/head_writer.hpp"
#include "server/connection.hpp"
#include "server/deadline.hpp"
#include "server/response_access.hpp"
#include "server/shard.hpp"

namespace sluice::detail {
namespace {

using admission::Claim;

constexpr std::string_view problem_type = "application/problem+json";
constexpr std::string_view not_started = "X-Request-Outcome: not-started\r\n";
constexpr std::string_view outcome_unknown = "X-Request-Outcome: unknown\r\n";

struct Nobody {};

/// Whether it is the server that has too little, or the client that wants too much.
constexpr int status_of(ShedReason reason) noexcept {
  switch (reason) {
    case ShedReason::connection_share:
    case ShedReason::rate_limited:
    case ShedReason::client_share: return 429;
    default: return 503;
  }
}

/// "Retry-After: N" and the outcome, in memory of the caller.
struct RetryFields {
  char text[80];
  std::size_t size = 0;

  explicit RetryFields(unsigned seconds) noexcept {
    constexpr std::string_view name = "Retry-After: ";
    std::memcpy(text, name.data(), name.size());
    char* end = std::to_chars(text + name.size(), text + sizeof text, seconds).ptr;
    *end++ = '\r';
    *end++ = '\n';
    std::memcpy(end, not_started.data(), not_started.size());
    size = static_cast<std::size_t>(end - text) + not_started.size();
  }
  std::string_view view() const noexcept { return {text, size}; }
};

}  // namespace

bool Connection::head_only() const noexcept { return exchange_ != nullptr && exchange_->guard.is_head(); }

bool Connection::is_last_request() const noexcept {
  return exchange_->head.close || shard_->draining() || (input_ended && kept_.empty());
}

bool Connection::must_close() const noexcept { return is_last_request() || rest_of_body() == Rest::large; }

SLUICE_INLINE void Connection::place_head(const http::ResponseHead& head, std::string_view small_body) {
  base::BlockPool& blocks = shard_->blocks();
  const std::size_t bound = http::head_bound(head) + small_body.size();
  if (bound > net::OutputChain::reserve_max) [[unlikely]] {
    const http::ResponseHead copy = head;  // so that the usual one need not be in memory
    write_large_head(copy, small_body);
    return;
  }
  char* const start = out.reserve(blocks, bound);
  const char* const end = http::compose_head(start, head, shard_->date(), small_body);
  const auto size = static_cast<std::size_t>(end - start);
  out.commit(size);
  blocks.count_copied(size);
}

[[gnu::noinline]] void Connection::write_head(const http::ResponseHead& head, std::string_view small_body) {
  place_head(head, small_body);
}

// Many or long fields: rare enough to pay for.
[[gnu::noinline]] void Connection::write_large_head(const http::ResponseHead& head, std::string_view small_body) {
  std::string large(http::head_bound(head), '\0');
  char* const end = http::write_head(large.data(), head, shard_->date());
  large.resize(static_cast<std::size_t>(end - large.data()));
  large.append(small_body);
  out.append(shard_->blocks(), large);
}

[[gnu::noinline]] void Connection::write_body(Response& response) {
  constexpr std::size_t piece_max = std::size_t{1} << 30;
  base::BlockPool& blocks = shard_->blocks();
  if (auto file = ResponseAccess::file(response)) {
    write_file(std::move(file));
    return;
  }
  std::string_view body = response.body();
  for (; body.size() > piece_max; body.remove_prefix(piece_max)) {
    out.append_external(blocks, body.substr(0, piece_max), Nobody{});  // the last piece keeps the bytes alive
  }
  if (ResponseAccess::owns_body(response)) out.append_external(blocks, body, ResponseAccess::take_owned(response));
  else if (ResponseAccess::shares_body(response))
    out.append_external(blocks, body, ResponseAccess::take_shared(response));
  else out.append_external(blocks, body, Nobody{});
}

void Connection::write_file(std::shared_ptr<const FileBody> body) {
  constexpr std::uint64_t piece_max = std::uint64_t{1} << 30;
  base::BlockPool& blocks = shard_->blocks();
  for (const FileBody::Piece& piece : body->pieces) {
    out.append(blocks, piece.before);
    for (std::uint64_t done = 0; done < piece.size;) {
      const auto size = static_cast<std::size_t>(std::min(piece.size - done, piece_max));
      out.append_file(blocks, {body->fd.get(), piece.offset + done, size}, std::shared_ptr<const FileBody>{body});
      done += size;
    }
  }
  out.append(blocks, body->end);
}

void Connection::write_response(Response& response) {
  constexpr std::size_t copied_max = 2048;
  const bool close = must_close() || ResponseAccess::close(response);
  const bool in_file = ResponseAccess::in_file(response);
  const std::string_view body = response.body();
  const bool small = body.size() <= copied_max && !in_file;
  const bool plain = !close && !exchange_->head.keep_alive_1_0 && !exchange_->guard.is_head();
  if (small && plain && response.status() == 200) [[likely]] {
    place_head({.content_type = ResponseAccess::content_type(response),
                .fields = ResponseAccess::fields(response),
                .content_length = body.size()},
               body);  // what is not named here is known while compiling
  } else {
    write_rare_response(response, close, small);
  }
  sent_answer();
  leave_exchange(close);
}

[[gnu::noinline]] void Connection::write_rare_response(Response& response, bool close, bool small) {
  http::ResponseHead head;
  head.status = static_cast<std::uint16_t>(response.status());
  head.content_type = ResponseAccess::content_type(response);
  head.fields = ResponseAccess::fields(response);
  head.content_length = ResponseAccess::body_bytes(response);
  if (close) head.connection = http::ResponseHead::Connection::close;
  else if (exchange_->head.keep_alive_1_0) head.connection = http::ResponseHead::Connection::keep_alive;
  const bool bodiless = head_only() || head.status == 204 || head.status == 304;
  write_head(head, small && !bodiless ? response.body() : std::string_view{});
  if (!small && !bodiless) write_body(response);
}

void Connection::write_fixed(int status, std::string_view fields, bool close) {
  http::ResponseHead head;
  const std::string_view body = shard_->core().fixed_body(status);
  head.status = static_cast<std::uint16_t>(status);
  head.content_type = body.empty() ? std::string_view{} : problem_type;
  head.fields = fields;
  head.content_length = body.size();
  if (close) head.connection = http::ResponseHead::Connection::close;
  else if (exchange_->head.keep_alive_1_0) head.connection = http::ResponseHead::Connection::keep_alive;
  write_head(head, head_only() ? std::string_view{} : body);
  sent_answer();
}

void Connection::sent_answer() noexcept {
  shard_->counts().responses.add_owned();
  expect_progress();
}

void Connection::expect_progress() noexcept {
  if (write_deadline_ == base::never) {
    write_deadline_ = shard_->now() + shard_->limits().write_timeout;
    shard_->loop().arm(*this, write_deadline_);
  }
  shard_->loop().touch(*this);
}

void Connection::leave_exchange(bool close) {
  const Rest rest = rest_of_body();
  Exchange& answered = *std::exchange(exchange_, nullptr);  // still the shard's; whoever delivered it frees it
  if (answered.inflow != nullptr) {
    answered.inflow->fail({499, "the request was answered"});
    if (answered.call_due()) shard_->call_later(answered);
  }
  if (close || rest == Rest::large) end_behind_answer(answered.head);
  else if (rest == Rest::small) discard_rest(answered);
  else enter_idle();
}

void Connection::answer_claimed(Exchange& x) {
  if (shard_->draining()) shard_->counts().drain_finished.add_owned();
  if (Response* const response = x.response()) {
    refused_in_a_row_ = 0;
    if (x.outflow() != nullptr) begin_streaming(*response);
    else write_response(*response);
  } else {
    answer_fixed(x);
  }
}

[[gnu::noinline]] void Connection::answer_fixed(Exchange& x) {
  const Claim outcome = x.claim.load(std::memory_order_acquire);
  if (outcome == Claim::expired && answer_degraded(ShedReason::infeasible)) return;
  if (outcome == Claim::shed && answer_degraded(ShedReason::queue_full)) return;
  const bool close = must_close();
  switch (outcome) {
    case Claim::timed_out: write_fixed(504, outcome_unknown, close); break;
    case Claim::expired:
    case Claim::shed: {
      const RetryFields fields{admission::retry_after_seconds(x.lane->view(x.budget))};
      write_fixed(503, fields.view(), close);
      break;
    }
    default: write_fixed(500, {}, close);
  }
  leave_exchange(close);
}

void Connection::answer_early(int status, std::string_view fields) {
  const Exchange& x = *exchange_;
  shard_->counts().refused_requests.add_owned();
  end_early(status, fields, x.head.expect_continue);
}

void Connection::end_early(int status, std::string_view fields, bool body_withheld) {
  const http::Head& head = exchange_->head;
  const bool body_left =
      head.framing == http::Framing::chunked || (head.framing == http::Framing::length && head.content_length != 0);
  const bool small = head.framing == http::Framing::chunked || head.content_length <= shard_->limits().linger_bytes_max;
  const bool close = must_close() || (body_left && (body_withheld || !small));
  write_fixed(status, fields, close);
  if (close) {
    begin_closing();
  } else if (body_left) {
    state_ = State::discard;
    phase_deadline_ = shard_->now() + shard_->limits().linger_timeout;
    arm();
  } else {
    release_exchange();
    enter_idle();
  }
}

void Connection::answer_not_allowed(MethodMask allowed) {
  std::string fields = "Allow: " + allow_header(allowed) + "\r\n";
  if (exchange_->head.method != Method::options) {
    answer_early(405, fields);
    return;
  }
  end_early(204, fields, exchange_->head.expect_continue);
}

void Connection::answer_options() {
  constexpr MethodMask all = method_bit(Method::get) | method_bit(Method::head) | method_bit(Method::post) |
                             method_bit(Method::put) | method_bit(Method::patch) | method_bit(Method::delete_) |
                             method_bit(Method::options);
  end_early(204, "Allow: " + allow_header(all) + "\r\n", exchange_->head.expect_continue);
}

void Connection::refuse(http::Reject reject) {
  shard_->counts().refused_requests.add_owned();
  shard_->core().log(LogEvent::Level::info, "refused",
                     exchange_->route == nullptr ? std::string_view{} : exchange_->route->pattern, reject.reason);
  exchange_->head.keep_alive_1_0 = false;
  const RetryFields retry{1};  // 503: a head that found no memory
  write_fixed(reject.status, reject.status == 503 ? retry.view() : std::string_view{}, true);
  begin_closing();
}

[[gnu::noinline]] void Connection::shed(ShedReason reason, bool body_withheld) {
  Exchange& x = *exchange_;
  admission::Tally& tally = shard_->tally(*x.route->lane);
  tally.shed[static_cast<std::size_t>(reason)].add_owned();
  shard_->note_refusal();
  if (refused_in_a_row_ < 255) ++refused_in_a_row_;
  if (!body_withheld) {
    Done done{*this, x};
    if (answer_degraded(reason)) return;
    done.keep();
  }
  if (!body_withheld && x.inflow == nullptr && shard_->may_hold_refusals()) {
    tally.delayed.add_owned();
    x.refused = reason;
    x.own_head();  // the bytes it lies in end before it does
    x.body = {};
    x.own_body.clear();
    state_ = State::refusing;
    phase_deadline_ = shard_->now() + shard_->refusal_delay();
    arm();
    return;
  }
  answer_shed(reason, body_withheld);
}

bool Connection::answer_degraded(ShedReason reason) {
  if (status_of(reason) != 503 || shard_->draining()) return false;
  Exchange& x = *exchange_;
  Response* const response = x.degraded(reason);
  if (response == nullptr) return false;
  shard_->tally(*x.route->lane).degraded.add_owned();
  write_response(*response);
  return true;
}

void Connection::answer_shed(ShedReason reason, bool body_withheld) {
  const Route& route = *exchange_->route;
  unsigned seconds = admission::retry_after_seconds(route.lane->view(exchange_->budget));
  if (reason == ShedReason::rate_limited) {
    const auto wait = std::chrono::ceil<std::chrono::seconds>(route.rate_limiter->wait(shard_->now())).count();
    seconds = static_cast<unsigned>(std::clamp<long long>(wait, 1, 30));
  }
  const RetryFields fields{seconds};
  const int status = status_of(reason);
  if (body_withheld || exchange_->inflow != nullptr) {
    end_early(status, fields.view(), exchange_->head.expect_continue || body_withheld);
    return;
  }
  const bool close = must_close();
  write_fixed(status, fields.view(), close);
  if (close) {
    end_behind_answer(exchange_->head);
  } else {
    release_exchange();
    rest_or_idle();
  }
}

// A connection that is refused again and again is not read for a while, so that the requests it has for us wait in its
// own socket and cost nothing.
void Connection::rest_or_idle() noexcept {
  const bool rests = shard_->ladder().rests(refused_in_a_row_) && !shard_->draining() && !input_ended;
  if (!rests) {
    enter_idle();
    return;
  }
  shard_->counts().reads_paused.add_owned();
  state_ = State::resting;
  phase_deadline_ = shard_->now() + shard_->refusal_delay();
  arm();
  update_reading();
}

bool Connection::spent_on_arrival() {
  Exchange& x = *exchange_;
  x.budget = shortened_budget(shard_->core().options().deadline_headers, x.head, x.head_bytes, x.budget);
  if (x.budget > base::Duration{0}) return false;
  admission::Tally& tally = shard_->tally(*x.route->lane);
  tally.received.add_owned();
  tally.shed[static_cast<std::size_t>(ShedReason::deadline)].add_owned();
  end_early(504, not_started, x.head.expect_continue);  // no Retry-After: this client's time will not come back
  return true;
}

}  // namespace sluice::detail
