// coding.cpp: which codings this build has. The build defines SLUICE_WITH_... for this file alone.
#include "extra/coding.hpp"

#include <array>

#include "base/assert.hpp"

namespace sluice {

std::string_view to_string(ContentCoding coding) noexcept {
  switch (coding) {
    case ContentCoding::gzip: return "gzip";
    case ContentCoding::deflate: return "deflate";
    case ContentCoding::brotli: return "br";
    case ContentCoding::zstd: return "zstd";
  }
  return "unknown";
}

bool coding_available(ContentCoding coding) noexcept {
  switch (coding) {
#if defined(SLUICE_WITH_ZLIB)
    case ContentCoding::gzip:
    case ContentCoding::deflate: return true;
#endif
#if defined(SLUICE_WITH_BROTLI)
    case ContentCoding::brotli: return true;
#endif
#if defined(SLUICE_WITH_ZSTD)
    case ContentCoding::zstd: return true;
#endif
    default: return false;
  }
}

namespace detail {

std::unique_ptr<Encoder> make_encoder([[maybe_unused]] const EncoderOptions& options) {
  switch (options.coding) {
#if defined(SLUICE_WITH_ZLIB)
    case ContentCoding::gzip:
    case ContentCoding::deflate: return make_zlib_encoder(options);
#endif
#if defined(SLUICE_WITH_BROTLI)
    case ContentCoding::brotli: return make_brotli_encoder(options);
#endif
#if defined(SLUICE_WITH_ZSTD)
    case ContentCoding::zstd: return make_zstd_encoder(options);
#endif
    default: return nullptr;
  }
}

std::unique_ptr<Decoder> make_decoder(ContentCoding coding) {
  switch (coding) {
#if defined(SLUICE_WITH_ZLIB)
    case ContentCoding::gzip:
    case ContentCoding::deflate: return make_zlib_decoder(coding);
#endif
#if defined(SLUICE_WITH_BROTLI)
    case ContentCoding::brotli: return make_brotli_decoder();
#endif
#if defined(SLUICE_WITH_ZSTD)
    case ContentCoding::zstd: return make_zstd_decoder();
#endif
    default: return nullptr;
  }
}

std::optional<std::string> encode_smaller(ContentCoding coding, CompressionLevel level, std::string_view bytes) {
  const std::size_t size = bytes.size();
  const std::unique_ptr<Encoder> encoder = make_encoder({coding, level, size});
  SLUICE_ASSERT(encoder != nullptr);
  std::string encoded;
  std::array<char, 16 * 1024> piece;
  for (;;) {
    const Encoder::Step step = encoder->encode(bytes, piece, Encoder::Mode::finish);
    bytes.remove_prefix(step.consumed);
    encoded.append(piece.data(), step.produced);
    if (encoded.size() >= size) return std::nullopt;
    if (step.done) return encoded;
  }
}

}  // namespace detail
}  // namespace sluice
