// chain.hpp: the bytes a stream still has to send, as a list of fixed blocks.
// In: copies and views of foreign bytes. Out: the parts of one write. Thread: the loop that owns the pool.
// Must never move bytes that a write was given, never grow a contiguous buffer, never free what is not popped.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/assert.hpp"
#include "base/block_pool.hpp"

namespace sluice::net {

using base::Block;
using base::BlockPool;

/// A stretch of an open regular file.
struct FileSpan {
  int fd = -1;
  std::uint64_t offset = 0;
  std::size_t size = 0;  // bytes
};

/// A queue of bytes over a BlockPool. Whoever owns it clears it with the same pool before it dies.
class OutputChain {
 public:
  static constexpr std::size_t reserve_max = 4000;
  static constexpr std::size_t owner_bytes_max = 1024;

  OutputChain() noexcept = default;
  OutputChain(const OutputChain&) = delete;
  OutputChain& operator=(const OutputChain&) = delete;
  ~OutputChain() { SLUICE_ASSERT(head_ == nullptr); }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  /// Contiguous room for `count` bytes at the tail; write there, then commit before anything else is called.
  ///   Units:  at most reserve_max bytes.
  ///   Errors: std::bad_alloc; nothing is changed.
  char* reserve(BlockPool& pool, std::size_t count) {
    SLUICE_ASSERT(count <= reserve_max);
    if (tail_ == nullptr || Block::room - tail_->filled < count) link(*pool.take());
    return tail_->storage + tail_->filled;
  }
  /// Makes the first `count` bytes of the reserved room part of the chain.
  void commit(std::size_t count) noexcept {
    if (count == 0) return;
    SLUICE_ASSERT(tail_ != nullptr && count <= Block::room - tail_->filled);
    tail_->filled += static_cast<std::uint32_t>(count);
    tail_->size += static_cast<std::uint32_t>(count);
    size_ += count;
  }

  /// Copies. Errors: std::bad_alloc; nothing is changed.
  void append(BlockPool& pool, std::string_view bytes);

  /// Sends `bytes` from where they are. `owner` is moved into the chain and destroyed when they were sent or dropped;
  /// bytes inside the owner object itself (a short std::string) move with it.
  ///   Errors: std::bad_alloc; `owner` is untouched then. Cost: one block.
  template <class Owner>
  void append_external(BlockPool& pool, std::string_view bytes, Owner&& owner) {
    using Kept = std::remove_cvref_t<Owner>;
    static_assert(!std::is_lvalue_reference_v<Owner>, "the owner is moved into the chain");
    static_assert(std::is_nothrow_move_constructible_v<Kept> && std::is_nothrow_destructible_v<Kept>);
    static_assert(sizeof(Kept) <= owner_bytes_max && alignof(Kept) <= 16);
    if (bytes.empty()) {
      [[maybe_unused]] const Kept ended{std::forward<Owner>(owner)};
      return;
    }
    SLUICE_ASSERT(bytes.size() <= 0xffff'ffffu);
    Block& block = *pool.take();
    const char* const from = reinterpret_cast<const char*>(std::addressof(owner));
    const std::size_t offset = static_cast<std::size_t>(bytes.data() - from);
    const bool inside =
        !std::less<const char*>{}(bytes.data(), from) && std::less<const char*>{}(bytes.data(), from + sizeof(Kept));
    ::new (static_cast<void*>(block.storage)) Kept{std::forward<Owner>(owner)};
    block.destroy = [](void* place) noexcept { std::destroy_at(std::launder(static_cast<Kept*>(place))); };
    block.bytes = inside ? block.storage + offset : bytes.data();
    block.size = static_cast<std::uint32_t>(bytes.size());
    block.filled = static_cast<std::uint32_t>(Block::room);
    link(block);
    size_ += bytes.size();
  }

  /// Sends a stretch of a file from where it lies. `owner` keeps the descriptor open; see append_external.
  ///   Units:  at most 2^32 - 1 bytes; an empty one ends the owner at once.
  ///   Errors: std::bad_alloc; `owner` is untouched then. Cost: one block.
  template <class Owner>
  void append_file(BlockPool& pool, const FileSpan& span, Owner&& owner) {
    using Kept = std::remove_cvref_t<Owner>;
    static_assert(!std::is_lvalue_reference_v<Owner>, "the owner is moved into the chain");
    static_assert(std::is_nothrow_move_constructible_v<Kept> && std::is_nothrow_destructible_v<Kept>);
    static_assert(sizeof(Kept) <= owner_bytes_max && alignof(Kept) <= 16);
    if (span.size == 0) {
      [[maybe_unused]] const Kept ended{std::forward<Owner>(owner)};
      return;
    }
    SLUICE_ASSERT(span.size <= 0xffff'ffffu);
    Block& block = *pool.take();
    ::new (static_cast<void*>(block.storage)) FilePlace{span.fd, span.offset};
    ::new (static_cast<void*>(block.storage + file_owner_at)) Kept{std::forward<Owner>(owner)};
    block.destroy = [](void* place) noexcept {
      std::destroy_at(std::launder(reinterpret_cast<Kept*>(static_cast<char*>(place) + file_owner_at)));
    };
    block.bytes = nullptr;  // marks it
    block.size = static_cast<std::uint32_t>(span.size);
    block.filled = static_cast<std::uint32_t>(Block::room);
    link(block);
    size_ += span.size;
    ++files_;
  }

  /// Whether any of it lies in a file.
  bool has_files() const noexcept { return files_ != 0; }
  /// The file that begins `behind` bytes after the first, or nothing: there are bytes in memory, or none.
  std::optional<FileSpan> file_at(std::size_t behind) const noexcept;

  /// All of it, if it lies in memory in one piece; else empty.
  std::string_view whole() const noexcept {
    if (head_ == nullptr || head_->next != nullptr || head_->bytes == nullptr) return {};
    return {head_->bytes, head_->size};
  }
  /// The first parts of the chain that lie in memory, at most `max` of them; a file ends them. Returns how many were
  /// set.
  unsigned gather(iovec* parts, unsigned max) const noexcept;
  /// Drops the first `count` bytes; they were sent.
  void pop(BlockPool& pool, std::size_t count) noexcept;
  /// Drops everything. Not while a write of it is under way.
  void clear(BlockPool& pool) noexcept;

 private:
  void link(Block& block) noexcept {
    if (tail_ == nullptr) {
      head_ = &block;
    } else {
      tail_->next = &block;
    }
    tail_ = &block;
  }
  void drop_head(BlockPool& pool) noexcept;

  /// At the front of a file block's storage; its owner lies behind it.
  struct FilePlace {
    int fd;
    std::uint64_t offset;
  };
  static constexpr std::size_t file_owner_at = 16;
  static_assert(sizeof(FilePlace) <= file_owner_at);
  static FilePlace& place_of(Block& block) noexcept {
    return *std::launder(reinterpret_cast<FilePlace*>(block.storage));
  }
  static const FilePlace& place_of(const Block& block) noexcept {
    return *std::launder(reinterpret_cast<const FilePlace*>(block.storage));
  }

  Block* head_ = nullptr;
  Block* tail_ = nullptr;
  std::size_t size_ = 0;
  std::uint32_t files_ = 0;  // blocks that name a file
};
static_assert(sizeof(OutputChain) <= 32);

}  // namespace sluice::net
