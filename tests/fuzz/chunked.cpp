// chunked.cpp: any bytes as a chunked body. Cut anywhere they give the same data, trailers and verdict; and a body that
// was accepted is the one that a reader written for clarity alone finds.
#include "http/chunked.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/assert.hpp"

namespace {

using sluice::http::ChunkedDecoder;
using Kind = ChunkedDecoder::Step::Kind;

struct Found {
  Kind end = Kind::need_more;
  std::string data, trailers;
  std::size_t consumed = 0;
  friend bool operator==(const Found&, const Found&) = default;
};

Found decode(std::string_view bytes, std::string_view sizes) {
  ChunkedDecoder decoder;
  Found found;
  for (std::size_t i = 0; !bytes.empty(); ++i) {
    const std::size_t size =
        sizes.empty() ? bytes.size() : 1 + static_cast<unsigned char>(sizes[i % sizes.size()]) % 20;
    std::string_view piece = bytes.substr(0, size);
    while (!piece.empty()) {
      const auto step = decoder.next(piece);
      SLUICE_ASSERT(step.consumed <= piece.size() && (step.kind != Kind::data || !step.data.empty()));
      found.data += step.data;
      found.trailers += step.trailer;
      found.consumed += step.consumed;
      piece.remove_prefix(step.consumed);
      if (step.kind == Kind::done || step.kind == Kind::rejected) {
        found.end = step.kind;
        if (step.kind == Kind::rejected) found.trailers.clear();  // of a body that is refused nothing is used
        return found;
      }
    }
    bytes.remove_prefix(std::min(size, bytes.size()));
  }
  return found;
}

/// The data of a body that is known to be well-formed.
std::string obvious(std::string_view bytes) {
  std::string data;
  for (;;) {
    std::uint64_t size = 0;
    std::from_chars(bytes.data(), bytes.data() + bytes.size(), size, 16);
    bytes.remove_prefix(bytes.find("\r\n") + 2);
    if (size == 0) return data;
    data += bytes.substr(0, static_cast<std::size_t>(size));
    bytes.remove_prefix(static_cast<std::size_t>(size) + 2);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const std::string_view sizes{reinterpret_cast<const char*>(data), 4};
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 4, size - 4};
  const Found whole = decode(bytes, {});
  SLUICE_ASSERT(whole == decode(bytes, sizes));
  SLUICE_ASSERT(whole == decode(bytes, std::string_view{"\0", 1}));
  if (whole.end == Kind::done) {
    SLUICE_ASSERT(whole.data == obvious(bytes));
    SLUICE_ASSERT(bytes.substr(0, whole.consumed).ends_with(whole.trailers) && whole.trailers.ends_with("\r\n"));
  }
  return 0;
}
