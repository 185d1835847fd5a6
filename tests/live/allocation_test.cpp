// Nothing is allocated per request on the steady keep-alive path. operator new is replaced in this program and counts
// on a thread that asked for it: a handler asks on behalf of its loop.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "support/live_server.hpp"

namespace {

thread_local bool counting = false;
thread_local std::uint64_t allocations = 0;

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (counting) ++allocations;
  if (size == 0) size = 1;
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return std::malloc(size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  void* const place = allocate(size, alignment);
  if (place == nullptr) throw std::bad_alloc{};
  return place;
}

}  // namespace

// Not inlined: the compiler would see a malloc here and a delete there, and warn of a mismatch that is none.
[[gnu::noinline]] void* operator new(std::size_t size) { return allocate_or_throw(size, 1); }
[[gnu::noinline]] void* operator new[](std::size_t size) { return allocate_or_throw(size, 1); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t to) {
  return allocate_or_throw(size, static_cast<std::size_t>(to));
}
[[gnu::noinline]] void* operator new[](std::size_t size, std::align_val_t to) {
  return allocate_or_throw(size, static_cast<std::size_t>(to));
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
[[gnu::noinline]] void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
[[gnu::noinline]] void operator delete(void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete[](void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::size_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete[](void* place, std::size_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::align_val_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete[](void* place, std::align_val_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::size_t, std::align_val_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete[](void* place, std::size_t, std::align_val_t) noexcept { std::free(place); }

namespace sluice::live {
namespace {

class Allocations : public LiveTest {
 protected:
  static constexpr int rounds = 200;

  Allocations() {
    options.loops = 1;
    app.get("/", [](const Request&) { return text("Hello, World!"); });
    app.get("/items", [](const Request& q) { return q.query<int>("page") == 7 ? text("seven") : text("another"); });
    app.get("/items/{id}", [](const Request& q) { return q.param<int>("id") == 42 ? text("it") : text("not it"); });
    app.post("/static", [](const Request& q) { return q.body() == "small" ? text("small") : text("other"); });
    app.post("/shared", [this](const Request&) { return Response{}.body(SharedBytes{shared}); });
    app.get("/large", [this](const Request&) { return Response{}.body(SharedBytes{large}); });
    app.get("/allocates", [](const Request&) { return text(std::string(200, 'x')); });
    app.get("/on", [](const Request&) {
      allocations = 0;
      counting = true;
      return text("on");
    });
    app.get("/off", [this](const Request&) {
      counting = false;
      seen = allocations;
      return text("off");
    });
  }

  /// How many allocations the loop makes for `rounds` times `bytes`, which are `count` requests each, once it is warm.
  std::uint64_t count(const std::string& bytes, std::string_view method, int status, int count_of_requests = 1) {
    Client talker = client();
    const auto play = [&](int times) {
      for (int round = 0; round < times; ++round) {
        talker.send(bytes);
        for (int i = 0; i < count_of_requests; ++i) EXPECT_EQ(talker.read(method).status, status);
      }
    };
    play(50);
    talker.get("/on");
    EXPECT_EQ(talker.read().body, "on");
    play(rounds);
    talker.get("/off");
    EXPECT_EQ(talker.read().body, "off");
    return seen;
  }
  static std::string request(std::string_view method, std::string_view target, std::string_view fields = {}) {
    return std::string{method} + " " + std::string{target} + " HTTP/1.1\r\nHost: localhost\r\n" + std::string{fields} +
           "\r\n";
  }

  std::shared_ptr<const std::string> shared = std::make_shared<const std::string>("shared by all");
  std::shared_ptr<const std::string> large = std::make_shared<const std::string>(10'000, 'x');
  std::atomic<std::uint64_t> seen{0};
};

TEST_F(Allocations, TheCounterSeesThem) {
  serve();
  EXPECT_GE(count(request("GET", "/allocates"), "GET", 200), std::uint64_t{rounds});
}

TEST_F(Allocations, NoneForAGetWithALiteralBody) {
  serve();
  EXPECT_EQ(count(request("GET", "/"), "GET", 200), 0u);
}

TEST_F(Allocations, NoneForTwentyHeaderFields) {
  serve();
  std::string fields;
  for (int i = 0; i < 20; ++i) fields += "X-Field-" + std::to_string(i) + ": some value of usual length\r\n";
  EXPECT_EQ(count(request("GET", "/", fields), "GET", 200), 0u);
}

TEST_F(Allocations, NoneForAQueryParameterReadAsANumber) {
  serve();
  EXPECT_EQ(count(request("GET", "/items?sort=name&page=7"), "GET", 200), 0u);
}

TEST_F(Allocations, NoneForAPathParameterReadAsANumber) {
  serve();
  EXPECT_EQ(count(request("GET", "/items/42"), "GET", 200), 0u);
}

TEST_F(Allocations, NoneForAnUnknownPath) {
  serve();
  EXPECT_EQ(count(request("GET", "/nowhere/to/be/found"), "GET", 404), 0u);
}

TEST_F(Allocations, NoneForHead) {
  serve();
  EXPECT_EQ(count(request("HEAD", "/"), "HEAD", 200), 0u);
}

TEST_F(Allocations, NoneForSixteenPipelinedRequests) {
  serve();
  std::string bytes;
  for (int i = 0; i < 16; ++i) bytes += request("GET", "/");
  EXPECT_EQ(count(bytes, "GET", 200, 16), 0u);
}

TEST_F(Allocations, NoneForASmallPostWithAStaticAnswer) {
  serve();
  EXPECT_EQ(count(request("POST", "/static", "Content-Length: 5\r\n") + "small", "POST", 200), 0u);
}

TEST_F(Allocations, NoneForASmallPostWithASharedAnswer) {
  serve();
  EXPECT_EQ(count(request("POST", "/shared", "Content-Length: 5\r\n") + "small", "POST", 200), 0u);
}

TEST_F(Allocations, NoneForALargeSharedBody) {
  serve();
  EXPECT_EQ(count(request("GET", "/large"), "GET", 200), 0u);
}

TEST_F(Allocations, NoneForAChunkedPost) {
  serve();
  EXPECT_EQ(
      count(request("POST", "/static", "Transfer-Encoding: chunked\r\n") + "5\r\nsmall\r\n0\r\n\r\n", "POST", 200), 0u);
}

}  // namespace
}  // namespace sluice::live
