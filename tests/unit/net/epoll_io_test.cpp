// What only real sockets show: descriptors running out, threads that post, sockets with a path, shared listeners.
#include "net/epoll_io.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "rigs.hpp"

namespace sluice::net {
namespace {

using namespace std::chrono_literals;

class HandClock final : public base::Clock {
 public:
  base::TimePoint now() const noexcept override { return base::TimePoint{time_.load()}; }
  std::time_t wall() const noexcept override { return 1'700'000'000; }
  void advance(base::Duration by) { time_.store(time_.load() + by); }

 private:
  std::atomic<base::Duration> time_{1000s};
};

/// Lowers the limit so that no further descriptor can be made, and lifts it again.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    const base::Fd next{::dup(0)};
    low.rlim_cur = static_cast<rlim_t>(next.get());
    ::setrlimit(RLIMIT_NOFILE, &low);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST(EpollIo, StopsAcceptingForAWhileWhenDescriptorsRunOut) {
  HandClock clock;
  Echo echo;
  Loop<EpollIo, Echo> loop{echo, clock};
  echo.loop = &loop;
  auto listener = Listener::open(Address::parse("127.0.0.1:0").value(), {});
  ASSERT_TRUE(listener);
  ASSERT_EQ(loop.listen(listener->fd(0), false), 0);
  // One is served before: the undefined-behaviour sanitizer needs descriptors for the first look at each class.
  SocketClient before{listener->address()};
  for (int turn = 0; turn < 20; ++turn) loop.turn(false);
  clock.advance(1ms);
  ASSERT_EQ(echo.opened_count, 1u);
  ASSERT_TRUE(loop.accepting());
  SocketClient client{listener->address()};
  {
    const NoDescriptors none;
    for (int turn = 0; turn < 20; ++turn) loop.turn(false);
    EXPECT_EQ(echo.accept_errors, std::vector<int>{EMFILE});
    EXPECT_EQ(loop.counters().accept_errors.value(), 1u);
    EXPECT_FALSE(loop.accepting());
    clock.advance(101ms);
    for (int turn = 0; turn < 20; ++turn) loop.turn(false);
    EXPECT_EQ(loop.counters().accept_errors.value(), 2u) << "it tries again every 100 ms";
  }
  for (int turn = 0; turn < 20; ++turn) loop.turn(false);
  EXPECT_EQ(echo.opened_count, 1u);
  clock.advance(101ms);
  for (int turn = 0; turn < 20; ++turn) loop.turn(false);
  EXPECT_EQ(echo.opened_count, 2u);
  EXPECT_TRUE(loop.accepting());
  ASSERT_TRUE(loop.post(&echo.stop_node));
  while (loop.turn(false)) {}
}

TEST(EpollIo, WakesUpForEveryPostOfManyThreads) {
  constexpr unsigned senders = 3, each = 5000;
  Echo echo;
  Loop<EpollIo, Echo> loop{echo, base::system_clock()};
  echo.loop = &loop;
  std::thread server{[&] { loop.run(); }};
  std::vector<std::vector<MailNode>> nodes(senders, std::vector<MailNode>(each));
  std::vector<std::thread> threads;
  for (auto& mine : nodes) {
    threads.emplace_back([&loop, &mine] {
      for (MailNode& node : mine) {
        ASSERT_TRUE(loop.post(&node));
        if ((&node - mine.data()) % 100 == 0) std::this_thread::sleep_for(50us);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(loop.post(&echo.stop_node));
  server.join();
  EXPECT_EQ(echo.posted_count, senders * each + 1);
}

TEST(EpollIo, SleepsUntilTheNextTimerAndNoLonger) {
  Echo echo;
  Loop<EpollIo, Echo> loop{echo, base::system_clock()};
  echo.loop = &loop;
  TimerNode node;
  const auto start = std::chrono::steady_clock::now();
  loop.timers().arm(node, start + 30ms);
  while (node.armed()) loop.turn(true);
  EXPECT_GE(std::chrono::steady_clock::now(), start + 30ms);
  EXPECT_LE(loop.counters().turns.value(), 8u);
}

TEST(EpollIo, ServesPathsAndAbstractNames) {
  for (const std::string& name :
       {"unix:/tmp/sluice-echo-" + std::to_string(::getpid()), "unix:@sluice-echo-" + std::to_string(::getpid())}) {
    EpollRig rig{Address::parse(name).value()};
    auto& client = rig.client();
    client.send("hello\nbig 500000\n");
    client.half_close();
    EXPECT_TRUE(rig.run_until([&] { return client.saw_fin(); }));
    EXPECT_EQ(client.received(), "hello\n" + pattern_text(500'000));
    auto& second = rig.client();
    second.send("hello\n");
    EXPECT_TRUE(rig.run_until([&] { return second.received() == "hello\n"; }));
    second.reset();
    EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == 2; }));
  }
}

TEST(EpollIo, SharesOneListenerAmongLoops) {
  auto listener =
      Listener::open(Address::parse("unix:@sluice-shared-" + std::to_string(::getpid())).value(), {.loops = 2});
  ASSERT_TRUE(listener);
  std::array<Echo, 2> echoes;
  Loop<EpollIo, Echo> first{echoes[0], base::system_clock()}, second{echoes[1], base::system_clock()};
  echoes[0].loop = &first;
  echoes[1].loop = &second;
  ASSERT_EQ(first.listen(listener->fd(0), listener->shared()), 0);
  ASSERT_EQ(second.listen(listener->fd(1), listener->shared()), 0);
  std::deque<SocketClient> clients;
  for (int count = 0; count < 20; ++count) clients.emplace_back(listener->address()).send("hello\n");
  for (int turn = 0; turn < 100; ++turn) {
    first.turn(false);
    second.turn(false);
    for (SocketClient& client : clients) client.step();
  }
  for (const SocketClient& client : clients) EXPECT_EQ(client.received(), "hello\n");
  EXPECT_EQ(echoes[0].opened_count + echoes[1].opened_count, 20u);
  for (auto* loop : {&first, &second}) {
    ASSERT_TRUE(loop->post(loop == &first ? &echoes[0].stop_node : &echoes[1].stop_node));
    while (loop->turn(false)) {}
  }
}

TEST(EpollIo, WritesOncePerTurnHoweverManyLinesAreAnswered) {
  EpollRig rig;
  auto& client = rig.client();
  std::string text;
  for (int line = 0; line < 16; ++line) text += "line\n";
  client.send(text);
  EXPECT_TRUE(rig.run_until([&] { return client.received() == text; }));
  EXPECT_EQ(rig.loop.counters().writes.value(), 1u);
}

TEST(EpollIo, FinishesAClosedStreamThatWaitsInItsList) {
  EpollRig rig;
  rig.echo.pending_max = 10'000'000;
  auto& client = rig.client();
  client.send("quit\n" + std::string(3'000'000, 'x'));
  EXPECT_TRUE(rig.run_until([&] { return client.saw_fin() || client.saw_reset(); }));
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == 1; }));
}

}  // namespace
}  // namespace sluice::net
