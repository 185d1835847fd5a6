// What only io_uring has: buffers that all streams share, queues that overflow, sends that are confirmed without an
// event, connections accepted ahead of time.
#include "net/uring_io.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "rigs.hpp"

namespace sluice::net {
namespace {

using namespace std::chrono_literals;

using UringRig = SocketRigOf<UringModel>;
using ServedUringRig = SocketRigOf<ServedUringModel>;
using FewBuffersRig = SocketRigOf<FewBuffersModel>;
using SmallUringRig = SocketRigOf<SmallUringModel>;
class Uring : public TestOf<UringIo> {};

std::string lines(std::size_t size) {
  std::string text;
  while (text.size() < size) text += "a line that comes back, number " + std::to_string(text.size()) + '\n';
  return text;
}

TEST_F(Uring, SharesEightBuffersAmongManyStreams) {
  FewBuffersRig rig;
  const std::string text = lines(100'000);
  std::vector<SocketClient*> clients;
  for (int count = 0; count < 20; ++count) {
    clients.push_back(&rig.client());
    clients.back()->send(text);
  }
  const auto all_answered = [&] {
    return std::ranges::all_of(clients, [&](const auto* client) { return client->received().size() == text.size(); });
  };
  EXPECT_TRUE(rig.run_until(all_answered));
  for (const SocketClient* client : clients) EXPECT_TRUE(client->received() == text);
  EXPECT_GT(rig.loop.io().starved(), 0u) << "the test shall reach what it is about";
}

TEST_F(Uring, LosesNothingWhenMoreHappensThanItsQueueHolds) {
  SmallUringRig rig;
  std::vector<SocketClient*> clients;
  for (int count = 0; count < 60; ++count) clients.push_back(&rig.client());
  for (int round = 0; round < 20; ++round) {
    const std::string line = "round " + std::to_string(round) + '\n';
    // Everybody speaks before the loop looks: 60 events for a queue of four.
    for (SocketClient* client : clients) client->send(line);
    for (SocketClient* client : clients) client->step();
    const auto all_answered = [&] {
      return std::ranges::all_of(clients, [&](const auto* client) { return client->received().ends_with(line); });
    };
    ASSERT_TRUE(rig.run_until(all_answered)) << round;
  }
}

TEST_F(Uring, SendsAShortAnswerThroughTheRingAndALongOneBesideIt) {
  UringRig rig;
  auto& client = rig.client();
  client.send("short\n");
  EXPECT_TRUE(rig.run_until([&] { return client.received() == "short\n"; }));
  EXPECT_EQ(rig.loop.io().sends_by_ring(), 1u);
  client.send("big 50000\n");
  EXPECT_TRUE(rig.run_until([&] { return client.received().size() == 50'006; }));
  const auto& counters = rig.loop.counters();
  EXPECT_LT(rig.loop.io().sends_by_ring(), counters.writes.value()) << "one part, but long";
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.drained_count == 2; }));
}

TEST_F(Uring, SendsAtOnceInAQuietTurnAndThroughTheRingInABusyOne) {
  ServedUringRig rig;
  auto& one = rig.client();
  auto& other = rig.client();
  one.send("alone\n");
  EXPECT_TRUE(rig.run_until([&] { return one.received() == "alone\n"; }));
  EXPECT_EQ(rig.loop.io().sends_by_ring(), 0u);
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.connections() == 2; }));
  for (int round = 0; round < 20 && rig.loop.io().sends_by_ring() == 0; ++round) {
    const std::string text = "round " + std::to_string(round) + '\n';
    for (SocketClient* client : {&one, &other}) client->send(text);
    for (SocketClient* client : {&one, &other}) client->step();  // both speak before the loop looks
    EXPECT_TRUE(rig.run_until([&] { return one.received().ends_with(text) && other.received().ends_with(text); }));
  }
  EXPECT_GT(rig.loop.io().sends_by_ring(), 0u);
}

