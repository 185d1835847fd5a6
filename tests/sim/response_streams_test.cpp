// Answers whose body is written in pieces: framing for each kind of client, backpressure from any thread, and what
// becomes of them when somebody gives up.
#include <gtest/gtest.h>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

class ResponseStreams : public Stage {
 protected:
  ResponseStreams() {
    app.get("/", [](const Request&) { return text("plain"); });
    app.get("/held", [this](const Request& q, Responder r) {
      token = q.stop_token();
      StreamOptions how;
      if (q.has_query("length")) how.length = q.query<std::uint64_t>("length");
      writer = std::move(r).stream(Response{}.content_type("text/plain"), how);
      ++begun;
    });
    app.get("/pool", blocking([this](const Request& q, Responder r) {
              const std::string body = pattern(q.query<std::size_t>("bytes"));
              ResponseWriter out = std::move(r).stream(Response{});
              for (std::size_t at = 0; at < body.size(); at += 10'000) {
                if (!out.write(std::string_view{body}.substr(at, 10'000))) {
                  ++gave_up;
                  return;
                }
                room_least = std::min(room_least, out.room());
              }
              finished += out.finish();
            }));
  }
  bool until_begun() {
    return until([&] { return begun > 0; });
  }
  void TearDown() override {
    writer = ResponseWriter{};
    finish();
  }

  ResponseWriter writer;
  std::stop_token token;
  int begun = 0, gave_up = 0, finished = 0;
  std::size_t room_least = 1 << 30;
};

TEST_F(ResponseStreams, PiecesAreChunksAndTheConnectionGoesOn) {
  serve();
  Talker& talker = client().get("/held");
  ASSERT_TRUE(until_begun());
  EXPECT_EQ(writer.try_write("one "), 4u);
  writer.flush();
  ASSERT_TRUE(until([&] { return talker.received().ends_with("4\r\none \r\n"); }));
  EXPECT_EQ(writer.try_write("two"), 3u);
  EXPECT_TRUE(writer.finish());
  const ClientResponse answer = talker.answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("transfer-encoding"), "chunked");
  EXPECT_EQ(answer.header("content-length"), "");
  EXPECT_EQ(answer.body, "one two");
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
  EXPECT_EQ(lane("GET /held").responded, 1u);
}

TEST_F(ResponseStreams, TheConnectionIsIdleFromTheEndOnWhateverTheWriteTimeoutIs) {
  options.limits.idle_timeout = 5s;
  options.limits.write_timeout = 60s;
  serve();
  Talker& talker = client().get("/held");
  ASSERT_TRUE(until_begun());
  writer.try_write("one ");
  writer.flush();
  stage->run_for(20s);  // no timer is left: nothing waits to be written, and the stream may take its time
  EXPECT_EQ(writer.try_write("two"), 3u);
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(talker.answer().body, "one two");
  const base::TimePoint begin = stage->now();
  ASSERT_TRUE(talker.ended());
  EXPECT_GE(stage->now() - begin, 4900ms);
  EXPECT_LE(stage->now() - begin, 5100ms);
}

TEST_F(ResponseStreams, SmallPiecesAreGatheredUntilTheyAreFlushed) {
  serve();
  Talker& talker = client().get("/held");
  ASSERT_TRUE(until_begun());
  writer.try_write("small");
  stage->run_for(1s);
  EXPECT_TRUE(talker.received().ends_with("\r\n\r\n")) << talker.received();
  writer.try_write(std::string(5000, 'x'));
  EXPECT_TRUE(until([&] { return talker.received().size() > 5000; }));
}

TEST_F(ResponseStreams, AKnownLengthIsAnnouncedAndHeldTo) {
  serve();
  Talker& talker = client().get("/held?length=5");
  ASSERT_TRUE(until_begun());
  EXPECT_THROW(writer.try_write("123456"), std::length_error);
  EXPECT_EQ(writer.try_write("12345"), 5u);
  EXPECT_THROW(writer.try_write("6"), std::length_error);
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(talker.answer().header("content-length"), "5");
  EXPECT_EQ(talker.answer().body, "12345");
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
}

TEST_F(ResponseStreams, LessThanTheKnownLengthCutsTheConnection) {
  serve();
  Talker& talker = client().get("/held?length=5");
  ASSERT_TRUE(until_begun());
  writer.try_write("123");
  EXPECT_FALSE(writer.finish());
  EXPECT_TRUE(talker.ended());
  EXPECT_TRUE(talker.net().saw_reset());
}

TEST_F(ResponseStreams, ForHttp10TheEndOfTheConnectionIsTheEnd) {
  serve();
  Talker& talker = client().say("GET /held HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET");
  ASSERT_TRUE(until_begun());
  writer.try_write("all of it");
  EXPECT_TRUE(writer.finish());
  EXPECT_TRUE(talker.ended());
  EXPECT_FALSE(talker.net().saw_reset());
  EXPECT_EQ(talker.answers()[0].header("transfer-encoding"), "");
  EXPECT_EQ(talker.answers()[0].header("connection"), "close");
  EXPECT_EQ(talker.answers()[0].body, "all of it");
}

TEST_F(ResponseStreams, HeadHasTheSameFieldsAndNoBody) {
  serve();
  Talker& talker = client().ask("HEAD", "/held");
  ASSERT_TRUE(until_begun());
  EXPECT_FALSE(writer.wants_body());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(writer.try_write(std::string(10'000, 'x')), 10'000u);
  EXPECT_TRUE(writer.finish());
  const ClientResponse answer = talker.answer();
  EXPECT_EQ(answer.header("transfer-encoding"), "chunked");
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
}

TEST_F(ResponseStreams, AHeadOfKnownLengthNeedsNoBytes) {
  serve();
  Talker& talker = client().ask("HEAD", "/held?length=1000");
  ASSERT_TRUE(until_begun());
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(talker.answer().header("content-length"), "1000");
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
}

TEST_F(ResponseStreams, DestroyedUnfinishedItResetsTheConnection) {
  for (const char* version : {"1.0", "1.1"}) {
    app = Router{};
    app.get("/held", [this](const Request&, Responder r) {
      writer = std::move(r).stream(Response{});
      ++begun;
    });
    serve();
    Talker& talker = client().say(std::string{"GET /held HTTP/"} + version + "\r\nHost: h\r\n\r\n", "GET");
    ASSERT_TRUE(until_begun());
    writer.try_write(std::string(5000, 'x'));
    ASSERT_TRUE(until([&] { return talker.received().size() > 5000; }));
    writer = ResponseWriter{};
    EXPECT_TRUE(talker.ended());
    EXPECT_TRUE(talker.net().saw_reset()) << version;
    begun = 0;
    finish();
  }
}

TEST_F(ResponseStreams, AHandlerThatThrowsInTheMiddleResetsTheConnection) {
  app.get("/throws", blocking([](const Request&, Responder r) {
            ResponseWriter out = std::move(r).stream(Response{});
            out.write(std::string(20'000, 'x'));
            throw std::runtime_error{"broke"};
          }));
  serve();
  Talker& talker = client().get("/throws");
  EXPECT_TRUE(talker.ended());
  EXPECT_TRUE(talker.net().saw_reset());
  EXPECT_EQ(lane("GET /throws").responded, 1u);
}

TEST_F(ResponseStreams, APoolHandlerWaitsForItsClient) {
  serve();
  stage->net().options().send_buffer_bytes = 10'000;
  Talker& talker = client();
  talker.net().set_window(5'000);
  talker.get("/pool?bytes=1000000");
  stage->run_for(5s);
  EXPECT_LE(tally().bytes_buffered.read(), 128u * 1024);
  EXPECT_EQ(finished, 0);
  talker.net().set_window(net::SimClient::unlimited);
  EXPECT_EQ(talker.answer().body, pattern(1'000'000));
  EXPECT_EQ(finished, 1);
  EXPECT_EQ(gave_up, 0);
}

TEST_F(ResponseStreams, ItNeverHoldsMoreThanTheHighWaterMark) {
  options.limits.output_high_water = 30'000;
  serve();
  stage->net().options().send_buffer_bytes = 1000;
  Talker& talker = client();
  talker.net().set_window(0);
  talker.get("/held");
  ASSERT_TRUE(until_begun());
  std::size_t taken = 0;
  for (int i = 0; i < 50; ++i) {
    taken += writer.try_write(std::string(7'000, 'x'));
    stage->run_for(10ms);
  }
  EXPECT_LE(taken, 31'000u);  // what the socket took is not held
  EXPECT_GE(taken, 28'000u);
  EXPECT_EQ(writer.try_write("x"), 0u);
}

TEST_F(ResponseStreams, AReaderThatStopsIsCutOffAndTheWriterToldOfIt) {
  serve();
  stage->net().options().send_buffer_bytes = 10'000;
  Talker& talker = client();
  talker.net().set_window(5'000);
  talker.get("/pool?bytes=1000000");
  const base::TimePoint begin = stage->now();
  EXPECT_TRUE(talker.ended());
  EXPECT_GE(stage->now() - begin, 10s);
  EXPECT_LE(stage->now() - begin, 11s);
  EXPECT_TRUE(until([&] { return gave_up == 1; }));
  EXPECT_EQ(tally().slow_readers.read(), 1u);
  EXPECT_TRUE(until([&] { return lane("GET /pool").in_flight == 0; }));
}

TEST_F(ResponseStreams, OnDrainDrivesAWriterWithoutAThread) {
  const std::string body = pattern(700'000);
  std::size_t sent = 0;
  unsigned rounds = 0;
  std::function<void()> more = [&] {
    ++rounds;
    sent += writer.try_write(std::string_view{body}.substr(sent));
    if (sent < body.size()) writer.on_drain([&] { more(); });
    else writer.finish();
  };
  app.get("/driven", [&](const Request&, Responder r) {
    writer = std::move(r).stream(Response{}, {.length = body.size()});
    more();
  });
  serve();
  EXPECT_EQ(client().get("/driven").answer().body, body);
  EXPECT_GT(rounds, 10u);
  EXPECT_LT(rounds, 100u);
}

TEST_F(ResponseStreams, AClientThatLeavesFiresTheTokenAndTheCallback) {
  serve();
  Talker& talker = client();
  talker.net().set_window(1000);
  talker.get("/held");
  ASSERT_TRUE(until_begun());
  while (writer.try_write(std::string(50'000, 'x')) > 0) stage->run_for(1ms);
  bool told = false;
  writer.on_drain([&] { told = true; });
  EXPECT_FALSE(token.stop_requested());
  talker.net().reset();
  EXPECT_TRUE(until([&] { return told; }));
  EXPECT_TRUE(token.stop_requested());
  EXPECT_TRUE(writer.closed());
  EXPECT_EQ(lane("GET /held").zombies, 1u);
  EXPECT_FALSE(writer.finish());
  EXPECT_TRUE(until([&] { return lane("GET /held").in_flight == 0 && lane("GET /held").zombies == 0; }));
}

TEST_F(ResponseStreams, AFinFiresTheTokenAndTheBodyIsStillSent) {
  serve();
  Talker& talker = client().get("/held");
  ASSERT_TRUE(until_begun());
  talker.net().half_close();
  ASSERT_TRUE(until([&] { return token.stop_requested(); }));
  writer.try_write("still");
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(talker.answer().body, "still");
  EXPECT_TRUE(talker.ended());
  EXPECT_FALSE(talker.net().saw_reset());
}

TEST_F(ResponseStreams, TheBudgetEndsWithTheHead) {
  app.get("/long",
          [this](const Request&, Responder r) {
            writer = std::move(r).stream(Response{});
            ++begun;
          },
          {.budget = 100ms});
  serve();
  Talker& talker = client().get("/long");
  ASSERT_TRUE(until_begun());
  stage->run_for(60s);
  EXPECT_FALSE(writer.closed());
  writer.try_write("late enough");
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(talker.answer().body, "late enough");
  EXPECT_EQ(lane("GET /long").timed_out, 0u);
}

TEST_F(ResponseStreams, AStreamEndsWithItsLongestDuration) {
  app.get("/while",
          [this](const Request& q, Responder r) {
            token = q.stop_token();
            writer = std::move(r).stream(Response{});
            ++begun;
          },
          {.stream_duration_max = 20s});
  serve();
  Talker& talker = client().get("/while");
  ASSERT_TRUE(until_begun());
  const base::TimePoint begin = stage->now();
  while (!talker.net().over() && stage->now() - begin < 60s) {
    writer.try_write("tick");
    writer.flush();
    stage->run_for(1s);
  }
  EXPECT_GE(stage->now() - begin, 20s);
  EXPECT_LE(stage->now() - begin, 22s);
  EXPECT_TRUE(talker.net().saw_reset());
  EXPECT_TRUE(writer.closed());
  EXPECT_TRUE(token.stop_requested());
  EXPECT_FALSE(writer.finish());
}

TEST_F(ResponseStreams, ADurationThatIsNoneIsRefused) {
  const auto add = [](std::chrono::milliseconds longest) {
    Router router;
    router.get("/", [](const Request&) { return text(""); }, {.stream_duration_max = longest});
  };
  EXPECT_THROW(add(0ms), std::invalid_argument);
  EXPECT_THROW(add(std::chrono::hours{24 * 8}), std::invalid_argument);
}

// Each wants a megabyte and reads five kilobytes of it.
TEST_F(ResponseStreams, AThousandReadersThatStopHoldLittleAndAreGoneInTime) {
  constexpr std::size_t readers = 1000, body_bytes = 1024 * 1024;
  const std::string body = pattern(body_bytes);
  struct Sender {
    ResponseWriter out;
    std::size_t sent = 0;
  };
  std::deque<Sender> senders;
  std::function<void(Sender&)> more = [&](Sender& sender) {
    sender.sent += sender.out.try_write(std::string_view{body}.substr(sender.sent));
    if (sender.out.closed()) ++gave_up;
    else if (sender.sent < body_bytes) sender.out.on_drain([&more, &sender] { more(sender); });
    else sender.out.finish();
  };
  app.get("/megabyte", [&](const Request&, Responder r) {
    senders.push_back({std::move(r).stream(Response{}, {.length = body_bytes})});
    more(senders.back());
  });
  options.limits.connections_max = 2 * readers;
  serve();
  stage->net().options().send_buffer_bytes = 20'000;
  for (std::size_t i = 0; i < readers; ++i) {
    Talker& talker = client();
    talker.net().set_window(5'000);
    talker.get("/megabyte");
  }
  const base::TimePoint begin = stage->now();
  std::uint64_t most = 0;
  const auto all_gone = [&] {
    most = std::max(most, tally().bytes_buffered.read());
    return tally().slow_readers.read() == readers;
  };
  ASSERT_TRUE(until(all_gone));
  EXPECT_LE(stage->now() - begin, 16s);
  EXPECT_EQ(gave_up, static_cast<int>(readers));
  // Above the mark: what of a piece was under way when it was reached.
  EXPECT_LE(most, readers * (options.limits.output_high_water + 8 * 1024));
  EXPECT_GT(most, readers * 1024) << "they did hold something";
  senders.clear();
  EXPECT_TRUE(until([&] { return lane("GET /megabyte").in_flight == 0; }));
}

TEST_F(ResponseStreams, AStreamBegunAfterTheBudgetIsClosed) {
  std::optional<Responder> kept;
  app.get("/late", [&](const Request&, Responder r) { kept.emplace(std::move(r)); }, {.budget = 100ms});
  serve();
  EXPECT_EQ(client().get("/late").answer().status, 504);
  ResponseWriter late = std::move(*kept).stream(Response{});
  EXPECT_TRUE(late.closed());
  EXPECT_EQ(late.try_write("x"), 0u);
  EXPECT_FALSE(late.write("x"));
  bool told = false;
  late.on_drain([&] { told = true; });
  EXPECT_TRUE(until([&] { return told; }));
  EXPECT_FALSE(late.finish());
  EXPECT_EQ(lane("GET /late").late, 1u);
}

TEST_F(ResponseStreams, TrailersFollowAChunkedBody) {
  serve();
  Talker& talker = client().get("/held");
  ASSERT_TRUE(until_begun());
  writer.try_write("body");
  const HeaderView bad[] = {{"Content-Length", "5"}};
  EXPECT_THROW(writer.finish(bad), std::invalid_argument);
  const HeaderView split[] = {{"X-Sum", "1\r\nSet-Cookie: a"}};
  EXPECT_THROW(writer.finish(split), std::invalid_argument);
  const HeaderView good[] = {{"X-Sum", "42"}, {"X-Rows", "7"}};
  EXPECT_TRUE(writer.finish(good));
  EXPECT_EQ(talker.answer().trailers, "X-Sum: 42\r\nX-Rows: 7\r\n");
}

TEST_F(ResponseStreams, RequestsBehindAStreamAreAnsweredAfterIt) {
  serve();
  Talker& talker = client().get("/held").get("/").get("/");
  ASSERT_TRUE(until_begun());
  stage->run_for(1s);
  writer.try_write("first");
  writer.finish();
  EXPECT_EQ(talker.answer(0).body, "first");
  EXPECT_EQ(talker.answer(1).body, "plain");
  EXPECT_EQ(talker.answer(2).body, "plain");
}

TEST_F(ResponseStreams, ADrainCutsWhatDoesNotEnd) {
  serve();
  Talker& talker = client().get("/held");
  ASSERT_TRUE(until_begun());
  stage->drain(3s);
  stage->run_for(2s);
  EXPECT_FALSE(writer.closed());
  EXPECT_TRUE(talker.ended());
  EXPECT_TRUE(talker.net().saw_reset());
  EXPECT_TRUE(writer.closed());
  writer = ResponseWriter{};
  EXPECT_TRUE(until([&] { return stage->over(); }));
}

TEST_F(ResponseStreams, OneThatEndsInADrainIsFinished) {
  serve();
  Talker& talker = client().get("/held");
  ASSERT_TRUE(until_begun());
  stage->drain(10s);
  stage->run_for(1s);
  writer.try_write("whole");
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(talker.answer().body, "whole");
  EXPECT_TRUE(until([&] { return stage->over(); }));
}

TEST_F(ResponseStreams, WaitingOnALoopIsRefused) {
  std::string said;
  app.get("/waits", [&](const Request&, Responder r) {
    ResponseWriter out = std::move(r).stream(Response{});
    try {
      out.write(std::string(1'000'000, 'x'));
    } catch (const std::logic_error& error) { said = error.what(); }
  });
  serve();
  client().get("/waits");
  EXPECT_TRUE(until([&] { return !said.empty(); }));
  EXPECT_NE(said.find("blocking()"), std::string::npos);
}

TEST_F(ResponseStreams, AHeadThatCanHaveNoBodyIsRefusedAndMayBeAnsweredYet) {
  app.get("/bad", [](const Request&, Responder r) {
    EXPECT_THROW(std::move(r).stream(Response{204}), std::invalid_argument);
    EXPECT_THROW(std::move(r).stream(text("body")), std::invalid_argument);
    r.respond(text("answered"));
  });
  serve();
  EXPECT_EQ(client().get("/bad").answer().body, "answered");
}

TEST_F(ResponseStreams, MiddlewareSeesTheHead) {
  app = Router{};
  app.use([](Handler next) {
    return [next = std::move(next)](const Request& q, Responder r) mutable {
      next(q, std::move(r).edit([](Response& a) { a.header("X-Seen", "yes"); }));
    };
  });
  app.get("/", [](const Request&, Responder r) {
    ResponseWriter out = std::move(r).stream(Response{});
    out.try_write("x");
    out.finish();
  });
  serve();
  EXPECT_EQ(client().get("/").answer().header("x-seen"), "yes");
}

// Any schedule of pieces, windows and faults gives the same body, or a connection that visibly broke.
class StreamSeeds : public ResponseStreams, public ::testing::WithParamInterface<int> {};

TEST_P(StreamSeeds, TheBodyIsWholeOrTheConnectionIsSeenToBreak) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  options.loops = 2;
  serve(seed, GetParam() % 2 == 1);
  net::SimOptions& net = stage->net().options();
  net.segment_bytes_max = 3'000;
  net.send_buffer_bytes = stage->net().random().between(500, 100'000);
  if (GetParam() % 3 == 0) stage->net().random_faults(2'000, true);
  std::vector<Talker*> talkers;
  for (int i = 0; i < 4; ++i) {
    Talker& talker = client();
    if (i % 2 == 0) talker.net().set_window(stage->net().random().between(1'000, 200'000));
    talker.get("/pool?bytes=200000");
    after(std::chrono::milliseconds{stage->net().random().between(0, 3'000)},
          [&talker] { talker.net().set_window(net::SimClient::unlimited); });
    talkers.push_back(&talker);
  }
  until([&] { return finished + gave_up == 4; });
  stage->run_for(30s);
  for (Talker* talker : talkers) {
    const auto answers = talker->answers();
    if (!answers.empty() && answers[0].complete && answers[0].status == 200) {
      EXPECT_EQ(answers[0].body, pattern(200'000));
    } else {
      EXPECT_TRUE(GetParam() % 3 == 0) << "a calm net broke a stream";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Schedules, StreamSeeds, ::testing::Range(1, 61));

}  // namespace
}  // namespace sluice::sim
