// coded_bytes.hpp: bytes in and out of content codings, cut as a test likes. Each piece lies in memory of its own that
// is gone before the next one comes, so that AddressSanitizer sees a view that was kept. Thread: the test's.
#pragma once

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/extra/compression.hpp>

#include "extra/body_decoder.hpp"
#include "extra/coding.hpp"

namespace sluice::test {

/// Those of this build.
inline std::vector<ContentCoding> codings() {
  std::vector<ContentCoding> all{ContentCoding::gzip, ContentCoding::deflate, ContentCoding::brotli,
                                 ContentCoding::zstd};
  std::erase_if(all, [](ContentCoding coding) { return !coding_available(coding); });
  return all;
}

/// Text that gets smaller, about as much as text does.
inline std::string words(std::size_t size, std::uint64_t seed = 1) {
  constexpr std::string_view list[] = {"gate ",   "water ",   "mill ",   "admits ",
                                       "sluice ", "as much ", "behind ", "of the "};
  std::mt19937_64 random{seed};
  std::string text;
  while (text.size() < size) {
    text += list[random() % std::size(list)];
    text += std::to_string(random() % 1'000);
  }
  text.resize(size);
  return text;
}

/// Bytes that don't.
inline std::string noise(std::size_t size, std::uint64_t seed = 1) {
  std::mt19937_64 random{seed};
  std::string bytes(size, '\0');
  std::ranges::generate(bytes, [&] { return static_cast<char>(random()); });
  return bytes;
}

/// How much comes next; never 0.
using Cut = std::function<std::size_t()>;
inline Cut cuts_of(std::size_t size) {
  return [size] { return size; };
}
inline Cut random_cuts(std::uint64_t seed, std::size_t size_max) {
  return [random = std::mt19937_64{seed}, size_max]() mutable { return 1 + random() % size_max; };
}

/// All of `bytes`, encoded in pieces.
inline std::string encode(std::string_view bytes, const detail::EncoderOptions& options,
                          const Cut& in = cuts_of(1 << 20), const Cut& out = cuts_of(1 << 16)) {
  using Mode = detail::Encoder::Mode;
  const auto encoder = detail::make_encoder(options);
  std::string all;
  for (bool done = false; !done;) {
    const std::vector<char> piece{bytes.begin(), bytes.begin() + std::min(bytes.size(), in())};
    bytes.remove_prefix(piece.size());
    const Mode mode = bytes.empty() ? Mode::finish : Mode::run;
    std::string_view left{piece.data(), piece.size()};
    do {
      std::vector<char> room(out());
      const auto step = encoder->encode(left, room, mode);
      left.remove_prefix(step.consumed);
      all.append(room.data(), step.produced);
      done = mode == Mode::finish && step.done;
    } while (mode == Mode::finish ? !done : !left.empty());
  }
  return all;
}
inline std::string encode(std::string_view bytes, ContentCoding coding) { return encode(bytes, {.coding = coding}); }

struct Decoded {
  std::string bytes{};
  int status = 200;  // else of the problem
  std::string detail{};
};

/// All of `bytes`, decoded in pieces; what came before a failure is kept.
inline Decoded decode(std::string_view bytes, std::optional<ContentCoding> coding, const DecodingOptions& limits = {},
                      const Cut& in = cuts_of(1 << 14), const Cut& out = cuts_of(1 << 14)) {
  detail::BodyDecoder decoder{coding, limits};
  Decoded all;
  while (!bytes.empty() && !decoder.failed()) {
    const std::vector<char> piece{bytes.begin(), bytes.begin() + std::min(bytes.size(), in())};
    bytes.remove_prefix(piece.size());
    std::string_view left{piece.data(), piece.size()};
    while (!decoder.failed() && (!left.empty() || decoder.holds_back())) {
      std::vector<char> room(out());
      const auto step = decoder.next(left, room);
      left.remove_prefix(step.consumed);
      if (!decoder.failed()) all.bytes.append(room.data(), step.produced);
    }
  }
  decoder.finish();
  if (!decoder.failed()) return all;
  all.status = decoder.problem().status();
  all.detail = decoder.problem().detail();
  return all;
}

}  // namespace sluice::test
