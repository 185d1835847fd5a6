// range.cpp: any Range field against any size. Ranges stay within the representation, apart from each other and in sum
// no larger; what is sent for them has the announced length.
#include "http/range.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/assert.hpp"

namespace {

using namespace sluice::http;

void check_partial(const Ranges& ranges, std::uint64_t size) {
  const auto list = ranges.list();
  SLUICE_ASSERT(!list.empty() && list.size() <= range_count_max);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    SLUICE_ASSERT(list[i].first <= list[i].last && list[i].last < size);
    sum += list[i].size_bytes();
    for (std::size_t j = 0; j < i; ++j) {
      SLUICE_ASSERT(list[i].last + 1 < list[j].first || list[j].last + 1 < list[i].first);
    }
  }
  SLUICE_ASSERT(sum == ranges.size_bytes() && sum <= size);
}

/// Written out and read again, the ranges are the same.
void check_round_trip(const Ranges& ranges, std::uint64_t size) {
  std::string text{"bytes="};
  for (const ByteRange& range : ranges.list()) {
    text += std::to_string(range.first) + "-" + std::to_string(range.last) + ",";
  }
  const Ranges again = parse_ranges(text, size);
  SLUICE_ASSERT(again.kind() == Ranges::Kind::partial && again.list().size() == ranges.list().size());
  for (std::size_t i = 0; i < again.list().size(); ++i) SLUICE_ASSERT(again.list()[i] == ranges.list()[i]);
}

void check_texts(const Ranges& ranges, std::uint64_t size, std::string_view boundary) {
  const MultipartRanges multipart{{.boundary = boundary, .content_type = "text/plain", .size_bytes = size}};
  std::uint64_t length = multipart.end().size() + ranges.size_bytes();
  for (std::size_t i = 0; i < ranges.list().size(); ++i) {
    const std::string head = multipart.part_head(i, ranges.list()[i]);
    SLUICE_ASSERT(head.ends_with(std::string{ContentRange{ranges.list()[i], size}.view()} + "\r\n\r\n"));
    length += head.size();
  }
  SLUICE_ASSERT(multipart.content_length(ranges.list()) == length);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 9) return 0;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, data, sizeof bytes);
  const std::size_t count_max = 1 + data[8] % range_count_max;
  bytes = (data[8] & 0x80) != 0 ? bytes % 1'000 : bytes & representation_bytes_max;
  const std::string_view text{reinterpret_cast<const char*>(data) + 9, size - 9};
  for (const std::string& field : {std::string{text}, "bytes=" + std::string{text}}) {
    const Ranges ranges = parse_ranges(field, bytes, count_max);
    if (ranges.kind() != Ranges::Kind::partial) {
      SLUICE_ASSERT(ranges.list().empty() && ranges.size_bytes() == 0);
      continue;
    }
    check_partial(ranges, bytes);
    check_round_trip(ranges, bytes);
    check_texts(ranges, bytes, valid_boundary(text.substr(0, 8)) ? text.substr(0, 8) : "b");
  }
  return 0;
}
