// What a loop says about whoever holds it: the lag of its turns, the route that stalled it, and calls that may block.
#include <gtest/gtest.h>

#include <sluice/blocking.hpp>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

class LoopGuarded : public Stage {
 protected:
  LoopGuarded() {
    app.get("/", [](const Request&) { return text("plain"); });
    app.get("/busy", [this](const Request& q) {
      stage->net().pass(std::chrono::milliseconds{q.query<int>("ms")});
      return text("busy");
    });
    app.get("/later", [this](const Request& q, Responder r) {
      stage->net().pass(std::chrono::milliseconds{q.query<int>("ms")});
      r.respond(text("later"));
    });
  }
  LoopStatus loop() const { return stage->counters().loops.at(0); }
  std::size_t lines() const {
    return static_cast<std::size_t>(
        std::count_if(log.begin(), log.end(), [](const Logged& line) { return line.what == "loop_stalled"; }));
  }
};

// ---- lag

TEST_F(LoopGuarded, LagIsTheLengthOfTheTurn) {
  serve();
  for (int i = 0; i < 10; ++i) client().get("/").last();
  EXPECT_EQ(loop().lag_max_us, 0u);  // virtual time stands still while a loop works
  client().get("/busy?ms=70").last();
  const LoopStatus status = loop();
  EXPECT_EQ(status.lag_max_us, 70'000u);
  EXPECT_EQ(status.lag_p50_us, 0u);
  EXPECT_GE(status.turns, 11u);
  EXPECT_EQ(status.turns, stage->loop(0).lag().view().count());
}

TEST_F(LoopGuarded, EachLoopHasALagOfItsOwn) {
  options.loops = 2;
  serve();
  client().get("/busy?ms=40").last();
  std::vector<std::uint64_t> lags;
  for (const LoopStatus& status : stage->counters().loops) lags.push_back(status.lag_max_us);
  std::sort(lags.begin(), lags.end());
  EXPECT_EQ(lags, (std::vector<std::uint64_t>{0, 40'000}));
}

// ---- stalls

TEST_F(LoopGuarded, AHandlerThatHoldsTheLoopIsCountedAndNamed) {
  serve();
  EXPECT_EQ(client().get("/busy?ms=50").last().status, 200);
  EXPECT_EQ(lane("GET /busy").loop_stalls, 1u);
  EXPECT_EQ(lane("GET /").loop_stalls, 0u);
  EXPECT_EQ(loop().stalls, 1u);
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].what, "loop_stalled");
  EXPECT_EQ(log[0].route, "/busy");
  EXPECT_EQ(log[0].detail, "held the loop for 50 ms");
  EXPECT_TRUE(lane("GET /busy").balanced());
}

TEST_F(LoopGuarded, TheStartOfOneThatAnswersLaterCountsToo) {
  serve();
  EXPECT_EQ(client().get("/later?ms=21").last().status, 200);
  EXPECT_EQ(lane("GET /later").loop_stalls, 1u);
}

TEST_F(LoopGuarded, TheThresholdIsNotCrossedByReachingIt) {
  serve();
  client().get("/busy?ms=20").last();
  EXPECT_EQ(lane("GET /busy").loop_stalls, 0u);
  EXPECT_EQ(log.size(), 0u);
}

TEST_F(LoopGuarded, TheThresholdIsAnOption) {
  options.loop_stall_threshold = 3ms;
  serve();
  client().get("/busy?ms=4").last();
  EXPECT_EQ(lane("GET /busy").loop_stalls, 1u);
}

TEST_F(LoopGuarded, ManyShortHandlersInOneTurnAreNoStall) {
  options.limits.pipelined_max = 64;
  serve();
  std::string bytes;
  for (int i = 0; i < 30; ++i) bytes += "GET /busy?ms=2 HTTP/1.1\r\nHost: h\r\n\r\n";
  Talker& talker = client();
  for (int i = 0; i < 29; ++i) talker.say("", "GET");
  talker.say(bytes, "GET");
  talker.last();
  EXPECT_EQ(lane("GET /busy").responded, 30u);
  EXPECT_EQ(lane("GET /busy").loop_stalls, 0u);
  EXPECT_GE(loop().lag_max_us, 40'000u);  // which the turn's length shows all the same
}

TEST_F(LoopGuarded, TimeBetweenTwoHandlersIsNobodysFault) {
  unsigned in_one_turn = 0;
  app = Router{};  // filled anew each time
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    app.get("/", [](const Request&) { return text("plain"); });
    options.log = [this](const LogEvent& event) {
      if (event.what == "refused") stage->net().pass(1s);  // what is between two handlers here: a slow log hook
      if (event.what == "loop_stalled") log.push_back({std::string{event.what}, {}, {}});
    };
    serve(seed);
    stage->net().options().delay_max = 0s;
    Talker& bad = client();
    Talker& good = client();
    ASSERT_TRUE(until([&] { return stage->shard(0).connection_count() == 2; }));
    const std::uint64_t turns = loop().turns;
    bad.say("GARBAGE\r\n\r\n", "GET");
    good.get("/");
    ASSERT_TRUE(until([&] { return lane("GET /").responded == 1 && tally().refused_requests.read() == 1; }));
    in_one_turn += loop().turns == turns + 1 ? 1u : 0u;
    good.last();
    EXPECT_EQ(lane("GET /").loop_stalls, 0u);
    EXPECT_EQ(lines(), 0u);
    finish();
  }
  EXPECT_GT(in_one_turn, 0u) << "which is the case that matters";
}

TEST_F(LoopGuarded, TheEndOfABodysOwnerIsNobodysFault) {
  unsigned in_one_turn = 0;
  app = Router{};  // filled anew each time
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    app.get("/", [](const Request&) { return text("plain"); });
    app.get("/owned", [this](const Request&) {
      const auto slow_to_end = [this](const std::string* bytes) {
        stage->net().pass(1s);
        delete bytes;
      };
      return Response{}.body(
          SharedBytes{std::shared_ptr<const std::string>{new std::string(4'000'000, 'x'), slow_to_end}});
    });
    serve(seed);
    stage->net().options().delay_max = 0s;
    Talker& stuck = client();
    Talker& good = client();
    stuck.net().set_window(0);
    stuck.get("/owned");
    ASSERT_TRUE(until([&] { return lane("GET /owned").responded == 1; }));
    stage->run_for(10ms);
    const std::uint64_t turns = loop().turns;
    stuck.net().reset();
    good.get("/");
    ASSERT_TRUE(until([&] { return lane("GET /").responded == 1 && tally().closed.read() == 1; }));
    in_one_turn += loop().turns == turns + 1 ? 1u : 0u;
    EXPECT_EQ(lane("GET /").loop_stalls, 0u);
    good.last();
    finish();
  }
  EXPECT_GT(in_one_turn, 0u) << "which is the case that matters";
}

TEST_F(LoopGuarded, OneLineASecondSaysHowManyThereWere) {
  serve();
  Talker& talker = client();
  for (int i = 0; i < 5; ++i) talker.get("/busy?ms=30").last();
  EXPECT_EQ(lines(), 1u);
  EXPECT_EQ(lane("GET /busy").loop_stalls, 5u);
  stage->run_for(1s);
  talker.get("/busy?ms=40").last();
  ASSERT_EQ(lines(), 2u);
  EXPECT_EQ(log.back().detail, "held the loop for 40 ms; 4 more since the last such line");
  stage->run_for(1s);
  talker.get("/busy?ms=40").last();
  ASSERT_EQ(lines(), 3u);
  EXPECT_EQ(log.back().detail, "held the loop for 40 ms");
  EXPECT_EQ(loop().stalls, 7u);
}

TEST_F(LoopGuarded, WhoHoldsTheLoopIsSeenWhileItDoes) {
  std::vector<LoopStatus> seen;
  app.get("/look", [&](const Request&) {
    seen.push_back(loop());
    stage->net().pass(20ms);
    seen.push_back(loop());
    stage->net().pass(100ms);
    seen.push_back(loop());
    return text("looked");
  });
  serve();
  client().get("/look").last();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].stalled_route, "");
  EXPECT_EQ(seen[1].stalled_route, "");
  EXPECT_EQ(seen[2].stalled_route, "GET /look");
  EXPECT_EQ(seen[2].stalled_for_ms, 120u);
  EXPECT_EQ(loop().stalled_route, "");
  EXPECT_EQ(loop().stalled_for_ms, 0u);
}

