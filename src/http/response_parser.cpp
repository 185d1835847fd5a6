// response_parser.cpp: first the rules for a head, in the order status line, lines, framing; then the reader.
// A client that measures must not guess: an answer that two readers could understand differently is refused.
#include "http/response_parser.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/assert.hpp"
#include "http/fields.hpp"

namespace sluice::http {
namespace {

using Body = AnswerHead::Body;

constexpr std::string_view version_prefix = "HTTP/1.";
constexpr std::size_t pieces_kept_max = 4 * 1024;  // a larger buffer is given back once its head is read

std::unexpected<Reject> refuse_head(const char* reason) noexcept { return std::unexpected(Reject{400, reason}); }

/// Whether this can be the beginning of an answer. So that another protocol is noticed before an empty line comes.
bool may_begin_answer(std::string_view bytes) noexcept {
  const std::size_t size = std::min(bytes.size(), version_prefix.size());
  return bytes.substr(0, size) == version_prefix.substr(0, size);
}

struct StatusLine {
  std::uint16_t status = 0;
  bool version_1_0 = false;
};

/// Source: RFC 9112 4. The space behind the status is optional here: many servers leave it out with the reason.
std::expected<StatusLine, Reject> read_status_line(std::string_view line) noexcept {
  constexpr std::size_t digits_at = version_prefix.size() + 2;
  if (!line.starts_with(version_prefix) || line.size() < digits_at + 3) return refuse_head("no HTTP/1.x status line");
  const char minor = line[version_prefix.size()];
  if ((minor != '0' && minor != '1') || line[digits_at - 1] != ' ') return refuse_head("neither HTTP/1.0 nor HTTP/1.1");
  unsigned status = 0;
  for (const char c : line.substr(digits_at, 3)) {
    if (!is_digit(c)) return refuse_head("status is not a number");
    status = status * 10 + static_cast<unsigned>(c - '0');
  }
  if (status < 100 || status > 599) return refuse_head("status is not within 100 to 599");
  const std::string_view rest = line.substr(digits_at + 3);
  if (!rest.empty() && rest.front() != ' ') return refuse_head("status has more than three digits");
  if (!valid_field_value(rest)) return refuse_head("reason phrase");
  return StatusLine{static_cast<std::uint16_t>(status), minor == '0'};
}

/// HTAB behind a length or a coding: legal, seen nowhere, and read in different ways by the releases of llhttp.
bool ends_in_tab(std::string_view name, std::string_view value) noexcept {
  const std::size_t end = value.find_last_not_of(" \t");
  if (end == std::string_view::npos || value.find('\t', end) == std::string_view::npos) return false;
  const Known known = recognise(name);
  return known == Known::content_length || known == Known::transfer_encoding;
}

/// Checks every field line; returns how many there are. `lines` is what follows the status line.
std::expected<std::size_t, Reject> check_field_lines(std::string_view lines) noexcept {
  std::size_t count = 0;
  for (;; ++count) {
    const std::size_t end = lines.find("\r\n");
    if (end == std::string_view::npos) return refuse_head("head does not end in an empty line");
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end + 2);
    if (line.empty()) break;
    if (line.front() == ' ' || line.front() == '\t') return refuse_head("folded field line");
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !valid_field_name(line.substr(0, colon))) return refuse_head("field name");
    const std::string_view value = line.substr(colon + 1);
    if (!valid_field_value(value)) return refuse_head("field value");
    if (ends_in_tab(line.substr(0, colon), value)) return refuse_head("HTAB behind a length or coding");
  }
  if (!lines.empty()) return refuse_head("bytes behind the head");
  return count;
}

/// What the field lines say together.
struct Fields {
  bool has_length = false;
  bool chunked = false;
  bool close = false;
  bool keep_alive = false;
  std::uint64_t length = 0;
};

std::expected<std::uint64_t, Reject> read_length_value(std::string_view value) noexcept {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  if (value.empty()) return refuse_head("Content-Length empty");
  std::uint64_t length = 0;
  for (const char c : value) {
    if (!is_digit(c)) return refuse_head("Content-Length is not a number");
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (length > (most - digit) / 10) return refuse_head("Content-Length above 2^63 - 1");
    length = length * 10 + digit;
  }
  return length;
}

void read_connection(std::string_view list, Fields& fields) noexcept {
  while (!list.empty()) {
    const std::string_view option = take_list_element(list);
    fields.close = fields.close || equal_ignoring_case(option, "close");
    fields.keep_alive = fields.keep_alive || equal_ignoring_case(option, "keep-alive");
  }
}

/// Source: RFC 9112 6.3, of which this takes the strict choice wherever there is one.
std::expected<Fields, Reject> read_fields(const char* base, const Head& head) noexcept {
  Fields fields;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const std::string_view value = head.fields[i].value.in(base);
    switch (head.fields[i].known) {
      case Known::content_length: {
        const auto length = read_length_value(value);
        if (!length) return std::unexpected(length.error());
        if (fields.has_length && *length != fields.length) return refuse_head("two Content-Length that differ");
        fields.has_length = true;
        fields.length = *length;
        break;
      }
      case Known::transfer_encoding:
        if (fields.chunked) return refuse_head("Transfer-Encoding more than once");
        if (!equal_ignoring_case(value, "chunked")) return refuse_head("Transfer-Encoding is not chunked");
        fields.chunked = true;
        break;
      case Known::connection: read_connection(value, fields); break;
      default: break;
    }
  }
  if (fields.chunked && fields.has_length) return refuse_head("Transfer-Encoding and Content-Length");
  return fields;
}

