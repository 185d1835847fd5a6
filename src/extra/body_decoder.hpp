// body_decoder.hpp: one body's coding taken off under limits. Encoded pieces in, decoded bytes out, of which there are
// never more than a limit and the room of one call. Any one thread; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include <sluice/extra/compression.hpp>

#include "extra/coding.hpp"

namespace sluice::detail {

class BodyDecoder {
 public:
  struct Step {
    std::size_t consumed = 0;
    std::size_t produced = 0;
  };

  /// Without a coding it copies.
  ///   Errors: std::logic_error for a coding that is not available.
  BodyDecoder(std::optional<ContentCoding> coding, const DecodingOptions& limits);

  /// Goes on with the next bytes; `out` must have room. What was produced by a step that failed is not to be used.
  Step next(std::string_view in, std::span<char> out);
  /// The encoded body is at its end, and next() holds nothing back.
  void finish() noexcept;

  /// Whether next() may give more without further input.
  bool holds_back() const noexcept { return holds_back_; }
  bool failed() const noexcept { return fault_ != Fault::none; }
  /// Why it failed, in words for the client.
  Problem problem() const;

 private:
  enum class Fault : std::uint8_t { none, malformed, truncated, too_large, ratio };

  void judge(Decoder::State state, bool stuck) noexcept;

  const std::optional<ContentCoding> coding_;
  const DecodingOptions limits_;
  std::unique_ptr<Decoder> decoder_;  // null: the bytes as they are
  std::uint64_t encoded_bytes_ = 0;
  std::uint64_t decoded_bytes_ = 0;
  Fault fault_ = Fault::none;
  bool whole_ = false;
  bool holds_back_ = false;
};

}  // namespace sluice::detail
