#include "admission/permits.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "admission/clients.hpp"
#include "admission/rate_limit.hpp"

namespace sluice::admission {
namespace {

using namespace std::chrono_literals;

constexpr base::TimePoint start{100s};

TEST(Permits, ATicketNamesItsPermitAndNoLaterOne) {
  PermitTable permits{2};
  const Ticket first = permits.take(start, 7, 0);
  EXPECT_EQ(permits.out(), 1u);
  const Held held = permits.give_back(first);
  EXPECT_EQ(held.since, start);
  EXPECT_EQ(held.tag, 7u);
  const Ticket second = permits.take(start + 1s, 8, 0);
  EXPECT_EQ(second.slot, first.slot);
  EXPECT_FALSE(permits.mark_zombie(first));  // too late: the place is somebody else's
  EXPECT_EQ(permits.zombies(), 0u);
  EXPECT_TRUE(permits.mark_zombie(second));
  EXPECT_FALSE(permits.mark_zombie(second));
  EXPECT_EQ(permits.zombies(), 1u);
  EXPECT_TRUE(permits.give_back(second).zombie);
  EXPECT_EQ(permits.zombies(), 0u);
  EXPECT_EQ(permits.out(), 0u);
}

TEST(Permits, ListsThoseThatAreOut) {
  PermitTable permits{3};
  const Ticket first = permits.take(start, 1, 0);
  permits.take(start, 2, 0);
  permits.take(start, 3, 0);
  permits.give_back(first);
  std::vector<std::uint32_t> tags;
  permits.for_each_out([&](const Held& held) { tags.push_back(held.tag); });
  EXPECT_EQ(tags, (std::vector<std::uint32_t>{2, 3}));
}

TEST(Clients, CountsEachApartAndForgetsWhoHasNothingLeft) {
  ClientTable clients{8};
  for (int i = 0; i < 3; ++i) clients.add(5);
  clients.add(21);  // the same place to begin with
  EXPECT_EQ(clients.count(5), 3u);
  EXPECT_EQ(clients.count(21), 1u);
  EXPECT_EQ(clients.count(6), 0u);
  for (int i = 0; i < 3; ++i) clients.remove(5);
  EXPECT_EQ(clients.count(5), 0u);
  EXPECT_EQ(clients.count(21), 1u);
  EXPECT_EQ(clients.clients(), 1u);
}

// Every order of coming and going against a plain count, with keys that all want the same few places.
TEST(Clients, FindsEverybodyWhoeverHasLeft) {
  ClientTable clients{16};
  std::uint32_t expected[12] = {};
  std::uint32_t jobs = 0;
  std::uint64_t random = 1;
  for (int i = 0; i < 20'000; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const std::size_t who = (random >> 33) % 12;
    const std::uint64_t key = 32 * who + 30 + who % 3;
    if (((random >> 50) & 1) != 0 && jobs < 16) {
      clients.add(key);
      ++expected[who];
      ++jobs;
    } else if (expected[who] > 0) {
      clients.remove(key);
      --expected[who];
      --jobs;
    }
    for (std::size_t j = 0; j < 12; ++j) ASSERT_EQ(clients.count(32 * j + 30 + j % 3), expected[j]) << i;
  }
}

TEST(RateLimiter, GivesABurstThenOneInEachGap) {
  RateLimiter limiter{{.per_second = 10, .burst = 3}};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.take(start));
  EXPECT_FALSE(limiter.take(start));
  EXPECT_EQ(limiter.wait(start), 100ms);
  EXPECT_FALSE(limiter.take(start + 99ms));
  EXPECT_TRUE(limiter.take(start + 100ms));
  EXPECT_FALSE(limiter.take(start + 100ms));
}

TEST(RateLimiter, IsFullAgainAfterAPauseAndNeverMore) {
  RateLimiter limiter{{.per_second = 10, .burst = 3}};
  unsigned taken = 0;
  for (int i = 0; i < 10; ++i) taken += limiter.take(start + 1h);
  EXPECT_EQ(taken, 3u);
}

TEST(RateLimiter, KeepsToItsRateWhateverIsAsked) {
  RateLimiter limiter{{.per_second = 1000, .burst = 1}};
  unsigned taken = 0;
  for (int i = 0; i < 100'000; ++i) taken += limiter.take(start + i * 100us);
  EXPECT_EQ(taken, 10'000u);
}

}  // namespace
}  // namespace sluice::admission
