// What loops write while they serve: each in lines of the cache of its own, or two processors would pull one to and fro
// with every request.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "admission/lane.hpp"
#include "base/block_pool.hpp"
#include "base/slab.hpp"
#include "net/epoll_io.hpp"
#include "net/loop.hpp"
#include "net/uring_io.hpp"
#include "server/shard.hpp"

namespace sluice::detail {
namespace {

constexpr std::size_t line_bytes = 64;

std::uintptr_t line_of(const void* place) { return reinterpret_cast<std::uintptr_t>(place) / line_bytes; }

template <class T>
bool begins_a_line(const T& object) {
  return reinterpret_cast<std::uintptr_t>(&object) % line_bytes == 0;
}

TEST(Layout, TwoLoopsCountInDifferentLinesThoughOfOneLane) {
  std::vector<admission::Tally> tallies(2);
  const auto* const end_of_first = reinterpret_cast<const char*>(&tallies[0].zombies + 1) - 1;
  EXPECT_NE(line_of(end_of_first), line_of(&tallies[1].received));
  EXPECT_TRUE(begins_a_line(tallies[0]));
}

TEST(Layout, NothingOfALoopSharesALineWithAnotherObject) {
  using EpollLoop = net::Loop<net::EpollIo, Shard>;
  using UringLoop = net::Loop<net::UringIo, Shard>;
  EXPECT_EQ(alignof(EpollLoop), line_bytes);
  EXPECT_EQ(alignof(UringLoop), line_bytes);
  EXPECT_EQ(sizeof(EpollLoop) % line_bytes, 0u);
  EXPECT_EQ(sizeof(UringLoop) % line_bytes, 0u);
}

struct Small {
  std::uint32_t slot = 0, generation = 0;
};

TEST(Layout, ConnectionsAndExchangesComeFromPiecesThatBeginALine) {
  base::Slab<Small> one, other;
  for (int count = 0; count < 100; ++count) {
    const void* const here = one.take();
    const void* const there = other.take();
    EXPECT_NE(line_of(here), line_of(there));
  }
}

TEST(Layout, TwoPoolsBlocksShareNoLine) {
  base::BlockPool one, other;
  std::vector<base::Block*> taken;
  for (int count = 0; count < 50; ++count) {
    base::Block* const here = one.take();
    base::Block* const there = other.take();
    EXPECT_TRUE(begins_a_line(*here) && begins_a_line(*there));
    EXPECT_NE(line_of(reinterpret_cast<const char*>(here + 1) - 1), line_of(there));
    one.give(*here);
    other.give(*there);
  }
}

}  // namespace
}  // namespace sluice::detail
