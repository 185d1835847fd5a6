// zstd.cpp: the coding zstd, by Facebook's library. The one file that includes it.
#include <zstd.h>
#include <zstd_errors.h>

#include <new>

#include "base/assert.hpp"
#include "extra/coding.hpp"

namespace sluice::detail {
namespace {

/// 8 MiB: what every receiver of this coding must support, and none has to. Source: RFC 9659 3.
constexpr int window_bits_max = 23;

int level_of(CompressionLevel level) noexcept {
  switch (level) {
    case CompressionLevel::fast: return 1;
    case CompressionLevel::balanced: return 3;
    case CompressionLevel::small: return 9;
  }
  return 1;
}

/// The library's error, or none; no memory is thrown.
bool failed(std::size_t result) {
  if (ZSTD_isError(result) == 0) return false;
  if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) throw std::bad_alloc{};
  return true;
}

class ZstdEncoder final : public Encoder {
 public:
  explicit ZstdEncoder(const EncoderOptions& options) : context_{ZSTD_createCCtx()} {
    if (!context_) throw std::bad_alloc{};
    SLUICE_ASSERT(!failed(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level_of(options.level))));
    if (options.size) SLUICE_ASSERT(!failed(ZSTD_CCtx_setPledgedSrcSize(context_.get(), *options.size)));
  }

  Step encode(std::string_view in, std::span<char> out, Mode mode) override {
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const std::size_t left = ZSTD_compressStream2(context_.get(), &to, &from, directive_of(mode));
    SLUICE_ASSERT(!failed(left));
    const bool used_up = from.pos == from.size;
    return {from.pos, to.pos, mode == Mode::run ? used_up : used_up && left == 0};
  }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
  };

  static ZSTD_EndDirective directive_of(Mode mode) noexcept {
    switch (mode) {
      case Mode::run: return ZSTD_e_continue;
      case Mode::flush: return ZSTD_e_flush;
      case Mode::finish: return ZSTD_e_end;
    }
    return ZSTD_e_continue;
  }

  std::unique_ptr<ZSTD_CCtx, Free> context_;
};

/// Frames may follow one another. Source: RFC 8878 3.1.
class ZstdDecoder final : public Decoder {
 public:
  ZstdDecoder() : context_{ZSTD_createDCtx()} {
    if (!context_) throw std::bad_alloc{};
    SLUICE_ASSERT(!failed(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, window_bits_max)));
  }

  Step decode(std::string_view in, std::span<char> out) override {
    if (state_ == State::malformed || (state_ == State::whole && in.empty())) return {0, 0, state_};
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const std::size_t wanted = ZSTD_decompressStream(context_.get(), &to, &from);
    if (failed(wanted)) state_ = State::malformed;
    else state_ = wanted == 0 ? State::whole : State::open;
    return {from.pos, to.pos, state_};
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  };

  std::unique_ptr<ZSTD_DCtx, Free> context_;
  State state_ = State::open;
};

}  // namespace

std::unique_ptr<Encoder> make_zstd_encoder(const EncoderOptions& options) {
  return std::make_unique<ZstdEncoder>(options);
}

std::unique_ptr<Decoder> make_zstd_decoder() { return std::make_unique<ZstdDecoder>(); }

}  // namespace sluice::detail
