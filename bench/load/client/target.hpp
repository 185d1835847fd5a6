// target.hpp: where the load goes: a URL taken apart and resolved, and the first connection to see whether anyone is there.
// Thread: any; resolve and reach block, so never a generator's.
#pragma once

#include <sluice/bench.hpp>

#include <chrono>
#include <expected>
#include <string>
#include <string_view>

#include "net/address.hpp"

namespace sluice::bench {

struct Target {
  std::string url{};  // as given
  std::string host{};  // for the Host field, the port included where it is not 80
  std::string path{};  // with query; "/" if the URL has none
  net::Address address{};
};

/// Takes "http://HOST[:PORT][/PATH]" or "unix:FILE[:/PATH]" apart and looks the host up.
///   Errors: usage (no such URL), unreachable (no such host).
[[nodiscard]] std::expected<Target, Error> resolve(std::string_view url);

/// "127.0.0.2" as an address to bind to. Errors: usage.
[[nodiscard]] std::expected<net::Address, Error> source_address(std::string_view text);

/// Connects once and closes again. Errors: unreachable, descriptors.
[[nodiscard]] std::expected<void, Error> reach(const Target& target, std::chrono::milliseconds timeout);

/// The error of a connect that failed with that errno.
Error connect_error(const Target& target, int error);

}  // namespace sluice::bench