TEST_F(LoopGuarded, AStopCallbackThatHoldsTheLoopIsItsRoutesFault) {
  std::vector<std::unique_ptr<std::stop_callback<std::function<void()>>>> callbacks;
  std::vector<Responder> held;
  app.get("/hooked", [&](const Request& q, Responder r) {
    const std::function<void()> slow = [this] { stage->net().pass(60ms); };
    callbacks.push_back(std::make_unique<std::stop_callback<std::function<void()>>>(q.stop_token(), slow));
    held.push_back(std::move(r));
  });
  serve();
  Talker& talker = client().get("/hooked");
  ASSERT_TRUE(until([&] { return held.size() == 1; }));
  talker.net().reset();
  ASSERT_TRUE(until([&] { return lane("GET /hooked").loop_stalls == 1; }));
  callbacks.clear();
  held.clear();
}

// ---- calls that may block

class BlockingCalls : public LoopGuarded {
 protected:
  BlockingCalls() {
    options.refuse_blocking = true;
    app.get("/query", [](const Request&) {
      check_may_block("the database");
      return text("rows");
    });
    app.get("/pool", blocking([](const Request&) {
              check_may_block("the database");
              return text(where());
            }));
    app.get("/where", [](const Request&) { return text(where()); });
  }
  static std::string where() { return on_loop_thread() ? "loop" : "elsewhere"; }
};

TEST_F(BlockingCalls, AreRefusedOnTheLoopByName) {
  serve();
  EXPECT_EQ(client().get("/query").last().status, 500);
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].what, "handler_threw");
  EXPECT_EQ(log[0].route, "/query");
  EXPECT_TRUE(log[0].detail.starts_with("the database may block")) << log[0].detail;
  EXPECT_EQ(loop().blocking_calls, 1u);
}

TEST_F(BlockingCalls, AreOnlyCountedIfTheOptionSaysSo) {
  options.refuse_blocking = false;
  serve();
  EXPECT_EQ(client().get("/query").last().body, "rows");
  EXPECT_EQ(loop().blocking_calls, 1u);
  EXPECT_EQ(log.size(), 0u);
}

TEST_F(BlockingCalls, AreFineEverywhereElse) {
  serve();
  EXPECT_EQ(client().get("/pool").last().body, "elsewhere");
  EXPECT_EQ(client().get("/where").last().body, "loop");
  EXPECT_FALSE(on_loop_thread());
  EXPECT_NO_THROW(check_may_block("a test"));
  EXPECT_EQ(loop().blocking_calls, 0u);
}

}  // namespace
}  // namespace sluice::sim
