// SharedHistogram: its buckets, its quantiles against the sorted values, and one writer with many readers.
#include "base/shared_histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace sluice::base {
namespace {

using View = SharedHistogram::View;

TEST(SharedHistogram, EmptyIsZeroEverywhere) {
  const SharedHistogram histogram;
  const View view = histogram.view();
  EXPECT_EQ(view.count(), 0u);
  EXPECT_EQ(view.max(), 0u);
  for (const double quantile : {0.0, 0.5, 0.999, 1.0}) EXPECT_EQ(view.at(quantile), 0u);
}

TEST(SharedHistogram, EveryBucketEndsWhereTheNextBegins) {
  for (std::size_t index = 0; index + 1 < SharedHistogram::bucket_count; ++index) {
    const std::uint64_t last = SharedHistogram::highest_of(index);
    EXPECT_EQ(SharedHistogram::index_of(last), index);
    EXPECT_EQ(SharedHistogram::index_of(last + 1), index + 1);
  }
  EXPECT_EQ(SharedHistogram::highest_of(SharedHistogram::bucket_count - 2), SharedHistogram::highest);
  EXPECT_EQ(SharedHistogram::index_of(std::numeric_limits<std::uint64_t>::max()), SharedHistogram::bucket_count - 1);
}

TEST(SharedHistogram, SmallValuesAreExact) {
  SharedHistogram histogram;
  for (std::uint64_t value = 0; value < 32; ++value) histogram.record(value);
  const View view = histogram.view();
  EXPECT_EQ(view.count(), 32u);
  for (std::uint64_t value = 0; value < 32; ++value) { EXPECT_EQ(view.at(static_cast<double>(value + 1) / 32), value); }
}

TEST(SharedHistogram, QuantilesAreNeverTooSmallAndAtMostASixteenthTooLarge) {
  std::mt19937_64 random{11};
  std::lognormal_distribution<double> lognormal{6, 2};
  SharedHistogram histogram;
  std::vector<std::uint64_t> values(20'000);
  for (std::uint64_t& value : values) {
    value = std::min(static_cast<std::uint64_t>(lognormal(random)), SharedHistogram::highest);
    histogram.record(value);
  }
  std::sort(values.begin(), values.end());
  const View view = histogram.view();
  EXPECT_EQ(view.count(), values.size());
  EXPECT_EQ(view.max(), values.back());
  EXPECT_EQ(view.at(1), values.back());
  for (const double quantile : {0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999}) {
    const auto rank = static_cast<std::size_t>(std::ceil(quantile * static_cast<double>(values.size())));
    const std::uint64_t exact = values[rank - 1];
    EXPECT_GE(view.at(quantile), exact) << quantile;
    EXPECT_LE(view.at(quantile), exact + exact / 16 + 1) << quantile;
  }
}

TEST(SharedHistogram, WhatIsBeyondItsRangeIsCountedAndKnownByMax) {
  SharedHistogram histogram;
  histogram.record(7);
  histogram.record(std::uint64_t{1} << 40);
  const View view = histogram.view();
  EXPECT_EQ(view.count(), 2u);
  EXPECT_EQ(view.at(0.5), 7u);
  EXPECT_EQ(view.at(1), std::uint64_t{1} << 40);
}

TEST(SharedHistogram, IsReadWhileItIsWritten) {
  constexpr std::uint64_t times = 200'000;
  const auto histogram = std::make_unique<SharedHistogram>();
  std::atomic<bool> over{false};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      std::uint64_t before = 0;
      while (!over.load()) {
        const View view = histogram->view();
        EXPECT_GE(view.count(), before);
        EXPECT_LE(view.at(0.99), times);
        before = view.count();
      }
    });
  }
  for (std::uint64_t value = 1; value <= times; ++value) histogram->record(value);
  over = true;
  readers.clear();
  EXPECT_EQ(histogram->view().count(), times);
  EXPECT_EQ(histogram->view().max(), times);
}

}  // namespace
}  // namespace sluice::base
