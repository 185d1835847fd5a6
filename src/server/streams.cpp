// The handles of streamed bodies: what a handler reads and writes, as far as its exchange. Any thread.
#include <sluice/blocking.hpp>
#include <sluice/stream.hpp>

#include <algorithm>
#include <stdexcept>

#include "http/fields.hpp"
#include "server/response_access.hpp"
#include "server/shard.hpp"

namespace sluice {
namespace detail {
namespace {

using admission::Claim;

[[noreturn]] void refuse_to_wait(const char* what) {
  throw std::logic_error{std::string{what} + " would block its loop; wrap the handler in blocking()"};
}

/// Fields that frame, route or authenticate a message, make it conditional, or say how its body is to be read: none of
/// them may come behind the body. Source: RFC 9110 6.5.1.
bool may_be_trailer(std::string_view name) noexcept {
  constexpr std::string_view forbidden[] = {
      "age",
      "authorization",
      "cache-control",
      "connection",
      "content-disposition",
      "content-encoding",
      "content-language",
      "content-length",
      "content-location",
      "content-range",
      "content-type",
      "cookie",
      "date",
      "expect",
      "expires",
      "forwarded",
      "host",
      "if-match",
      "if-modified-since",
      "if-none-match",
      "if-range",
      "if-unmodified-since",
      "keep-alive",
      "location",
      "max-forwards",
      "pragma",
      "proxy-authenticate",
      "proxy-authorization",
      "proxy-connection",
      "range",
      "retry-after",
      "set-cookie",
      "te",
      "trailer",
      "transfer-encoding",
      "upgrade",
      "vary",
      "warning",
      "www-authenticate",
      "x-forwarded-for",
      "x-forwarded-host",
      "x-forwarded-proto",
  };
  return std::ranges::none_of(forbidden, [&](std::string_view one) { return http::equal_ignoring_case(name, one); });
}

}  // namespace

bool Exchange::begin_stream(Response&& response, std::optional<std::uint64_t> length) {
  note_more();
  auto made = std::make_unique<Outflow>(Outflow::Options{home_->limits().output_high_water, length, guard.is_head()});
  const bool edited = edits_.empty() || edit(response);
  // Built; from here on everything is a noexcept move.
  const bool won = claim_running(edited ? Claim::responded : Claim::raised);
  if (!won) {
    count(&admission::Tally::late);
    return false;
  }
  if (edited) {
    store(std::move(response));
    outflow_.store(made.release(), std::memory_order_release);
  }
  if (life_.deliver_pinned(home_->in_frame_of(*this))) home_->post(*this);
  return edited;
}

bool Exchange::end_writer(Outflow::End how, std::string&& trailer_lines) noexcept {
  Outflow* const flow = outflow();
  bool whole = false;
  if (flow != nullptr) {
    whole = flow->end(how, std::move(trailer_lines));
    tell_news();
  }
  end_handle(false);
  return whole;
}

void Exchange::tell_news() noexcept {
  if (life_.tell_news()) home_->post(*this);
}

void Exchange::call_soon(std::move_only_function<void()>&& callback) {
  note_more();
  {
    const std::lock_guard lock{decoded_lock_};
    calls_.push_back(std::move(callback));
  }
  tell_news();
}

void Exchange::look_at(const std::shared_ptr<Watch>& watch, base::TimePoint at) noexcept {
  watch->want(at);
  if (home_->on_loop_thread()) {
    home_->settle(watch, route);
    return;
  }
  if (watch->queued_.exchange(true, std::memory_order_acq_rel)) return;  // whoever takes it reads the newest moment
  {
    const std::lock_guard lock{decoded_lock_};
    watch->next_ = std::exchange(watches_, watch);
  }
  tell_news();
}

std::shared_ptr<Watch> Exchange::take_watches() noexcept {
  const std::lock_guard lock{decoded_lock_};
  return std::exchange(watches_, nullptr);
}

bool Exchange::call_due() noexcept {
  if ((inflow != nullptr && inflow->due()) || (outflow() != nullptr && outflow()->due())) return true;
  const std::lock_guard lock{decoded_lock_};
  return !calls_.empty();
}

Exchange::Calls Exchange::take_calls() noexcept {
  Calls calls;
  if (inflow != nullptr) calls.read = inflow->take_due();
  if (Outflow* const flow = outflow()) calls.written = flow->take_due();
  const std::lock_guard lock{decoded_lock_};
  calls.others.swap(calls_);
  return calls;
}

void Exchange::run_calls() noexcept {
  Calls calls = take_calls();
  run(calls, home_->core(), *route);
}

void Exchange::run(Calls& calls, Core& core, const Route& route) noexcept {
  const auto run_one = [&](std::move_only_function<void()>& callback) {
    try {
      if (callback) callback();
      callback = nullptr;
    } catch (const std::exception& error) {
      core.log(LogEvent::Level::error, "callback_threw", route.pattern, error.what());
    } catch (...) { core.log(LogEvent::Level::error, "callback_threw", route.pattern, "not a std::exception"); }
  };
  run_one(calls.read);
  run_one(calls.written);
  for (auto& callback : calls.others) run_one(callback);
}

}  // namespace detail

// ---- reading

BodyReader Request::body_reader() const {
  if (exchange_->route != nullptr && exchange_->route->in_place) {
    throw std::logic_error{"body_reader() is for handlers that answer later or run on the pool; this one has body()"};
  }
  if (!exchange_->take_reader()) throw std::logic_error{"body_reader() was called before"};
  return BodyReader{exchange_->second_handle()};
}

BodyRead BodyReader::try_read(std::span<char> into) {
  if (into.empty()) throw std::invalid_argument{"try_read() into no room"};
  detail::Exchange* const exchange = handle_.peek();
  if (exchange == nullptr) return {BodyRead::State::end, 0};
  if (detail::Inflow* const flow = exchange->inflow.get()) {
    const auto taken = flow->take(into);
    if (taken.news) exchange->tell_news();
    return taken.read;
  }
  const std::string_view left = exchange->body.substr(taken_);
  if (left.empty()) return {BodyRead::State::end, 0};
  const std::size_t count = std::min(left.size(), into.size());
  std::copy_n(left.begin(), count, into.begin());
  taken_ += count;
  return {BodyRead::State::data, count};
}

std::size_t BodyReader::read(std::span<char> into) {
  for (;;) {
    const BodyRead found = try_read(into);
    switch (found.state) {
      case BodyRead::State::data: return found.bytes;
      case BodyRead::State::end: return 0;
      case BodyRead::State::failed: throw problem();
      case BodyRead::State::later: break;
    }
    if (on_loop_thread()) detail::refuse_to_wait("BodyReader::read()");
    handle_.peek()->inflow->wait();
  }
}

std::string BodyReader::read_all(std::size_t bytes_max) {
  std::string all;
  char piece[16 * 1024];
  while (const std::size_t count = read(piece)) {
    if (count > bytes_max - all.size()) throw Problem{413};
    all.append(piece, count);
  }
  return all;
}

void BodyReader::on_ready(std::move_only_function<void()> callback) {
  detail::Exchange* const exchange = handle_.peek();
  if (exchange == nullptr) return;
  if (exchange->inflow == nullptr) exchange->call_soon(std::move(callback));
  else if (const auto asked = exchange->inflow->on_ready(std::move(callback)); asked.due || asked.news)
    exchange->tell_news();
}

void BodyReader::call_soon(std::move_only_function<void()> callback) {
  if (detail::Exchange* const exchange = handle_.peek()) exchange->call_soon(std::move(callback));
}

Problem BodyReader::problem() const {
  const detail::Exchange* const exchange = handle_.peek();
  const detail::Inflow::Failure failure =
      exchange != nullptr && exchange->inflow != nullptr ? exchange->inflow->failure() : detail::Inflow::Failure{};
  if (failure.status == 0) return Problem{500};
  return Problem{failure.status}.cause(failure.reason);
}

std::vector<std::pair<std::string, std::string>> BodyReader::trailers() const {
  std::vector<std::pair<std::string, std::string>> fields;
  const detail::Exchange* const exchange = handle_.peek();
  if (exchange == nullptr || exchange->inflow == nullptr) return fields;
  const std::string lines = exchange->inflow->trailer_lines();
  std::string_view rest = lines;
  while (rest.size() > 2) {  // the decoder has let through "Name: value\r\n" and the empty line, nothing else
    const std::size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (detail::may_be_trailer(name)) { fields.emplace_back(name, http::trim_ows(line.substr(colon + 1))); }
    rest.remove_prefix(end + 2);
  }
  return fields;
}

// ---- writing

ResponseWriter Responder::stream(Response head, const StreamOptions& options) && {
  const int status = head.status();
  if (detail::ResponseAccess::body_bytes(head) != 0)
    throw std::invalid_argument{"stream(): the head must not have a body"};
  if (status == 204 || status == 205 || status == 304) {
    throw std::invalid_argument{"stream(): an answer with this status has no body"};
  }
  detail::Exchange* const exchange = handle_.peek();
  if (exchange == nullptr) return {};
  exchange->begin_stream(std::move(head), options.length);
  return ResponseWriter{std::move(handle_)};
}

ResponseWriter Responder::stream(Response head) && { return std::move(*this).stream(std::move(head), StreamOptions{}); }

ResponseWriter& ResponseWriter::operator=(ResponseWriter&& other) noexcept {
  if (this != &other) {
    if (detail::Exchange* const old = handle_.take()) old->end_writer(detail::Outflow::End::aborted, {});
    handle_ = std::move(other.handle_);
  }
  return *this;
}

ResponseWriter::~ResponseWriter() {
  if (detail::Exchange* const exchange = handle_.take()) exchange->end_writer(detail::Outflow::End::aborted, {});
}

std::size_t ResponseWriter::try_write(std::string_view bytes) {
  detail::Exchange* const exchange = handle_.peek();
  detail::Outflow* const flow = exchange == nullptr ? nullptr : exchange->outflow();
  if (flow == nullptr) return 0;
  const auto taken = flow->take(bytes);
  if (taken.news) exchange->tell_news();
  return taken.bytes;
}

bool ResponseWriter::write(std::string_view bytes) {
  for (;;) {
    bytes.remove_prefix(try_write(bytes));
    if (bytes.empty()) return !closed();
    if (closed()) return false;
    if (on_loop_thread()) detail::refuse_to_wait("ResponseWriter::write()");
    if (!handle_.peek()->outflow()->wait_for_room()) return false;
  }
}

void ResponseWriter::flush() noexcept {
  detail::Exchange* const exchange = handle_.peek();
  if (exchange != nullptr && exchange->outflow() != nullptr && exchange->outflow()->flush()) exchange->tell_news();
}

void ResponseWriter::on_drain(std::move_only_function<void()> callback) {
  detail::Exchange* const exchange = handle_.peek();
  if (exchange == nullptr) return;
  if (exchange->outflow() == nullptr) exchange->call_soon(std::move(callback));
  else if (exchange->outflow()->on_drain(std::move(callback))) exchange->tell_news();
}

bool ResponseWriter::finish() noexcept {
  detail::Exchange* const exchange = handle_.take();
  return exchange != nullptr && exchange->end_writer(detail::Outflow::End::finished, {});
}

bool ResponseWriter::finish(std::span<const HeaderView> trailers) {
  Response checked;  // its rules for fields are ours
  for (const HeaderView& field : trailers) {
    if (!detail::may_be_trailer(field.name)) throw std::invalid_argument{"finish(): a field that may not be a trailer"};
    checked.header(field.name, field.value);
  }
  std::string lines{detail::ResponseAccess::fields(checked)};
  detail::Exchange* const exchange = handle_.take();
  return exchange != nullptr && exchange->end_writer(detail::Outflow::End::finished, std::move(lines));
}

std::size_t ResponseWriter::room() const noexcept {
  const detail::Exchange* const exchange = handle_.peek();
  return exchange == nullptr || exchange->outflow() == nullptr ? 0 : exchange->outflow()->room();
}

bool ResponseWriter::closed() const noexcept {
  const detail::Exchange* const exchange = handle_.peek();
  return exchange == nullptr || exchange->outflow() == nullptr || exchange->outflow()->closed();
}

bool ResponseWriter::wants_body() const noexcept {
  const detail::Exchange* const exchange = handle_.peek();
  return exchange != nullptr && exchange->outflow() != nullptr && !exchange->outflow()->discards();
}

}  // namespace sluice
