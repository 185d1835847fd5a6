// records.hpp: what one generator thread has seen: per kind of clients, per window of time, of itself.
// In: events with their times. Out: plain sums and histograms, merged once when the run is over.
// Thread: the generator thread that owns it; the merging one after that has ended. Must never lock or read a clock.
#pragma once

#include <sluice/bench.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/histogram.hpp"

namespace sluice::bench {

/// A histogram that costs nothing until its first value.
class Times {
 public:
  explicit Times(double error_max = 0.001) noexcept : error_max_{error_max} {}

  void record(base::Duration time) {
    if (!histogram_) histogram_ = std::make_shared<base::Histogram>(error_max_);
    histogram_->record(time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0);
  }
  void merge(const Times& other) {
    if (!other.histogram_) return;
    if (!histogram_) histogram_ = std::make_shared<base::Histogram>(error_max_);
    histogram_->merge(*other.histogram_);
  }
  const base::Histogram* get() const noexcept { return histogram_.get(); }
  Latency latency() const { return Latency{histogram_}; }

 private:
  double error_max_;
  std::shared_ptr<base::Histogram> histogram_{};
};

struct ClassRecord {
  std::uint64_t count = 0;
  Times latency{}, service{};

  void merge(const ClassRecord& other) {
    count += other.count;
    latency.merge(other.latency);
    service.merge(other.service);
  }
};

/// Of one kind of clients.
struct ClientsRecord {
  std::uint64_t planned = 0, sent = 0, unsent = 0, retried = 0;
  std::uint64_t connects = 0, connect_failures = 0;
  std::uint64_t bytes_sent = 0, bytes_received = 0;
  std::array<ClassRecord, outcome_count> classes{};
  Times connect{}, connection_wait{}, send_lag{};

  void merge(const ClientsRecord& other) {
    planned += other.planned;
    sent += other.sent;
    unsent += other.unsent;
    retried += other.retried;
    connects += other.connects;
    connect_failures += other.connect_failures;
    bytes_sent += other.bytes_sent;
    bytes_received += other.bytes_received;
    for (std::size_t index = 0; index < outcome_count; ++index) classes[index].merge(other.classes[index]);
    connect.merge(other.connect);
    connection_wait.merge(other.connection_wait);
    send_lag.merge(other.send_lag);
  }
};

/// Of one window of the time axis; 1 % exact, because there are hundreds of them.
struct WindowRecord {
  std::uint64_t planned = 0, sent = 0, outstanding = 0, waiting = 0;
  std::array<std::uint64_t, outcome_count> outcomes{};
  Times latency{0.01};

  void merge(const WindowRecord& other) {
    planned += other.planned;
    sent += other.sent;
    outstanding += other.outstanding;
    waiting += other.waiting;
    for (std::size_t index = 0; index < outcome_count; ++index) outcomes[index] += other.outcomes[index];
    latency.merge(other.latency);
  }
};

/// A time span on the run's clock.
struct Span {
  base::TimePoint from{}, to{};
  base::Duration length() const noexcept { return to - from; }
};

/// Keeps the longest `capacity` spans.
class LongestSpans {
 public:
  static constexpr std::size_t capacity = 64;

  void add(Span span) {
    if (spans_.size() < capacity) {
      spans_.push_back(span);
      return;
    }
    Span* shortest = &spans_.front();
    for (Span& kept : spans_) {
      if (kept.length() < shortest->length()) shortest = &kept;
    }
    if (shortest->length() < span.length()) *shortest = span;
  }
  const std::vector<Span>& spans() const noexcept { return spans_; }

 private:
  std::vector<Span> spans_{};
};

/// All that a thread has to tell.
struct ThreadRecord {
  std::vector<ClientsRecord> clients{};
  std::vector<WindowRecord> windows{};
  LongestSpans silences{}, stalls{};
  base::Duration busy{}, cpu{}, measured{};
  std::uint64_t left_from_warmup = 0;  // due before the measured part, and not sent when it began
  std::uint64_t answers = 0, good_answers = 0;  // that came within the measured part
};

}  // namespace sluice::bench
