// sim_random.hpp: the one source of chance of a simulation. Same seed, same numbers, on every machine and library.
// Thread: one at a time. Must never be replaced by <random>'s distributions: they differ between libraries.
#pragma once

#include <cstdint>

namespace sluice::net {

/// splitmix64.
class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) noexcept : state_{seed} {}

  std::uint64_t next() noexcept {
    std::uint64_t mixed = (state_ += 0x9e3779b97f4a7c15u);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
  }
  /// From 0 to bound - 1; 0 if bound is 0.
  std::uint64_t below(std::uint64_t bound) noexcept { return bound == 0 ? 0 : next() % bound; }
  /// From low to high, both included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept { return low + below(high - low + 1); }
  bool chance(unsigned per_million) noexcept { return below(1'000'000) < per_million; }

 private:
  std::uint64_t state_;
};

}  // namespace sluice::net