/// Whether llhttp counts and delimits as the rules do. A difference is a bug in one of them.
bool agrees(const Head& llhttp, std::size_t line_count, const Fields& fields) noexcept {
  if (llhttp.field_count != line_count) return false;
  if ((llhttp.framing == Framing::chunked) != fields.chunked) return false;
  if ((llhttp.framing == Framing::length) != fields.has_length) return false;
  return !fields.has_length || llhttp.content_length == fields.length;
}

AnswerHead decide(const StatusLine& line, const Fields& fields) noexcept {
  AnswerHead answer{.status = line.status, .close = fields.close || (line.version_1_0 && !fields.keep_alive)};
  if (line.status < 200 || line.status == 204 || line.status == 304) {
    answer.close = answer.close || line.status == 101;
  } else if (fields.chunked) {
    answer.body = Body::chunked;
  } else if (!fields.has_length) {
    answer.body = Body::until_close;
  } else if (fields.length > 0) {
    answer.body = Body::length;
    answer.content_length = fields.length;
  }
  return answer;
}

std::expected<AnswerHead, Reject> read_answer(std::string_view head) noexcept {
  const std::size_t line_end = head.find("\r\n");
  if (line_end == std::string_view::npos) return refuse_head("head does not end in an empty line");
  const auto line = read_status_line(head.substr(0, line_end));
  if (!line) return std::unexpected(line.error());
  const auto line_count = check_field_lines(head.substr(line_end + 2));
  if (!line_count) return std::unexpected(line_count.error());

  Head seen;
  if (const auto verdict = read_response_fields(head, seen); !verdict) return std::unexpected(verdict.error());
  const auto fields = read_fields(head.data(), seen);
  if (!fields) return std::unexpected(fields.error());
  if (line->version_1_0 && fields->chunked) return refuse_head("Transfer-Encoding in HTTP/1.0");
  if (!agrees(seen, *line_count, *fields)) return refuse_head("readers disagree");
  return decide(*line, *fields);
}

/// What depends on the request, and is not remembered with the head.
AnswerHead in_reply(AnswerHead answer, bool to_head) noexcept {
  if (to_head) {
    answer.body = Body::none;
    answer.content_length = 0;
  } else if (answer.body == Body::until_close) {
    answer.close = true;
  }
  return answer;
}

/// The size of the head that `in` begins with, 0 if its end is not there.
std::expected<std::size_t, Reject> find_end(std::string_view in) noexcept {
  std::size_t line_start = 0;
  for (;;) {
    const std::size_t line_feed = in.find('\n', line_start);
    const std::size_t seen = line_feed == std::string_view::npos ? in.size() : line_feed + 1;
    if (seen > ResponseReader::head_bytes_max) return refuse_head("head too large");
    if (line_feed == std::string_view::npos) return 0;
    if (line_feed == line_start || in[line_feed - 1] != '\r') return refuse_head("line end is not CRLF");
    if (line_feed - 1 == line_start) return seen;
    line_start = seen;
  }
}

}  // namespace

std::size_t ResponseHeadParser::recall(std::string_view in) noexcept {
  for (std::size_t turn = 0; turn < memory_count; ++turn) {
    const std::size_t place = (last_ + turn) % memory_count;
    const Kept& kept = kept_[place];
    if (kept.size == 0 || in.size() < kept.size) continue;
    if (std::memcmp(in.data(), kept.bytes.data(), kept.size) != 0) continue;
    last_ = place;
    return kept.size;
  }
  return 0;
}

AnswerHead ResponseHeadParser::recalled(bool to_head) const noexcept {
  SLUICE_ASSERT(kept_[last_].size != 0);
  return in_reply(kept_[last_].answer, to_head);
}

std::expected<AnswerHead, Reject> ResponseHeadParser::parse(std::string_view head, bool to_head) noexcept {
  SLUICE_ASSERT(head.size() <= ResponseReader::head_bytes_max);
  if (const std::size_t size = recall(head); size != 0 && size == head.size()) return recalled(to_head);
  const auto answer = read_answer(head);
  if (!answer) return answer;
  if (head.size() <= memory_bytes) {
    Kept& kept = kept_[oldest_];
    kept.size = static_cast<std::uint16_t>(head.size());
    kept.answer = *answer;
    head.copy(kept.bytes.data(), head.size());
    last_ = oldest_;
    oldest_ = (oldest_ + 1) % memory_count;
  }
  return in_reply(*answer, to_head);
}