TEST_F(Uring, ConfirmsASendWithinAMillisecondOfQuiet) {
  UringRig rig;
  auto& client = rig.client();
  client.send("hello\n");
  ASSERT_TRUE(rig.run_until([&] { return rig.loop.counters().writes.value() == 1; }));
  EXPECT_EQ(rig.echo.drained_count, 0u);
  const auto start = std::chrono::steady_clock::now();
  while (rig.echo.drained_count == 0 && std::chrono::steady_clock::now() < start + 10s) rig.loop.turn(true);
  EXPECT_EQ(rig.echo.drained_count, 1u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s) << "nothing else happens";
  EXPECT_LE(rig.loop.counters().turns.value(), 40u);
}

TEST_F(Uring, ClosesRightAfterAnAnswerWithoutWaitingForAnything) {
  UringRig rig;
  auto& client = rig.client();
  client.send("quit\n");
  ASSERT_TRUE(rig.run_until([&] { return rig.loop.counters().writes.value() == 1; }));
  for (int turn = 0; turn < 4 && rig.echo.closed_count == 0; ++turn) rig.loop.turn(true);
  EXPECT_EQ(rig.echo.closed_count, 1u);
  EXPECT_TRUE(rig.run_until([&] { return client.saw_fin(); }));
  EXPECT_EQ(client.received(), "quit\n");
}

TEST_F(Uring, FailsASendToAPeerThatIsGoneAndClosesOnce) {
  for (int round = 0; round < 20; ++round) {
    UringRig rig;
    auto& client = rig.client();
    client.send("first\n");
    ASSERT_TRUE(rig.run_until([&] { return client.received() == "first\n"; }));
    client.send("second\n");
    client.step();
    client.reset();  // the answer is written into it
    ASSERT_TRUE(rig.run_until([&] { return rig.echo.closed_count == 1; }));
    EXPECT_LE(rig.echo.failed_count, 1u);
  }
}

TEST_F(Uring, EndsAStreamThatWaitsForABuffer) {
  FewBuffersRig rig;
  rig.echo.pending_max = 10'000'000;
  const std::string endless(200'000, 'x');
  for (int count = 0; count < 10; ++count) rig.client().send("quit\n" + endless);
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == 10; }));
  EXPECT_EQ(rig.loop.blocks().bytes_in_use(), 0u);
}

