#include "base/block_pool.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::base {
namespace {

std::string_view text(Buffer& buffer) { return {buffer.data(), buffer.size()}; }

TEST(BlockPool, ReusesBlocksAndBoundsItsFreeList) {
  BlockPool pool;
  std::vector<Block*> blocks;
  for (int count = 0; count < 3000; ++count) blocks.push_back(pool.take());
  EXPECT_EQ(pool.in_use(), 3000u);
  EXPECT_EQ(pool.bytes_in_use(), 3000u * 4096);
  Block* const last = blocks.back();
  for (Block* block : blocks) pool.give(*block);
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(pool.bytes_free(), 1024u * 4096);
  (void)last;
  pool.trim();
  EXPECT_EQ(pool.bytes_free(), 0u);
}

TEST(BlockPool, HandsOutEmptyBlocks) {
  BlockPool pool;
  Block* block = pool.take();
  block->size = 7;
  block->filled = 9;
  pool.give(*block);
  block = pool.take();
  EXPECT_EQ(block->size, 0u);
  EXPECT_EQ(block->filled, 0u);
  EXPECT_EQ(block->next, nullptr);
  EXPECT_EQ(block->bytes, block->storage);
  pool.give(*block);
}

TEST(Buffer, GrowsThroughTheClassesAndKeepsItsBytes) {
  BlockPool pool;
  Buffer buffer{pool};
  EXPECT_EQ(buffer.capacity(), 0u);
  std::string expected;
  for (int count = 0; expected.size() < 3'000'000; ++count) {
    const std::string piece(static_cast<std::size_t>(count % 977 + 1), static_cast<char>('a' + count % 26));
    expected += piece;
    buffer.append(piece);
    ASSERT_GE(pool.bytes_in_use(), buffer.size());
  }
  EXPECT_EQ(text(buffer), expected);
  buffer.clear();
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(Buffer, HoldsNoMemoryWhileEmpty) {
  BlockPool pool;
  Buffer buffer{pool};
  buffer.append(std::string_view{"abc"});
  EXPECT_EQ(pool.bytes_in_use(), 4096u);
  buffer.consume(3);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(buffer.data(), nullptr);
  buffer.append(std::string_view{});
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(Buffer, CountsWhatIsCopied) {
  BlockPool pool;
  Buffer buffer{pool};
  buffer.append(std::string(3000, 'x'));
  EXPECT_EQ(pool.bytes_copied(), 3000u);
  buffer.append(std::string(3000, 'x'));  // does not fit: what is there moves
  EXPECT_EQ(pool.bytes_copied(), 9000u);
  buffer.consume(6000);
  EXPECT_EQ(pool.bytes_copied(), 9000u);
}

TEST(Buffer, TakesBackMemoryAboveTheLargestClass) {
  BlockPool pool;
  Buffer buffer{pool};
  buffer.append(std::string(5'000'000, 'x'));
  EXPECT_GE(pool.bytes_in_use(), 5'000'000u);
  buffer.clear();
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(pool.bytes_free(), 0u);
}

TEST(Buffer, MovesWithItsMemory) {
  BlockPool pool;
  Buffer first{pool};
  first.append(std::string_view{"abc"});
  Buffer second{std::move(first)};
  EXPECT_EQ(text(second), "abc");
  first = std::move(second);
  EXPECT_EQ(text(first), "abc");
  EXPECT_EQ(pool.bytes_in_use(), 4096u);
}

TEST(Buffer, RandomAppendAndConsumeMatchAString) {
  BlockPool pool;
  Buffer buffer{pool};
  std::string model;
  std::mt19937 random{4711};
  for (int step = 0; step < 20'000; ++step) {
    const auto size = random() % (random() % 10 == 0 ? 20'000 : 300);
    if (random() % 2 == 0) {
      const std::string piece(size, static_cast<char>('a' + step % 26));
      model += piece;
      buffer.append(piece);
    } else {
      const auto count = std::min<std::size_t>(size, model.size());
      model.erase(0, count);
      buffer.consume(count);
    }
    if (random() % 100 == 0) {
      model.resize(model.size() / 2);
      buffer.truncate(model.size());
    }
    ASSERT_EQ(text(buffer), model) << step;
    ASSERT_EQ(pool.bytes_in_use() == 0, model.empty());
  }
}

}  // namespace
}  // namespace sluice::base
