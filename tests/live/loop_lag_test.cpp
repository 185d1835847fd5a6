// A handler that sleeps on a real loop is seen: in the lag of its turns, in its lane's count, in the log, and from
// another thread while it lasts. Nothing here is slower than it must be at least; no machine is quick enough to fail.
#include <gtest/gtest.h>

#include <algorithm>
#include <semaphore>
#include <thread>

#include <sluice/blocking.hpp>

#include "support/live_server.hpp"

namespace sluice::live {
namespace {

using namespace std::chrono_literals;

class LoopLag : public LiveTest {
 protected:
  LoopLag() { options.loops = 1; }
  LoopStatus loop() const { return server->counters().loops.at(0); }
};

TEST_F(LoopLag, ASleepingHandlerIsMeasuredCountedAndLoggedOnce) {
  app.get("/sleep", [](const Request&) {
    std::this_thread::sleep_for(50ms);
    return text("slept");
  });
  serve();
  Client talker = client();
  talker.get("/sleep");
  EXPECT_EQ(talker.read().body, "slept");
  EXPECT_TRUE(soon([&] { return loop().lag_max_us >= 50'000; }));  // recorded after the answer was sent
  EXPECT_EQ(lane("GET /sleep").loop_stalls, 1u);
  EXPECT_EQ(loop().stalls, 1u);
  const std::vector<std::string> all = logged();
  EXPECT_EQ(std::count(all.begin(), all.end(), "loop_stalled"), 1);
}

TEST_F(LoopLag, AHandlerThatDoesNotReturnIsNamedWhileItHoldsTheLoop) {
  std::binary_semaphore release{0};
  app.get("/stuck/{id}", [&](const Request&) {
    release.acquire();
    return text("at last");
  });
  serve();
  Client talker = client();
  talker.get("/stuck/7");
  EXPECT_TRUE(soon([&] { return loop().stalled_route == "GET /stuck/{id}"; }));
  EXPECT_TRUE(soon([&] { return loop().stalled_for_ms >= 50; }));
  release.release();
  EXPECT_EQ(talker.read().body, "at last");
  EXPECT_TRUE(soon([&] { return loop().stalled_route.empty(); }));
  EXPECT_EQ(lane("GET /stuck/{id}").loop_stalls, 1u);
}

TEST_F(LoopLag, WaitingForAnotherServerOnALoopIsRefused) {
  Router empty;
  ServerOptions other_options;
  other_options.listen = {"127.0.0.1:0"};
  other_options.loops = 1;
  Server other{std::move(empty), other_options};
  other.start();
  options.refuse_blocking = true;
  app.get("/stop-other", [&](const Request&) {
    other.stop();
    return text("stopped");
  });
  app.get("/wait-other", [&](const Request&) {
    other.wait();
    return text("waited");
  });
  serve();
  Client talker = client();
  for (const char* target : {"/stop-other", "/wait-other"}) {
    talker.get(target);
    EXPECT_EQ(talker.read().status, 500) << target;
  }
  EXPECT_EQ(loop().blocking_calls, 2u);
  server->stop();  // its handlers name the other one
  other.stop();
}

}  // namespace
}  // namespace sluice::live
