// coding_test.cpp: every coding of this build, there and back. Whatever the cuts, the bytes are the same.
#include "extra/coding.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "support/coded_bytes.hpp"

namespace sluice {
namespace {

using namespace std::string_view_literals;
using detail::Decoder;
using detail::Encoder;
using test::codings;
using test::noise;
using test::words;

class Coding : public ::testing::Test {
 protected:
  void SetUp() override {
    if (codings().empty()) GTEST_SKIP() << "built without content codings";
  }
};

TEST_F(Coding, NamesAreThoseOnTheWire) {
  EXPECT_EQ(to_string(ContentCoding::gzip), "gzip");
  EXPECT_EQ(to_string(ContentCoding::deflate), "deflate");
  EXPECT_EQ(to_string(ContentCoding::brotli), "br");
  EXPECT_EQ(to_string(ContentCoding::zstd), "zstd");
}

TEST_F(Coding, RoundTripsWhateverTheCuts) {
  const std::string samples[] = {"", "a", words(3'000), words(200'000), noise(100'000), std::string(300'000, '\0')};
  for (const ContentCoding coding : codings()) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      SCOPED_TRACE(std::string{to_string(coding)} + ", seed " + std::to_string(seed));
      const std::string& bytes = samples[seed % std::size(samples)];
      const std::size_t size_max = std::size_t{1} << (seed * 5 % 17);
      const auto level = static_cast<CompressionLevel>(seed % 3);
      const std::string encoded =
          test::encode(bytes, {.coding = coding, .level = level}, test::random_cuts(seed, 2 * size_max),
                       test::random_cuts(seed + 100, 64 + size_max));
      const test::Decoded decoded =
          test::decode(encoded, coding, {.ratio_max = 1'000'000}, test::random_cuts(seed + 200, size_max),
                       test::random_cuts(seed + 300, 1 + size_max));
      EXPECT_EQ(decoded.status, 200) << decoded.detail;
      EXPECT_TRUE(decoded.bytes == bytes);
    }
  }
}

TEST_F(Coding, KnowingTheSizeChangesNothingForTheReader) {
  for (const ContentCoding coding : codings()) {
    for (const std::size_t size : {0, 1, 100, 512, 1'024, 5'000, 70'000}) {
      const std::string bytes = words(size);
      const std::string encoded = test::encode(bytes, {.coding = coding, .size = size});
      EXPECT_TRUE(test::decode(encoded, coding).bytes == bytes) << to_string(coding) << " " << size;
    }
  }
}

TEST_F(Coding, AfterAFlushAllThatWentInCanBeDecoded) {
  for (const ContentCoding coding : codings()) {
    const auto encoder = detail::make_encoder({.coding = coding});
    const auto decoder = detail::make_decoder(coding);
    for (int round = 0; round < 5; ++round) {
      const std::string bytes = words(round == 3 ? 200'000 : 50, static_cast<std::uint64_t>(round));
      std::string_view left = bytes;
      std::string encoded;
      for (bool done = false; !done;) {
        char room[1'000];
        const auto step = encoder->encode(left, room, Encoder::Mode::flush);
        left.remove_prefix(step.consumed);
        encoded.append(room, step.produced);
        done = step.done;
      }
      std::string decoded(bytes.size() + 1, '\0');
      std::size_t size = 0;
      for (std::string_view rest = encoded; !rest.empty();) {
        const auto step = decoder->decode(rest, {decoded.data() + size, decoded.size() - size});
        ASSERT_EQ(step.state, Decoder::State::open) << to_string(coding);
        rest.remove_prefix(step.consumed);
        size += step.produced;
      }
      decoded.resize(size);
      EXPECT_TRUE(decoded == bytes) << to_string(coding) << " round " << round;
    }
  }
}

TEST_F(Coding, OthersDataIsRead) {
  EXPECT_EQ(test::decode("\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcbH\xcd\xc9\xc9\x07\x00\x86\xa6\x10"
                         "6\x05\x00\x00\x00"sv,
                         ContentCoding::gzip)
                .bytes,
            "hello");
  EXPECT_EQ(test::decode("x\x9c\xcbH\xcd\xc9\xc9\x07\x00\x06,\x02\x15"sv, ContentCoding::deflate).bytes, "hello");
  if (coding_available(ContentCoding::brotli)) {
    EXPECT_EQ(test::decode("\x0b\x02\x80hello\x03"sv, ContentCoding::brotli).bytes, "hello");
  }
  if (coding_available(ContentCoding::zstd)) {
    EXPECT_EQ(test::decode("\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello"sv, ContentCoding::zstd).bytes, "hello");
  }
}

TEST_F(Coding, ASmallerTextIsGivenAndALargerOneIsNot) {
  for (const ContentCoding coding : codings()) {
    for (const CompressionLevel level : {CompressionLevel::fast, CompressionLevel::balanced, CompressionLevel::small}) {
      const std::string text = words(100'000);
      const auto encoded = detail::encode_smaller(coding, level, text);
      ASSERT_TRUE(encoded) << to_string(coding);
      EXPECT_LT(encoded->size(), text.size() / 2) << to_string(coding);
      EXPECT_TRUE(test::decode(*encoded, coding).bytes == text) << to_string(coding);
      EXPECT_FALSE(detail::encode_smaller(coding, level, noise(100'000))) << to_string(coding);
      EXPECT_FALSE(detail::encode_smaller(coding, level, "a")) << to_string(coding);
    }
  }
}

TEST_F(Coding, WhatIsNotThereIsNotMade) {
  for (const ContentCoding coding :
       {ContentCoding::gzip, ContentCoding::deflate, ContentCoding::brotli, ContentCoding::zstd}) {
    EXPECT_EQ(detail::make_encoder({.coding = coding}) != nullptr, coding_available(coding));
    EXPECT_EQ(detail::make_decoder(coding) != nullptr, coding_available(coding));
  }
  EXPECT_EQ(coding_available(ContentCoding::gzip), coding_available(ContentCoding::deflate));
}

}  // namespace
}  // namespace sluice
