// permits.hpp: the permits of one lane that are out: since when, for whom, and whether their request is over already.
// Under the lane group's lock. All memory is reserved at construction.
//
// A job may be gone at the moment its permit comes back, so the permit is named by a ticket the holder keeps a copy of.
#pragma once

#include <cstdint>
#include <vector>

#include "base/assert.hpp"
#include "base/clock.hpp"

namespace sluice::admission {

/// Names one permit while it is out. A copy that outlives it names nothing: generations tell.
struct Ticket {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
};

/// A permit that is out.
struct Held {
  base::TimePoint since{};
  std::uint64_t client = 0;  // of ClientTable; 0: not counted
  std::uint32_t tag = 0;  // whatever the job's owner wants to know it by
  std::uint32_t generation = 0;
  bool out = false;
  bool zombie = false;  // its request has its outcome, the work goes on
};

class PermitTable {
 public:
  explicit PermitTable(std::uint32_t permits_max) {
    slots_.reserve(permits_max);
    free_.reserve(permits_max);
  }

  Ticket take(base::TimePoint now, std::uint32_t tag, std::uint64_t client) noexcept {
    std::uint32_t slot = 0;
    if (!free_.empty()) {
      slot = free_.back();
      free_.pop_back();
    } else {
      SLUICE_ASSERT(slots_.size() < slots_.capacity());
      slot = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    }
    Held& held = slots_[slot];
    held = {now, client, tag, held.generation + 1, true, false};
    ++out_;
    return {slot, held.generation};
  }
  /// What it was; it is free now.
  Held give_back(Ticket ticket) noexcept {
    SLUICE_ASSERT(ticket.slot < slots_.size());
    Held& held = slots_[ticket.slot];
    SLUICE_ASSERT(held.out && held.generation == ticket.generation);  // released once
    const Held was = held;
    held.out = held.zombie = false;
    free_.push_back(ticket.slot);
    --out_;
    if (was.zombie) --zombies_;
    return was;
  }
  /// False: it is back already.
  bool mark_zombie(Ticket ticket) noexcept {
    if (ticket.slot >= slots_.size()) return false;
    Held& held = slots_[ticket.slot];
    if (!held.out || held.generation != ticket.generation || held.zombie) return false;
    held.zombie = true;
    ++zombies_;
    return true;
  }

  std::uint32_t out() const noexcept { return out_; }
  std::uint32_t zombies() const noexcept { return zombies_; }
  template <class F>
  void for_each_out(F&& visit) const {
    for (const Held& held : slots_) {
      if (held.out) visit(held);
    }
  }

 private:
  std::vector<Held> slots_;
  std::vector<std::uint32_t> free_;
  std::uint32_t out_ = 0;
  std::uint32_t zombies_ = 0;
};

}  // namespace sluice::admission
