// later.hpp: one thread that answers requests when their time has come. Used by showcase.cpp. A request that waits here
// costs a place in a heap and a permit of its lane; no thread is held meanwhile.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/handler.hpp>

/// Any thread may call answer_in. Everything that still waits when it dies is dropped, so gets a 500.
class Later {
 public:
  using Clock = std::chrono::steady_clock;

  /// capacity: the most that may wait. Give the lane as many permits, then the lane refuses first, and says so properly.
  explicit Later(std::size_t capacity) : capacity_{capacity} {}
  /// Apart from the constructor, so that signals can be blocked before the thread is there to catch them.
  void start() {
    thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
  }

  void answer_in(std::chrono::milliseconds delay, sluice::Responder responder, sluice::Response response) {
    answer_at(Clock::now() + delay, std::move(responder), std::move(response));
  }

  void answer_at(Clock::time_point due, sluice::Responder responder, sluice::Response response) {
    std::unique_lock lock{mutex_};
    if (heap_.size() >= capacity_) {
      lock.unlock();
      responder.raise(sluice::Problem{503, {}, "too many requests wait already"});
      return;
    }
    heap_.push_back({due, std::move(responder), std::move(response)});
    std::push_heap(heap_.begin(), heap_.end(), later_first);
    const bool next = heap_.front().due == due;
    lock.unlock();
    if (next) changed_.notify_one();
  }

 private:
  struct Entry {
    Clock::time_point due;
    sluice::Responder responder;
    sluice::Response response;
  };
  static bool later_first(const Entry& a, const Entry& b) noexcept { return a.due > b.due; }

  void run(const std::stop_token& stop) {
    std::vector<Entry> due;
    std::unique_lock lock{mutex_};
    while (!stop.stop_requested()) {
      const auto now = Clock::now();
      while (!heap_.empty() && heap_.front().due <= now) {
        std::pop_heap(heap_.begin(), heap_.end(), later_first);
        due.push_back(std::move(heap_.back()));
        heap_.pop_back();
      }
      if (!due.empty()) {
        lock.unlock();  // handlers go on adding while we answer
        for (Entry& entry : due) entry.responder.respond(std::move(entry.response));
        due.clear();
        lock.lock();
      } else if (heap_.empty()) {
        changed_.wait(lock, stop, [this] { return !heap_.empty(); });
      } else {
        const auto first = heap_.front().due;
        changed_.wait_until(lock, stop, first, [&] { return heap_.empty() || heap_.front().due < first; });
      }
    }
  }

  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<Entry> heap_;  // the next one in front
  std::jthread thread_;  // last: it uses everything above
};
