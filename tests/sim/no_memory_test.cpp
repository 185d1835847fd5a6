// What is lost when there is no memory for an answer: its connection, and nothing else. operator new for aligned objects
// is replaced in this program: it fails once for a thread that has asked for that.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <utility>

#include "sim/stage.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLUICE_OWN_NEW 0  // the sanitizer's is to be kept
#else
#define SLUICE_OWN_NEW 1
#endif

namespace {
thread_local bool fail_next = false;
}

#if SLUICE_OWN_NEW
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
#endif

namespace sluice::sim {
namespace {

class NoMemory : public Stage {
 protected:
  NoMemory() {
    app.get("/fine", [](const Request&) { return text("fine"); });
    app.get("/in-place", [](const Request&) {
      fail_next = true;
      return text("lost");
    });
    app.get("/responds", [](const Request&, Responder responder) {
      responder.respond(text("lost"));
      fail_next = true;
    });
    app.get("/first", blocking([](const Request&) {
                        return text("not asked");
                      }).answer_first([](const Request&) -> std::optional<Response> {
      fail_next = true;
      return text("lost");
    }));
  }

  /// The first answer of a loop, which has no block at hand.
  void expect_one_loss(std::string_view path) {
    if (SLUICE_OWN_NEW == 0) GTEST_SKIP() << "with a sanitizer, whose operator new is not replaced";
    serve();
    Talker& unlucky = client();
    unlucky.get(path);
    EXPECT_TRUE(unlucky.ended());
    EXPECT_EQ(unlucky.received(), "");
    EXPECT_FALSE(fail_next);
    ASSERT_EQ(log.size(), 1u);
    EXPECT_EQ(log.front().what, "connection_dropped");
    EXPECT_EQ(stage->shard(0).exchange_count(), 0u);
    EXPECT_EQ(client().get("/fine").last().body, "fine");
  }
};

TEST_F(NoMemory, AnAnswerInPlaceThatFindsNoneLosesItsConnection) { expect_one_loss("/in-place"); }

TEST_F(NoMemory, AnAnswerGivenInsideTheHandlerLosesItsConnection) { expect_one_loss("/responds"); }

TEST_F(NoMemory, AnAnswerAtHandLosesItsConnection) { expect_one_loss("/first"); }

}  // namespace
}  // namespace sluice::sim
