// range.hpp: byte ranges. In: a Range field's value and a representation's size. Out: the ranges to send, Content-Range
// and multipart/byteranges text. Any thread; no I/O.
// It must never ask for more bytes than the representation has, however many ranges a client names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace sluice::http {

inline constexpr std::size_t range_count_max = 16;  // of one field; more is answered with the whole representation
inline constexpr std::uint64_t representation_bytes_max = std::numeric_limits<std::int64_t>::max();

/// `first` to `last`, both included.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  std::uint64_t size_bytes() const noexcept { return last - first + 1; }
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// What a Range field asks for.
class Ranges {
 public:
  enum class Kind : std::uint8_t {
    ignored,  // 200 and everything
    unsatisfiable,  // 416
    partial,  // 206 and list()
  };

  Kind kind() const noexcept { return kind_; }
  /// Empty unless partial. Each range lies within the representation; no two overlap or touch.
  ///   Order: as requested. A range that overlaps or touches earlier ones takes them in, at the place of the first.
  std::span<const ByteRange> list() const noexcept { return {ranges_.data(), count_}; }
  /// The bytes of all ranges, never more than the representation has.
  std::uint64_t size_bytes() const noexcept;

 private:
  friend Ranges parse_ranges(std::string_view field, std::uint64_t size_bytes, std::size_t count_max) noexcept;
  explicit Ranges(Kind kind) noexcept : kind_{kind} {}
  void add(ByteRange added) noexcept;

  std::array<ByteRange, range_count_max> ranges_{};
  std::size_t count_ = 0;
  Kind kind_;
};

/// Reads a Range field's value; an empty one is ignored.
///   Ignored:       other units than bytes; anything malformed, be it one range of many; more than `count_max` ranges,
///                  counted as the client wrote them; a suffix of an empty representation.
///   Unsatisfiable: well-formed, but every range begins behind the end or has the length 0.
///   Numbers:       of any length; what is above 2^64 - 1 is compared exactly and otherwise lies behind the end.
///   Range:         size_bytes up to 2^63 - 1, count_max from 1 to range_count_max; both are asserted.
///   Source:        RFC 9110 14.1, 14.2.
Ranges parse_ranges(std::string_view field, std::uint64_t size_bytes, std::size_t count_max = range_count_max) noexcept;

/// A Content-Range field's value.
class ContentRange {
 public:
  /// "bytes 0-499/1234", for a 206.
  ContentRange(ByteRange range, std::uint64_t size_bytes) noexcept;
  /// "bytes */1234", for a 416.
  explicit ContentRange(std::uint64_t size_bytes) noexcept;
  /// Lives as long as this object.
  std::string_view view() const noexcept { return {text_.data(), size_}; }

 private:
  void append(std::string_view text) noexcept;
  void append(std::uint64_t number) noexcept;

  std::array<char, 6 + 3 * 20 + 2> text_;
  std::uint8_t size_ = 0;
};

inline constexpr std::size_t boundary_bytes_max = 70;

/// 1 to 70 letters, digits and "'+_-.": what a boundary may consist of and needs no quotes. Source: RFC 2046 5.1.1.
bool valid_boundary(std::string_view boundary) noexcept;

/// The text around the parts of a multipart/byteranges body: part_head(), bytes, part_head(), bytes ... end().
///   Lifetime: views its texts, which must outlive it.
///   Source:   RFC 9110 14.6, 15.3.7.2.
class MultipartRanges {
 public:
  struct Options {
    std::string_view boundary;  // valid_boundary(), which is asserted; must not occur in the bytes
    std::string_view content_type{};  // of the representation; empty: parts have none
    std::uint64_t size_bytes = 0;  // of the representation
  };
  explicit MultipartRanges(const Options& options) noexcept;

  /// The answer's own Content-Type.
  std::string content_type() const;
  /// What stands before the bytes of the part with that `index` from 0.
  std::string part_head(std::size_t index, ByteRange range) const;
  /// What stands behind the last part's bytes.
  std::string end() const;
  /// The exact size of the whole body.
  ///   Range: at most range_count_max ranges of up to 2^63 - 1 bytes in all, so that it cannot wrap.
  std::uint64_t content_length(std::span<const ByteRange> ranges) const noexcept;

 private:
  std::uint64_t part_head_bytes(std::size_t index, ByteRange range) const noexcept;

  Options options_;
};

}  // namespace sluice::http
