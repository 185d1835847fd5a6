// target_test.cpp: forms of the target, authorities, decoding and the query's pairs.
#include "http/target.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
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

/// The target, or the host, as it lies in a head.
struct InHead {
  std::string head;
  std::string_view text;

  InHead(std::string before, const std::string& what, const std::string& behind)
      : head{before + what + behind}, text{std::string_view{head}.substr(before.size(), what.size())} {}
};

TEST(Target, WhatIsTakenAsUsualAlsoPassesTheCloseLook) {
  // Short ones are looked at byte by byte, others in strides; what stops a stride may lie in any part of one.
  for (const std::size_t before : {0u, 1u, 14u, 15u, 16u, 40u}) {
    for (int byte = 0; byte < 256; ++byte) {
      for (const char* shape : {"/%", "/a/%", "/a%b", "/x?%", "/x?a%b", "/%?c", "%"}) {
        std::string target = shape;
        const std::string padding(before, 'p');
        const bool in_query = target.find('?') < target.find('%');
        if (in_query) target.insert(target.find('?') + 1, padding);
        else if (target.front() == '/') target.insert(1, padding);
        target[target.find('%')] = static_cast<char>(byte);
        const InHead usual{"GET ", target, " HTTP/1.1\r\n\r\n"};
        const std::size_t path_size = usual_path_size(usual.text, usual.head);
        const auto close_look = read_target(target, Method::get);
        if (path_size != not_usual) {
          ASSERT_TRUE(close_look) << target;
          EXPECT_EQ(close_look->path.size(), path_size) << target;
        }
        const char c = static_cast<char>(byte);
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        EXPECT_TRUE(path_size != not_usual || !plain || target.front() != '/') << target << " would be slow";
      }
    }
  }
  const InHead climbing{"GET ", "/a-long-enough-folder/../x", " HTTP/1.1\r\n\r\n"};
  EXPECT_EQ(usual_path_size(climbing.text, climbing.head), not_usual);
}

TEST(Target, AHostTakenAsUsualAlsoPassesTheCloseLook) {
  for (const std::size_t size : {1u, 2u, 15u, 16u, 17u, 60u, 255u, 256u}) {
    for (int byte = 0; byte < 256; ++byte) {
      for (const std::size_t place : {std::size_t{0}, size / 2, size - 1}) {
        std::string host(size, 'h');
        host[place] = static_cast<char>(byte);
        const InHead usual{"GET / HTTP/1.1\r\nHost: ", host, "\r\n\r\n"};
        if (!is_usual_host(usual.text, usual.head)) continue;
        const auto close_look = read_authority(host);
        ASSERT_TRUE(close_look) << host;
        EXPECT_EQ(close_look->host, host);
      }
    }
  }
  for (const char* name : {"a", "127.0.0.1", "www.example.com", "a-name-that-needs-more-than-one.stride.example"}) {
    const InHead usual{"Host: ", name, "\r\n\r\n"};
    EXPECT_TRUE(is_usual_host(usual.text, usual.head)) << name << " would be slow";
  }
  const InHead none{"Host: ", "", "\r\n\r\n"};
  EXPECT_FALSE(is_usual_host(none.text, none.head));
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
