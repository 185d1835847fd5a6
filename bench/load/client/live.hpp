// live.hpp: what a run hands over while it goes on: new courses to the generator threads, finished windows from them.
// In: courses from the caller's thread, windows from each generator thread in their order. Out: the newest courses, whole
// windows in their order. Thread: any. Holds its lock for some moves only; no generator thread waits for the caller.
#pragma once

#include <sluice/bench.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "load/client/records.hpp"

namespace sluice::bench {

/// The courses of a steered run, one per Load::clients.
class Courses {
 public:
  void set(const std::vector<Course>& courses) {
    const std::lock_guard hold{mutex_};
    courses_ = courses;
    version_.fetch_add(1, std::memory_order_release);
  }
  /// Whether there are others than those of `version`, which moves on. Calls change(place, course) for each then.
  template <class Change>
  bool take(unsigned& version, Change&& change) {
    if (version_.load(std::memory_order_acquire) == version) return false;
    const std::lock_guard hold{mutex_};
    version = version_.load(std::memory_order_relaxed);
    for (std::size_t place = 0; place < courses_.size(); ++place) change(place, courses_[place]);
    return true;
  }

 private:
  std::mutex mutex_{};
  std::atomic<unsigned> version_{0};
  std::vector<Course> courses_{};
};

/// Windows on their way to Load::on_window.
class FinishedWindows {
 public:
  /// A caller that does not come for them loses the oldest.
  static constexpr std::size_t windows_max = 1200;

  void give(std::size_t index, WindowRecord&& window) {
    const std::lock_guard hold{mutex_};
    if (index < first_) return;
    while (sums_.size() <= index - first_) sums_.emplace_back();
    Sum& sum = sums_[index - first_];
    sum.window.merge(window);
    ++sum.threads;
    while (sums_.size() > windows_max) drop_first();
  }
  /// Calls use(index, window) for each window that `threads` threads have given, without the lock. A thread that is
  /// through gives no more: when all are, one giver is enough.
  template <class Use>
  void take(unsigned threads, Use&& use) {
    std::vector<std::pair<std::size_t, WindowRecord>> whole;
    {
      const std::lock_guard hold{mutex_};
      while (!sums_.empty() && sums_.front().threads >= threads) {
        whole.emplace_back(first_, std::move(sums_.front().window));
        drop_first();
      }
    }
    for (const auto& [index, window] : whole) use(index, window);
  }

 private:
  struct Sum {
    WindowRecord window{};
    unsigned threads = 0;
  };
  void drop_first() {
    sums_.pop_front();
    ++first_;
  }

  std::mutex mutex_{};
  std::size_t first_ = 0;
  std::deque<Sum> sums_{};
};

}  // namespace sluice::bench
