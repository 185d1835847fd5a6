// What only real sockets show, over each backend that has them: descriptors running out, threads that post, sockets with
// a path, shared listeners, a half-closed client.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
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

template <class IoType>
class Sockets : public TestOf<IoType> {};
using Models = testing::Types<EpollIo, UringModel, OldUringModel, ServedUringModel>;
TYPED_TEST_SUITE(Sockets, Models);

TYPED_TEST(Sockets, StopsAcceptingForAWhileWhenDescriptorsRunOut) {
  HandClock clock;
  Echo echo;
  Loop<TypeParam, Echo> loop{echo, clock};
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
  // An accept that goes on by itself keeps the limit it began with: a new one sees the new one.
  loop.pause_accepting();
  for (int turn = 0; turn < 20; ++turn) loop.turn(false);
  SocketClient client{listener->address()};
  {
    const NoDescriptors none;
    loop.resume_accepting();
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

TYPED_TEST(Sockets, WakesUpForEveryPostOfManyThreads) {
  constexpr unsigned senders = 3, each = 5000;
  Echo echo;
  Loop<TypeParam, Echo> loop{echo, base::system_clock()};
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

TYPED_TEST(Sockets, SleepsUntilTheNextTimerAndNoLonger) {
  Echo echo;
  Loop<TypeParam, Echo> loop{echo, base::system_clock()};
  echo.loop = &loop;
  TimerNode node;
  const auto start = std::chrono::steady_clock::now();
  loop.timers().arm(node, start + 30ms);
  while (node.armed()) loop.turn(true);
  EXPECT_GE(std::chrono::steady_clock::now(), start + 30ms);
  EXPECT_LE(loop.counters().turns.value(), 8u);
}

TYPED_TEST(Sockets, ServesPathsAndAbstractNames) {
  for (const std::string& name :
       {"unix:/tmp/sluice-echo-" + std::to_string(::getpid()), "unix:@sluice-echo-" + std::to_string(::getpid())}) {
    SocketRigOf<TypeParam> rig{Address::parse(name).value()};
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

TYPED_TEST(Sockets, SharesOneListenerAmongLoops) {
  auto listener =
      Listener::open(Address::parse("unix:@sluice-shared-" + std::to_string(::getpid())).value(), {.loops = 2});
  ASSERT_TRUE(listener);
  std::array<Echo, 2> echoes;
  Loop<TypeParam, Echo> first{echoes[0], base::system_clock()}, second{echoes[1], base::system_clock()};
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

TYPED_TEST(Sockets, WritesOncePerTurnHoweverManyLinesAreAnswered) {
  SocketRigOf<TypeParam> rig;
  auto& client = rig.client();
  std::string text;
  for (int line = 0; line < 16; ++line) text += "line\n";
  client.send(text);
  EXPECT_TRUE(rig.run_until([&] { return client.received() == text; }));
  EXPECT_EQ(rig.loop.counters().writes.value(), 1u);
}

TYPED_TEST(Sockets, FinishesAClosedStreamThatWaitsInItsList) {
  SocketRigOf<TypeParam> rig;
  rig.echo.pending_max = 10'000'000;
  auto& client = rig.client();
  client.send("quit\n" + std::string(3'000'000, 'x'));
  EXPECT_TRUE(rig.run_until([&] { return client.saw_fin() || client.saw_reset(); }));
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == 1; }));
}

/// Threads of this process that the kernel has made for it.
std::size_t kernel_workers() {
  std::size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::string name;
    std::ifstream{task.path() / "comm"} >> name;
    count += name.starts_with("iou-wrk");
  }
  return count;
}

TYPED_TEST(Sockets, WaitsForAHalfClosedSlowReaderAsleepAndWithoutAThread) {
  SocketRigOf<TypeParam> rig;
  rig.echo.high_water = 10'000'000;  // it does not pause, so that the end is heard
  auto& client = rig.client();
  client.set_window(1000);
  client.send("big 3000000\n");
  client.half_close();
  EXPECT_TRUE(rig.run_until([&] { return client.received().size() == 1000 && rig.echo.ended_count == 1; }));
  for (int turn = 0; turn < 20; ++turn) rig.loop.turn(false);
  const std::uint64_t before = rig.loop.counters().turns.value();
  TimerNode node;
  rig.loop.timers().arm(node, std::chrono::steady_clock::now() + 50ms);
  while (node.armed()) rig.loop.turn(true);
  EXPECT_LE(rig.loop.counters().turns.value() - before, 8u) << "it must not be woken over and over";
  EXPECT_EQ(kernel_workers(), 0u);
  client.set_window(SimClient::unlimited);
  EXPECT_TRUE(rig.run_until([&] { return client.saw_fin(); }));
  EXPECT_EQ(client.received(), pattern_text(3'000'000));
  EXPECT_EQ(kernel_workers(), 0u);
}

TYPED_TEST(Sockets, HearsOfAResetOfAHalfClosedClientWhoseAnswerWaits) {
  SocketRigOf<TypeParam> rig;
  rig.echo.high_water = 10'000'000;
  auto& client = rig.client();
  client.set_window(0);
  client.send("big 3000000\n");
  client.half_close();
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.ended_count == 1; }));
  for (int turn = 0; turn < 20; ++turn) rig.loop.turn(false);
  client.reset();
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == 1; }));
  EXPECT_EQ(rig.echo.failed_count, 1u);
}

