// chunked.cpp: the decoder takes meta bytes one at a time (they are few) and data in stretches.
#include "http/chunked.hpp"

#include <algorithm>
#include <limits>

#include "http/fields.hpp"

namespace sluice::http {
namespace {

constexpr std::uint8_t size_digits_max = 16;
constexpr std::uint64_t chunk_bytes_max = std::numeric_limits<std::int64_t>::max();

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

/// Source: RFC 9110 5.6.4. Field-value bytes are exactly qdtext, '"' and '\', and exactly what may follow a '\'.
bool is_quotable(char c) noexcept { return is_value_char(c); }

}  // namespace

enum class ChunkedDecoder::Fault : std::uint8_t {
  none,
  size_form,
  size_too_large,
  extension_form,
  extension_bytes,
  line_end,
  data_end,
  trailer_form,
  trailer_size,
};

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view in) noexcept {
  std::size_t at = 0;
  std::size_t trailer_at = state_ >= State::trailer_start ? 0 : in.size();
  while (state_ < State::done) {
    if (at == in.size()) {
      return {.kind = Step::Kind::need_more, .consumed = at, .data = {}, .trailer = in.substr(trailer_at)};
    }
    if (state_ == State::data) {
      const std::uint64_t size = std::min<std::uint64_t>(remaining_, in.size() - at);
      remaining_ -= size;
      if (remaining_ == 0) state_ = State::data_carriage_return;
      const std::string_view data = in.substr(at, static_cast<std::size_t>(size));
      return {.kind = Step::Kind::data, .consumed = at + data.size(), .data = data, .trailer = {}};
    }
    if (!take(in[at])) break;
    ++at;
    if (state_ == State::trailer_start) trailer_at = std::min(trailer_at, at);
  }
  if (state_ == State::done) {
    trailer_at = std::min(trailer_at, at);
    return {.kind = Step::Kind::done, .consumed = at, .data = {}, .trailer = in.substr(trailer_at, at - trailer_at)};
  }
  return {.kind = Step::Kind::rejected, .consumed = at, .data = {}, .trailer = {}, .reject = reject()};
}

bool ChunkedDecoder::take(char c) noexcept {
  if (state_ <= State::size) return take_size(c);
  if (state_ <= State::after_quoted) {
    if (++extension_bytes_ > chunk_extension_bytes_max) return refuse(Fault::extension_bytes);
    return take_extension(c);
  }
  if (state_ >= State::trailer_start) return take_trailer(c);
  switch (state_) {
    case State::size_line_feed:
      if (c != '\n') return refuse(Fault::line_end);
      state_ = last_ ? State::trailer_start : State::data;
      return true;
    case State::data_carriage_return:
      if (c != '\r') return refuse(Fault::data_end);
      state_ = State::data_line_feed;
      return true;
    default:  // data_line_feed
      if (c != '\n') return refuse(Fault::data_end);
      state_ = State::size_first;
      size_digits_ = 0;
      return true;
  }
}

bool ChunkedDecoder::take_size(char c) noexcept {
  const int digit = hex_value(c);
  if (digit < 0) return state_ == State::size ? end_size() && after_size(c) : refuse(Fault::size_form);
  if (size_digits_ == size_digits_max)
    return refuse(Fault::size_form);  // leading zeros count: they are no way to stall
  ++size_digits_;
  remaining_ = remaining_ << 4 | static_cast<std::uint64_t>(digit);
  state_ = State::size;
  return true;
}

bool ChunkedDecoder::end_size() noexcept {
  if (remaining_ > chunk_bytes_max) return refuse(Fault::size_too_large);
  last_ = remaining_ == 0;
  const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - announced_;
  announced_ += std::min(remaining_, room);
  return true;
}

