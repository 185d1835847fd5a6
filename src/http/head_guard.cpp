// head_guard.cpp: a state machine whose states advance in strides of 16 bytes where SSE2 is there.
// Every stride stops at the byte that a byte-by-byte reading would have stopped at; hence one verdict for all cuts.
#include "http/head_guard.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/inline.hpp"
#include "http/strides.hpp"

namespace sluice::http {
namespace {

constexpr std::ptrdiff_t method_bytes_max = 32;
constexpr std::uint8_t empty_lines_max = 2;

/// Visible ASCII.
constexpr bool is_target_byte(char c) noexcept { return c > 0x20 && c < 0x7f; }

/// Bytes of a target, as far as the guard judges them: visible ASCII.
struct TargetBytes {
  static bool stops(char c) noexcept { return !is_target_byte(c); }
#ifdef __SSE2__
  static unsigned stops(__m128i bytes) noexcept { return mask_of_unprintable(bytes, '!'); }
#endif
};

/// Bytes of a field name; the strides know only the usual ones and stop early at the others.
struct NameBytes {
  static bool stops(char c) noexcept { return !is_token_char(c); }
#ifdef __SSE2__
  static unsigned stops(__m128i bytes) noexcept {
    const __m128i others = _mm_min_epu8(outside(bytes, '0', '9'), other_than(bytes, '-'));
    return mask_of_outside(_mm_min_epu8(outside_letters(bytes), others));
  }
#endif
};

/// Bytes of a field value; HTAB stops too, so that the common path need not look for it.
struct ValueBytes {
  static bool stops(char c) noexcept { return c == '\t' || !is_value_char(c); }
#ifdef __SSE2__
  static unsigned stops(__m128i bytes) noexcept {
    const __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, all(0x1f)), bytes);
    return mask_of(_mm_or_si128(controls, _mm_cmpeq_epi8(bytes, all(0x7f))));
  }
#endif
};

/// The same without obs-text: fewer instructions are enough then.
struct UsualValueBytes {
  static bool stops(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f;
  }
#ifdef __SSE2__
  static unsigned stops(__m128i bytes) noexcept { return mask_of_unprintable(bytes, ' '); }
#endif
};

bool is_line_end(const char* p, const char* end) noexcept { return end - p >= 2 && std::memcmp(p, "\r\n", 2) == 0; }

/// Where a field's name ends and where its line does, if it is a usual one.
struct LineStops {
  const char* name;
  const char* line;
};

/// The first byte in [p, end) that is none of a usual name, and the first that is none of a usual value.
SLUICE_INLINE LineStops find_line_stops(const char* base, const char* p, const char* end) noexcept {
#ifdef __SSE2__
  if (end - p >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const unsigned name = NameBytes::stops(bytes);
    const unsigned line = UsualValueBytes::stops(bytes);
    return {name != 0 ? p + std::countr_zero(name) : find_stop<NameBytes>(base, p + 16, end),
            line != 0 ? p + std::countr_zero(line) : find_stop<UsualValueBytes>(base, p + 16, end)};
  }
#endif
  return {find_stop<NameBytes>(base, p, end), find_stop<UsualValueBytes>(base, p, end)};
}

Slice slice_of(const char* base, const char* first, const char* behind) noexcept {
  return {static_cast<std::uint16_t>(first - base), static_cast<std::uint16_t>(behind - first)};
}

/// The method that is spelled so. Source: RFC 9110 9.1, case matters.
std::optional<Method> method_from(std::string_view name) noexcept {
  switch (name.size()) {
    case 3:
      if (name == "GET") return Method::get;
      if (name == "PUT") return Method::put;
      break;
    case 4:
      if (name == "POST") return Method::post;
      if (name == "HEAD") return Method::head;
      break;
    case 5:
      if (name == "PATCH") return Method::patch;
      if (name == "TRACE") return Method::trace;
      break;
    case 6:
      if (name == "DELETE") return Method::delete_;
      break;
    case 7:
      if (name == "OPTIONS") return Method::options;
      if (name == "CONNECT") return Method::connect;
      break;
    default: break;
  }
  return std::nullopt;
}

}  // namespace

