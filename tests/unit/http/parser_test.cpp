// parser_test.cpp: what a Head says about a message that was accepted. Refusals are in vectors_test.cpp.
#include "http/parser.hpp"

#include <gtest/gtest.h>

#include <string>

#include "http/places.h"
#include "reading.hpp"

namespace sluice::http {
namespace {

/// Parses one head, which must be accepted.
struct Parsed {
  explicit Parsed(std::string text) : bytes{std::move(text)} {
    EXPECT_EQ(guard.scan(bytes, {}, head), Scan::complete);
    const auto verdict = parser.parse({bytes.data(), guard.head_size()}, guard, head);
    EXPECT_TRUE(verdict.has_value()) << (verdict ? "" : verdict.error().reason);
  }
  std::string_view text(Slice slice) const { return slice.in(bytes.data()); }

  std::string bytes;
  HeadGuard guard{};
  HeadParser parser{};
  Head head{};
};

TEST(Parser, LinkedParserIsStrict) {
  EXPECT_TRUE(parser_self_test());
  EXPECT_NE(std::string{parser_version()}, "");
}

TEST(Parser, FillsTheHead) {
  const Parsed parsed{
      "\r\nPUT /a/b%20c?x=1&y HTTP/1.1\r\nhost:example.com:81\r\nX-Odd: \t v w \t \r\nEmpty:\r\nContent-Length: "
      "12\r\n\r\n"};
  const Head& head = parsed.head;
  EXPECT_EQ(head.method, Method::put);
  EXPECT_EQ(head.version_minor, 1);
  EXPECT_EQ(head.framing, Framing::length);
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_FALSE(head.close);
  EXPECT_FALSE(head.keep_alive_1_0);
  EXPECT_FALSE(head.expect_continue);
  EXPECT_EQ(parsed.text(head.target), "/a/b%20c?x=1&y");
  EXPECT_EQ(parsed.text(head.path), "/a/b%20c");
  EXPECT_EQ(parsed.text(head.query), "x=1&y");
  EXPECT_EQ(parsed.text(head.host), "example.com:81");
  ASSERT_EQ(head.field_count, 4);
  EXPECT_EQ(parsed.text(head.fields[1].name), "X-Odd");
  EXPECT_EQ(parsed.text(head.fields[1].value), "v w");
  EXPECT_EQ(head.fields[1].known, Known::other);
  EXPECT_EQ(parsed.text(head.fields[2].name), "Empty");
  EXPECT_EQ(parsed.text(head.fields[2].value), "");
  ASSERT_NE(head.find(Known::content_length), nullptr);
  EXPECT_EQ(parsed.text(head.find(Known::content_length)->value), "12");
  EXPECT_EQ(head.find(Known::expect), nullptr);
}

TEST(Parser, FirstPointsAtTheFirstOfEqualFields) {
  const Parsed parsed{"GET / HTTP/1.1\r\nHost: h\r\nCookie: a\r\nAccept: x\r\ncookie: b\r\n\r\n"};
  EXPECT_EQ(parsed.head.first[static_cast<std::size_t>(Known::cookie)], 2);
  EXPECT_EQ(parsed.text(parsed.head.find(Known::cookie)->value), "a");
}

TEST(Parser, LeavesNothingBehindForTheNextHead) {
  HeadParser parser;
  Head head;
  const auto parse = [&](std::string text) {
    HeadGuard guard;
    EXPECT_EQ(guard.scan(text, {}, head), Scan::complete);
    return parser.parse({text.data(), guard.head_size()}, guard, head).has_value();
  };
  EXPECT_TRUE(
      parse("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_TRUE(head.expect_continue);
  EXPECT_TRUE(head.close);
  EXPECT_FALSE(parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_TRUE(parse("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_FALSE(head.expect_continue);
  EXPECT_FALSE(head.close);
  EXPECT_EQ(head.framing, Framing::none);
  EXPECT_EQ(head.content_length, 0u);
  EXPECT_EQ(head.field_count, 1);
  EXPECT_EQ(head.find(Known::content_length), nullptr);
  EXPECT_EQ(head.query.size, 0);
}

TEST(Parser, RefusesAHeadThatTheTwoReadersCutDifferently) {
  const std::string text = "GET / HTTP/1.1\r\nHost: h\r\nX: \tv \r\nEmpty: \r\nX-Long-Name-Of-A-Field: value\r\n\r\n";
  const auto verdict = [&](auto&& change) {
    std::string bytes = text;
    HeadGuard guard;
    Head head;
    EXPECT_EQ(guard.scan(bytes, {}, head), Scan::complete);
    change(head);
    return HeadParser{}.parse({bytes.data(), guard.head_size()}, guard, head).has_value();
  };
  EXPECT_TRUE(verdict([](Head&) {}));
  for (std::size_t index = 0; index < 4; ++index) {
    EXPECT_FALSE(verdict([index](Head& head) { ++head.fields[index].name.offset; })) << index;
    EXPECT_FALSE(verdict([index](Head& head) { --head.fields[index].name.size; })) << index;
    EXPECT_FALSE(verdict([index](Head& head) { ++head.fields[index].value.size; })) << index;
    if (index != 2) {
      EXPECT_FALSE(verdict([index](Head& head) { --head.fields[index].value.offset; })) << index;
    }
  }
}

TEST(Places, EveryNameAndValueOnceAndInOrder) {
  const std::string bytes = "A: one\r\nB:\r\nC: two \r\n";
  const sluice_place places[] = {{0, 1, 3, 3, 0}, {8, 1, 10, 0, 0}, {12, 1, 15, 3, 0}};
  const auto fresh = [&](int complete) {
    return sluice_places{.base = bytes.data(), .next = places, .end = places + 3, .owed = 0, .complete = complete};
  };
  const auto name = [&](sluice_places& p, std::size_t at) { return sluice_agrees_on_name(&p, &bytes[at], 1) != 0; };
  const auto value = [&](sluice_places& p, std::size_t at, std::size_t size) {
    return sluice_agrees_on_value(&p, &bytes[at], size) != 0;
  };
  sluice_places whole = fresh(1);
  EXPECT_TRUE(name(whole, 0) && value(whole, 3, 3) && name(whole, 8) && value(whole, 10, 0) && name(whole, 12));
  EXPECT_FALSE(sluice_agrees_on_end(&whole)) << "a value is owed";
  EXPECT_TRUE(value(whole, 15, 4)) << "with the white space behind it";
  EXPECT_TRUE(sluice_agrees_on_end(&whole));
  EXPECT_FALSE(name(whole, 12)) << "one field too many";

  sluice_places none = fresh(1);
  EXPECT_FALSE(sluice_agrees_on_end(&none)) << "fields are missing";
  EXPECT_FALSE(value(none, 3, 3)) << "a value without a name";
  sluice_places skipped = fresh(1);
  EXPECT_TRUE(name(skipped, 0));
  EXPECT_FALSE(name(skipped, 8)) << "a value was passed over";
  sluice_places twice = fresh(1);
  EXPECT_TRUE(name(twice, 0) && value(twice, 3, 3));
  EXPECT_FALSE(value(twice, 3, 3)) << "a second value";
  sluice_places empty = fresh(1);
  EXPECT_TRUE(name(empty, 0));
  EXPECT_FALSE(value(empty, 3, 0)) << "empty for one and not for the other";
  sluice_places open = fresh(0);
  EXPECT_TRUE(name(open, 0) && value(open, 3, 3) && name(open, 8) && name(open, 12) && value(open, 15, 4));
  EXPECT_FALSE(sluice_agrees_on_end(&open)) << "llhttp has not come to the head's end";
}

TEST(Parser, AbsoluteFormGivesTheHostAndThePath) {
  const Parsed with_path{"GET http://H:80/p?q HTTP/1.1\r\nHost: h\r\n\r\n"};
  EXPECT_EQ(with_path.text(with_path.head.host), "H:80");
  EXPECT_EQ(with_path.text(with_path.head.path), "/p");
  EXPECT_EQ(with_path.text(with_path.head.query), "q");
  const Parsed without{"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"};
  EXPECT_EQ(without.head.path.size, 0);
  EXPECT_EQ(without.text(without.head.target), "http://h");
  const Parsed old{"GET http://h/ HTTP/1.0\r\n\r\n"};
  EXPECT_EQ(old.text(old.head.host), "h");
  const Parsed star{"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"};
  EXPECT_EQ(star.head.path.size, 0);
  EXPECT_EQ(star.text(star.head.target), "*");
}

TEST(Parser, LaterMinorVersionsCountAs11AndAreRemembered) {
  const Parsed parsed{"POST / HTTP/1.7\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"};
  EXPECT_EQ(parsed.head.version_minor, 7);
  EXPECT_EQ(parsed.head.framing, Framing::chunked);
  EXPECT_FALSE(parsed.head.close);
}

TEST(Parser, Http10ClosesUnlessAskedToKeepAlive) {
  EXPECT_TRUE(Parsed{"GET / HTTP/1.0\r\n\r\n"}.head.close);
  const Parsed kept{"GET / HTTP/1.0\r\nConnection: x,\tKeep-Alive\t\r\n\r\n"};
  EXPECT_FALSE(kept.head.close);
  EXPECT_TRUE(kept.head.keep_alive_1_0);
  EXPECT_FALSE(Parsed{"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"}.head.keep_alive_1_0);
}

TEST(Parser, ExpectCountsOnlyWithABodyAndIn11) {
  const std::string expect = "Expect: 100-Continue\r\n";
  EXPECT_TRUE(Parsed{"POST / HTTP/1.1\r\nHost: h\r\n" + expect + "Content-Length: 1\r\n\r\n"}.head.expect_continue);
  EXPECT_TRUE(
      Parsed{"POST / HTTP/1.1\r\nHost: h\r\n" + expect + "Transfer-Encoding: chunked\r\n\r\n"}.head.expect_continue);
  EXPECT_FALSE(Parsed{"POST / HTTP/1.1\r\nHost: h\r\n" + expect + "Content-Length: 0\r\n\r\n"}.head.expect_continue);
  EXPECT_FALSE(Parsed{"POST / HTTP/1.1\r\nHost: h\r\n" + expect + "\r\n"}.head.expect_continue);
  EXPECT_FALSE(Parsed{"POST / HTTP/1.0\r\nHost: h\r\n" + expect + "Content-Length: 1\r\n\r\n"}.head.expect_continue);
}

TEST(Parser, TheLargestHeadFits) {
  std::string text = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 126; ++i) text += "X: 1\r\n";
  text += "Y: " + std::string(head_bytes_capacity - text.size() - 7, 'y') + "\r\n\r\n";
  ASSERT_EQ(text.size(), head_bytes_capacity);
  HeadGuard guard;
  Head head;
  ASSERT_EQ(guard.scan(text, {.head_bytes_max = head_bytes_capacity, .fields_max = head_fields_capacity}, head),
            Scan::complete);
  HeadParser parser;
  ASSERT_TRUE(parser.parse(text, guard, head).has_value());
  EXPECT_EQ(head.field_count, head_fields_capacity);
  EXPECT_EQ(head.fields[127].value.in(text.data()).back(), 'y');
}

TEST(Parser, EverySupportedMethodIsNamedLikeItsToken) {
  const char* const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
  for (std::size_t i = 0; i < method_count; ++i) {
    const auto method = static_cast<Method>(i);
    if (method == Method::connect) continue;  // refused
    EXPECT_EQ(Parsed{std::string{names[i]} + " / HTTP/1.1\r\nHost: h\r\n\r\n"}.head.method, method);
  }
}

TEST(Parser, HeadIsNotClearedWhenMade) {
  // Clearing all fields would cost more than parsing a small head; a pattern that survives shows that nobody does.
  alignas(Head) unsigned char memory[sizeof(Head)];
  std::memset(memory, 0xab, sizeof memory);
  Head* const head = new (memory) Head{};
  EXPECT_EQ(head->field_count, 0);
  unsigned char last = 0;
  std::memcpy(&last, reinterpret_cast<const unsigned char*>(&head->fields[100]), 1);
  EXPECT_EQ(last, 0xab);
}

}  // namespace
}  // namespace sluice::http
