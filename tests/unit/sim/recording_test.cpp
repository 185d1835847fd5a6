// The whole way of a recording: a server in virtual time writes down what comes to it, sluice-sim plays it again and
// does with it what the server did.
#include <gtest/gtest.h>

#include <sluice/extra/recording.hpp>

#include "questions.hpp"
#include "support/sim_server.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

/// A request every 10 ms, of 20 ms' work, to a server that has the permits for it; then a second route, oddly named.
void record(const std::string& path, int requests) {
  Recording recording{{.path = path}};
  Router app;
  app.use(recording.middleware());
  const auto work = [](const Request&) {
    sleep(20ms);
    return text("done");
  };
  app.get("/users/{id}", blocking(work), {.budget = 200ms, .in_flight_max = 2});
  app.get("/a,\"b\"", blocking(work), {.budget = 200ms, .in_flight_max = 2});
  ServerOptions options;
  options.loops = 1;
  options.pool_threads = 4;
  SimServer server{1, std::move(app), options};
  for (int i = 0; i < requests; ++i) {
    const char* const target = i + 1 == requests ? "/a,%22b%22" : "/users/1";
    net::SimClient& next = server.net().client();
    next.connect();
    next.send(std::string{"GET "} + target + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    server.run_for(10ms);
  }
  server.run_for(5s);
  recording.flush();
  EXPECT_EQ(recording.status().written, static_cast<std::uint64_t>(requests));
}

TEST(SimRecording, OfALiveServerIsReplayedAsItIs) {
  constexpr int requests = 300;
  Question question;
  question.scenario = file_of("service.json", R"({"warmup_s":0,"routes":[
    {"name":"GET /users/{id}","service":{"distribution":"fixed","mean_ms":1},"in_flight_max":2,"budget_ms":200},
    {"name":"GET /a,\"b\"","service":{"distribution":"fixed","mean_ms":1},"in_flight_max":2,"budget_ms":200}]})");
  question.replay = file_of("day.csv", "");
  record(question.replay, requests);
  const Study once = study_of(question);
  ASSERT_EQ(once.runs.size(), 1u);
  EXPECT_TRUE(once.balanced());
  EXPECT_EQ(once.runs[0].result.total.counts.offered, 300u);
  EXPECT_EQ(once.runs[0].result.total.counts.good(), 300u) << "100 a second of 100, as it was recorded";
  question.speed = 3;
  const Study faster = study_of(question);
  ASSERT_EQ(faster.runs.size(), 1u);
  EXPECT_EQ(faster.runs[0].result.total.counts.offered, 300u);
  EXPECT_LT(faster.runs[0].result.total.counts.good(), 150u) << "300 a second of 100";
}

}  // namespace
}  // namespace sluice::sim