TYPED_TEST(Sockets, GivesAReusedDescriptorItsOwnBytesOnly) {
  SocketRigOf<TypeParam> rig;
  int last = -1;
  unsigned reused = 0;
  for (int round = 0; round < 50; ++round) {
    auto& client = rig.client();
    client.send("round " + std::to_string(round) + "\nquit\nnobody reads this\n");
    EXPECT_TRUE(rig.run_until([&] { return rig.echo.closed_count == static_cast<unsigned>(round) + 1; }));
    EXPECT_TRUE(rig.run_until([&] { return client.saw_fin() || client.saw_reset(); }));
    EXPECT_TRUE(Echo::expected("round " + std::to_string(round) + "\nquit\n").starts_with(client.received()));
    client.reset();  // its descriptor is free as well
    const base::Fd next{::dup(0)};
    reused += next.get() == last;
    last = next.get();
  }
  EXPECT_GT(reused, 40u) << "nothing of a closed connection may be left open";
}

/// As a process of its own: tells its port, then that descriptors ran out, and serves until the parent hangs up.
template <class IoType>
[[noreturn]] void serve_with_few_descriptors(int parent, unsigned limit) {
  const rlimit few{limit, limit};
  ::setrlimit(RLIMIT_NOFILE, &few);
  {
    SocketRigOf<IoType> rig;
    const std::uint16_t port = rig.address().port();
    if (::write(parent, &port, sizeof port) != sizeof port) ::_exit(2);
    bool told = false;
    pollfd end{.fd = parent, .events = 0, .revents = 0};
    while (::poll(&end, 1, 0) == 0) {
      rig.loop.turn(false);
      if (told || rig.echo.accept_errors.empty()) continue;
      told = ::write(parent, "!", 1) == 1;
    }
    if (rig.echo.opened_count != 100 || !told) ::_exit(3);
  }
  ::_exit(0);
}

TYPED_TEST(Sockets, ServesEverybodyInTheEndWithFewDescriptors) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  base::Fd ours{pair[0]}, theirs{pair[1]};
  const pid_t child = ::fork();
  if (child == 0) {
    ours.reset();
    serve_with_few_descriptors<TypeParam>(theirs.get(), 64);
  }
  theirs.reset();
  std::uint16_t port = 0;
  ASSERT_EQ(::read(ours.get(), &port, sizeof port), static_cast<ssize_t>(sizeof port));
  Address server = Address::parse("127.0.0.1:0").value();
  server.set_port(port);
  std::deque<SocketClient> clients;
  for (int count = 0; count < 100; ++count) clients.emplace_back(server).send("hello\n");
  char out_of_descriptors = 0;
  ASSERT_EQ(::read(ours.get(), &out_of_descriptors, 1), 1);
  for (SocketClient& client : clients) client.send("quit\n");
  const auto limit = std::chrono::steady_clock::now() + 20s;
  const auto all_served = [&] {
    return std::ranges::all_of(clients, [](const SocketClient& client) { return client.saw_fin(); });
  };
  while (!all_served() && std::chrono::steady_clock::now() < limit) {
    for (SocketClient& client : clients) client.step();
  }
  for (const SocketClient& client : clients) EXPECT_EQ(client.received(), "hello\nquit\n");
  ours.reset();
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace sluice::net
