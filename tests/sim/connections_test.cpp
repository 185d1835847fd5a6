// What one connection promises: answers in order, bounded reading, half-close, Expect, keep-alive of both versions, a
// close that loses nothing, and what happens when there are too many of them.
#include <gtest/gtest.h>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

class Connections : public Stage {
 protected:
  Connections() {
    app.get("/", [](const Request&) { return text("plain"); });
    app.post("/echo", [](const Request& q) { return text(q.body()); });
    app.get("/later", [this](const Request& q, Responder r) {
      tokens.push_back(q.stop_token());
      held.push_back(std::move(r));
    });
  }
  /// A lane of one permit.
  void add_slow(RouteOptions route = {.in_flight_max = 1, .queue_depth_max = 1, .queue_timeout = 1s}) {
    app.add(Method::post, "/slow", slow_handler(), route);
  }
  Handler slow_handler() {
    return blocking([this](const Request& q) {
      ran.emplace_back(q.query("id"));
      sleep(std::chrono::milliseconds{q.query<int>("ms")});
      return text(q.body());
    });
  }
  void occupy() {
    client().ask("POST", "/slow?ms=500&id=first");
    ASSERT_TRUE(until([&] { return lane("POST /slow").in_flight == 1; }));
  }
  bool until_held(std::size_t count) {
    return until([&] { return held.size() == count; });
  }
  void TearDown() override {
    held.clear();
    finish();
  }
  static std::string request(std::string_view target) {
    return "GET " + std::string{target} + " HTTP/1.1\r\nHost: h\r\n\r\n";
  }

  std::vector<Responder> held;
  std::vector<std::stop_token> tokens;
  std::vector<std::string> ran;
};

// ---- pipelining

TEST_F(Connections, PipelinedRequestsAreAnsweredInOrderWhateverTheyTake) {
  app.get("/pool", blocking([](const Request& q) {
            sleep(std::chrono::milliseconds{q.query<int>("ms")});
            return text(q.query("id"));
          }));
  app.get("/loop", [](const Request& q) { return text(q.query("id")); });
  app.get("/async", [this](const Request& q, Responder r) {
    auto kept = std::make_shared<Responder>(std::move(r));
    after(7ms, [kept, id = std::string{q.query("id")}] { kept->respond(text(id)); });
  });
  serve();
  const char* const paths[] = {"/pool?ms=20&id=", "/loop?id=", "/async?id=", "/pool?ms=0&id="};
  std::string bytes;
  for (int i = 0; i < 60; ++i) bytes += request(paths[i % 4] + std::to_string(i));
  Talker& talker = client();
  for (int i = 0; i < 59; ++i) talker.say("", "GET");
  talker.say(bytes, "GET");
  for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(talker.answer(i).body, std::to_string(i));
}

TEST_F(Connections, LongPipelineDoesNotKeepOthersWaiting) {
  options.limits.pipelined_max = 4;
  std::vector<std::string> order;
  app.get("/mark", [&](const Request& q) {
    order.emplace_back(q.query("id"));
    return text("x");
  });
  serve();
  std::string bytes;
  for (int i = 0; i < 64; ++i) bytes += request("/mark?id=many");
  Talker& many = client();
  Talker& one = client();
  ASSERT_TRUE(until([&] { return stage->shard(0).connection_count() == 2; }));
  stage->net().options().delay_max = 0s;
  many.net().send(bytes);
  one.get("/mark?id=one");
  ASSERT_TRUE(until([&] { return order.size() == 65; }));
  const auto place = std::find(order.begin(), order.end(), "one") - order.begin();
  EXPECT_LE(place, 16);
}

