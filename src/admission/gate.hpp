// gate.hpp: the verdict on one arrival: a pure function of a lane's numbers. No lock, no clock, no thread.
#pragma once

#include <cstdint>
#include <optional>

#include <sluice/admission.hpp>

#include "base/clock.hpp"

namespace sluice::admission {

/// What the gate knows about a lane, as seen by an arrival of one criticality; may be a moment old.
struct LaneView {
  std::uint32_t depth = 0;          // all that wait
  std::uint32_t ahead = 0;          // of them, no less important than the arrival
  std::uint32_t depth_max = 1;      // in force: smaller in overload
  std::uint32_t in_flight = 0;
  std::uint32_t limit = 1;
  std::uint32_t permits = 1;        // that do work and can be had: limit less zombies, less what other lanes have
  bool can_start = false;           // a permit is free for this lane and nobody waits before
  bool overloaded = false;          // newest first
  bool stalled = false;             // zombies hold every permit
  base::TimePoint evicts_from = base::never;  // a full queue gives up its oldest for a newcomer from then on
  base::Duration service{0};        // smoothed time a permit is held; 0: not known yet
  base::Duration queue_timeout{0};  // longest wait in force
};

/// What the gate knows about the server and the client.
struct ArrivalView {
  bool draining = false;
  bool memory_tight = false;
  bool connection_over_share = false;
  Criticality criticality = Criticality::critical;
  base::TimePoint now{};
};

/// How long the arrival would wait behind those ahead of it, if every permit is held for the smoothed time.
base::Duration estimated_wait(const LaneView& lane) noexcept;

/// nullopt: admit. A full queue takes whoever is more important than one of those in it. An exempt arrival is refused by
/// a full queue only: no bound is ever given up.
std::optional<ShedReason> judge(const LaneView& lane, const ArrivalView& arrival) noexcept;

/// The same for a route that runs on the loop and never waits.
inline std::optional<ShedReason> judge(const ArrivalView& arrival) noexcept {
  if (arrival.criticality == Criticality::exempt) return std::nullopt;
  if (arrival.draining) return ShedReason::draining;
  if (arrival.memory_tight) return ShedReason::memory;
  return std::nullopt;
}

/// Seconds after which trying again makes sense, from the measured drain rate. Range: 1 to 30.
unsigned retry_after_seconds(const LaneView& lane) noexcept;

}  // namespace sluice::admission
