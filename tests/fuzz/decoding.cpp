// decoding.cpp: any bytes as a body in any coding. However it is cut, it decodes to the same or is refused, and never to
// more than the limit; and what an encoder makes of any bytes decodes to them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/extra/compression.hpp>

#include "support/coded_bytes.hpp"

/// The first byte chooses the coding and what is done, the second the cuts; the rest is the body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace sluice;
  constexpr std::size_t knobs = 2;
  if (size < knobs) return 0;
  const auto coding = static_cast<ContentCoding>(bytes[0] % content_coding_count);
  if (!coding_available(coding)) return 0;
  const std::string_view body{reinterpret_cast<const char*>(bytes) + knobs, size - knobs};
  const std::uint64_t seed = bytes[1];

  DecodingOptions limits{.bytes_max = 100'000, .ratio_max = 1'000'000};
  const test::Decoded whole = test::decode(body, coding, limits);
  const test::Decoded cut =
      test::decode(body, coding, limits, test::random_cuts(seed, 30), test::random_cuts(seed, 500));
  if ((whole.status == 200) != (cut.status == 200)) std::abort();  // of two faults another may be found first
  if (whole.status == 200 && whole.bytes != cut.bytes) std::abort();
  if (whole.bytes.size() > limits.bytes_max || cut.bytes.size() > limits.bytes_max) std::abort();

  limits = {.ratio_max = 10, .ratio_grace_bytes = 1'000};
  const std::size_t most = test::decode(body, coding, limits).bytes.size();
  if (most > 1'000 && most > 10 * body.size()) std::abort();

  if ((bytes[0] & 128) == 0) return 0;
  const detail::EncoderOptions how{coding, static_cast<CompressionLevel>((bytes[0] >> 2) % 3),
                                   (bytes[0] & 64) != 0 ? std::optional{body.size()} : std::nullopt};
  const std::string encoded = test::encode(body, how, test::random_cuts(seed, 200), test::random_cuts(seed, 200));
  const test::Decoded back = test::decode(encoded, coding, {.ratio_max = 1'000'000});
  if (back.status != 200 || back.bytes != body) std::abort();
  return 0;
}
