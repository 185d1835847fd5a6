#include "admission/pool.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <latch>
#include <thread>

namespace sluice::admission {
namespace {

using namespace std::chrono_literals;

struct Work final : Job {
  After run() noexcept override {
    inside = pool != nullptr && pool->on_worker_thread();
    if (done != nullptr) done->count_down();
    return {.release = true, .post = true};
  }
  void send_home() noexcept override { home.fetch_add(1); }
  void send_home_unstarted() noexcept override { home.fetch_add(1); }
  std::atomic<unsigned> home{0};
  std::latch* done = nullptr;
  const Pool* pool = nullptr;
  bool inside = false;
};

std::ptrdiff_t threads() {
  std::ptrdiff_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) count += task.exists();
  return count;
}

Lane::Settings settings(std::uint32_t limit) { return {.name = "l", .limit = limit, .queue_timeout = 10s}; }

TEST(Pool, RunsEveryJobAndLeavesNoThread) {
  constexpr unsigned jobs = 200;
  std::thread{[] {}}.join();  // a sanitizer starts a thread of its own with the first one
  const std::ptrdiff_t before = threads();
  std::array<Work, jobs> work;
  std::latch done{jobs};
  Lane lane{settings(3), 1};
  {
    ThreadHost host{4};
    Pool pool{base::system_clock(), 4, host};
    pool.group().add(lane);
    pool.start();
    for (Work& next : work) {
      next.done = &done;
      next.pool = &pool;
      const base::TimePoint now = base::system_clock().now();
      next.deadline = now + 10s;
      const auto admission = pool.group().admit(next, lane, {}, 10s, now);
      ASSERT_EQ(admission.entry, LaneGroup::Entry::queued);
      pool.unpark(admission.wake);
    }
    done.wait();
    pool.join();
  }
  for (const Work& next : work) {
    EXPECT_EQ(next.home.load(), 1u);
    EXPECT_TRUE(next.inside);
  }
  EXPECT_EQ(lane.counters().in_flight, 0u);
  EXPECT_EQ(lane.counters().started, jobs);
  EXPECT_EQ(threads(), before);
}

TEST(Pool, FinishesWhatWaitsBeforeItsWorkersGo) {
  std::array<Work, 20> work;
  ThreadHost host{2};
  Pool pool{base::system_clock(), 2, host};
  Lane lane{settings(1), 1};
  pool.group().add(lane);
  const base::TimePoint now = base::system_clock().now();
  for (Work& next : work) {
    next.deadline = now + 10s;
    ASSERT_EQ(pool.group().admit(next, lane, {}, 10s, now).entry, LaneGroup::Entry::queued);
  }
  pool.start();
  pool.join();
  for (const Work& next : work) EXPECT_EQ(next.home.load(), 1u);
}

TEST(Pool, MayBeClosedAndJoinedTwice) {
  ThreadHost host{2};
  Pool pool{base::system_clock(), 2, host};
  pool.start();
  pool.close();
  pool.close();
  pool.join();
  pool.join();
  EXPECT_FALSE(pool.on_worker_thread());
}

TEST(Pool, ATokenGivenBeforeParkingIsNotLost) {
  ThreadHost host{1};
  std::atomic<bool> returned{false};
  host.unpark(0);
  host.spawn(0, [&] {
    host.park(0);
    returned = true;
  });
  host.join();
  EXPECT_TRUE(returned);
}

}  // namespace
}  // namespace sluice::admission