/// The byte behind a size, an extension name or an extension value. White space must lead to a ';': "5 <CRLF>" is
/// read as "5" by some and refused by others.
bool ChunkedDecoder::after_size(char c) noexcept {
  if (c == '\r') state_ = State::size_line_feed;
  else if (c == ';') state_ = State::extension_start;
  else if (is_blank(c)) state_ = State::before_semicolon;
  else return refuse(state_ == State::size ? Fault::size_form : Fault::extension_form);
  return true;
}

bool ChunkedDecoder::take_extension(char c) noexcept {
  switch (state_) {
    case State::before_semicolon:
      if (c == ';') state_ = State::extension_start;
      else if (!is_blank(c)) return refuse(Fault::extension_form);
      return true;
    case State::extension_start:
      if (is_token_char(c)) state_ = State::extension_name;
      else if (!is_blank(c)) return refuse(Fault::extension_form);
      return true;
    case State::extension_name:
      if (is_token_char(c)) return true;
      if (c == '=') state_ = State::value_start;
      else if (is_blank(c)) state_ = State::after_name;
      else return after_size(c);
      return true;
    case State::after_name:
      if (c == '=') state_ = State::value_start;
      else if (c == ';') state_ = State::extension_start;
      else if (!is_blank(c)) return refuse(Fault::extension_form);
      return true;
    case State::value_start:
      if (c == '"') state_ = State::quoted;
      else if (is_token_char(c)) state_ = State::value_token;
      else if (!is_blank(c)) return refuse(Fault::extension_form);
      return true;
    case State::value_token: return is_token_char(c) || after_size(c);
    case State::quoted:
      if (c == '"') state_ = State::after_quoted;
      else if (c == '\\') state_ = State::quoted_pair;
      else if (!is_quotable(c)) return refuse(Fault::extension_form);
      return true;
    case State::quoted_pair:
      if (!is_quotable(c)) return refuse(Fault::extension_form);
      state_ = State::quoted;
      return true;
    default: return after_size(c);  // after_quoted
  }
}

bool ChunkedDecoder::take_trailer(char c) noexcept {
  if (++trailer_bytes_ > trailer_bytes_max) return refuse(Fault::trailer_size);
  switch (state_) {
    case State::trailer_start:
      if (c == '\r') {
        state_ = State::end_line_feed;
        return true;
      }
      if (!is_token_char(c)) return refuse(Fault::trailer_form);
      if (trailer_fields_ == trailer_fields_max) return refuse(Fault::trailer_size);
      ++trailer_fields_;
      state_ = State::trailer_name;
      return true;
    case State::trailer_name:
      if (c == ':') state_ = State::trailer_value;
      else if (!is_token_char(c)) return refuse(Fault::trailer_form);
      return true;
    case State::trailer_value:
      if (c == '\r') state_ = State::trailer_line_feed;
      else if (!is_value_char(c)) return refuse(Fault::trailer_form);
      return true;
    case State::trailer_line_feed:
      if (c != '\n') return refuse(Fault::line_end);
      state_ = State::trailer_start;
      return true;
    default:  // end_line_feed
      if (c != '\n') return refuse(Fault::line_end);
      state_ = State::done;
      return true;
  }
}

bool ChunkedDecoder::refuse(Fault fault) noexcept {
  state_ = State::rejected;
  fault_ = fault;
  return false;
}

Reject ChunkedDecoder::reject() const noexcept {
  switch (fault_) {
    case Fault::none: break;
    case Fault::size_form: return {400, "chunk size"};
    case Fault::size_too_large: return {413, "chunk size above 2^63 - 1"};
    case Fault::extension_form: return {400, "chunk extension"};
    case Fault::extension_bytes: return {400, "chunk extensions too long"};
    case Fault::line_end: return {400, "line end is not CRLF"};
    case Fault::data_end: return {400, "chunk data does not end in CRLF"};
    case Fault::trailer_form: return {400, "trailer field"};
    case Fault::trailer_size: return {431, "trailer too large"};
  }
  return {};
}

}  // namespace sluice::http
