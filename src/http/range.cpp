// range.cpp: range specifiers to disjoint ranges; the text that goes with them.
#include "http/range.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/assert.hpp"
#include "http/fields.hpp"

namespace sluice::http {
namespace {

/// A decimal number of any length, in its digits without leading zeros.
struct Digits {
  std::string_view text{};

  /// Stays at 2^64 - 1 rather than wrap.
  std::uint64_t value() const noexcept {
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc::result_out_of_range ? std::numeric_limits<std::uint64_t>::max() : number;
  }
  friend bool operator<(const Digits& a, const Digits& b) noexcept {
    return a.text.size() != b.text.size() ? a.text.size() < b.text.size() : a.text < b.text;
  }
};

std::optional<Digits> read_digits(std::string_view text) noexcept {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  text.remove_prefix(std::min(text.find_first_not_of('0'), text.size()));
  return Digits{text};
}

/// One range-spec against a representation.
struct Spec {
  enum class Kind : std::uint8_t { malformed, unsatisfiable, empty_suffix, range };
  Kind kind = Kind::malformed;
  ByteRange range{};
};

Spec read_spec(std::string_view text, std::uint64_t size_bytes) noexcept {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return {};
  const std::string_view before = text.substr(0, dash);
  const std::string_view behind = text.substr(dash + 1);
  if (before.empty()) {
    const std::optional<Digits> suffix = read_digits(behind);
    if (!suffix) return {};
    const std::uint64_t count = std::min(suffix->value(), size_bytes);
    if (suffix->text.empty()) return {.kind = Spec::Kind::unsatisfiable};
    if (count == 0) return {.kind = Spec::Kind::empty_suffix};
    return {Spec::Kind::range, {size_bytes - count, size_bytes - 1}};
  }
  const std::optional<Digits> first = read_digits(before);
  const std::optional<Digits> last = read_digits(behind);
  if (!first || (!last && !behind.empty())) return {};
  if (last && *last < *first) return {};
  if (first->value() >= size_bytes) return {.kind = Spec::Kind::unsatisfiable};
  return {Spec::Kind::range, {first->value(), last ? std::min(last->value(), size_bytes - 1) : size_bytes - 1}};
}

bool touch(const ByteRange& a, const ByteRange& b) noexcept { return a.first <= b.last + 1 && b.first <= a.last + 1; }

std::uint64_t digit_count(std::uint64_t number) noexcept {
  std::uint64_t count = 1;
  for (; number >= 10; number /= 10) ++count;
  return count;
}

constexpr std::string_view unit = "bytes";
constexpr std::string_view type_line = "\r\nContent-Type: ";
constexpr std::string_view range_line = "\r\nContent-Range: ";
constexpr std::string_view head_end = "\r\n\r\n";

}  // namespace

std::uint64_t Ranges::size_bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const ByteRange& range : list()) sum += range.size_bytes();
  return sum;
}

/// The ranges so far are apart from each other. So one pass finds all that touch the new one, and what they make
/// together touches none of the others.
void Ranges::add(ByteRange added) noexcept {
  std::size_t place = count_;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    if (!touch(ranges_[i], added)) {
      ranges_[kept++] = ranges_[i];
      continue;
    }
    added = {std::min(ranges_[i].first, added.first), std::max(ranges_[i].last, added.last)};
    if (place == count_) place = kept++;  // its slot is filled below
  }
  if (place == count_) place = kept++;
  SLUICE_ASSERT(kept <= ranges_.size());
  ranges_[place] = added;
  count_ = kept;
}

