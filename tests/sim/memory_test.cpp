// What happens before the memory budget is used up, and when there is no room for another connection: idle connections
// go first, then bodies wait for a while, and no client pays for a pause that was ours.
#include <gtest/gtest.h>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kib = 1024;
constexpr std::size_t mib = 1024 * kib;

class Memory : public Stage {
 protected:
  Memory() {
    options.limits.buffered_bytes_max = 4 * mib;
    app.get("/", [](const Request&) { return text("plain"); });
    app.get("/health", [](const Request&) { return text("ok"); }, {.criticality = Criticality::exempt});
    app.get("/wait", [this](const Request&, Responder r) { held.push_back(std::move(r)); });
    app.post("/count", [](const Request& q) { return text(std::to_string(q.body().size())); });
    app.post("/count/exempt", [](const Request& q) { return text(std::to_string(q.body().size())); },
             {.criticality = Criticality::exempt});
    app.post("/keep", [this](const Request&, Responder r) { held.push_back(std::move(r)); });
  }
  void TearDown() override {
    held.clear();
    finish();
  }

  /// Requests that keep bodies of `each` bytes in memory until they are released.
  void fill(std::size_t count, std::size_t each) {
    const std::size_t before = held.size();
    for (std::size_t i = 0; i < count; ++i) client().ask("POST", "/keep", {}, std::string(each, 'k'));
    ASSERT_TRUE(until([&] { return held.size() == before + count; }));
  }
  /// 3 MiB and a little: above three quarters, below seven eighths.
  void fill_to_reap() { fill(3, 1'000'000); }
  /// 3.5 MiB and a little.
  void fill_to_hold() {
    fill_to_reap();
    fill(2, 200'000);
  }
  void release() {
    for (Responder& responder : held) responder.respond(text("released"));
    held.clear();
  }
  /// An upload of `size` bytes, of which only the first `sent` have arrived.
  Talker& begin_upload(std::string_view target, std::size_t size, std::size_t sent) {
    Talker& talker = client();
    talker.say("POST " + std::string{target} + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(size) +
                   "\r\n\r\n" + std::string(sent, 'b'),
               "POST");
    stage->run_for(5ms);
    return talker;
  }
  std::size_t bytes() { return stage->loop(0).blocks().bytes_in_use(); }
  std::size_t paused() {
    std::size_t count = 0;
    stage->shard(0).for_each_connection([&](detail::Connection& c) { count += c.reading_paused; });
    return count;
  }

  std::vector<Responder> held;
};

// ---- idle connections

TEST_F(Memory, TheLongestIdleAreClosedFirst) {
  serve();
  std::vector<Talker*> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(&client().get("/"));
    idle.back()->last();
    stage->run_for(10ms);
  }
  stage->run_for(2s);
  fill_to_reap();
  ASSERT_TRUE(until([&] { return tally().idle_reaped.read() >= 64; }));
  EXPECT_EQ(tally().idle_reaped.read(), 64u);  // no more at a time
  stage->run_for(10ms);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(idle[i]->net().saw_fin(), i < 64) << i;
  stage->run_for(200ms);
  EXPECT_EQ(tally().idle_reaped.read(), 100u);
  for (const Talker* talker : idle) EXPECT_FALSE(const_cast<Talker*>(talker)->net().saw_reset());
  EXPECT_EQ(tally().idle_closed.read(), 0u);
}

TEST_F(Memory, NoneIsClosedBelowThreeQuarters) {
  serve();
  client().get("/").last();
  stage->run_for(2s);
  fill(2, 1'000'000);
  stage->run_for(2s);
  EXPECT_EQ(tally().idle_reaped.read(), 0u);
}

TEST_F(Memory, WhoAskedJustNowAndWhoAsksForHealthIsLeftAlone) {
  serve();
  Talker& prober = client().get("/health");
  prober.last();
  Talker& old = client().get("/");
  old.last();
  stage->run_for(5s);
  fill_to_reap();
  Talker& recent = client().get("/");
  recent.last();
  EXPECT_TRUE(old.ended(1s));
  stage->run_for(500ms);
  EXPECT_FALSE(recent.net().over());
  EXPECT_TRUE(recent.ended(2s));
  stage->run_for(5s);
  EXPECT_FALSE(prober.net().over());
  EXPECT_EQ(prober.get("/health").last().body, "ok");
  EXPECT_EQ(tally().idle_reaped.read(), 2u);
}

