// shared_histogram.hpp: how often which value came, written by one thread while any other may read. The buckets are
// those of histogram.hpp with an error of 1/16, in memory that is part of the object.
// In: values of one thread. Out: quantiles, for any thread. Must never lock, allocate or lose a value.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace sluice::base {

/// Values below 32 are told apart exactly; from there on each power of two is cut into 16 buckets of equal width. What
/// is above `highest` counts in the last bucket, and max() still knows it.
class SharedHistogram {
  static constexpr unsigned sub_bits = 5;  // binary digits of a value that count
  static constexpr std::uint64_t sub_count = std::uint64_t{1} << sub_bits;
  static constexpr unsigned highest_bits = 24;

 public:
  /// 16.7 seconds in microseconds.
  static constexpr std::uint64_t highest = (std::uint64_t{1} << highest_bits) - 1;
  static constexpr std::size_t bucket_count = (highest_bits - sub_bits) * (sub_count / 2) + sub_count + 1;

  /// Thread: always the same one, or handed over.
  ///   Cost: a shift and two or three plain loads and stores; no locked instruction.
  void record(std::uint64_t value) noexcept {
    std::atomic<std::uint64_t>& count = counts_[index_of(value)];
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (value > max_.load(std::memory_order_relaxed)) max_.store(value, std::memory_order_relaxed);
  }

  static constexpr std::size_t index_of(std::uint64_t value) noexcept {
    const unsigned shift = static_cast<unsigned>(std::bit_width(value | (sub_count - 1))) - sub_bits;
    const std::size_t index = (std::size_t{shift} << (sub_bits - 1)) + static_cast<std::size_t>(value >> shift);
    return std::min(index, bucket_count - 1);
  }
  /// The largest value of a bucket that is not the last.
  static constexpr std::uint64_t highest_of(std::size_t index) noexcept {
    if (index < sub_count) return index;
    const unsigned shift = static_cast<unsigned>(index >> (sub_bits - 1)) - 1;
    const std::uint64_t lowest = (index - (std::uint64_t{shift} << (sub_bits - 1))) << shift;
    return lowest + ((std::uint64_t{1} << shift) - 1);
  }

  /// What was recorded until some moment. A value.
  class View {
   public:
    std::uint64_t count() const noexcept { return count_; }
    std::uint64_t max() const noexcept { return max_; }  // exact; 0 if empty
    /// A value that this share of all values does not exceed; at most 1/16 above the smallest such value, and at most
    /// max(). 0 if empty.
    std::uint64_t at(double quantile) const noexcept {
      // A step down first, or a product that came out a trace too large would be rounded up to the next sample.
      const double exact = std::ceil(std::nextafter(quantile, 0.0) * static_cast<double>(count_));
      const auto rank = std::max<std::uint64_t>(static_cast<std::uint64_t>(std::max(exact, 0.0)), 1);
      std::uint64_t below = 0;
      for (std::size_t index = 0; index + 1 < bucket_count; ++index) {
        below += counts_[index];
        if (below >= rank) return std::min(highest_of(index), max_);
      }
      return max_;
    }

   private:
    friend class SharedHistogram;
    std::array<std::uint64_t, bucket_count> counts_{};
    std::uint64_t count_ = 0;
    std::uint64_t max_ = 0;
  };

  /// Thread: any. What the writer records meanwhile is in it or not.
  ///   Cost: 3 KiB of stack and a walk over the buckets.
  View view() const noexcept {
    View seen;
    for (std::size_t index = 0; index < bucket_count; ++index) {
      seen.counts_[index] = counts_[index].load(std::memory_order_relaxed);
      seen.count_ += seen.counts_[index];
    }
    seen.max_ = max_.load(std::memory_order_relaxed);
    return seen;
  }

 private:
  std::array<std::atomic<std::uint64_t>, bucket_count> counts_{};
  std::atomic<std::uint64_t> max_{0};
};

}  // namespace sluice::base
