#include "net/chain.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace sluice::net {
namespace {

std::string contents(const OutputChain& chain) {
  std::vector<iovec> parts(10'000);
  const unsigned count = chain.gather(parts.data(), static_cast<unsigned>(parts.size()));
  std::string text;
  for (unsigned index = 0; index < count; ++index) {
    EXPECT_GT(parts[index].iov_len, 0u);
    text.append(static_cast<const char*>(parts[index].iov_base), parts[index].iov_len);
  }
  return text;
}

struct Fixture : testing::Test {
  ~Fixture() override { chain.clear(pool); }
  BlockPool pool;
  OutputChain chain;
};
using Chain = Fixture;

TEST_F(Chain, StartsWithoutMemory) {
  EXPECT_TRUE(chain.empty());
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_EQ(contents(chain), "");
}

TEST_F(Chain, ReservesContiguousRoomAndTakesOnlyWhatIsCommitted) {
  char* const room = chain.reserve(pool, 4000);
  std::memcpy(room, "hello", 5);
  chain.commit(5);
  EXPECT_EQ(contents(chain), "hello");
  EXPECT_EQ(chain.reserve(pool, 10), room + 5);
  chain.commit(0);
  chain.pop(pool, 5);
  EXPECT_TRUE(chain.empty());
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Chain, KeepsBytesInPlaceWhileMoreIsAppended) {
  chain.append(pool, std::string(3000, 'a'));
  iovec before{};
  ASSERT_EQ(chain.gather(&before, 1), 1u);
  const std::string copy{static_cast<char*>(before.iov_base), before.iov_len};
  chain.append(pool, std::string(50'000, 'b'));
  iovec after{};
  ASSERT_EQ(chain.gather(&after, 1), 1u);
  EXPECT_EQ(after.iov_base, before.iov_base);
  EXPECT_EQ(std::memcmp(before.iov_base, copy.data(), copy.size()), 0);
}

TEST_F(Chain, GathersAtMostAsManyPartsAsAsked) {
  chain.append(pool, std::string(100'000, 'x'));
  std::array<iovec, 3> parts{};
  EXPECT_EQ(chain.gather(parts.data(), 3), 3u);
}

TEST_F(Chain, SendsForeignBytesFromWhereTheyAreAndFreesTheirOwner) {
  auto owner = std::make_shared<std::string>(10'000, 'z');
  const std::weak_ptr<std::string> watch = owner;
  const char* const place = owner->data();
  const std::string_view view = *owner;
  chain.append(pool, "head ");
  chain.append_external(pool, view, std::move(owner));
  chain.append(pool, " tail");
  std::array<iovec, 4> parts{};
  ASSERT_EQ(chain.gather(parts.data(), 4), 3u);
  EXPECT_EQ(parts[1].iov_base, place);
  chain.pop(pool, 5 + 9'999);
  EXPECT_FALSE(watch.expired());
  chain.pop(pool, 1);
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(contents(chain), " tail");
}

TEST_F(Chain, FollowsBytesThatLiveInsideTheirOwner) {
  std::string small = "short";
  const std::string_view view = small;
  chain.append_external(pool, view, std::move(small));
  EXPECT_EQ(contents(chain), "short");
}

TEST_F(Chain, FreesOwnersWhenClearedAndAtOnceWhenThereIsNothingToSend) {
  auto owner = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = owner;
  auto copy = owner;
  chain.append_external(pool, "", std::move(owner));
  EXPECT_EQ(watch.use_count(), 1);
  chain.append_external(pool, "bytes", std::move(copy));
  chain.clear(pool);
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Chain, RandomOperationsMatchAString) {
  std::mt19937 random{99};
  std::string model;
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t size = random() % (random() % 8 == 0 ? 15'000 : 200);
    const std::string piece(size, static_cast<char>('a' + step % 26));
    switch (random() % 5) {
      case 0:
        chain.append(pool, piece);
        model += piece;
        break;
      case 1: {
        const std::size_t count = std::min<std::size_t>(size, OutputChain::reserve_max);
        char* const room = chain.reserve(pool, count);
        if (count > 0) std::memcpy(room, piece.data(), count / 2);
        chain.commit(count / 2);
        model.append(piece, 0, count / 2);
        break;
      }
      case 2: {
        std::string owned = piece;
        const std::string_view view = owned;
        chain.append_external(pool, view, std::move(owned));
        model += piece;
        break;
      }
      default: {
        const std::size_t count = std::min(model.size(), size * 2);
        chain.pop(pool, count);
        model.erase(0, count);
      }
    }
    if (random() % 500 == 0) {
      chain.clear(pool);
      model.clear();
    }
    ASSERT_EQ(chain.size(), model.size());
    ASSERT_EQ(contents(chain), model) << step;
  }
  chain.clear(pool);
  EXPECT_EQ(pool.in_use(), 0u);
}

}  // namespace
}  // namespace sluice::net
