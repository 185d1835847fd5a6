// fields.hpp: the field names this library acts on, and the characters that names and values may consist of.
// In: bytes of a name or value. Out: an identity or a verdict. Any thread; no state, no allocation.
// It must never accept a byte that could end a line (CR, LF, NUL).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::http {

/// Field names that are recognised while parsing, so that nobody has to compare names later.
enum class Known : std::uint8_t {
  other,
  accept,
  accept_charset,
  accept_encoding,
  accept_language,
  access_control_request_headers,
  access_control_request_method,
  authorization,
  baggage,
  cache_control,
  connection,
  content_disposition,
  content_encoding,
  content_language,
  content_length,
  content_range,
  content_type,
  cookie,
  date,
  expect,
  forwarded,
  from,
  host,
  idempotency_key,
  if_match,
  if_modified_since,
  if_none_match,
  if_range,
  if_unmodified_since,
  keep_alive,
  last_event_id,
  origin,
  prefer,
  range,
  referer,
  sec_websocket_extensions,
  sec_websocket_key,
  sec_websocket_protocol,
  sec_websocket_version,
  te,
  trace_parent,
  trace_state,
  trailer,
  transfer_encoding,
  upgrade,
  user_agent,
  via,
  x_forwarded_for,
  x_forwarded_host,
  x_forwarded_proto,
  x_request_id,
};
inline constexpr std::size_t known_count = static_cast<std::size_t>(Known::x_request_id) + 1;
static_assert(known_count <= 64, "head_rules keeps one bit for each");

/// The identity of a field name, compared without case; Known::other if it isn't one of ours.
///   Cost: one table look-up and at most one comparison.
Known recognise(std::string_view name) noexcept;

/// The lower-case name of a known field; empty for Known::other.
std::string_view to_string(Known known) noexcept;

/// Whether two texts are equal when the case of ASCII letters is ignored. No other bytes are folded.
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// The same for a `lower_case` that consists of the letters a to z and '-' only, which is not checked.
///   Cost: eight bytes at a time.
bool equal_to_word(std::string_view text, std::string_view lower_case) noexcept;

namespace detail {
consteval std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = true;
  for (const char c : std::string_view{"!#$%&'*+-.^_`|~"}) table[static_cast<unsigned char>(c)] = true;
  return table;
}
consteval std::array<bool, 256> make_value_table() {
  std::array<bool, 256> table{};
  for (unsigned c = 0x20; c < 256; ++c) table[c] = c != 0x7f;
  table['\t'] = true;
  return table;
}
inline constexpr std::array<bool, 256> token_table = make_token_table();
inline constexpr std::array<bool, 256> value_table = make_value_table();
}  // namespace detail

/// tchar. Source: RFC 9110 5.6.2.
constexpr bool is_token_char(char c) noexcept { return detail::token_table[static_cast<unsigned char>(c)]; }
/// What a field value may hold: HTAB, SP, VCHAR and obs-text. Source: RFC 9110 5.5.
constexpr bool is_value_char(char c) noexcept { return detail::value_table[static_cast<unsigned char>(c)]; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
/// The value of a hexadecimal digit, or -1.
constexpr int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Whether `name` can stand before the colon: one or more token characters.
bool valid_field_name(std::string_view name) noexcept;
/// Whether `value` can stand behind the colon: no CR, LF, NUL, DEL and no other control byte but HTAB.
bool valid_field_value(std::string_view value) noexcept;

/// `text` without SP and HTAB at both ends.
constexpr std::string_view trim_ows(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Takes the next element off a comma-separated list, trimmed; empty elements come out empty.
///   Source: RFC 9110 5.6.1.
constexpr std::string_view take_list_element(std::string_view& list) noexcept {
  const std::size_t comma = list.find(',');
  const std::string_view element = list.substr(0, comma);
  list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  return trim_ows(element);
}

}  // namespace sluice::http