ResponseReader::Step ResponseReader::next(ResponseHeadParser& parser, std::string_view in, bool to_head) {
  switch (state_) {
    case State::head: return read_head(parser, in, to_head);
    case State::length: return read_length(in);
    case State::chunked: return read_chunked(in);
    case State::until_close:
      if (in.empty()) return {};
      return {.kind = Step::Kind::data, .consumed = in.size(), .data = in};
    case State::finished: state_ = State::head; return {.kind = Step::Kind::done};
    case State::rejected: break;
  }
  return refuse(reject_);
}

ResponseReader::Step ResponseReader::read_head(ResponseHeadParser& parser, std::string_view in, bool to_head) {
  std::size_t consumed = 0;
  while (consumed < in.size()) {
    const auto size = take_head(parser, in.substr(consumed), to_head);
    if (!size) return refuse(size.error());
    if (*size == 0) break;
    consumed += *size;
    interim_ = head_.status < 200 && head_.status != 101;
    if (interim_) continue;
    begin_body();
    return {.kind = Step::Kind::head, .consumed = consumed};
  }
  return {.kind = Step::Kind::need_more, .consumed = in.size()};
}

/// Fills head_ and says how much of `in` that took; 0 if all of it is kept in pieces_ and the head's end is still out.
std::expected<std::size_t, Reject> ResponseReader::take_head(ResponseHeadParser& parser, std::string_view in,
                                                             bool to_head) {
  if (pieces_.empty()) {
    if (const std::size_t size = parser.recall(in)) {
      head_ = parser.recalled(to_head);
      return size;
    }
    if (!may_begin_answer(in)) return refuse_head("not an HTTP/1.x answer");
  }
  const bool whole = pieces_.empty();
  auto size = whole ? find_end(in) : take_pieces(in);
  if (!size) return size;
  if (*size == 0) {
    if (whole) pieces_ = in;
    return size;
  }
  const auto answer = parser.parse(whole ? in.substr(0, *size) : std::string_view{pieces_}, to_head);
  drop_pieces();
  if (!answer) return std::unexpected(answer.error());
  head_ = *answer;
  return size;
}

/// As find_end, for the head that begins in pieces_: it goes on line by line, and not a byte behind it is copied.
std::expected<std::size_t, Reject> ResponseReader::take_pieces(std::string_view in) {
  std::size_t taken = 0;
  while (taken < in.size()) {
    const std::size_t line_feed = in.find('\n', taken);
    const bool line_ends = line_feed != std::string_view::npos;
    const std::size_t end = line_ends ? line_feed + 1 : in.size();
    if (pieces_.size() + (end - taken) > head_bytes_max) return refuse_head("head too large");
    pieces_.append(in, taken, end - taken);
    taken = end;
    if (!may_begin_answer(pieces_)) return refuse_head("not an HTTP/1.x answer");
    if (!line_ends) break;
    if (!pieces_.ends_with("\r\n")) return refuse_head("line end is not CRLF");
    if (pieces_.ends_with("\r\n\r\n")) return taken;
  }
  return 0;
}

ResponseReader::Step ResponseReader::read_length(std::string_view in) noexcept {
  if (in.empty()) return {};
  const std::string_view data = in.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, in.size())));
  remaining_ -= data.size();
  if (remaining_ == 0) state_ = State::finished;
  return {.kind = Step::Kind::data, .consumed = data.size(), .data = data};
}

ResponseReader::Step ResponseReader::read_chunked(std::string_view in) noexcept {
  const ChunkedDecoder::Step step = chunked_.next(in);
  switch (step.kind) {
    case ChunkedDecoder::Step::Kind::need_more: break;
    case ChunkedDecoder::Step::Kind::data:
      return {.kind = Step::Kind::data, .consumed = step.consumed, .data = step.data};
    case ChunkedDecoder::Step::Kind::done:
      state_ = State::head;
      return {.kind = Step::Kind::done, .consumed = step.consumed};
    case ChunkedDecoder::Step::Kind::rejected: return refuse(step.reject);
  }
  return {.kind = Step::Kind::need_more, .consumed = step.consumed};
}

ResponseReader::Step ResponseReader::refuse(const Reject& reject) noexcept {
  state_ = State::rejected;
  reject_ = reject;
  drop_pieces();
  return {.kind = Step::Kind::rejected, .consumed = 0, .data = {}, .reject = reject};
}

void ResponseReader::begin_body() noexcept {
  switch (head_.body) {
    case Body::none: state_ = State::finished; break;
    case Body::length:
      remaining_ = head_.content_length;
      state_ = State::length;
      break;
    case Body::chunked:
      chunked_.reset();
      state_ = State::chunked;
      break;
    case Body::until_close: state_ = State::until_close; break;
  }
}

bool ResponseReader::end() noexcept {
  if (state_ != State::until_close) return false;
  state_ = State::head;
  return true;
}

void ResponseReader::drop_pieces() noexcept {
  if (pieces_.capacity() > pieces_kept_max) std::string{}.swap(pieces_);
  else pieces_.clear();
}

void ResponseReader::reset() noexcept {
  state_ = State::head;
  interim_ = false;
  drop_pieces();
}

}  // namespace sluice::http
