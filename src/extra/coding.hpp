// coding.hpp: every coding behind the same two interfaces, so that each library stays in one file of ours. Bytes in,
// bytes out, in steps of any size. Any one thread; no I/O. A file whose library is missing is not compiled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sluice/extra/compression.hpp>

namespace sluice::detail {

class Encoder {
 public:
  enum class Mode : std::uint8_t {
    run,  // gather as seems best
    flush,  // let all that came in be decodable
    finish,  // end the stream
  };
  struct Step {
    std::size_t consumed = 0;
    std::size_t produced = 0;
    /// All of `in` is used up and what the mode asks for is out.
    bool done = false;
  };

  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  virtual ~Encoder() = default;

  /// Uses up some of `in` and fills some of `out`, which must have room. A flush or finish that has begun is repeated
  /// with the rest of the same input until it is done.
  ///   Errors: std::bad_alloc.
  virtual Step encode(std::string_view in, std::span<char> out, Mode mode) = 0;
};

class Decoder {
 public:
  enum class State : std::uint8_t {
    open,  // the data is not whole yet
    whole,  // the input may end here
    malformed,  // stays
  };
  struct Step {
    std::size_t consumed = 0;
    std::size_t produced = 0;
    State state = State::open;
  };

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  virtual ~Decoder() = default;

  /// Uses up some of `in` and fills some of `out`, which must have room. If it filled all of it there may be more, even
  /// without further input.
  ///   Errors: std::bad_alloc.
  virtual Step decode(std::string_view in, std::span<char> out) = 0;
};

struct EncoderOptions {
  ContentCoding coding = ContentCoding::gzip;
  CompressionLevel level = CompressionLevel::fast;
  /// Of all that will come, if it is known: less memory for little.
  std::optional<std::size_t> size{};
};

/// Null for a coding that is not available.
std::unique_ptr<Encoder> make_encoder(const EncoderOptions& options);
std::unique_ptr<Decoder> make_decoder(ContentCoding coding);

/// All of `bytes`; nothing if that would not be smaller. The coding must be available.
std::optional<std::string> encode_smaller(ContentCoding coding, CompressionLevel level, std::string_view bytes);

// One pair for each library.
std::unique_ptr<Encoder> make_zlib_encoder(const EncoderOptions& options);
std::unique_ptr<Decoder> make_zlib_decoder(ContentCoding coding);
std::unique_ptr<Encoder> make_brotli_encoder(const EncoderOptions& options);
std::unique_ptr<Decoder> make_brotli_decoder();
std::unique_ptr<Encoder> make_zstd_encoder(const EncoderOptions& options);
std::unique_ptr<Decoder> make_zstd_decoder();

}  // namespace sluice::detail
