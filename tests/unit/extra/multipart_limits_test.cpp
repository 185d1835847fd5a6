// multipart_limits_test.cpp: each limit lets through what it says and no byte more, however the body is cut.
#include <sluice/extra/multipart.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "support/multipart_reading.hpp"

namespace sluice {
namespace {

using Events = std::vector<std::string>;
using test::read_in_pieces;

const MultipartBoundary simple = *MultipartBoundary::from_text("b");
constexpr std::string_view disposition = "Content-Disposition: form-data; name=n\r\n";

std::string part(const std::string& data, const std::string& fields = {}) {
  return "--b\r\n" + std::string{disposition} + fields + "\r\n" + data + "\r\n";
}
std::string one_part(const std::string& data, const std::string& fields = {}) { return part(data, fields) + "--b--"; }

Events read_all_ways(const std::string& body, const MultipartLimits& limits) {
  const Events whole = read_in_pieces(body, {}, simple, limits);
  EXPECT_EQ(read_in_pieces(body, std::vector<std::size_t>(body.size(), 1), simple, limits), whole);
  for (std::size_t at = 0; at <= body.size(); ++at) {
    EXPECT_EQ(read_in_pieces(body, {at}, simple, limits), whole) << "cut at " << at;
    if (testing::Test::HasFailure()) break;
  }
  return whole;
}

/// The body passes with these limits, and also in one go.
void passes(const std::string& body, const MultipartLimits& limits) {
  EXPECT_EQ(read_all_ways(body, limits).back(), "end");
  EXPECT_TRUE(read_multipart(body, simple, limits));
}

/// The body is refused with these limits; gives the other events.
Events is_refused(const std::string& body, const MultipartLimits& limits, const std::string& detail) {
  Events events = read_all_ways(body, limits);
  EXPECT_EQ(events.back(), "error 413 " + detail);
  EXPECT_EQ(read_multipart(body, simple, limits).error().status(), 413);
  events.pop_back();
  return events;
}

TEST(MultipartLimits, AreFiniteByDefault) {
  const MultipartLimits limits;
  for (const std::uint64_t limit :
       {std::uint64_t{limits.parts_max}, std::uint64_t{limits.part_header_bytes_max},
        std::uint64_t{limits.part_fields_max}, std::uint64_t{limits.name_bytes_max},
        std::uint64_t{limits.filename_bytes_max}, limits.part_data_bytes_max, limits.data_bytes_max,
        std::uint64_t{limits.preamble_bytes_max}, std::uint64_t{limits.epilogue_bytes_max}}) {
    EXPECT_GT(limit, 0u);
    EXPECT_LE(limit, 1u << 30);
  }
}

TEST(MultipartLimits, PartsAreCounted) {
  const std::string body = part("1") + part("2") + part("3") + "--b--";
  passes(body, {.parts_max = 3});
  const Events before = is_refused(body, {.parts_max = 2}, "The form has too many parts.");
  EXPECT_EQ(before.size(), 6u);
  EXPECT_EQ(before.back(), "part end");
  passes("--b--", {.parts_max = 0});
}

TEST(MultipartLimits, AThousandPartsPassByDefault) {
  std::string body;
  for (int i = 0; i < 1'000; ++i) body += part("");
  EXPECT_EQ(read_multipart(body + "--b--", simple)->size(), 1'000u);
  EXPECT_EQ(read_multipart(body + part("") + "--b--", simple).error().status(), 413);
}

TEST(MultipartLimits, BytesOfAHeadAreCountedUpToItsEmptyLine) {
  const std::size_t size = disposition.size() + 2;
  passes(one_part("d"), {.part_header_bytes_max = size});
  EXPECT_EQ(is_refused(one_part("d"), {.part_header_bytes_max = size - 1}, "A part's header is too large.").size(), 0u);
  is_refused(one_part("d"), {.part_header_bytes_max = 0}, "A part's header is too large.");
  passes(part("1") + one_part("2"), {.part_header_bytes_max = size});  // each part anew
}

TEST(MultipartLimits, PaddingBehindABoundaryCountsAsPartOfTheHead) {
  const std::string body = "--b" + std::string(20, ' ') + "\r\n" + std::string{disposition} + "\r\nd\r\n--b--";
  const std::size_t size = disposition.size() + 22;
  passes(body, {.part_header_bytes_max = size});
  is_refused(body, {.part_header_bytes_max = size - 1}, "A part's header is too large.");
  is_refused(body, {.part_header_bytes_max = 19}, "A part's header is too large.");
}

TEST(MultipartLimits, AHeadWithoutEndIsRefusedBeforeItFillsMemory) {
  for (const char c : {'a', '\r', ' ', ':'}) {
    MultipartParser parser{simple};
    EXPECT_EQ(parser.next("--b\r\nA").kind, MultipartParser::Kind::need_more);
    const std::string piece(100, c);
    std::size_t fed = 0;
    while (fed < 1'000'000 && parser.next(piece).kind == MultipartParser::Kind::need_more) fed += piece.size();
    EXPECT_LE(fed, MultipartLimits{}.part_header_bytes_max);
    EXPECT_EQ(parser.problem().status(), 413);
  }
}

TEST(MultipartLimits, FieldsOfAPartAreCounted) {
  const std::string body = one_part("d", "A: 1\r\nB: 2\r\n");
  passes(body, {.part_fields_max = 3});
  is_refused(body, {.part_fields_max = 2}, "A part has too many header fields.");
}

TEST(MultipartLimits, BytesOfANameAreCountedOnceRead) {
  const std::string body = "--b\r\nContent-Disposition: form-data; name=\"a\\\"c\"; filename=wxyz\r\n\r\n\r\n--b--";
  passes(body, {.name_bytes_max = 3, .filename_bytes_max = 4});
  is_refused(body, {.name_bytes_max = 2}, "A part's name is too long.");
  is_refused(body, {.filename_bytes_max = 3}, "A part's file name is too long.");
}

TEST(MultipartLimits, DataIsGivenUpToTheLimit) {
  const std::string data = "12\r\n--\r\n34";
  passes(one_part(data), {.part_data_bytes_max = data.size()});
  passes(one_part(data), {.data_bytes_max = data.size()});
  for (std::size_t size = 0; size < data.size(); ++size) {
    const std::string given = size == 0 ? "part" : "data " + data.substr(0, size);
    const Events by_part = is_refused(one_part(data), {.part_data_bytes_max = size}, "A part is too large.");
    EXPECT_EQ(by_part.back().substr(0, given.size()), given);
    const Events by_form = is_refused(one_part(data), {.data_bytes_max = size}, "The form is too large.");
    EXPECT_EQ(by_form, by_part);
  }
}

TEST(MultipartLimits, DataIsCountedForEachPartAndForAll) {
  const std::string body = part("123") + part("") + one_part("4567");
  passes(body, {.part_data_bytes_max = 4, .data_bytes_max = 7});
  EXPECT_EQ(is_refused(body, {.part_data_bytes_max = 3}, "A part is too large.").back(), "data 456");
  EXPECT_EQ(is_refused(body, {.data_bytes_max = 6}, "The form is too large.").back(), "data 456");
}

TEST(MultipartLimits, BytesBeforeTheFirstBoundaryAreCounted) {
  const std::string body = "\r\n--12\r\n" + one_part("d");
  passes(body, {.preamble_bytes_max = 6});
  EXPECT_EQ(is_refused(body, {.preamble_bytes_max = 5}, "There is too much before the form's first boundary.").size(),
            0u);
  passes("\r\n" + one_part("d"), {.preamble_bytes_max = 0});
  passes(one_part("d"), {.preamble_bytes_max = 0});
}

TEST(MultipartLimits, BytesBehindTheLastBoundaryAreCounted) {
  const std::string detail = "There is too much behind the form's last boundary.";
  passes(one_part("d") + "\r\n123", {.epilogue_bytes_max = 3});
  EXPECT_EQ(is_refused(one_part("d") + "\r\n1234", {.epilogue_bytes_max = 3}, detail).back(), "part end");
  passes(one_part("d") + " \t\r\n1", {.epilogue_bytes_max = 3});
  is_refused(one_part("d") + " \t\r\n12", {.epilogue_bytes_max = 3}, detail);
  is_refused(one_part("d") + " \t \t", {.epilogue_bytes_max = 3}, detail);
  passes(one_part("d") + "\r\n", {.epilogue_bytes_max = 0});
}

TEST(MultipartLimits, MayAllBeSwitchedOff) {
  constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  passes("x\r\n" + one_part("d") + "\r\ny", {none, none, none, none, none, none, none, none, none});
}

}  // namespace
}  // namespace sluice
