// Connections that a loop makes itself: to another loop, over epoll, io_uring and the simulated network in both of its
// modes.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "pairs.hpp"

namespace sluice::net {
namespace {

using namespace std::chrono_literals;

template <class Pair>
class ConnectOver : public TestOf<typename Pair::Model> {};
using Pairs = testing::Types<EpollPair, SocketPairOf<UringModel>, SocketPairOf<OldUringModel>, SimPair, SimLaterPair>;
TYPED_TEST_SUITE(ConnectOver, Pairs);

TYPED_TEST(ConnectOver, ExchangesBytesBothWays) {
  TypeParam pair;
  std::string text;
  for (int line = 0; line < 3000; ++line) text += "line number " + std::to_string(line) + '\n';
  text += "big 400000\nafter\n";
  Call& call = pair.dialer.dial(pair.address());
  EXPECT_TRUE(pair.run_until([&] { return call.connected == 1; }));
  pair.dialer.send(call, text);
  const std::string expected = Echo::expected(text);
  EXPECT_TRUE(pair.run_until([&] { return call.received.size() == expected.size(); })) << call.received.size();
  EXPECT_EQ(call.received, expected);
  EXPECT_EQ(pair.server.echo.opened_count, 1u);
  EXPECT_EQ(pair.loop.counters().connects.value(), 1u);
  EXPECT_EQ(pair.loop.counters().bytes_received.value(), expected.size());
  EXPECT_EQ(pair.loop.counters().bytes_sent.value(), text.size());
  EXPECT_EQ(call.failed + call.ended + call.closed, 0u);
}

TYPED_TEST(ConnectOver, SpeaksOnManyConnectionsAtOnce) {
  TypeParam pair;
  for (int count = 0; count < 50; ++count) {
    pair.dialer.dial(pair.address()).greeting = "hello " + std::to_string(count) + '\n';
  }
  for (const Call& call : pair.dialer.calls) {
    EXPECT_TRUE(pair.run_until([&] { return call.received == call.greeting; })) << call.received;
  }
  EXPECT_EQ(pair.server.echo.connections(), 50u);
}

TYPED_TEST(ConnectOver, TellsOfARefusedPort) {
  TypeParam pair;
  Call& call = pair.dialer.dial(pair.closed_port(), "hello\n");
  ASSERT_EQ(call.connect_error, 0);
  EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
  EXPECT_EQ(call.failed, 1u);
  EXPECT_EQ(call.error, ECONNREFUSED);
  EXPECT_TRUE(call.failed_connecting);
  EXPECT_EQ(call.connected + call.ended, 0u);
  EXPECT_EQ(pair.loop.counters().broken.value(), 1u);
  EXPECT_EQ(pair.loop.counters().bytes_sent.value(), 0u);
  EXPECT_EQ(pair.loop.counters().connects.value(), 1u) << "begun";
  EXPECT_EQ(pair.dialer.streams(), 0u);
}

TYPED_TEST(ConnectOver, ClosesWhileConnectingAndFreesTheSlot) {
  for (const bool resets : {false, true}) {
    for (const bool turns_first : {false, true}) {
      TypeParam pair;
      Call& call = pair.dialer.dial(pair.address(), "never sent\n");
      // Without a turn nobody has heard of the connection, however fast it was.
      if (turns_first && TypeParam::simulated) pair.loop.turn(false);
      if (resets) {
        pair.dialer.reset(call);
      } else {
        pair.dialer.close(call);
      }
      EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
      EXPECT_EQ(call.connected + call.failed + call.ended, 0u);
      EXPECT_EQ(pair.dialer.streams(), 0u);
      Call& next = pair.dialer.dial(pair.address(), "next\n");
      EXPECT_EQ(next.slot, call.slot);
      EXPECT_TRUE(pair.run_until([&] { return next.received == "next\n"; }));
      EXPECT_EQ(call.closed, 1u);
      EXPECT_TRUE(pair.run_until([&] { return pair.server.echo.connections() == 1; })) << "the server sees an end";
      EXPECT_TRUE(call.received.empty());
    }
  }
}

TYPED_TEST(ConnectOver, SendsWhatWasWrittenBeforeItConnected) {
  TypeParam pair;
  Call& call = pair.dialer.dial(pair.address(), "early\n");
  call.greeting = "third\n";
  pair.dialer.send(call, "second\n");
  EXPECT_TRUE(pair.run_until([&] { return call.received == "early\nsecond\nthird\n"; })) << call.received;
  EXPECT_EQ(call.connected, 1u);
  EXPECT_EQ(call.drained, pair.loop.counters().writes.value()) << "each write took everything";
}

TYPED_TEST(ConnectOver, EndsItsSideAfterConnectingWhenAskedBefore) {
  TypeParam pair;
  Call& call = pair.dialer.dial(pair.address(), "one\nbig 100000\n");
  pair.loop.shutdown_after_flush(*pair.dialer.find(call));
  EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
  EXPECT_EQ(call.shut, 1u);
  EXPECT_EQ(call.ended, 1u);
  EXPECT_EQ(call.received, "one\n" + pattern_text(100'000));

  Call& silent = pair.dialer.dial(pair.address());
  pair.loop.close_after_flush(*pair.dialer.find(silent));
  EXPECT_TRUE(pair.run_until([&] { return silent.closed == 1; }));
  EXPECT_EQ(silent.connected, 1u) << "the flush waits for the connection";
  EXPECT_TRUE(pair.run_until([&] { return pair.server.echo.closed_count == 2; }));
}

TYPED_TEST(ConnectOver, TellsOfTheServersEnd) {
  TypeParam pair;
  Call& call = pair.dialer.dial(pair.address(), "hello\nquit\n");
  EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
  EXPECT_EQ(call.received, "hello\nquit\n");
  EXPECT_EQ(call.ended, 1u);
  EXPECT_EQ(call.failed, 0u);
}

TYPED_TEST(ConnectOver, TellsOfAResetOnce) {
  TypeParam pair;
  Call& call = pair.dialer.dial(pair.address(), "reset\n");
  EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
  EXPECT_EQ(call.connected, 1u);
  EXPECT_EQ(call.failed, 1u);
  EXPECT_EQ(call.error, ECONNRESET);
  EXPECT_FALSE(call.failed_connecting);
  EXPECT_EQ(call.ended, 0u);
}

TYPED_TEST(ConnectOver, ResetsTheServerWhenAsked) {
  TypeParam pair;
  Call& call = pair.dialer.dial(pair.address(), "hello\n");
  EXPECT_TRUE(pair.run_until([&] { return call.received == "hello\n"; }));
  pair.dialer.reset(call);
  EXPECT_TRUE(pair.run_until([&] { return pair.server.echo.closed_count == 1; }));
  EXPECT_EQ(pair.server.echo.errors, std::vector<int>{ECONNRESET});
  EXPECT_EQ(call.failed, 0u);
}

TYPED_TEST(ConnectOver, BreaksAServerThatSendsToAClosedConnection) {
  for (std::uint64_t seed = 1; seed <= (TypeParam::simulated ? 20u : 1u); ++seed) {
    TypeParam pair{seed};
    if constexpr (TypeParam::simulated) {  // far less than the answer
      pair.net().options().send_buffer_bytes = 65'536;
      pair.net().options().segment_bytes_max = 16'384;
    }
    Call& call = pair.dialer.dial(pair.address(), "big 3000000\nhello\n");
    EXPECT_TRUE(pair.run_until([&] { return !call.received.empty(); }));
    pair.dialer.close(call);
    EXPECT_TRUE(pair.run_until([&] { return pair.server.echo.closed_count == 1 && call.closed == 1; }));
    EXPECT_EQ(pair.server.echo.failed_count, 1u);
  }
}

TYPED_TEST(ConnectOver, ReusesSlotsWithoutMixingConnections) {
  TypeParam pair;
  for (int round = 0; round < 200; ++round) {
    const std::string text = "round " + std::to_string(round) + '\n';
    Call& call = pair.dialer.dial(pair.address(), text + (round % 3 == 0 ? "quit\n" : ""));
    EXPECT_TRUE(pair.run_until([&] { return call.received.starts_with(text); })) << call.received;
    if (round % 3 == 1) pair.dialer.close(call);
    if (round % 3 == 2) pair.dialer.reset(call);
    EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
    EXPECT_EQ(call.connected, 1u);
    EXPECT_EQ(call.failed, 0u);
    EXPECT_EQ(call.slot, pair.dialer.calls.front().slot);
  }
  EXPECT_EQ(pair.dialer.slots(), pair.dialer.calls.front().slot + 1u);
  EXPECT_EQ(pair.loop.counters().connects.value(), 200u);
  EXPECT_EQ(pair.loop.counters().closed.value(), 200u);
  EXPECT_TRUE(pair.run_until([&] { return pair.server.echo.closed_count == 200; }));
}

TYPED_TEST(ConnectOver, MayBeginFromInsideATurn) {
  TypeParam pair;
  pair.dialer.dial(pair.address(), "quit\n");
  pair.dialer.on_turn_ended = [&] {
    const bool over = pair.dialer.calls.back().ended == 1;
    if (over && pair.dialer.calls.size() < 10) pair.dialer.dial(pair.address(), "quit\n");
  };
  EXPECT_TRUE(pair.run_until([&] { return pair.dialer.calls.size() == 10 && pair.dialer.calls.back().closed == 1; }));
  for (const Call& call : pair.dialer.calls) EXPECT_EQ(call.received, "quit\n");
}

TYPED_TEST(ConnectOver, IsConnectedBeforeTheServerAccepts) {
  TypeParam pair;
  pair.server.loop.pause_accepting();
  Call& call = pair.dialer.dial(pair.address(), "hello\n");
  EXPECT_TRUE(pair.run_until([&] { return call.connected == 1 && pair.loop.counters().bytes_sent.value() == 6; }));
  EXPECT_EQ(pair.server.echo.opened_count, 0u);
  pair.server.loop.resume_accepting();
  EXPECT_TRUE(pair.run_until([&] { return call.received == "hello\n"; }));
}

TYPED_TEST(ConnectOver, IsConnectedBeforeItHearsOfAServerThatHangsUpAtOnce) {
  for (std::uint64_t seed = 1; seed <= (TypeParam::simulated ? 50u : 5u); ++seed) {
    TypeParam pair{seed};
    pair.server.echo.connections_max = 0;
    Call& call = pair.dialer.dial(pair.address());
    EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
    EXPECT_EQ(call.connected, 1u);
    EXPECT_EQ(call.ended, 1u);
    EXPECT_EQ(call.failed, 0u);
  }
}

TYPED_TEST(ConnectOver, DeliversNothingToAStreamThatWasPausedBeforeItConnected) {
  TypeParam pair;
  pair.dialer.pause_first = true;
  Call& call = pair.dialer.dial(pair.address(), "hello\nquit\n");
  EXPECT_TRUE(pair.run_until([&] { return pair.server.echo.closed_count == 1; }));
  unsigned looks = 0;
  pair.run_until([&] { return ++looks > 200; });
  EXPECT_TRUE(call.received.empty());
  EXPECT_EQ(call.ended, 0u);
  pair.loop.resume(*pair.dialer.find(call));
  EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
  EXPECT_EQ(call.received, "hello\nquit\n");
}

TYPED_TEST(ConnectOver, HoldsTheServerUpWhileTheCallerDoesNotRead) {
  for (std::uint64_t seed = 1; seed <= (TypeParam::simulated ? 10u : 1u); ++seed) {
    constexpr std::size_t size = 3'000'000;  // more than the kernel's and the simulation's buffers
    TypeParam pair{seed};
    Call& call = pair.dialer.dial(pair.address(), {}, {.receive_buffer_bytes = 65'536});
    pair.loop.pause(*pair.dialer.find(call));
    pair.dialer.send(call, "big " + std::to_string(size) + '\n');
    EXPECT_TRUE(pair.run_until([&] { return pair.server.loop.counters().bytes_sent.value() > 0; }));
    unsigned looks = 0;
    pair.run_until([&] { return TypeParam::simulated ? false : ++looks > 2000; });
    EXPECT_TRUE(call.received.empty());
    const std::uint64_t taken = pair.server.loop.counters().bytes_sent.value();
    EXPECT_LT(taken, size);
    if constexpr (TypeParam::simulated) {
      const SimOptions& options = pair.net().options();
      EXPECT_LE(taken, options.send_buffer_bytes + options.receive_buffer_bytes + options.segment_bytes_max);
      continue;
    }
    pair.loop.resume(*pair.dialer.find(call));
    EXPECT_TRUE(pair.run_until([&] { return call.received.size() == size; }));
    EXPECT_TRUE(call.received == pattern_text(size));
  }
}

TYPED_TEST(ConnectOver, AnnouncesEachWriteOnce) {
  TypeParam pair;
  // The dialer aborts if a write comes unannounced, or an announcement without one.
  Call& call = pair.dialer.dial(pair.address());
  pair.run_until([&] { return call.connected == 1; });
  EXPECT_EQ(pair.dialer.writings, 0u);
  const std::string text = std::string(3'000'000, 'x') + '\n';
  pair.server.echo.pending_max = 2 * text.size();
  pair.dialer.send(call, text);
  EXPECT_TRUE(pair.run_until([&] { return call.drained == 1; }));
  EXPECT_GT(pair.dialer.writings, 1u) << "more than the buffers take at once";
  EXPECT_EQ(pair.dialer.writings, pair.loop.counters().writes.value());
}

TYPED_TEST(ConnectOver, RunsTimersWhileItConnects) {
  TypeParam pair;
  if constexpr (TypeParam::simulated) pair.net().options().delay_max = std::chrono::hours{10};
  Call& call = pair.dialer.dial(pair.address());
  // Nobody looks at the answer before the timer: its time has come already.
  pair.loop.arm(*pair.dialer.find(call), pair.loop.now());
  EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
  EXPECT_EQ(call.failed, 0u);
  if (TypeParam::simulated) { EXPECT_EQ(call.connected, 0u); }
}

TYPED_TEST(ConnectOver, ConnectsALoopToItself) {
  TypeParam pair;
  pair.dialer.accepts = true;
  auto listener = Listener::open(Address::parse("127.0.0.1:0").value(), {});
  ASSERT_TRUE(listener);
  Address address = listener->address();
  if (TypeParam::simulated) address.set_port(90);
  ASSERT_EQ(pair.loop.listen(TypeParam::simulated ? SimNet::listener(90) : listener->fd(0), false), 0);
  std::string text;
  for (int count = 0; count < 10; ++count) {
    text = pattern_text(50'000) + std::to_string(count);
    pair.dialer.dial(address, text).greeting = "!";
  }
  for (const Call& call : pair.dialer.calls) {
    EXPECT_TRUE(pair.run_until([&] { return call.received.size() == text.size() + 1; }));
    EXPECT_TRUE(call.received.starts_with(pattern_text(50'000))) << "in order";
    EXPECT_TRUE(call.received.ends_with('!'));
  }
  EXPECT_EQ(pair.dialer.accepted_count, 10u);
  EXPECT_EQ(pair.server.echo.opened_count, 0u);
}

// ---- real sockets alone ----

/// The next connection of a listener that no loop has.
base::Fd accept_one(const Listener& listener) {
  pollfd ready{.fd = listener.fd(0), .events = POLLIN, .revents = 0};
  SLUICE_ASSERT(::poll(&ready, 1, 20'000) == 1);
  return base::Fd{::accept(listener.fd(0), nullptr, nullptr)};
}

TEST(ConnectByEpoll, BindsTheSourceAddress) {
  auto listener = Listener::open(Address::parse("127.0.0.1:0").value(), {});
  ASSERT_TRUE(listener);
  EpollPair pair;
  const Address from = Address::parse("127.0.0.2:0").value();
  for (int count = 0; count < 3; ++count) {
    Call& call = pair.dialer.dial(listener->address(), {}, {.from = &from, .receive_buffer_bytes = 4096});
    ASSERT_EQ(call.connect_error, 0);
    EXPECT_TRUE(pair.run_until([&] { return call.connected == 1; }));
    const base::Fd accepted = accept_one(*listener);
    EXPECT_EQ(peer_address(accepted.get()).host(), "127.0.0.2");
    int size = 0;
    socklen_t length = sizeof size;
    ::getsockopt(pair.dialer.find(call)->fd, SOL_SOCKET, SO_RCVBUF, &size, &length);
    EXPECT_EQ(size, 2 * 4096) << "the kernel doubles it for its own use";
  }
}

TEST(ConnectByEpoll, LeavesTheStreamAsItWasWhenNothingCanBegin) {
  EpollPair pair;
  const Address foreign = Address::parse("192.0.2.1:0").value();
  EXPECT_EQ(pair.dialer.dial(pair.address(), "lost\n", {.from = &foreign}).connect_error, EADDRNOTAVAIL);
  const Address nowhere = Address::parse("unix:/tmp/sluice-nobody-" + std::to_string(::getpid())).value();
  EXPECT_EQ(pair.dialer.dial(nowhere, "lost\n").connect_error, ENOENT);
  EXPECT_EQ(pair.dialer.streams(), 0u);
  EXPECT_EQ(pair.loop.counters().connects.value(), 0u);
  Call& call = pair.dialer.dial(pair.address(), "hello\n");
  EXPECT_TRUE(pair.run_until([&] { return call.received == "hello\n"; }));
  for (const Call& lost : {std::cref(pair.dialer.calls[0]), std::cref(pair.dialer.calls[1])}) {
    EXPECT_EQ(lost.connected + lost.failed + lost.closed, 0u);
  }
}

TEST(ConnectByEpoll, ReachesPathsAndAbstractNames) {
  for (const std::string& name :
       {"unix:/tmp/sluice-dial-" + std::to_string(::getpid()), "unix:@sluice-dial-" + std::to_string(::getpid())}) {
    EpollPair pair{Address::parse(name).value()};
    Call& call = pair.dialer.dial(pair.address(), "hello\nbig 500000\nquit\n");
    EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
    EXPECT_EQ(call.received, "hello\n" + pattern_text(500'000) + "quit\n");
    EXPECT_EQ(call.connected, 1u);
    EXPECT_EQ(call.failed, 0u);
  }
}

TEST(ConnectByEpoll, ReceivesTheWordsOfAServerThatHasClosedBeforeAnybodyLooked) {
  for (const std::string& name : {std::string{"127.0.0.1:0"}, "unix:@sluice-brief-" + std::to_string(::getpid())}) {
    auto listener = Listener::open(Address::parse(name).value(), {});
    ASSERT_TRUE(listener);
    EpollPair pair;
    Call& call = pair.dialer.dial(listener->address());
    {
      const base::Fd accepted = accept_one(*listener);
      ASSERT_EQ(::send(accepted.get(), "go away\n", 8, MSG_NOSIGNAL), 8);
    }
    EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
    EXPECT_EQ(call.connected, 1u) << name;
    EXPECT_EQ(call.received, "go away\n") << name;
    EXPECT_EQ(call.ended, 1u);
    EXPECT_EQ(call.failed, 0u);
  }
}

TEST(ConnectByEpoll, RunsATurnWhenTheProtocolAskedForOneAndNotEarlier) {
  for (const auto waits : {EpollIo::Waits::ticks, EpollIo::Waits::precise}) {
    Dialer dialer;
    Loop<EpollIo, Dialer> loop{dialer, base::system_clock(), waits};
    dialer.loop = &loop;
    for (const base::Duration ahead : {base::Duration{0}, base::Duration{30us}, base::Duration{2'345'678ns}}) {
      const base::TimePoint time = base::system_clock().now() + ahead;
      dialer.wake = time;
      dialer.woken.clear();
      while (dialer.woken.empty()) loop.turn(true);  // it would sleep for ever
      EXPECT_GE(dialer.woken.front(), time);
    }
  }
}

// ---- the simulation alone ----

TEST(ConnectBySim, RunsATurnAtExactlyTheTimeTheProtocolAskedFor) {
  SimPair pair;
  TimerNode later;
  for (const base::Duration ahead : {1ns, 12'345'678ns, 3'600'000'000'001ns}) {
    const base::TimePoint time = pair.net().now() + ahead;
    pair.loop.timers().arm(later, time + 1h);
    pair.dialer.wake = time;
    pair.dialer.woken.clear();
    EXPECT_TRUE(pair.run_until([&] { return !pair.dialer.woken.empty(); }));
    EXPECT_EQ(pair.dialer.woken, std::vector<base::TimePoint>{time});
    EXPECT_EQ(pair.net().now(), time);
  }
  pair.loop.timers().cancel(later);
}

TEST(ConnectBySim, TakesTimeBothWays) {
  SimPair pair;
  pair.net().options().delay_max = 10s;
  const base::TimePoint start = pair.net().now();
  for (const Address& to : {pair.address(), pair.closed_port()}) {
    Call& call = pair.dialer.dial(to);
    pair.loop.turn(false);
    EXPECT_EQ(call.connected + call.failed, 0u);
    EXPECT_TRUE(pair.run_until([&] { return call.connected + call.failed == 1; }));
    EXPECT_GT(pair.net().now(), start);
    EXPECT_LE(pair.net().now(), start + 40s);
  }
}

TEST(ConnectBySim, BreaksWhatTheServerNeverAccepted) {
  SimPair pair;
  pair.server.loop.pause_accepting();
  Call& call = pair.dialer.dial(pair.address(), "hello\n");
  EXPECT_TRUE(pair.run_until([&] { return call.connected == 1; }));
  pair.server.loop.stop_accepting();
  EXPECT_TRUE(pair.run_until([&] { return call.closed == 1; }));
  EXPECT_EQ(call.error, ECONNRESET);
  EXPECT_FALSE(call.failed_connecting);
}

}  // namespace
}  // namespace sluice::net
