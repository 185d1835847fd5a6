// The body of a request that nobody reads it for: answered with 404, 405 or by the library itself, sent with GET, HEAD or
// TRACE, held back for an invitation. It is passed over or the connection ends; its bytes are never the next request.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/sim_server.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;

const std::string hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string next = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string length = "Content-Length: " + std::to_string(hidden.size()) + "\r\n";
const std::string coding = "Transfer-Encoding: chunked\r\n";

std::string in_hex(std::size_t size) {
  char digits[20];
  std::snprintf(digits, sizeof digits, "%zx", size);
  return digits;
}
const std::string chunks = in_hex(hidden.size()) + "\r\n" + hidden + "\r\n0\r\n\r\n";

struct Unread {
  std::string method;
  std::string target;
  int status;
  bool by_handler = false;  // then the body is read before the answer
};

class UnreadBodies : public ::testing::TestWithParam<Unread> {
 protected:
  UnreadBodies() {
    Router app;
    app.get("/", [](const Request&) { return text("x"); });
    app.del("/", [](const Request&) { return text("x"); });
    app.get("/next", [](const Request&) { return text("x"); });
    app.get("/hidden", [this](const Request&) {
      ++served;
      return text("smuggled");
    });
    server = sim::plain_sim_server(std::move(app));
  }

  /// Sends a request with these fields and this body, another one behind it, cut everywhere; each must be answered so.
  void expect_answers(const std::string& fields, const std::string& body, const std::vector<int>& wanted) {
    const Unread& request = GetParam();
    const std::string bytes =
        request.method + " " + request.target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + body + next;
    for (std::size_t split = 0; split < bytes.size(); ++split) {
      SCOPED_TRACE("split at " + std::to_string(split));
      net::SimClient& client = server->net().client();
      client.connect();
      client.send(bytes.substr(0, split));
      server->run_for(1us);
      client.send(bytes.substr(split));
      client.half_close();
      ASSERT_TRUE(server->run_until([&] { return client.over(); }, 5s)) << "the connection stays";
      ASSERT_FALSE(client.saw_reset());
      std::string error;
      std::vector<int> statuses;
      for (const auto& answer : sim::read_responses(client.received(), {request.method}, error)) {
        EXPECT_TRUE(answer.complete);
        statuses.push_back(answer.status);
      }
      ASSERT_EQ(error, "");
      ASSERT_EQ(statuses, wanted);
      ASSERT_EQ(served, 0);
    }
  }

  int served = 0;
  std::unique_ptr<sim::SimServer> server;
};

TEST_P(UnreadBodies, IsPassedOverIfItsLengthIsKnown) { expect_answers(length, hidden, {GetParam().status, 200}); }

TEST_P(UnreadBodies, IsPassedOverIfItIsChunked) { expect_answers(coding, chunks, {GetParam().status, 200}); }

TEST_P(UnreadBodies, EndsTheConnectionIfItIsMalformed) {
  const std::vector<int> wanted{GetParam().by_handler ? 400
                                                      : GetParam().status};  // one answer, not a second for its body
  expect_answers(coding, "5\nhello\r\n0\r\n\r\n" + hidden, wanted);
  expect_answers(coding, "5\r\nhelloXX0\r\n\r\n" + hidden, wanted);
  expect_answers(coding, "0\r\n\rX" + hidden, wanted);
}

TEST_P(UnreadBodies, EndsTheConnectionIfItWasNotInvited) {
  std::vector<int> wanted{GetParam().status};
  if (GetParam().by_handler) wanted.push_back(200);  // invited, and read
  expect_answers(length + "Expect: 100-continue\r\n", hidden, wanted);
  expect_answers(coding + "Expect: 100-continue\r\n", chunks, wanted);
}

INSTANTIATE_TEST_SUITE_P(
    Requests, UnreadBodies,
    ::testing::Values(Unread{"GET", "/", 200, true}, Unread{"HEAD", "/", 200, true}, Unread{"DELETE", "/", 200, true},
                      Unread{"OPTIONS", "/", 204}, Unread{"OPTIONS", "*", 204}, Unread{"TRACE", "/", 405},
                      Unread{"PUT", "/", 405}, Unread{"GET", "/none", 404}, Unread{"HEAD", "/none", 404},
                      Unread{"POST", "/none", 404}, Unread{"OPTIONS", "/none", 404}),
    [](const auto& instance) {
      const Unread& request = instance.param;
      return request.method + (request.target == "/" ? "Root" : request.target == "*" ? "Star" : "None");
    });

}  // namespace
}  // namespace sluice
