// naive.hpp: the pool that most servers have: one queue without an end in front of N threads, first come, first served.
// In: requests with their responders. Out: an answer to each, whenever it is done. It has no deadline, refuses nothing
// and never looks whether a client is still there. The demo's left side; nothing to copy.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/handler.hpp>

/// Any thread may call its members.
class NaivePool {
 public:
  /// What a thread does with a request. It answers by itself, and the thread is taken until it returns.
  using Work = std::function<void(const sluice::Request&, sluice::Responder)>;

  explicit NaivePool(Work work) : work_{std::move(work)} {}
  /// Apart from the constructor, so that signals can be blocked before the threads are there to catch them.
  void start(unsigned threads) {
    for (unsigned number = 0; number < threads; ++number) {
      threads_.emplace_back([this](const std::stop_token& stop) { run(stop); });
    }
  }

  void add(const sluice::Request& request, sluice::Responder responder) {
    {
      const std::lock_guard lock{mutex_};
      waiting_.push_back({&request, std::move(responder)});
    }
    changed_.notify_one();
  }

  std::size_t depth() const {
    const std::lock_guard lock{mutex_};
    return waiting_.size();
  }

  /// What a restart of the program does to its queue: everything that waits is lost; how many that were.
  std::size_t forget() {
    std::deque<Entry> lost;
    {
      const std::lock_guard lock{mutex_};
      lost.swap(waiting_);
    }
    return lost.size();
  }

 private:
  struct Entry {
    const sluice::Request* request;  // lives as long as its responder
    sluice::Responder responder;
  };

  void run(const std::stop_token& stop) {
    std::unique_lock lock{mutex_};
    while (changed_.wait(lock, stop, [this] { return !waiting_.empty(); }) && !stop.stop_requested()) {
      Entry entry = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      work_(*entry.request, std::move(entry.responder));
      lock.lock();
    }
  }

  const Work work_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Entry> waiting_;
  std::vector<std::jthread> threads_;  // last: they use everything above
};
