// Answers that are compressed while they are written: what the client can decode and when, backpressure through the
// encoder, ends that do not fit yet, and what becomes of them when somebody gives up.
#include <gtest/gtest.h>

#include <sluice/extra/compression.hpp>

#include "sim/stage.hpp"
#include "support/coded_bytes.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
using test::noise;
using test::words;

constexpr std::string_view gzip_only = "Accept-Encoding: gzip\r\n";

class CompressedStreams : public Stage {
 protected:
  CompressedStreams() {
    app.get("/", [](const Request&) { return text("plain"); });
    app.get("/held", [this](const Request& q, Responder r) {
      writer = stream_compressed(q, std::move(r), Response{}.content_type("text/plain").header("ETag", "\"a\""));
      ++begun;
    });
    app.get("/pool", blocking([this](const Request& q, Responder r) {
              const std::string body = body_of(q.query<std::size_t>("bytes"));
              CompressedWriter out = stream_compressed(q, std::move(r), Response{}.content_type("text/plain"));
              for (std::size_t at = 0; at < body.size(); at += 10'000) {
                if (!out.write(std::string_view{body}.substr(at, 10'000))) {
                  ++gave_up;
                  return;
                }
              }
              finished += out.finish();
            }));
  }
  void SetUp() override {
    if (!coding_available(ContentCoding::gzip)) GTEST_SKIP() << "built without content codings";
  }
  void TearDown() override {
    writer = CompressedWriter{};
    finish();
  }
  static std::string body_of(std::size_t size) { return words(size / 2) + noise(size - size / 2); }
  Talker& hold(std::string_view fields = gzip_only) {
    Talker& talker = client().get("/held", fields);
    EXPECT_TRUE(until([&] { return begun > 0; }));
    return talker;
  }

  CompressedWriter writer;
  int begun = 0, gave_up = 0, finished = 0;
};

std::string decoded(const ClientResponse& answer) { return test::decode(answer.body, ContentCoding::gzip).bytes; }

TEST_F(CompressedStreams, PiecesDecodeToTheWhole) {
  serve();
  Talker& talker = hold();
  EXPECT_EQ(writer.coding(), ContentCoding::gzip);
  EXPECT_TRUE(writer.wants_body());
  EXPECT_EQ(writer.try_write("one "), 4u);
  EXPECT_EQ(writer.try_write(words(20'000)), 20'000u);
  EXPECT_TRUE(writer.finish());
  const ClientResponse answer = talker.answer();
  EXPECT_EQ(answer.header("content-encoding"), "gzip");
  EXPECT_EQ(answer.header("vary"), "Accept-Encoding");
  EXPECT_EQ(answer.header("etag"), "W/\"a\"");
  EXPECT_EQ(answer.header("transfer-encoding"), "chunked");
  EXPECT_EQ(decoded(answer), "one " + words(20'000));
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
  EXPECT_TRUE(writer.closed());
  EXPECT_EQ(writer.try_write("x"), 0u);
  EXPECT_FALSE(writer.finish());
}

TEST_F(CompressedStreams, AnyOtherClientGetsTheBytes) {
  serve();
  Talker& talker = hold({});
  EXPECT_EQ(writer.coding(), std::nullopt);
  EXPECT_EQ(writer.try_write("as it is"), 8u);
  EXPECT_TRUE(writer.flush());
  EXPECT_TRUE(until([&] { return talker.received().ends_with("8\r\nas it is\r\n"); }));
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(talker.answer().header("content-encoding"), "");
  EXPECT_EQ(talker.answer().header("vary"), "Accept-Encoding");
  EXPECT_EQ(talker.answer().header("etag"), "\"a\"");
  EXPECT_EQ(talker.answer().body, "as it is");
}

TEST_F(CompressedStreams, EveryCodingOfThisBuildCanBeHad) {
  for (const ContentCoding coding : test::codings()) {
    const std::string name{to_string(coding)};
    app = Router{};
    app.get("/", [&](const Request&, Responder r) {
      Response head = Response{}.header("Content-Encoding", name);
      CompressedWriter out{std::move(r).stream(std::move(head)), coding, CompressionLevel::small};
      for (int i = 0; i < 20; ++i) out.try_write(words(1'000));
      EXPECT_TRUE(out.finish());
    });
    serve();
    const ClientResponse answer = client().get("/").answer();
    EXPECT_EQ(test::decode(answer.body, coding).bytes.size(), 20'000u) << name;
    finish();
  }
}

TEST_F(CompressedStreams, AFlushMakesAllOfItDecodableNow) {
  serve();
  Talker& talker = hold();
  std::string written;
  for (int i = 0; i < 5; ++i) {
    const std::string piece = "event " + std::to_string(i) + "\n";
    writer.try_write(piece);
    written += piece;
    EXPECT_TRUE(writer.flush());
    EXPECT_TRUE(until([&] {
      const auto answers = talker.answers();
      return !answers.empty() && decoded(answers[0]) == written;
    })) << written;
  }
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(decoded(talker.answer()), written);
}

TEST_F(CompressedStreams, APoolHandlerWaitsForItsClient) {
  serve();
  stage->net().options().send_buffer_bytes = 10'000;
  Talker& talker = client();
  talker.net().set_window(5'000);
  talker.get("/pool?bytes=400000", gzip_only);
  stage->run_for(5s);
  EXPECT_LE(tally().bytes_buffered.read(), 128u * 1024);
  EXPECT_EQ(finished, 0);
  talker.net().set_window(net::SimClient::unlimited);
  EXPECT_EQ(decoded(talker.answer()), body_of(400'000));
  EXPECT_EQ(finished, 1);
}

TEST_F(CompressedStreams, WhatHasNoRoomIsNotTaken) {
  serve();
  stage->net().options().send_buffer_bytes = 1'000;
  Talker& talker = client();
  talker.net().set_window(0);
  talker.get("/held", gzip_only);
  ASSERT_TRUE(until([&] { return begun > 0; }));
  const std::string bytes = noise(1'000'000);
  std::size_t taken = 0;
  for (int i = 0; i < 100; ++i) taken += writer.try_write(std::string_view{bytes}.substr(taken, 20'000));
  EXPECT_LT(taken, 300'000u);  // the writer's mark, one buffer, and what the encoder holds
  EXPECT_FALSE(writer.flush());
  EXPECT_EQ(writer.try_write("x"), 0u);
  talker.net().set_window(net::SimClient::unlimited);
  EXPECT_TRUE(until([&] { return writer.flush(); }));
  EXPECT_TRUE(writer.finish());
  EXPECT_TRUE(decoded(talker.answer()) == bytes.substr(0, taken));
}

TEST_F(CompressedStreams, AnEndThatDoesNotFitFollowsByItself) {
  serve();
  stage->net().options().send_buffer_bytes = 1'000;
  Talker& talker = client();
  talker.net().set_window(0);
  talker.get("/held", gzip_only);
  ASSERT_TRUE(until([&] { return begun > 0; }));
  const std::string bytes = noise(1'000'000);
  std::size_t taken = 0;
  for (int i = 0; i < 100; ++i) taken += writer.try_write(std::string_view{bytes}.substr(taken, 20'000));
  writer.flush();
  EXPECT_TRUE(writer.finish());
  stage->run_for(3s);
  EXPECT_FALSE(talker.answers().size() == 1 && talker.answers()[0].complete);
  talker.net().set_window(net::SimClient::unlimited);
  EXPECT_TRUE(decoded(talker.answer()) == bytes.substr(0, taken));
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
  EXPECT_TRUE(until([&] { return lane("GET /held").in_flight == 0; }));
}

TEST_F(CompressedStreams, AnEndNobodyTakesIsCutOff) {
  for (const bool stopped : {false, true}) {
    app = Router{};
    app.get("/held", [this](const Request& q, Responder r) {
      writer = stream_compressed(q, std::move(r), Response{}.content_type("text/plain"));
      ++begun;
    });
    begun = 0;
    serve();
    stage->net().options().send_buffer_bytes = 1'000;
    Talker& talker = client();
    talker.net().set_window(0);
    talker.get("/held", gzip_only);
    ASSERT_TRUE(until([&] { return begun > 0; }));
    while (writer.try_write(noise(20'000)) > 0) {}
    EXPECT_TRUE(writer.finish());
    if (stopped) stage->drain(1s);
    EXPECT_TRUE(talker.ended());
    EXPECT_TRUE(talker.net().saw_reset());
    if (stopped) {
      EXPECT_TRUE(until([&] { return stage->over(); }));
    } else {
      EXPECT_TRUE(until([&] { return lane("GET /held").in_flight == 0 && lane("GET /held").zombies == 0; }));
    }
    finish();
  }
}

TEST_F(CompressedStreams, OnDrainDrivesAWriterWithoutAThread) {
  const std::string body = body_of(700'000);
  std::size_t sent = 0;
  unsigned rounds = 0;
  std::function<void()> more = [&] {
    ++rounds;
    sent += writer.try_write(std::string_view{body}.substr(sent));
    if (sent < body.size()) writer.on_drain([&] { more(); });
    else writer.finish();
  };
  app.get("/driven", [&](const Request& q, Responder r) {
    writer = stream_compressed(q, std::move(r), Response{}.content_type("text/plain"));
    more();
  });
  serve();
  EXPECT_TRUE(decoded(client().get("/driven", gzip_only).answer()) == body);
  EXPECT_GT(rounds, 3u);
  EXPECT_LT(rounds, 100u);
}

TEST_F(CompressedStreams, HeadHasTheSameFieldsAndNoBody) {
  serve();
  Talker& talker = client().ask("HEAD", "/held", gzip_only);
  ASSERT_TRUE(until([&] { return begun > 0; }));
  EXPECT_FALSE(writer.wants_body());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(writer.try_write(std::string(10'000, 'x')), 10'000u);
  EXPECT_TRUE(writer.flush());
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(talker.answer().header("content-encoding"), "gzip");
  EXPECT_EQ(talker.get("/").answer(1).body, "plain");
}

TEST_F(CompressedStreams, DestroyedUnfinishedItResetsTheConnection) {
  serve();
  Talker& talker = hold();
  writer.try_write(noise(20'000));
  writer = CompressedWriter{};
  EXPECT_TRUE(talker.ended());
  EXPECT_TRUE(talker.net().saw_reset());
}

TEST_F(CompressedStreams, WaitingOnALoopIsRefused) {
  std::string said;
  app.get("/waits", [&](const Request& q, Responder r) {
    CompressedWriter out = stream_compressed(q, std::move(r), Response{}.content_type("text/plain"));
    try {
      out.write(noise(1'000'000));
    } catch (const std::logic_error& error) { said = error.what(); }
  });
  serve();
  client().get("/waits", gzip_only);
  EXPECT_TRUE(until([&] { return !said.empty(); }));
  EXPECT_NE(said.find("blocking()"), std::string::npos);
}

TEST_F(CompressedStreams, AHeadThatIsRefusedMayBeAnsweredYet) {
  app.get("/bad", [](const Request& q, Responder r) {
    EXPECT_THROW(stream_compressed(q, std::move(r), Response{204}), std::invalid_argument);
    r.respond(text("answered"));
  });
  serve();
  EXPECT_EQ(client().get("/bad").answer().body, "answered");
}

TEST_F(CompressedStreams, TheMiddlewareDoesNotEncodeItAgain) {
  app = Router{};
  app.use(compress());
  app.get("/", [](const Request& q, Responder r) {
    CompressedWriter out = stream_compressed(q, std::move(r), Response{}.content_type("text/plain"));
    out.try_write(words(5'000));
    out.finish();
  });
  serve();
  const ClientResponse answer = client().get("/", gzip_only).answer();
  EXPECT_EQ(answer.header("content-encoding"), "gzip");
  EXPECT_EQ(decoded(answer), words(5'000));
}

// Any schedule of pieces, windows and faults gives the same body, or a connection that visibly broke.
class CompressedSeeds : public CompressedStreams, public ::testing::WithParamInterface<int> {};

TEST_P(CompressedSeeds, TheBodyIsWholeOrTheConnectionIsSeenToBreak) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  options.loops = 2;
  options.limits.output_high_water = 20'000;
  serve(seed, GetParam() % 2 == 1);
  net::SimOptions& net = stage->net().options();
  net.segment_bytes_max = 3'000;
  net.send_buffer_bytes = stage->net().random().between(500, 100'000);
  if (GetParam() % 3 == 0) stage->net().random_faults(2'000, true);
  std::vector<Talker*> talkers;
  for (int i = 0; i < 4; ++i) {
    Talker& talker = client();
    if (i % 2 == 0) talker.net().set_window(stage->net().random().between(1'000, 200'000));
    talker.get("/pool?bytes=200000", gzip_only);
    after(std::chrono::milliseconds{stage->net().random().between(0, 3'000)},
          [&talker] { talker.net().set_window(net::SimClient::unlimited); });
    talkers.push_back(&talker);
  }
  until([&] { return finished + gave_up == 4; });
  stage->run_for(30s);
  for (Talker* talker : talkers) {
    const auto answers = talker->answers();
    if (!answers.empty() && answers[0].complete && answers[0].status == 200) {
      EXPECT_TRUE(decoded(answers[0]) == body_of(200'000));
    } else {
      EXPECT_TRUE(GetParam() % 3 == 0) << "a calm net broke a stream";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Schedules, CompressedSeeds, ::testing::Range(1, 31));

}  // namespace
}  // namespace sluice::sim
