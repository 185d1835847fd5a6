// clients.hpp: how many jobs each client has in one lane, waiting or running. Under the lane group's lock; of fixed size,
// since only clients that have a job there are in it. Open addressing with linear probing; what is removed leaves no mark.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/assert.hpp"

namespace sluice::admission {

class ClientTable {
 public:
  /// jobs_max: how many jobs there can be at most; 0: nothing is ever counted here.
  explicit ClientTable(std::size_t jobs_max) : slots_(jobs_max == 0 ? 0 : std::bit_ceil(2 * jobs_max)) {}

  /// `key`: a hash of whoever the client is, spread over all bits and not 0.
  std::uint32_t count(std::uint64_t key) const noexcept {
    const Slot& slot = slots_[find(key)];
    return slot.key == key ? slot.count : 0;
  }
  void add(std::uint64_t key) noexcept {
    Slot& slot = slots_[find(key)];
    if (slot.key != key) {
      SLUICE_ASSERT(2 * (used_ + 1) <= slots_.size());
      ++used_;
      slot = {key, 0};
    }
    ++slot.count;
  }
  void remove(std::uint64_t key) noexcept {
    std::size_t hole = find(key);
    SLUICE_ASSERT(slots_[hole].key == key && slots_[hole].count > 0);
    if (--slots_[hole].count != 0) return;
    --used_;
    // Whoever was pushed past this place by it moves back.
    for (std::size_t next = step(hole); slots_[next].key != 0; next = step(next)) {
      const std::size_t home = slots_[next].key & mask();
      if (((next - home) & mask()) < ((next - hole) & mask())) continue;
      slots_[hole] = slots_[next];
      hole = next;
    }
    slots_[hole] = {};
  }
  std::size_t clients() const noexcept { return used_; }

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t count = 0;
  };

  std::size_t mask() const noexcept { return slots_.size() - 1; }
  std::size_t step(std::size_t slot) const noexcept { return (slot + 1) & mask(); }
  /// Where it is, or where it would go.
  std::size_t find(std::uint64_t key) const noexcept {
    std::size_t slot = key & mask();
    while (slots_[slot].key != 0 && slots_[slot].key != key) slot = step(slot);
    return slot;
  }

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
};

}  // namespace sluice::admission
