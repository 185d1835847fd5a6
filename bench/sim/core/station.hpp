// station.hpp: something that work waits for and that serves several jobs at a time: a database, a pool of connections,
// a server's own hands. Up to `knee` jobs each go at full speed, above it they share what the knee can do; more than
// `connections` wait in the order they came. Processor sharing in virtual time.
// In: jobs with their service time. Out: who ends next, and when. One owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace sluice::sim {

struct StationOptions {
  unsigned knee = 0;  // 0: none, however many
  double loss_per_job = 0;  // share of the capacity lost by each job above the knee
  unsigned connections = 0;  // 0: as many as come
};

class Station {
 public:
  Station(const StationOptions& options, base::TimePoint now) noexcept : options_{options}, now_{now} {}

  void begin(std::uint64_t job, base::Duration service, base::TimePoint now) {
    advance(now);
    const auto work = static_cast<double>(service.count());
    if (options_.connections != 0 && jobs_.size() >= options_.connections) waiting_.push_back({work, job});
    else jobs_.emplace(done_ + work, job);
  }
  void move_knee(unsigned knee, base::TimePoint now) noexcept {
    advance(now);
    options_.knee = knee;
  }
  /// 1 is full speed, 0 is a stall: of what has begun as well.
  void change_pace(double pace, base::TimePoint now) noexcept {
    advance(now);
    pace_ = pace;
  }
  /// When the next job ends if nothing changes until then.
  std::optional<base::TimePoint> next_end() const noexcept {
    if (jobs_.empty() || pace_ <= 0) return std::nullopt;
    const double left = std::max(0.0, jobs_.top().first - done_) / speed();
    const auto most = static_cast<double>((latest - now_).count());
    return left < most ? now_ + base::Duration{static_cast<std::int64_t>(left) + 1}
                       : std::max(latest, now_ + base::Duration{1});
  }
  /// The job that next_end() spoke of.
  std::uint64_t take(base::TimePoint now) {
    advance(now);
    const std::uint64_t job = jobs_.top().second;
    jobs_.pop();
    if (!waiting_.empty()) {
      jobs_.emplace(done_ + waiting_.front().first, waiting_.front().second);
      waiting_.pop_front();
    }
    return job;
  }
  std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  /// Three years: what takes longer ends then, long after whoever waits for it has left.
  static constexpr base::TimePoint latest{base::Duration{100'000'000'000'000'000}};

  /// Of each job: 1 is full speed.
  double speed() const noexcept {
    const double count = static_cast<double>(jobs_.size()), knee = options_.knee;
    if (options_.knee == 0 || count <= knee) return pace_;
    return pace_ * (knee / count) * std::max(0.05, 1 - options_.loss_per_job * (count - knee));
  }
  void advance(base::TimePoint now) noexcept {
    if (!jobs_.empty()) done_ += static_cast<double>((now - now_).count()) * speed();
    now_ = now;
  }

  using Job = std::pair<double, std::uint64_t>;  // the work done at its end, its number
  StationOptions options_;
  base::TimePoint now_;
  double pace_ = 1;
  double done_ = 0;  // work done for each job that was here all the time, in ns
  std::priority_queue<Job, std::vector<Job>, std::greater<>> jobs_;
  std::deque<Job> waiting_;  // the work each needs, its number
};

}  // namespace sluice::sim
