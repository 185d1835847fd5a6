// value_test.cpp: text to typed value, strictly.
#include <sluice/value.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>

namespace sluice {
namespace {

using namespace std::string_view_literals;

static_assert(Value<int> && Value<std::uint64_t> && Value<bool> && Value<double> && Value<std::string>);
static_assert(Value<std::int8_t> && Value<std::uint8_t> && Value<float> && Value<long double>);
static_assert(!Value<char> && !Value<wchar_t> && !Value<char8_t> && !Value<char32_t> && !Value<const int>);
static_assert(!Value<std::string_view> && !Value<const char*> && !Value<void>);

TEST(ParseValue, ReadsWholeNumbers) {
  EXPECT_EQ(parse_value<int>("0"), 0);
  EXPECT_EQ(parse_value<int>("-17"), -17);
  EXPECT_EQ(parse_value<int>("007"), 7);
  EXPECT_EQ(parse_value<std::int64_t>("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(parse_value<std::uint64_t>("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(parse_value<std::int8_t>("-128"), std::int8_t{-128});
}

TEST(ParseValue, RefusesNumbersThatDoNotFit) {
  EXPECT_FALSE(parse_value<std::int8_t>("128"));
  EXPECT_FALSE(parse_value<std::uint8_t>("256"));
  EXPECT_FALSE(parse_value<unsigned>("-1"));
  EXPECT_FALSE(parse_value<unsigned>("-0"));
  EXPECT_FALSE(parse_value<std::uint64_t>("18446744073709551616"));
  EXPECT_FALSE(parse_value<std::int64_t>(std::string(1000, '9')));
  EXPECT_FALSE(parse_value<double>("1e400"));
}

TEST(ParseValue, TakesTheWholeTextOrNothing) {
  for (const std::string_view text : {""sv, " 1"sv, "1 "sv, "+1"sv, "1a"sv, "0x10"sv, "--1"sv, "-"sv, "1,000"sv,
                                      "1\n"sv, "1\0"sv, "\0"sv, "\xD9\xA1"sv}) {
    EXPECT_FALSE(parse_value<int>(text)) << text;
    EXPECT_FALSE(parse_value<std::uint64_t>(text)) << text;
    EXPECT_FALSE(parse_value<double>(text)) << text;
  }
  EXPECT_FALSE(parse_value<int>("1.0"));
  EXPECT_FALSE(parse_value<int>("1e3"));
}

TEST(ParseValue, ReadsNumbersWithAFraction) {
  EXPECT_EQ(parse_value<double>("1.5"), 1.5);
  EXPECT_EQ(parse_value<double>("-2e-3"), -2e-3);
  EXPECT_EQ(parse_value<float>("0.25"), 0.25F);
  EXPECT_EQ(parse_value<double>("7"), 7.0);
}

TEST(ParseValue, RefusesInfinitiesAndNan) {
  for (const std::string_view text : {"inf"sv, "-inf"sv, "INFINITY"sv, "nan"sv, "NaN"sv, "-nan"sv, "nan(1)"sv}) {
    EXPECT_FALSE(parse_value<double>(text)) << text;
    EXPECT_FALSE(parse_value<float>(text)) << text;
    EXPECT_FALSE(parse_value<long double>(text)) << text;
  }
}

TEST(ParseValue, ReadsFourWordsAsBool) {
  EXPECT_EQ(parse_value<bool>("true"), true);
  EXPECT_EQ(parse_value<bool>("1"), true);
  EXPECT_EQ(parse_value<bool>("false"), false);
  EXPECT_EQ(parse_value<bool>("0"), false);
  for (const std::string_view text : {""sv, "True"sv, "yes"sv, "2"sv, "01"sv, "true "sv, "on"sv}) {
    EXPECT_FALSE(parse_value<bool>(text)) << text;
  }
}

TEST(ParseValue, TakesAnyTextAsText) {
  EXPECT_EQ(parse_value<std::string>(""), "");
  EXPECT_EQ(parse_value<std::string>("a\0b"sv), "a\0b"sv);
}

TEST(ParseValue, ReadsBackWhatWasWritten) {
  std::mt19937_64 random{20240611};
  for (int i = 0; i < 10'000; ++i) {
    const auto number = static_cast<std::int64_t>(random() >> (random() % 64));
    EXPECT_EQ(parse_value<std::int64_t>(std::to_string(number)), number);
    EXPECT_EQ(parse_value<std::int64_t>(std::to_string(-number)), -number);
  }
}

TEST(ValueName, CompletesTheSentenceMustBe) {
  EXPECT_EQ(value_name<std::uint16_t>(), "a whole number from 0");
  EXPECT_EQ(value_name<int>(), "a whole number");
  EXPECT_EQ(value_name<double>(), "a number");
  EXPECT_EQ(value_name<bool>(), "true or false");
  EXPECT_EQ(value_name<std::string>(), "text");
}

}  // namespace
}  // namespace sluice
