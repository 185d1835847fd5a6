// message.cpp: any bytes as requests, head and body. Where they are cut must not change what is understood, and what is
// understood must obey the rules that keep two readers from disagreeing.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "unit/http/reading.hpp"

namespace {

using sluice::http::Head;
using sluice::http::test::Reading;

/// Pieces whose sizes the input's own first bytes choose.
std::string in_pieces(std::string_view bytes, std::string_view sizes) {
  Reading reading;
  for (std::size_t i = 0; !bytes.empty(); ++i) {
    const std::size_t size = sizes.empty() ? 1 : 1 + static_cast<unsigned char>(sizes[i % sizes.size()]) % 40;
    reading.feed(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
  }
  return reading.verdict();
}

void check_head(const Head& head, const char* base) {
  SLUICE_ASSERT(head.field_count <= sluice::http::head_fields_capacity);
  SLUICE_ASSERT(head.version_minor <= 9);
  SLUICE_ASSERT((head.content_length > 0) == (head.framing == sluice::http::Framing::length));
  SLUICE_ASSERT(!head.expect_continue || head.framing != sluice::http::Framing::none);
  const std::string_view path = head.path.in(base);
  SLUICE_ASSERT(path.empty() || path.front() == '/');
  for (std::size_t i = 0; i < head.field_count; ++i) {
    SLUICE_ASSERT(head.fields[i].name.size > 0);
    const std::string_view value = head.fields[i].value.in(base);
    SLUICE_ASSERT(value.find_first_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const std::string_view sizes{reinterpret_cast<const char*>(data), 4};
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 4, size - 4};
  Reading whole;
  whole.feed(bytes);
  if (whole.verdict() == "ok") check_head(whole.head(), whole.head_bytes());  // one head, and nothing read behind it
  SLUICE_ASSERT(whole.verdict() == in_pieces(bytes, sizes));
  SLUICE_ASSERT(whole.verdict() == in_pieces(bytes, {}));
  return 0;
}
