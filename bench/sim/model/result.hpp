// result.hpp: what became of a scenario's calls. Values only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/histogram.hpp"
#include "sim/core/recovery.hpp"
#include "sim/model/scenario.hpp"

namespace sluice::sim {

/// Why an attempt was refused before it started: ShedReason, and two for those that waited.
inline constexpr std::size_t refusal_expired = shed_reason_count;
inline constexpr std::size_t refusal_made_room = shed_reason_count + 1;
inline constexpr std::size_t refusal_count = shed_reason_count + 2;
const char* refusal_name(std::size_t index) noexcept;
using Refusals = std::array<std::uint64_t, refusal_count>;

/// What a call ended with, after all its attempts.
enum class Fate : std::uint8_t {
  good,       // answered within the route's budget
  late,       // answered after it, or not by the end: only where nobody looks at deadlines
  refused,    // 503 or 429: never started
  timed_out,  // 504: the budget was spent
  failed,     // an error, or the connection was lost
  gave_up,    // the client left without an answer
};
inline constexpr std::size_t fate_count = 6;
const char* to_string(Fate fate) noexcept;

/// Calls that came after the warm-up, and their attempts.
struct Counts {
  std::uint64_t offered = 0;  // calls
  std::array<std::uint64_t, fate_count> fates{};
  std::uint64_t attempts = 0;
  Refusals refusals{};                                 // of attempts
  std::uint64_t timed_out = 0, failed = 0, left = 0;  // of attempts: a 504, an error, a client that left

  std::uint64_t good() const noexcept { return fates[0]; }
  void add(const Counts& other) noexcept;
};

/// A tenth of a second of one route.
struct Sample {
  std::uint64_t offered = 0, good = 0;  // good: answered in it
  std::uint64_t timed_out = 0, failed = 0, left = 0;
  Refusals refusals{};
  std::uint64_t started = 0, waited_ns = 0, waited_most_ns = 0;  // of those that started
  std::uint64_t waiting = 0, running = 0, zombies = 0;           // at its end

  /// As one more of the same moment.
  void add(const Sample& other) noexcept;
};

struct PartResult {
  std::string name{};
  Counts counts{};
  base::Histogram wait{0.01};     // in the queue, of attempts that started
  base::Histogram latency{0.01};  // from an attempt's arrival to its answer, of those that had one
  std::uint64_t waiting_peak = 0, running_peak = 0, zombies_peak = 0;
};

struct EventResult {
  std::string what{};
  double begin_s = 0, end_s = 0;
  std::optional<double> good_before{};  // share of the calls; none: there were none without another event
  double good_during = 0;
  /// Until goodput was back at 95 % of what it was before; none: not by the next event or the scenario's end.
  std::optional<double> recovered_s{};
  bool aftermath_seen = true;  // there was half a second behind it, and something to compare it with
  bool next_began = false;     // what was seen of it ended with another event
};

struct ServerResult {
  std::uint64_t attempts = 0, good = 0;
};

struct Result {
  Policy policy = Policy::sluice;
  double seconds = 0;  // measured
  PartResult total;
  std::vector<PartResult> routes{};
  std::vector<std::pair<std::string, Counts>> clients{};
  std::vector<ServerResult> servers{};
  std::vector<EventResult> events{};
  std::vector<std::vector<Sample>> series{};  // of each route
  bool balanced = true;                       // the lanes' books, exactly, and nothing was left
};

const char* to_string(Policy policy) noexcept;
/// As people write it: "20", "0.5", at most six decimals.
std::string plain_number(double value);

}  // namespace sluice::sim
