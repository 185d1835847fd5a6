#include "net/mailbox.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace sluice::net {
namespace {

struct Note : MailNode {
  unsigned sender = 0;
  unsigned number = 0;
};

TEST(Mailbox, DeliversOldestFirstAndABoundedNumber) {
  Mailbox<> mailbox;
  std::vector<Note> notes(10);
  for (unsigned index = 0; index < 6; ++index) {
    notes[index].number = index;
    EXPECT_EQ(mailbox.push(&notes[index]), Posted::queued);
  }
  std::vector<unsigned> seen;
  const auto run = [&](MailNode& node) { seen.push_back(static_cast<Note&>(node).number); };
  EXPECT_EQ(mailbox.drain(4, run), 4u);
  EXPECT_TRUE(mailbox.has_left_over());
  EXPECT_FALSE(mailbox.prepare_sleep());
  for (unsigned index = 6; index < 10; ++index) {
    notes[index].number = index;
    EXPECT_EQ(mailbox.push(&notes[index]), Posted::queued);
  }
  EXPECT_EQ(mailbox.drain(100, run), 6u);
  EXPECT_EQ(seen, (std::vector<unsigned>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_FALSE(mailbox.has_left_over());
}

TEST(Mailbox, AsksForExactlyOneWakeWhileTheLoopSleeps) {
  Mailbox<> mailbox;
  Note first, second, third;
  EXPECT_TRUE(mailbox.prepare_sleep());
  EXPECT_EQ(mailbox.push(&first), Posted::queued_wake);
  EXPECT_EQ(mailbox.push(&second), Posted::queued);
  mailbox.cancel_sleep();
  EXPECT_FALSE(mailbox.prepare_sleep());
  EXPECT_EQ(mailbox.drain(10, [](MailNode&) {}), 2u);
  EXPECT_TRUE(mailbox.prepare_sleep());
  mailbox.cancel_sleep();
  EXPECT_EQ(mailbox.push(&third), Posted::queued);
}

TEST(Mailbox, LeavesTheNodeToThePosterOnceClosed) {
  Mailbox<> mailbox;
  Note first, second, late;
  first.number = 1;
  second.number = 2;
  ASSERT_EQ(mailbox.push(&first), Posted::queued);
  ASSERT_EQ(mailbox.push(&second), Posted::queued);
  MailNode* const rest = mailbox.close();
  EXPECT_EQ(rest, &first);
  EXPECT_EQ(rest->next, &second);
  EXPECT_EQ(rest->next->next, nullptr);
  EXPECT_EQ(mailbox.push(&late), Posted::closed);
  EXPECT_EQ(mailbox.drain(10, [](MailNode&) {}), 0u);
  EXPECT_TRUE(mailbox.prepare_sleep());
  EXPECT_EQ(mailbox.close(), nullptr);
}

/// Blocks as an eventfd does: a wake-up before the wait is not lost.
class Bell {
 public:
  void ring() {
    const std::lock_guard lock{mutex_};
    rung_ = true;
    changed_.notify_one();
  }
  void wait() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool rung_ = false;
};

TEST(Mailbox, LosesNothingAndKeepsEachSendersOrderUnderThreads) {
  constexpr unsigned senders = 4, each = 20'000;
  Mailbox<> mailbox;
  Bell bell;
  std::vector<std::vector<Note>> notes(senders, std::vector<Note>(each));
  std::vector<std::thread> threads;
  for (unsigned sender = 0; sender < senders; ++sender) {
    threads.emplace_back([&, sender] {
      for (unsigned number = 0; number < each; ++number) {
        notes[sender][number].sender = sender;
        notes[sender][number].number = number;
        if (mailbox.push(&notes[sender][number]) == Posted::queued_wake) bell.ring();
        if (number % 64 == 0) std::this_thread::yield();
      }
    });
  }
  std::vector<unsigned> next(senders, 0);
  for (unsigned done = 0; done < senders * each;) {
    done += mailbox.drain(256, [&](MailNode& node) {
      const Note& note = static_cast<Note&>(node);
      ASSERT_EQ(note.number, next[note.sender]++);
    });
    if (done == senders * each) break;
    if (mailbox.prepare_sleep()) bell.wait();
    mailbox.cancel_sleep();
  }
  for (std::thread& thread : threads) thread.join();
  for (unsigned sender = 0; sender < senders; ++sender) EXPECT_EQ(next[sender], each);
}

TEST(Mailbox, GivesEveryNodeToExactlyOneSideWhenClosedUnderThreads) {
  for (int round = 0; round < 50; ++round) {
    constexpr unsigned senders = 3, each = 500;
    Mailbox<> mailbox;
    std::vector<std::vector<Note>> notes(senders, std::vector<Note>(each));
    std::atomic<unsigned> refused{0};
    std::vector<std::thread> threads;
    for (unsigned sender = 0; sender < senders; ++sender) {
      threads.emplace_back([&, sender] {
        for (Note& note : notes[sender]) {
          if (mailbox.push(&note) == Posted::closed) refused.fetch_add(1);
        }
      });
    }
    unsigned taken = 0;
    for (int turn = 0; turn < 20; ++turn) taken += mailbox.drain(50, [](MailNode&) {});
    for (const MailNode* node = mailbox.close(); node != nullptr; node = node->next) ++taken;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(taken + refused.load(), senders * each);
  }
}

}  // namespace
}  // namespace sluice::net
