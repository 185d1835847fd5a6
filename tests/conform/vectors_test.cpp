// Every vector, sent to a whole server: whole, byte by byte, and cut at every byte. What the parser makes of bytes is one
// thing; that the connection answers just so, once to each request, and ends where it must, is another.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/message_vectors.hpp"
#include "support/sim_server.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using http::test::Vector;

constexpr std::size_t body_bytes_max = 1'000'000;  // the vectors' own limit

void add_word(std::string& words, std::string_view word) {
  if (!words.empty()) words += ' ';
  words += word;
}

/// The answers a vector wants, each "ok:" and the request's body, or a status; without how the connection ends.
std::string wanted_answers(std::string_view verdict) {
  std::string words;
  while (!verdict.empty()) {
    const std::string_view word = verdict.substr(0, verdict.find(' '));
    verdict.remove_prefix(std::min(word.size() + 1, verdict.size()));
    if (word == "ok") add_word(words, "ok:");
    else if (word != "more" && word != "closed") add_word(words, word);
  }
  return words;
}

/// The parameter: whether handlers get bodies in pieces, as they arrive.
class VectorsServed : public ::testing::TestWithParam<bool> {
 protected:
  VectorsServed() {
    Router app;
    const auto plain = [this](const Request& q) {
      ++served;
      return text(q.body());
    };
    const auto piecewise = [this](const Request& q) {
      std::string body = q.body_reader().read_all(body_bytes_max);
      ++served;
      return text(std::move(body));
    };
    for (const char* pattern : {"/", "/{rest...}"}) {
      app.get(pattern, plain, {.body_bytes_max = body_bytes_max});
      if (GetParam()) app.post(pattern, blocking(piecewise), {.body_bytes_max = body_bytes_max, .stream_body = true});
      else app.post(pattern, plain, {.body_bytes_max = body_bytes_max});
    }
    server = sim::plain_sim_server(std::move(app));
  }

  void expect_answers(const Vector& vector, const std::vector<std::string_view>& pieces) {
    served = 0;
    net::SimClient& client = server->net().client();
    client.connect();
    for (const std::string_view piece : pieces) {
      client.send(piece);
      server->run_for(1us);
    }
    server->run_for(100us);

    // Who says that nothing follows, and sends more, which comes when the answer is out, may find the connection gone and
    // the answer with it. Nothing of what was sent then is ever served.
    const bool once = vector.wanted.find(' ') == vector.wanted.rfind(' ') && vector.wanted.ends_with(" closed");
    if (once && vector.wanted.starts_with("ok") && client.saw_reset()) {
      ASSERT_EQ(served, 1);
      client.close();
      return;
    }

    std::string error;
    const auto responses = sim::read_responses(client.received(), {}, error);
    ASSERT_EQ(error, "");
    std::string answers;
    int from_handlers = 0;
    for (const sim::ClientResponse& response : responses) {
      ASSERT_TRUE(response.complete);
      add_word(answers, response.status < 300 ? "ok:" + response.body : std::to_string(response.status));
      if (response.status == 200) ++from_handlers;
    }
    ASSERT_EQ(answers, wanted_answers(vector.wanted));
    ASSERT_EQ(served, from_handlers) << "a request was served that nobody sent";

    const bool refused = !responses.empty() && responses.back().status >= 400;
    const bool ends = refused || vector.wanted.ends_with("closed");
    ASSERT_EQ(client.over(), ends);
    ASSERT_FALSE(client.saw_reset()) << "a reset can take the answer away";
    if (ends) { ASSERT_EQ(responses.back().header("connection"), "close"); }
    client.close();
    server->run_for(1us);
    ASSERT_EQ(sim::read_responses(client.received(), {}, error).size(), responses.size())
        << "an answer to half a request";
  }

  void play(const std::vector<Vector>& vectors) {
    for (const Vector& vector : vectors) {
      SCOPED_TRACE(vector.name);
      const std::string_view bytes = vector.bytes;
      ASSERT_NO_FATAL_FAILURE(expect_answers(vector, {bytes})) << "whole";
      std::vector<std::string_view> single;
      for (std::size_t at = 0; at < bytes.size(); ++at) single.push_back(bytes.substr(at, 1));
      ASSERT_NO_FATAL_FAILURE(expect_answers(vector, single)) << "byte by byte";
      const std::size_t stride = bytes.size() > 2'000 ? 997 : 1;  // long ones are long because of one repeated byte
      for (std::size_t at = 1; at < bytes.size(); at += stride) {
        ASSERT_NO_FATAL_FAILURE(expect_answers(vector, {bytes.substr(0, at), bytes.substr(at)})) << "cut at " << at;
      }
    }
    server->run_for(10s);
    EXPECT_EQ(server->leaks(), "");
  }

  int served = 0;
  std::unique_ptr<sim::SimServer> server;
};

TEST_P(VectorsServed, RequestLines) { play(http::test::request_line_vectors()); }
TEST_P(VectorsServed, Targets) { play(http::test::target_vectors()); }
TEST_P(VectorsServed, Hosts) { play(http::test::host_vectors()); }
TEST_P(VectorsServed, Fields) { play(http::test::field_vectors()); }
TEST_P(VectorsServed, Framing) { play(http::test::framing_vectors()); }
TEST_P(VectorsServed, Chunks) { play(http::test::chunked_vectors()); }
TEST_P(VectorsServed, Connections) { play(http::test::connection_vectors()); }

INSTANTIATE_TEST_SUITE_P(Bodies, VectorsServed, ::testing::Bool(),
                         [](const auto& instance) { return instance.param ? "InPieces" : "Whole"; });

}  // namespace
}  // namespace sluice
