#include "support/live_server.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <thread>

#include "net/uring_probe.hpp"

namespace sluice::live {

using namespace std::chrono_literals;

std::size_t entries(const char* folder) {
  const std::filesystem::directory_iterator all{folder};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

bool soon(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

Backend backend_of_environment() {
  const char* const name = std::getenv("SLUICE_IO");
  if (name == nullptr || std::string_view{name} == "auto") return Backend::automatic;
  if (std::string_view{name} == "io_uring") return Backend::io_uring;
  EXPECT_STREQ(name, "epoll");
  return Backend::epoll;
}

LiveTest::LiveTest() {
  options.listen = {"127.0.0.1:0"};
  options.loops = 2;
  options.pool_threads = 4;
  options.backend = backend_of_environment();
  options.log = [this](const LogEvent& event) {
    const std::lock_guard lock{lock_};
    log_.emplace_back(event.what);
  };
}

void LiveTest::SetUp() {
  std::thread{[] {}}.join();  // a sanitizer starts a thread of its own with the first one of the program
  threads_before_ = entries("/proc/self/task");
  descriptors_before_ = entries("/proc/self/fd");
  if (options.backend != Backend::io_uring) return;
  const auto traits = net::probe_uring();
  if (!traits) GTEST_SKIP() << "no io_uring here: " << traits.error().sentence;
}

void LiveTest::TearDown() {
  if (server != nullptr) {
    server->stop();
    const Counters counters = server->counters();
    for (const NamedLaneCounters& lane : counters.lanes) EXPECT_TRUE(lane.counters.balanced()) << lane.name;
    EXPECT_TRUE(counters.total.balanced());
    EXPECT_EQ(counters.connections.open, 0u);
    EXPECT_EQ(counters.total.depth, 0u);
    server.reset();
  }
  // The kernel takes a thread out of /proc a moment after it could be joined.
  EXPECT_TRUE(soon([&] { return entries("/proc/self/task") <= threads_before_; }))  // nor was it out when we counted
      << entries("/proc/self/task") << " threads, before " << threads_before_;
  EXPECT_EQ(entries("/proc/self/fd"), descriptors_before_);
}

Server& LiveTest::serve() {
  server = std::make_unique<Server>(std::move(app), options);
  server->start();
  return *server;
}

LaneCounters LiveTest::lane(std::string_view name) const {
  for (const NamedLaneCounters& lane : server->counters().lanes) {
    if (lane.name == name) return lane.counters;
  }
  ADD_FAILURE() << "no lane " << name;
  return {};
}

std::vector<std::string> LiveTest::logged() const {
  const std::lock_guard lock{lock_};
  return log_;
}

}  // namespace sluice::live
