// target_test.cpp: forms of the target, authorities, decoding and the query's pairs.
#include "http/target.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::http {
namespace {

TEST(Target, PartsAreViewsOfTheRawText) {
  const auto origin = read_target("/a%2fb?c=d?e", Method::get);
  ASSERT_TRUE(origin);
  EXPECT_EQ(origin->path, "/a%2fb");
  EXPECT_EQ(origin->query, "c=d?e");
  EXPECT_EQ(origin->authority, "");
  const auto absolute = read_target("hTTps://Example.com:8443?x", Method::get);
  ASSERT_TRUE(absolute);
  EXPECT_EQ(absolute->path, "");
  EXPECT_EQ(absolute->query, "x");
  EXPECT_EQ(absolute->authority, "Example.com:8443");
  EXPECT_EQ(absolute->default_port, "443");
  EXPECT_EQ(read_target("/?", Method::get)->query, "");
}

TEST(Target, OtherFormsAreRefused) {
  for (const char* text : {"", "*", "h:80", "foo", "http:", "http:/", "http://", "HTTP//h", "urn:x", "?x"}) {
    EXPECT_FALSE(read_target(text, Method::get)) << text;
  }
  EXPECT_TRUE(read_target("*", Method::options));
}

TEST(Target, PathsThatClimbAreRefusedHoweverTheyAreWritten) {
  for (const char* text :
       {"/..", "/.", "/a/../b", "/%2e", "/%2E%2e/", "/.%2e", "/a%2f..%2fb", "/a/..%2f", "/..?q", "http://h/.."}) {
    EXPECT_FALSE(read_target(text, Method::get)) << text;
  }
  for (const char* text : {"/...", "/..a", "/a..", "/a.b/.c", "/%2e%2e%2e", "/%252e%252e", "/?..", "/a/..;x"}) {
    EXPECT_TRUE(read_target(text, Method::get)) << text;
  }
}

TEST(Target, EveryByteIsJudgedInPathAndQuery) {
  const std::string plain = "-_~!$&'()*+,;=:@/.";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool is_letter_or_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool legal = is_letter_or_digit || (c != '\0' && plain.find(c) != std::string::npos);
    EXPECT_EQ(read_target("/x" + std::string(1, c) + "x", Method::get).has_value(), legal || c == '?') << byte;
    const bool legal_in_query = legal || c == '?' || c == '[' || c == ']';
    EXPECT_EQ(read_target("/?x" + std::string(1, c) + "x", Method::get).has_value(), legal_in_query) << byte;
  }
}

TEST(Target, AuthoritiesComeApart) {
  const auto address = read_authority("[2001:db8::1]:8080");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->host, "[2001:db8::1]");
  EXPECT_EQ(address->port, "8080");
  const auto name = read_authority("h:");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->host, "h");
  EXPECT_EQ(name->port, "");
  for (const char* text : {"", ":", "[", "[]", "[::1", "::1", "[::1]]", "[::1]80", "h:80:", "h: 80", "u@h", "h,i", "h%",
                           "%20", "[1.2.3.4]"}) {
    EXPECT_FALSE(read_authority(text)) << text;
  }
  EXPECT_FALSE(read_authority(std::string(256, 'h')));
  EXPECT_FALSE(read_authority(std::string("[::1\0]", 6)));
}

TEST(Target, DecodingIsExact) {
  std::string out = "x";
  EXPECT_TRUE(percent_decode("%41+%2b%c3%A9", out, false));
  EXPECT_EQ(out, "xA++\xc3\xa9");
  out.clear();
  EXPECT_TRUE(percent_decode("a+b%2B", out, true));
  EXPECT_EQ(out, "a b+");
  for (const char* bad : {"%", "%4", "%4g", "%g4", "%%41", "a%"}) {
    out.clear();
    EXPECT_FALSE(percent_decode(bad, out, true)) << bad;
  }
}

TEST(Target, QueryPairsComeInOrder) {
  std::vector<std::string> pairs;
  QueryScan scan{"a=1&&b&c=&=d&e=f=g&"};
  while (const auto pair = scan.next()) pairs.push_back(std::string{pair->name} + "|" + std::string{pair->value});
  EXPECT_EQ(pairs, (std::vector<std::string>{"a|1", "b|", "c|", "|d", "e|f=g"}));
  EXPECT_FALSE(QueryScan{""}.next());
}

TEST(Target, NamesMatchDecoded) {
  EXPECT_TRUE(matches("a%20b+c", "a b c"));
  EXPECT_TRUE(matches("", ""));
  EXPECT_FALSE(matches("a", "ab"));
  EXPECT_FALSE(matches("ab", "a"));
  EXPECT_FALSE(matches("%6", "%6"));
  EXPECT_TRUE(matches("%C3%A9", "\xc3\xa9"));
}

}  // namespace
}  // namespace sluice::http
