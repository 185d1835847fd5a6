// Request bodies that come in a content coding: read as they arrive, on a worker, on the loop, at once; and what is
// refused, with what answer.
#include <gtest/gtest.h>

#include <sluice/extra/compression.hpp>

#include "sim/stage.hpp"
#include "support/coded_bytes.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
using test::encode;
using test::words;

using State = BodyRead::State;

class DecodedBodies : public Stage {
 protected:
  DecodedBodies() {
    const RouteOptions streamed{.in_flight_max = 4, .body_bytes_max = 10'000'000, .stream_body = true};
    app.post("/pool", blocking([this](const Request& q) {
               DecodedReader body{q, limits};
               std::string all;
               char piece[9'000];
               while (const std::size_t count = body.read(piece)) all.append(piece, count);
               trailers = body.trailers();
               return text(std::move(all));
             }),
             streamed);
    app.post(
        "/held",
        [this](const Request& q, Responder r) {
          reader = DecodedReader{q, limits};
          responder.emplace(std::move(r));
          ++started;
        },
        streamed);
    app.post("/whole", [this](const Request& q) { return text(decoded_body(q, limits)); });
  }
  void SetUp() override {
    if (!coding_available(ContentCoding::gzip)) GTEST_SKIP() << "built without content codings";
  }
  void TearDown() override {
    reader = DecodedReader{};
    responder.reset();
    finish();
  }
  ClientResponse post(std::string_view target, std::string_view coding, std::string_view body) {
    return client().ask("POST", target, "Content-Encoding: " + std::string{coding} + "\r\n", body).answer();
  }
  bool until_started() {
    return until([&] { return started > 0; });
  }

  DecodingOptions limits{};
  std::vector<std::pair<std::string, std::string>> trailers;
  DecodedReader reader;
  std::optional<Responder> responder;
  int started = 0;
};

TEST_F(DecodedBodies, EveryCodingOfThisBuildIsRead) {
  serve();
  const std::string body = words(700'000);
  for (const ContentCoding coding : test::codings()) {
    const std::string encoded = encode(body, coding);
    for (const char* target : {"/pool", "/whole"}) {
      const ClientResponse answer = post(target, to_string(coding), encoded);
      EXPECT_EQ(answer.status, 200) << target << answer.body.substr(0, 300);
      EXPECT_TRUE(answer.body == body) << target << to_string(coding);
    }
  }
}

TEST_F(DecodedBodies, ABodyWithoutACodingIsReadAsItIs) {
  serve();
  const std::string body = words(100'000);
  for (const char* target : {"/pool", "/whole"}) {
    EXPECT_TRUE(client().ask("POST", target, {}, body).answer().body == body) << target;
    EXPECT_TRUE(post(target, "identity", body).body == body) << target;
    EXPECT_TRUE(post(target, ", ,", body).body == body) << target;
    EXPECT_EQ(client().ask("POST", target, "Content-Length: 0\r\n").answer().status, 200);
  }
}

TEST_F(DecodedBodies, NamesAreComparedWithoutCaseAndHaveAliases) {
  serve();
  for (const char* name : {"x-gzip", "GZip", "gzip,"}) {
    EXPECT_EQ(post("/pool", name, encode("hello", ContentCoding::gzip)).body, "hello") << name;
  }
}

TEST_F(DecodedBodies, AnUnknownCodingIsRefusedWithTheKnownOnes) {
  serve();
  for (const char* target : {"/pool", "/whole"}) {
    for (const char* name : {"compress", "x-own", "gzip, gzip", "identity, gzip"}) {
      const ClientResponse answer = post(target, name, "12345");
      EXPECT_EQ(answer.status, 415) << target << name;
      EXPECT_TRUE(answer.header("accept-encoding").starts_with("gzip, deflate")) << answer.header("accept-encoding");
    }
    const auto two = "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n";
    EXPECT_EQ(client().ask("POST", target, two, "12345").answer().status, 415) << target;
  }
}

TEST_F(DecodedBodies, WhatIsMalformedIsRefused) {
  serve();
  const std::string good = encode(words(5'000), ContentCoding::gzip);
  for (const char* target : {"/pool", "/whole"}) {
    for (const std::string& body : {std::string{"no gzip"}, good.substr(0, good.size() - 1), good + "x"}) {
      EXPECT_EQ(post(target, "gzip", body).status, 400) << target;
    }
    EXPECT_EQ(client().ask("POST", target, "Content-Encoding: gzip\r\nContent-Length: 0\r\n").answer().status, 400);
    EXPECT_EQ(post(target, "gzip", good + good).body, words(5'000) + words(5'000)) << target;
  }
}

TEST_F(DecodedBodies, BombsAreRefused) {
  limits.bytes_max = 1 << 30;
  serve();
  const std::string bomb = encode(std::string(64 << 20, '\0'), ContentCoding::gzip);
  for (const char* target : {"/pool", "/whole"}) EXPECT_EQ(post(target, "gzip", bomb).status, 413) << target;
  limits.bytes_max = 10'000;
  for (const char* target : {"/pool", "/whole"}) {
    EXPECT_EQ(post(target, "gzip", encode(words(10'001), ContentCoding::gzip)).status, 413) << target;
    EXPECT_EQ(post(target, "gzip", encode(words(10'000), ContentCoding::gzip)).status, 200) << target;
    EXPECT_EQ(client().ask("POST", target, {}, words(10'001)).answer().status, 413) << target;
  }
}

TEST_F(DecodedBodies, ReadingAllHasALimitOfItsOwn) {
  app.post("/all", blocking([](const Request& q) { return text(DecodedReader{q}.read_all(5'000)); }));
  serve();
  EXPECT_EQ(post("/all", "gzip", encode(words(5'000), ContentCoding::gzip)).body, words(5'000));
  EXPECT_EQ(post("/all", "gzip", encode(words(5'001), ContentCoding::gzip)).status, 413);
}

TEST_F(DecodedBodies, ItArrivesInPiecesAndTrailersFollow) {
  serve();
  const std::string encoded = encode(words(3'000), ContentCoding::gzip);
  Talker& talker = client().say(
      "POST /pool HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", "POST");
  for (std::size_t at = 0; at < encoded.size(); at += 100) {
    const std::string piece = encoded.substr(at, 100);
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    talker.say(size + piece + "\r\n");
    stage->run_for(1ms);
  }
  talker.say("0\r\nX-Sum: 42\r\n\r\n");
  EXPECT_EQ(talker.answer().body, words(3'000));
  ASSERT_EQ(trailers.size(), 1u);
  EXPECT_EQ(trailers[0].second, "42");
}

TEST_F(DecodedBodies, WhatHasArrivedCanBeReadBeforeTheEnd) {
  serve();
  const auto encoder = detail::make_encoder({});
  char room[1'000];
  const std::string head{room, encoder->encode("first", room, detail::Encoder::Mode::flush).produced};
  const std::string tail{room, encoder->encode(" last", room, detail::Encoder::Mode::finish).produced};
  const std::size_t size = head.size() + tail.size();
  Talker& talker = client().say("POST /held HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: " +
                                    std::to_string(size) + "\r\n\r\n" + head,
                                "POST");
  ASSERT_TRUE(until_started());
  char into[100];
  BodyRead found;
  ASSERT_TRUE(until([&] { return (found = reader.try_read(into)).state != State::later; }));
  EXPECT_EQ((std::string{into, found.bytes}), "first");
  EXPECT_EQ(reader.try_read(into).state, State::later);
  bool told = false;
  reader.on_ready([&] { told = true; });
  stage->run_for(100ms);
  EXPECT_FALSE(told);
  talker.say(tail);
  EXPECT_TRUE(until([&] { return told; }));
  found = reader.try_read(into);
  EXPECT_EQ((std::string{into, found.bytes}), " last");
  ASSERT_TRUE(until([&] { return (found = reader.try_read(into)).state != State::later; }));
  EXPECT_EQ(found.state, State::end);
  responder->respond(text("done"));
  EXPECT_EQ(talker.answer().body, "done");
}

TEST_F(DecodedBodies, OnReadyDrivesAReaderWithoutAThread) {
  const std::string body = words(300'000);
  std::string all;
  State last = State::later;
  std::function<void()> more = [&] {
    char piece[1'000];  // far less than one step could give: what is held back must be told of, too
    const BodyRead found = reader.try_read(piece);
    last = found.state;
    if (last == State::data) all.append(piece, found.bytes);
    if (last == State::data || last == State::later) reader.on_ready([&] { more(); });
    else responder->respond(text("done"));
  };
  app.post("/driven",
           [&](const Request& q, Responder r) {
             reader = DecodedReader{q};
             responder.emplace(std::move(r));
             more();
           },
           {.body_bytes_max = 10'000'000, .stream_body = true});
  serve();
  EXPECT_EQ(post("/driven", "gzip", encode(body, ContentCoding::gzip)).body, "done");
  EXPECT_EQ(last, State::end);
  EXPECT_TRUE(all == body);
}

TEST_F(DecodedBodies, AClientThatLeavesEndsTheReading) {
  serve();
  Talker& talker = client().say(
      "POST /held HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n\x1f\x8b", "POST");
  ASSERT_TRUE(until_started());
  char into[100];
  EXPECT_EQ(reader.try_read(into).state, State::later);
  talker.net().reset();
  BodyRead found;
  ASSERT_TRUE(until([&] { return (found = reader.try_read(into)).state != State::later; }));
  EXPECT_EQ(found.state, State::failed);
  EXPECT_EQ(reader.problem().status(), 499);
}

TEST_F(DecodedBodies, WaitingOnALoopIsRefused) {
  std::string said;
  app.post("/waits",
           [&](const Request& q, Responder r) {
             DecodedReader body{q};
             char into[10];
             try {
               body.read(into);
             } catch (const std::logic_error& error) { said = error.what(); }
             r.respond(text("refused"));
           },
           {.stream_body = true});
  serve();
  Talker& talker =
      client().say("POST /waits HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n", "POST");
  EXPECT_EQ(talker.answer().body, "refused");
  EXPECT_NE(said.find("blocking()"), std::string::npos);
}

TEST_F(DecodedBodies, OneWithoutABodyIsAtItsEnd) {
  char into[10];
  EXPECT_EQ(reader.try_read(into).state, State::end);
  EXPECT_EQ(reader.read(into), 0u);
  EXPECT_THROW(reader.try_read({}), std::invalid_argument);
}

// Any cut of the bytes on their way gives the same body.
class DecodedSeeds : public DecodedBodies, public ::testing::WithParamInterface<int> {};

TEST_P(DecodedSeeds, TheBodyIsTheSame) {
  serve(static_cast<std::uint64_t>(GetParam()), GetParam() % 2 == 1);
  stage->net().options().segment_bytes_max = GetParam() % 3 == 0 ? 3'000 : 70;
  const auto all = test::codings();
  const ContentCoding coding = all[static_cast<std::size_t>(GetParam()) % all.size()];
  const std::string body = words(20'000) + test::noise(20'000) + std::string(50'000, ' ');
  EXPECT_TRUE(post("/pool", to_string(coding), encode(body, coding)).body == body) << to_string(coding);
}

INSTANTIATE_TEST_SUITE_P(Schedules, DecodedSeeds, ::testing::Range(1, 25));

}  // namespace
}  // namespace sluice::sim
