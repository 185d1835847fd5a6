// timers.hpp: all deadlines of one loop, in a hierarchical timing wheel with a tick of 1 ms.
// In: nodes that live in their owners. Out: the nodes whose deadline has passed, and when to look again.
// Thread: the loop. Must never fire early, never allocate; arm, cancel and fire cost O(1).
// Seven levels of 64 slots hold every tick of 139 years from the clock's zero, so that no slot ever wraps round.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"

namespace sluice::net {

using base::Duration;
using base::TimePoint;

/// Who hears of it when the node fires.
enum class TimerKind : std::uint8_t { stream, loop, protocol };

/// A place in the wheel. It stays where it is while armed; cancel it before its owner dies.
struct TimerNode {
  TimerNode* previous = nullptr;
  TimerNode* next = nullptr;
  std::uint64_t tick = 0;
  std::uint16_t place = 0;
  TimerKind kind = TimerKind::protocol;

  bool armed() const noexcept { return next != nullptr; }
};

class Timers {
 public:
  static constexpr Duration tick_length = std::chrono::milliseconds{1};

  Timers() noexcept = default;
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  /// Fires once `deadline` has passed, at most a tick later; replaces an earlier arm. base::never disarms.
  void arm(TimerNode& node, TimePoint deadline) noexcept;
  /// As arm, but an armed node is moved only to the front. Later deadlines are found out when it fires (lazy).
  void arm_earlier(TimerNode& node, TimePoint deadline) noexcept {
    // As tick_of(deadline) >= node.tick, but without a division.
    const bool soon_enough =
        node.armed() && deadline > TimePoint{(static_cast<Duration::rep>(node.tick) - 1) * tick_length};
    if (!soon_enough) arm(node, deadline);
  }
  /// Harmless if not armed.
  void cancel(TimerNode& node) noexcept;

  /// Takes out at most `max` nodes that are due and calls `fired(TimerNode&)` for each; it may arm and cancel any.
  template <class F>
  unsigned expire(TimePoint now, unsigned max, F&& fired) {
    unsigned count = 0;
    if (known_quiet(now)) return 0;
    while (count < max) {
      TimerNode* const node = pop_due(now);
      if (node == nullptr) break;
      ++count;
      fired(*node);
    }
    return count;
  }

  /// No node fires before it; base::never if none is armed. May be early (a slot that must be sorted again).
  TimePoint next() const noexcept {
    if (next_ == unknown) next_ = look_for_next();
    return next_;
  }
  std::size_t armed() const noexcept { return armed_; }

 private:
  static constexpr unsigned level_bits = 6;
  static constexpr unsigned level_count = 7;
  static constexpr unsigned slot_count = 1u << level_bits;
  static constexpr std::uint16_t due_place = level_count * slot_count;
  static constexpr std::uint64_t tick_max = (std::uint64_t{1} << (level_bits * level_count)) - 1;

  struct Slot {
    unsigned level;
    unsigned index;
    std::uint64_t tick;  // the first one of the slot
  };

  /// Whether it is known, without a look at the wheel, that nothing is due.
  bool known_quiet(TimePoint now) const noexcept { return now < next_; }
  /// The tick that a moment lies in.
  static std::uint64_t tick_at(TimePoint moment) noexcept {
    const Duration since = moment.time_since_epoch();
    return since.count() <= 0 ? 0 : static_cast<std::uint64_t>(since / tick_length);
  }
  static std::uint64_t tick_of(TimePoint deadline) noexcept;
  TimerNode* pop_due(TimePoint now) noexcept;
  bool first_slot(Slot& found) const noexcept;
  TimePoint look_for_next() const noexcept;
  void open(const Slot& slot) noexcept;
  void insert(TimerNode& node) noexcept;
  void unlink(TimerNode& node) noexcept;

  std::array<TimerNode*, level_count * slot_count + 1> heads_{};  // circular lists; the last is what is due
  std::array<std::uint64_t, level_count> occupied_{};
  std::uint64_t elapsed_ = 0;  // every slot up to this tick was emptied; may lag behind while nothing is due
  std::size_t armed_ = 0;
  static constexpr TimePoint unknown = TimePoint::min();
  mutable TimePoint next_ = base::never;  // or unknown: the wheel has changed
};

}  // namespace sluice::net
