#include "base/clock.hpp"

namespace sluice::base {
namespace {

Duration of(const timespec& time) noexcept {
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

class SystemClock final : public Clock {
 public:
  TimePoint now() const noexcept override { return std::chrono::steady_clock::now(); }
  std::time_t wall() const noexcept override { return std::time(nullptr); }
  Duration thread_cpu() const noexcept override {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return of(used);
  }
  TimePoint coarse() const noexcept override {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);  // steady_clock's epoch: both count from the same moment
    return TimePoint{of(time)};
  }
  Duration coarse_step() const noexcept override {
    timespec step{};
    ::clock_getres(CLOCK_MONOTONIC_COARSE, &step);
    return of(step);
  }
};

}  // namespace

const Clock& system_clock() noexcept {
  static const SystemClock clock;
  return clock;
}

}  // namespace sluice::base
