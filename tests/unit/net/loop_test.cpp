// The promises of the loop, over epoll, over io_uring in its forms, and over both modes of the simulated network.
#include "net/loop.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "rigs.hpp"

namespace sluice::net {
namespace {

using namespace std::chrono_literals;

template <class Rig>
class LoopOver : public TestOf<typename Rig::Model> {};
using Rigs = testing::Types<EpollRig, SocketRigOf<UringModel>, SocketRigOf<OldUringModel>, SocketRigOf<SmallUringModel>,
                            SocketRigOf<ServedUringModel>, SimRig, SimLaterRig>;
TYPED_TEST_SUITE(LoopOver, Rigs);

TYPED_TEST(LoopOver, EchoesOnManyConnections) {
  TypeParam rig;
  std::vector<decltype(&rig.client())> clients;
  for (int count = 0; count < 50; ++count) {
    clients.push_back(&rig.client());
    clients.back()->send("hello " + std::to_string(count) + '\n');
  }
  for (std::size_t index = 0; index < clients.size(); ++index) {
    const std::string expected = "hello " + std::to_string(index) + '\n';
    EXPECT_TRUE(rig.run_until([&] { return clients[index]->received() == expected; })) << clients[index]->received();
  }
  EXPECT_EQ(rig.echo.opened_count, 50u);
  EXPECT_EQ(rig.loop.counters().accepted.value(), 50u);
}

TYPED_TEST(LoopOver, AnswersAPipelinedBurstInOrder) {
  TypeParam rig;
  std::string text;
  for (int line = 0; line < 5000; ++line) text += "line number " + std::to_string(line) + '\n';
  auto& client = rig.client();
  client.send(text);
  EXPECT_TRUE(rig.run_until([&] { return client.received().size() == text.size(); }));
  EXPECT_EQ(client.received(), text);
}

TYPED_TEST(LoopOver, SendsLargeAnswersToASlowReaderWhole) {
  TypeParam rig;
  auto& client = rig.client();
  client.set_window(1000);
  client.send("big 700000\nafter\n");
  EXPECT_TRUE(rig.run_until([&] { return client.received().size() == 1000; }));
  for (int turn = 0; turn < 5; ++turn) rig.loop.turn(false);
  EXPECT_EQ(client.received().size(), 1000u);
  client.set_window(SimClient::unlimited);
  EXPECT_TRUE(rig.run_until([&] { return client.received().size() == 700'006; }));
  EXPECT_EQ(client.received(), pattern_text(700'000) + "after\n");
}

TYPED_TEST(LoopOver, AnswersEverythingBeforeClosingAHalfClosedConnection) {
  TypeParam rig;
  auto& client = rig.client();
  client.send("one\nbig 200000\ntwo\n");
  client.half_close();
  EXPECT_TRUE(rig.run_until([&] { return client.saw_fin(); }));
  EXPECT_EQ(client.received(), "one\n" + pattern_text(200'000) + "two\n");
  EXPECT_EQ(rig.echo.ended_count, 1u);
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == 1; }));
}

TYPED_TEST(LoopOver, SeesAnEndBehindAFullBuffer) {
  for (const std::size_t size : {65'535u, 65'536u, 65'537u, 131'072u, 262'144u}) {
    TypeParam rig;
    rig.echo.pending_max = 1'000'000;
    auto& client = rig.client();
    client.send(std::string(size - 1, 'x') + '\n');
    client.half_close();
    EXPECT_TRUE(rig.run_until([&] { return client.saw_fin(); })) << size;
    EXPECT_EQ(client.received().size(), size);
  }
}

TYPED_TEST(LoopOver, TellsOfAResetOnce) {
  TypeParam rig;
  auto& client = rig.client();
  client.set_window(10);
  client.send("big 900000\n");
  EXPECT_TRUE(rig.run_until([&] { return client.received().size() == 10; }));
  client.reset();
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == 1; }));
  EXPECT_EQ(rig.echo.failed_count, 1u);
  EXPECT_EQ(rig.loop.counters().broken.value(), 1u);
  EXPECT_TRUE(rig.echo.errors.at(0) == ECONNRESET || rig.echo.errors.at(0) == EPIPE);
}

TYPED_TEST(LoopOver, TellsOfAResetEvenWhilePausedAndBlocked) {
  TypeParam rig;
  rig.echo.high_water = 100;
  auto& client = rig.client();
  client.set_window(1);
  client.send("big 900000\nmore\nmore\n");
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.paused_count > 0 && client.received().size() == 1; }));
  client.reset();
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == 1; }));
  EXPECT_EQ(rig.echo.failed_count, 1u);
}

TYPED_TEST(LoopOver, ResetsWhenAsked) {
  TypeParam rig;
  auto& client = rig.client();
  client.send("reset\n");
  EXPECT_TRUE(rig.run_until([&] { return client.saw_reset(); }));
  EXPECT_FALSE(client.saw_fin());
}

