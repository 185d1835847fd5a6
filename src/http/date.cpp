// date.cpp: civil date from a day count, without locale, time zone or library calls.
#include "http/date.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <tuple>

#include "http/fields.hpp"

namespace sluice::http {
namespace {

constexpr char week_days[] = "ThuFriSatSunMonTueWed";  // 1970-01-01 was a Thursday
constexpr char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr std::int64_t last_second = 253'402'300'799;  // of the year 9999

char* write_two(char* out, std::int64_t number) noexcept {
  out[0] = static_cast<char>('0' + number / 10);
  out[1] = static_cast<char>('0' + number % 10);
  return out + 2;
}

char* write_three(char* out, const char* text, std::int64_t index) noexcept {
  std::memcpy(out, text + index * 3, 3);
  return out + 3;
}

struct Civil {
  std::int64_t year, month, day;  // month from 0, day from 1
};

/// The Gregorian date of a day count since 1970-01-01. Eras of 400 years, years that begin in March.
Civil civil_from_days(std::int64_t days) noexcept {
  const std::int64_t shifted = days + 719'468;  // from 0000-03-01
  const std::int64_t era = shifted / 146'097;
  const std::int64_t day_of_era = shifted % 146'097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const std::int64_t month = month_from_march < 10 ? month_from_march + 2 : month_from_march - 10;
  const std::int64_t year = era * 400 + year_of_era + (month < 2 ? 1 : 0);
  return {year, month, day_of_year - (153 * month_from_march + 2) / 5 + 1};
}

/// The inverse, for years from 0.
std::int64_t days_from_civil(const Civil& date) noexcept {
  const std::int64_t year = date.year + 400 - (date.month < 2 ? 1 : 0);  // an era later, so that nothing is negative
  const std::int64_t era = year / 400;
  const std::int64_t year_of_era = year % 400;
  const std::int64_t month_from_march = (date.month + 10) % 12;
  const std::int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
  const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return (era - 1) * 146'097 + day_of_era - 719'468;
}

bool day_exists(const Civil& date) noexcept {
  constexpr std::uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
  return date.day >= 1 && date.day <= days[date.month] + (leap && date.month == 1 ? 1 : 0);
}

/// Reads a date from front to back. Once something is not as it must be, it stays failed.
class DateReader {
 public:
  explicit DateReader(std::string_view text) noexcept : rest_{text} {}

  void expect(std::string_view text) noexcept {
    if (!rest_.starts_with(text)) return fail();
    rest_.remove_prefix(text.size());
  }
  std::int64_t number(std::size_t digits) noexcept {
    std::int64_t value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (i >= rest_.size() || !is_digit(rest_[i])) return fail(), 0;
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }
  /// Day of asctime: two digits, or a space and one.
  std::int64_t padded_day() noexcept {
    if (!rest_.starts_with(' ')) return number(2);
    expect(" ");
    return number(1);
  }
  /// Which of the three-letter `names` comes next.
  std::int64_t name(std::string_view names) noexcept {
    for (std::size_t at = 0; at < names.size(); at += 3) {
      if (!rest_.starts_with(names.substr(at, 3))) continue;
      rest_.remove_prefix(3);
      return static_cast<std::int64_t>(at / 3);
    }
    return fail(), 0;
  }
  /// The second of the day of "hh:mm:ss"; 86,400 for a leap second.
  std::int64_t time_of_day() noexcept {
    const std::int64_t hour = number(2);
    expect(":");
    const std::int64_t minute = number(2);
    expect(":");
    const std::int64_t second = number(2);
    const bool leap_second = hour == 23 && minute == 59 && second == 60;
    if (hour > 23 || minute > 59 || (second > 59 && !leap_second)) fail();
    return hour * 3'600 + minute * 60 + second;
  }
  bool next_is(char c) const noexcept { return rest_.starts_with(c); }
  bool complete() const noexcept { return !failed_ && rest_.empty(); }

 private:
  void fail() noexcept {
    failed_ = true;
    rest_ = {};
  }

