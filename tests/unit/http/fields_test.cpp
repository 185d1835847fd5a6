// fields_test.cpp: recognition of field names and the character rules.
#include "http/fields.hpp"

#include <gtest/gtest.h>

#include <cctype>
#include <string>

namespace sluice::http {
namespace {

TEST(Fields, EveryKnownNameIsRecognisedInAnyCase) {
  for (std::size_t i = 1; i < known_count; ++i) {
    const auto known = static_cast<Known>(i);
    std::string name{to_string(known)};
    ASSERT_FALSE(name.empty());
    EXPECT_EQ(recognise(name), known) << name;
    for (char& c : name) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(recognise(name), known) << name;
    name[0] = static_cast<char>(std::tolower(name[0]));
    EXPECT_EQ(recognise(name), known) << name;
  }
}

TEST(Fields, NamesStandInTheOrderOfTheEnumeration) {
  EXPECT_EQ(recognise("Host"), Known::host);
  EXPECT_EQ(recognise("Content-Length"), Known::content_length);
  EXPECT_EQ(recognise("Transfer-Encoding"), Known::transfer_encoding);
  EXPECT_EQ(recognise("Connection"), Known::connection);
  EXPECT_EQ(recognise("Expect"), Known::expect);
  EXPECT_EQ(recognise("TE"), Known::te);
  EXPECT_EQ(recognise("Trailer"), Known::trailer);
  EXPECT_EQ(recognise("Upgrade"), Known::upgrade);
  EXPECT_EQ(recognise("If-Unmodified-Since"), Known::if_unmodified_since);
  EXPECT_EQ(recognise("X-Request-ID"), Known::x_request_id);
}

TEST(Fields, EveryOneByteChangeOfAKnownNameIsAnotherName) {
  for (std::size_t i = 1; i < known_count; ++i) {
    const std::string name{to_string(static_cast<Known>(i))};
    for (std::size_t at = 0; at < name.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string changed = name;
        changed[at] = static_cast<char>(byte);
        if (equal_ignoring_case(changed, name)) continue;
        EXPECT_NE(recognise(changed), static_cast<Known>(i)) << name << " with byte " << byte << " at " << at;
      }
    }
    EXPECT_EQ(recognise(name + "x"), Known::other);
    EXPECT_NE(recognise(name.substr(1)), static_cast<Known>(i));
  }
  EXPECT_EQ(recognise(""), Known::other);
  EXPECT_EQ(recognise("Content_Length"), Known::other);
  EXPECT_EQ(recognise("content\rlength"), Known::other);
  EXPECT_EQ(recognise(std::string(1000, 'x')), Known::other);
}

TEST(Fields, CaseFoldingTouchesLettersOnly) {
  EXPECT_TRUE(equal_ignoring_case("aBc-1", "AbC-1"));
  EXPECT_TRUE(equal_ignoring_case("", ""));
  EXPECT_FALSE(equal_ignoring_case("a", "ab"));
  EXPECT_FALSE(equal_ignoring_case("@", "`"));
  EXPECT_FALSE(equal_ignoring_case("[", "{"));
  EXPECT_FALSE(equal_ignoring_case("\xc9", "\xe9"));
}

TEST(Fields, NamesAreTokens) {
  EXPECT_TRUE(valid_field_name("X-Custom_1!"));
  for (const char* name : {"", "a b", "a:", "a\t", "a\r", "(", "\x7f", "\xe9", "a\"", "a/b"}) {
    EXPECT_FALSE(valid_field_name(name)) << name;
  }
}

TEST(Fields, ValuesHoldNoLineEndsAndNoControlBytes) {
  EXPECT_TRUE(valid_field_value(""));
  EXPECT_TRUE(valid_field_value("a\tb \xe9~"));
  for (int byte = 0; byte < 256; ++byte) {
    const std::string value{'a', static_cast<char>(byte)};
    EXPECT_EQ(valid_field_value(value), byte == '\t' || (byte >= 0x20 && byte != 0x7f)) << byte;
  }
}

TEST(Fields, ListsComeApartAndOwsFallsOff) {
  std::string_view list = " a ,\tb\t,, c";
  EXPECT_EQ(take_list_element(list), "a");
  EXPECT_EQ(take_list_element(list), "b");
  EXPECT_EQ(take_list_element(list), "");
  EXPECT_EQ(take_list_element(list), "c");
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(trim_ows(" \t "), "");
  EXPECT_EQ(trim_ows("\x0b x"), "\x0b x");
}

}  // namespace
}  // namespace sluice::http