enum class HeadGuard::Fault : std::uint8_t {
  none,
  not_http,
  line_end,
  empty_lines,
  method_byte,
  method_size,
  method_unknown,
  method_connect,
  target_empty,
  target_byte,
  target_size,
  version_form,
  version_unsupported,
  folded,
  name_empty,
  name_byte,
  value_byte,
  too_many_fields,
  too_large,
};

struct HeadGuard::Input {
  Input(std::span<const char> bytes, const HeadLimits& limits, Head& head) noexcept
      : base{bytes.data()},
        end{base + std::min(bytes.size(), bytes_max(limits))},
        fields{head.fields.data()},
        fields_max{std::min(limits.fields_max, head_fields_capacity)},
        target_bytes_max{limits.target_bytes_max} {}

  static std::size_t bytes_max(const HeadLimits& limits) noexcept {
    return std::min(limits.head_bytes_max, head_bytes_capacity);
  }

  const char* base;
  const char* end;
  Field* fields;
  std::uint32_t fields_max;
  std::uint32_t target_bytes_max;
};

Scan HeadGuard::scan(std::span<const char> bytes, const HeadLimits& limits, Head& head) noexcept {
  const bool is_new = state_ == State::start && at_ == 0;
  if (is_new && read_usual_head(Input{bytes, limits, head})) [[likely]]
    return Scan::complete;
  return go_on(bytes, limits, head);
}

[[gnu::noinline]] Scan HeadGuard::go_on(std::span<const char> bytes, const HeadLimits& limits, Head& head) noexcept {
  const Input input{bytes, limits, head};
  const char* p = input.base + at_;
  while (p < input.end && state_ < State::complete) {
    p = step(p, input);
    if (p == nullptr) return Scan::rejected;  // at_ no longer matters
  }
  if (state_ == State::complete || state_ == State::rejected) {
    if (p != nullptr) at_ = static_cast<std::uint32_t>(p - input.base);
    return state_ == State::complete ? Scan::complete : Scan::rejected;
  }
  at_ = static_cast<std::uint32_t>(p - input.base);
  if (at_ == Input::bytes_max(limits)) {
    refuse(state_ <= State::line_feed ? Fault::target_size : Fault::too_large);
    return Scan::rejected;
  }
  return Scan::need_more;
}

/// Reads a head that is here as a whole and as nearly all are. False: nothing was changed, the states are to read it.
SLUICE_INLINE bool HeadGuard::read_usual_head(const Input& input) noexcept {
  static constexpr std::string_view get = "GET ", post = "POST ", version = " HTTP/1.1\r\n";
  const std::string_view bytes{input.base, static_cast<std::size_t>(input.end - input.base)};
  const bool is_get = bytes.starts_with(get);
  if (!is_get && !bytes.starts_with(post)) return false;
  const char* const target = input.base + (is_get ? get.size() : post.size());
  const char* p = find_stop<TargetBytes>(input.base, target, input.end);
  const auto target_size = static_cast<std::size_t>(p - target);
  if (target_size == 0 || target_size > input.target_bytes_max) return false;
  if (!std::string_view{p, input.end}.starts_with(version)) return false;
  p = read_usual_lines(p + version.size(), input);
  if (!is_line_end(p, input.end)) {
    field_count_ = 0;
    return false;
  }
  target_offset_ = static_cast<std::uint16_t>(target - input.base);
  target_size_ = static_cast<std::uint16_t>(target_size);
  method_ = is_get ? Method::get : Method::post;
  has_method_ = true;
  state_ = State::complete;
  at_ = static_cast<std::uint32_t>(p + 2 - input.base);
  return true;
}

const char* HeadGuard::step(const char* p, const Input& input) noexcept {
  switch (state_) {
    case State::start: return start(p, input);
    case State::start_line_feed:
      if (*p != '\n') return refuse(Fault::line_end);
      state_ = State::start;
      ++request_offset_;
      return p + 1;
    case State::method: return scan_method(p, input);
    case State::target: return scan_target(p, input);
    case State::version: return scan_version(p, input);
    case State::line_feed: return end_request_line(p, input);
    case State::field_start: return start_field(p, input);
    case State::name: return scan_name(p, input);
    case State::value: return scan_value(p, input);
    case State::value_line_feed:
      if (*p != '\n') return refuse(Fault::line_end);
      state_ = State::field_start;
      return p + 1;
    case State::end_line_feed: return end_head(p);
    case State::complete:
    case State::rejected: break;
  }
  return nullptr;
}

