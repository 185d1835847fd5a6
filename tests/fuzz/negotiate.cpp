// negotiate.cpp: any field and any offers. The winner is acceptable by itself, beats every other offer one to one, and
// there is a winner exactly if one offer is acceptable by itself.
#include <sluice/extra/negotiate.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.hpp"

namespace {

using Offers = std::vector<std::string_view>;
using Negotiate = std::optional<std::size_t> (*)(std::string_view, std::span<const std::string_view>) noexcept;

constexpr std::size_t offers_max = 6;

std::string upper(std::string_view text) {
  std::string result{text};
  for (char& c : result) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return result;
}

void check(Negotiate negotiate, std::string_view field, const Offers& offers) {
  const std::optional<std::size_t> best = negotiate(field, offers);
  SLUICE_ASSERT(!best || *best < offers.size());
  SLUICE_ASSERT(negotiate(upper(field), offers) == best);
  SLUICE_ASSERT(negotiate(", " + std::string{field}, offers) == best);
  bool acceptable = false;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    const bool alone = negotiate(field, std::span{&offers[i], 1}).has_value();
    acceptable = acceptable || alone;
    if (!best || i == *best) {
      SLUICE_ASSERT(alone == best.has_value());
      continue;
    }
    const std::array<std::string_view, 2> pair{offers[std::min(i, *best)], offers[std::max(i, *best)]};
    SLUICE_ASSERT(negotiate(field, pair) == (i < *best ? 1U : 0U));
  }
  SLUICE_ASSERT(acceptable == best.has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  const std::size_t line = std::min(text.find('\n'), text.size());
  const std::string_view field = text.substr(0, line);
  text.remove_prefix(std::min(line + 1, text.size()));
  Offers offers;
  while (!text.empty() && offers.size() < offers_max) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    offers.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  check(sluice::negotiate_media_type, field, offers);
  check(sluice::negotiate_encoding, field, offers);
  check(sluice::negotiate_language, field, offers);
  offers = {"text/html", "text/plain;format=flowed", "gzip", "identity", "en-US", "de"};
  check(sluice::negotiate_media_type, field, offers);
  check(sluice::negotiate_encoding, field, offers);
  check(sluice::negotiate_language, field, offers);
  return 0;
}
