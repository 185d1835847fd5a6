// histogram.hpp: how often which value came, with a bounded relative error: log-linear buckets, as HdrHistogram has.
// In: values (nanoseconds, bytes, ...) and other histograms. Out: quantiles, counts, sums.
// Thread: one at a time. Memory is fixed at construction; record() is a shift, an add and an increment.
// Must never lose a value: what is above `highest` counts in the last bucket, and max() still knows it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace sluice::base {

/// A value; a moved-from one may only be assigned to or destroyed.
///
/// Values below sub_count are told apart exactly. From there on each power of two is cut into sub_count / 2 buckets of
/// equal width, so that a bucket is never wider than error_max times the values in it. The last bucket has no end.
class Histogram {
 public:
  /// One hour in nanoseconds.
  static constexpr std::uint64_t hour = 3'600'000'000'000;

  /// `error_max`: largest relative error of a quantile, 0.0001 to 0.5 (0.001: 2048 sub-buckets, 261 KiB up to an hour of
  /// nanoseconds). `highest`: the largest value told apart from larger ones; at least 1.
  ///   Errors: std::bad_alloc; std::invalid_argument.
  explicit Histogram(double error_max = 0.001, std::uint64_t highest = hour);

  void record(std::uint64_t value, std::uint64_t times = 1) noexcept {
    if (times == 0) return;
    counts_[index_of(value)] += times;
    count_ += times;
    sum_ += static_cast<Sum>(value) * times;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
  }
  /// Adds everything of `other`. With the same settings count by count, else by each bucket's middle; count(), min(),
  /// max() and mean() are exact either way.
  void merge(const Histogram& other) noexcept;
  void reset() noexcept;

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t min() const noexcept { return count_ == 0 ? 0 : min_; }  // exact; 0 if empty
  std::uint64_t max() const noexcept { return max_; }  // exact; 0 if empty
  double mean() const noexcept;  // exact sum over count; 0 if empty
  double deviation() const noexcept;  // standard deviation, each value as its bucket's middle; 0 if empty
  /// The largest value of the bucket that holds the quantile's sample, at most max(): a time that this share of all
  /// values does not exceed. min() for 0, max() for 1. 0 if empty.
  ///   Cost: a walk over the buckets, some microseconds.
  std::uint64_t at(double quantile) const noexcept;
  /// How many values are in buckets above that of `value`.
  std::uint64_t count_above(std::uint64_t value) const noexcept;

  /// Calls visit(lowest, highest, count) for each bucket that is not empty, upwards.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t index = 0; index < counts_.size(); ++index) {
      if (counts_[index] != 0) visit(lowest_of(index), highest_of(index), counts_[index]);
    }
  }

  /// The percentile table that HdrHistogram's tools read and plot (.hgrm), values divided by `unit`. Mean and Max are the
  /// exact ones, and no row is above Max. An empty histogram has no rows.
  ///   Source: HdrHistogram's outputPercentileDistribution; the C version differs in the columns' widths.
  std::string percentiles_text(double unit = 1000.0, unsigned ticks_per_half = 5) const;

 private:
  __extension__ typedef unsigned __int128 Sum;  // 10^9 hours in nanoseconds do not fit 64 bits

  std::uint64_t sub_count() const noexcept { return std::uint64_t{1} << sub_bits_; }

  /// A value's top sub_bits_ bits are its place within its power of two; the shift says which power.
  std::size_t index_of(std::uint64_t value) const noexcept {
    const unsigned shift = static_cast<unsigned>(std::bit_width(value | (sub_count() - 1))) - sub_bits_;
    const std::size_t index = (std::size_t{shift} << (sub_bits_ - 1)) + static_cast<std::size_t>(value >> shift);
    return std::min(index, last_);
  }
  unsigned shift_of(std::size_t index) const noexcept {
    return index < sub_count() ? 0 : static_cast<unsigned>(index >> (sub_bits_ - 1)) - 1;
  }
  std::uint64_t lowest_of(std::size_t index) const noexcept {
    const unsigned shift = shift_of(index);
    return (index - (std::uint64_t{shift} << (sub_bits_ - 1))) << shift;
  }
  std::uint64_t highest_of(std::size_t index) const noexcept {
    if (index == last_) return max_;
    return lowest_of(index) + ((std::uint64_t{1} << shift_of(index)) - 1);
  }
  double middle_of(std::size_t index) const noexcept;

  unsigned sub_bits_;  // binary digits of a value that count
  std::size_t last_;  // the bucket of all that is above `highest`
  std::uint64_t highest_;  // as given
  std::uint64_t count_ = 0;
  std::uint64_t min_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_ = 0;
  Sum sum_ = 0;
  std::vector<std::uint64_t> counts_;  // last_ + 1 of them
};

}  // namespace sluice::base