const char* HeadGuard::start(const char* p, const Input& input) noexcept {
  if (is_token_char(*p)) {
    state_ = State::method;
    return scan_method(p, input);
  }
  // A client may send an empty line after a body (RFC 9112 2.2). More than two are a slow drip, not a mistake.
  if (*p != '\r') return refuse(Fault::not_http);
  if (empty_lines_ == empty_lines_max) return refuse(Fault::empty_lines);
  ++empty_lines_;
  ++request_offset_;
  state_ = State::start_line_feed;
  return p + 1;
}

const char* HeadGuard::scan_method(const char* p, const Input& input) noexcept {
  const char* const first = input.base + request_offset_;
  const char* const end = first + std::min<std::ptrdiff_t>(input.end - first, method_bytes_max + 1);
  while (p < end && is_token_char(*p)) ++p;
  if (p - first > method_bytes_max) return refuse(Fault::method_size);
  if (p == end) return p;
  if (*p != ' ') return refuse(Fault::method_byte);
  ++p;
  target_offset_ = static_cast<std::uint16_t>(p - input.base);
  state_ = State::target;
  return scan_target(p, input);
}

const char* HeadGuard::scan_target(const char* p, const Input& input) noexcept {
  const char* const first = input.base + target_offset_;
  const char* end = input.end;
  if (static_cast<std::size_t>(end - first) > input.target_bytes_max) end = first + input.target_bytes_max + 1;
  p = find_stop<TargetBytes>(input.base, p, end);
  if (static_cast<std::size_t>(p - first) > input.target_bytes_max) return refuse(Fault::target_size);
  if (p == end) return p;
  if (*p != ' ') return refuse(*p == '\n' || *p == '\r' ? Fault::version_form : Fault::target_byte);
  if (p == first) return refuse(Fault::target_empty);
  target_size_ = static_cast<std::uint16_t>(p - first);
  state_ = State::version;
  return scan_version(p + 1, input);
}

const char* HeadGuard::scan_version(const char* p, const Input& input) noexcept {
  static constexpr std::string_view usual = "HTTP/1.1\r";
  const char* const first = input.base + target_offset_ + target_size_ + 1;
  if (p == first && static_cast<std::size_t>(input.end - p) >= usual.size() &&
      std::memcmp(p, usual.data(), usual.size()) == 0) {
    state_ = State::line_feed;
    p += usual.size();
    return p < input.end ? end_request_line(p, input) : p;
  }
  for (; p < input.end; ++p) {
    const auto index = static_cast<std::size_t>(p - first);
    if (index == 5 || index == 7) {
      if (!is_digit(*p)) return refuse(Fault::version_form);
      (index == 5 ? major_ : minor_) = static_cast<std::uint8_t>(*p - '0');
    } else if (*p != usual[index]) {
      return refuse(Fault::version_form);
    } else if (index == 8) {
      state_ = State::line_feed;
      return p + 1;
    }
  }
  return p;
}

const char* HeadGuard::end_request_line(const char* p, const Input& input) noexcept {
  if (*p != '\n') return refuse(Fault::line_end);
  const auto method_size = static_cast<std::size_t>(target_offset_ - 1 - request_offset_);
  const auto method = method_from({input.base + request_offset_, method_size});
  if (method) {
    method_ = *method;
    has_method_ = true;
  }
  if (major_ != 1) return refuse(Fault::version_unsupported);
  if (!method) return refuse(Fault::method_unknown);
  if (method_ == Method::connect) return refuse(Fault::method_connect);
  state_ = State::field_start;
  return start_field(p + 1, input);
}

