// rate_limit.hpp: a token bucket that needs one word: the moment at which it will be full again (GCRA). Any thread; the
// word is written by every loop, so it is there only where a route asks for a limit.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include <sluice/admission.hpp>

#include "base/clock.hpp"

namespace sluice::admission {

class RateLimiter {
 public:
  /// `limit`: checked by the caller; per_second above 0, burst at least 1.
  explicit RateLimiter(const RateLimit& limit) noexcept
      : gap_{std::max<std::int64_t>(1, static_cast<std::int64_t>(1e9 / limit.per_second))},
        slack_{gap_ * (static_cast<std::int64_t>(limit.burst) - 1)} {}

  /// One request more. False: the bucket is empty, and nothing was taken.
  bool take(base::TimePoint now) noexcept {
    const std::int64_t at = now.time_since_epoch().count();
    std::int64_t full = full_at_.load(std::memory_order_relaxed);
    do {
      if (full - at > slack_) return false;
    } while (!full_at_.compare_exchange_weak(full, std::max(full, at) + gap_, std::memory_order_relaxed));
    return true;
  }
  /// How long until there is a token again.
  base::Duration wait(base::TimePoint now) const noexcept {
    const std::int64_t over = full_at_.load(std::memory_order_relaxed) - now.time_since_epoch().count() - slack_;
    return base::Duration{std::max<std::int64_t>(0, over)};
  }

 private:
  const std::int64_t gap_;  // ns between two tokens
  const std::int64_t slack_;  // how far ahead of its pace a burst may be
  std::atomic<std::int64_t> full_at_{0};
};

}  // namespace sluice::admission
