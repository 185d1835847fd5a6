// date.hpp: HTTP's dates, written and read; the Date field, rendered once per second.
// In: seconds since 1970, or text. Out: ready lines, or seconds. Functions on any thread, DateLine on its loop's.
// It must never read a clock itself.
#pragma once

#include <cstddef>
#include <cstring>
#include <ctime>
#include <optional>
#include <string_view>

namespace sluice::http {

inline constexpr std::size_t http_date_size = 29;

/// Writes the 29 bytes of an IMF-fixdate, for example "Tue, 15 Nov 1994 08:12:31 GMT"; returns the end.
///   Range: years 1970 to 9999; what lies outside is clamped. Source: RFC 9110 5.6.7.
char* write_http_date(char* out, std::time_t seconds) noexcept;

/// The seconds since 1970 of a date in one of HTTP's three formats, or nothing: IMF-fixdate, RFC 850's and asctime's.
///   Strict:  letter case, spaces and number of digits as written there, days that exist, second 60 only in 23:59:60.
///            The day's name must be one, but is not compared with the date.
///   RFC 850: of the years that end in the two digits, the last that is no more than 50 years after `now`.
///   Range:   years 0000 to 9999, so that the result may be negative. Source: RFC 9110 5.6.7.
std::optional<std::time_t> parse_http_date(std::string_view text, std::time_t now) noexcept;

/// The current Date line. Views stay valid, but change with the next update.
class DateLine {
 public:
  DateLine() noexcept : DateLine(0) {}
  explicit DateLine(std::time_t now) noexcept;

  /// Renders anew if the second changed.
  void update(std::time_t now) noexcept {
    if (now != second_) render(now);
  }
  /// "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n"
  std::string_view line() const noexcept { return {text_ + status_size, line_size}; }
  /// Writes "HTTP/1.1 200 OK\r\n" and the Date line, the start of most answers, and returns the end.
  ///   Units: ok_start_size bytes, so that it is one copy of a fixed size.
  char* put_ok_start(char* out) const noexcept {
    std::memcpy(out, text_, ok_start_size);
    return out + ok_start_size;
  }
  /// Only the date itself.
  std::string_view date() const noexcept { return {text_ + status_size + 6, http_date_size}; }

  static constexpr std::size_t line_size = 6 + http_date_size + 2;
  static constexpr std::size_t ok_start_size = 17 + line_size;

 private:
  static constexpr std::size_t status_size = ok_start_size - line_size;
  void render(std::time_t now) noexcept;

  std::time_t second_;
  char text_[status_size + line_size];
};

}  // namespace sluice::http
