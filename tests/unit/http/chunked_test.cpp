// chunked_test.cpp: the decoder by itself. Its rules, message by message, are in vectors_test.cpp.
#include "http/chunked.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::http {
namespace {

using Kind = ChunkedDecoder::Step::Kind;

struct Decoded {
  std::string data{};
  std::size_t consumed = 0;
  Kind end = Kind::need_more;
  std::uint16_t status = 0;
};

Decoded decode(const std::vector<std::string>& pieces) {
  ChunkedDecoder decoder;
  Decoded decoded;
  for (const std::string& piece : pieces) {
    std::string_view rest = piece;
    for (;;) {
      const auto step = decoder.next(rest);
      EXPECT_LE(step.consumed, rest.size());
      rest.remove_prefix(step.consumed);
      decoded.data += step.data;
      decoded.consumed += step.consumed;
      decoded.end = step.kind;
      decoded.status = step.kind == Kind::rejected ? step.reject.status : std::uint16_t{0};
      if (step.kind != Kind::data) break;
      EXPECT_FALSE(step.data.empty());
    }
    EXPECT_TRUE(decoded.end != Kind::need_more || rest.empty());
    if (decoded.end != Kind::need_more) break;
  }
  return decoded;
}

const std::string body = "5;a=\"q\\\"\" ; b\r\nhello\r\n00a\r\n0123456789\r\n0;x\r\nT: 1\r\nU:\r\n\r\n";

TEST(Chunked, DataIsTheSameForEveryCut) {
  for (std::size_t at = 0; at <= body.size(); ++at) {
    const Decoded decoded = decode({body.substr(0, at), body.substr(at)});
    ASSERT_EQ(decoded.data, "hello0123456789") << at;
    ASSERT_EQ(decoded.end, Kind::done) << at;
    ASSERT_EQ(decoded.consumed, body.size()) << at;
  }
}

TEST(Chunked, DataIsTheSameByteByByte) {
  std::vector<std::string> pieces;
  for (const char c : body) pieces.emplace_back(1, c);
  EXPECT_EQ(decode(pieces).data, "hello0123456789");
  EXPECT_EQ(decode(pieces).end, Kind::done);
}

TEST(Chunked, WhatFollowsTheBodyIsNotTouched) {
  ChunkedDecoder decoder;
  const std::string text = "0\r\n\r\nGET / HTTP/1.1\r\n";
  const auto step = decoder.next(text);
  EXPECT_EQ(step.kind, Kind::done);
  EXPECT_EQ(step.consumed, 5u);
  EXPECT_TRUE(decoder.done());
  EXPECT_EQ(decoder.next("more").kind, Kind::done);
  EXPECT_EQ(decoder.next("more").consumed, 0u);
}

TEST(Chunked, DataComesBeforeItsChunkIsComplete) {
  ChunkedDecoder decoder;
  const auto step = decoder.next("a\r\n0123");
  EXPECT_EQ(step.kind, Kind::data);
  EXPECT_EQ(step.data, "0123");
  EXPECT_EQ(decoder.announced(), 10u);
}

TEST(Chunked, SizeIsAnnouncedBeforeTheLineEnds) {
  ChunkedDecoder decoder;
  EXPECT_EQ(decoder.next("7FFFFFFFFFFFFFFF;").kind, Kind::need_more);
  EXPECT_EQ(decoder.announced(), 0x7fffffffffffffffu);
}

TEST(Chunked, AnnouncedTotalCountsAllChunksAndNeverWraps) {
  ChunkedDecoder decoder;
  std::string text = "2\r\nab\r\n3\r\n";
  std::string_view rest = text;
  for (auto step = decoder.next(rest); step.kind == Kind::data; step = decoder.next(rest))
    rest.remove_prefix(step.consumed);
  EXPECT_EQ(decoder.announced(), 5u);
  EXPECT_EQ(decode({"8000000000000000\r\n"}).status, 413);
  EXPECT_EQ(decode({"10000000000000000\r\n"}).status, 400);
}

TEST(Chunked, ARefusalStays) {
  ChunkedDecoder decoder;
  EXPECT_EQ(decoder.next("x").kind, Kind::rejected);
  EXPECT_EQ(decoder.next("0\r\n\r\n").kind, Kind::rejected);
  EXPECT_EQ(decoder.next("").reject.status, 400);
  decoder.reset();
  EXPECT_EQ(decoder.next("0\r\n\r\n").kind, Kind::done);
}

TEST(Chunked, ExtensionBytesAreCountedPerMessage) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "1;" + std::string(100, 'x') + "\r\ny\r\n";
  const Decoded decoded = decode({text + "0\r\n\r\n"});
  EXPECT_EQ(decoded.end, Kind::rejected);
  EXPECT_EQ(decoded.status, 400);
}

TEST(Chunked, NoInputIsNoProgress) {
  ChunkedDecoder decoder;
  EXPECT_EQ(decoder.next("").kind, Kind::need_more);
  EXPECT_EQ(decoder.next("5\r\n").kind, Kind::need_more);
  EXPECT_EQ(decoder.next("").kind, Kind::need_more);
  EXPECT_EQ(decoder.next("hello").data, "hello");
}

}  // namespace
}  // namespace sluice::http
