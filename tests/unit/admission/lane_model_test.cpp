// Lanes and permits under every interleaving of loops, workers and threads that keep a handle.
#include <gtest/gtest.h>

#include <cstdio>

#include "support/lane_model.hpp"

namespace sluice::interleave {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr unsigned less = 1;
#else
constexpr unsigned less = 0;
#endif

using Model = LaneModel<CheckedSync>;

void expect_sound(Model::Case which, unsigned preemptions) {
  const Verdict verdict = check_lane<CheckedSync>(which, {.preemptions = preemptions - less});
  EXPECT_EQ(verdict.violation, "") << "threads " << verdict.schedule;
  EXPECT_TRUE(verdict.complete);
  std::printf("%llu interleavings\n", static_cast<unsigned long long>(verdict.interleavings));
}

TEST(LaneModel, TwoWorkersAndAForeignThreadLoseNoJob) { expect_sound(Model::Case::pool, 2); }

TEST(LaneModel, AJobThatIsTakenOutWhileAWorkerPopsItEndsOnce) { expect_sound(Model::Case::expiry, 5); }

TEST(LaneModel, WorkersThatAreLetGoLeaveNoJobBehind) { expect_sound(Model::Case::close, 2); }

TEST(LaneModel, AGrantThatDiesOnItsWayPassesThePermitOn) { expect_sound(Model::Case::granted, 6); }

TEST(LaneModelDeathTest, TheCheckerNoticesALockThatDoesNotLock) {
  EXPECT_DEATH(
      {
        const Verdict verdict = check_lane<LocklessSync>(LaneModel<LocklessSync>::Case::pool, {.preemptions = 2});
        if (!verdict.violation.empty()) SLUICE_ASSERT(!"the checker has found it");
      },
      "broken invariant");
}

}  // namespace
}  // namespace sluice::interleave
