// The part of Connection that moves bodies in pieces: a request's into its Inflow, an answer's out of its Outflow.
#include <algorithm>
#include <charconv>

#include "http/head_writer.hpp"
#include "server/connection.hpp"
#include "server/response_access.hpp"
#include "server/shard.hpp"

namespace sluice::detail {

using base::TimePoint;

// ---- in

std::size_t Connection::begin_streamed_body() {
  Exchange& x = *exchange_;
  x.own_head();  // the bytes it lies in end before the body does
  x.note_more();
  x.inflow = std::make_unique<Inflow>(shard_->limits().body_window_bytes);
  dispatch();
  return 0;
}

Connection::Rest Connection::rest_of_streamed_body() const noexcept {
  const Exchange* const x = exchange_;
  if (x->inflow->over() && !x->inflow->failed()) return Rest::none;
  if (x->continue_owed || x->inflow->failed()) return Rest::large;
  if (x->head.framing == http::Framing::chunked) return Rest::small;  // it is cut off if it turns out to be large
  const bool small = x->head.content_length - x->body_received <= shard_->limits().linger_bytes_max;
  return small ? Rest::small : Rest::large;
}

// Nothing is taken before the reader has asked: until then the bytes wait where they count as buffered, and in the
// client. What is not taken is followed by a look that found no room: so the reader will tell when there is some.
std::size_t Connection::feed_body(std::span<char> bytes) {
  Exchange& x = *exchange_;
  if (x.inflow == nullptr) return 0;
  std::size_t used = 0;
  while (used < bytes.size()) {
    const std::size_t room = x.inflow->room();
    if (room == 0) break;
    const std::span<char> piece = bytes.subspan(used, std::min(bytes.size() - used, room));
    x.continue_owed = false;
    used += x.head.framing == http::Framing::length ? feed_fixed_body(piece) : feed_chunked_body(piece);
  }
  if (used > 0 && x.call_due()) shard_->call_later(x);
  return used;
}

std::size_t Connection::feed_fixed_body(std::span<char> piece) {
  Exchange& x = *exchange_;
  const std::uint64_t left = x.head.content_length - x.body_received;
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size()));
  x.inflow->put({piece.data(), size});
  shard_->blocks().count_copied(size);
  x.body_received += size;
  if (size == left) x.inflow->end({});
  return size;
}

std::size_t Connection::feed_chunked_body(std::span<char> piece) {
  using Kind = http::ChunkedDecoder::Step::Kind;
  Exchange& x = *exchange_;
  const auto step = x.chunked.next({piece.data(), piece.size()});
  x.body_received += step.consumed;
  x.trailers.append(step.trailer);
  if (step.kind == Kind::rejected) fail_body({step.reject.status, step.reject.reason});
  else if (x.chunked.announced() > x.route->body_bytes_max) fail_body({413, "chunked body above the route's limit"});
  else if (step.kind == Kind::data) {
    x.inflow->put(step.data);
    shard_->blocks().count_copied(step.data.size());
  } else if (step.kind == Kind::done) x.inflow->end(std::move(x.trailers));
  return step.consumed;
}

void Connection::fail_body(Inflow::Failure failure) noexcept {
  Exchange& x = *exchange_;
  x.inflow->fail(failure);
  if (x.call_due()) shard_->call_later(x);
}

TimePoint Connection::next_rate_check() const noexcept {
  const Exchange& x = *exchange_;
  if (x.inflow == nullptr || x.inflow->over()) return base::never;
  const TimePoint judged = x.rate_since + shard_->limits().body_grace;
  return std::max(judged, shard_->now() + std::chrono::seconds{1});
}

void Connection::judge_body_rate() noexcept {
  Exchange& x = *exchange_;
  if (x.inflow == nullptr || x.inflow->over()) return;
  const Limits& limits = shard_->limits();
  const TimePoint now = shard_->now();
  if (!x.inflow->hungry()) {  // it is the reader that takes its time: the client's begins anew
    x.rate_since = now;
    x.rate_from = x.body_received;
    return;
  }
  const base::Duration elapsed = now - x.rate_since;
  if (elapsed < limits.body_grace) return;
  const double wanted = static_cast<double>(limits.body_rate_min) * std::chrono::duration<double>(elapsed).count();
  if (static_cast<double>(x.body_received - x.rate_from) >= wanted) return;
  shard_->counts().body_timeouts.add_owned();
  fail_body({408, "body too slow"});
}