/// Reads whole field lines that are as nearly all are. What is unusual, wrong or incomplete about a line is left to the
/// states below, from the line's beginning.
SLUICE_INLINE const char* HeadGuard::read_usual_lines(const char* p, const Input& input) noexcept {
  Field* field = input.fields + field_count_;
  const Field* const last = input.fields + input.fields_max;
  for (; field != last && p < input.end && *p != '\r'; ++field) {
    const auto [colon, line_end] = find_line_stops(input.base, p, input.end);
    // A name has no byte that ends a line: if a line's end was found, the colon lies before it.
    if (!is_line_end(line_end, input.end) || *colon != ':' || colon == p) break;
    const char* first = colon + 1;
    const char* behind = line_end;
    while (*first == ' ') ++first;  // ends at the CR
    while (behind > first && behind[-1] == ' ') --behind;
    *field = {slice_of(input.base, p, colon), slice_of(input.base, first, behind), Known::other};
    p = line_end + 2;
  }
  field_count_ = static_cast<std::uint16_t>(field - input.fields);
  return p;
}

const char* HeadGuard::start_field(const char* p, const Input& input) noexcept {
  p = read_usual_lines(p, input);
  if (p == input.end) return p;
  if (*p == '\r') {
    state_ = State::end_line_feed;
    ++p;
    return p < input.end ? end_head(p) : p;
  }
  if (*p == ' ' || *p == '\t') return refuse(Fault::folded);
  if (field_count_ == input.fields_max) return refuse(Fault::too_many_fields);
  ++field_count_;
  name_ = static_cast<std::uint32_t>(p - input.base);
  state_ = State::name;
  return scan_name(p, input);
}

const char* HeadGuard::end_head(const char* p) noexcept {
  if (*p != '\n') return refuse(Fault::line_end);
  state_ = State::complete;
  return p + 1;
}

const char* HeadGuard::scan_name(const char* p, const Input& input) noexcept {
  p = find_stop<NameBytes>(input.base, p, input.end);
  if (p == input.end) return p;
  if (*p != ':') {
    while (p < input.end && is_token_char(*p)) ++p;
    if (p == input.end) return p;
    if (*p != ':') return refuse(Fault::name_byte);
  }
  if (p == input.base + name_) return refuse(Fault::name_empty);
  input.fields[field_count_ - 1].name = slice_of(input.base, input.base + name_, p);
  state_ = State::value;
  return scan_value(p + 1, input);
}

const char* HeadGuard::scan_value(const char* p, const Input& input) noexcept {
  p = find_stop<ValueBytes>(input.base, p, input.end);
  while (p < input.end && *p == '\t') {
    has_tab_ = true;
    p = find_stop<ValueBytes>(input.base, p + 1, input.end);
  }
  if (p == input.end) return p;
  if (*p != '\r') return refuse(*p == '\n' ? Fault::line_end : Fault::value_byte);
  Field& field = input.fields[field_count_ - 1];
  const char* const behind_colon = input.base + field.name.offset + field.name.size + 1;
  const std::string_view value = trim_ows({behind_colon, static_cast<std::size_t>(p - behind_colon)});
  field.value = slice_of(input.base, value.data(), value.data() + value.size());
  state_ = State::value_line_feed;
  return p + 1;
}

const char* HeadGuard::refuse(Fault fault) noexcept {
  state_ = State::rejected;
  fault_ = fault;
  return nullptr;
}

Reject HeadGuard::reject() const noexcept {
  switch (fault_) {
    case Fault::none: break;
    case Fault::not_http: return {400, "head does not begin with a method"};
    case Fault::line_end: return {400, "line end is not CRLF"};
    case Fault::empty_lines: return {400, "empty lines before the request"};
    case Fault::method_byte: return {400, "byte in method"};
    case Fault::method_size: return {501, "method too long"};
    case Fault::method_unknown: return {501, "method unknown"};
    case Fault::method_connect: return {501, "CONNECT not served"};
    case Fault::target_empty: return {400, "target empty"};
    case Fault::target_byte: return {400, "byte in target"};
    case Fault::target_size: return {414, "request line too long"};
    case Fault::version_form: return {400, "request line does not end in HTTP/d.d"};
    case Fault::version_unsupported: return {505, "major version is not 1"};
    case Fault::folded: return {400, "field line begins with white space"};
    case Fault::name_empty: return {400, "field name empty"};
    case Fault::name_byte: return {400, "byte in field name"};
    case Fault::value_byte: return {400, "byte in field value"};
    case Fault::too_many_fields: return {431, "too many fields"};
    case Fault::too_large: return {431, "head too large"};
  }
  return {};
}

}  // namespace sluice::http