TEST_F(Memory, AnAnswerStillBeingReadIsNotIdle) {
  app.get("/big", [](const Request&) { return text(std::string(60'000, 'x')); });
  serve();
  stage->net().options().send_buffer_bytes = 4096;
  Talker& slow = client();
  slow.net().set_window(1000);
  slow.get("/big");
  stage->run_for(2s);
  fill_to_reap();
  stage->run_for(2s);
  slow.net().set_window(net::SimClient::unlimited);
  EXPECT_EQ(slow.answer().body.size(), 60'000u);
}

TEST_F(Memory, NewcomersGetThePlacesOfTheIdle) {
  options.limits.connections_max = 4;
  serve();
  std::vector<Talker*> idle;
  for (int i = 0; i < 4; ++i) {
    idle.push_back(&client().get("/"));
    idle.back()->last();
    stage->run_for(10ms);
  }
  Talker& newcomer = client().get("/");
  stage->run_for(500ms);
  EXPECT_EQ(newcomer.received(), "");  // nobody has been idle for a second
  EXPECT_EQ(newcomer.last().body, "plain");
  EXPECT_TRUE(idle[0]->net().saw_fin());
  for (int i = 1; i < 4; ++i) EXPECT_FALSE(idle[static_cast<std::size_t>(i)]->net().over()) << i;
  EXPECT_EQ(tally().idle_reaped.read(), 1u);
}

TEST_F(Memory, BusyConnectionsKeepTheirPlaces) {
  options.limits.connections_max = 2;
  serve();
  client().get("/wait");
  client().get("/wait");
  ASSERT_TRUE(until([&] { return held.size() == 2; }));
  Talker& newcomer = client().get("/");
  stage->run_for(3s);
  EXPECT_EQ(newcomer.received(), "");
  EXPECT_EQ(tally().idle_reaped.read(), 0u);
  release();
  EXPECT_EQ(newcomer.last().body, "plain");  // a second after the two have become idle
}

// ---- bodies that wait

TEST_F(Memory, ABodyWaitsAndCompletesWhenMemoryIsFree) {
  serve();
  fill_to_hold();
  const base::TimePoint begin = stage->now();
  Talker& talker = begin_upload("/count", 100'000, 10'000);
  EXPECT_EQ(tally().memory_pauses.read(), 1u);
  talker.say(std::string(90'000, 'b'));
  stage->run_for(300ms);
  EXPECT_EQ(talker.received(), "");
  EXPECT_GE(paused(), 1u);
  release();
  EXPECT_EQ(talker.last().body, "100000");
  EXPECT_LE(stage->now() - begin, 500ms);
  EXPECT_EQ(tally().memory_pauses.read(), 1u);
}

TEST_F(Memory, ABodyWaitsForASecondAtMost) {
  serve();
  fill_to_hold();
  stage->run_for(50ms);  // between two looks at all connections: its own timer has to end the wait
  const base::TimePoint begin = stage->now();
  Talker& talker = begin_upload("/count", 100'000, 10'000);
  talker.say(std::string(90'000, 'b'));
  EXPECT_EQ(talker.last().body, "100000");
  EXPECT_GE(stage->now() - begin, 1s);
  EXPECT_LE(stage->now() - begin, 1020ms);
  EXPECT_EQ(tally().memory_pauses.read(), 1u);
}

TEST_F(Memory, AChunkedBodyWaitsToo) {
  serve(1, true);
  fill_to_hold();
  Talker& talker = client();
  const base::TimePoint begin = stage->now();
  talker.say("POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + std::string(1000, 'b'),
             "POST");
  ASSERT_TRUE(until([&] { return tally().memory_pauses.read() == 1; }));
  stage->run_for(100ms);
  talker.say("\r\n0\r\n\r\n");
  EXPECT_EQ(talker.last().body, "1000");
  EXPECT_GE(stage->now() - begin, 1s);
}

TEST_F(Memory, ABodyThatFindsNoMemoryAfterItsWaitIsRefused) {
  serve();
  fill_to_hold();
  Talker& talker = begin_upload("/count", 100'000, 10'000);
  begin_upload("/count/exempt", 1'000'000, 900'000);  // takes what others may not
  ASSERT_GT(bytes(), 4 * mib);
  talker.say(std::string(90'000, 'b'));
  const base::TimePoint begin = stage->now();
  const ClientResponse answer = talker.last();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.header("x-request-outcome"), "not-started");
  EXPECT_GE(stage->now() - begin, 900ms);
  EXPECT_LE(stage->now() - begin, 1100ms);
}

TEST_F(Memory, ABodyWhoseRestFitsIsNotKeptWaiting) {
  serve();
  fill_to_hold();
  const base::TimePoint begin = stage->now();
  Talker& talker = begin_upload("/count", 4000, 100);
  talker.say(std::string(3900, 'b'));
  EXPECT_EQ(talker.last().body, "4000");
  EXPECT_LE(stage->now() - begin, 50ms);
  EXPECT_EQ(tally().memory_pauses.read(), 0u);
}

TEST_F(Memory, AnExemptBodyIsNotKeptWaiting) {
  serve();
  fill_to_hold();
  const base::TimePoint begin = stage->now();
  Talker& talker = begin_upload("/count/exempt", 300'000, 10'000);
  talker.say(std::string(290'000, 'b'));
  EXPECT_EQ(talker.last().body, "300000");
  EXPECT_LE(stage->now() - begin, 50ms);
  EXPECT_EQ(client().get("/health").last().body, "ok");
  EXPECT_EQ(tally().memory_pauses.read(), 0u);
}

TEST_F(Memory, ThePauseIsNotTheClientsTime) {
  options.limits.body_timeout = 1500ms;
  serve();
  fill_to_hold();
  Talker& talker = begin_upload("/count", 100'000, 10'000);
  after(2200ms, [&talker] { talker.say(std::string(90'000, 'b')); });  // 1.2 s of its own
  EXPECT_EQ(talker.last().body, "100000");
  EXPECT_EQ(tally().body_timeouts.read(), 0u);
}

TEST_F(Memory, ThePauseDoesNotCountForTheRate) {
  options.limits.body_grace = 100ms;
  options.limits.body_rate_min = 50'000;
  serve();
  fill_to_hold();
  Talker& talker = begin_upload("/count", 100'000, 10'000);
  for (int tenth = 1; tenth <= 9; ++tenth) {  // the client's kernel goes on; nothing of it is read
    after(100ms * tenth, [&talker] { talker.say(std::string(10'000, 'b')); });
  }
  EXPECT_EQ(talker.last().body, "100000");
  EXPECT_EQ(tally().body_timeouts.read(), 0u);
  EXPECT_EQ(tally().memory_pauses.read(), 1u);
}

TEST_F(Memory, AClientThatIsTooSlowIsStillToldSo) {
  options.limits.body_timeout = 1500ms;
  serve();
  fill_to_hold();
  const base::TimePoint begin = stage->now();
  Talker& talker = begin_upload("/count", 100'000, 10'000);
  EXPECT_EQ(talker.last().status, 408);
  EXPECT_GE(stage->now() - begin, 2500ms);
  EXPECT_LE(stage->now() - begin, 2600ms);
}

// ---- what may still come on top

TEST_F(Memory, BytesBehindRequestsInProgressStopAtTheBudget) {
  options.limits.buffered_bytes_max = mib;
  serve();
  std::vector<Talker*> waiting;
  for (int i = 0; i < 150; ++i) waiting.push_back(&client().get("/wait"));
  ASSERT_TRUE(until([&] { return held.size() == 150; }));
  ASSERT_LT(bytes(), 768 * kib);
  for (Talker* talker : waiting) talker->say(std::string(60'000, 'G'));
  std::size_t most = 0;
  stage->run_until(
      [&] {
        most = std::max(most, bytes());
        return false;
      },
      3s);
  EXPECT_LE(most, mib + 64 * 64 * kib);  // the reads of one turn
  EXPECT_GE(paused(), 80u);
  release();
  ASSERT_TRUE(until([&] { return bytes() < mib; }));
}

class DeafClients : public Memory {
 protected:
  /// How many bytes more are in use once 50 clients that read nothing have sent `pieces` pieces of `count` requests.
  std::size_t growth(int pieces, int count) {
    options.limits.buffered_bytes_max = 2 * mib;
    serve();
    for (int i = 0; i < 50; ++i) client().net().set_window(0);
    EXPECT_TRUE(until([&] { return stage->shard(0).connection_count() == 50; }));
    stage->net().options().send_buffer_bytes = 0;
    for (int i = 0; i < 3; ++i) begin_upload("/count/exempt", 1'000'000, 900'000);
    const std::size_t before = bytes();
    EXPECT_GT(before, 2 * mib);
    std::string requests;
    for (int i = 0; i < count; ++i) requests += "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for (std::size_t i = 0; i < 50; ++i) {
      for (int piece = 0; piece < pieces; ++piece) {
        after(10ms * piece, [this, i, requests] { clients[i].net().send(requests); });
      }
    }
    stage->run_for(1s);
    return bytes() - before;
  }
  static constexpr std::size_t three_blocks_each = 50 * 3 * 4 * kib;
};

TEST_F(DeafClients, HaveOneRefusalWaitingAndNotAThousand) { EXPECT_LE(growth(20, 100), three_blocks_each); }

TEST_F(DeafClients, AreLetGoIfTheySendALotBehindIt) { EXPECT_LE(growth(1, 2000), three_blocks_each); }

}  // namespace
}  // namespace sluice::sim
