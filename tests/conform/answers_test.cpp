// What a client may rely on in every answer, whoever gives it: its date, its one framing, Allow where it belongs, no body
// where none may be; that it arrives although the client goes on sending; and that empty lines buy no time.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/sim_server.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;

class Answers : public ::testing::Test {
 protected:
  Answers() {
    Router app;
    app.get("/", [](const Request&) { return text("x"); });
    app.post("/echo", [](const Request& q) { return text(q.body()); });
    app.get("/empty", [](const Request&) { return text("dropped").status(204); });
    app.get("/unchanged", [](const Request&) { return text("dropped").status(304); });
    server = sim::plain_sim_server(std::move(app));
  }

  net::SimClient& send(std::string_view bytes) {
    net::SimClient& client = server->net().client();
    client.connect();
    client.send(bytes);
    server->run_for(1ms);
    return client;
  }

  /// The one answer to bytes that hold one request.
  sim::ClientResponse answer(std::string_view method, const std::string& bytes) {
    net::SimClient& client = send(bytes);
    std::string error;
    auto responses = sim::read_responses(client.received(), {std::string{method}}, error);
    EXPECT_EQ(error, "");
    EXPECT_EQ(responses.size(), 1u);
    if (responses.empty()) return {};
    EXPECT_TRUE(responses.front().complete);
    const bool ends_with_head = client.received().ends_with("\r\n\r\n");
    EXPECT_EQ(ends_with_head, responses.front().body.empty()) << client.received();
    return responses.front();
  }

  static std::size_t count(const sim::ClientResponse& answer, std::string_view name) {
    return static_cast<std::size_t>(
        std::ranges::count_if(answer.headers, [&](const auto& field) { return field.first == name; }));
  }

  std::unique_ptr<sim::SimServer> server;
};

struct Case {
  std::string method;
  std::string target;
  std::string fields;
  int status;
};

std::vector<Case> cases() {
  return {
      {"GET", "/", "", 200},
      {"HEAD", "/", "", 200},
      {"OPTIONS", "/", "", 204},
      {"OPTIONS", "*", "", 204},
      {"OPTIONS", "http://h", "", 204},
      {"GET", "http://h/", "", 200},
      {"POST", "/echo", "", 200},
      {"GET", "/empty", "", 204},
      {"GET", "/unchanged", "", 304},
      {"GET", "/none", "", 404},
      {"HEAD", "/none", "", 404},
      {"DELETE", "/", "", 405},
      {"TRACE", "/", "", 405},
      {"HEAD", "/echo", "", 405},
      {"GET", "/", "X : 1\r\n", 400},
      {"HEAD", "/", "X : 1\r\n", 400},
      {"POST", "/echo", "Content-Length: 99999999\r\n", 413},
      {"GET", "/" + std::string(9'000, 'a'), "", 414},
      {"GET", "/", "Expect: x\r\n", 417},
      {"GET", "/", "X: " + std::string(20'000, 'x') + "\r\n", 431},
      {"BREW", "/", "", 501},
      {"CONNECT", "h:80", "", 501},
      {"POST", "/echo", "Transfer-Encoding: gzip, chunked\r\n", 501},
  };
}

TEST_F(Answers, HaveADateAndOneFraming) {
  for (const Case& each : cases()) {
    SCOPED_TRACE(each.method + " " + each.target.substr(0, 20) + " " + each.fields.substr(0, 40));
    const sim::ClientResponse got =
        answer(each.method, each.method + " " + each.target + " HTTP/1.1\r\nHost: h\r\n" + each.fields + "\r\n");
    EXPECT_EQ(got.status, each.status);
    EXPECT_EQ(count(got, "date"), 1u);
    EXPECT_EQ(count(got, "transfer-encoding"), 0u);
    const bool bodiless = each.method == "HEAD" || got.status == 204 || got.status == 304;
    if (got.status == 204) {
      EXPECT_EQ(count(got, "content-length"), 0u);
    } else if (!bodiless) {
      ASSERT_EQ(count(got, "content-length"), 1u);
      EXPECT_EQ(got.header("content-length"), std::to_string(got.body.size()));
    }
    if (bodiless) { EXPECT_EQ(got.body, ""); }
    EXPECT_EQ(count(got, "allow"), each.method == "OPTIONS" || got.status == 405 ? 1u : 0u);
    EXPECT_EQ(count(got, "connection"), got.status == 400 || got.status > 405 ? 1u : 0u);
  }
}

TEST_F(Answers, AfterAnInterimOneTheFinalOneIsFramed) {
  net::SimClient& client = send("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(client.received(), "HTTP/1.1 100 Continue\r\n\r\n");  // a head without a field
  client.send("hello");
  server->run_for(1ms);
  EXPECT_TRUE(client.received().ends_with("\r\n\r\nhello"));
}

TEST_F(Answers, ReachAClientThatSendsFarTooMuch) {
  const std::string start = "GET / HTTP/1.1\r\nHost: h\r\n";
  const std::string chunked = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string many;
  for (int i = 0; i < 2'000; ++i) many += "X: 1\r\n";
  const std::string much(1'000'000, 'x');
  const std::vector<std::pair<int, std::string>> requests = {
      {501, much + " / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {414, "GET /" + much + " HTTP/1.1\r\nHost: h\r\n\r\n"},
      {431, start + much + ": 1\r\n\r\n"},
      {431, start + "X: " + much + "\r\n\r\n"},
      {431, start + many + "\r\n"},
      {400, chunked + std::string(1'000'000, '0') + "5\r\n"},
      {400, chunked + "5;" + much + "\r\nhello\r\n0\r\n\r\n"},
      {431, chunked + "0\r\nX: " + much + "\r\n\r\n"},
      {431, chunked + "0\r\n" + many + "\r\n"},
  };
  for (const auto& [status, bytes] : requests) {
    SCOPED_TRACE(bytes.substr(0, 100));
    net::SimClient& client = send(bytes);
    std::string error;
    const auto responses = sim::read_responses(client.received(), {}, error);
    EXPECT_EQ(error, "");
    ASSERT_EQ(responses.size(), 1u);
    EXPECT_EQ(responses.front().status, status);
    EXPECT_EQ(responses.front().header("connection"), "close");
    EXPECT_TRUE(client.saw_fin());
    EXPECT_FALSE(client.saw_reset());
  }
}

TEST_F(Answers, EmptyLinesInFrontBuyNoTimeAndGetNone) {
  net::SimClient& client = send("\r\n");
  server->run_for(6s);
  client.send("\r\n");
  server->run_for(3s);
  EXPECT_FALSE(client.over());
  server->run_for(2s);  // the head's ten seconds began with the first byte
  EXPECT_TRUE(client.saw_fin());
  EXPECT_EQ(client.received(), "");
}

}  // namespace
}  // namespace sluice
