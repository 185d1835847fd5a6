// The mailbox under every interleaving of two posters and a loop that sleeps.
#include <gtest/gtest.h>

#include <cstdio>

#include "support/mailbox_model.hpp"

namespace sluice::interleave {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr Bounds bounds{.preemptions = 2};
#else
constexpr Bounds bounds{.preemptions = 4};
#endif

void expect_sound(const Verdict& verdict) {
  EXPECT_EQ(verdict.violation, "") << "threads " << verdict.schedule;
  EXPECT_TRUE(verdict.complete);
  std::printf("%llu interleavings\n", static_cast<unsigned long long>(verdict.interleavings));
}

TEST(MailboxModel, LosesNoWakeUpAndKeepsTheOrder) { expect_sound(check_mailbox<CheckedSync>(false, bounds)); }

TEST(MailboxModel, HandsOverEveryNodeOnceWhenItCloses) { expect_sound(check_mailbox<CheckedSync>(true, bounds)); }

TEST(MailboxModel, TheCheckerNoticesAnExchangeThatIsNotAtomic) {
  const Verdict verdict = check_mailbox<TornSync>(false, bounds);
  EXPECT_NE(verdict.violation, "");
  std::printf("%s: after %llu interleavings, threads %s\n", verdict.violation.c_str(),
              static_cast<unsigned long long>(verdict.interleavings), verdict.schedule.c_str());
}

}  // namespace
}  // namespace sluice::interleave
