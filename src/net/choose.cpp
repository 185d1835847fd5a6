#include "net/choose.hpp"

#include <utility>

#include "net/uring_probe.hpp"

namespace sluice::net {
namespace {

std::expected<std::vector<UringRing>, Error> open_rings(unsigned loops, UringOptions options) {
  const auto traits = probe_uring(options.refused_flags);
  if (!traits) return std::unexpected{traits.error()};
  options.skip_success = traits->skips_success;
  std::vector<UringRing> rings;
  rings.reserve(loops);
  for (unsigned loop = 0; loop < loops; ++loop) {
    auto ring = UringRing::open(options);
    if (!ring) return std::unexpected{ring.error()};
    rings.push_back(*std::move(ring));
  }
  return rings;
}

std::string description(const UringRing& ring, Wanted wanted) {
  std::string text = "io_uring (";
  text += wanted == Wanted::io_uring ? "asked for" : "taken automatically";
  text += ring.deferred() ? ", completions worked off by the loop" : ", in the form of Linux 6.0";
  text += ring.skips_success() ? ")" : ", every send confirmed)";
  return text;
}

}  // namespace

std::expected<Choice, std::string> choose(Wanted wanted, unsigned loops, UringOptions options) {
  if (wanted == Wanted::epoll) return Choice{{}, "epoll (asked for)"};
  auto rings = open_rings(loops, options);
  if (rings && wanted == Wanted::automatic && !rings->front().deferred()) {
    return Choice{{}, "epoll (this kernel's io_uring is older than Linux 6.1)"};
  }
  if (rings) {
    std::string reason = description(rings->front(), wanted);
    return Choice{*std::move(rings), std::move(reason)};
  }
  if (wanted == Wanted::io_uring) return std::unexpected{"io_uring can't be had: " + rings.error().sentence};
  return Choice{{}, "epoll (" + rings.error().sentence + ')'};
}

}  // namespace sluice::net
