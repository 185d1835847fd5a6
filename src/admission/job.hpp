// job.hpp: one piece of work as admission sees it: deadlines, the claim word, a place in a queue. Knows no HTTP.
//
// The claim word says what became of the work. QUEUED changes under the lane group's lock only; whoever unlinks the
// job sets the next state there and owns what follows. RUNNING ends by compare-exchange: exactly one claim wins.
#pragma once

#include <cstdint>

#include "admission/permits.hpp"
#include "base/clock.hpp"
#include "base/list.hpp"
#include "base/sync.hpp"

namespace sluice::admission {

enum class Claim : std::uint8_t {
  idle,       // not admitted yet
  queued,     // waits in its lane
  granted,    // has its permit, is on its way to its loop
  running,    // user code has it
  responded,  // outcome: answered
  raised,     // outcome: failed (raised, thrown, dropped)
  timed_out,  // outcome: budget spent while running, 504
  abandoned,  // outcome: client gone while running
  expired,    // outcome: queue time spent, never started, 503
  cancelled,  // outcome: client gone while queued, never started
  shed,       // outcome: evicted, stale or drained, never started, 503
};

template <class Sync>
class LaneOf;

struct QueueTag {};

template <class Sync>
class JobOf : public base::ListNode<QueueTag> {
 public:
  /// A worker has popped it: RUNNING, permit taken. Returns what the end of the frame owes.
  struct After {
    bool release = false;  // the last pin ended: give the permit back
    bool post = false;     // send the job home afterwards
  };
  virtual After run() noexcept = 0;
  /// After run() asked for it: sends the job to its loop. Thread: the worker.
  virtual void send_home() noexcept = 0;
  /// Sends a job to its loop that was granted there, or that ended where it waited. Thread: any.
  virtual void send_home_unstarted() noexcept = 0;

  /// Admitted, and nothing has ended it yet.
  bool alive() const noexcept {
    const Claim now = claim.load(std::memory_order_acquire);
    return now == Claim::queued || now == Claim::granted || now == Claim::running;
  }

  typename Sync::template Atomic<Claim> claim{Claim::idle};
  LaneOf<Sync>* lane = nullptr;  // outlives the job
  base::TimePoint deadline{};        // of the budget
  base::TimePoint queue_deadline{};  // of the wait
  base::TimePoint arrived{};         // in its queue
  Ticket ticket{};                   // of its permit
  std::uint64_t client = 0;          // whose it is, where lanes count clients; never 0 there
  std::uint32_t tag = 0;             // what a list of running work shows of it; its owner's
  std::uint8_t rank = 0;             // criticality: which of the lane's queues it is in
  bool immediate = false;            // a permit was free on arrival
  bool permit = false;               // it has been given one; set under the group's lock

 protected:
  ~JobOf() = default;
};

using Job = JobOf<base::StdSync>;

}  // namespace sluice::admission
