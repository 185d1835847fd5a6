// range_test.cpp: Range fields against a size; the texts that go with 206 and 416. The oracle at the end knows only
// bytes.
#include "http/range.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace sluice::http {
namespace {

using Kind = Ranges::Kind;
using List = std::vector<ByteRange>;

constexpr std::uint64_t largest = representation_bytes_max;

List partial(std::string_view field, std::uint64_t size) {
  const Ranges ranges = parse_ranges(field, size);
  EXPECT_EQ(ranges.kind(), Kind::partial) << field;
  return {ranges.list().begin(), ranges.list().end()};
}

TEST(Range, ExamplesOfTheRfcComeOut) {  // RFC 9110 14.1.2, of a representation of 10,000 bytes
  EXPECT_EQ(partial("bytes=0-499", 10'000), (List{{0, 499}}));
  EXPECT_EQ(partial("bytes=500-999", 10'000), (List{{500, 999}}));
  EXPECT_EQ(partial("bytes=-500", 10'000), (List{{9'500, 9'999}}));
  EXPECT_EQ(partial("bytes=9500-", 10'000), (List{{9'500, 9'999}}));
  EXPECT_EQ(partial("bytes=0-0,-1", 10'000), (List{{0, 0}, {9'999, 9'999}}));
  EXPECT_EQ(partial("bytes= 0-999, 4500-5499, -1000", 10'000), (List{{0, 999}, {4'500, 5'499}, {9'000, 9'999}}));
  EXPECT_EQ(partial("bytes=500-600,601-999", 10'000), (List{{500, 999}}));
  EXPECT_EQ(partial("bytes=500-700,601-999", 10'000), (List{{500, 999}}));
}

TEST(Range, IsCutToTheRepresentation) {
  EXPECT_EQ(partial("bytes=0-", 10), (List{{0, 9}}));
  EXPECT_EQ(partial("bytes=5-10", 10), (List{{5, 9}}));
  EXPECT_EQ(partial("bytes=9-99999999999999999999999", 10), (List{{9, 9}}));
  EXPECT_EQ(partial("bytes=-11", 10), (List{{0, 9}}));
  EXPECT_EQ(partial("bytes=-99999999999999999999999", 10), (List{{0, 9}}));
  EXPECT_EQ(partial("bytes=0000000000000000000000000003-004", 10), (List{{3, 4}}));
}

TEST(Range, UnitHasNoLetterCase) {
  EXPECT_EQ(partial("Bytes=1-2", 10), (List{{1, 2}}));
  EXPECT_EQ(partial("BYTES=1-2", 10), (List{{1, 2}}));
}

TEST(Range, ListMayHaveEmptyElementsAndBlanks) {
  EXPECT_EQ(partial("bytes=,1-2 ,\t, 5-6,", 10), (List{{1, 2}, {5, 6}}));
}

TEST(Range, IsIgnoredIfMalformedOrOfAnotherUnit) {
  for (const std::string_view field : {"",
                                       "bytes",
                                       "bytes=",
                                       "bytes=,",
                                       "bytes= ",
                                       "=0-1",
                                       "lines=0-1",
                                       "byte=0-1",
                                       "bytes =0-1",
                                       " bytes=0-1",
                                       "bytes=-",
                                       "bytes=--1",
                                       "bytes=0",
                                       "bytes=a-b",
                                       "bytes=0-1x",
                                       "bytes=x0-1",
                                       "bytes=0 -1",
                                       "bytes=0- 1",
                                       "bytes=+0-1",
                                       "bytes=0-+1",
                                       "bytes=0x0-0x1",
                                       "bytes=0-1-2",
                                       "bytes=1-0",
                                       "bytes=0-1,3-2",
                                       "bytes=0-1,x",
                                       "bytes=0-1;2-3",
                                       "bytes=0-1 2-3",
                                       "bytes=0-1,bytes=2-3",
                                       "bytes=0-1,-",
                                       "bytes:0-1",
                                       "none=",
                                       "bytes==0-1",
                                       "bytes=\"0-1\"",
                                       "bytes=*",
                                       "bytes=99999999999999999999-99999999999999999998",
                                       "bytes=0-1, 99-98"}) {
    EXPECT_EQ(parse_ranges(field, 10).kind(), Kind::ignored) << field;
    EXPECT_TRUE(parse_ranges(field, 10).list().empty());
  }
}

TEST(Range, IsUnsatisfiableOnlyIfNoRangeHasBytes) {
  for (const std::string_view field :
       {"bytes=10-", "bytes=10-10", "bytes=10-12,99-", "bytes=-0", "bytes=-000,10-", "bytes=18446744073709551615-",
        "bytes=18446744073709551616-", "bytes=99999999999999999998-99999999999999999999"}) {
    EXPECT_EQ(parse_ranges(field, 10).kind(), Kind::unsatisfiable) << field;
    EXPECT_TRUE(parse_ranges(field, 10).list().empty());
  }
  EXPECT_EQ(partial("bytes=10-,9-", 10), (List{{9, 9}}));
  EXPECT_EQ(partial("bytes=-0,-1", 10), (List{{9, 9}}));
}

TEST(Range, OfAnEmptyRepresentationIsUnsatisfiableButForItsSuffix) {
  EXPECT_EQ(parse_ranges("bytes=0-", 0).kind(), Kind::unsatisfiable);
  EXPECT_EQ(parse_ranges("bytes=0-0,5-6", 0).kind(), Kind::unsatisfiable);
  EXPECT_EQ(parse_ranges("bytes=-0", 0).kind(), Kind::unsatisfiable);
  EXPECT_EQ(parse_ranges("bytes=-1", 0).kind(), Kind::ignored);
  EXPECT_EQ(parse_ranges("bytes=0-,-1", 0).kind(), Kind::ignored);
}

TEST(Range, NumbersUpToTheLargestSizeAreExact) {
  EXPECT_EQ(partial("bytes=9223372036854775806-", largest), (List{{largest - 1, largest - 1}}));
  EXPECT_EQ(parse_ranges("bytes=9223372036854775807-", largest).kind(), Kind::unsatisfiable);
  EXPECT_EQ(partial("bytes=-9223372036854775807", largest), (List{{0, largest - 1}}));
  EXPECT_EQ(partial("bytes=-9223372036854775806", largest), (List{{1, largest - 1}}));
  EXPECT_EQ(partial("bytes=0-18446744073709551615", largest), (List{{0, largest - 1}}));
  EXPECT_EQ(partial("bytes=0-18446744073709551616", largest), (List{{0, largest - 1}}));
  EXPECT_EQ(parse_ranges("bytes=0-", largest).size_bytes(), largest);
}

TEST(Range, OrderIsTheClients) {
  EXPECT_EQ(partial("bytes=8-9,0-1,4-5", 10), (List{{8, 9}, {0, 1}, {4, 5}}));
  EXPECT_EQ(partial("bytes=-1,0-0", 10), (List{{9, 9}, {0, 0}}));
}

TEST(Range, OverlappingOnesAreTakenInByTheFirst) {
  EXPECT_EQ(partial("bytes=0-9,0-9,0-9", 10), (List{{0, 9}}));
  EXPECT_EQ(partial("bytes=8-9,0-1,1-3", 10), (List{{8, 9}, {0, 3}}));
  EXPECT_EQ(partial("bytes=8-9,0-1,5-5,2-4", 10), (List{{8, 9}, {0, 5}}));
  EXPECT_EQ(partial("bytes=5-5,9-9,0-1,2-4", 10), (List{{0, 5}, {9, 9}}));
  EXPECT_EQ(partial("bytes=1-1,3-3,5-5,7-7,9-9,0-", 10), (List{{0, 9}}));
  EXPECT_EQ(partial("bytes=1-1,9-9,3-3,5-5,2-4", 10), (List{{1, 5}, {9, 9}}));
  EXPECT_EQ(partial("bytes=3-3,9-9,5-5,7-7,0-0,4-6", 10), (List{{3, 7}, {9, 9}, {0, 0}}));
}

TEST(Range, MoreThanTheLimitIsTheWholeRepresentation) {
  std::string field = "bytes=";
  for (std::size_t i = 0; i < range_count_max; ++i)
    field += std::to_string(10 * i) + "-" + std::to_string(10 * i) + ",";
  const Ranges all = parse_ranges(field, 1'000);
  EXPECT_EQ(all.kind(), Kind::partial);
  EXPECT_EQ(all.list().size(), range_count_max);
  EXPECT_EQ(all.size_bytes(), range_count_max);
  EXPECT_EQ(parse_ranges(field + "999-999", 1'000).kind(), Kind::ignored);
  EXPECT_EQ(parse_ranges(field + "0-0", 1'000).kind(), Kind::ignored);  // counted before they are merged
  EXPECT_EQ(parse_ranges(field + "5000-", 1'000).kind(), Kind::ignored);  // and if they cannot be satisfied
  EXPECT_EQ(parse_ranges("bytes=0-0,2-2", 10, 1).kind(), Kind::ignored);
  EXPECT_EQ(parse_ranges("bytes=0-0,", 10, 1).kind(), Kind::partial);
}

TEST(RangeDeathTest, LimitsAreAsserted) {
  EXPECT_DEATH(parse_ranges("bytes=0-", largest + 1), "size_bytes");
  EXPECT_DEATH(parse_ranges("bytes=0-", 1, 0), "count_max");
  EXPECT_DEATH(parse_ranges("bytes=0-", 1, range_count_max + 1), "count_max");
}

TEST(ContentRange, IsAsInTheRfc) {  // RFC 9110 14.4
  EXPECT_EQ(ContentRange({42, 1'233}, 1'234).view(), "bytes 42-1233/1234");
  EXPECT_EQ(ContentRange(1'234).view(), "bytes */1234");
  EXPECT_EQ(ContentRange({0, 499}, 1'234).view(), "bytes 0-499/1234");
  EXPECT_EQ(ContentRange({734, 1'233}, 1'234).view(), "bytes 734-1233/1234");
  EXPECT_EQ(ContentRange(0).view(), "bytes */0");
  constexpr std::uint64_t all = ~std::uint64_t{0};
  EXPECT_EQ(ContentRange({all - 2, all - 1}, all).view(),
            "bytes 18446744073709551613-18446744073709551614/18446744073709551615");
}

TEST(MultipartRanges, BodyIsAsInTheRfc) {  // RFC 9110 15.3.7.2
  const MultipartRanges multipart{
      {.boundary = "THIS_STRING_SEPARATES", .content_type = "application/pdf", .size_bytes = 8'000}};
  EXPECT_EQ(multipart.content_type(), "multipart/byteranges; boundary=THIS_STRING_SEPARATES");
  EXPECT_EQ(multipart.part_head(0, {500, 999}),
            "--THIS_STRING_SEPARATES\r\nContent-Type: application/pdf\r\nContent-Range: bytes 500-999/8000\r\n\r\n");
  EXPECT_EQ(
      multipart.part_head(1, {7'000, 7'999}),
      "\r\n--THIS_STRING_SEPARATES\r\nContent-Type: application/pdf\r\nContent-Range: bytes 7000-7999/8000\r\n\r\n");
  EXPECT_EQ(multipart.end(), "\r\n--THIS_STRING_SEPARATES--\r\n");
}

TEST(MultipartRanges, PartsHaveNoContentTypeIfNoneIsKnown) {
  const MultipartRanges multipart{{.boundary = "b", .size_bytes = 10}};
  EXPECT_EQ(multipart.part_head(0, {0, 0}), "--b\r\nContent-Range: bytes 0-0/10\r\n\r\n");
}

TEST(MultipartRanges, BoundariesNeedNoQuotes) {
  for (const std::string_view boundary : {"a", "gc0pJq0M.08jU534c0p", "'+_-.", "0123456789"}) {
    EXPECT_TRUE(valid_boundary(boundary)) << boundary;
  }
  EXPECT_TRUE(valid_boundary(std::string(70, 'x')));
  EXPECT_FALSE(valid_boundary(std::string(71, 'x')));
  for (const std::string_view boundary : {"", "a b", "a:b", "a\"", "a/b", "a=b", "(a)", "a,b", "a\r\n", "\xe9"}) {
    EXPECT_FALSE(valid_boundary(boundary)) << boundary;
  }
}

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

/// What the client asked for, one flag a byte; and how often each run of bytes was first asked for.
struct Oracle {
  std::vector<bool> wanted;
  List specs{};  // cut to the size, as asked

  explicit Oracle(std::size_t size) : wanted(size) {}
  void ask(std::uint64_t first, std::uint64_t last) {
    if (first >= wanted.size()) return;
    last = std::min<std::uint64_t>(last, wanted.size() - 1);
    specs.push_back({first, last});
    for (std::uint64_t at = first; at <= last; ++at) wanted[at] = true;
  }
  /// The runs of wanted bytes, in the order in which the client first asked for a byte of each.
  List runs() const {
    List found;
    for (const ByteRange& spec : specs) {
      ByteRange run = spec;
      while (run.first > 0 && wanted[run.first - 1]) --run.first;
      while (run.last + 1 < wanted.size() && wanted[run.last + 1]) ++run.last;
      if (std::find(found.begin(), found.end(), run) == found.end()) found.push_back(run);
    }
    return found;
  }
};

TEST(Range, AgreesWithAnOracleThatCountsBytes) {
  const std::uint64_t seed = setting("SLUICE_FUZZ_SEED", 9'110);
  std::mt19937_64 random{seed};
  const auto below = [&random](std::uint64_t end) { return random() % end; };
  for (std::uint64_t round = 0; round < 40'000; ++round) {
    const std::size_t size = 1 + below(60);
    Oracle oracle{size};
    std::string field = "bytes=";
    for (std::size_t count = 1 + below(range_count_max); count > 0; --count) {
      const std::uint64_t first = below(70);
      const std::uint64_t last = first + below(12);
      switch (below(5)) {
        case 0: {
          const std::uint64_t suffix = below(4);
          field += "-" + std::to_string(suffix);
          if (suffix > 0) oracle.ask(size - std::min<std::uint64_t>(suffix, size), size - 1);
          break;
        }
        case 1:
          field += std::to_string(first + 40) + "-";
          oracle.ask(first + 40, size - 1);
          break;
        default: field += std::to_string(first) + "-" + std::to_string(last); oracle.ask(first, last);
      }
      if (count > 1) field += below(2) == 0 ? "," : " ,, ";
    }
    const Ranges ranges = parse_ranges(field, size);
    const List wanted = oracle.runs();
    ASSERT_EQ(ranges.kind(), wanted.empty() ? Kind::unsatisfiable : Kind::partial) << field << " seed " << seed;
    ASSERT_EQ((List{ranges.list().begin(), ranges.list().end()}), wanted)
        << field << " of " << size << " seed " << seed;
    ASSERT_LE(ranges.size_bytes(), size);
  }
}

TEST(MultipartRanges, ContentLengthIsThatOfTheBody) {
  std::mt19937_64 random{15'372};
  for (int round = 0; round < 2'000; ++round) {
    const std::uint64_t size = 1 + random() % (round % 2 == 0 ? 12 : 120'000);
    std::string field = "bytes=";
    for (std::size_t count = 1 + random() % range_count_max; count > 0; --count) {
      field += std::to_string(random() % size) + "-" + (count > 1 ? std::to_string(size + random() % 9) + "," : "");
    }
    const Ranges ranges = parse_ranges(field, size);
    const std::string boundary(1 + random() % boundary_bytes_max, 'b');
    const MultipartRanges multipart{
        {.boundary = boundary, .content_type = round % 3 == 0 ? "" : "text/plain", .size_bytes = size}};
    std::uint64_t length = multipart.end().size() + ranges.size_bytes();
    for (std::size_t i = 0; i < ranges.list().size(); ++i) length += multipart.part_head(i, ranges.list()[i]).size();
    ASSERT_EQ(multipart.content_length(ranges.list()), length) << field;
  }
  const MultipartRanges huge{{.boundary = std::string_view{"b"}, .size_bytes = largest}};
  const ByteRange all{0, largest - 1};
  EXPECT_GT(huge.content_length({&all, 1}), largest);
}

}  // namespace
}  // namespace sluice::http
