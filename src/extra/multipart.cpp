// multipart.cpp: the parser takes boundary lines byte by byte (they are few), heads line by line, data in stretches.
//
// The delimiter is CR LF "--" boundary. CR is in it once, at its front: so what turns out not to be a delimiter can't
// hide the beginning of another one, and the bytes that were held back are known without having been kept.
#include <sluice/extra/multipart.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "extra/media_type.hpp"
#include "extra/multipart_head.hpp"
#include "http/fields.hpp"

namespace sluice {

using detail::MultipartFault;

namespace {

constexpr auto none = std::string_view::npos;
constexpr std::string_view multipart_type = "multipart/form-data";

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

bool is_letter_or_digit(char c) noexcept {
  return http::is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Source: RFC 2046 5.1.1, bchars.
bool is_boundary_char(char c) noexcept {
  return is_letter_or_digit(c) || (c != '\0' && std::strchr("'()+_,-./:=? ", c) != nullptr);
}

std::size_t find(std::string_view text, std::string_view what) noexcept {
  if (text.size() < what.size()) return none;
  const void* const found = memmem(text.data(), text.size(), what.data(), what.size());
  return found == nullptr ? none : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

/// How many bytes at the end of `text` may be the beginning of `delimiter`, which `text` does not hold as a whole.
std::size_t open_end(std::string_view text, std::string_view delimiter) noexcept {
  const std::string_view tail = text.substr(text.size() - std::min(text.size(), delimiter.size() - 1));
  const std::size_t at = tail.rfind('\r');
  return at != none && delimiter.starts_with(tail.substr(at)) ? tail.size() - at : 0;
}

}  // namespace

std::optional<MultipartBoundary> MultipartBoundary::from_text(std::string_view text) noexcept {
  if (text.empty() || text.size() > size_max || text.back() == ' ') return std::nullopt;
  if (!std::ranges::all_of(text, is_boundary_char)) return std::nullopt;
  MultipartBoundary boundary;
  std::ranges::copy(text, boundary.bytes_.begin());
  boundary.size_ = static_cast<std::uint8_t>(text.size());
  return boundary;
}

std::expected<MultipartBoundary, Problem> MultipartBoundary::from_content_type(std::string_view content_type) {
  detail::ParameterScan scan{content_type};
  if (!http::equal_ignoring_case(scan.value(), multipart_type)) {
    return std::unexpected(detail::wrong_type(multipart_type));
  }
  std::optional<MultipartBoundary> boundary;
  std::size_t count = 0;
  while (const auto parameter = scan.next()) {
    if (!http::equal_ignoring_case(parameter->name, "boundary")) continue;
    boundary = from_text(detail::unquote(*parameter));
    ++count;
  }
  if (scan.malformed()) return std::unexpected(Problem{400, {}, "The Content-Type is malformed."});
  if (count != 1 || !boundary) return std::unexpected(Problem{400, {}, "The Content-Type needs one good boundary."});
  return *boundary;
}

std::expected<MultipartBoundary, Problem> MultipartBoundary::of(const Request& request) {
  const auto type = detail::one_content_type(request);
  if (!type) return std::unexpected(type.error());
  return from_content_type(*type);
}

std::string safe_file_name(std::string_view filename) {
  const std::size_t separator = filename.find_last_of("/\\");
  if (separator != none) filename.remove_prefix(separator + 1);
  std::string name;
  for (const char c : filename) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) name.push_back(c);
  }
  return name == "." || name == ".." ? std::string{} : name;
}

MultipartParser::MultipartParser(const MultipartBoundary& boundary, const MultipartLimits& limits) noexcept
    : limits_{limits}, delimiter_size_{static_cast<std::uint8_t>(boundary.text().size() + 4)} {
  std::ranges::copy(std::string_view{"\r\n--"}, delimiter_.begin());
  std::ranges::copy(boundary.text(), delimiter_.begin() + 4);
  begin_match_at_line_start();
}

/// A boundary may stand here without a line end before it, since one has been read already, or the body begins.
void MultipartParser::begin_match_at_line_start() noexcept { matched_ = imaginary_ = 2; }

MultipartParser::Step MultipartParser::next(std::string_view in) {
  std::size_t at = 0;
  for (;;) {
    if (state_ == State::failed) return {.kind = Kind::error, .consumed = at};
    if (state_ == State::ended) return {.kind = Kind::end, .consumed = at};
    if (at == in.size()) return {.kind = Kind::need_more, .consumed = at};
    Step step = advance(in.substr(at));
    at += step.consumed;
    SLUICE_ASSERT(at <= in.size());
    if (step.kind == Kind::need_more) continue;
    step.consumed = at;
    return step;
  }
}

MultipartParser::Step MultipartParser::finish() noexcept {
  if (state_ == State::closed || state_ == State::epilogue) state_ = State::ended;
  if (state_ == State::ended) return {.kind = Kind::end};
  return state_ == State::failed ? Step{.kind = Kind::error} : fail(MultipartFault::truncated);
}

Problem MultipartParser::problem() const { return detail::multipart_problem(fault_); }

/// One step; need_more if it made no event.
MultipartParser::Step MultipartParser::advance(std::string_view in) {
  switch (state_) {
    case State::preamble:
    case State::data: return matched_ == 0 ? search(in) : resume_match(in);
    case State::head: return advance_head(in);
    case State::closed:
    case State::closed_line_feed: return advance_closed(in.front());
    case State::epilogue: return advance_epilogue(in);
    default: return advance_delimiter(in.front());
  }
}

MultipartParser::Step MultipartParser::advance_delimiter(char c) noexcept {
  switch (state_) {
    case State::delimiter_dash:
      if (c != '-') return fail(MultipartFault::boundary_line);
      return end_part(State::closed, 1);
    case State::delimiter_line_feed:
      if (c != '\n') return fail(MultipartFault::boundary_line);
      return end_part(State::head, 1);
    default: break;
  }
  if (c == '\r') {
    state_ = State::delimiter_line_feed;
  } else if (is_blank(c)) {
    if (head_bytes_ == limits_.part_header_bytes_max) return fail(MultipartFault::head_bytes);
    ++head_bytes_;
    state_ = State::delimiter_padding;
  } else if (c == '-' && state_ == State::delimiter) {
    state_ = State::delimiter_dash;
  } else {
    return fail(MultipartFault::boundary_line);
  }
  return {.consumed = 1};
}

/// Only now is a part known to be whole: its boundary was one.
MultipartParser::Step MultipartParser::end_part(State next, std::size_t consumed) noexcept {
  state_ = next;
  return {.kind = std::exchange(in_part_, false) ? Kind::part_end : Kind::need_more, .consumed = consumed};
}

MultipartParser::Step MultipartParser::advance_closed(char c) noexcept {
  if (state_ == State::closed_line_feed) {
    if (c != '\n') return fail(MultipartFault::boundary_line);
    state_ = State::epilogue;
  } else if (c == '\r') {
    state_ = State::closed_line_feed;
  } else if (is_blank(c)) {
    if (epilogue_bytes_ == limits_.epilogue_bytes_max) return fail(MultipartFault::epilogue_bytes);
    ++epilogue_bytes_;
  } else {
    return fail(MultipartFault::boundary_line);
  }
  return {.consumed = 1};
}

MultipartParser::Step MultipartParser::advance_epilogue(std::string_view in) noexcept {
  if (in.size() > limits_.epilogue_bytes_max - epilogue_bytes_) return fail(MultipartFault::epilogue_bytes);
  epilogue_bytes_ += in.size();
  return {.consumed = in.size()};
}

/// Looks for the empty line. Line ends are checked as they come, so that a fault is the same wherever the body is cut.
MultipartParser::Step MultipartParser::advance_head(std::string_view in) {
  if (head_line_bytes_ == 0 && head_lines_ == 0 && parts_ == limits_.parts_max) {
    return fail(MultipartFault::too_many_parts);
  }
  const std::string_view window = in.substr(0, limits_.part_header_bytes_max - head_bytes_);
  std::size_t line = 0;  // where the current line's bytes begin in the window
  for (std::size_t end = window.find('\n'); end != none; end = window.find('\n', line)) {
    const char before = end > 0 ? window[end - 1] : carried_.empty() ? '\0' : carried_.back();
    if (before != '\r') return fail(MultipartFault::bare_line_feed);
    head_line_bytes_ += end + 1 - line;
    line = end + 1;
    if (std::exchange(head_line_bytes_, 0) == 2) {
      if (carried_.empty()) return begin_part(window.substr(0, line), line);
      carried_.append(window.substr(0, line));
      return begin_part(carried_, line);
    }
    if (++head_lines_ > limits_.part_fields_max) return fail(MultipartFault::too_many_fields);
  }
  if (window.size() < in.size()) return fail(MultipartFault::head_bytes);
  head_line_bytes_ += window.size() - line;
  head_bytes_ += window.size();
  carried_.append(window);
  return {.consumed = window.size()};
}

MultipartParser::Step MultipartParser::begin_part(std::string_view block, std::size_t consumed) {
  auto head = detail::read_part_head(block.substr(0, block.size() - 2), limits_);
  if (!head) return fail(head.error());
  head_ = *std::move(head);
  ++parts_;
  part_data_bytes_ = 0;
  in_part_ = true;
  state_ = State::data;
  begin_match_at_line_start();
  return {.kind = Kind::part, .consumed = consumed};
}

/// Finds the next delimiter, or what may become one at the end of `in`; the rest is data for certain.
MultipartParser::Step MultipartParser::search(std::string_view in) noexcept {
  if (in.starts_with(delimiter())) {
    take_delimiter();
    return {.consumed = delimiter_size_};
  }
  const std::size_t at = find(in, delimiter());
  const std::size_t certain = at != none ? at : in.size() - open_end(in, delimiter());
  if (certain > 0) return give(in.substr(0, certain), certain);
  matched_ = static_cast<std::uint8_t>(in.size());
  return {.consumed = in.size()};
}

/// Goes on with a delimiter that earlier pieces began.
MultipartParser::Step MultipartParser::resume_match(std::string_view in) noexcept {
  const std::string_view expected = delimiter().substr(matched_, in.size());
  if (in.starts_with(expected)) {
    matched_ = static_cast<std::uint8_t>(matched_ + expected.size());
    if (matched_ == delimiter_size_) take_delimiter();
    return {.consumed = expected.size()};
  }
  const std::string_view held = delimiter().substr(imaginary_, matched_ - std::size_t{imaginary_});
  matched_ = imaginary_ = 0;
  return held.empty() ? Step{} : give(held, 0);
}

void MultipartParser::take_delimiter() noexcept {
  matched_ = imaginary_ = 0;
  state_ = State::delimiter;
  head_bytes_ = head_line_bytes_ = head_lines_ = 0;
  carried_.clear();
}

/// Hands out data as far as the limits allow. What came before the limit is given first, however the body was cut.
MultipartParser::Step MultipartParser::give(std::string_view bytes, std::size_t consumed) noexcept {
  if (state_ == State::preamble) {
    if (bytes.size() > limits_.preamble_bytes_max - preamble_bytes_) return fail(MultipartFault::preamble_bytes);
    preamble_bytes_ += bytes.size();
    return {.consumed = consumed};
  }
  const std::uint64_t part_room = limits_.part_data_bytes_max - part_data_bytes_;
  const std::uint64_t room = std::min(part_room, limits_.data_bytes_max - data_bytes_);
  if (bytes.size() > room) {
    static_cast<void>(fail(part_room == room ? MultipartFault::part_data_bytes : MultipartFault::data_bytes));
    if (room == 0) return {.kind = Kind::error};
    bytes = bytes.substr(0, static_cast<std::size_t>(room));
    return {.kind = Kind::data, .consumed = std::min(consumed, bytes.size()), .data = bytes};
  }
  part_data_bytes_ += bytes.size();
  data_bytes_ += bytes.size();
  return {.kind = Kind::data, .consumed = consumed, .data = bytes};
}

MultipartParser::Step MultipartParser::fail(MultipartFault fault) noexcept {
  state_ = State::failed;
  fault_ = fault;
  return {.kind = Kind::error};
}

std::expected<std::vector<MultipartPart>, Problem> read_multipart(std::string_view body,
                                                                  const MultipartBoundary& boundary,
                                                                  const MultipartLimits& limits) {
  using Kind = MultipartParser::Kind;
  MultipartParser parser{boundary, limits};
  std::vector<MultipartPart> parts;
  for (;;) {
    MultipartParser::Step step = parser.next(body);
    body.remove_prefix(step.consumed);
    if (step.kind == Kind::need_more) step = parser.finish();
    switch (step.kind) {
      case Kind::part: parts.push_back({parser.head(), {}}); break;
      case Kind::data:
        SLUICE_ASSERT(parts.back().data.empty());  // a whole body gives a part's data in one stretch
        parts.back().data = step.data;
        break;
      case Kind::end: return parts;
      case Kind::error: return std::unexpected(parser.problem());
      default: break;
    }
  }
}

std::expected<std::vector<MultipartPart>, Problem> try_multipart(const Request& request,
                                                                 const MultipartLimits& limits) {
  const auto boundary = MultipartBoundary::of(request);
  if (!boundary) return std::unexpected(boundary.error());
  return read_multipart(request.body(), *boundary, limits);
}

std::vector<MultipartPart> multipart(const Request& request, const MultipartLimits& limits) {
  auto parts = try_multipart(request, limits);
  if (!parts) throw std::move(parts).error();
  return *std::move(parts);
}

}  // namespace sluice
