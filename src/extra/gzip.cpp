// gzip.cpp: the codings gzip and deflate, by zlib. The one file that includes it.
#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <new>

#include "base/assert.hpp"
#include "extra/coding.hpp"

namespace sluice::detail {
namespace {

constexpr int window_bits_max = 15;
constexpr int gzip_format = 16;  // zlib's flag beside the window's bits

/// zlib counts in 32 bits; what is beyond that waits for the next step.
uInt count_of(std::size_t size) noexcept { return static_cast<uInt>(std::min<std::size_t>(size, 1U << 30)); }

const Bytef* bytes_of(std::string_view in) noexcept { return reinterpret_cast<const Bytef*>(in.data()); }

int level_of(CompressionLevel level) noexcept {
  switch (level) {
    case CompressionLevel::fast: return 1;
    case CompressionLevel::balanced: return 6;
    case CompressionLevel::small: return 9;
  }
  return 1;
}

/// A window no larger than what goes in: 2 KiB of text take 20 KiB of memory then and not 256 KiB.
int window_bits_of(std::optional<std::size_t> size) noexcept {
  return size ? std::clamp(static_cast<int>(std::bit_width(*size)), 9, window_bits_max) : window_bits_max;
}

class ZlibEncoder final : public Encoder {
 public:
  explicit ZlibEncoder(const EncoderOptions& options) {
    const int bits = window_bits_of(options.size);
    const int format = options.coding == ContentCoding::gzip ? gzip_format : 0;
    const int memory = bits - 7;  // as many symbols to a block as bytes go in; 8 is zlib's default
    if (deflateInit2(&stream_, level_of(options.level), Z_DEFLATED, bits + format, memory, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
      throw std::bad_alloc{};
    }
  }
  ~ZlibEncoder() override { deflateEnd(&stream_); }

  Step encode(std::string_view in, std::span<char> out, Mode mode) override {
    stream_.next_in = bytes_of(in);
    stream_.avail_in = count_of(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    const uInt room = stream_.avail_out = count_of(out.size());
    const bool all = stream_.avail_in == in.size();
    const uInt given = stream_.avail_in;
    const int result = deflate(&stream_, all ? flush_of(mode) : Z_NO_FLUSH);
    SLUICE_ASSERT(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
    Step step{given - stream_.avail_in, room - stream_.avail_out, all && stream_.avail_in == 0};
    if (mode == Mode::flush) step.done = step.done && stream_.avail_out > 0;
    if (mode == Mode::finish) step.done = result == Z_STREAM_END;
    return step;
  }

 private:
  static int flush_of(Mode mode) noexcept {
    switch (mode) {
      case Mode::run: return Z_NO_FLUSH;
      case Mode::flush: return Z_SYNC_FLUSH;
      case Mode::finish: return Z_FINISH;
    }
    return Z_NO_FLUSH;
  }

  z_stream stream_{};
};

/// gzip data may be several members in a row; zlib data is one. Source: RFC 1952 2.2, RFC 1950.
class ZlibDecoder final : public Decoder {
 public:
  explicit ZlibDecoder(ContentCoding coding) : members_{coding == ContentCoding::gzip} {
    if (inflateInit2(&stream_, window_bits_max + (members_ ? gzip_format : 0)) != Z_OK) throw std::bad_alloc{};
  }
  ~ZlibDecoder() override { inflateEnd(&stream_); }

  Step decode(std::string_view in, std::span<char> out) override {
    if (state_ == State::whole && in.empty()) return {0, 0, state_};
    if (state_ == State::whole && (!members_ || inflateReset(&stream_) != Z_OK)) state_ = State::malformed;
    if (state_ == State::malformed) return {0, 0, state_};
    stream_.next_in = bytes_of(in);
    const uInt given = stream_.avail_in = count_of(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    const uInt room = stream_.avail_out = count_of(out.size());
    state_ = state_after(inflate(&stream_, Z_NO_FLUSH));
    return {given - stream_.avail_in, room - stream_.avail_out, state_};
  }

 private:
  static State state_after(int result) {
    switch (result) {
      case Z_OK:
      case Z_BUF_ERROR: return State::open;  // the latter: more input or room is wanted
      case Z_STREAM_END: return State::whole;
      case Z_MEM_ERROR: throw std::bad_alloc{};
      default: return State::malformed;  // a dictionary is wanted, too: nobody has agreed on one
    }
  }

  z_stream stream_{};
  const bool members_;
  State state_ = State::open;
};

}  // namespace

std::unique_ptr<Encoder> make_zlib_encoder(const EncoderOptions& options) {
  return std::make_unique<ZlibEncoder>(options);
}

std::unique_ptr<Decoder> make_zlib_decoder(ContentCoding coding) { return std::make_unique<ZlibDecoder>(coding); }

}  // namespace sluice::detail
