#include "net/chain.hpp"

#include <algorithm>
#include <cstring>

namespace sluice::net {

void OutputChain::append(BlockPool& pool, std::string_view bytes) {
  const std::size_t room = tail_ == nullptr ? 0 : Block::room - tail_->filled;
  // Every block is taken before a byte is copied, so that a failed allocation leaves no half a response behind.
  Block* fresh = nullptr;
  if (bytes.size() > room) {
    std::size_t count = (bytes.size() - room + Block::room - 1) / Block::room;
    try {
      for (; count > 0; --count) {
        Block* const block = pool.take();
        block->next = fresh;
        fresh = block;
      }
    } catch (...) {
      while (fresh != nullptr) {
        Block* const block = fresh;
        fresh = block->next;
        pool.give(*block);
      }
      throw;
    }
  }
  pool.count_copied(bytes.size());
  while (!bytes.empty()) {
    if (tail_ == nullptr || tail_->filled == Block::room) {
      Block* const block = fresh;
      SLUICE_ASSERT(block != nullptr);
      fresh = block->next;
      block->next = nullptr;
      link(*block);
    }
    const std::size_t count = std::min(bytes.size(), Block::room - tail_->filled);
    std::memcpy(tail_->storage + tail_->filled, bytes.data(), count);
    commit(count);
    bytes.remove_prefix(count);
  }
}

unsigned OutputChain::gather(iovec* parts, unsigned max) const noexcept {
  unsigned count = 0;
  for (const Block* block = head_; block != nullptr && count < max; block = block->next) {
    if (block->size == 0) continue;
    if (block->bytes == nullptr) break;
    parts[count].iov_base = const_cast<char*>(block->bytes);
    parts[count].iov_len = block->size;
    ++count;
  }
  return count;
}

std::optional<FileSpan> OutputChain::file_at(std::size_t behind) const noexcept {
  for (const Block* block = head_; block != nullptr; block = block->next) {
    if (block->size == 0) continue;
    if (behind == 0) {
      if (block->bytes != nullptr) return std::nullopt;
      const FilePlace& place = place_of(*block);
      return FileSpan{place.fd, place.offset, block->size};
    }
    if (behind < block->size) return std::nullopt;
    behind -= block->size;
  }
  return std::nullopt;
}

void OutputChain::pop(BlockPool& pool, std::size_t count) noexcept {
  SLUICE_ASSERT(count <= size_);
  size_ -= count;
  while (head_ != nullptr) {
    if (head_->size > count) {
      if (head_->bytes == nullptr) place_of(*head_).offset += count;
      else head_->bytes += count;
      head_->size -= static_cast<std::uint32_t>(count);
      return;
    }
    count -= head_->size;
    drop_head(pool);
  }
}

void OutputChain::clear(BlockPool& pool) noexcept {
  while (head_ != nullptr) drop_head(pool);
  size_ = 0;
}

void OutputChain::drop_head(BlockPool& pool) noexcept {
  Block& block = *head_;
  head_ = block.next;
  if (head_ == nullptr) tail_ = nullptr;
  if (block.bytes == nullptr && block.destroy != nullptr) --files_;
  if (block.destroy != nullptr) {
    block.destroy(block.storage);
    block.destroy = nullptr;
    pool.count_ended_owner();
  }
  pool.give(block);
}

}  // namespace sluice::net
