// The interleaving checker proves that it finds bugs too: those of base/planted.hpp that lie in the code it runs.
#include <gtest/gtest.h>

#include <cstdio>

#include "base/planted.hpp"
#include "support/lane_model.hpp"
#include "support/mailbox_model.hpp"

namespace sluice::interleave {
namespace {

using base::Bug;

/// Switched on while it lives.
struct With {
  explicit With(Bug bug) { base::planted_bug = bug; }
  ~With() { base::planted_bug = Bug::none; }
  With(const With&) = delete;
  With& operator=(const With&) = delete;
};

void expect_found(const char* name, const Verdict& verdict) {
  EXPECT_NE(verdict.violation, "") << name << " was not found";
  std::printf("%-20s after %llu interleavings, threads %s: %s\n", name,
              static_cast<unsigned long long>(verdict.interleavings), verdict.schedule.c_str(),
              verdict.violation.c_str());
}

TEST(PlantedModels, ALostWakeUpIsFound) {
  const With bug{Bug::lost_wakeup};
  expect_found("lost_wakeup", check_mailbox<CheckedSync>(false, {.preemptions = 2}));
}

TEST(PlantedModels, ALostGrantIsFound) {
  const With bug{Bug::grant_lost};
  expect_found("grant_lost", check_lane<CheckedSync>(LaneModel<CheckedSync>::Case::granted, {.preemptions = 2}));
}

TEST(PlantedModels, AnUncheckedDeadlineIsFound) {
  const With bug{Bug::deadline_unchecked};
  expect_found("deadline_unchecked", check_lane<CheckedSync>(LaneModel<CheckedSync>::Case::expiry, {.preemptions = 2}));
}

TEST(PlantedModels, AnUnboundedQueueIsFound) {
  const With bug{Bug::queue_unbounded};
  expect_found("queue_unbounded", check_lane<CheckedSync>(LaneModel<CheckedSync>::Case::pool, {.preemptions = 2}));
}

TEST(PlantedModels, NothingIsFoundWhereNothingIs) {
  EXPECT_EQ(check_mailbox<CheckedSync>(false, {.preemptions = 2}).violation, "");
  EXPECT_EQ(check_lane<CheckedSync>(LaneModel<CheckedSync>::Case::granted, {.preemptions = 2}).violation, "");
  EXPECT_EQ(check_lane<CheckedSync>(LaneModel<CheckedSync>::Case::expiry, {.preemptions = 2}).violation, "");
  EXPECT_EQ(check_lane<CheckedSync>(LaneModel<CheckedSync>::Case::pool, {.preemptions = 1}).violation, "");
}

}  // namespace
}  // namespace sluice::interleave
