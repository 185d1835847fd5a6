// Content codings over real sockets and with real threads: whole answers, bodies, and ends of streams that follow on the
// loop while the worker that asked for them goes on.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/extra/compression.hpp>

#include "support/coded_bytes.hpp"
#include "support/live_server.hpp"

namespace sluice::live {
namespace {

using test::noise;
using test::words;

constexpr std::string_view gzip_only = "Accept-Encoding: gzip\r\n";

class LiveCompression : public LiveTest {
 protected:
  LiveCompression() {
    options.limits.output_high_water = 8'192;  // less than what an encoder holds back
    app.get("/noise", blocking([this](const Request& q, Responder r) {
              CompressedWriter out = stream_compressed(q, std::move(r), Response{}.content_type("text/plain"));
              out.write(noise(30'000));
              ++written;
              finished += out.finish();
            }));
  }
  void SetUp() override {
    LiveTest::SetUp();
    if (!coding_available(ContentCoding::gzip)) GTEST_SKIP() << "built without content codings";
  }

  std::atomic<int> written{0};
  std::atomic<int> finished{0};
};

TEST_F(LiveCompression, AnswersAndBodiesGoThrough) {
  app.use(compress());
  app.post("/echo", blocking([](const Request& q) { return text(DecodedReader{q}.read_all(1'000'000)); }),
           {.stream_body = true});
  serve();
  Client talker = client();
  constexpr std::string_view fields = "Accept-Encoding: gzip\r\nContent-Encoding: gzip\r\n";
  for (int i = 0; i < 3; ++i) {
    talker.ask("POST", "/echo", fields, test::encode(words(100'000), ContentCoding::gzip));
    const ClientResponse answer = talker.read("POST");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("content-encoding"), "gzip");
    EXPECT_TRUE(test::decode(answer.body, ContentCoding::gzip).bytes == words(100'000));
  }
}

TEST_F(LiveCompression, EndsOfStreamsFollowWhileTheWorkerGoesOn) {
  serve();
  for (int i = 1; i <= 100; ++i) {
    Client talker = client();
    talker.ask("GET", "/noise", "Accept-Encoding: gzip\r\nConnection: close\r\n");
    std::string error;
    const auto answers = sim::read_responses(talker.read_to_end(), {"GET"}, error);
    ASSERT_TRUE(answers.size() == 1 && answers[0].complete) << i << error;
    EXPECT_TRUE(test::decode(answers[0].body, ContentCoding::gzip).bytes == noise(30'000)) << i;
    EXPECT_TRUE(soon([&] { return finished == i; }));
  }
}

TEST_F(LiveCompression, AServerThatStopsCutsThem) {
  serve();
  std::vector<Client> talkers;
  for (int i = 0; i < 4; ++i) {
    talkers.push_back(client());
    for (int k = 0; k < 200; ++k) talkers.back().ask("GET", "/noise", gzip_only);  // none of it is read
  }
  EXPECT_TRUE(soon([&] { return written > 4; }));
  server->stop();
}

}  // namespace
}  // namespace sluice::live
