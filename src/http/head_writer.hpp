// head_writer.hpp: a response's head to bytes.
// In: a ResponseHead and the loop's Date line. Out: bytes in memory the caller owns. Loop thread; no state.
// It must never frame a response that has no body (1xx, 204) and never check fields: whoever made the lines has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

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

/// The most bytes write_head can write for it.
std::size_t head_bound(const ResponseHead& head) noexcept;

/// Writes the head, its empty line included, then `body`, and returns the end. `out` has room for head_bound(head) bytes
/// and the body's.
///   Order: status line, Date, Content-Type, Content-Length, Connection, `fields`.
///   Cost:  copies only, no allocation.
char* write_head(char* out, const ResponseHead& head, const DateLine& date, std::string_view body = {}) noexcept;

/// The status line with its CRLF, for example "HTTP/1.1 404 Not Found\r\n"; empty for a status without a name.
std::string_view status_line(std::uint16_t status) noexcept;

/// Writes the decimal digits and returns the end; at most 20 bytes.
char* write_decimal(char* out, std::uint64_t number) noexcept;

}  // namespace sluice::http
