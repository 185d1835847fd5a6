// text_parts.cpp: layout of lines and tables. Pure; widths count bytes, so cells are ASCII where it matters.
#include "load/output/text_parts.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "load/plan/units.hpp"

namespace sluice::bench {
namespace {

constexpr std::size_t label_width = 12;

std::string_view code_of(Style style) noexcept {
  switch (style) {
    case Style::plain: return "";
    case Style::strong: return "\x1b[1m";
    case Style::good: return "\x1b[32m";
    case Style::bad: return "\x1b[1;31m";
    case Style::faint: return "\x1b[2m";
  }
  return "";
}

/// Characters, not bytes: parts of a character in UTF-8 take no column.
std::size_t columns(std::string_view text) noexcept {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string styled(std::string_view text, Style style, bool color) {
  if (!color || style == Style::plain || text.empty()) return std::string{text};
  // The end of a line stays outside, or the next line would begin in this colour.
  const bool ended = text.ends_with('\n');
  if (ended) text.remove_suffix(1);
  return std::string{code_of(style)} + std::string{text} + "\x1b[0m" + (ended ? "\n" : "");
}

std::string printable(std::string_view text) {
  std::string clean{text};
  std::replace_if(clean.begin(), clean.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return clean;
}

std::string labelled(std::string_view label, std::string_view text) {
  std::string out{label};
  out.append(label.size() < label_width ? label_width - label.size() : 1, ' ');
  const std::size_t indent = columns(out);
  const std::string clean = printable(text);
  std::size_t used = indent;
  std::string_view rest = clean;
  for (bool first = true; !rest.empty(); first = false) {
    std::size_t end = std::min(rest.find(' '), rest.size());
    // A percent sign stays with its number.
    if (rest.substr(end).starts_with(" %")) end = std::min(rest.find(' ', end + 1), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t width = columns(word);
    if (!first && used + 1 + width > text_width) {
      out += '\n' + std::string(indent, ' ');
      used = indent;
    } else if (!first) {
      out += ' ';
      ++used;
    }
    out += word;
    used += width;
  }
  return out + '\n';
}

std::string short_time(Duration time) {
  std::string text = format_duration(time);
  std::erase(text, ' ');
  return text;
}

std::string format_bytes(double bytes) {
  static constexpr std::array<std::string_view, 5> units{" B", " kB", " MB", " GB", " TB"};
  std::size_t unit = 0;
  while (unit + 1 < units.size() && bytes >= 999.5) {
    bytes /= 1000;
    ++unit;
  }
  int decimals = 2;
  if (unit == 0 || bytes >= 99.95) decimals = 0;
  else if (bytes >= 9.995) decimals = 1;
  std::array<char, 400> digits{};
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), bytes, std::chars_format::fixed, decimals);
  return std::string{digits.data(), end.ptr} + std::string{units[unit]};
}

std::string counted(std::uint64_t count, std::string_view what) {
  return std::to_string(count) + ' ' + std::string{what} + (count == 1 ? "" : "s");
}

std::vector<std::size_t> TextTable::widths() const {
  std::vector<std::size_t> widths;
  for (const Row& row : rows_) {
    if (widths.size() < row.cells.size()) widths.resize(row.cells.size());
    for (std::size_t index = 0; index < row.cells.size(); ++index) {
      widths[index] = std::max(widths[index], columns(row.cells[index]));
    }
  }
  return widths;
}

std::string TextTable::text(bool color) const {
  const std::vector<std::size_t> wide = widths();
  std::size_t total = wide.empty() ? 0 : 2 * (wide.size() - 1);
  for (const std::size_t width : wide) total += width;
  const std::size_t gap = total > text_width ? 1 : 2;
  std::string out;
  for (const Row& row : rows_) {
    std::string line;
    for (std::size_t index = 0; index < row.cells.size(); ++index) {
      if (index != 0) line.append(gap, ' ');
      const bool left = index < left_columns_ || (last_left_ && index + 1 == wide.size());
      const std::size_t space = wide[index] - columns(row.cells[index]);
      if (!left) line.append(space, ' ');
      line += row.cells[index];
      if (left) line.append(space, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += styled(line, row.style, color) + '\n';
  }
  return out;
}

}  // namespace sluice::bench
