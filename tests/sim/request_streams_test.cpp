// Request bodies that are read as they arrive: what the reader sees, backpressure down to the client, limits while the
// body streams, invitations, early answers, and what becomes of the connection behind a body that was not read.
#include <gtest/gtest.h>

#include <sstream>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

std::string chunked(std::string_view body, std::size_t piece, std::string_view trailers = {}) {
  std::string text;
  for (std::size_t at = 0; at < body.size(); at += piece) {
    const std::string_view part = body.substr(at, piece);
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    text += size;
    text += part;
    text += "\r\n";
  }
  return text + "0\r\n" + std::string{trailers} + "\r\n";
}

constexpr std::string_view chunked_head = "POST /pool HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

class RequestStreams : public Stage {
 protected:
  RequestStreams() {
    const RouteOptions streamed{.in_flight_max = 4, .body_bytes_max = 10'000'000, .stream_body = true};
    app.get("/", [](const Request&) { return text("plain"); });
    // Reads everything on a worker, `pause` virtual milliseconds before each piece.
    app.post("/pool", blocking([this](const Request& q) {
               BodyReader body = q.body_reader();
               std::string all;
               char piece[9'000];
               ++started;
               for (;;) {
                 if (pause.count() > 0) sleep(pause);
                 const std::size_t count = body.read(piece);
                 if (count == 0) break;
                 all.append(piece, count);
               }
               trailers = body.trailers();
               return text(std::move(all));
             }),
             streamed);
    // Keeps the reader and its responder for the test to use.
    app.post(
        "/held",
        [this](const Request& q, Responder r) {
          token = q.stop_token();
          reader = q.body_reader();
          responder.emplace(std::move(r));
          ++started;
        },
        streamed);
  }
  bool until_started() {
    return until([&] { return started > 0; });
  }
  /// Reads until that much was read, or nothing more will come.
  std::string read_all_of(std::size_t size) {
    std::string all;
    EXPECT_TRUE(until([&] {
      all += read_now();
      return all.size() >= size || last.state != BodyRead::State::later;
    }));
    return all;
  }
  /// Reads until nothing is there.
  std::string read_now() {
    std::string all;
    char piece[4'000];
    for (;;) {
      last = reader.try_read(piece);
      if (last.state != BodyRead::State::data) return all;
      all.append(piece, last.bytes);
    }
  }
  void TearDown() override {
    reader = BodyReader{};
    responder.reset();
    finish();
  }

  std::chrono::milliseconds pause{0};
  std::vector<std::pair<std::string, std::string>> trailers;
  BodyReader reader;
  std::optional<Responder> responder;
  std::stop_token token;
  BodyRead last;
  int started = 0;
  char byte = 0;
};

using State = BodyRead::State;

TEST_F(RequestStreams, AWorkerReadsABodyLargerThanAnyBuffer) {
  serve();
  const std::string body = pattern(2'000'000);
  Talker& talker = client().ask("POST", "/pool", {}, body);
  EXPECT_EQ(talker.answer().body, body);
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
}

TEST_F(RequestStreams, AChunkedBodyComesDecodedAndItsTrailersBehindIt) {
  serve();
  const std::string body = pattern(300'000);
  Talker& talker = client().say(
      std::string{chunked_head} + chunked(body, 7'000, "X-Sum: 42\r\nContent-Length: 5\r\nX-Empty:\r\n"), "POST");
  EXPECT_EQ(talker.answer().body, body);
  ASSERT_EQ(trailers.size(), 2u);  // what would frame a message is not among them
  EXPECT_EQ(trailers[0], (std::pair<std::string, std::string>{"X-Sum", "42"}));
  EXPECT_EQ(trailers[1].second, "");
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
}

TEST_F(RequestStreams, TrailersThatFrameRouteOrChangeARequestAreNotHandedOn) {
  serve();
  std::istringstream forbidden{
      "Content-Length Transfer-Encoding TE Trailer Connection Keep-Alive Proxy-Connection Upgrade Host Forwarded "
      "X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto Max-Forwards Authorization Proxy-Authorization Cookie Expect "
      "Range If-Match If-None-Match If-Modified-Since If-Unmodified-Since If-Range Cache-Control Pragma Content-Type "
      "Content-Encoding Content-Language Content-Location Content-Disposition Content-Range sET-cOOKIE"};
  std::string lines;
  for (std::string name; forbidden >> name;) lines += name + ": x\r\n";
  client()
      .say(std::string{chunked_head} + chunked("body", 7, lines + "Content-Digest: 1\r\nX-If-Match: 2\r\n"), "POST")
      .last();
  std::string names;
  for (const auto& [name, value] : trailers) names += name + " ";
  EXPECT_EQ(names, "Content-Digest X-If-Match ");
}

TEST_F(RequestStreams, TheHandlerStartsBeforeTheBodyIsThere) {
  serve();
  Talker& talker = client().say("POST /held HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n", "POST");
  ASSERT_TRUE(until_started());
  EXPECT_EQ(read_now(), "");
  EXPECT_EQ(last.state, State::later);
  bool ready = false;
  reader.on_ready([&] { ready = true; });
  stage->run_for(1s);
  EXPECT_FALSE(ready);
  talker.say("12345");
  EXPECT_TRUE(until([&] { return ready; }));
  EXPECT_EQ(read_all_of(5), "12345");
  EXPECT_EQ(last.state, State::later);
  talker.say("67890");
  ready = false;
  reader.on_ready([&] { ready = true; });
  EXPECT_TRUE(until([&] { return ready; }));
  EXPECT_EQ(read_all_of(6), "67890");
  EXPECT_EQ(last.state, State::end);
  responder->respond(text("done"));
  EXPECT_EQ(talker.answer().body, "done");
}

TEST_F(RequestStreams, WhatIsNotReadStaysWithTheClient) {
  options.limits.body_window_bytes = 20'000;
  serve();
  stage->net().options().receive_buffer_bytes = 10'000;
  const std::string body = pattern(1'000'000);
  Talker& talker = client().ask("POST", "/held", {}, body);
  ASSERT_TRUE(until_started());
  stage->run_for(1s);
  EXPECT_EQ(reader.try_read({&byte, 1}).state, State::later);  // from here on it is read ahead
  stage->run_for(3s);
  // The window, what is kept behind it, and the socket.
  EXPECT_GE(talker.net().unsent(), body.size() - 20'000 - 64 * 1024 - 65'536 - 20'000);
  EXPECT_LE(tally().bytes_buffered.read(), 300u * 1024);
  std::string all;
  EXPECT_TRUE(until([&] {
    all += read_now();
    return last.state == State::end;
  }));
  EXPECT_EQ(all, body);
  responder->respond(text("done"));
  EXPECT_EQ(talker.answer().body, "done");
}

TEST_F(RequestStreams, ABodyThatIsReadGoesOnWhileOthersWaitForMemory) {
  app.post("/whole", [](const Request& q) { return text(q.body()); });
  options.limits.buffered_bytes_max = 298'000;
  serve();
  Talker& large = client().say("POST /whole HTTP/1.1\r\nHost: h\r\nContent-Length: 250000\r\n\r\n" + pattern(240'000));
  ASSERT_TRUE(until([&] { return stage->shard(0).pressure() >= detail::Pressure::hold; }));
  const std::string body = pattern(200'000);
  Talker& talker = client().ask("POST", "/held", {}, body);
  ASSERT_TRUE(until_started());
  EXPECT_EQ(read_all_of(body.size()), body);
  EXPECT_GE(stage->shard(0).pressure(), detail::Pressure::hold);
  responder->respond(text("done"));
  EXPECT_EQ(talker.answer().body, "done");
  large.net().reset();
}

TEST_F(RequestStreams, AnnouncedTooLargeItIsRefusedBeforeTheHandler) {
  serve();
  Talker& talker = client().say("POST /held HTTP/1.1\r\nHost: h\r\nContent-Length: 10000001\r\n\r\n", "POST");
  EXPECT_EQ(talker.answer().status, 413);
  EXPECT_EQ(started, 0);
}

TEST_F(RequestStreams, AChunkThatGoesOverTheLimitIs413WithoutBeingRead) {
  app.post("/small", blocking([](const Request& q) {
             BodyReader body = q.body_reader();
             return text(body.read_all(100'000));
           }),
           {.body_bytes_max = 1'000, .stream_body = true});
  serve();
  Talker& talker = client().say(
      "POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "1F4\r\n" +
          std::string(500, 'x') + "\r\n7FFFFFFF\r\n",
      "POST");
  EXPECT_EQ(talker.answer().status, 413);
  EXPECT_TRUE(talker.ended());
  EXPECT_EQ(lane("POST /small").raised, 1u);
}

TEST_F(RequestStreams, AMalformedChunkIs400AndTheEnd) {
  serve();
  Talker& talker =
      client().say(std::string{chunked_head} + "5\r\nhelloXX\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST");
  EXPECT_EQ(talker.answer().status, 400);
  EXPECT_TRUE(talker.ended());
  EXPECT_EQ(talker.answers().size(), 1u);
}

TEST_F(RequestStreams, AClientTooSlowForAWaitingReaderIs408) {
  serve();
  Talker& talker = client().say("POST /pool HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n", "POST");
  const base::TimePoint begin = stage->now();
  for (int i = 1; i < 200; ++i) after(100ms * i, [&talker] { talker.net().send("x"); });
  EXPECT_EQ(talker.answer().status, 504);  // the budget of 5 s is over before it can be judged
  EXPECT_LE(stage->now() - begin, 6s);
}

TEST_F(RequestStreams, TooSlowWithinALongBudgetIs408) {
  app.post("/long", blocking([](const Request& q) { return text(q.body_reader().read_all(1'000'000)); }),
           {.budget = 60s, .stream_body = true});
  serve();
  Talker& talker = client().say("POST /long HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n", "POST");
  const base::TimePoint begin = stage->now();
  for (int i = 1; i < 600; ++i) after(100ms * i, [&talker] { talker.net().send("x"); });
  EXPECT_EQ(talker.answer().status, 408);
  EXPECT_GE(stage->now() - begin, 5s);
  EXPECT_LE(stage->now() - begin, 8s);
  EXPECT_EQ(tally().body_timeouts.read(), 1u);
}

TEST_F(RequestStreams, ASlowReaderIsNoReasonToBlameTheClient) {
  app.post("/slow", blocking([](const Request& q) {
             BodyReader body = q.body_reader();
             std::size_t sum = 0;
             char piece[4'000];
             while (const std::size_t count = body.read(piece)) {
               sum += count;
               sleep(500ms);
             }
             return text(std::to_string(sum));
           }),
           {.budget = 120s, .body_bytes_max = 1'000'000, .stream_body = true});
  serve();
  EXPECT_EQ(client().ask("POST", "/slow", {}, pattern(300'000)).answer(0, 200s).body, "300000");
  EXPECT_EQ(tally().body_timeouts.read(), 0u);
}

TEST_F(RequestStreams, TheBudgetHoldsForTheBodyTooAndEndsAWaitingRead) {
  app.post("/short", blocking([this](const Request& q) -> Response {
             ++started;
             try {
               return text(q.body_reader().read_all(1'000));
             } catch (const Problem& problem) {
               EXPECT_EQ(problem.status(), 504);
               throw;
             }
           }),
           {.budget = 200ms, .stream_body = true});
  serve();
  Talker& talker = client().say("POST /short HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", "POST");
  const base::TimePoint begin = stage->now();
  EXPECT_EQ(talker.answer().status, 504);
  EXPECT_LE(stage->now() - begin, 205ms);
  EXPECT_TRUE(talker.ended());
  EXPECT_TRUE(until([&] { return lane("POST /short").in_flight == 0; }));
  EXPECT_EQ(lane("POST /short").timed_out, 1u);
}

TEST_F(RequestStreams, AFinInTheMiddleEndsTheRead) {
  serve();
  Talker& talker = client().say("POST /held HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", "POST");
  ASSERT_TRUE(until_started());
  EXPECT_EQ(read_all_of(4), "half");
  bool ready = false;
  reader.on_ready([&] { ready = true; });
  talker.net().half_close();
  EXPECT_TRUE(until([&] { return ready; }));
  EXPECT_EQ(read_now(), "");
  EXPECT_EQ(last.state, State::failed);
  EXPECT_EQ(reader.problem().status(), 499);
  EXPECT_TRUE(token.stop_requested());
  EXPECT_EQ(lane("POST /held").abandoned, 1u);
  EXPECT_EQ(responder->respond(text("late")), Sent::too_late);
}

TEST_F(RequestStreams, AResetInTheMiddleEndsTheRead) {
  serve();
  Talker& talker = client().say("POST /pool HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", "POST");
  ASSERT_TRUE(until_started());
  stage->run_for(100ms);
  talker.net().reset();
  EXPECT_TRUE(until([&] { return lane("POST /pool").in_flight == 0; }));
  EXPECT_EQ(lane("POST /pool").abandoned, 1u);
}

// ---- early answers

TEST_F(RequestStreams, AnEarlyAnswerReachesAClientThatGoesOnSending) {
  serve();
  stage->net().options().receive_buffer_bytes = 10'000;
  Talker& talker = client().ask("POST", "/held", {}, pattern(5'000'000));
  ASSERT_TRUE(until_started());
  responder->respond(Response{403});
  const ClientResponse answer = talker.answer();
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.header("connection"), "close");
  EXPECT_FALSE(talker.net().saw_reset());
  EXPECT_EQ(reader.try_read({&byte, 1}).state, State::failed);
  EXPECT_TRUE(talker.ended());
}

TEST_F(RequestStreams, ASmallRestIsThrownAwayAndTheConnectionKept) {
  serve();
  Talker& talker =
      client().say("POST /held HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + pattern(400), "POST");
  ASSERT_TRUE(until_started());
  EXPECT_EQ(read_all_of(400).size(), 400u);
  responder->respond(text("enough"));
  EXPECT_EQ(talker.answer().body, "enough");
  // The rest looks like a request, and is none.
  const std::string rest = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
  talker.say(rest + std::string(600 - rest.size(), 'x'));
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
  stage->run_for(1s);
  EXPECT_EQ(talker.answers().size(), 2u);
}

TEST_F(RequestStreams, AChunkedRestIsThrownAwayUpToTheBound) {
  serve();
  Talker& talker = client().say(
      "POST /held HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n",
      "POST");
  ASSERT_TRUE(until_started());
  responder->respond(text("enough"));
  EXPECT_EQ(talker.answer().body, "enough");
  talker.say(chunked("GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 1000));
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
  EXPECT_EQ(talker.answers().size(), 2u);
}

TEST_F(RequestStreams, ARefusedOneTakesItsBodyWithIt) {
  app.post("/one", blocking([](const Request& q) {
             sleep(500ms);
             return text(q.body_reader().read_all(1'000));
           }),
           {.in_flight_max = 1, .queue_depth_max = 1, .queue_timeout = 100ms, .stream_body = true});
  serve();
  Talker& busy = client().ask("POST", "/one", {}, "first");
  ASSERT_TRUE(until([&] { return lane("POST /one").in_flight == 1; }));
  Talker& waits = client().ask("POST", "/one", {}, "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(until([&] { return lane("POST /one").depth == 1; }));
  Talker& refused = client().ask("POST", "/one", {}, "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n").get("/");
  EXPECT_EQ(refused.answer(0).status, 503);
  EXPECT_EQ(refused.answer(1).body, "plain");
  EXPECT_EQ(waits.get("/").answer(0).status, 503);  // its time in the queue is over
  EXPECT_EQ(waits.answer(1).body, "plain");
  EXPECT_EQ(busy.answer().body, "first");
}

// ---- invitations

TEST_F(RequestStreams, TheFirstReadInvitesTheBody) {
  serve();
  Talker& talker =
      client().say("POST /held HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", "POST");
  ASSERT_TRUE(until_started());
  stage->run_for(1s);
  EXPECT_EQ(talker.received(), "");
  EXPECT_EQ(read_now(), "");
  EXPECT_TRUE(until([&] { return talker.received() == "HTTP/1.1 100 Continue\r\n\r\n"; }));
  talker.say("hello");
  EXPECT_EQ(read_all_of(5), "hello");
  responder->respond(text("thanks"));
  EXPECT_EQ(talker.answer().body, "thanks");
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
}

TEST_F(RequestStreams, AnAnswerWithoutAReadIsFinalAndNo100ComesBeforeIt) {
  serve();
  Talker& talker =
      client().say("POST /held HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", "POST");
  ASSERT_TRUE(until_started());
  responder->respond(Response{403});
  EXPECT_EQ(talker.answer().status, 403);
  EXPECT_TRUE(talker.received().starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(talker.ended());  // whether the body comes is not to be known
}

TEST_F(RequestStreams, OnExpectRefusesBeforeABufferedBodyIsRead) {
  int asked = 0;
  app.post("/guarded", [](const Request& q) { return text(q.body()); },
           {.on_expect = [&](const Request& q) -> std::optional<Response> {
             ++asked;
             if (q.header("X-Key") == "right") return std::nullopt;
             return Response{417}.header("X-Why", "no key");
           }});
  serve();
  const std::string head = "POST /guarded HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n";
  Talker& wrong = client().say(head + "\r\n", "POST");
  EXPECT_EQ(wrong.answer().status, 417);
  EXPECT_EQ(wrong.answer().header("x-why"), "no key");
  EXPECT_TRUE(wrong.ended());
  Talker& right = client().say(head + "X-Key: right\r\n\r\n", "POST");
  EXPECT_TRUE(until([&] { return right.received() == "HTTP/1.1 100 Continue\r\n\r\n"; }));
  EXPECT_EQ(right.say("hello").answer().body, "hello");
  EXPECT_EQ(client().ask("POST", "/guarded", {}, "hello").answer().body, "hello");  // it did not ask
  EXPECT_EQ(asked, 2);
}

TEST_F(RequestStreams, OnExpectThatThrowsIs500) {
  app.post("/guarded", [](const Request& q) { return text(q.body()); },
           {.on_expect = [](const Request&) -> std::optional<Response> { throw std::runtime_error{"broke"}; }});
  serve();
  Talker& talker =
      client().say("POST /guarded HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", "POST");
  EXPECT_EQ(talker.answer().status, 500);
  EXPECT_TRUE(talker.ended());
}

// ---- misuse and the rest

TEST_F(RequestStreams, ABufferedBodyIsReadTheSameWay) {
  app.post("/buffered", blocking([](const Request& q) { return text(q.body_reader().read_all(1'000)); }));
  serve();
  EXPECT_EQ(client().ask("POST", "/buffered", {}, "as one").answer().body, "as one");
}

TEST_F(RequestStreams, ARequestWithoutABodyIsAtItsEnd) {
  serve();
  EXPECT_EQ(client().ask("POST", "/pool").answer().body, "");
}

TEST_F(RequestStreams, TheReaderIsGivenOnce) {
  app.post("/twice", blocking([](const Request& q) {
             const BodyReader first = q.body_reader();
             EXPECT_THROW(q.body_reader(), std::logic_error);
             return text("ok");
           }));
  app.post("/in_place", [](const Request& q) {
    EXPECT_THROW(q.body_reader(), std::logic_error);
    return text("ok");
  });
  serve();
  EXPECT_EQ(client().ask("POST", "/twice", {}, "x").answer().body, "ok");
  EXPECT_EQ(client().ask("POST", "/in_place", {}, "x").answer().body, "ok");
}

TEST_F(RequestStreams, APlainHandlerOnTheLoopCannotStream) {
  EXPECT_THROW(app.post("/plain", [](const Request&) { return text("x"); }, {.stream_body = true}),
               std::invalid_argument);
}

TEST_F(RequestStreams, ADrainEndsAWaitingRead) {
  serve();
  Talker& talker = client().say("POST /pool HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", "POST");
  ASSERT_TRUE(until_started());
  stage->drain(1s);
  EXPECT_TRUE(talker.ended());
  EXPECT_TRUE(until([&] { return stage->over(); }));
  EXPECT_EQ(lane("POST /pool").abandoned, 1u);
}

// A gateway: what comes in goes out again, with backpressure both ways, under any schedule.
class GatewaySeeds : public RequestStreams, public ::testing::WithParamInterface<int> {};

TEST_P(GatewaySeeds, WhatComesInGoesOut) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  int ended = 0;
  app.post("/through", blocking([&](const Request& q, Responder r) {
             BodyReader in = q.body_reader();
             ResponseWriter out = std::move(r).stream(Response{});
             char piece[5'000];
             try {
               while (const std::size_t count = in.read(piece)) {
                 if (!out.write({piece, count})) break;
               }
               out.finish();
             } catch (const Problem&) {}
             ++ended;
           }),
           {.budget = 100s, .body_bytes_max = 1'000'000, .stream_body = true});
  options.loops = 1 + static_cast<unsigned>(GetParam()) % 2;
  options.limits.body_window_bytes = 1'000 + 13 * static_cast<unsigned>(GetParam());
  options.limits.output_high_water = 2'000 + 17 * static_cast<unsigned>(GetParam());
  serve(seed, GetParam() % 3 == 1);
  net::SimOptions& net = stage->net().options();
  net.segment_bytes_max = 1'500;
  net.send_buffer_bytes = stage->net().random().between(500, 20'000);
  net.receive_buffer_bytes = stage->net().random().between(500, 20'000);
  const bool calm = GetParam() % 4 != 0;
  if (!calm) stage->net().random_faults(1'000, true);
  const std::string body = pattern(100'000);
  std::vector<Talker*> talkers;
  for (int i = 0; i < 3; ++i) {
    Talker& talker = client();
    if (i == 1) {
      talker.say("POST /through HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, 977),
                 "POST");
    } else {
      talker.ask("POST", "/through", {}, body);
    }
    if (i == 2) {
      talker.net().set_window(3'000);
      after(2s, [&talker] { talker.net().set_window(net::SimClient::unlimited); });
    }
    talker.get("/");
    talkers.push_back(&talker);
  }
  EXPECT_TRUE(until([&] { return !calm || ended == 3; }));
  stage->run_for(20s);
  for (Talker* talker : talkers) {
    const auto answers = talker->answers();
    if (answers.size() == 2 && answers[0].complete) {
      EXPECT_EQ(answers[0].body, body);
      EXPECT_EQ(answers[1].body, "plain");
    } else {
      EXPECT_FALSE(calm) << "a calm net broke a stream: " << answers.size() << " answers, "
                         << talker->received().substr(0, 300) << stage->describe();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Schedules, GatewaySeeds, ::testing::Range(1, 81));

}  // namespace
}  // namespace sluice::sim