TYPED_TEST(LoopOver, ClosesAfterTheFlush) {
  TypeParam rig;
  auto& client = rig.client();
  client.send("big 300000\nquit\n");
  EXPECT_TRUE(rig.run_until([&] { return client.saw_fin(); }));
  EXPECT_EQ(client.received(), pattern_text(300'000) + "quit\n");
}

TYPED_TEST(LoopOver, EndsSendingAndGoesOnReading) {
  TypeParam rig;
  auto& client = rig.client();
  client.send("shut\n");
  EXPECT_TRUE(rig.run_until([&] { return client.saw_fin(); }));
  EXPECT_EQ(client.received(), "shut\n");
  EXPECT_EQ(rig.echo.shut_count, 1u);
  EXPECT_EQ(rig.echo.closed_count, 0u);
  client.send("nobody answers\n");
  client.half_close();
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == 1; }));
}

TYPED_TEST(LoopOver, PausesReadingWhileThePeerDoesNotReadAndForgetsNothing) {
  TypeParam rig;
  std::string text;
  while (text.size() < 4'000'000) text += "a line of some length that comes back " + std::to_string(text.size()) + '\n';
  auto& client = rig.client();
  client.set_window(0);
  client.send(text);
  EXPECT_FALSE(rig.echo.stopping);
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.paused_count > 0; }));
  for (int turn = 0; turn < 50; ++turn) rig.run_until([count = 0]() mutable { return ++count > 2; });
  EXPECT_GT(client.unsent(), 0u) << "the pause reaches the client";
  client.set_window(SimClient::unlimited);
  EXPECT_TRUE(rig.run_until([&] { return client.received().size() == text.size(); }));
  EXPECT_EQ(client.received(), text);
  // What was under way still comes: over io_uring what its buffers hold, at most.
  constexpr bool uring = std::is_base_of_v<UringIo, typename TypeParam::Model>;
  EXPECT_LE(rig.echo.bytes_peak, 512u * 1024 + (uring ? 1024u * 1024 : 0u));
}

TYPED_TEST(LoopOver, ClosesWhatItHasNoRoomFor) {
  TypeParam rig;
  rig.echo.connections_max = 1;
  auto& first = rig.client();
  first.send("in\n");
  EXPECT_TRUE(rig.run_until([&] { return first.received() == "in\n"; }));
  auto& second = rig.client();
  EXPECT_TRUE(rig.run_until([&] { return second.saw_fin() || second.saw_reset(); }));
  EXPECT_EQ(rig.loop.counters().refused.value(), 1u);
}

TYPED_TEST(LoopOver, AcceptsNobodyWhilePaused) {
  TypeParam rig;
  rig.loop.pause_accepting();
  auto& client = rig.client();
  client.send("late\n");
  unsigned looks = 0;
  rig.run_until([&] { return ++looks > 200; });
  EXPECT_EQ(rig.echo.opened_count, 0u);
  rig.loop.resume_accepting();
  EXPECT_TRUE(rig.run_until([&] { return client.received() == "late\n"; }));
}

TYPED_TEST(LoopOver, RunsTimersOfStreamsAndOfTheProtocol) {
  TypeParam rig;
  rig.echo.idle = 20ms;
  auto& client = rig.client();
  EXPECT_TRUE(rig.run_until([&] { return client.saw_fin(); }));
  EXPECT_EQ(rig.echo.expired_count, 1u);
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == 1; }));
  EXPECT_EQ(rig.loop.timers().armed(), 0u);
}

TYPED_TEST(LoopOver, DeliversPostsAndDoesNotSleepOverLeftOvers) {
  TypeParam rig;
  std::vector<MailNode> nodes(1000);
  for (MailNode& node : nodes) EXPECT_TRUE(rig.loop.post(&node));
  EXPECT_FALSE(rig.loop.on_this_thread());
  rig.loop.turn(true);
  EXPECT_EQ(rig.echo.posted_count, 256u);
  EXPECT_TRUE(rig.loop.has_work());
  EXPECT_FALSE(rig.loop.asleep());
  for (int turn = 0; turn < 3; ++turn) rig.loop.turn(true);
  EXPECT_EQ(rig.echo.posted_count, 1000u);
  EXPECT_TRUE(rig.loop.asleep());
}

TYPED_TEST(LoopOver, ReusesSlotsWithoutMixingConnections) {
  TypeParam rig;
  for (int round = 0; round < 100; ++round) {
    auto& client = rig.client();
    const std::string text = "round " + std::to_string(round) + '\n';
    client.send(text + (round % 3 == 0 ? "quit\n" : ""));
    if (round % 3 == 1) client.half_close();
    EXPECT_TRUE(rig.run_until([&] { return client.received().starts_with(text); }));
    if (round % 3 == 2) client.reset();
    EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == static_cast<unsigned>(round) + 1; }));
  }
  EXPECT_EQ(rig.loop.blocks().bytes_in_use(), 0u);
}

TYPED_TEST(LoopOver, RefusesPostsOnceTheMailboxIsClosed) {
  TypeParam rig;
  MailNode first, second;
  EXPECT_TRUE(rig.loop.post(&first));
  EXPECT_EQ(rig.loop.close_mailbox(), &first);
  EXPECT_FALSE(rig.loop.post(&second));
  rig.stop_by_hand = true;
}

}  // namespace
}  // namespace sluice::net
