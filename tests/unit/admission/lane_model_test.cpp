// Lanes and permits under every interleaving of loops, workers and threads that keep a handle.
#include <gtest/gtest.h>

#include <cstdio>

#include "support/lane_model.hpp"

namespace sluice::interleave {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr Bounds bounds{.preemptions = 1};
#else
constexpr Bounds bounds{.preemptions = 3, .interleavings_max = 500'000};
#endif

using Model = LaneModel<CheckedSync>;

void expect_sound(Model::Case which) {
  const Verdict verdict = check_lane<CheckedSync>(which, bounds);
  EXPECT_EQ(verdict.violation, "") << "threads " << verdict.schedule;
  std::printf("%llu interleavings%s\n", static_cast<unsigned long long>(verdict.interleavings),
              verdict.complete ? "" : ", not all");
}

TEST(LaneModel, TwoWorkersAndAForeignThreadLoseNoJob) { expect_sound(Model::Case::pool); }

TEST(LaneModel, AJobThatIsTakenOutWhileAWorkerPopsItEndsOnce) { expect_sound(Model::Case::expiry); }

TEST(LaneModel, WorkersThatAreLetGoLeaveNoJobBehind) { expect_sound(Model::Case::close); }

TEST(LaneModel, AGrantThatDiesOnItsWayPassesThePermitOn) { expect_sound(Model::Case::granted); }

TEST(LaneModelDeathTest, TheCheckerNoticesALockThatDoesNotLock) {
  EXPECT_DEATH(
      {
        const Verdict verdict = check_lane<LocklessSync>(LaneModel<LocklessSync>::Case::pool, bounds);
        if (!verdict.violation.empty()) SLUICE_ASSERT(!"the checker has found it");
      },
      "broken invariant");
}

}  // namespace
}  // namespace sluice::interleave
