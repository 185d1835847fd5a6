// head_writer.hpp: a response's head to bytes.
// In: a ResponseHead and the loop's Date line. Out: bytes in memory the caller owns. Loop thread; no state.
// It must never frame a response that has no body (1xx, 204) and never check fields: whoever made the lines has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/inline.hpp"
#include "http/date.hpp"

namespace sluice::http {

/// What the head is made of. Views belong to the response and must outlive the call.
struct ResponseHead {
  enum class Connection : std::uint8_t { implicit, close, keep_alive };

  std::uint16_t status = 200;
  std::string_view content_type{};  // no Content-Type line if empty
  std::string_view fields{};        // whole lines, each ending in CRLF
  std::uint64_t content_length = 0;
  Connection connection = Connection::implicit;
  bool length = true;  // write Content-Length; not done for 1xx, 204 and 304 in any case
  bool chunked = false;  // write Transfer-Encoding in its place
};

namespace detail {
inline constexpr std::string_view type_name = "Content-Type: ";
inline constexpr std::string_view length_name = "Content-Length: ";
inline constexpr std::string_view chunked_line = "Transfer-Encoding: chunked\r\n";
inline constexpr std::string_view close_line = "Connection: close\r\n";
inline constexpr std::string_view keep_alive_line = "Connection: keep-alive\r\n";
inline constexpr std::size_t status_line_max = 48;  // the longest in the table has 47 bytes
inline constexpr std::size_t decimal_max = 20;
static_assert(chunked_line.size() <= length_name.size() + decimal_max + 2, "head_bound counts the one or the other");

SLUICE_INLINE char* put(char* out, std::string_view text) noexcept {
  if (text.empty()) return out;  // its pointer may be null, which memcpy must not see
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

/// The same for what is nearly always 8 to 64 bytes long: two or four moves that may overlap, and no call.
SLUICE_INLINE char* put_short(char* out, std::string_view text) noexcept {
  const std::size_t size = text.size();
  if (size < 8 || size > 64) return put(out, text);
  const char* const from = text.data();
  if (size < 16) {
    std::memcpy(out, from, 8);
    std::memcpy(out + size - 8, from + size - 8, 8);
    return out + size;
  }
  if (size > 32) {
    std::memcpy(out + 16, from + 16, 16);
    std::memcpy(out + size - 32, from + size - 32, 16);
  }
  std::memcpy(out, from, 16);
  std::memcpy(out + size - 16, from + size - 16, 16);
  return out + size;
}

/// Source: RFC 9110 8.6: no Content-Length with 1xx and 204. For 304 it would have to be that of the 200.
constexpr bool may_have_length(std::uint16_t status) noexcept {
  return status == 200 || (status > 200 && status != 204 && status != 304);
}
}  // namespace detail

/// The most bytes write_head can write for it.
inline std::size_t head_bound(const ResponseHead& head) noexcept {
  using namespace detail;
  return status_line_max + DateLine::line_size + type_name.size() + head.content_type.size() + 2 + length_name.size() +
         decimal_max + 2 + keep_alive_line.size() + head.fields.size() + 2;
}

/// Writes the head, its empty line included, then `body`, and returns the end. `out` has room for head_bound(head) bytes
/// and the body's.
///   Order: status line, Date, Content-Type, Content-Length, Connection, `fields`.
///   Cost:  copies only, no allocation.
char* write_head(char* out, const ResponseHead& head, const DateLine& date, std::string_view body = {}) noexcept;

/// The status line with its CRLF, for example "HTTP/1.1 404 Not Found\r\n"; empty for a status without a name.
std::string_view status_line(std::uint16_t status) noexcept;

/// Writes the decimal digits and returns the end; at most 20 bytes.
char* write_decimal(char* out, std::uint64_t number) noexcept;

/// The status line of a status that is not 200, with one for those that have no name.
char* put_status(char* out, std::uint16_t status) noexcept;

/// As write_head, where the call would cost as much as what it does.
SLUICE_INLINE char* compose_head(char* out, const ResponseHead& head, const DateLine& date,
                                 std::string_view body) noexcept {
  using namespace detail;
  if (head.status == 200) [[likely]] {
    out = date.put_ok_start(out);
  } else {
    out = put_status(out, head.status);
    out = put(out, date.line());
  }
  if (!head.content_type.empty()) {
    out = put(out, type_name);
    out = put_short(out, head.content_type);
    out = put(out, "\r\n");
  }
  if (head.chunked) {
    out = put(out, chunked_line);
  } else if (head.length && may_have_length(head.status)) {
    out = put(out, length_name);
    out = write_decimal(out, head.content_length);
    out = put(out, "\r\n");
  }
  switch (head.connection) {
    case ResponseHead::Connection::implicit: break;
    case ResponseHead::Connection::close: out = put(out, close_line); break;
    case ResponseHead::Connection::keep_alive: out = put(out, keep_alive_line); break;
  }
  out = put(out, head.fields);
  out = put(out, "\r\n");
  return put_short(out, body);
}

}  // namespace sluice::http
