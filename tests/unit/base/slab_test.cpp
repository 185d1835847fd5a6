#include "base/slab.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <stdexcept>
#include <vector>

namespace sluice::base {
namespace {

struct Item {
  Item() = default;
  explicit Item(int value) : kept{value} {}
  Item(const Item&) = delete;
  Item& operator=(const Item&) = delete;
  std::uint32_t slot = 0, generation = 0;
  int kept = 0;
};

struct Big {
  std::uint32_t slot = 0, generation = 0;
  char bytes[100'000] = {};
};

TEST(Slab, GivesDistinctObjectsThatDoNotMove) {
  Slab<Item> slab;
  std::set<Item*> items;
  for (int count = 0; count < 20'000; ++count) items.insert(slab.take());
  EXPECT_EQ(items.size(), 20'000u);
  EXPECT_EQ(slab.in_use(), 20'000u);
  for (Item* item : items) EXPECT_EQ(slab.find(item->slot, item->generation), item);
  for (Item* item : items) slab.give(*item);
  EXPECT_EQ(slab.in_use(), 0u);
}

TEST(Slab, RecognisesStaleNames) {
  Slab<Item> slab;
  Item* const item = slab.take();
  const std::uint32_t slot = item->slot, generation = item->generation;
  EXPECT_NE(generation, 0u);
  slab.give(*item);
  EXPECT_EQ(slab.find(slot, generation), nullptr);
  Item* const again = slab.take();
  EXPECT_EQ(again, item) << "the slot used last is the next one";
  EXPECT_EQ(slab.find(slot, generation), nullptr);
  EXPECT_EQ(slab.find(slot, again->generation), again);
  EXPECT_EQ(slab.find(4'000'000'000u, 1), nullptr);
  slab.give(*again);
}

TEST(Slab, NeverMakesGenerationZero) {
  Slab<Item> slab;
  Item* const item = slab.take();
  item->generation = 0xffff'ffff;
  slab.give(*item);
  EXPECT_EQ(slab.take()->generation, 1u);
}

TEST(Slab, ConstructsOnceWithTheFactoryAndKeepsState) {
  int made = 0;
  Slab<Item> slab{[&made] { return Item{++made}; }};
  Item* const item = slab.take();
  const int made_for_chunk = made;
  item->kept = -7;
  slab.give(*item);
  EXPECT_EQ(slab.take()->kept, -7);
  EXPECT_EQ(made, made_for_chunk);
  EXPECT_EQ(made_for_chunk, static_cast<int>(Slab<Item>::per_chunk));
}

TEST(Slab, ChangesNothingWhenAConstructorThrows) {
  bool fails = true;
  int alive = 0;
  struct Counted {
    explicit Counted(int& count) : count_{count} { ++count_; }
    ~Counted() { --count_; }
    std::uint32_t slot = 0, generation = 0;
    int& count_;
  };
  {
    int budget = 10;
    Slab<Counted> slab{[&] {
      if (fails && budget-- == 0) throw std::runtime_error{"no"};
      return Counted{alive};
    }};
    EXPECT_THROW(slab.take(), std::runtime_error);
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(slab.capacity(), 0u);
    fails = false;
    EXPECT_NE(slab.take(), nullptr);
  }
  EXPECT_EQ(alive, 0);
}

TEST(Slab, VisitsWhatIsInUseAndMayGiveItBack) {
  Slab<Item> slab;
  std::vector<Item*> items;
  for (int count = 0; count < 100; ++count) items.push_back(slab.take());
  for (std::size_t index = 0; index < 100; index += 2) slab.give(*items[index]);
  std::size_t visited = 0;
  slab.for_each_in_use([&](Item& item) {
    ++visited;
    slab.give(item);
  });
  EXPECT_EQ(visited, 50u);
  EXPECT_EQ(slab.in_use(), 0u);
}

TEST(Slab, HoldsObjectsLargerThanAChunk) {
  Slab<Big> slab;
  Big* const first = slab.take();
  Big* const second = slab.take();
  EXPECT_NE(first, second);
  EXPECT_EQ(slab.find(second->slot, second->generation), second);
}

TEST(SlabDeathTest, RefusesToTakeBackTwice) {
  Slab<Item> slab;
  Item* const item = slab.take();
  slab.give(*item);
  EXPECT_DEATH(slab.give(*item), "broken invariant");
}

}  // namespace
}  // namespace sluice::base
