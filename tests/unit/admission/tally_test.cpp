#include "admission/tally.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sluice::admission {
namespace {

TEST(Tally, GaugesGoUpOnOneAndDownOnAnother) {
  Tally loop, others;
  loop.depth.add_owned(2);
  others.depth.add(minus_one);
  LaneCounters sum;
  loop.add_to(sum);
  others.add_to(sum);
  EXPECT_EQ(sum.depth, 1u);
}

TEST(Tally, CountsFromManyThreads) {
  Tally tally;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 1000; ++k) tally.queued.add();
      });
    }
  }
  EXPECT_EQ(tally.queued.read(), 4000u);
}

TEST(Tally, EachColumnHasItsPlaceInTheSum) {
  Tally tally;
  tally.received.add(10);
  tally.shed[0].add(1);
  tally.shed[shed_reason_count - 1].add(1);
  tally.queued.add(5);
  tally.inlined.add(3);
  tally.expired.add(1);
  tally.started.add(7);
  tally.responded.add(4);
  tally.raised.add(1);
  tally.timed_out.add(1);
  tally.running.add(1);
  LaneCounters sum;
  tally.add_to(sum);
  EXPECT_TRUE(sum.balanced());
  EXPECT_EQ(sum.shed_total(), 2u);
  sum.started = 8;
  EXPECT_FALSE(sum.balanced());
}

}  // namespace
}  // namespace sluice::admission
