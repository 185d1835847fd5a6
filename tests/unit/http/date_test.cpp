// date_test.cpp: the Date line against the C library's calendar.
#include "http/date.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <ctime>
#include <optional>
#include <random>
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

constexpr std::time_t in_2026 = 1'780'000'000;

std::optional<std::time_t> read_date(std::string_view text, std::time_t now = in_2026) {
  return parse_http_date(text, now);
}

TEST(ParseDate, TakesTheThreeFormatsOfTheRfc) {
  EXPECT_EQ(read_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784'111'777);
  EXPECT_EQ(read_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784'111'777);
  EXPECT_EQ(read_date("Sun Nov  6 08:49:37 1994"), 784'111'777);
  EXPECT_EQ(read_date("Wed Nov 16 08:49:37 1994"), 784'975'777);
}

TEST(ParseDate, ReadsBackWhatIsWritten) {
  std::mt19937_64 random{20'260'101};
  for (int round = 0; round < 20'000; ++round) {
    const auto time = static_cast<std::time_t>(random() % 253'402'300'800);
    ASSERT_EQ(read_date(date_of(time)), time);
  }
}

TEST(ParseDate, ReadsBackTheOlderFormatsOfEveryDay) {
  for (std::time_t time = 946'684'800; time < 3'000'000'000; time += 86'399) {
    std::tm parts{};
    gmtime_r(&time, &parts);
    char text[60];
    std::strftime(text, sizeof text, "%A, %d-%b-%y %H:%M:%S GMT", &parts);
    ASSERT_EQ(read_date(text), time) << text;
    std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &parts);
    ASSERT_EQ(read_date(text), time) << text;
  }
}

TEST(ParseDate, TwoDigitYearIsNoMoreThanFiftyYearsAhead) {
  const std::time_t now = *read_date("Thu, 16 Jul 2026 12:00:00 GMT");
  EXPECT_EQ(read_date("Thursday, 16-Jul-76 12:00:00 GMT", now), read_date("Thu, 16 Jul 2076 12:00:00 GMT"));
  EXPECT_EQ(read_date("Friday, 16-Jul-76 12:00:01 GMT", now), read_date("Fri, 16 Jul 1976 12:00:01 GMT"));
  EXPECT_EQ(read_date("Sunday, 01-Jan-77 00:00:00 GMT", now), read_date("Sat, 01 Jan 1977 00:00:00 GMT"));
  const std::time_t in_1999 = *read_date("Fri, 31 Dec 1999 00:00:00 GMT");
  EXPECT_EQ(read_date("Saturday, 01-Jan-00 00:00:00 GMT", in_1999), 946'684'800);
  EXPECT_EQ(read_date("Sunday, 06-Nov-94 08:49:37 GMT", in_1999), 784'111'777);
}

TEST(ParseDate, LeapDayDependsOnTheCentury) {
  EXPECT_EQ(read_date("Tue, 29 Feb 2000 00:00:00 GMT"), 951'782'400);
  EXPECT_FALSE(read_date("Thu, 29 Feb 1900 00:00:00 GMT"));
  EXPECT_FALSE(read_date("Sun, 29 Feb 2026 00:00:00 GMT"));
  EXPECT_EQ(read_date("Tuesday, 29-Feb-00 00:00:00 GMT"), 951'782'400);
  const std::time_t in_2060 = *read_date("Thu, 01 Jan 2060 00:00:00 GMT");
  EXPECT_FALSE(read_date("Sunday, 29-Feb-00 00:00:00 GMT", in_2060));  // 2100 has none
}

TEST(ParseDate, LeapSecondIsTheNextMidnight) {
  EXPECT_EQ(read_date("Sat, 31 Dec 2016 23:59:60 GMT"), read_date("Sun, 01 Jan 2017 00:00:00 GMT"));
  EXPECT_FALSE(read_date("Sat, 31 Dec 2016 23:58:60 GMT"));
  EXPECT_FALSE(read_date("Sat, 31 Dec 2016 23:59:61 GMT"));
}

TEST(ParseDate, TakesYearsOutsideOfWhatIsWritten) {
  EXPECT_EQ(read_date("Wed, 31 Dec 1969 23:59:59 GMT"), -1);
  EXPECT_EQ(read_date("Sat, 01 Jan 0000 00:00:00 GMT"), -62'167'219'200);
  EXPECT_EQ(read_date("Fri, 31 Dec 9999 23:59:59 GMT"), 253'402'300'799);
}

TEST(ParseDate, MalformedDatesAreNone) {
  for (const std::string_view text : {"",
                                      " ",
                                      "Sun",
                                      "Sun,",
                                      "Sun, ",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 06 Nov 1994 08:49:37 UTC",
                                      "Sun, 06 Nov 1994 08:49:37 gmt",
                                      "Sun, 06 Nov 1994 08:49:37 GMT ",
                                      " Sun, 06 Nov 1994 08:49:37 GMT",
                                      "sun, 06 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 nov 1994 08:49:37 GMT",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",
                                      "Sun,06 Nov 1994 08:49:37 GMT",
                                      "Sun, 06  Nov 1994 08:49:37 GMT",
                                      "Sun, 00 Nov 1994 08:49:37 GMT",
                                      "Sun, 31 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 94 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:00:00 GMT",
                                      "Sun, 06 Nov 1994 08:60:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:3 GMT",
                                      "Sun, 06 Nov 1994 8:49:37 GMT",
                                      "Sun, 06 Nov 1994 08.49.37 GMT",
                                      "Sun, -6 Nov 1994 08:49:37 GMT",
                                      "Son, 06 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
                                      "Sun, 06-Nov-94 08:49:37 GMT",
                                      "Sunday, 06-Nov-1994 08:49:37 GMT",
                                      "Sunday, 06 Nov 94 08:49:37 GMT",
                                      "Sunsday, 06-Nov-94 08:49:37 GMT",
                                      "Sun Nov 6 08:49:37 1994",
                                      "Sun Nov 06 08:49:37 94",
                                      "Sun Nov  6 08:49:37 1994 GMT",
                                      "Sun Nov 16 08:49:37",
                                      "784111777",
                                      "1994-11-06T08:49:37Z"}) {
    EXPECT_FALSE(read_date(text)) << text;
  }
}

TEST(ParseDate, EveryCutOfADateIsNone) {
  for (const std::string_view text :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
    for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(read_date(text.substr(0, size))) << size;
  }
}

TEST(DateLine, ChangesWithTheSecondOnly) {
  DateLine line{784'887'151};
  EXPECT_EQ(line.line(), "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n");
  std::string start(DateLine::ok_start_size, '?');
  EXPECT_EQ(line.put_ok_start(start.data()), start.data() + start.size());
  EXPECT_EQ(start, "HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\n");
  EXPECT_EQ(line.date(), "Tue, 15 Nov 1994 08:12:31 GMT");
  line.update(784'887'152);
  EXPECT_EQ(line.date(), "Tue, 15 Nov 1994 08:12:32 GMT");
  line.update(784'887'151);  // a clock set back is followed
  EXPECT_EQ(line.date(), "Tue, 15 Nov 1994 08:12:31 GMT");
}

}  // namespace
}  // namespace sluice::http
