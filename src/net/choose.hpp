// choose.hpp: which backend a server's loops run on, decided once, before there is a socket or a thread.
// In: what was asked for. Out: the choice with its reason, and the rings, or why what was asked for can't be had.
// Thread: any. Must never give some loops one backend and some the other.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "net/uring_ring.hpp"

namespace sluice::net {

enum class Wanted : std::uint8_t { automatic, epoll, io_uring };

struct Choice {
  /// One for each loop if they run on io_uring; none if they run on epoll.
  std::vector<UringRing> rings{};
  /// The backend's name and, in parentheses, why it is that one; for the log.
  std::string reason{};
};

/// Opens the rings, if there are to be any, with the sizes of `options`. `automatic` takes io_uring from Linux 6.1 on,
/// since it costs less there (src/README.md has by how much), and else epoll.
///   Errors: a sentence; only if io_uring was asked for by name. `automatic` falls back.
[[nodiscard]] std::expected<Choice, std::string> choose(Wanted wanted, unsigned loops, UringOptions options = {});

}  // namespace sluice::net
