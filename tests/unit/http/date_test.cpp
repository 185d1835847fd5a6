// date_test.cpp: the Date line against the C library's calendar.
#include "http/date.hpp"

#include <gtest/gtest.h>

#include <ctime>
#include <string>

namespace sluice::http {
namespace {

std::string date_of(std::time_t seconds) {
  char text[http_date_size];
  EXPECT_EQ(write_http_date(text, seconds), text + http_date_size);
  return {text, sizeof text};
}

TEST(Date, ExampleOfTheRfcComesOut) { EXPECT_EQ(date_of(784'887'151), "Tue, 15 Nov 1994 08:12:31 GMT"); }

TEST(Date, AgreesWithTheCalendarOverEightThousandYears) {
  for (std::time_t time = 0; time < 253'402'300'799; time += 86'399 * 7 + 3) {
    std::tm parts{};
    gmtime_r(&time, &parts);
    char wanted[40];
    std::strftime(wanted, sizeof wanted, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    ASSERT_EQ(date_of(time), wanted) << time;
  }
}

TEST(Date, AgreesWithTheCalendarOnEveryDayOfThisCentury) {
  for (std::time_t time = 946'684'800; time < 4'102'444'800; time += 86'400) {
    std::tm parts{};
    gmtime_r(&time, &parts);
    char wanted[40];
    std::strftime(wanted, sizeof wanted, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    ASSERT_EQ(date_of(time), wanted) << time;
  }
}

TEST(Date, TimesOutsideTheFormatAreClamped) {
  EXPECT_EQ(date_of(-1), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(date_of(253'402'300'800), "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(DateLine, ChangesWithTheSecondOnly) {
  DateLine line{784'887'151};
  EXPECT_EQ(line.line(), "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n");
  EXPECT_EQ(line.ok_start(), "HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\n");
  EXPECT_EQ(line.date(), "Tue, 15 Nov 1994 08:12:31 GMT");
  line.update(784'887'152);
  EXPECT_EQ(line.date(), "Tue, 15 Nov 1994 08:12:32 GMT");
  line.update(784'887'151);  // a clock set back is followed
  EXPECT_EQ(line.date(), "Tue, 15 Nov 1994 08:12:31 GMT");
}

}  // namespace
}  // namespace sluice::http
