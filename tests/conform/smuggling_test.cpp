// Request smuggling, end to end: bytes that readers have been known to cut into requests in different ways, each sent
// whole and split at every byte. What is not clean is refused once and the connection closed; no request hidden in the
// bytes is ever served.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/sim_server.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

const std::string host = "Host: h\r\n";
const std::string hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string next = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string coding = "Transfer-Encoding: chunked\r\n";
const std::string hello = "5\r\nhello\r\n0\r\n\r\n";

std::string post(const std::string& fields, const std::string& body) {
  return "POST / HTTP/1.1\r\n" + host + fields + "\r\n" + body;
}
std::string chunks(const std::string& body) { return post(coding, body + hidden); }
std::string get(const std::string& fields) { return "GET / HTTP/1.1\r\n" + host + fields + "\r\n" + hidden; }

/// Bytes, and the statuses they are answered with; then the connection is at its end.
struct Attack {
  const char* name;
  std::string bytes;
  std::vector<int> wanted;
};

std::vector<Attack> length_attacks() {
  return {
      {"CL.TE", post("Content-Length: 6\r\n" + coding, "0\r\n\r\nG" + hidden), {400}},
      {"TE.CL", post(coding + "Content-Length: 4\r\n", "5c\r\n" + hidden + "0\r\n\r\n"), {400}},
      {"CL.0", post("Content-Length: 0\r\n", next), {200, 200}},
      {"two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello" + hidden), {400}},
      {"the same length twice", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello" + hidden), {400}},
      {"length list", post("Content-Length: 5, 5\r\n", "hello" + hidden), {400}},
      {"length with sign", post("Content-Length: +5\r\n", "hello" + hidden), {400}},
      {"negative length", post("Content-Length: -5\r\n", "hello" + hidden), {400}},
      {"hexadecimal length", post("Content-Length: 0x5\r\n", "hello" + hidden), {400}},
      {"length with underscore", post("Content-Length: 1_0\r\n", "hellohello" + hidden), {400}},
      {"length beyond 64 bits", post("Content-Length: 18446744073709551621\r\n", "hello" + hidden), {400}},
      {"empty length", post("Content-Length:\r\n", hidden), {400}},
      {"length with NUL", post("Content-Length: 5\0\r\n"s, "hello" + hidden), {400}},
      {"length before a colon and space", post("Content-Length : 5\r\n", "hello" + hidden), {400}},
      {"length folded", post("Content-Length:\r\n 5\r\n", "hello" + hidden), {400}},
      {"length with vertical tab",
       post("Content-Length: \x0b"
            "5\r\n",
            "hello" + hidden),
       {400}},
      {"length and bad coding", post("Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n", "hello" + hidden), {400}},
      {"length and empty coding", post("Content-Length: 5\r\nTransfer-Encoding:\r\n", "hello" + hidden), {400}},
      {"GET with a body that is a request",
       get("Content-Length: " + std::to_string(hidden.size()) + "\r\n") + next,
       {200, 200}},
  };
}

std::vector<Attack> coding_attacks() {
  return {
      {"TE.TE", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", hello + hidden), {400}},
      {"TE twice", post(coding + coding, hello + hidden), {400}},
      {"chunked, then identity", post("Transfer-Encoding: chunked, identity\r\n", hello + hidden), {400}},
      {"chunked twice in a list", post("Transfer-Encoding: chunked, chunked\r\n", hello + hidden), {400}},
      {"gzip first", post("Transfer-Encoding: gzip, chunked\r\n", hello + hidden), {501}},
      {"quoted", post("Transfer-Encoding: \"chunked\"\r\n", hello + hidden), {400}},
      {"xchunked", post("Transfer-Encoding: xchunked\r\n", hello + hidden), {400}},
      {"space before the colon", post("Transfer-Encoding : chunked\r\n", hello + hidden), {400}},
      {"tab before the colon", post("Transfer-Encoding\t: chunked\r\n", hello + hidden), {400}},
      {"leading space in the name", post(" Transfer-Encoding: chunked\r\n", hello + hidden), {400}},
      {"vertical tab in the value",
       post("Transfer-Encoding: \x0b"
            "chunked\r\n",
            hello + hidden),
       {400}},
      {"NUL in the value", post("Transfer-Encoding: chunked\0\r\n"s, hello + hidden), {400}},
      {"folded", post("Transfer-Encoding:\r\n chunked\r\n", hello + hidden), {400}},
      {"bare LF before it", post("X: 1\nTransfer-Encoding: chunked\r\n", hello + hidden), {400}},
      {"bare CR before it", post("X: 1\rTransfer-Encoding: chunked\r\n", hello + hidden), {400}},
      {"underscore", post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "hello" + next), {200, 200}},
      {"in HTTP/1.0", "POST / HTTP/1.0\r\n" + host + coding + "\r\n" + hello + hidden, {400}},
      {"upper case", post("TRANSFER-ENCODING: CHUNKED\r\n", hello + next), {200, 200}},
  };
}