TEST_F(Connections, RequestsBehindALargeAnswerAreAnsweredAsSoonAsItIsSent) {
  app.get("/big", [](const Request&) { return text(std::string(65'536, 'b')); });
  serve();  // the net takes an answer in one write, which may be the last thing its turn does
  std::string pipeline;
  for (int i = 0; i < 6; ++i) pipeline += "GET /big HTTP/1.1\r\nHost: h\r\n\r\n";
  Talker& talker = client();
  for (int i = 0; i < 5; ++i) talker.say("", "GET");
  talker.say(pipeline, "GET");
  EXPECT_EQ(talker.answer(5, 1s).body.size(), 65'536u);
}

TEST_F(Connections, ReadingPausesAtTheBoundAndGoesOn) {
  options.limits.head_bytes_max = options.limits.pipelined_bytes_max = 1024;
  options.limits.target_bytes_max = 512;
  serve();
  stage->net().options().receive_buffer_bytes = 2000;
  stage->net().options().segment_bytes_max = 500;
  Talker& talker = client().get("/later");
  ASSERT_TRUE(until_held(1));
  std::string bytes;
  for (int i = 0; i < 500; ++i) bytes += request("/");
  for (int i = 0; i < 499; ++i) talker.say("", "GET");
  talker.say(bytes, "GET");
  stage->run_for(1s);
  bool paused = false;
  stage->shard(0).for_each_connection([&](detail::Connection& c) { paused = c.reading_paused; });
  EXPECT_TRUE(paused);
  EXPECT_GT(talker.net().unsent(), 9'000u);
  EXPECT_LE(stage->loop(0).blocks().bytes_in_use(), 8'192u);
  EXPECT_EQ(held[0].respond(text("at last")), Sent::accepted);
  EXPECT_EQ(talker.last().body, "plain");
  EXPECT_EQ(talker.answers().size(), 501u);
}

TEST_F(Connections, AnswersOwedComeBeforeTheRefusalOfWhatFollows) {
  serve();
  Talker& talker = client().get("/later");
  ASSERT_TRUE(until_held(1));
  talker.say(request("/"), "GET").say("GET / HTTP/1.1\r\nHost : h\r\n\r\n", "GET").say(request("/"), "GET");
  stage->run_for(1s);
  EXPECT_EQ(talker.received(), "");
  held[0].respond(text("first"));
  ASSERT_TRUE(talker.ended());
  const auto answers = talker.answers();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].body, "first");
  EXPECT_EQ(answers[1].body, "plain");
  EXPECT_EQ(answers[2].status, 400);
  EXPECT_EQ(answers[2].header("connection"), "close");
}

// ---- half-close and disconnect

TEST_F(Connections, AnswerOwedSurvivesAFinBehindHalfARequest) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    serve(seed, seed % 2 == 0);
    Talker& talker = client();
    talker.say(request("/") + "GET /hal", "GET");
    talker.net().half_close();
    EXPECT_EQ(talker.answer().body, "plain");
    EXPECT_TRUE(talker.ended(1s));
    EXPECT_FALSE(talker.net().saw_reset());
    finish();
    app.get("/", [](const Request&) { return text("plain"); });
  }
}

TEST_F(Connections, AFinBehindHalfARequestEndsTheConnectionAfterTheAnswerBeforeIt) {
  serve();
  Talker& talker = client().get("/later");
  talker.say("GET /hal");
  talker.net().half_close();
  ASSERT_TRUE(until_held(1));
  stage->run_for(100ms);
  held[0].respond(text("first"));
  EXPECT_EQ(talker.answer().body, "first");
  EXPECT_TRUE(talker.ended(1s));
}

TEST_F(Connections, HalfCloseFiresTheStopTokenAndTheAnswerIsStillSent) {
  serve();
  Talker& talker = client().get("/later");
  ASSERT_TRUE(until_held(1));
  EXPECT_FALSE(tokens[0].stop_requested());
  talker.net().half_close();
  ASSERT_TRUE(until([&] { return tokens[0].stop_requested(); }));
  EXPECT_EQ(held[0].respond(text("all the same")), Sent::accepted);
  const ClientResponse answer = talker.answer();
  EXPECT_EQ(answer.body, "all the same");
  EXPECT_EQ(answer.header("connection"), "close");
  EXPECT_TRUE(talker.ended());
}

TEST_F(Connections, HalfCloseMeansNothingIfTheOptionSaysSo) {
  options.half_close_cancels = false;
  add_slow();
  serve();
  Talker& talker = client().get("/later");
  ASSERT_TRUE(until_held(1));
  occupy();
  Talker& waiting = client().ask("POST", "/slow?ms=0&id=waits");
  ASSERT_TRUE(until([&] { return lane("POST /slow").depth == 1; }));
  talker.net().half_close();
  waiting.net().half_close();
  stage->run_for(100ms);
  EXPECT_FALSE(tokens[0].stop_requested());
  EXPECT_EQ(held[0].respond(text("as if nothing happened")), Sent::accepted);
  EXPECT_EQ(talker.answer().status, 200);
  EXPECT_EQ(waiting.answer().status, 200);
  EXPECT_EQ(ran.back(), "waits");
}

TEST_F(Connections, HalfCloseTakesARequestOutOfItsQueue) {
  add_slow();
  serve();
  occupy();
  Talker& waiting = client().ask("POST", "/slow?ms=0&id=waits");
  ASSERT_TRUE(until([&] { return lane("POST /slow").depth == 1; }));
  waiting.net().half_close();
  ASSERT_TRUE(until([&] { return lane("POST /slow").cancelled == 1; }));
  stage->run_for(2s);
  EXPECT_EQ(ran, std::vector<std::string>{"first"});
  EXPECT_EQ(waiting.received(), "");
}

TEST_F(Connections, HalfCloseWithMoreRequestsBehindCancelsNothing) {
  serve();
  Talker& talker = client().get("/later");
  talker.get("/");
  talker.net().half_close();
  ASSERT_TRUE(until_held(1));
  stage->run_for(100ms);
  EXPECT_FALSE(tokens[0].stop_requested());
  held[0].respond(text("first"));
  EXPECT_EQ(talker.answer(1).body, "plain");
  EXPECT_TRUE(talker.ended());
}

TEST_F(Connections, ResetWhileQueuedMeansThatUserCodeNeverRuns) {
  add_slow();
  serve();
  occupy();
  Talker& waiting = client().ask("POST", "/slow?ms=0&id=waits");
  ASSERT_TRUE(until([&] { return lane("POST /slow").depth == 1; }));
  waiting.net().reset();
  ASSERT_TRUE(until([&] { return lane("POST /slow").cancelled == 1; }));
  EXPECT_EQ(lane("POST /slow").depth, 0u);
  stage->run_for(2s);
  EXPECT_EQ(ran, std::vector<std::string>{"first"});
}

TEST_F(Connections, ResetFiresTheStopToken) {
  serve();
  Talker& talker = client().get("/later");
  ASSERT_TRUE(until_held(1));
  talker.net().reset();
  ASSERT_TRUE(until([&] { return tokens[0].stop_requested(); }));
  EXPECT_EQ(held[0].respond(text("nobody")), Sent::too_late);
}

// ---- Expect

TEST_F(Connections, ContinueIsSentToAClientThatWaits) {
  serve();
  Talker& talker = client();
  talker.say("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", "POST");
  ASSERT_TRUE(until([&] { return talker.received() == "HTTP/1.1 100 Continue\r\n\r\n"; }));
  talker.say("hello");
  EXPECT_EQ(talker.last().body, "hello");
}

TEST_F(Connections, NoContinueForAClientThatDidNotWait) {
  serve();
  Talker& talker = client();
  talker.say("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello", "POST");
  EXPECT_EQ(talker.last().body, "hello");
  EXPECT_TRUE(talker.received().starts_with("HTTP/1.1 200"));
}

struct Withheld {
  const char* name;
  const char* head;
  int status;
};

class RefusedExpectation : public Connections, public ::testing::WithParamInterface<Withheld> {};

TEST_P(RefusedExpectation, GetsTheFinalStatusAndNo100) {
  add_slow();
  serve();
  occupy();
  client().ask("POST", "/slow?ms=0&id=second");
  ASSERT_TRUE(until([&] { return lane("POST /slow").depth == 1; }));
  Talker& talker = client();
  talker.say(std::string{GetParam().head} + " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n" +
                 (GetParam().status == 413 ? "Content-Length: 99999999\r\n\r\n" : "Content-Length: 5\r\n\r\n"),
             "POST");
  const ClientResponse answer = talker.last();
  EXPECT_EQ(answer.status, GetParam().status);
  EXPECT_EQ(answer.header("connection"), "close");  // nobody knows whether the body will come
  EXPECT_EQ(talker.received().find("100 Continue"), std::string::npos);
  EXPECT_TRUE(talker.ended());
}

INSTANTIATE_TEST_SUITE_P(Rows, RefusedExpectation,
                         ::testing::Values(Withheld{"QueueFull", "POST /slow?ms=0&id=x", 503},
                                           Withheld{"TooLarge", "POST /echo", 413},
                                           Withheld{"NotFound", "POST /none", 404},
                                           Withheld{"NotAllowed", "PUT /echo", 405}),
                         [](const auto& instance) { return instance.param.name; });

TEST_F(Connections, AdmissionIsDecidedAgainWhenTheBodyIsThere) {
  add_slow();
  serve();
  Talker& talker = client();
  talker.say("POST /slow?ms=0&id=late HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
             "POST");
  ASSERT_TRUE(until([&] { return talker.received() == "HTTP/1.1 100 Continue\r\n\r\n"; }));
  occupy();
  client().ask("POST", "/slow?ms=0&id=second");
  ASSERT_TRUE(until([&] { return lane("POST /slow").depth == 1; }));
  talker.say("hello");
  const ClientResponse answer = talker.last();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.header("x-request-outcome"), "not-started");
  EXPECT_EQ(answer.header("connection"), "");
  EXPECT_EQ(lane("POST /slow").received, 3u);
}

// ---- versions and endings

TEST_F(Connections, Http10IsClosedUnlessItAsksForMore) {
  serve();
  Talker& once = client();
  once.say("GET / HTTP/1.0\r\n\r\n", "GET");
  EXPECT_EQ(once.last().header("connection"), "close");
  EXPECT_TRUE(once.ended());
  Talker& again = client();
  again.say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET");
  EXPECT_EQ(again.last().header("connection"), "keep-alive");
  EXPECT_EQ(again.get("/").last().body, "plain");
}

TEST_F(Connections, RefusedUploaderReadsItsAnswerAlthoughItGoesOnSending) {
  serve();
  Talker& talker = client();
  talker.say("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n", "POST");
  for (int i = 1; i <= 20; ++i) {
    after(10ms * i, [&talker] { talker.say(std::string(2000, 'b')); });
  }
  EXPECT_TRUE(talker.ended());
  EXPECT_FALSE(talker.net().saw_reset());
  EXPECT_EQ(talker.last().status, 413);
  stage->run_for(300ms);
  EXPECT_FALSE(talker.net().saw_reset());
  talker.net().close();
  ASSERT_TRUE(until([&] { return stage->shard(0).connection_count() == 0; }));
}

TEST_F(Connections, LingeringEndsAfterItsTime) {
  serve();
  Talker& talker = client();
  talker.say("GARBAGE\r\n\r\n", "GET");
  EXPECT_TRUE(talker.ended());
  const base::TimePoint begin = stage->now();
  ASSERT_TRUE(until([&] { return stage->shard(0).connection_count() == 0; }));
  EXPECT_GE(stage->now() - begin, 1900ms);
  EXPECT_LE(stage->now() - begin, 2100ms);
}

TEST_F(Connections, LingeringReadsNoMoreThanItsBytes) {
  serve();
  Talker& talker = client();
  talker.say("GARBAGE\r\n\r\n", "GET");
  EXPECT_TRUE(talker.ended());
  talker.say(std::string(200'000, 'b'));
  const base::TimePoint begin = stage->now();
  ASSERT_TRUE(until([&] { return stage->shard(0).connection_count() == 0; }));
  EXPECT_LE(stage->now() - begin, 2100ms);  // a close with bytes unread would be a reset: it waits for its time instead
  EXPECT_LE(stage->loop(0).counters().bytes_received.value(), 140'000u);
}

TEST_F(Connections, ClosesAtOnceBehindTheAnswerToAClientThatAskedForIt) {
  serve();
  for (const std::string request :
       {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nplain"}) {
    Talker& talker = client();
    talker.say(request, "GET");
    const base::TimePoint begin = stage->now();
    EXPECT_EQ(talker.last().body, "plain");
    ASSERT_TRUE(until([&] { return stage->shard(0).connection_count() == 0; }));
    EXPECT_LT(stage->now() - begin, 100ms) << "the client has not closed its side, and need not";
    EXPECT_TRUE(talker.ended());
    EXPECT_FALSE(talker.net().saw_reset());
  }
}

TEST_F(Connections, LingersBehindTheLastAnswerIfTheClientHasSentMore) {
  serve();
  Talker& talker = client();
  talker.say("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n", "GET");
  EXPECT_EQ(talker.last().body, "plain");
  EXPECT_TRUE(talker.ended());
  talker.say("Host: h\r\n\r\n");
  const base::TimePoint begin = stage->now();
  ASSERT_TRUE(until([&] { return stage->shard(0).connection_count() == 0; }));
  EXPECT_GE(stage->now() - begin, 1900ms);
  EXPECT_FALSE(talker.net().saw_reset());
}

TEST_F(Connections, BytesThatTheLoopCopiesAreCounted) {
  serve();
  Talker& talker = client();
  // Beyond the answer's own: each byte of a request is copied when it is kept, and perhaps again with what comes behind.
  const auto copied_of_request = [&](const std::string& first, const std::string& second) {
    const std::uint64_t before = tally().bytes_copied.read();
    const std::size_t received = talker.received().size();
    talker.say(first, "POST");
    stage->run_for(5ms);
    if (!second.empty()) talker.say(second);
    talker.last();
    stage->run_for(5ms);
    return tally().bytes_copied.read() - before - (talker.received().size() - received);
  };
  const std::string head = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";
  EXPECT_LE(copied_of_request(head + "hello", ""), 3 * (head.size() + 5));
  const std::uint64_t in_two = copied_of_request(head + "he", "llo");
  EXPECT_GE(in_two, head.size() + 5) << "head and body are kept";
  EXPECT_LE(in_two, 3 * (head.size() + 5));
}

TEST_F(Connections, SmallRefusedBodyIsThrownAwayAndTheConnectionKept) {
  serve();
  Talker& talker = client();
  talker.ask("POST", "/none", {}, std::string(30'000, 'b'));
  EXPECT_EQ(talker.last().status, 404);
  EXPECT_EQ(talker.get("/").last().body, "plain");
  talker.say("POST /none HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "POST");
  EXPECT_EQ(talker.last().status, 404);
  EXPECT_EQ(talker.get("/").last().body, "plain");
}

TEST_F(Connections, IdleOnesAreClosedAfterTheirTime) {
  serve();
  Talker& talker = client().get("/");
  talker.last();
  const base::TimePoint begin = stage->now();
  ASSERT_TRUE(talker.ended());
  EXPECT_GE(stage->now() - begin, 59s);
  EXPECT_LE(stage->now() - begin, 61s);
  EXPECT_EQ(tally().idle_closed.read(), 1u);
}

TEST_F(Connections, AnAnswerStillBeingReadIsNotIdleness) {
  options.limits.idle_timeout = 3s;
  app.get("/big", [](const Request&) { return text(std::string(60'000, 'x')); });
  serve();
  stage->net().options().send_buffer_bytes = 4096;
  Talker& slow = client();
  slow.net().set_window(1000);
  slow.get("/big");
  for (int i = 1; i < 20; ++i) {
    after(5s * i, [&slow] { slow.net().set_window(4000); });
  }
  EXPECT_EQ(slow.answer(0, 200s).body.size(), 60'000u);
}

// ---- too many

TEST_F(Connections, CapPausesAcceptingAndAPlaceThatIsFreeResumesIt) {
  options.limits.connections_max = 2;
  serve();
  Talker& one = client().get("/");
  Talker& two = client().get("/");
  EXPECT_EQ(one.last().status, 200);
  EXPECT_EQ(two.last().status, 200);
  Talker& three = client().get("/");
  stage->run_for(500ms);  // the idle ones keep their places for a second, see memory_test
  EXPECT_EQ(three.received(), "");
  EXPECT_EQ(stage->shard(0).connection_count(), 2u);
  EXPECT_EQ(tally().accept_pauses.read(), 1u);
  one.net().close();
  EXPECT_EQ(three.last().status, 200);
}

TEST_F(Connections, RunningOutOfDescriptorsIsSurvived) {
  serve();
  stage->net().script({net::SimOp::accept, 2, net::SimFault::no_descriptors});
  EXPECT_EQ(client().get("/").last().status, 200);
  EXPECT_EQ(client().get("/").last().status, 200);  // a moment later
  EXPECT_EQ(stage->net().applied(net::SimOp::accept, net::SimFault::no_descriptors), 1u);
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].what, "accept_paused");
  EXPECT_EQ(tally().accept_pauses.read(), 1u);
}

}  // namespace
}  // namespace sluice::sim
