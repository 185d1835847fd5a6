// chunked.hpp: takes the chunked coding off a request body.
// In: raw body bytes in any pieces. Out: stretches of data, the end, or a refusal. Loop thread, one per exchange.
// It must never treat anything but CRLF as a line end, never skip a byte, and never hold data back.
//
// Not done with llhttp: 8.1.0 refuses legal extensions (";a=b;c=d", quoted pairs), takes malformed ones (";a=", ";=b",
// ";;a"), calls nobody while a size line grows, and ends trailers at a bare LF or a fold. Each rule below would have to
// be checked in front of it anyway; what would be left to it is counting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/head.hpp"

namespace sluice::http {

inline constexpr std::uint32_t chunk_extension_bytes_max = 4 * 1024;  // per message; more is 400
inline constexpr std::uint32_t trailer_bytes_max = 8 * 1024;  // more is 431
inline constexpr std::uint32_t trailer_fields_max = 64;  // more is 431

/// A strict, resumable decoder. Trailer fields are checked like header fields.
///   Source: RFC 9112 7.1.
class ChunkedDecoder {
 public:
  struct Step {
    enum class Kind : std::uint8_t { need_more, data, done, rejected };
    Kind kind = Kind::need_more;
    std::size_t consumed = 0;  // bytes of `in` used up, `data` included; all of it for need_more
    std::string_view data{};  // part of `in`; never empty for Kind::data
    std::string_view trailer{};  // part of `in`: what of the trailer section was used up, its line ends included
    Reject reject{};
  };

  /// Decodes up to the next stretch of data. Call again with what is left of `in` until need_more, done or rejected.
  ///   After done and rejected it only repeats that and consumes nothing.
  ///   After every step check announced() against the body's limit, before using the data.
  Step next(std::string_view in) noexcept;

  /// Bytes of data in all chunks whose size has been read, the current one included; stays at 2^64 - 1 rather than
  /// wrap. Known before the data arrives, so that too large a body is refused (413) before it is read.
  std::uint64_t announced() const noexcept { return announced_; }
  bool done() const noexcept { return state_ == State::done; }
  /// Ready for another body.
  void reset() noexcept { *this = ChunkedDecoder{}; }

 private:
  enum class State : std::uint8_t {
    size_first,
    size,
    before_semicolon,
    extension_start,
    extension_name,
    after_name,
    value_start,
    value_token,
    quoted,
    quoted_pair,
    after_quoted,
    size_line_feed,
    data,
    data_carriage_return,
    data_line_feed,
    trailer_start,
    trailer_name,
    trailer_value,
    trailer_line_feed,
    end_line_feed,
    done,
    rejected,
  };
  enum class Fault : std::uint8_t;

  bool take(char c) noexcept;
  bool take_size(char c) noexcept;
  bool take_extension(char c) noexcept;
  bool take_trailer(char c) noexcept;
  bool end_size() noexcept;
  bool after_size(char c) noexcept;
  bool refuse(Fault fault) noexcept;
  Reject reject() const noexcept;

  std::uint64_t remaining_ = 0;  // of the current chunk: its size while that is read, then its data
  std::uint64_t announced_ = 0;
  std::uint16_t extension_bytes_ = 0;
  std::uint16_t trailer_bytes_ = 0;
  std::uint8_t trailer_fields_ = 0;
  std::uint8_t size_digits_ = 0;
  bool last_ = false;  // the chunk of size 0 has been read
  State state_ = State::size_first;
  Fault fault_{};
};
static_assert(sizeof(ChunkedDecoder) <= 40);

}  // namespace sluice::http
