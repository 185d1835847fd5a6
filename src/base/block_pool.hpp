// block_pool.hpp: the memory that bytes live in while they are on their way.
// In: take and give of one loop. Out: 4 KiB blocks for output chains, contiguous buffers for input.
// Thread: the loop that owns the pool. Must never keep more free memory than its caps, never be used by two threads,
// never die before what it handed out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace sluice::base {

/// 4 KiB: a piece of an output chain. Either bytes of its own, or a view of foreign bytes whose owner lives in storage.
struct Block {
  static constexpr std::size_t room = 4096 - 32;

  Block* next;
  const char* bytes;  // first byte not popped yet
  std::uint32_t size;  // bytes not popped yet
  std::uint32_t filled;  // used part of storage; `room` if it holds an owner
  void (*destroy)(void*) noexcept;  // ends the owner in storage; null for own bytes
  alignas(16) char storage[room];
};
static_assert(sizeof(Block) == 4096);

/// Blocks and size-classed memory, with bounded free lists.
class BlockPool {
 public:
  static constexpr std::size_t class_count = 5;
  static constexpr std::array<std::size_t, class_count> class_bytes{4096, 16384, 65536, 262144, 1048576};
  /// Free pieces kept per class; more than that goes back to the system.
  static constexpr std::array<std::size_t, class_count> free_max{1024, 128, 32, 8, 2};

  BlockPool() noexcept = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  /// An empty block. Errors: std::bad_alloc. Cost: O(1), allocates only when none is free.
  Block* take();
  void give(Block& block) noexcept;

  /// Blocks handed out by take().
  std::size_t in_use() const noexcept { return blocks_in_use_; }
  /// All memory handed out, blocks and buffers, counted in whole size classes.
  std::size_t bytes_in_use() const noexcept { return bytes_in_use_; }
  /// Bytes that were ever copied into its memory.
  std::uint64_t bytes_copied() const noexcept { return bytes_copied_; }
  void count_copied(std::size_t bytes) noexcept { bytes_copied_ += bytes; }
  /// Owners of foreign bytes that have ended; wraps. Their destructors are a user's code.
  std::uint32_t owners_ended() const noexcept { return owners_ended_; }
  void count_ended_owner() noexcept { ++owners_ended_; }
  /// Free memory kept for the next taker.
  std::size_t bytes_free() const noexcept;
  /// Gives all free memory back to the system.
  void trim() noexcept;

 private:
  friend class Buffer;
  struct Free {
    Free* next;
  };

  /// At least `bytes`, rounded up to a class; above the largest class, exactly `bytes` from the system.
  void* take_memory(std::size_t bytes);
  void give_memory(void* memory, std::size_t bytes) noexcept;
  void trim(std::size_t index, std::size_t keep) noexcept;

  std::array<Free*, class_count> free_{};
  std::array<std::size_t, class_count> free_count_{};
  std::size_t blocks_in_use_ = 0;
  std::size_t bytes_in_use_ = 0;
  std::uint64_t bytes_copied_ = 0;
  std::uint32_t owners_ended_ = 0;
};

/// Contiguous bytes that grow at the end and are consumed at the front; holds no memory while empty.
///   Thread:   the pool's.
///   Lifetime: the pool outlives it. append and reserve move the bytes: keep offsets, not pointers.
class Buffer {
 public:
  Buffer() noexcept = default;  // may hold nothing until assigned from one with a pool
  explicit Buffer(BlockPool& pool) noexcept : pool_{&pool} {}
  Buffer(Buffer&& other) noexcept : pool_{other.pool_}, memory_{std::exchange(other.memory_, nullptr)} {}
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      clear();
      pool_ = other.pool_;
      memory_ = std::exchange(other.memory_, nullptr);
    }
    return *this;
  }
  ~Buffer() { clear(); }

  char* data() noexcept { return memory_ ? bytes() + memory_->begin : nullptr; }
  const char* data() const noexcept { return memory_ ? bytes() + memory_->begin : nullptr; }
  std::size_t size() const noexcept { return memory_ ? memory_->end - memory_->begin : 0; }
  bool empty() const noexcept { return size() == 0; }
  /// Bytes it can hold without taking more memory; 0 while it has none.
  std::size_t capacity() const noexcept { return memory_ ? memory_->capacity : 0; }
  std::span<char> span() noexcept { return {data(), size()}; }

  /// Errors: std::bad_alloc, then nothing is changed. `more` must not be a part of this buffer.
  void append(std::span<const char> more);
  /// Room for `count` bytes behind the last one; they count once committed. Errors: as append.
  char* reserve(std::size_t count);
  void commit(std::size_t count) noexcept;
  /// Drops the first `count` bytes; the last one gives the memory back.
  void consume(std::size_t count) noexcept;
  /// Drops the bytes behind the first `count`.
  void truncate(std::size_t count) noexcept;
  /// Drops everything and gives the memory back.
  void clear() noexcept {
    if (memory_ != nullptr) release();
  }

 private:
  struct Memory {  // at the front of the pool's piece
    std::size_t total;  // bytes taken from the pool
    std::size_t capacity;  // total without this header
    std::size_t begin, end;
  };

  char* bytes() const noexcept { return reinterpret_cast<char*>(memory_ + 1); }
  void grow(std::size_t needed);
  void release() noexcept;

  BlockPool* pool_ = nullptr;
  Memory* memory_ = nullptr;
};

}  // namespace sluice::base
