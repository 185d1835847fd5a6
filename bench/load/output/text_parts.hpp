// text_parts.hpp: what the terminal's tables are made of: aligned columns, wrapped lines, colours, short numbers.
// In: cells and words. Out: lines of plain text, at most text_width columns where the words allow it. Pure.
// Must never let a name from elsewhere move the cursor: control characters become '?'.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/bench.hpp>

namespace sluice::bench {

inline constexpr std::size_t text_width = 100;

/// How a line looks if colours are wanted.
enum class Style : std::uint8_t { plain, strong, good, bad, faint };

/// `text` in the style's colour; as it is if `color` is false.
std::string styled(std::string_view text, Style style, bool color);

/// Without control characters.
std::string printable(std::string_view text);

/// A line that begins with `label`, then `text`; what does not fit goes on the next lines, indented as far as `text`.
///   Units: `label` is filled up to 12 columns.
std::string labelled(std::string_view label, std::string_view text);

/// "12.4ms": as format_duration(), without the space.
std::string short_time(Duration time);
/// "812 B", "1.30 kB", "12.0 MB": powers of 1000.
std::string format_bytes(double bytes);
/// "3 connections", "1 connection".
std::string counted(std::uint64_t count, std::string_view what);

/// Columns as wide as their widest cell; the first `left_columns` and the last one if `last_left` begin at the left.
class TextTable {
 public:
  explicit TextTable(std::size_t left_columns = 1, bool last_left = false)
      : left_columns_{left_columns}, last_left_{last_left} {}

  void add(std::vector<std::string> cells, Style style = Style::plain) { rows_.push_back({std::move(cells), style}); }
  /// Lines, each with its end. Columns are two apart, or one if the table were wider than text_width else.
  std::string text(bool color) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    Style style;
  };

  std::vector<std::size_t> widths() const;

  std::size_t left_columns_;
  bool last_left_;
  std::vector<Row> rows_{};
};

}  // namespace sluice::bench