  std::string_view rest_;  // the caller's
  bool failed_ = false;
};

struct Moment {
  Civil date;
  std::int64_t second_of_day;
};

/// "15 Nov 1994 08:12:31 GMT", what follows "Tue, ".
Moment read_fixdate(DateReader& reader) noexcept {
  Moment moment{};
  moment.date.day = reader.number(2);
  reader.expect(" ");
  moment.date.month = reader.name(months);
  reader.expect(" ");
  moment.date.year = reader.number(4);
  reader.expect(" ");
  moment.second_of_day = reader.time_of_day();
  reader.expect(" GMT");
  return moment;
}

/// "Nov 15 08:12:31 1994", what follows "Tue ".
Moment read_asctime(DateReader& reader) noexcept {
  Moment moment{};
  moment.date.month = reader.name(months);
  reader.expect(" ");
  moment.date.day = reader.padded_day();
  reader.expect(" ");
  moment.second_of_day = reader.time_of_day();
  reader.expect(" ");
  moment.date.year = reader.number(4);
  return moment;
}

/// The last year with these two digits for which the moment is not more than 50 years after `now`.
std::int64_t century_year(const Moment& moment, std::int64_t two_digits, std::time_t now) noexcept {
  const std::int64_t time = std::clamp<std::int64_t>(now, 0, last_second);
  const Civil today = civil_from_days(time / 86'400);
  const auto latest = std::tuple{today.year + 50, today.month, today.day, time % 86'400};
  std::int64_t year = (today.year / 100 + 1) * 100 + two_digits;
  while (std::tuple{year, moment.date.month, moment.date.day, moment.second_of_day} > latest) year -= 100;
  return year;
}

/// "15-Nov-94 08:12:31 GMT", what follows "Tuesday, ".
Moment read_rfc850(DateReader& reader, std::time_t now) noexcept {
  Moment moment{};
  moment.date.day = reader.number(2);
  reader.expect("-");
  moment.date.month = reader.name(months);
  reader.expect("-");
  const std::int64_t two_digits = reader.number(2);
  reader.expect(" ");
  moment.second_of_day = reader.time_of_day();
  reader.expect(" GMT");
  moment.date.year = century_year(moment, two_digits, now);
  return moment;
}

}  // namespace

char* write_http_date(char* out, std::time_t seconds) noexcept {
  const std::int64_t time = std::clamp<std::int64_t>(seconds, 0, last_second);
  const std::int64_t days = time / 86'400;
  const std::int64_t second_of_day = time % 86'400;
  const Civil date = civil_from_days(days);
  out = write_three(out, week_days, days % 7);
  *out++ = ',';
  *out++ = ' ';
  out = write_two(out, date.day);
  *out++ = ' ';
  out = write_three(out, months, date.month);
  *out++ = ' ';
  out = write_two(out, date.year / 100);
  out = write_two(out, date.year % 100);
  *out++ = ' ';
  out = write_two(out, second_of_day / 3'600);
  *out++ = ':';
  out = write_two(out, second_of_day / 60 % 60);
  *out++ = ':';
  out = write_two(out, second_of_day % 60);
  std::memcpy(out, " GMT", 4);
  return out + 4;
}

std::optional<std::time_t> parse_http_date(std::string_view text, std::time_t now) noexcept {
  constexpr std::string_view rest_of_names[] = {"rsday", "day", "urday", "day", "day", "sday", "nesday"};
  DateReader reader{text};
  const std::int64_t week_day = reader.name(week_days);
  Moment moment{};
  if (reader.next_is(',')) {
    reader.expect(", ");
    moment = read_fixdate(reader);
  } else if (reader.next_is(' ')) {
    reader.expect(" ");
    moment = read_asctime(reader);
  } else {
    reader.expect(rest_of_names[week_day]);
    reader.expect(", ");
    moment = read_rfc850(reader, now);
  }
  if (!reader.complete() || !day_exists(moment.date) || moment.date.year > 9'999) return std::nullopt;
  return static_cast<std::time_t>(days_from_civil(moment.date) * 86'400 + moment.second_of_day);
}

DateLine::DateLine(std::time_t now) noexcept {
  static constexpr char start[] = "HTTP/1.1 200 OK\r\nDate: ";
  static_assert(sizeof start - 1 == status_size + 6);
  std::memcpy(text_, start, sizeof start - 1);
  std::memcpy(text_ + sizeof text_ - 2, "\r\n", 2);
  render(now);
}

void DateLine::render(std::time_t now) noexcept {
  second_ = now;
  write_http_date(text_ + status_size + 6, now);
}

}  // namespace sluice::http
