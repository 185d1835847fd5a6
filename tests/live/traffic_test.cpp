// Bytes over real sockets: what other servers got wrong once, and what overload and drains must not do to an answer.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <new>
#include <semaphore>
#include <thread>

#include "support/live_server.hpp"

namespace sluice::live {
namespace {

using namespace std::chrono_literals;

class Traffic : public LiveTest {
 protected:
  Traffic() {
    app.get("/", [](const Request&) { return text("Hello, World!"); });
    app.get("/owned", [](const Request&) { return text(std::string(256 * 1024, 'o')); });
    app.get("/shared", [this](const Request&) { return Response{}.body(SharedBytes{large}); });
    app.get("/pool", blocking([](const Request&) { return text(std::string(30'000, 'p')); }));
    app.get("/memory", [](const Request&) -> Response { throw std::bad_alloc{}; });
  }

  std::shared_ptr<const std::string> large = std::make_shared<const std::string>(256 * 1024, 's');
};

TEST_F(Traffic, LargeBodyWithConnectionCloseIsNeverTruncated) {
  serve();
  for (int round = 0; round < 30; ++round) {
    const char* const target = round % 2 == 0 ? "/owned" : "/shared";
    Client talker = client();
    talker.ask("GET", target, "Connection: close\r\n");
    if (round % 3 == 0) talker.half_close();
    const ClientResponse answer = talker.read();
    EXPECT_EQ(answer.header("connection"), "close");
    EXPECT_EQ(answer.body.size(), 256u * 1024);
    EXPECT_TRUE(answer.complete);
    EXPECT_EQ(talker.read_to_end(), "");
    EXPECT_FALSE(talker.was_reset());
  }
}

TEST_F(Traffic, ParallelStaticBodiesAreNeverEmpty) {
  serve();
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      Client talker = client();
      for (int i = 0; i < 200; ++i) {
        talker.get("/");
        good += talker.read().body == "Hello, World!" ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 8 * 200);
}

TEST_F(Traffic, Http10ClientNeverGetsChunks) {
  serve();
  for (const char* target : {"/", "/owned", "/shared", "/pool", "/none", "/memory"}) {
    Client talker = client();
    talker.send("GET " + std::string{target} + " HTTP/1.0\r\n\r\n");
    const ClientResponse answer = talker.read();
    EXPECT_TRUE(answer.complete) << target;
    EXPECT_EQ(answer.header("transfer-encoding"), "") << target;
    EXPECT_NE(answer.header("content-length"), "") << target;
    EXPECT_EQ(answer.header("connection"), "close") << target;
    EXPECT_EQ(talker.read_to_end(), "") << target;
  }
}

TEST_F(Traffic, HandlerOutOfMemoryCostsOneRequest) {
  serve();
  Client talker = client();
  Client other = client();
  talker.get("/memory");
  EXPECT_EQ(talker.read().status, 500);
  talker.get("/");
  EXPECT_EQ(talker.read().body, "Hello, World!");
  other.get("/");
  EXPECT_EQ(other.read().body, "Hello, World!");
  EXPECT_EQ(lane("GET /memory").thrown, 1u);
}

TEST_F(Traffic, SpentBudgetIsAnsweredWhileTheHandlerSleeps) {
  std::counting_semaphore<> wake{0};
  app.get("/sleep", blocking([&](const Request&) {
            wake.acquire();
            return text("too late");
          }),
          {.budget = 50ms, .in_flight_max = 1});
  serve();
  Client talker = client();
  talker.get("/sleep");
  const ClientResponse answer = talker.read();  // comes although nobody wakes the handler
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.header("x-request-outcome"), "unknown");
  EXPECT_EQ(lane("GET /sleep").in_flight, 1u);
  EXPECT_EQ(lane("GET /sleep").timed_out, 1u);
  talker.get("/sleep");
  EXPECT_EQ(talker.read().header("x-request-outcome"), "not-started");
  wake.release();
  EXPECT_TRUE(soon([&] { return lane("GET /sleep").in_flight == 0 && lane("GET /sleep").zombies == 0; }));
  EXPECT_EQ(lane("GET /sleep").late, 1u);
}

TEST_F(Traffic, AnswersFromOtherThreadsFindTheirClients) {
  std::mutex lock;
  std::vector<Responder> waiting;
  app.get("/later", [&](const Request& q, Responder r) {
    r = std::move(r).edit([id = std::string{q.query("id")}](Response& a) { a.header("X-Id", id); });
    const std::lock_guard hold{lock};
    waiting.push_back(std::move(r));
  });
  serve();
  std::vector<Client> talkers;
  for (int i = 0; i < 50; ++i) {
    talkers.push_back(client());
    talkers.back().get("/later?id=" + std::to_string(i));
  }
  EXPECT_TRUE(soon([&] {
    const std::lock_guard hold{lock};
    return waiting.size() == talkers.size();
  }));
  std::vector<std::thread> threads;
  for (Responder& responder : waiting) {
    threads.emplace_back([&responder] { EXPECT_EQ(responder.respond(text("late")), Sent::accepted); });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < talkers.size(); ++i) EXPECT_EQ(talkers[i].read().header("x-id"), std::to_string(i));
  waiting.clear();
}

TEST_F(Traffic, ConnectionsAboveTheCapWaitAndAreServed) {
  options.loops = 1;
  options.limits.connections_max = 4;
  serve();
  std::vector<Client> talkers;
  for (int i = 0; i < 12; ++i) {
    talkers.push_back(client());
    talkers.back().get("/");
  }
  for (Client& talker : talkers) {
    EXPECT_EQ(talker.read().body, "Hello, World!");
    EXPECT_LE(server->counters().connections.open, 5u);
    talker.close();
  }
}

TEST_F(Traffic, DrainUnderLoadTruncatesNothing) {
  serve();
  std::atomic<bool> ended{false};
  std::atomic<int> whole{0}, truncated{0}, busy{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      const char* const target = t % 3 == 0 ? "/" : t % 3 == 1 ? "/pool" : "/owned";
      while (!ended) {
        Client talker = client();
        for (int i = 0; i < 20 && talker.connected() && talker.get(target); ++i) {
          const ClientResponse answer = talker.read();
          if (answer.status == 0) break;  // never answered: the client may ask elsewhere
          if (answer.status == 503) ++busy;
          else if (answer.complete) ++whole;
          else ++truncated;
          if (answer.header("connection") == "close") break;
        }
      }
    });
  }
  EXPECT_TRUE(soon([&] { return whole > 300; }));
  const DrainReport report = server->drain(20s);
  ended = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(truncated, 0);
  EXPECT_EQ(report.cut, 0u);
  EXPECT_TRUE(report.still_running.empty());
  EXPECT_GT(whole, 300);
}

}  // namespace
}  // namespace sluice::live
