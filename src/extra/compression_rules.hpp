// compression_rules.hpp: which answers are compressed, in what, and what their heads say then. In: an answer and what
// the request accepts. Out: a choice, or changed fields. Any thread; no I/O. It must never touch a body.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include <sluice/extra/compression.hpp>

namespace sluice::detail {

/// CompressionOptions, ready for use by all requests at once.
class CompressionRules {
 public:
  explicit CompressionRules(CompressionOptions options);

  const CompressionOptions& options() const noexcept { return options_; }
  /// Whether there is any coding to choose from.
  bool any() const noexcept { return offered_count_ > 1; }
  /// Whether this answer may be compressed, its size aside.
  bool suits(const Response& answer) const noexcept;
  /// What the client likes best; none: the bytes as they are.
  std::optional<ContentCoding> choose(const Request& request) const noexcept;

 private:
  bool suits_type(std::string_view content_type) const noexcept;

  CompressionOptions options_;
  // As Accept-Encoding is asked; identity stands last and has no coding.
  std::array<std::string_view, content_coding_count + 1> offered_{};
  std::array<ContentCoding, content_coding_count> codings_{};
  std::size_t offered_count_ = 0;
};

/// Adds `Vary: Accept-Encoding` unless it is said already.
void say_that_it_varies(Response& answer);
/// Adds Content-Encoding, and makes a strong ETag weak: the bytes are no longer those it was made for.
void say_coding(Response& answer, ContentCoding coding);

}  // namespace sluice::detail
