// multipart.cpp: any bytes as a multipart body. However it is cut, whole, by sizes the input chooses or byte by byte,
// the events must be the same, and reading it at once must agree with them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/extra/multipart.hpp>

#include "support/multipart_reading.hpp"

namespace {

using Events = std::vector<std::string>;

[[noreturn]] void complain(const char* what, const Events& a, const Events& b) {
  std::fprintf(stderr, "%s\n", what);
  for (const Events* events : {&a, &b}) {
    for (const std::string& event : *events) std::fprintf(stderr, "  %s\n", event.c_str());
    std::fprintf(stderr, "  --\n");
  }
  std::abort();
}

/// The events that reading at once would have made; an error stands alone.
Events at_once(std::string_view body, const sluice::MultipartBoundary& boundary,
               const sluice::MultipartLimits& limits) {
  const auto parts = sluice::read_multipart(body, boundary, limits);
  if (!parts) return {sluice::test::describe(parts.error())};
  Events events;
  for (const sluice::MultipartPart& part : *parts) {
    const std::string safe = sluice::safe_file_name(part.filename.value_or(""));
    if (safe == ".." || safe.find_first_of(std::string_view{"/\\\0", 3}) != std::string::npos) std::abort();
    events.push_back(sluice::test::describe(part));
    if (!part.data.empty()) events.push_back("data " + std::string{part.data});
    events.emplace_back("part end");
  }
  events.emplace_back("end");
  return events;
}

}  // namespace

/// The first byte chooses limits and boundary, the next eight the cuts; the rest is the body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  constexpr std::size_t knobs = 9;
  if (size < knobs) return 0;
  sluice::MultipartLimits limits;
  if ((bytes[0] & 1) != 0) limits = {2, 64, 2, 4, 4, 8, 12, 6, 6};
  const bool long_boundary = (bytes[0] & 2) != 0;
  const auto boundary = *sluice::MultipartBoundary::from_text(long_boundary ? "--a-b--" : "b");
  const std::string_view body{reinterpret_cast<const char*>(bytes) + knobs, size - knobs};

  const Events whole = sluice::test::read_in_pieces(body, {}, boundary, limits);
  std::vector<std::size_t> sizes;
  for (std::size_t left = body.size(), i = 0; left > 0; ++i) {
    sizes.push_back(bytes[1 + i % (knobs - 1)] % 64);
    if (i % (knobs - 1) == 0) ++sizes.back();  // or eight zeroes would never come to an end
    left -= std::min(left, sizes.back());
  }
  const Events cut = sluice::test::read_in_pieces(body, sizes, boundary, limits);
  if (cut != whole) complain("cut", whole, cut);
  const std::vector<std::size_t> ones(body.size(), 1);
  const Events bytewise = sluice::test::read_in_pieces(body, ones, boundary, limits);
  if (bytewise != whole) complain("byte by byte", whole, bytewise);

  const Events buffered = at_once(body, boundary, limits);
  if (buffered.back() != whole.back()) complain("at once", whole, buffered);
  if (whole.back() == "end" && buffered != whole) complain("at once", whole, buffered);
  if (whole.back().find("fault") == 0) complain("contract", whole, {});
  return 0;
}
