// HeadMemory: what it knows is what guard and parser would say, and nothing else is known.
#include "http/head_memory.hpp"

#include <gtest/gtest.h>

#include <string>

#include "http/parser.hpp"

namespace sluice::http {
namespace {

struct Read {
  HeadGuard guard;
  Head head;
};

bool read(std::string& bytes, Read& result) {
  if (result.guard.scan(std::string_view{bytes}, HeadLimits{}, result.head) != Scan::complete) return false;
  HeadParser parser;
  return parser.parse({bytes.data(), result.guard.head_size()}, result.guard, result.head).has_value();
}

const std::string plain = "GET /a?b=1 HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nContent-Length: 5\r\n\r\n";

TEST(HeadMemory, RepeatsWhatWasRead) {
  HeadMemory memory;
  std::string bytes = plain + "hello";
  Read first;
  ASSERT_TRUE(read(bytes, first));
  memory.keep({bytes.data(), first.guard.head_size()}, first.guard, first.head);
  Read second;
  ASSERT_TRUE(memory.recall(std::string_view{bytes}, second.guard, second.head));
  EXPECT_EQ(second.guard.head_size(), plain.size());
  EXPECT_EQ(second.head.field_count, 3);
  EXPECT_EQ(second.head.content_length, 5u);
  EXPECT_EQ(second.head.path.in(bytes.data()), "/a");
  EXPECT_EQ(second.head.query.in(bytes.data()), "b=1");
  EXPECT_EQ(second.head.find(Known::host)->value.in(bytes.data()), "h");
}

TEST(HeadMemory, KnowsNothingThatDiffersInAnyByteOrIsCutShort) {
  HeadMemory memory;
  std::string bytes = plain;
  Read first;
  ASSERT_TRUE(read(bytes, first));
  memory.keep(std::string_view{bytes}, first.guard, first.head);
  Read other;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    std::string changed = plain;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(memory.recall(std::string_view{changed}, other.guard, other.head)) << i;
    EXPECT_FALSE(memory.recall(std::string_view{plain}.substr(0, i), other.guard, other.head)) << i;
  }
}

TEST(HeadMemory, KnowsWhereTheHeadItKeptLedAndNoOther) {
  HeadMemory memory;
  std::string bytes = plain;
  Read first, other;
  ASSERT_TRUE(read(bytes, first));
  memory.lead_to(1);  // nothing is kept
  memory.keep(std::string_view{bytes}, first.guard, first.head);
  EXPECT_EQ(memory.route(), HeadMemory::nowhere);
  memory.lead_to(2);
  ASSERT_TRUE(memory.recall(std::string_view{bytes}, other.guard, other.head));
  EXPECT_EQ(memory.route(), 2u);

  std::string longer = "GET /b HTTP/1.1\r\nHost: h\r\nX: " + std::string(HeadMemory::bytes_max, 'x') + "\r\n\r\n";
  Read unkept;
  ASSERT_TRUE(read(longer, unkept));
  memory.keep(std::string_view{longer}, unkept.guard, unkept.head);
  memory.lead_to(3);
  ASSERT_TRUE(memory.recall(std::string_view{bytes}, other.guard, other.head));
  EXPECT_EQ(memory.route(), 2u);

  std::string next = "GET /c HTTP/1.1\r\nHost: h\r\n\r\n";
  Read kept;
  ASSERT_TRUE(read(next, kept));
  memory.keep(std::string_view{next}, kept.guard, kept.head);
  EXPECT_EQ(memory.route(), HeadMemory::nowhere);
}

TEST(HeadMemory, DoesNotKeepHeadsThatTheParserRewrote) {
  for (std::string bytes :
       {std::string{"GET / HTTP/1.2\r\nHost: h\r\n\r\n"}, std::string{"GET / HTTP/1.1\r\nHost: h\t\r\n\r\n"}}) {
    HeadMemory memory;
    const std::string original = bytes;
    Read first;
    ASSERT_TRUE(read(bytes, first));
    memory.keep(std::string_view{bytes}, first.guard, first.head);
    Read other;
    EXPECT_FALSE(memory.recall(std::string_view{original}, other.guard, other.head));
    EXPECT_FALSE(memory.recall(std::string_view{bytes}, other.guard, other.head));
  }
}

TEST(HeadMemory, DoesNotKeepLongHeads) {
  HeadMemory memory;
  std::string bytes = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(HeadMemory::bytes_max, 'x') + "\r\n\r\n";
  Read first;
  ASSERT_TRUE(read(bytes, first));
  memory.keep(std::string_view{bytes}, first.guard, first.head);
  Read other;
  EXPECT_FALSE(memory.recall(std::string_view{bytes}, other.guard, other.head));
}

TEST(HeadMemory, StillLearnsAmongStrangers) {
  HeadMemory memory;
  bool known = false;
  for (int i = 0; i < 200 && !known; ++i) {
    std::string bytes = "GET /" + std::to_string(i / 20) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    Read other;
    known = memory.recall(std::string_view{bytes}, other.guard, other.head);
    if (known) break;
    ASSERT_TRUE(read(bytes, other));
    memory.keep(std::string_view{bytes}, other.guard, other.head);
  }
  EXPECT_TRUE(known);
}

}  // namespace
}  // namespace sluice::http
