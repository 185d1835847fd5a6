#include "net/timers.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

#include "base/assert.hpp"

namespace sluice::net {

std::uint64_t Timers::tick_of(TimePoint deadline) noexcept {
  const auto since = deadline.time_since_epoch();
  if (since.count() <= 0) return 0;
  auto ticks = static_cast<std::uint64_t>(since / tick_length);
  if (since % tick_length != Duration::zero()) ++ticks;
  return ticks < tick_max ? ticks : tick_max;
}

void Timers::arm(TimerNode& node, TimePoint deadline) noexcept {
  cancel(node);
  if (deadline == base::never) return;
  node.tick = tick_of(deadline);
  ++armed_;
  insert(node);
}

void Timers::cancel(TimerNode& node) noexcept {
  if (!node.armed()) return;
  unlink(node);
  --armed_;
}

TimerNode* Timers::pop_due(TimePoint now) noexcept {
  const std::uint64_t now_tick = tick_at(now);
  while (heads_[due_place] == nullptr) {
    Slot slot{};
    if (!first_slot(slot) || slot.tick > now_tick) {
      elapsed_ = std::max(elapsed_, std::min(now_tick, tick_max));
      return nullptr;
    }
    open(slot);
  }
  TimerNode* const node = heads_[due_place];
  unlink(*node);
  --armed_;
  return node;
}

// A node's level is that of the highest bits in which its tick differs from elapsed_. All above are equal, so every
// node of a lower level is earlier than every node of a higher one, and within a level the lowest bit is the earliest.
bool Timers::first_slot(Slot& found) const noexcept {
  for (unsigned level = 0; level < level_count; ++level) {
    if (occupied_[level] == 0) continue;
    const auto index = static_cast<unsigned>(std::countr_zero(occupied_[level]));
    const unsigned shift = level * level_bits;
    const std::uint64_t above = elapsed_ >> (shift + level_bits) << (shift + level_bits);
    found = {level, index, above | (std::uint64_t{index} << shift)};
    SLUICE_ASSERT(found.tick > elapsed_);
    return true;
  }
  return false;
}

// Everything in the slot moves to a lower level, or is due. Each node falls at most once per level: O(1) for each.
void Timers::open(const Slot& slot) noexcept {
  elapsed_ = slot.tick;
  TimerNode*& head = heads_[slot.level * slot_count + slot.index];
  while (head != nullptr) {
    TimerNode& node = *head;
    unlink(node);
    insert(node);
  }
}

void Timers::insert(TimerNode& node) noexcept {
  next_ = unknown;
  unsigned place = due_place;
  if (node.tick > elapsed_) {
    const auto differs = static_cast<unsigned>(std::bit_width(node.tick ^ elapsed_)) - 1;
    const unsigned level = differs / level_bits;
    const auto index = static_cast<unsigned>(node.tick >> (level * level_bits)) & (slot_count - 1);
    place = level * slot_count + index;
    occupied_[level] |= std::uint64_t{1} << index;
  }
  node.place = static_cast<std::uint16_t>(place);
  TimerNode*& head = heads_[place];
  if (head == nullptr) {
    head = node.previous = node.next = &node;
    return;
  }
  node.previous = head->previous;
  node.next = head;
  head->previous->next = &node;
  head->previous = &node;
}

void Timers::unlink(TimerNode& node) noexcept {
  next_ = unknown;
  TimerNode*& head = heads_[node.place];
  if (node.next == &node) {
    SLUICE_ASSERT(head == &node);
    head = nullptr;
    if (node.place != due_place) occupied_[node.place / slot_count] &= ~(std::uint64_t{1} << (node.place % slot_count));
  } else {
    node.previous->next = node.next;
    node.next->previous = node.previous;
    if (head == &node) head = node.next;
  }
  node.previous = node.next = nullptr;
}

TimePoint Timers::look_for_next() const noexcept {
  if (heads_[due_place] != nullptr) return TimePoint{elapsed_ * tick_length};
  Slot slot{};
  if (!first_slot(slot)) return base::never;
  return TimePoint{slot.tick * tick_length};
}

}  // namespace sluice::net
