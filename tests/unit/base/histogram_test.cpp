// Histogram: against the sorted values themselves, at every rank; and the table, against one worked out by hand.
#include "base/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace sluice::base {
namespace {

using Values = std::vector<std::uint64_t>;
constexpr std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();

struct Distribution {
  const char* name;
  Values sorted;
};

template <class Draw>
Distribution drawn(const char* name, Draw&& draw) {
  Values values(2'000);
  for (std::uint64_t& value : values) value = draw();
  std::sort(values.begin(), values.end());
  return {name, std::move(values)};
}

std::vector<Distribution> distributions() {
  std::mt19937_64 random{20'240'229};
  std::uniform_int_distribution<std::uint64_t> few{0, 50};
  std::uniform_int_distribution<std::uint64_t> many{0, 10'000'000'000};
  std::exponential_distribution<double> exponential{1e-6};
  std::lognormal_distribution<double> lognormal{13, 2};
  std::uniform_real_distribution<double> share{1e-9, 1};
  const auto whole = [](double value) { return static_cast<std::uint64_t>(value); };
  return {
      drawn("one value", [] { return 123'457u; }),
      drawn("few small values", [&] { return few(random); }),
      drawn("uniform", [&] { return many(random); }),
      drawn("exponential", [&] { return whole(exponential(random)); }),
      drawn("lognormal", [&] { return std::min(whole(lognormal(random)), Histogram::hour); }),
      drawn("heavy tail", [&] { return std::min(whole(1000 / share(random)), Histogram::hour); }),
      drawn("two modes", [&] { return random() % 10 == 0 ? 80'000'000 + few(random) : 90'000 + few(random) * 100; }),
  };
}

Histogram recorded(const Values& values, double error_max = 0.001) {
  Histogram histogram{error_max};
  for (const std::uint64_t value : values) histogram.record(value);
  return histogram;
}

using Buckets = std::vector<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>>;
Buckets buckets_of(const Histogram& histogram) {
  Buckets buckets;
  histogram.for_each([&](std::uint64_t lowest, std::uint64_t highest, std::uint64_t count) {
    buckets.emplace_back(lowest, highest, count);
  });
  return buckets;
}

TEST(Histogram, KeepsTheErrorBoundAtEveryRankOfEveryDistribution) {
  for (const double error_max : {0.0001, 0.001, 0.01, 0.1, 0.5}) {
    for (const Distribution& distribution : distributions()) {
      const Values& sorted = distribution.sorted;
      const Histogram histogram = recorded(sorted, error_max);
      const std::size_t stride = error_max < 0.001 ? 97 : 1;  // a walk over many buckets each
      for (std::size_t rank = 1; rank <= sorted.size(); rank += stride) {
        const double quantile = static_cast<double>(rank) / static_cast<double>(sorted.size());
        const std::uint64_t value = sorted[rank - 1];
        const std::uint64_t told = histogram.at(quantile);
        ASSERT_GE(told, value) << distribution.name << ' ' << error_max << " rank " << rank;
        ASSERT_LE(static_cast<double>(told - value), error_max * static_cast<double>(value))
            << distribution.name << ' ' << error_max << " rank " << rank;
      }
    }
  }
}

TEST(Histogram, KnowsExtremesAndMeanExactlyAndTheDeviationClosely) {
  for (const Distribution& distribution : distributions()) {
    const Values& sorted = distribution.sorted;
    const Histogram histogram = recorded(sorted);
    double sum = 0;
    for (const std::uint64_t value : sorted) sum += static_cast<double>(value);
    const double mean = sum / static_cast<double>(sorted.size());
    double squares = 0;
    for (const std::uint64_t value : sorted) squares += std::pow(static_cast<double>(value) - mean, 2);
    const double deviation = std::sqrt(squares / static_cast<double>(sorted.size()));
    EXPECT_EQ(histogram.count(), sorted.size());
    EXPECT_EQ(histogram.min(), sorted.front());
    EXPECT_EQ(histogram.max(), sorted.back());
    EXPECT_EQ(histogram.at(0), sorted.front());
    EXPECT_EQ(histogram.at(1), sorted.back());
    EXPECT_NEAR(histogram.mean(), mean, mean * 1e-12) << distribution.name;
    EXPECT_NEAR(histogram.deviation(), deviation, 0.001 * (deviation + mean)) << distribution.name;
  }
}

TEST(Histogram, TakesAQuantileBetweenTwoSamplesUpwards) {
  const Histogram histogram = recorded({10, 20, 30, 40});
  EXPECT_EQ(histogram.at(0.25), 10u);
  EXPECT_EQ(histogram.at(0.26), 20u);
  EXPECT_EQ(histogram.at(0.5), 20u);
  EXPECT_EQ(histogram.at(0.750001), 40u);
  EXPECT_EQ(histogram.at(-1), 10u);
  EXPECT_EQ(histogram.at(2), 40u);
  EXPECT_EQ(histogram.at(std::nan("")), 10u);
}

TEST(Histogram, IsZeroThroughoutWhileEmpty) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.mean(), 0.0);
  EXPECT_EQ(histogram.deviation(), 0.0);
  EXPECT_EQ(histogram.at(0.5), 0u);
  EXPECT_EQ(histogram.count_above(0), 0u);
  EXPECT_TRUE(buckets_of(histogram).empty());
}

TEST(Histogram, TellsSmallValuesApartExactlyAndLargerOnesByBucket) {
  Histogram histogram{0.001};
  for (const std::uint64_t value : {0u, 1u, 2047u, 2048u, 2049u, 2050u, 4095u, 4096u}) histogram.record(value);
  const Buckets expected = {{0, 0, 1},       {1, 1, 1},       {2047, 2047, 1}, {2048, 2049, 2},
                            {2050, 2051, 1}, {4094, 4095, 1}, {4096, 4099, 1}};
  EXPECT_EQ(buckets_of(histogram), expected);
}

TEST(Histogram, CoversAllValuesWithBucketsThatTouch) {
  for (const double error_max : {0.001, 0.03, 0.5}) {
    Histogram histogram{error_max, largest};
    for (unsigned bit = 0; bit < 64; ++bit) {
      const std::uint64_t power = std::uint64_t{1} << bit;
      for (const std::uint64_t value : {power - 1, power, power + power / 3, power + (power - 1)}) {
        histogram.reset();
        histogram.record(value);
        const auto [lowest, highest, count] = buckets_of(histogram).at(0);
        EXPECT_LE(lowest, value);
        EXPECT_GE(highest, value);
        EXPECT_EQ(count, 1u);
        if (lowest > 0) {
          histogram.record(lowest - 1);
          EXPECT_EQ(std::get<1>(buckets_of(histogram).at(0)), lowest - 1) << "the bucket below ends right there";
        }
        if (highest < largest) {
          histogram.reset();
          histogram.record(highest + 1);
          EXPECT_EQ(std::get<0>(buckets_of(histogram).at(0)), highest + 1) << "the bucket above begins right there";
        }
      }
    }
  }
}

TEST(Histogram, CountsWhatIsAboveTheHighestInTheLastBucketAndKnowsItsMaximum) {
  Histogram histogram{0.001, 1'000};
  for (const std::uint64_t value : std::initializer_list<std::uint64_t>{0, 1, 1'000, 1'001, 70'000, largest}) {
    histogram.record(value);
  }
  EXPECT_EQ(histogram.count(), 6u);
  EXPECT_EQ(histogram.max(), largest);
  EXPECT_EQ(histogram.at(0.5), 1'000u);
  EXPECT_EQ(histogram.at(0.6), largest) << "not known more closely, so the upper bound";
  EXPECT_EQ(histogram.count_above(1'000), 3u);
  EXPECT_EQ(histogram.count_above(999), 4u);
  EXPECT_EQ(histogram.count_above(5'000), 0u) << "the same bucket";
  EXPECT_EQ(buckets_of(histogram).back(), std::make_tuple(std::uint64_t{1'001}, largest, std::uint64_t{3}));
}

TEST(Histogram, TellsTheHighestFromWhatIsAboveItsBucket) {
  for (const std::uint64_t highest : std::initializer_list<std::uint64_t>{1, 2'047, 2'048, 65'535, 65'536, largest}) {
    Histogram histogram{0.001, highest};
    histogram.record(highest);
    EXPECT_EQ(histogram.count_above(highest), 0u) << highest;
    const std::uint64_t end = highest + highest / 500 + 1;
    if (end < highest) continue;
    histogram.record(end);
    EXPECT_EQ(histogram.count_above(highest), 1u) << highest;
    EXPECT_EQ(histogram.at(1), end);
  }
}

TEST(Histogram, CountsValuesAboveAValueByBucket) {
  const Histogram histogram = recorded({1, 2, 2, 3, 100'000, 100'001});
  EXPECT_EQ(histogram.count_above(0), 6u);
  EXPECT_EQ(histogram.count_above(2), 3u);
  EXPECT_EQ(histogram.count_above(3), 2u);
  EXPECT_EQ(histogram.count_above(100'000), 0u) << "both are in one bucket";
}

TEST(Histogram, RecordsAValueManyTimes) {
  Histogram histogram;
  histogram.record(7, 3);
  histogram.record(9, 0);
  EXPECT_EQ(histogram.count(), 3u);
  EXPECT_EQ(histogram.max(), 7u);
  EXPECT_EQ(histogram.min(), 7u);
  EXPECT_DOUBLE_EQ(histogram.mean(), 7);
}

TEST(Histogram, HasTheRightMeanForABillionHours) {
  Histogram histogram;
  histogram.record(Histogram::hour, 1'000'000'000);
  histogram.record(Histogram::hour - 2'000'000, 1'000'000'000);
  EXPECT_DOUBLE_EQ(histogram.mean(), static_cast<double>(Histogram::hour - 1'000'000));
}

TEST(Histogram, MergesToWhatOneAloneWouldHaveRecorded) {
  for (const Distribution& distribution : distributions()) {
    Histogram parts[3];
    for (std::size_t i = 0; i < distribution.sorted.size(); ++i) parts[i % 3].record(distribution.sorted[i]);
    const Histogram whole = recorded(distribution.sorted);
    Histogram merged;
    for (const Histogram& part : parts) merged.merge(part);
    EXPECT_EQ(buckets_of(merged), buckets_of(whole)) << distribution.name;
    EXPECT_EQ(merged.percentiles_text(), whole.percentiles_text()) << distribution.name;
    EXPECT_EQ(merged.min(), whole.min());
    EXPECT_EQ(merged.max(), whole.max());
  }
}

TEST(Histogram, MergesOtherSettingsByTheMiddlesOfBuckets) {
  for (const Distribution& distribution : distributions()) {
    const Values& sorted = distribution.sorted;
    const Histogram coarse = recorded(sorted, 0.1);
    Histogram merged{0.001, 50'000'000};
    merged.merge(coarse);
    EXPECT_EQ(merged.count(), sorted.size());
    EXPECT_EQ(merged.min(), sorted.front());
    EXPECT_EQ(merged.max(), sorted.back());
    EXPECT_EQ(merged.mean(), coarse.mean());
    for (std::size_t rank = 1; rank <= sorted.size(); rank += 13) {
      const std::uint64_t value = sorted[rank - 1];
      if (value > 45'000'000) break;
      const std::uint64_t told = merged.at(static_cast<double>(rank) / static_cast<double>(sorted.size()));
      EXPECT_NEAR(static_cast<double>(told), static_cast<double>(value), 0.101 * static_cast<double>(value))
          << distribution.name << " rank " << rank;
    }
  }
}

TEST(Histogram, MergesAnEmptyOneWithoutTrace) {
  Histogram histogram = recorded({5, 6});
  histogram.merge(Histogram{});
  histogram.merge(Histogram{0.1, 9});
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.min(), 5u);
  EXPECT_EQ(histogram.max(), 6u);
}

TEST(Histogram, KeepsACoarseBucketsMiddleWithinWhatWasSeen) {
  Histogram coarse{0.5};
  coarse.record(1'030);  // of the bucket from 1,024 to 1,535
  Histogram fine{0.001, 1'100};
  fine.merge(coarse);
  EXPECT_EQ(fine.at(0.5), 1'030u);
  EXPECT_EQ(fine.count_above(1'100), 0u);
}

TEST(Histogram, IsAsNewAfterReset) {
  Histogram histogram = recorded({0, 1, 2, Histogram::hour * 2});
  histogram.reset();
  EXPECT_EQ(histogram.percentiles_text(), Histogram{}.percentiles_text());
  histogram.record(9);
  EXPECT_EQ(histogram.min(), 9u);
  EXPECT_EQ(histogram.max(), 9u);
}

TEST(Histogram, RefusesSettingsThatMakeNoSense) {
  EXPECT_THROW(Histogram(0.00009), std::invalid_argument);
  EXPECT_THROW(Histogram(0.51), std::invalid_argument);
  EXPECT_THROW(Histogram(std::nan("")), std::invalid_argument);
  EXPECT_THROW(Histogram(0.01, 0), std::invalid_argument);
}

// 25, 50, 75 and 100 % are reached at 1, 2, 3 and 4. The steps are 10 up to 50 %, 5 up to 75 %, then 2.5.
TEST(HistogramText, IsTheTableOfHdrHistogram) {
  EXPECT_EQ(recorded({1, 2, 3, 4}).percentiles_text(1),
            "       Value     Percentile TotalCount 1/(1-Percentile)\n"
            "\n"
            "       1.000 0.000000000000          1           1.00\n"
            "       1.000 0.100000000000          1           1.11\n"
            "       1.000 0.200000000000          1           1.25\n"
            "       2.000 0.300000000000          2           1.43\n"
            "       2.000 0.400000000000          2           1.67\n"
            "       2.000 0.500000000000          2           2.00\n"
            "       3.000 0.550000000000          3           2.22\n"
            "       3.000 0.600000000000          3           2.50\n"
            "       3.000 0.650000000000          3           2.86\n"
            "       3.000 0.700000000000          3           3.33\n"
            "       3.000 0.750000000000          3           4.00\n"
            "       4.000 0.775000000000          4           4.44\n"
            "       4.000 1.000000000000          4\n"
            "#[Mean    =        2.500, StdDeviation   =        1.118]\n"
            "#[Max     =        4.000, Total count    =            4]\n"
            "#[Buckets =           32, SubBuckets     =         2048]\n");
}

// The deviation is that of the buckets' middles: 1.503232 nine times and 3,599,182.594048.
TEST(HistogramText, DividesByTheUnitAndStepsAsAsked) {
  Histogram histogram{0.01};
  histogram.record(1'500'000, 9);
  histogram.record(Histogram::hour);
  EXPECT_EQ(histogram.percentiles_text(1e6, 1),
            "       Value     Percentile TotalCount 1/(1-Percentile)\n"
            "\n"
            "       1.507 0.000000000000          9           1.00\n"
            "       1.507 0.500000000000          9           2.00\n"
            "       1.507 0.750000000000          9           4.00\n"
            "       1.507 0.875000000000          9           8.00\n"
            " 3600000.000 0.937500000000         10          16.00\n"
            " 3600000.000 1.000000000000         10\n"
            "#[Mean    =   360001.350, StdDeviation   =  1079754.330]\n"
            "#[Max     =  3600000.000, Total count    =           10]\n"
            "#[Buckets =           35, SubBuckets     =          256]\n");
}

TEST(HistogramText, HasNoRowsWhileEmpty) {
  EXPECT_EQ(Histogram{}.percentiles_text(),
            "       Value     Percentile TotalCount 1/(1-Percentile)\n"
            "\n"
            "#[Mean    =        0.000, StdDeviation   =        0.000]\n"
            "#[Max     =        0.000, Total count    =            0]\n"
            "#[Buckets =           32, SubBuckets     =         2048]\n");
}

/// A row as HdrHistogram's plotters read it: blanks in front, four numbers; lines with "#" or other words are skipped.
/// What std::regex would do here GCC 12 takes for uninitialised under AddressSanitizer.
std::vector<double> plotted(const std::string& line) {
  std::vector<double> numbers;
  std::istringstream words{line};
  for (std::string word; words >> word;) {
    if (word.find_first_not_of("0123456789.") != std::string::npos) return {};
    numbers.push_back(std::stod(word));
  }
  return numbers.size() == 4 && line.front() == ' ' ? numbers : std::vector<double>{};
}

TEST(HistogramText, IsReadBackAsPlottersReadIt) {
  for (const Distribution& distribution : distributions()) {
    const Histogram histogram = recorded(distribution.sorted);
    std::istringstream text{histogram.percentiles_text(1e3)};
    std::vector<double> last = {-1, -1, 0, 0};
    std::size_t rows = 0;
    for (std::string line; std::getline(text, line);) {
      const std::vector<double> row = plotted(line);
      if (row.empty()) continue;
      ++rows;
      const double value = row[0], percentile = row[1], total = row[2], inverse = row[3];
      EXPECT_GE(value, last[0]);
      EXPECT_GT(percentile, last[1]);
      EXPECT_GE(total, last[2]);
      EXPECT_GT(inverse, last[3]);
      EXPECT_GE(value * 1e3, static_cast<double>(histogram.at(percentile - 1e-9)) - 0.501);
      EXPECT_LE(value * 1e3, static_cast<double>(histogram.at(percentile + 1e-9)) + 0.501);
      EXPECT_GE(total, percentile * 2'000 - 1e-6);
      EXPECT_NEAR(1 / (1 - percentile), inverse, 0.006);
      last = row;
    }
    EXPECT_EQ(rows == 1, distribution.sorted.front() == distribution.sorted.back()) << distribution.name;
    EXPECT_EQ(last[2], 2'000) << distribution.name;
    EXPECT_NEAR(last[0] * 1e3, static_cast<double>(histogram.max()), 0.501);
  }
}

TEST(HistogramText, EndsForCountsNearTheLargest) {
  Histogram histogram;
  histogram.record(5, std::uint64_t{1} << 62);
  histogram.record(7);
  const std::string text = histogram.percentiles_text(1);
  EXPECT_NE(text.find("       7.000 1.000000000000 4611686018427387905\n"), std::string::npos) << text;
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 400);
}

}  // namespace
}  // namespace sluice::base
