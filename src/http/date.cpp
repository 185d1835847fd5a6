// date.cpp: civil date from a day count, without locale, time zone or library calls.
#include "http/date.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

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
