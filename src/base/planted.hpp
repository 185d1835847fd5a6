// planted.hpp: deliberate bugs, compiled in only with SLUICE_PLANTED, so that the simulator can prove that it finds
// each of them. In every other build planted() is false at compile time and leaves no trace.
#pragma once

namespace sluice::base {

enum class Bug : int {
  none = 0,
  lost_wakeup,             // a post to a sleeping loop does not wake it
  permit_released_early,   // the permit of work that is timed out or abandoned comes back although the work goes on
  permit_leaked,           // a timed-out request never gives its permit back
  timer_not_rearmed,       // a lazily kept timer that fires early is dropped
  late_answer_written,     // an answer after the 504 is written all the same
  stale_generation,        // an event for an earlier connection of the slot is accepted
  deadline_unchecked,      // a worker starts a job whose deadline has passed
  unlink_missed,           // a disconnect leaves its job in the queue
  dropped_unanswered,      // the last handle dropped gives no 500
  short_write_lost,        // the rest of a partly taken write is forgotten
  queue_unbounded,         // the queue's depth is not checked
  grant_lost,              // releasing a permit does not start the next waiting job
  resume_forgotten,        // paused reading is never resumed
  stop_token_silent,       // the stop token does not fire
  drain_ignores_queue,     // a drain leaves queued jobs where they are
};

#ifdef SLUICE_PLANTED
inline Bug planted_bug = Bug::none;
inline bool planted(Bug bug) noexcept { return planted_bug == bug; }
#else
constexpr bool planted(Bug) noexcept { return false; }
#endif

}  // namespace sluice::base
