// The simulated network itself, and hundreds of seeds of the echo protocol over it. SLUICE_SEED=n runs one seed.
#include "net/sim_io.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "rigs.hpp"

namespace sluice::net {
namespace {

using namespace std::chrono_literals;

TEST(SimNet, RunsEventsInTheOrderOfTimeThenOfMaking) {
  SimNet net{1};
  std::string order;
  const base::TimePoint start = net.now();
  net.at(start + 2ms, [&] { order += 'c'; });
  net.at(start + 1ms, [&] {
    order += 'a';
    EXPECT_EQ(net.now(), start + 1ms);
    net.at(net.now(), [&] { order += 'B'; });
  });
  net.at(start + 1ms, [&] { order += 'b'; });
  net.at(start + 10ms, [&] { order += 'd'; });
  EXPECT_EQ(net.next_event(), start + 1ms);
  net.advance_to(start + 5ms);
  EXPECT_EQ(order, "abBc");
  EXPECT_EQ(net.now(), start + 5ms);
  EXPECT_EQ(net.next_event(), start + 10ms);
}

TEST(SimNet, ResetsAClientThatNobodyListensFor) {
  SimNet net{1};
  SimClient& client = net.client();
  unsigned told = 0;
  client.on_over = [&] { ++told; };
  client.connect(81);
  client.send("hello\n");
  net.advance_to(net.now() + 1s);
  EXPECT_TRUE(client.saw_reset());
  EXPECT_EQ(told, 1u);
}

TEST(SimNet, LetsClientsTalkFromTheirCallbacks) {
  SimRig rig{7};
  SimClient& client = rig.client();
  unsigned answers = 0;
  client.on_data = [&](std::string_view) {
    if (!client.received().ends_with("\n") || ++answers == 20) return;
    client.send("again\n");
  };
  client.send("first\n");
  EXPECT_TRUE(rig.run_until([&] { return answers == 20; }));
}

TEST(SimNet, AppliesScriptedFaultsWhereTheyAreDue) {
  SimRig rig{3};
  rig.net.script({SimOp::accept, 1, SimFault::no_descriptors});
  rig.net.script({SimOp::read, 1, SimFault::partial});
  rig.net.script({SimOp::read, 2, SimFault::stall});
  rig.net.script({SimOp::write, 1, SimFault::again});
  SimClient& client = rig.client();
  const base::TimePoint start = rig.net.now();
  client.send("a line\n");
  EXPECT_TRUE(rig.run_until([&] { return client.received() == "a line\n"; }));
  EXPECT_EQ(rig.net.applied(SimOp::accept, SimFault::no_descriptors), 1u);
  EXPECT_EQ(rig.net.applied(SimOp::read, SimFault::stall), 1u);
  EXPECT_EQ(rig.net.applied(SimOp::write, SimFault::again), 1u);
  EXPECT_EQ(rig.echo.accept_errors, std::vector<int>{EMFILE});
  EXPECT_GE(rig.net.now() - start, 200ms) << "100 ms without accepting, at least 100 ms of stall";
}

TEST(SimNet, BreaksTheConnectionOnBothSidesForAResetFault) {
  for (const SimOp op : {SimOp::read, SimOp::write}) {
    SimRig rig{3};
    rig.net.script({op, 1, SimFault::reset});
    SimClient& client = rig.client();
    client.send("a line\n");
    EXPECT_TRUE(rig.run_until([&] { return client.saw_reset() && rig.echo.closed_count == 1; }));
    EXPECT_EQ(rig.echo.errors, std::vector<int>{ECONNRESET});
  }
}

TEST(SimIo, IsReadyForAPostOnlyByItsWakeUp) {
  SimRig rig{1};
  MailNode node;
  rig.run_until([] { return false; });
  ASSERT_TRUE(rig.loop.asleep());
  EXPECT_FALSE(rig.loop.runnable());
  EXPECT_FALSE(rig.loop.io().ready());
  EXPECT_TRUE(rig.loop.post(&node));
  EXPECT_TRUE(rig.loop.io().ready());
  EXPECT_TRUE(rig.loop.runnable());
  rig.loop.turn(false);
  EXPECT_EQ(rig.echo.posted_count, 1u);
  EXPECT_FALSE(rig.loop.runnable());
}

TEST(SimIo, SharesAPortAmongLoops) {
  SimNet net{5};
  Echo first_echo, second_echo;
  Loop<SimIo, Echo> first{first_echo, net, net}, second{second_echo, net, net};
  first_echo.loop = &first;
  second_echo.loop = &second;
  ASSERT_EQ(first.listen(SimNet::listener(80), false), 0);
  ASSERT_EQ(second.listen(SimNet::listener(80), false), 0);
  std::vector<SimClient*> clients;
  for (int count = 0; count < 40; ++count) {
    clients.push_back(&net.client());
    clients.back()->connect(80);
    clients.back()->send("hello\nquit\n");
  }
  for (int step = 0; step < 10'000; ++step) {
    net.advance_to(net.now() + 1ms);
    first.turn(false);
    second.turn(false);
  }
  for (const SimClient* client : clients) EXPECT_EQ(client->received(), "hello\nquit\n");
  EXPECT_GT(first_echo.closed_count, 5u);
  EXPECT_GT(second_echo.closed_count, 5u);
}

/// One client's part in a random run.
struct Script {
  SimClient* client = nullptr;
  std::string sent;
  bool resets = false;
  bool ends = false;  // quits or closes its side: the server closes after the last answer
};

void play(SimNet& net, Script& script, base::TimePoint until) {
  SimRandom& random = net.random();
  SimClient& client = *script.client;
  std::string text;
  const auto lines = random.between(0, 40);
  for (std::uint64_t line = 0; line < lines; ++line) {
    if (random.chance(100'000)) {
      text += "big " + std::to_string(random.between(1, 20'000)) + '\n';
    } else {
      text += std::string(random.below(random.chance(50'000) ? 6000 : 60), 'x') + std::to_string(line) + '\n';
    }
  }
  const std::uint64_t ending = random.below(5);
  if (ending == 0) text += "quit\n";
  if (ending == 1) text += "shut\n";
  script.sent = text;
  script.ends = ending <= 2;
  const auto when = [&net, &random, until] {
    return net.now() + base::Duration{static_cast<base::Duration::rep>(
                           random.below(static_cast<std::uint64_t>((until - net.now()).count())))};
  };
  for (std::size_t sent = 0; sent < text.size();) {
    const std::size_t count = random.between(1, text.size() - sent);
    net.at(net.now() + base::Duration{1ms} * static_cast<long>(sent),
           [&client, piece = text.substr(sent, count)] { client.send(piece); });
    sent += count;
  }
  const base::TimePoint end = net.now() + base::Duration{1ms} * static_cast<long>(text.size());
  if (ending == 2) net.at(end, [&client] { client.half_close(); });
  if (ending == 1) net.at(std::max(end, until), [&client] { client.half_close(); });
  if (random.chance(200'000)) {
    script.resets = true;
    net.at(when(), [&client] { client.reset(); });
  }
  if (random.chance(400'000)) {
    net.at(when(), [&client, window = random.below(5000)] { client.set_window(window); });
    net.at(until, [&client] { client.set_window(SimClient::unlimited); });
  }
}

struct Outcome {
  std::uint64_t turns = 0;
  std::uint64_t stale = 0;
  std::uint64_t faults = 0;
  std::string received;
  bool operator==(const Outcome&) const = default;
};

template <class Rig>
Outcome run_seed(std::uint64_t seed) {
  Rig rig{seed};
  const bool resets = seed % 3 == 2;
  if (seed % 3 != 0) rig.net.random_faults(30'000, resets);
  rig.echo.high_water = rig.net.random().between(1, 20'000);
  rig.echo.pending_max = rig.net.random().between(1, 20'000);
  std::vector<Script> scripts(rig.net.random().between(1, 6));
  const base::TimePoint until = rig.net.now() + 30s;
  for (Script& script : scripts) {
    script.client = &rig.client();
    play(rig.net, script, until);
  }
  rig.run_until([] { return false; });
  Outcome outcome{rig.turns, rig.net.stale_events(), 0, {}};
  for (const Script& script : scripts) {
    const SimClient& client = *script.client;
    const std::string expected = Echo::expected(script.sent);
    EXPECT_TRUE(expected.starts_with(client.received())) << "nothing false is ever sent";
    outcome.received += client.received() + '|';
    if (script.resets || (resets && client.saw_reset())) continue;
    EXPECT_EQ(client.received().size(), expected.size()) << "nothing is lost";
    EXPECT_EQ(client.saw_fin(), script.ends);
    EXPECT_FALSE(client.saw_reset());
  }
  for (const SimOp op : {SimOp::accept, SimOp::read, SimOp::write}) {
    for (std::size_t kind = 0; kind < sim_fault_count; ++kind) {
      outcome.faults += rig.net.applied(op, static_cast<SimFault>(kind));
    }
  }
  (void)rig.loop.post(&rig.echo.stop_node);
  EXPECT_TRUE(rig.run_until([&] { return rig.echo.connections() == 0; }));
  EXPECT_EQ(rig.echo.opened_count, rig.echo.closed_count);
  EXPECT_EQ(rig.loop.blocks().bytes_in_use(), 0u);
  rig.stop_by_hand = true;
  return outcome;
}

template <class Rig>
class Seeds : public testing::Test {};
using SimRigs = testing::Types<SimRig, SimLaterRig>;
TYPED_TEST_SUITE(Seeds, SimRigs);

TYPED_TEST(Seeds, LoseNothingAndInventNothing) {
  const char* const one = std::getenv("SLUICE_SEED");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
#if defined(__SANITIZE_THREAD__)
  constexpr std::uint64_t seeds = 100;  // of one thread: nothing for it to find, and slow
#else
  constexpr std::uint64_t seeds = 600;
#endif
  const std::uint64_t last = one != nullptr ? first : seeds;
  std::uint64_t stale = 0, faults = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const Outcome outcome = run_seed<TypeParam>(seed);
    stale += outcome.stale;
    faults += outcome.faults;
    if (testing::Test::HasFailure()) { FAIL() << "SLUICE_SEED=" << seed; }
  }
  this->RecordProperty("stale_events", static_cast<int>(stale));
  this->RecordProperty("faults", static_cast<int>(faults));
  if (one == nullptr) {
    EXPECT_GT(faults, seeds);
    // With confirmation a slot is not free while anything names it.
    if (std::is_same_v<TypeParam, SimRig>) { EXPECT_GT(stale, seeds / 2); }
  }
}

TYPED_TEST(Seeds, GiveTheSameRunTwice) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) EXPECT_EQ(run_seed<TypeParam>(seed), run_seed<TypeParam>(seed));
}

}  // namespace
}  // namespace sluice::net
