// What is lost when there is no memory for an answer: its connection, and nothing else. operator new for aligned objects
// is replaced in this program: it fails once for a thread that has asked for that. Sanitizers see what it allocates.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <optional>
#include <utility>

#include "sim/stage.hpp"

namespace {
thread_local bool fail_next = false;
}

[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t to) {
  const auto alignment = static_cast<std::size_t>(to);
  void* const place = std::exchange(fail_next, false)
                          ? nullptr
                          : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (place == nullptr) throw std::bad_alloc{};
  return place;
}
[[gnu::noinline]] void operator delete(void* place, std::align_val_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::size_t, std::align_val_t) noexcept { std::free(place); }

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

class NoMemory : public Stage {
 protected:
  NoMemory() {
    app.get("/fine", [](const Request&) { return text("fine"); });
    app.get("/in-place", [this](const Request&) {
      starve();
      return text("lost");
    });
    app.get("/responds", [this](const Request&, Responder responder) {
      responder.respond(text("lost"));
      starve();
    });
    app.get("/first", blocking([](const Request&) {
                        return text("not asked");
                      }).answer_first([this](const Request&) -> std::optional<Response> {
      starve();
      return text("lost");
    }));
    RouteOptions narrow{.in_flight_max = 1, .queue_depth_max = 1, .queue_timeout = 100ms};
    app.get("/waits", slow(), narrow);
    narrow.on_shed = [this](const Request&, ShedReason) {
      starve();
      return text("lost");
    };
    app.get("/degrades", slow(), narrow);
    app.post("/expects", [](const Request&) { return text("not asked"); },
             {.on_expect = [this](const Request&) -> std::optional<Response> {
               starve();
               return text("lost");
             }});
  }

  /// The loop's next block will not be had.
  void starve() {
    stage->loop(0).blocks().trim();
    fail_next = true;
  }

  static Handler slow() {
    return blocking([](const Request&) {
      sleep(1s);
      return text("done");
    });
  }

  void expect_one_loss(Talker& unlucky, std::size_t exchanges_left = 0) {
    EXPECT_TRUE(unlucky.ended());
    EXPECT_EQ(unlucky.received(), "");
    EXPECT_FALSE(fail_next);
    ASSERT_EQ(log.size(), 1u);
    EXPECT_EQ(log.front().what, "connection_dropped");
    EXPECT_EQ(stage->shard(0).exchange_count(), exchanges_left);
    EXPECT_EQ(client().get("/fine").last().body, "fine");
  }
  void expect_one_loss(std::string_view path) {
    serve();
    expect_one_loss(client().get(path));
  }
};

TEST_F(NoMemory, AnAnswerInPlaceThatFindsNoneLosesItsConnection) { expect_one_loss("/in-place"); }

TEST_F(NoMemory, AnAnswerGivenInsideTheHandlerLosesItsConnection) { expect_one_loss("/responds"); }

TEST_F(NoMemory, AnAnswerAtHandLosesItsConnection) { expect_one_loss("/first"); }

TEST_F(NoMemory, ARefusedExpectationLosesItsConnection) {
  serve();
  expect_one_loss(
      client().say("POST /expects HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", "POST"));
}

TEST_F(NoMemory, OneThatExpiresInItsQueueLosesItsConnection) {
  serve();
  Talker& first = client().get("/waits");
  ASSERT_TRUE(until([&] { return lane("GET /waits").running == 1; }));
  Talker& unlucky = client().get("/waits");
  ASSERT_TRUE(until([&] { return lane("GET /waits").depth == 1; }));
  after(99ms, [this] { starve(); });
  expect_one_loss(unlucky, 1);
  EXPECT_EQ(first.last().body, "done");
  EXPECT_EQ(lane("GET /waits").expired, 1u);
}

TEST_F(NoMemory, ADegradedAnswerLosesItsConnection) {
  serve();
  Talker& first = client().get("/degrades");
  ASSERT_TRUE(until([&] { return lane("GET /degrades").running == 1; }));
  client().get("/degrades");
  ASSERT_TRUE(until([&] { return lane("GET /degrades").depth == 1; }));
  expect_one_loss(client().get("/degrades"), 2);
  EXPECT_EQ(first.last().body, "done");
}

}  // namespace
}  // namespace sluice::sim
