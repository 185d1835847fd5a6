// hand_over_bench.cpp: the ways between threads: into a lane and out of it, through a pool's workers and home, and the
// mailbox of a loop. No sockets: who waits for the way home spins in place of a loop.
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "admission/pool.hpp"
#include "base/clock.hpp"
#include "net/mailbox.hpp"

namespace sluice::admission {
namespace {

using namespace std::chrono_literals;

constexpr base::Duration budget = 10s;

/// A job without work in it: it ends at once and counts itself home.
struct Nothing final : Job {
  After run() noexcept override { return {.release = true, .post = true}; }
  void send_home() noexcept override {
    home.fetch_add(1, std::memory_order_release);
    home.notify_one();
  }
  void send_home_unstarted() noexcept override { send_home(); }
  std::atomic<std::uint64_t> home{0};
};

Lane::Settings settings(std::uint32_t limit) { return {.name = "bench", .limit = limit, .queue_timeout = budget}; }

void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/// A loop's part and a worker's part, both on this thread: into the queue, out of it, the permit back.
void lane_in_and_out(benchmark::State& state) {
  LaneGroup group{base::system_clock(), 2};
  Lane lane{settings(2), 1};
  group.add(lane);
  Nothing job;
  for (auto _ : state) {
    const base::TimePoint now = base::system_clock().now();
    job.claim.store(Claim::idle, std::memory_order_relaxed);
    job.deadline = now + budget;
    const auto admission = group.admit(job, lane, {}, budget, now);
    must(admission.entry == LaneGroup::Entry::queued, "the job was not queued");
    const auto next = group.next(0);
    must(next.job == &job, "the job did not come out");
    group.release(lane, job.ticket, false);
    lane.shared_tally().running.add(minus_one);
  }
}
BENCHMARK(lane_in_and_out);

/// A full lane says no, without its lock.
void lane_refuses(benchmark::State& state) {
  LaneGroup group{base::system_clock(), 1};
  Lane::Settings few = settings(1);
  few.depth_max = 1;
  Lane lane{few, 1};
  group.add(lane);
  const base::TimePoint now = base::system_clock().now();
  Nothing waiting;
  waiting.deadline = now + budget;
  must(group.admit(waiting, lane, {}, budget, now).entry == LaneGroup::Entry::queued, "the job was not queued");
  for (auto _ : state) {
    const auto reason = judge(lane.view(budget), ArrivalView{.now = now});
    must(reason.has_value(), "a full lane took a job");
    benchmark::DoNotOptimize(reason);
  }
  group.unlink(waiting, Claim::cancelled);
}
BENCHMARK(lane_refuses);

/// Into a lane, through a worker's thread, and home: what a request on the pool pays for two changes of thread. `range`
/// jobs are on their way at once.
void pool_there_and_back(benchmark::State& state) {
  constexpr unsigned workers = 1;
  ThreadHost host{workers};
  Pool pool{base::system_clock(), workers, host};
  Lane lane{settings(workers), 1};
  pool.group().add(lane);
  pool.start();
  std::vector<std::unique_ptr<Nothing>> jobs;
  for (std::int64_t i = 0; i < state.range(); ++i) jobs.push_back(std::make_unique<Nothing>());
  std::uint64_t turn = 0;
  for (auto _ : state) {
    ++turn;
    for (const auto& job : jobs) {
      const base::TimePoint now = base::system_clock().now();
      job->claim.store(Claim::idle, std::memory_order_relaxed);
      job->deadline = now + budget;
      const auto admission = pool.group().admit(*job, lane, {}, budget, now);
      must(admission.entry == LaneGroup::Entry::queued, "the job was not queued");
      pool.unpark(admission.wake);
    }
    for (const auto& job : jobs) job->home.wait(turn - 1, std::memory_order_acquire);
  }
  pool.join();
  state.SetItemsProcessed(state.iterations() * state.range());
}
BENCHMARK(pool_there_and_back)->Arg(1)->Arg(16)->UseRealTime();

}  // namespace
}  // namespace sluice::admission

namespace sluice::net {
namespace {

/// `range` nodes pushed, then drained by the same thread.
void mailbox_push_and_drain(benchmark::State& state) {
  Mailbox<> mailbox;
  std::vector<MailNode> nodes(static_cast<std::size_t>(state.range()));
  for (auto _ : state) {
    for (MailNode& node : nodes) benchmark::DoNotOptimize(mailbox.push(&node));
    unsigned drained = mailbox.drain(Mailbox<>::drain_max, [](MailNode&) {});
    benchmark::DoNotOptimize(drained);
  }
  state.SetItemsProcessed(state.iterations() * state.range());
}
BENCHMARK(mailbox_push_and_drain)->Arg(1)->Arg(16)->Arg(256);

/// A turn of a loop that finds nothing in it.
void mailbox_is_empty(benchmark::State& state) {
  Mailbox<> mailbox;
  for (auto _ : state) {
    unsigned drained = mailbox.drain(Mailbox<>::drain_max, [](MailNode&) {});
    benchmark::DoNotOptimize(drained);
    benchmark::DoNotOptimize(mailbox.prepare_sleep());
    mailbox.cancel_sleep();
  }
}
BENCHMARK(mailbox_is_empty);

}  // namespace
}  // namespace sluice::net