// What is left of a body whose request has its answer is read by an exchange of its own: the handler may hold the other.
void Connection::discard_rest(const Exchange& answered) {
  Exchange& fresh = *shard_->take_exchange(*this);
  fresh.head.copy(answered.head);
  fresh.chunked = answered.chunked;
  if (answered.head.framing == http::Framing::length) fresh.body_received = answered.body_received;
  exchange_ = &fresh;
  state_ = State::discard;
  phase_deadline_ = shard_->now() + shard_->limits().linger_timeout;
  arm();
  if (!kept_.empty()) shard_->requeue(*this);
}

// ---- out

void Connection::begin_streaming(Response& response) {
  Exchange& x = *exchange_;
  const std::optional<std::uint64_t> length = x.outflow()->length();
  http::ResponseHead head;
  head.status = static_cast<std::uint16_t>(response.status());
  head.content_type = ResponseAccess::content_type(response);
  head.fields = ResponseAccess::fields(response);
  head.length = length.has_value();
  head.content_length = length.value_or(0);
  head.chunked = !length && x.head.version_minor >= 1;
  // A request body that is still coming may be read to its end yet: looked at when the answer is complete.
  x.closes = is_last_request() || ResponseAccess::close(response) || (!length && !head.chunked);
  if (x.closes) head.connection = http::ResponseHead::Connection::close;
  else if (x.head.keep_alive_1_0) head.connection = http::ResponseHead::Connection::keep_alive;
  x.chunks = head.chunked && !head_only();
  state_ = State::streaming;
  const auto longest = x.route->options.stream_duration_max;
  phase_deadline_ = longest ? shard_->now() + *longest : base::never;
  write_head(head, {});
  sent_answer();
  arm();
  send_stream();
}

void Connection::stream_over_time() {
  shard_->core().log(LogEvent::Level::warning, "stream_over_time", exchange_->route->pattern, {});
  cut(true);
}

void Connection::bodies_moved() {
  Exchange& x = *exchange_;
  if (x.continue_owed && x.inflow != nullptr && x.inflow->asked() && state_ == State::handling) {
    x.continue_owed = false;
    out.append(shard_->blocks(), "HTTP/1.1 100 Continue\r\n\r\n");
    shard_->loop().touch(*this);
  }
  if (x.inflow != nullptr && x.rate_since == TimePoint{}) {
    x.rate_since = shard_->now();
    arm();
  }
  if (state_ == State::streaming) send_stream();
}

void Connection::send_stream() {
  Exchange& x = *exchange_;
  Outflow::Batch batch = x.outflow()->collect(out.size());
  if (batch.end == Outflow::End::aborted) {
    shard_->core().log(LogEvent::Level::warning, "stream_unfinished", x.route->pattern, {});
    cut(true);
    return;
  }
  if (!batch.bytes.empty()) write_piece(std::move(batch.bytes), x.chunks);
  if (batch.end == Outflow::End::finished) {
    if (x.chunks) {
      out.append(shard_->blocks(), "0\r\n");
      out.append(shard_->blocks(), batch.trailers);
      out.append(shard_->blocks(), "\r\n");
    }
    expect_progress();
    leave_exchange(x.closes);
    return;
  }
  if (!out.empty()) expect_progress();
  if (x.outflow()->progress(out.size())) shard_->call_later(x);
}

void Connection::write_piece(std::string&& bytes, bool chunked) {
  constexpr std::size_t copied_max = 2048;
  base::BlockPool& blocks = shard_->blocks();
  if (chunked) {
    char line[18];
    char* const end = std::to_chars(line, line + 16, bytes.size(), 16).ptr;
    end[0] = '\r';
    end[1] = '\n';
    out.append(blocks, {line, static_cast<std::size_t>(end + 2 - line)});
  }
  if (bytes.size() <= copied_max) {
    out.append(blocks, bytes);
  } else {
    const std::string_view view = bytes;
    out.append_external(blocks, view, std::move(bytes));
  }
  if (chunked) out.append(blocks, "\r\n");
}

}  // namespace sluice::detail
