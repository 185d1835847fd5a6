// pressure.hpp: what happens before a loop's share of the memory budget is used up, and when it has no room for another
// connection: idle connections go first, then bodies wait. Refusing, the last step, is the gate's and Connection's.
// Thread: the loop's. Must never allocate, never look at all connections more often than every 100 ms (and when a step
// is reached), never keep a connection waiting without an end.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"
#include "net/timers.hpp"

namespace sluice::detail {

class Shard;

/// How scarce a loop's memory is; each includes those before it.
enum class Pressure : std::uint8_t {
  none,
  reap,  // from 3/4: idle connections are closed
  hold,  // from 7/8: reading waits where it would only fill memory
  refuse,  // above the budget: new work and arriving bodies are refused
};

/// Where the steps of one loop's share lie.
struct PressureSteps {
  explicit constexpr PressureSteps(std::size_t share) noexcept
      : reap_from{share - share / 4}, hold_from{share - share / 8}, most{share} {}

  constexpr Pressure of(std::size_t bytes_in_use) const noexcept {
    if (bytes_in_use < reap_from) return Pressure::none;
    if (bytes_in_use < hold_from) return Pressure::reap;
    return bytes_in_use > most ? Pressure::refuse : Pressure::hold;
  }

  std::size_t reap_from, hold_from, most;
};

/// Makes room on one loop.
class PressureRelief {
 public:
  static constexpr std::size_t reaped_max = 64;  // at a time
  static constexpr base::Duration interval = std::chrono::milliseconds{100};
  static constexpr base::Duration idle_least = std::chrono::seconds{1};  // who asked just now will ask again
  static constexpr base::Duration hold_max = std::chrono::seconds{1};  // of one body

  PressureRelief(std::size_t bytes_share, std::size_t connections_share) noexcept;

  Pressure level(std::size_t bytes_in_use) const noexcept { return steps_.of(bytes_in_use); }
  /// Once a turn, when nothing of the turn's events is left to do.
  ///   full: no further connection is accepted.
  void turn_ended(Shard& shard, std::size_t bytes_in_use, bool full) noexcept {
    if (bytes_in_use < steps_.reap_from && !full && !holding_) [[likely]]
      return;
    relieve(shard, steps_.of(bytes_in_use), full);
  }
  /// Some connection's reading is held back: to be looked at again.
  void note_hold() noexcept { holding_ = true; }
  /// Its only task is to bring about a turn.
  net::TimerNode& timer() noexcept { return timer_; }

 private:
  void relieve(Shard& shard, Pressure level, bool full) noexcept;
  void reap(Shard& shard, std::size_t count) noexcept;

  const PressureSteps steps_;
  const std::size_t reaped_when_full_;
  Pressure seen_ = Pressure::none;  // at the last look
  bool holding_ = false;
  net::TimerNode timer_;
};

}  // namespace sluice::detail
