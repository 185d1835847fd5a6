// chaos.hpp: one seed, one life of a server: random routes, clients, bodies, faults, disconnects and a drain, then every
// promise is checked. The same seed gives the same run.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "net/sim_net.hpp"

namespace sluice::sim {

/// How often something happened, over all runs; shows that the runs reach where they should.
struct ChaosStatistics {
  std::uint64_t runs = 0, requests = 0, faults = 0;
  std::array<std::uint64_t, 600> answers{};  // by status
  /// By connection state (Connection::State) at that moment, and column().
  static constexpr std::size_t state_count = 11;
  std::array<std::array<std::uint64_t, net::sim_op_count * net::sim_fault_count>, state_count> met{};
  std::array<std::uint64_t, net::sim_fault_count> met_accepting{};

  static std::size_t column(net::SimOp op, net::SimFault kind) noexcept;
  std::string table() const;
  /// What can be met and was not; empty if the runs reach everywhere.
  std::string never_met() const;
};

/// Runs one seed. Returns what was violated, or an empty string.
std::string run_chaos(std::uint64_t seed, ChaosStatistics& statistics);

}  // namespace sluice::sim
