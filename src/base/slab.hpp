// slab.hpp: a growing set of reusable objects that are named by {slot, generation} and never move.
// In: take() and give() of one loop. Out: a pointer, or a name that is recognised as stale after give().
// Thread: one at a time. Objects are constructed with their chunk and destroyed with the slab, never in between, so
// that a name which is out of date can always be looked up. Must never run a constructor or destructor in take or give.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "base/planted.hpp"

namespace sluice::base {

/// Objects of one type in chunks of at most 64 KiB. T has the members `std::uint32_t slot, generation`, which the slab
/// sets; generation is never 0, so that {0, 0} names nothing.
template <class T>
class Slab {
 public:
  static constexpr std::size_t chunk_bytes = 65'536;
  /// A power of two, so that a slot is found by a shift.
  static constexpr std::uint32_t per_chunk =
      sizeof(T) < chunk_bytes ? std::bit_floor(static_cast<std::uint32_t>(chunk_bytes / sizeof(T))) : 1;
  /// Slots above it are free for the event tags of listeners and wake-ups.
  static constexpr std::uint32_t slots_max = 0xfff0'0000;

  /// Default-constructs its objects.
  Slab() : Slab{[] { return T(); }} {}
  /// `make()` returns a T; it runs once per object, when its chunk is made.
  template <class Factory>
    requires std::is_invocable_r_v<T, Factory&> || std::is_same_v<std::invoke_result_t<Factory&>, T>
  explicit Slab(Factory make)
      : construct_{[make = std::move(make)](void* place) mutable { ::new (place) T(make()); }} {}
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for (const Chunk& chunk : chunks_) {
      for (std::uint32_t index = per_chunk; index-- > 0;) std::destroy_at(chunk.at(index));
    }
  }

  /// A free object, as its last user left it.
  ///   Errors: std::bad_alloc, or what T's constructor throws; nothing is changed then.
  ///   Cost:   O(1); allocates a chunk only when no object is free.
  T* take() {
    if (free_ == none) grow();
    const std::uint32_t slot = free_;
    free_ = links_[slot];
    links_[slot] = taken;
    ++in_use_;
    return at(slot);
  }

  /// Takes the object back; every name of it is stale from here on.
  void give(T& item) noexcept {
    const std::uint32_t slot = item.slot;
    SLUICE_ASSERT(links_[slot] == taken);
    if (++item.generation == 0) item.generation = 1;
    links_[slot] = free_;
    free_ = slot;
    --in_use_;
  }

  /// The object of that name, or nullptr if it was given back since.
  T* find(std::uint32_t slot, std::uint32_t generation) noexcept {
    if (slot >= links_.size() || links_[slot] != taken) return nullptr;
    T* const item = at(slot);
    if (item->generation == generation || planted(Bug::stale_generation)) return item;
    return nullptr;
  }

  std::size_t in_use() const noexcept { return in_use_; }
  std::size_t capacity() const noexcept { return links_.size(); }

  /// Calls `visit(T&)` for every object in use; it may give that object back and may take others.
  template <class F>
  void for_each_in_use(F&& visit) {
    for (std::uint32_t slot = 0; slot < links_.size(); ++slot) {
      if (links_[slot] == taken) visit(*at(slot));
    }
  }

 private:
  static constexpr std::uint32_t none = 0xffff'ffff;  // end of the free list
  static constexpr std::uint32_t taken = 0xffff'fffe;  // in place of a link

  struct Chunk {
    struct Release {
      void operator()(std::byte* piece) const noexcept { ::operator delete(piece, std::align_val_t{alignment}); }
    };
    std::unique_ptr<std::byte, Release> memory;
    T* at(std::uint32_t index) const noexcept { return std::launder(reinterpret_cast<T*>(memory.get())) + index; }
  };
  static constexpr std::size_t alignment = alignof(T) < 64 ? 64 : alignof(T);

  T* at(std::uint32_t slot) const noexcept { return chunks_[slot / per_chunk].at(slot % per_chunk); }

  [[gnu::noinline]] void grow() {
    const auto first = static_cast<std::uint32_t>(links_.size());
    if (first > slots_max - per_chunk) throw std::bad_alloc{};
    chunks_.reserve(chunks_.size() + 1);
    if (links_.capacity() < first + std::size_t{per_chunk}) links_.reserve(2 * std::size_t{first} + per_chunk);
    Chunk chunk{std::unique_ptr<std::byte, typename Chunk::Release>{
        static_cast<std::byte*>(::operator new(sizeof(T) * per_chunk, std::align_val_t{alignment}))}};
    fill(chunk, first);
    chunks_.push_back(std::move(chunk));
    links_.resize(first + std::size_t{per_chunk});
    for (std::uint32_t slot = first + per_chunk; slot-- > first;) {
      links_[slot] = free_;
      free_ = slot;
    }
  }

  void fill(Chunk& chunk, std::uint32_t first) {
    std::uint32_t index = 0;
    try {
      for (; index < per_chunk; ++index) {
        construct_(reinterpret_cast<T*>(chunk.memory.get()) + index);
        T* const item = chunk.at(index);
        item->slot = first + index;
        item->generation = 1;
      }
    } catch (...) {
      while (index-- > 0) std::destroy_at(chunk.at(index));
      throw;
    }
  }

  std::function<void(void*)> construct_;
  std::vector<Chunk> chunks_;
  std::vector<std::uint32_t> links_;  // next free slot, or `taken`
  std::uint32_t free_ = none;
  std::size_t in_use_ = 0;
};

}  // namespace sluice::base
