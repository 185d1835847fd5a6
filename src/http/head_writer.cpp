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

char* put_unnamed_status(char* out, std::uint16_t status) noexcept {
  out = detail::put(out, "HTTP/1.1 ");
  *out++ = static_cast<char>('0' + status / 100 % 10);  // three digits whatever the number
  *out++ = static_cast<char>('0' + status / 10 % 10);
  *out++ = static_cast<char>('0' + status % 10);
  return detail::put(out, " Unknown\r\n");
}

}  // namespace

std::string_view status_line(std::uint16_t status) noexcept {
  if (status < status_min || status >= status_end) return {};
  const std::uint8_t place = line_index[status - status_min];
  return place == 0 ? std::string_view{} : lines[place - 1].text;
}

char* write_decimal(char* out, std::uint64_t number) noexcept {
  std::size_t size = 1;
  for (std::uint64_t rest = number; rest >= 10; rest /= 10) ++size;
  char* const end = out + size;
  char* p = end;
  for (; number >= 100; number /= 100) {
    p -= 2;
    std::memcpy(p, &digit_pairs[number % 100 * 2], 2);
  }
  if (number >= 10) std::memcpy(out, &digit_pairs[number * 2], 2);
  else *out = static_cast<char>('0' + number);
  return end;
}

char* put_status(char* out, std::uint16_t status) noexcept {
  const std::string_view line = status_line(status);
  return line.empty() ? put_unnamed_status(out, status) : detail::put(out, line);
}

char* write_head(char* out, const ResponseHead& head, const DateLine& date, std::string_view body) noexcept {
  return compose_head(out, head, date, body);
}

}  // namespace sluice::http
