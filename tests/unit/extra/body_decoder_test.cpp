// body_decoder_test.cpp: what a hostile or broken body may do: nothing but be refused.
#include "extra/body_decoder.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <string_view>

#include "support/coded_bytes.hpp"

namespace sluice {
namespace {

using namespace std::string_view_literals;
using test::codings;
using test::decode;
using test::encode;
using test::words;

class BodyDecoding : public ::testing::Test {
 protected:
  void SetUp() override {
    if (codings().empty()) GTEST_SKIP() << "built without content codings";
  }
};

bool may_repeat(ContentCoding coding) { return coding == ContentCoding::gzip || coding == ContentCoding::zstd; }

TEST_F(BodyDecoding, WithoutACodingBytesComeAsTheyAre) {
  const std::string bytes = test::noise(100'000);
  const test::Decoded decoded =
      decode(bytes, std::nullopt, {}, test::random_cuts(1, 9'000), test::random_cuts(2, 5'000));
  EXPECT_EQ(decoded.status, 200);
  EXPECT_TRUE(decoded.bytes == bytes);
  EXPECT_EQ(decode("", std::nullopt).status, 200);
  EXPECT_EQ(decode(bytes, std::nullopt, {.bytes_max = 100'000}).status, 200);
  EXPECT_EQ(decode(bytes, std::nullopt, {.bytes_max = 99'999}).status, 413);
}

TEST_F(BodyDecoding, CutShortAtEveryByteIsMalformed) {
  for (const ContentCoding coding : codings()) {
    const std::string encoded = encode(words(400), coding);
    for (std::size_t size = 0; size < encoded.size(); ++size) {
      const test::Decoded decoded = decode(std::string_view{encoded}.substr(0, size), coding);
      EXPECT_EQ(decoded.status, 400) << to_string(coding) << " " << size;
      EXPECT_NE(decoded.detail.find("ends before"), std::string::npos) << to_string(coding) << " " << size;
    }
  }
}

TEST_F(BodyDecoding, BytesBehindTheEndAreMalformed) {
  for (const ContentCoding coding : codings()) {
    const std::string encoded = encode(words(400), coding);
    for (const std::string_view more : {"\0"sv, "x"sv, "\r\n"sv, "\0\0\0\0\0\0\0\0"sv, "garbage that is longer"sv}) {
      for (const std::size_t cut : {1, 7, 100'000}) {
        EXPECT_EQ(decode(encoded + std::string{more}, coding, {}, test::cuts_of(cut)).status, 400)
            << to_string(coding) << " " << more;
      }
    }
  }
}

TEST_F(BodyDecoding, MembersInARowAreOneBodyWhereTheFormatHasThem) {
  for (const ContentCoding coding : codings()) {
    const std::string one = words(5'000, 1);
    const std::string two = words(70'000, 2);
    const std::string encoded = encode(one, coding) + encode("", coding) + encode(two, coding);
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      const test::Decoded decoded =
          decode(encoded, coding, {}, test::random_cuts(seed, 3'000), test::random_cuts(seed, 4'000));
      EXPECT_EQ(decoded.status, may_repeat(coding) ? 200 : 400) << to_string(coding);
      if (may_repeat(coding)) { EXPECT_TRUE(decoded.bytes == one + two) << to_string(coding); }
    }
  }
}

TEST_F(BodyDecoding, NoFlippedByteDoesHarm) {
  for (const ContentCoding coding : codings()) {
    const std::string bytes = words(600);
    const std::string encoded = encode(bytes, coding);
    for (std::size_t at = 0; at < encoded.size(); ++at) {
      for (const int bit : {0, 3, 7}) {
        std::string broken = encoded;
        broken[at] = static_cast<char>(broken[at] ^ (1 << bit));
        const test::Decoded decoded = decode(broken, coding, {.bytes_max = 100'000});
        EXPECT_LE(decoded.bytes.size(), 100'000u);
        const bool summed = coding == ContentCoding::gzip || coding == ContentCoding::deflate;
        if (summed && decoded.status == 200) { EXPECT_TRUE(decoded.bytes == bytes) << at; }
      }
    }
  }
}

TEST_F(BodyDecoding, NoiseIsRefusedOrStaysWithinTheLimits) {
  for (const ContentCoding coding : codings()) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
      const test::Decoded decoded = decode(test::noise(seed % 60, seed), coding, {.bytes_max = 10'000});
      EXPECT_LE(decoded.bytes.size(), 10'000u) << to_string(coding) << " seed " << seed;
    }
  }
}

TEST_F(BodyDecoding, ABombIsRefusedSoonAfterTheGrace) {
  for (const ContentCoding coding : codings()) {
    const std::string bomb = encode(std::string(16 << 20, '\0'), {.coding = coding, .level = CompressionLevel::small});
    EXPECT_LT(bomb.size(), 100'000u);
    const test::Decoded decoded = decode(bomb, coding, {.bytes_max = 1 << 30});
    EXPECT_EQ(decoded.status, 413) << to_string(coding);
    EXPECT_NE(decoded.detail.find("far more"), std::string::npos);
    // The limit counts what was sent: at most all of the bomb is that.
    EXPECT_LE(decoded.bytes.size(), std::max<std::size_t>(1 << 20, bomb.size() * 100) + (1 << 14));
    EXPECT_EQ(decode(bomb, coding, {.bytes_max = 1 << 30, .ratio_max = 10'000'000}).bytes.size(), 16u << 20);
    const test::Decoded limited = decode(bomb, coding, {.bytes_max = 10'000});
    EXPECT_EQ(limited.status, 413);
    EXPECT_LE(limited.bytes.size(), 10'000u);
  }
}

TEST_F(BodyDecoding, TheRatioIsNotJudgedWithinTheGrace) {
  for (const ContentCoding coding : codings()) {
    EXPECT_EQ(decode(encode(std::string(1 << 20, '\0'), coding), coding).status, 200) << to_string(coding);
    EXPECT_EQ(decode(encode(std::string((1 << 20) + 1, '\0'), coding), coding).status, 413) << to_string(coding);
    EXPECT_EQ(decode(encode(words(2 << 20), coding), coding).status, 200) << to_string(coding);
    EXPECT_EQ(decode(encode(words(2'000), coding), coding, {.ratio_max = 1, .ratio_grace_bytes = 0}).status, 413);
  }
}

TEST_F(BodyDecoding, TheLimitIsTheLastSizeThatPasses) {
  for (const ContentCoding coding : codings()) {
    const std::string encoded = encode(words(50'000), coding);
    for (const std::size_t cut : {1, 1'000, 100'000}) {
      EXPECT_EQ(decode(encoded, coding, {.bytes_max = 50'000}, test::cuts_of(cut)).status, 200) << to_string(coding);
      EXPECT_EQ(decode(encoded, coding, {.bytes_max = 49'999}, test::cuts_of(cut)).status, 413) << to_string(coding);
    }
  }
}

TEST_F(BodyDecoding, DeflateIsTheZlibFormatWithoutADictionary) {
  const std::string encoded = encode(words(500), ContentCoding::deflate);
  EXPECT_EQ(decode(std::string_view{encoded}.substr(2), ContentCoding::deflate).status, 400);  // bare deflate data
  EXPECT_EQ(decode("\x78\xbb\x00\x00\x00\x01\x00\x00\x00"sv, ContentCoding::deflate).status, 400);
  EXPECT_EQ(decode(encoded, ContentCoding::gzip).status, 400);
  EXPECT_EQ(decode(encode("x", ContentCoding::gzip), ContentCoding::deflate).status, 400);
}

TEST_F(BodyDecoding, AZstdWindowAboveEightMebibytesIsRefused) {
  if (!coding_available(ContentCoding::zstd)) GTEST_SKIP() << "built without zstd";
  EXPECT_EQ(decode("\x28\xb5\x2f\xfd\x00\x68\x29\x00\x00hello"sv, ContentCoding::zstd).bytes, "hello");
  EXPECT_EQ(decode("\x28\xb5\x2f\xfd\x00\x70\x29\x00\x00hello"sv, ContentCoding::zstd).status, 400);
}

TEST_F(BodyDecoding, AfterAFailureNothingHappens) {
  detail::BodyDecoder decoder{ContentCoding::gzip, {}};
  char room[10];
  decoder.next("no gzip at all", room);
  ASSERT_TRUE(decoder.failed());
  const auto step = decoder.next("more", room);
  EXPECT_EQ(step.consumed + step.produced, 0u);
  decoder.finish();
  EXPECT_EQ(decoder.problem().status(), 400);
  EXPECT_NE(decoder.problem().detail().find("gzip"), std::string::npos);
}

}  // namespace
}  // namespace sluice