std::vector<Attack> chunk_attacks() {
  return {
      {"size with sign", chunks("+5\r\nhello\r\n0\r\n\r\n"), {400}},
      {"size with 0x", chunks("0x5\r\nhello\r\n0\r\n\r\n"), {400}},
      {"size beyond 64 bits", chunks("10000000000000005\r\nhello\r\n0\r\n\r\n"), {400}},
      {"size empty", chunks("\r\nhello\r\n0\r\n\r\n"), {400}},
      {"size with space", chunks("5 \r\nhello\r\n0\r\n\r\n"), {400}},
      {"size ends in LF", chunks("5\nhello\r\n0\r\n\r\n"), {400}},
      {"size ends in CR", chunks("5\rhello\r\n0\r\n\r\n"), {400}},
      {"data ends in LF", chunks("5\r\nhello\n0\r\n\r\n"), {400}},
      {"data ends in nothing", chunks("5\r\nhello0\r\n\r\n"), {400}},
      {"data longer than its size", chunks("5\r\nhello!\r\n0\r\n\r\n"), {400}},
      {"TERM.EXT", chunks("5;\nxx\r\nhello\r\n0\r\n\r\n"), {400}},
      {"EXT.TERM", chunks("2;a\rxx\r\n0\r\n\r\n"), {400}},
      {"line end in a quoted extension", chunks("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), {400}},
      {"last chunk ends in LF", chunks("5\r\nhello\r\n0\n\r\n"), {400}},
      {"trailer section ends in LF", chunks("5\r\nhello\r\n0\r\n\n"), {400}},
      {"a request as trailer", chunks("5\r\nhello\r\n0\r\n"), {400}},
      {"trailer with space before colon", chunks("5\r\nhello\r\n0\r\nX : 1\r\n\r\n"), {400}},
      {"trailer that frames", post(coding, "5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n" + next), {200, 200}},
      {"size 2^63", chunks("8000000000000000\r\nhello\r\n0\r\n\r\n"), {413}},
  };
}

std::vector<Attack> head_attacks() {
  return {
      {"space before a colon", get("X : 1\r\n"), {400}},
      {"folded field", get("X: 1\r\n 2\r\n"), {400}},
      {"head ends in LF LF", "GET / HTTP/1.1\nHost: h\n\n" + hidden, {400}},
      {"CR CR LF", "GET / HTTP/1.1\r\r\n" + host + "\r\n" + hidden, {400}},
      {"NUL in a field", get("X: a\0b\r\n"s), {400}},
      {"no name", get(": 1\r\n"), {400}},
      {"no colon", get("X\r\n"), {400}},
      {"two Hosts", get("Host: g\r\n"), {400}},
      {"no Host", "GET / HTTP/1.1\r\n\r\n" + hidden, {400}},
      {"absolute form against Host", "GET http://h/ HTTP/1.1\r\n" + host + "\r\n" + next, {200, 200}},
      {"space in the target", "GET /a HTTP/1.1\r\nX: /b HTTP/1.1\r\n\r\n" + hidden, {400}},
      {"two spaces", "GET  / HTTP/1.1\r\n" + host + "\r\n" + hidden, {400}},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden, {505}},
      {"CONNECT", "CONNECT h:80 HTTP/1.1\r\n" + host + "\r\n" + hidden, {501}},
      {"Upgrade is no tunnel",
       "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: x\r\n\r\n" + next,
       {200, 200}},
      {"close ends it", get("Connection: close\r\n"), {200}},
      {"close after others", get("Connection: keep-alive\r\nConnection: x, close\r\n"), {200}},
      {"HTTP/1.0 ends it", "GET / HTTP/1.0\r\n\r\n" + hidden, {200}},
      {"unknown expectation", post("Expect: x\r\nContent-Length: 5\r\n", "hello" + hidden), {417}},
      {"withheld body is not the next request",
       "POST /none HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: " + std::to_string(hidden.size()) +
           "\r\n\r\n" + hidden,
       {404}},
      {"refused body is not the next request",
       "POST /none HTTP/1.1\r\n" + host + "Content-Length: " + std::to_string(hidden.size()) + "\r\n\r\n" + hidden +
           next,
       {404, 200}},
  };
}

class Smuggling : public ::testing::Test {
 protected:
  Smuggling() {
    Router app;
    app.get("/", [](const Request&) { return text("x"); });
    app.get("/next", [](const Request&) { return text("x"); });
    app.post("/", [](const Request& q) { return text(q.body()); });
    app.get("/hidden", [this](const Request&) {
      ++served;
      return text("smuggled");
    });
    server = sim::plain_sim_server(std::move(app));
  }

  std::vector<int> answers(const std::string& bytes, std::size_t split) {
    net::SimClient& client = server->net().client();
    client.connect();
    client.send(bytes.substr(0, split));
    server->run_for(1ms);
    client.send(bytes.substr(split));
    client.half_close();
    EXPECT_TRUE(server->run_until([&] { return client.over(); }, 5s)) << "the connection stays";
    std::string error;
    const auto responses = sim::read_responses(client.received(), {}, error);
    EXPECT_EQ(error, "");
    std::vector<int> statuses;
    for (const sim::ClientResponse& response : responses) {
      EXPECT_TRUE(response.complete);
      statuses.push_back(response.status);
    }
    if (!responses.empty() && responses.back().status >= 400) {
      EXPECT_EQ(responses.back().header("connection"), "close");
    }
    return statuses;
  }

  void play(const std::vector<Attack>& attacks) {
    for (const Attack& attack : attacks) {
      SCOPED_TRACE(attack.name);
      for (std::size_t split = 0; split < attack.bytes.size(); ++split) {
        ASSERT_EQ(answers(attack.bytes, split), attack.wanted) << "split at " << split;
        ASSERT_EQ(served, 0) << "split at " << split;
      }
    }
    server->run_for(10s);
    EXPECT_EQ(server->leaks(), "");
  }

  int served = 0;
  std::unique_ptr<sim::SimServer> server;
};

TEST_F(Smuggling, LengthsAreReadInOneWay) { play(length_attacks()); }
TEST_F(Smuggling, CodingsAreReadInOneWay) { play(coding_attacks()); }
TEST_F(Smuggling, ChunksAreReadInOneWay) { play(chunk_attacks()); }
TEST_F(Smuggling, HeadsAndConnectionsEndWhereTheyMust) { play(head_attacks()); }

}  // namespace
}  // namespace sluice
