// head_guard_test.cpp: what the guard says, and how early it says it.
#include "http/head_guard.hpp"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>

namespace sluice::http {
namespace {

/// For tests that don't ask where the fields are. One head for all: a guard needs the same one each time.
Scan scan(HeadGuard& guard, std::string_view bytes, const HeadLimits& limits = {}) {
  static Head head;
  return guard.scan(bytes, limits, head);
}
Scan scan(std::string_view bytes, const HeadLimits& limits = {}) {
  HeadGuard guard;
  return scan(guard, bytes, limits);
}

/// How many bytes the guard had been given when it refused; 0 if it never did.
std::size_t refused_after(const std::string& bytes, const HeadLimits& limits = {}) {
  HeadGuard guard;
  Head head;
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    const std::string so_far = bytes.substr(0, size);  // elsewhere each time
    if (guard.scan(so_far, limits, head) == Scan::rejected) return size;
  }
  return 0;
}

TEST(HeadGuard, FindsTheEndOfTheHeadAndLeavesTheBodyAlone) {
  const std::string head = "\r\nPOST /a HTTP/1.0\r\nHost: h\r\nX: \t\r\n\r\n";
  HeadGuard guard;
  ASSERT_EQ(scan(guard, head + "\x01 body"), Scan::complete);
  EXPECT_EQ(guard.head_size(), head.size());
  EXPECT_EQ(guard.method(), Method::post);
  EXPECT_EQ(guard.version_minor(), 0);
  EXPECT_EQ(guard.target().in(head.data()), "/a");
  EXPECT_EQ(head[guard.minor_offset()], '0');
  EXPECT_EQ(guard.request_line_offset(), 2u);
  EXPECT_EQ(guard.field_count(), 2);
  EXPECT_TRUE(guard.has_tab());
  EXPECT_EQ(scan(guard, head), Scan::complete);
  guard.reset();
  EXPECT_EQ(scan(guard, "GET"), Scan::need_more);
}

TEST(HeadGuard, RefusesAtTheFirstWrongByte) {
  const std::string start = "GET / HTTP/1.1\r\n";
  EXPECT_EQ(refused_after("\n"), 1u);
  EXPECT_EQ(refused_after("\r\r"), 2u);
  EXPECT_EQ(refused_after(std::string(1, '\0')), 1u);
  EXPECT_EQ(refused_after("\x16\x03\x01"), 1u);
  EXPECT_EQ(refused_after("GET /\r\n"), 6u);
  EXPECT_EQ(refused_after("GET  "), 5u);
  EXPECT_EQ(refused_after("GET / FTP"), 7u);
  EXPECT_EQ(refused_after("GET / HTTP/1.10"), 15u);
  EXPECT_EQ(refused_after("GET / HTTP/2.0\r\n"), 16u);
  EXPECT_EQ(refused_after("FOO / HTTP/1.1\r\n"), 16u);
  EXPECT_EQ(refused_after(start + " "), start.size() + 1);
  EXPECT_EQ(refused_after(start + ":"), start.size() + 1);
  EXPECT_EQ(refused_after(start + "X "), start.size() + 2);
  EXPECT_EQ(refused_after(start + "X: a\n"), start.size() + 5);
  EXPECT_EQ(refused_after(start + "X: a\x7f"), start.size() + 5);
  EXPECT_EQ(refused_after(start + "X: a\r\r"), start.size() + 6);
  EXPECT_EQ(refused_after(start + "\rX"), start.size() + 2);
  EXPECT_EQ(refused_after(start + "X: a\r\n\rX"), start.size() + 8);
}

TEST(HeadGuard, EveryByteValueIsJudgedAlikeInEveryPlace) {
  // The 16-byte strides and the byte-wise reading use different code: they must know the same characters.
  for (int byte = 0; byte < 256; ++byte) {
    for (const std::size_t before : {0u, 1u, 15u, 16u, 31u, 40u}) {
      const std::string middle = std::string(before, 'a') + static_cast<char>(byte) + std::string(20, 'a');
      for (const std::string& head :
           {"GET /" + middle + " HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n" + middle + ": 1\r\n\r\n",
            "GET / HTTP/1.1\r\nN: " + middle + "\r\n\r\n"}) {
        HeadGuard whole;
        HeadGuard bytewise;
        const Scan verdict = scan(whole, head);
        Scan last = Scan::need_more;
        for (std::size_t size = 1; size <= head.size(); ++size) last = scan(bytewise, {head.data(), size});
        ASSERT_EQ(verdict, last) << byte << " after " << before;
        if (verdict == Scan::rejected) {
          ASSERT_STREQ(whole.reject().reason, bytewise.reject().reason) << byte << " after " << before;
        }
      }
      const bool in_value = is_value_char(static_cast<char>(byte));
      const std::string head = "GET / HTTP/1.1\r\nN: " + middle + "\r\n\r\n";
      EXPECT_EQ(scan(head) == Scan::complete, in_value) << byte;
      const bool in_name = is_token_char(static_cast<char>(byte)) || (byte == ':' && before > 0);
      const std::string named = "GET / HTTP/1.1\r\n" + middle + ": 1\r\n\r\n";
      EXPECT_EQ(scan(named) == Scan::complete, in_name) << byte;
    }
  }
}

struct Expected {
  std::string_view name, line, value;
};

/// Whether the guard finds these fields in a head that begins so, however it is cut.
void expect_places(std::string text, std::span<const Expected> fields) {
  for (const Expected& field : fields) text += std::string{field.name} + ":" + std::string{field.line} + "\r\n";
  text += "\r\n";
  const auto check = [&](const HeadGuard& guard, const Head& head, std::size_t cut) {
    ASSERT_EQ(guard.field_count(), fields.size()) << cut;
    EXPECT_EQ(guard.head_size(), text.size());
    EXPECT_EQ(guard.method(), Method::post);
    EXPECT_EQ(guard.target().in(text.data()), "/a/long/enough/target");
    for (std::size_t index = 0; index < fields.size(); ++index) {
      EXPECT_EQ(head.fields[index].name.in(text.data()), fields[index].name) << cut;
      EXPECT_EQ(head.fields[index].value.in(text.data()), fields[index].value) << cut;
    }
  };
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    HeadGuard guard;
    Head head;
    if (cut > 0) { ASSERT_EQ(guard.scan({text.data(), cut}, {}, head), Scan::need_more); }
    ASSERT_EQ(guard.scan(text, {}, head), Scan::complete) << cut;
    check(guard, head, cut);
  }
  HeadGuard guard;
  Head head;
  for (std::size_t size = 1; size < text.size(); ++size) guard.scan({text.data(), size}, {}, head);
  ASSERT_EQ(guard.scan(text, {}, head), Scan::complete);
  check(guard, head, text.size());
}

