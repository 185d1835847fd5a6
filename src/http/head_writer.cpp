// head_writer.cpp: copies of ready pieces, one after the other. head_bound counts the same pieces.
#include "http/head_writer.hpp"

#include <array>
#include <cstring>

namespace sluice::http {
namespace {

struct Line {
  std::uint16_t status;
  std::string_view text;
};

#define SLUICE_LINE(status, reason) {status, "HTTP/1.1 " #status " " reason "\r\n"}
constexpr Line lines[] = {
    SLUICE_LINE(100, "Continue"),
    SLUICE_LINE(101, "Switching Protocols"),
    SLUICE_LINE(102, "Processing"),
    SLUICE_LINE(103, "Early Hints"),
    SLUICE_LINE(200, "OK"),
    SLUICE_LINE(201, "Created"),
    SLUICE_LINE(202, "Accepted"),
    SLUICE_LINE(203, "Non-Authoritative Information"),
    SLUICE_LINE(204, "No Content"),
    SLUICE_LINE(205, "Reset Content"),
    SLUICE_LINE(206, "Partial Content"),
    SLUICE_LINE(207, "Multi-Status"),
    SLUICE_LINE(208, "Already Reported"),
    SLUICE_LINE(226, "IM Used"),
    SLUICE_LINE(300, "Multiple Choices"),
    SLUICE_LINE(301, "Moved Permanently"),
    SLUICE_LINE(302, "Found"),
    SLUICE_LINE(303, "See Other"),
    SLUICE_LINE(304, "Not Modified"),
    SLUICE_LINE(305, "Use Proxy"),
    SLUICE_LINE(307, "Temporary Redirect"),
    SLUICE_LINE(308, "Permanent Redirect"),
    SLUICE_LINE(400, "Bad Request"),
    SLUICE_LINE(401, "Unauthorized"),
    SLUICE_LINE(402, "Payment Required"),
    SLUICE_LINE(403, "Forbidden"),
    SLUICE_LINE(404, "Not Found"),
    SLUICE_LINE(405, "Method Not Allowed"),
    SLUICE_LINE(406, "Not Acceptable"),
    SLUICE_LINE(407, "Proxy Authentication Required"),
    SLUICE_LINE(408, "Request Timeout"),
    SLUICE_LINE(409, "Conflict"),
    SLUICE_LINE(410, "Gone"),
    SLUICE_LINE(411, "Length Required"),
    SLUICE_LINE(412, "Precondition Failed"),
    SLUICE_LINE(413, "Content Too Large"),
    SLUICE_LINE(414, "URI Too Long"),
    SLUICE_LINE(415, "Unsupported Media Type"),
    SLUICE_LINE(416, "Range Not Satisfiable"),
    SLUICE_LINE(417, "Expectation Failed"),
    SLUICE_LINE(418, "I'm a teapot"),
    SLUICE_LINE(421, "Misdirected Request"),
    SLUICE_LINE(422, "Unprocessable Content"),
    SLUICE_LINE(423, "Locked"),
    SLUICE_LINE(424, "Failed Dependency"),
    SLUICE_LINE(425, "Too Early"),
    SLUICE_LINE(426, "Upgrade Required"),
    SLUICE_LINE(428, "Precondition Required"),
    SLUICE_LINE(429, "Too Many Requests"),
    SLUICE_LINE(431, "Request Header Fields Too Large"),
    SLUICE_LINE(451, "Unavailable For Legal Reasons"),
    SLUICE_LINE(500, "Internal Server Error"),
    SLUICE_LINE(501, "Not Implemented"),
    SLUICE_LINE(502, "Bad Gateway"),
    SLUICE_LINE(503, "Service Unavailable"),
    SLUICE_LINE(504, "Gateway Timeout"),
    SLUICE_LINE(505, "HTTP Version Not Supported"),
    SLUICE_LINE(506, "Variant Also Negotiates"),
    SLUICE_LINE(507, "Insufficient Storage"),
    SLUICE_LINE(508, "Loop Detected"),
    SLUICE_LINE(511, "Network Authentication Required"),
};
#undef SLUICE_LINE

// Index into `lines`, plus one; 0 if the status has no name.
constexpr std::size_t status_min = 100;
constexpr std::size_t status_end = 512;
consteval auto make_index() {
  std::array<std::uint8_t, status_end - status_min> index{};
  std::uint8_t place = 0;
  for (const Line& line : lines) index[line.status - status_min] = ++place;
  return index;
}
constexpr auto line_index = make_index();

consteval std::array<char, 200> make_digit_pairs() {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[i * 2] = static_cast<char>('0' + i / 10);
    pairs[i * 2 + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}
constexpr auto digit_pairs = make_digit_pairs();

constexpr std::string_view type_name = "Content-Type: ";
constexpr std::string_view length_name = "Content-Length: ";
constexpr std::string_view chunked_line = "Transfer-Encoding: chunked\r\n";
constexpr std::string_view close_line = "Connection: close\r\n";
constexpr std::string_view keep_alive_line = "Connection: keep-alive\r\n";
constexpr std::size_t status_line_max = 48;  // the longest in the table has 47 bytes
constexpr std::size_t decimal_max = 20;
static_assert(chunked_line.size() <= length_name.size() + decimal_max + 2, "head_bound counts the one or the other");

inline char* put(char* out, std::string_view text) noexcept {
  if (text.empty()) return out;  // its pointer may be null, which memcpy must not see
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

/// The same for what is nearly always 8 to 64 bytes long: two or four moves that may overlap, and no call.
inline char* put_short(char* out, std::string_view text) noexcept {
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

char* put_unnamed_status(char* out, std::uint16_t status) noexcept {
  out = put(out, "HTTP/1.1 ");
  *out++ = static_cast<char>('0' + status / 100 % 10);  // three digits whatever the number
  *out++ = static_cast<char>('0' + status / 10 % 10);
  *out++ = static_cast<char>('0' + status % 10);
  return put(out, " Unknown\r\n");
}

/// Source: RFC 9110 8.6: no Content-Length with 1xx and 204. For 304 it would have to be that of the 200.
bool may_have_length(std::uint16_t status) noexcept { return status >= 200 && status != 204 && status != 304; }

}  // namespace

std::string_view status_line(std::uint16_t status) noexcept {
  if (status < status_min || status >= status_end) return {};
  const std::uint8_t place = line_index[status - status_min];
  return place == 0 ? std::string_view{} : lines[place - 1].text;
}

char* write_decimal(char* out, std::uint64_t number) noexcept {
  char digits[decimal_max];
  char* first = digits + decimal_max;
  while (number >= 100) {
    first -= 2;
    std::memcpy(first, &digit_pairs[number % 100 * 2], 2);
    number /= 100;
  }
  if (number >= 10) {
    first -= 2;
    std::memcpy(first, &digit_pairs[number * 2], 2);
  } else {
    *--first = static_cast<char>('0' + number);
  }
  return put(out, {first, static_cast<std::size_t>(digits + decimal_max - first)});
}

std::size_t head_bound(const ResponseHead& head) noexcept {
  return status_line_max + DateLine::line_size + type_name.size() + head.content_type.size() + 2 + length_name.size() +
         decimal_max + 2 + keep_alive_line.size() + head.fields.size() + 2;
}

char* write_head(char* out, const ResponseHead& head, const DateLine& date, std::string_view body) noexcept {
  if (head.status == 200) {
    out = date.put_ok_start(out);
  } else {
    const std::string_view line = status_line(head.status);
    out = line.empty() ? put_unnamed_status(out, head.status) : put(out, line);
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
