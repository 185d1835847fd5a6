// The server in virtual time, one behaviour each.
#include <gtest/gtest.h>

#include <sluice/sluice.hpp>

#include "support/sim_server.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

ServerOptions small_options() {
  ServerOptions options;
  options.loops = 1;
  options.pool_threads = 4;
  return options;
}

std::string get(std::string_view path) { return "GET " + std::string{path} + " HTTP/1.1\r\nHost: h\r\n\r\n"; }

TEST(Simulation, AnswersOnTheLoop) {
  Router app;
  app.get("/", [](const Request&) { return text("Hello, World!"); });
  SimServer server{1, std::move(app), small_options()};
  net::SimClient& client = server.net().client();
  client.connect();
  client.send(get("/"));
  ASSERT_TRUE(server.run_until([&] { return client.received().ends_with("Hello, World!"); }, 1s));
  client.close();
  server.run_for(5s);
  EXPECT_EQ(server.leaks(), "");
}

TEST(Simulation, AnswersFromThePool) {
  Router app;
  app.get("/", blocking([](const Request&) {
            sleep(20ms);
            return text("from the pool");
          }));
  SimServer server{2, std::move(app), small_options()};
  net::SimClient& client = server.net().client();
  client.connect();
  client.send(get("/"));
  const base::TimePoint start = server.now();
  ASSERT_TRUE(server.run_until([&] { return client.received().ends_with("from the pool"); }, 1s));
  EXPECT_GE(server.now() - start, 20ms);
  client.close();
  server.run_for(5s);
  EXPECT_EQ(server.leaks(), "");
}

// The very same head again takes a shorter way. The one between them is too long to be remembered, and its path is
// decoded into the same memory.
TEST(Simulation, ARepeatedRequestHasItsOwnPath) {
  Router app;
  for (const char* pattern : {"/first", "/second"}) {
    app.get(pattern, [](const Request& q) { return text(std::string{q.path()}); });
  }
  SimServer server{1, std::move(app), small_options()};
  server.net().options().segment_bytes_max = 65'536;  // heads that come in pieces are never looked up
  net::SimClient& client = server.net().client();
  client.connect();
  const std::string again = get("/f%69rst");
  const std::string between = "GET /s%65cond HTTP/1.1\r\nHost: h\r\nX-Long: " + std::string(1000, 'x') + "\r\n\r\n";
  for (const std::string& request : {again, again, between, again}) {
    client.send(request);
    server.run_for(1s);
  }
  std::string error, answered;
  for (const ClientResponse& response : read_responses(client.received(), {}, error)) answered += response.body + " ";
  EXPECT_EQ(error, "");
  EXPECT_EQ(answered, "/first /first /second /first ");
  client.close();
  server.run_for(5s);
  EXPECT_EQ(server.leaks(), "");
}

TEST(Simulation, SpentBudgetGives504AndKeepsThePermitUntilTheHandlerReturns) {
  Router app;
  app.get("/slow", blocking([](const Request&) {
            sleep(10s);
            return text("too late");
          }),
          {.budget = 250ms, .in_flight_max = 1});
  SimServer server{3, std::move(app), small_options()};
  net::SimClient& client = server.net().client();
  client.connect();
  client.send(get("/slow"));
  const base::TimePoint start = server.now();
  ASSERT_TRUE(server.run_until([&] { return client.received().starts_with("HTTP/1.1 504"); }, 5s));
  EXPECT_GE(server.now() - start, 250ms);
  EXPECT_LE(server.now() - start, 270ms);
  EXPECT_NE(client.received().find("X-Request-Outcome: unknown"), std::string::npos);
  EXPECT_EQ(server.lane("GET /slow").in_flight, 1u);
  EXPECT_EQ(server.lane("GET /slow").zombies, 1u);
  server.run_for(11s);
  EXPECT_EQ(server.lane("GET /slow").in_flight, 0u);
  EXPECT_EQ(server.lane("GET /slow").zombies, 0u);
  EXPECT_EQ(server.lane("GET /slow").late, 1u);
  client.close();
  server.run_for(5s);
  EXPECT_EQ(server.leaks(), "");
}

TEST(Simulation, TenThousandRequestsWaitForALaterAnswerOnOneLoop) {
  std::vector<Responder> waiting;
  Router app;
  app.get("/wait", [&](const Request&, Responder responder) { waiting.push_back(std::move(responder)); },
          {.budget = 60s});
  ServerOptions options = small_options();
  options.pool_threads = 1;
  options.limits.connections_max = 20'000;
  SimServer server{4, std::move(app), options};
  std::vector<net::SimClient*> clients;
  for (int i = 0; i < 10'000; ++i) {
    clients.push_back(&server.net().client());
    clients.back()->connect();
    clients.back()->send(get("/wait"));
  }
  ASSERT_TRUE(server.run_until([&] { return waiting.size() == clients.size(); }, 30s));
  EXPECT_EQ(server.lane("GET /wait").in_flight, clients.size());
  for (Responder& responder : waiting) EXPECT_EQ(responder.respond(text("now")), Sent::accepted);
  waiting.clear();
  const auto answered = [&] {
    return std::all_of(clients.begin(), clients.end(), [](auto* c) { return c->received().ends_with("now"); });
  };
  ASSERT_TRUE(server.run_until(answered, 30s));
  for (auto* client : clients) client->close();
  server.run_for(5s);
  EXPECT_EQ(server.leaks(), "");
}

TEST(Simulation, AResponderMayOutliveItsServer) {
  std::optional<Responder> kept;
  {
    Router app;
    app.get("/wait", [&](const Request&, Responder responder) { kept.emplace(std::move(responder)); });
    SimServer server{5, std::move(app), small_options()};
    net::SimClient& client = server.net().client();
    client.connect();
    client.send(get("/wait"));
    ASSERT_TRUE(server.run_until([&] { return kept.has_value(); }, 1s));
  }
  EXPECT_EQ(kept->respond(text("nobody listens")), Sent::too_late);
}

}  // namespace
}  // namespace sluice::sim
