// brotli.cpp: the coding br, by Google's library. The one file that includes it.
#include <brotli/decode.h>
#include <brotli/encode.h>

#include <algorithm>
#include <bit>
#include <new>

#include "extra/coding.hpp"

namespace sluice::detail {
namespace {

const std::uint8_t* bytes_of(std::string_view in) noexcept { return reinterpret_cast<const std::uint8_t*>(in.data()); }

std::uint32_t quality_of(CompressionLevel level) noexcept {
  switch (level) {
    case CompressionLevel::fast: return 2;
    case CompressionLevel::balanced: return 5;
    case CompressionLevel::small: return 9;  // 10 and 11 take a hundred times as long
  }
  return 2;
}

class BrotliEncoder final : public Encoder {
 public:
  explicit BrotliEncoder(const EncoderOptions& options)
      : state_{BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)} {
    constexpr int window_bits_max = 18;  // 256 KiB: what an answer gains from more is not worth the memory
    if (!state_) throw std::bad_alloc{};
    const int bits = options.size ? static_cast<int>(std::bit_width(*options.size)) : window_bits_max;
    set(BROTLI_PARAM_LGWIN, static_cast<std::uint32_t>(std::clamp(bits, BROTLI_MIN_WINDOW_BITS, window_bits_max)));
    set(BROTLI_PARAM_QUALITY, quality_of(options.level));
    if (options.size)
      set(BROTLI_PARAM_SIZE_HINT, static_cast<std::uint32_t>(std::min<std::size_t>(*options.size, 1U << 30)));
  }

  Step encode(std::string_view in, std::span<char> out, Mode mode) override {
    const std::uint8_t* next_in = bytes_of(in);
    std::size_t left = in.size();
    auto* next_out = reinterpret_cast<std::uint8_t*>(out.data());
    std::size_t room = out.size();
    if (!BrotliEncoderCompressStream(state_.get(), operation_of(mode), &left, &next_in, &room, &next_out, nullptr)) {
      throw std::bad_alloc{};
    }
    Step step{in.size() - left, out.size() - room, left == 0};
    if (mode == Mode::flush) step.done = step.done && !BrotliEncoderHasMoreOutput(state_.get());
    if (mode == Mode::finish) step.done = BrotliEncoderIsFinished(state_.get()) != BROTLI_FALSE;
    return step;
  }

 private:
  struct Destroy {
    void operator()(BrotliEncoderState* state) const noexcept { BrotliEncoderDestroyInstance(state); }
  };

  static BrotliEncoderOperation operation_of(Mode mode) noexcept {
    switch (mode) {
      case Mode::run: return BROTLI_OPERATION_PROCESS;
      case Mode::flush: return BROTLI_OPERATION_FLUSH;
      case Mode::finish: return BROTLI_OPERATION_FINISH;
    }
    return BROTLI_OPERATION_PROCESS;
  }
  void set(BrotliEncoderParameter what, std::uint32_t value) noexcept {
    BrotliEncoderSetParameter(state_.get(), what, value);
  }

  std::unique_ptr<BrotliEncoderState, Destroy> state_;
};

class BrotliDecoder final : public Decoder {
 public:
  BrotliDecoder() : decoder_{BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)} {
    if (!decoder_) throw std::bad_alloc{};
  }

  Step decode(std::string_view in, std::span<char> out) override {
    if (state_ == State::whole && !in.empty()) state_ = State::malformed;  // there is nothing behind the end
    if (state_ != State::open) return {0, 0, state_};
    const std::uint8_t* next_in = bytes_of(in);
    std::size_t left = in.size();
    auto* next_out = reinterpret_cast<std::uint8_t*>(out.data());
    std::size_t room = out.size();
    state_ = state_after(BrotliDecoderDecompressStream(decoder_.get(), &left, &next_in, &room, &next_out, nullptr));
    return {in.size() - left, out.size() - room, state_};
  }

 private:
  struct Destroy {
    void operator()(BrotliDecoderState* state) const noexcept { BrotliDecoderDestroyInstance(state); }
  };

  State state_after(BrotliDecoderResult result) const {
    if (result == BROTLI_DECODER_RESULT_SUCCESS) return State::whole;
    if (result != BROTLI_DECODER_RESULT_ERROR) return State::open;
    const int code = BrotliDecoderGetErrorCode(decoder_.get());
    const bool memory =
        code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
    if (memory) throw std::bad_alloc{};
    return State::malformed;
  }

  std::unique_ptr<BrotliDecoderState, Destroy> decoder_;
  State state_ = State::open;
};

}  // namespace

std::unique_ptr<Encoder> make_brotli_encoder(const EncoderOptions& options) {
  return std::make_unique<BrotliEncoder>(options);
}

std::unique_ptr<Decoder> make_brotli_decoder() { return std::make_unique<BrotliDecoder>(); }

}  // namespace sluice::detail
