#include "base/block_pool.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "base/assert.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define SLUICE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLUICE_ASAN 1
#endif
#endif
#ifdef SLUICE_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace sluice::base {
namespace {

constexpr std::align_val_t alignment{64};

/// Makes the address sanitizer report views that outlived their block.
void forbid([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef SLUICE_ASAN
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(memory) + sizeof(void*), bytes - sizeof(void*));
#endif
}
void allow([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef SLUICE_ASAN
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
#endif
}

std::size_t class_of(std::size_t bytes) noexcept {
  std::size_t index = 0;
  while (index < BlockPool::class_count && BlockPool::class_bytes[index] < bytes) ++index;
  return index;
}

}  // namespace

BlockPool::~BlockPool() {
  SLUICE_ASSERT(bytes_in_use_ == 0);
  trim();
}

Block* BlockPool::take() {
  Block* const block = ::new (take_memory(sizeof(Block))) Block;
  block->next = nullptr;
  block->bytes = block->storage;
  block->size = 0;
  block->filled = 0;
  block->destroy = nullptr;
  ++blocks_in_use_;
  return block;
}

void BlockPool::give(Block& block) noexcept {
  SLUICE_ASSERT(block.destroy == nullptr);
  SLUICE_ASSERT(blocks_in_use_ > 0);
  --blocks_in_use_;
  give_memory(&block, sizeof(Block));
}

std::size_t BlockPool::bytes_free() const noexcept {
  std::size_t sum = 0;
  for (std::size_t index = 0; index < class_count; ++index) sum += free_count_[index] * class_bytes[index];
  return sum;
}

void BlockPool::trim() noexcept {
  for (std::size_t index = 0; index < class_count; ++index) trim(index, 0);
}

void BlockPool::trim(std::size_t index, std::size_t keep) noexcept {
  while (free_count_[index] > keep) {
    Free* const piece = free_[index];
    free_[index] = piece->next;
    --free_count_[index];
    allow(piece, class_bytes[index]);
    ::operator delete(piece, alignment);
  }
}

void* BlockPool::take_memory(std::size_t bytes) {
  const std::size_t index = class_of(bytes);
  if (index == class_count) {
    void* const memory = ::operator new(bytes, alignment);
    bytes_in_use_ += bytes;
    return memory;
  }
  void* memory = free_[index];
  if (memory != nullptr) {
    free_[index] = free_[index]->next;
    --free_count_[index];
    allow(memory, class_bytes[index]);
  } else {
    memory = ::operator new(class_bytes[index], alignment);
  }
  bytes_in_use_ += class_bytes[index];
  return memory;
}

void BlockPool::give_memory(void* memory, std::size_t bytes) noexcept {
  const std::size_t index = class_of(bytes);
  const std::size_t counted = index == class_count ? bytes : class_bytes[index];
  SLUICE_ASSERT(bytes_in_use_ >= counted);
  bytes_in_use_ -= counted;
  if (index == class_count || free_count_[index] >= free_max[index]) {
    ::operator delete(memory, alignment);
    return;
  }
  free_[index] = ::new (memory) Free{free_[index]};
  ++free_count_[index];
  forbid(memory, class_bytes[index]);
}

void Buffer::append(std::span<const char> more) {
  if (more.empty()) return;
  std::memcpy(reserve(more.size()), more.data(), more.size());
  commit(more.size());
}

char* Buffer::reserve(std::size_t count) {
  if (memory_ == nullptr || memory_->capacity - memory_->end < count) {
    // Moving to the front is cheap only while little is left; else a larger piece keeps appending linear.
    const std::size_t held = size();
    if (memory_ != nullptr && held + count <= memory_->capacity && held <= memory_->capacity / 2) {
      std::memmove(bytes(), data(), held);
      pool_->count_copied(held);
      memory_->begin = 0;
      memory_->end = held;
    } else {
      if (count > std::numeric_limits<std::size_t>::max() / 4) throw std::bad_alloc{};
      grow(held + count);
    }
  }
  return bytes() + memory_->end;
}

void Buffer::grow(std::size_t needed) {
  SLUICE_ASSERT(pool_ != nullptr);
  std::size_t total = needed + sizeof(Memory);
  const std::size_t index = class_of(total);
  if (index < BlockPool::class_count) {
    total = BlockPool::class_bytes[index];
  } else if (memory_ != nullptr) {
    total = std::max(total, 2 * memory_->total);
  }
  const std::size_t held = size();
  auto* const larger = ::new (pool_->take_memory(total)) Memory{total, total - sizeof(Memory), 0, held};
  if (held > 0) std::memcpy(larger + 1, data(), held);
  pool_->count_copied(held);
  clear();
  memory_ = larger;
}

void Buffer::commit(std::size_t count) noexcept {
  if (count == 0) return;
  SLUICE_ASSERT(memory_ != nullptr && count <= memory_->capacity - memory_->end);
  memory_->end += count;
  pool_->count_copied(count);
}

void Buffer::consume(std::size_t count) noexcept {
  SLUICE_ASSERT(count <= size());
  if (memory_ == nullptr) return;
  memory_->begin += count;
  if (memory_->begin == memory_->end) clear();
}

void Buffer::truncate(std::size_t count) noexcept {
  SLUICE_ASSERT(count <= size());
  if (memory_ == nullptr) return;
  memory_->end = memory_->begin + count;
  if (count == 0) clear();
}

void Buffer::release() noexcept {
  pool_->give_memory(memory_, memory_->total);
  memory_ = nullptr;
}

}  // namespace sluice::base
