#include "sim/model/result.hpp"

#include <algorithm>
#include <cstdio>

namespace sluice::sim {

const char* refusal_name(std::size_t index) noexcept {
  switch (index) {
    case refusal_expired: return "expired";
    case refusal_made_room: return "made_room";
    default: return sluice::to_string(static_cast<ShedReason>(index));
  }
}

const char* to_string(Fate fate) noexcept {
  switch (fate) {
    case Fate::good: return "good";
    case Fate::late: return "late";
    case Fate::refused: return "refused";
    case Fate::timed_out: return "timed_out";
    case Fate::failed: return "failed";
    case Fate::gave_up: return "gave_up";
  }
  return "";
}

const char* to_string(Policy policy) noexcept { return policy == Policy::sluice ? "sluice" : "naive"; }

std::string plain_number(double value) {
  char digits[400];
  std::snprintf(digits, sizeof digits, "%.6f", value);
  std::string text = digits;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

void Counts::add(const Counts& other) noexcept {
  offered += other.offered;
  for (std::size_t i = 0; i < fate_count; ++i) fates[i] += other.fates[i];
  attempts += other.attempts;
  for (std::size_t i = 0; i < refusal_count; ++i) refusals[i] += other.refusals[i];
  timed_out += other.timed_out;
  failed += other.failed;
  left += other.left;
}

void Sample::add(const Sample& other) noexcept {
  offered += other.offered;
  good += other.good;
  timed_out += other.timed_out;
  failed += other.failed;
  left += other.left;
  for (std::size_t i = 0; i < refusal_count; ++i) refusals[i] += other.refusals[i];
  started += other.started;
  waited_ns += other.waited_ns;
  waited_most_ns = std::max(waited_most_ns, other.waited_most_ns);
  waiting += other.waiting;
  running += other.running;
  zombies += other.zombies;
}

}  // namespace sluice::sim
