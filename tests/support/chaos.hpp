// chaos.hpp: one seed, one life of a server: random routes, clients, bodies, faults, disconnects and a drain, then every
// promise is checked. The same seed gives the same run.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace sluice::sim {

/// How often something happened, over all runs; shows that the runs reach where they should.
struct ChaosStatistics {
  std::uint64_t runs = 0, requests = 0, faults = 0;
  std::array<std::uint64_t, 600> answers{};  // by status
  /// By connection state (Connection::State) and fault (operation x kind).
  std::array<std::array<std::uint64_t, 15>, 8> met{};

  std::string table() const;
};

/// Runs one seed. Returns what was violated, or an empty string.
std::string run_chaos(std::uint64_t seed, ChaosStatistics& statistics);

}  // namespace sluice::sim