TEST_F(Uring, PausesAndResumesFasterThanTheKernelHears) {
  UringRig rig;
  rig.echo.high_water = 100;
  auto& client = rig.client();
  const std::string text = lines(300'000);
  client.send(text);
  EXPECT_TRUE(rig.run_until([&] { return client.received().size() == text.size(); }));
  EXPECT_TRUE(client.received() == text);
  EXPECT_GT(rig.echo.paused_count, 0u);
}

/// Pauses accepting with the first connection, as a server that is full does.
class OneAtATime : public Echo {
 public:
  Stream* opened(int fd) noexcept {
    Stream* const stream = Echo::opened(fd);
    loop->pause_accepting();
    return stream;
  }
  void closed(Stream& stream) noexcept {
    Echo::closed(stream);
    if (!stopping) loop->resume_accepting();
  }
};

TEST_F(Uring, HoldsWhatItAcceptedAheadUntilThereIsRoom) {
  SocketRigOf<UringModel, OneAtATime> rig;
  std::vector<SocketClient*> clients;
  for (int count = 0; count < 10; ++count) {
    clients.push_back(&rig.client());
    clients.back()->send("hello\nquit\n");
  }
  std::size_t peak = 0;
  EXPECT_TRUE(rig.run_until([&] {
    peak = std::max(peak, rig.echo.connections());
    return rig.echo.closed_count == 10 && std::ranges::all_of(clients, &SocketClient::saw_fin);
  }));
  EXPECT_EQ(rig.echo.closed_count, 10u);
  EXPECT_EQ(peak, 1u);
  for (const SocketClient* client : clients) EXPECT_EQ(client->received(), "hello\nquit\n");
}

TEST_F(Uring, ClosesWhatItHoldsWhenItStopsAccepting) {
  SocketRigOf<UringModel, OneAtATime> rig;
  std::vector<SocketClient*> clients;
  for (int count = 0; count < 5; ++count) {
    clients.push_back(&rig.client());
    clients.back()->send("hello\n");
  }
  for (int turn = 0; turn < 10; ++turn) rig.loop.turn(false);
  EXPECT_EQ(rig.echo.connections(), 1u);
  rig.stop();
  rig.listener().close();
  const auto limit = std::chrono::steady_clock::now() + 20s;
  const auto all_ended = [&] {
    return std::ranges::all_of(clients, [](const auto* client) { return client->saw_fin() || client->saw_reset(); });
  };
  while (!all_ended() && std::chrono::steady_clock::now() < limit) {
    for (SocketClient* client : clients) client->step();
  }
  EXPECT_TRUE(all_ended()) << "a descriptor of theirs is still open";
}

/// Closes with the first bytes; before the loop has done so, the client has said something more.
class ClosesAtOnce : public Echo {
 public:
  std::function<void()> meanwhile{};
  void input(Stream& stream, std::span<char> bytes) noexcept {
    Echo::input(stream, bytes);
    meanwhile();
    loop->close(stream);
  }
};

TEST_F(Uring, ClosesAStreamWhoseClientSpeaksInTheSameTurnAndThenNeverAgain) {
  SocketRigOf<UringModel, ClosesAtOnce> rig;
  for (unsigned count = 1; count <= 20; ++count) {
    SocketClient& client = rig.client();
    rig.echo.meanwhile = [&client] {
      client.send("x");
      client.step();
    };
    client.send("hello\n");
    ASSERT_TRUE(rig.run_until([&] { return rig.echo.closed_count == count; }))
        << "it has not closed its side, and never will";
  }
}

TEST_F(Uring, GivesThePortFreeWhenItStopsAccepting) {
  auto listener = Listener::open(Address::parse("127.0.0.1:0").value(), {}).value();
  const Address address = listener.address();
  for (int round = 0; round < 20; ++round) {
    Echo echo;
    Loop<UringModel, Echo> loop{echo, base::system_clock()};
    echo.loop = &loop;
    ASSERT_EQ(loop.listen(listener.fd(0), false), 0);
    for (int turn = 0; turn < 3; ++turn) loop.turn(false);
    ASSERT_TRUE(loop.post(&echo.stop_node));
    while (loop.turn(false)) {}
    listener.close();
    auto again = Listener::open(address, {});
    ASSERT_TRUE(again) << again.error().sentence;
    listener = *std::move(again);
  }
}

/// Ends its loop with its last connection, so that it may sleep until then.
class EndsWithTheLast : public Echo {
 public:
  void closed(Stream& stream) noexcept {
    Echo::closed(stream);
    if (stopping && connections() == 0) loop->quit();
  }
};

TEST_F(Uring, BelongsToTheThreadThatRunsIt) {
  auto listener = Listener::open(Address::parse("127.0.0.1:0").value(), {}).value();
  EndsWithTheLast echo;
  Loop<UringModel, EndsWithTheLast> loop{echo, base::system_clock()};
  echo.loop = &loop;
  ASSERT_EQ(loop.listen(listener.fd(0), false), 0);  // here, and run elsewhere
  std::thread server{[&] { loop.run(); }};
  SocketClient client{listener.address()};
  client.send("hello\n");
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (client.received().empty() && std::chrono::steady_clock::now() < limit) client.step();
  EXPECT_EQ(client.received(), "hello\n");
  ASSERT_TRUE(loop.post(&echo.stop_node));
  server.join();
}

}  // namespace
}  // namespace sluice::net
