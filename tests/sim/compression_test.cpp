// Answers through compress(): which are compressed, in what, what their heads say, and what is left alone.
#include <gtest/gtest.h>

#include <sluice/extra/compression.hpp>
#include <sluice/extra/files.hpp>

#include "sim/stage.hpp"
#include "support/coded_bytes.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
using test::words;

constexpr std::string_view gzip_only = "Accept-Encoding: gzip\r\n";

class Compression : public Stage {
 protected:
  Compression() {
    if (!coding_available(ContentCoding::gzip)) return;
    app.get("/before", [](const Request&) { return text(words(5'000)); });
    app.use(compress({.bytes_max = 200'000}));
    app.get("/text", [](const Request& q) { return text(words(q.query<std::size_t>("bytes", 5'000))); });
    app.get("/pool", blocking([](const Request& q) { return text(words(q.query<std::size_t>("bytes", 5'000))); }));
    app.get("/fields", [](const Request& q) {
      Response answer = text(words(5'000));
      answer.header(q.query("name"), q.query("value"));
      if (q.has_query("status")) answer.status(q.query<int>("status"));
      return answer;
    });
    app.get("/noise", [](const Request&) { return text(test::noise(5'000)); });
    app.get("/image", [](const Request&) { return Response{}.content_type("image/png").body(words(5'000)); });
    app.get("/literal", [](const Request&) { return text(SharedBytes{std::make_shared<std::string>(words(5'000))}); });
  }
  void SetUp() override {
    if (!coding_available(ContentCoding::gzip)) GTEST_SKIP() << "built without content codings";
  }

  static Response text(std::string body) { return sluice::text(std::move(body)); }
  static Response text(SharedBytes bytes) { return Response{}.content_type("text/plain").body(std::move(bytes)); }
  ClientResponse get(std::string_view target, std::string_view fields = gzip_only) {
    return client().get(target, fields).answer();
  }
  /// As it was made: whatever the client accepts, nothing was done or said.
  void expect_untouched(std::string_view target) {
    const ClientResponse answer = get(target);
    EXPECT_EQ(answer.header("vary"), "") << target;
    EXPECT_EQ(answer.body, get(target, {}).body) << target;
  }
};

std::string decoded(const ClientResponse& answer, ContentCoding coding) {
  return test::decode(answer.body, coding).bytes;
}

TEST_F(Compression, AClientThatAcceptsItGetsFewerBytes) {
  serve();
  for (const char* target : {"/text", "/pool", "/literal"}) {
    const ClientResponse answer = get(target);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("content-encoding"), "gzip") << target;
    EXPECT_EQ(answer.header("vary"), "Accept-Encoding");
    EXPECT_EQ(answer.header("content-length"), std::to_string(answer.body.size()));
    EXPECT_TRUE(answer.header("content-type").starts_with("text/plain"));
    EXPECT_LT(answer.body.size(), 3'000u);
    EXPECT_EQ(decoded(answer, ContentCoding::gzip), words(5'000)) << target;
  }
}

TEST_F(Compression, AnyOtherGetsTheBytesAndIsToldThatTheyVary) {
  serve();
  for (const char* fields : {"", "Accept-Encoding:\r\n", "Accept-Encoding: identity\r\n",
                             "Accept-Encoding: gzip;q=0\r\n", "Accept-Encoding: compress\r\n",
                             "Accept-Encoding: gzip;q=0.5, identity\r\n", "Accept-Encoding: identity;q=0\r\n"}) {
    const ClientResponse answer = get("/text", fields);
    EXPECT_EQ(answer.header("content-encoding"), "") << fields;
    EXPECT_EQ(answer.header("vary"), "Accept-Encoding") << fields;
    EXPECT_EQ(answer.body, words(5'000));
  }
}

TEST_F(Compression, TheServersOrderDecidesBetweenEquals) {
  serve();
  std::string best = "gzip";
  if (coding_available(ContentCoding::brotli)) best = "br";
  if (coding_available(ContentCoding::zstd)) best = "zstd";
  EXPECT_EQ(get("/text", "Accept-Encoding: gzip, deflate, br, zstd\r\n").header("content-encoding"), best);
  EXPECT_EQ(get("/text", "Accept-Encoding: *\r\n").header("content-encoding"), best);
  EXPECT_EQ(get("/text", "Accept-Encoding: br;q=0.8, gzip, zstd;q=0.9\r\n").header("content-encoding"), "gzip");
}

TEST_F(Compression, EveryCodingOfThisBuildCanBeHad) {
  serve();
  for (const ContentCoding coding : test::codings()) {
    if (coding == ContentCoding::deflate) continue;  // decoded, but not offered
    const ClientResponse answer = get("/text", "Accept-Encoding: " + std::string{to_string(coding)} + "\r\n");
    EXPECT_EQ(answer.header("content-encoding"), to_string(coding));
    EXPECT_EQ(decoded(answer, coding), words(5'000)) << to_string(coding);
  }
}

TEST_F(Compression, HeadHasTheFieldsOfGet) {
  serve();
  const ClientResponse head = client().ask("HEAD", "/text", gzip_only).answer();
  const ClientResponse whole = get("/text");
  EXPECT_EQ(head.body, "");
  for (const char* name : {"content-encoding", "content-length", "content-type", "vary"}) {
    EXPECT_EQ(head.header(name), whole.header(name)) << name;
  }
}

TEST_F(Compression, SmallBodiesAndOtherTypesAreLeftAlone) {
  serve();
  expect_untouched("/text?bytes=0");
  expect_untouched("/text?bytes=1023");
  expect_untouched("/image");
  EXPECT_EQ(get("/text?bytes=1024").header("content-encoding"), "gzip");
}

TEST_F(Compression, NoThreadCompressesMoreThanItsLimit) {
  serve();
  EXPECT_EQ(get("/text?bytes=32768").header("content-encoding"), "gzip");
  expect_untouched("/text?bytes=32769");
  EXPECT_EQ(get("/pool?bytes=200000").header("content-encoding"), "gzip");
  expect_untouched("/pool?bytes=200001");
}

TEST_F(Compression, WhatDoesNotGetSmallerIsSentAsItIs) {
  serve();
  const ClientResponse answer = get("/noise");
  EXPECT_EQ(answer.header("content-encoding"), "");
  EXPECT_EQ(answer.header("vary"), "Accept-Encoding");
  EXPECT_EQ(answer.body, test::noise(5'000));
}

TEST_F(Compression, WhatMustNotChangeIsLeftAlone) {
  serve();
  expect_untouched("/fields?name=Content-Encoding&value=x-own");
  expect_untouched("/fields?name=Cache-Control&value=no-transform");
  expect_untouched("/fields?name=Content-Digest&value=x");
  expect_untouched("/fields?name=Content-Range&value=x&status=206");
  EXPECT_EQ(get("/fields?name=X&value=y&status=404").header("content-encoding"), "gzip");
}

TEST_F(Compression, ABodyInAFileIsLeftAlone) {
  app.get("/file", file(SLUICE_SOURCE_DIR "/README.md", {.precompressed = false, .cached_file_bytes_max = 0}));
  serve();
  expect_untouched("/file");
}

TEST_F(Compression, TagsBecomeWeakAndVaryGrows) {
  serve();
  EXPECT_EQ(get("/fields?name=ETag&value=%22a%22").header("etag"), "W/\"a\"");
  EXPECT_EQ(get("/fields?name=ETag&value=%22a%22", {}).header("etag"), "\"a\"");
  EXPECT_EQ(get("/fields?name=Vary&value=accept-encoding").header("vary"), "accept-encoding");
}

TEST_F(Compression, RoutesAddedBeforeAreLeftAlone) {
  serve();
  expect_untouched("/before");
}

TEST_F(Compression, EveryWayToAnswerGoesThroughIt) {
  app.get("/later", [](const Request&, Responder r) { r.respond(text(words(5'000))); });
  app.get("/pair", [](const Request&, Respond respond, Raise) { respond(text(words(5'000))); });
  app.get("/problem", [](const Request&) -> Response { throw Problem{409, "taken", words(5'000)}; });
  serve();
  for (const char* target : {"/later", "/pair", "/problem"}) {
    EXPECT_EQ(get(target).header("content-encoding"), "gzip") << target;
  }
  EXPECT_NE(decoded(get("/problem"), ContentCoding::gzip).find("taken"), std::string::npos);
}

TEST_F(Compression, OutermostItSeesWhatOtherMiddlewareAdds) {
  app.use([](Handler next) {
    return [next = std::move(next)](const Request& q, Responder r) mutable {
      next(q, std::move(r).edit([](Response& a) { a.header("Cache-Control", "no-transform"); }));
    };
  });
  app.get("/inner", [](const Request&) { return text(words(5'000)); });
  serve();
  expect_untouched("/inner");
}

TEST_F(Compression, PipelinedAnswersKeepTheirOrder) {
  serve();
  Talker& talker = client();
  for (int i = 0; i < 6; ++i) talker.get(i % 2 == 0 ? "/pool" : "/text?bytes=10", gzip_only);
  for (std::size_t i = 0; i < 6; ++i) {
    const ClientResponse answer = talker.answer(i);
    if (i % 2 == 0) {
      EXPECT_EQ(decoded(answer, ContentCoding::gzip), words(5'000));
    } else {
      EXPECT_EQ(answer.body, words(10));
    }
  }
}

}  // namespace
}  // namespace sluice::sim
