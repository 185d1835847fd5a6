// histogram.cpp: what is asked of a histogram when the recording is over, and the table that other tools read.
// The table is written without printf, whose decimal point depends on the program's locale.
#include "base/histogram.hpp"

#include <charconv>
#include <cmath>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace sluice::base {
namespace {

unsigned sub_bits_for(double error_max) {
  if (!(error_max >= 0.0001 && error_max <= 0.5)) throw std::invalid_argument{"histogram: error_max"};
  // Half of the sub-buckets share a power of two, so one is up to 2 / count of its values wide.
  return static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(std::ceil(2 / error_max)) - 1));
}

void add_right(std::string& text, std::string_view word, std::size_t width) {
  if (word.size() < width) text.append(width - word.size(), ' ');
  text += word;
}

/// As printf's "%*.*f" in the C locale.
void add_fixed(std::string& text, double value, std::size_t width, int decimals) {
  char digits[400];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, decimals);
  add_right(text, end.ec == std::errc{} ? std::string_view{digits, end.ptr} : "inf", width);
}

void add_whole(std::string& text, std::uint64_t value, std::size_t width) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value);
  add_right(text, {digits, end.ptr}, width);
}

/// The percentile that follows `percentile`: the distance to 100 is halved in `ticks` steps each time.
double next_percentile(double percentile, unsigned ticks) noexcept {
  const double halvings = std::floor(std::log(100.0 / (100.0 - percentile)) / std::log(2.0)) + 1;
  const double next = percentile + 100.0 / (ticks * std::exp2(halvings));
  return next > percentile ? next : 100.0;  // nothing is left between it and 100
}

}  // namespace

Histogram::Histogram(double error_max, std::uint64_t highest)
    : sub_bits_{sub_bits_for(error_max)}, last_{std::numeric_limits<std::size_t>::max()}, highest_{highest} {
  if (highest == 0) throw std::invalid_argument{"histogram: highest"};
  last_ = index_of(highest) + 1;
  counts_.resize(last_ + 1);
}

void Histogram::merge(const Histogram& other) noexcept {
  if (sub_bits_ == other.sub_bits_ && last_ == other.last_) {
    for (std::size_t index = 0; index <= last_; ++index) counts_[index] += other.counts_[index];
  } else {
    other.for_each([&](std::uint64_t lowest, std::uint64_t highest, std::uint64_t count) {
      counts_[index_of(std::clamp(lowest + (highest - lowest) / 2, other.min_, other.max_))] += count;
    });
  }
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

void Histogram::reset() noexcept {
  std::fill(counts_.begin(), counts_.end(), 0);
  count_ = 0;
  sum_ = 0;
  min_ = std::numeric_limits<std::uint64_t>::max();
  max_ = 0;
}

double Histogram::mean() const noexcept {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

double Histogram::middle_of(std::size_t index) const noexcept {
  const std::uint64_t lowest = lowest_of(index);
  const std::uint64_t width = highest_of(index) - lowest + 1;  // 1 for a bucket that holds one value, which is exact
  return static_cast<double>(lowest) + std::floor(static_cast<double>(width) / 2);
}

double Histogram::deviation() const noexcept {
  if (count_ == 0) return 0;
  const double centre = mean();
  double squares = 0;
  for (std::size_t index = 0; index <= last_; ++index) {
    if (counts_[index] == 0) continue;
    const double distance = middle_of(index) - centre;
    squares += distance * distance * static_cast<double>(counts_[index]);
  }
  return std::sqrt(squares / static_cast<double>(count_));
}

std::uint64_t Histogram::at(double quantile) const noexcept {
  if (count_ == 0) return 0;
  if (!(quantile > 0)) return min_;
  if (quantile >= 1) return max_;
  // A step down first, or a product that came out a trace too large would be rounded up to the next sample.
  const double exact = std::nextafter(quantile, 0.0) * static_cast<double>(count_);
  const auto rank = std::max<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(exact)), 1);
  std::uint64_t below = 0;
  for (std::size_t index = 0; index <= last_; ++index) {
    below += counts_[index];
    if (below >= rank) return std::min(highest_of(index), max_);
  }
  return max_;
}

std::uint64_t Histogram::count_above(std::uint64_t value) const noexcept {
  std::uint64_t above = 0;
  for (std::size_t index = index_of(value) + 1; index <= last_; ++index) above += counts_[index];
  return above;
}

std::string Histogram::percentiles_text(double unit, unsigned ticks_per_half) const {
  const unsigned ticks = std::max(ticks_per_half, 1U);
  std::string text = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
  const auto add_row = [&](std::size_t index, double share, std::uint64_t total) {
    add_fixed(text, static_cast<double>(std::min(highest_of(index), max_)) / unit, 12, 3);
    add_fixed(text += ' ', share, 2, 12);
    add_whole(text += ' ', total, 10);
  };
  double percentile = 0;
  std::uint64_t total = 0;
  for (std::size_t index = 0; total < count_; ++index) {
    if (counts_[index] == 0) continue;
    total += counts_[index];
    const double reached = 100.0 * static_cast<double>(total) / static_cast<double>(count_);
    while (percentile <= reached && percentile < 100) {
      add_row(index, percentile / 100.0, total);
      add_fixed(text += ' ', 1.0 / (1.0 - percentile / 100.0), 14, 2);
      text += '\n';
      percentile = next_percentile(percentile, ticks);
      if (total == count_) break;  // all the others would say the same
    }
    if (total < count_) continue;
    add_row(index, 1.0, total);
    text += '\n';
  }
  add_fixed(text += "#[Mean    = ", mean() / unit, 12, 3);
  add_fixed(text += ", StdDeviation   = ", deviation() / unit, 12, 3);
  add_fixed(text += "]\n#[Max     = ", static_cast<double>(max_) / unit, 12, 3);
  add_whole(text += ", Total count    = ", count_, 12);
  add_whole(text += "]\n#[Buckets = ", shift_of(index_of(highest_)) + 1, 12);
  add_whole(text += ", SubBuckets     = ", sub_count(), 12);
  text += "]\n";
  return text;
}

}  // namespace sluice::base