TEST(HeadGuard, NotesTheSamePlacesHoweverTheHeadIsCut) {
  constexpr Expected usual[] = {
      {"Host", " example.com", "example.com"},
      {"A", "", ""},
      {"A", "    ", ""},
      {"B", "no-space", "no-space"},
      {"Both-Ends", "   v w   ", "v w"},
      {"A-Name-Of-Sixteen", " 0123456789abcdef", "0123456789abcdef"},
      {"Obs", " text\xff", "text\xff"},
      {"Long-Enough-To-Need-More-Than-One-Stride-Of-Sixteen", " x", "x"},
  };
  constexpr Expected odd[] = {
      {"Host", " example.com", "example.com"},
      {"Tabs", "\t a\tb \t", "a\tb"},
      {"Usual", " again", "again"},
      {"odd!#$%&'*+.^_`|~name", " obs\xfftext", "obs\xfftext"},
  };
  const std::string line = "POST /a/long/enough/target HTTP/1.1\r\n";
  expect_places(line, usual);
  expect_places(line, odd);
  expect_places("\r\n" + line, usual);
  expect_places("\r\n" + line, odd);
}

TEST(HeadGuard, LimitsActWithoutWaitingForTheEndOfTheLine) {
  const HeadLimits limits{.head_bytes_max = 100, .fields_max = 2, .target_bytes_max = 10};
  EXPECT_EQ(refused_after("GET /" + std::string(9, 'a') + " HTTP/1.1\r\n\r\n", limits), 0u);
  EXPECT_EQ(refused_after("GET /" + std::string(30, 'a'), limits), 15u);
  EXPECT_EQ(refused_after(std::string(40, 'A'), limits), 33u);
  EXPECT_EQ(refused_after("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n\r\n", limits), 0u);
  EXPECT_EQ(refused_after("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC", limits), 29u);
  EXPECT_EQ(refused_after("GET / HTTP/1.1\r\nA: " + std::string(200, 'x'), limits), 100u);

  const auto status = [&](const std::string& bytes) {
    HeadGuard guard;
    EXPECT_EQ(scan(guard, bytes, limits), Scan::rejected);
    return guard.reject().status;
  };
  EXPECT_EQ(status("GET /" + std::string(30, 'a')), 414);
  EXPECT_EQ(status(std::string(40, 'A')), 501);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC"), 431);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nA: " + std::string(200, 'x')), 431);
}

TEST(HeadGuard, AHeadOfExactlyTheLimitPasses) {
  const std::string head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  const auto size = static_cast<std::uint32_t>(head.size());
  EXPECT_EQ(scan(head, {.head_bytes_max = size}), Scan::complete);
  EXPECT_EQ(scan(head, {.head_bytes_max = size - 1}), Scan::rejected);
}

TEST(HeadGuard, LimitsAboveTheCapacityCountAsTheCapacity) {
  const HeadLimits limits{.head_bytes_max = 1'000'000, .fields_max = 1'000'000, .target_bytes_max = 1'000'000};
  HeadGuard target;
  EXPECT_EQ(scan(target, "GET /" + std::string(100'000, 'a'), limits), Scan::rejected);
  EXPECT_EQ(target.reject().status, 414);
  std::string head = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 129; ++i) head += "X: 1\r\n";
  HeadGuard fields;
  EXPECT_EQ(scan(fields, head + "\r\n", limits), Scan::rejected);
  EXPECT_EQ(fields.reject().status, 431);
}

TEST(HeadGuard, KnowsThatTheAnswerGoesWithoutBodyEvenWhenRefused) {
  HeadGuard guard;
  EXPECT_FALSE(guard.started());
  EXPECT_EQ(scan(guard, "\r\n"), Scan::need_more);
  EXPECT_FALSE(guard.started());
  EXPECT_EQ(scan(guard, "\r\n\r\nHEAD / HTTP/1.1\r\nX : y"), Scan::rejected);
  EXPECT_TRUE(guard.started());
  EXPECT_TRUE(guard.has_method());
  EXPECT_TRUE(guard.is_head());
  guard.reset();
  EXPECT_EQ(scan(guard, "HEAD\t"), Scan::rejected);
  EXPECT_FALSE(guard.is_head());
}

}  // namespace
}  // namespace sluice::http