Ranges parse_ranges(std::string_view field, std::uint64_t size_bytes, std::size_t count_max) noexcept {
  SLUICE_ASSERT(size_bytes <= representation_bytes_max);
  SLUICE_ASSERT(count_max >= 1 && count_max <= range_count_max);
  const Ranges ignored{Ranges::Kind::ignored};
  const std::size_t equals = field.find('=');
  if (equals == std::string_view::npos || !equal_ignoring_case(field.substr(0, equals), unit)) return ignored;
  Ranges ranges{Ranges::Kind::partial};
  std::size_t count = 0;
  bool has_empty_suffix = false;
  for (std::string_view rest = field.substr(equals + 1); !rest.empty();) {
    const std::string_view element = take_list_element(rest);
    if (element.empty()) continue;
    if (++count > count_max) return ignored;
    const Spec spec = read_spec(element, size_bytes);
    if (spec.kind == Spec::Kind::malformed) return ignored;
    if (spec.kind == Spec::Kind::range) ranges.add(spec.range);
    has_empty_suffix = has_empty_suffix || spec.kind == Spec::Kind::empty_suffix;
  }
  if (count == 0 || has_empty_suffix) return ignored;  // no Content-Range could describe nothing
  if (ranges.count_ == 0) return Ranges{Ranges::Kind::unsatisfiable};
  SLUICE_ASSERT(ranges.size_bytes() <= size_bytes);
  return ranges;
}

ContentRange::ContentRange(ByteRange range, std::uint64_t size_bytes) noexcept {
  SLUICE_ASSERT(range.first <= range.last && range.last < size_bytes);
  append("bytes ");
  append(range.first);
  append("-");
  append(range.last);
  append("/");
  append(size_bytes);
}

ContentRange::ContentRange(std::uint64_t size_bytes) noexcept {
  append("bytes */");
  append(size_bytes);
}

void ContentRange::append(std::string_view text) noexcept {
  SLUICE_ASSERT(text.size() <= text_.size() - size_);
  size_ += static_cast<std::uint8_t>(text.copy(text_.data() + size_, text.size()));
}

void ContentRange::append(std::uint64_t number) noexcept {
  const auto [end, error] = std::to_chars(text_.data() + size_, text_.data() + text_.size(), number);
  SLUICE_ASSERT(error == std::errc{});
  size_ = static_cast<std::uint8_t>(end - text_.data());
}

bool valid_boundary(std::string_view boundary) noexcept {
  return !boundary.empty() && boundary.size() <= boundary_bytes_max &&
         std::all_of(boundary.begin(), boundary.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  std::string_view{"'+_-."}.contains(c);
         });
}

MultipartRanges::MultipartRanges(const Options& options) noexcept : options_{options} {
  SLUICE_ASSERT(valid_boundary(options.boundary));
  SLUICE_ASSERT(valid_field_value(options.content_type));
}

std::string MultipartRanges::content_type() const {
  std::string type{"multipart/byteranges; boundary="};
  return type.append(options_.boundary);
}

std::string MultipartRanges::part_head(std::size_t index, ByteRange range) const {
  std::string head;
  head.reserve(static_cast<std::size_t>(part_head_bytes(index, range)));
  head.append(index == 0 ? "--" : "\r\n--").append(options_.boundary);
  if (!options_.content_type.empty()) head.append(type_line).append(options_.content_type);
  return head.append(range_line).append(ContentRange{range, options_.size_bytes}.view()).append(head_end);
}

std::uint64_t MultipartRanges::part_head_bytes(std::size_t index, ByteRange range) const noexcept {
  const std::uint64_t type_bytes = options_.content_type.empty() ? 0 : type_line.size() + options_.content_type.size();
  const std::uint64_t numbers = digit_count(range.first) + digit_count(range.last) + digit_count(options_.size_bytes);
  return (index == 0 ? 2 : 4) + options_.boundary.size() + type_bytes + range_line.size() + 6 + numbers + 2 +
         head_end.size();
}

std::string MultipartRanges::end() const {
  std::string text{"\r\n--"};
  return text.append(options_.boundary).append("--\r\n");
}

std::uint64_t MultipartRanges::content_length(std::span<const ByteRange> ranges) const noexcept {
  SLUICE_ASSERT(ranges.size() <= range_count_max);
  std::uint64_t total = options_.boundary.size() + 8;
  for (std::size_t i = 0; i < ranges.size(); ++i) total += part_head_bytes(i, ranges[i]) + ranges[i].size_bytes();
  return total;
}

}  // namespace sluice::http
