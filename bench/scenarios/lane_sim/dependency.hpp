// dependency.hpp: something that all running work waits for, and that has a knee: up to `knee` jobs each go at full
// speed, above it they share what the knee can do. Processor sharing in virtual time.
// In: jobs with their service time, a knee. Out: who ends next, and when. One owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace sluice::lane_sim {

class Dependency {
 public:
  Dependency(unsigned knee, double loss_per_job, base::TimePoint now) noexcept
      : knee_{knee}, loss_per_job_{loss_per_job}, now_{now} {}

  void begin(std::uint32_t job, base::Duration service, base::TimePoint now) {
    advance(now);
    jobs_.emplace(done_ + static_cast<double>(service.count()), job);
  }
  void move_knee(unsigned knee, base::TimePoint now) noexcept {
    advance(now);
    knee_ = knee;
  }
  /// When the next job ends if nothing changes until then.
  std::optional<base::TimePoint> next_end() const noexcept {
    if (jobs_.empty()) return std::nullopt;
    const double left = std::max(0.0, jobs_.top().first - done_) / speed();
    return now_ + base::Duration{static_cast<std::int64_t>(left) + 1};
  }
  /// The job that next_end() spoke of.
  std::uint32_t take(base::TimePoint now) {
    advance(now);
    const std::uint32_t job = jobs_.top().second;
    jobs_.pop();
    return job;
  }

 private:
  /// Of each job: 1 is full speed.
  double speed() const noexcept {
    const double count = static_cast<double>(jobs_.size()), knee = knee_;
    if (count <= knee) return 1;
    return knee / count * std::max(0.05, 1 - loss_per_job_ * (count - knee));
  }
  void advance(base::TimePoint now) noexcept {
    if (!jobs_.empty()) done_ += static_cast<double>((now - now_).count()) * speed();
    now_ = now;
  }

  using Job = std::pair<double, std::uint32_t>;  // the work done at its end, its number
  unsigned knee_;
  double loss_per_job_;
  base::TimePoint now_;
  double done_ = 0;  // work done for each job that was here all the time, in ns
  std::priority_queue<Job, std::vector<Job>, std::greater<>> jobs_;
};

}  // namespace sluice::lane_sim
