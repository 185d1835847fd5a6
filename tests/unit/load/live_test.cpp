// A load that is changed and watched while it runs, in virtual time; and what carries the changes and the windows.
#include "load/client/live.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.hpp"
#include "base/histogram.hpp"
#include "load/client/null_server.hpp"
#include "load_rig.hpp"
#include "net/listener.hpp"

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;

class Live : public LoadRig {
 protected:
  /// From then on; the rate of all, the rest as it was.
  void change_at(double second_of_run, Course course) {
    changes_.push_back({second_of_run, course});
    on_start = [this] {
      for (const auto& [at, next] : changes_) {
        net->at(second(at), [this, next] { meeting.courses.set({next}); });
      }
    };
  }
  auto sent_between(double from, double to) const {
    return std::ranges::count_if(server->times,
                                 [&](base::TimePoint at) { return at >= second(from) && at < second(to); });
  }

 private:
  std::vector<std::pair<double, Course>> changes_{};
};

TEST_F(Live, ANewRateHoldsFromThatMomentOn) {
  clients().rate_per_s = 1000;
  change_at(1, {.rate_per_s = 3000});
  const RunResult result = run();
  EXPECT_NEAR(static_cast<double>(sent_between(0, 1)), 1000, 15);
  EXPECT_NEAR(static_cast<double>(sent_between(1, 2)), 3000, 45);
  EXPECT_EQ(result.total.of(Outcome::ok).count, result.total.planned);
  EXPECT_EQ(server->times.size(), result.total.planned);
}

TEST_F(Live, ARateOfZeroIsAPauseThatEnds) {
  clients().rate_per_s = 1000;
  change_at(0.5, {.rate_per_s = 0});
  change_at(1.5, {.rate_per_s = 1000});
  run();
  EXPECT_EQ(sent_between(0.52, 1.5), 0);
  EXPECT_NEAR(static_cast<double>(sent_between(1.5, 2)), 500, 15);
}

TEST_F(Live, WhatWasDueBeforeAChangeIsNotTakenBack) {
  clients().rate_per_s = 100;
  clients().connections = 1;
  prepare();
  server->script = [](const std::string&) { return Reply{.after = 15ms}; };  // 66 a second
  change_at(1, {.rate_per_s = 0});
  change_at(1.2, {.rate_per_s = 10});  // while the first hundred are on their way
  const RunResult result = run();
  EXPECT_NEAR(static_cast<double>(result.total.planned), 100 + 8, 2);
  EXPECT_EQ(result.total.of(Outcome::ok).count, result.total.planned);
  const auto waiting = std::ranges::max(result.windows, {}, &Window::waiting).waiting;
  EXPECT_NEAR(static_cast<double>(waiting), 100 - 66, 3);
}

TEST_F(Live, WhatWaitsFromBeforeAChangeIsEstimatedAtItsOwnRate) {
  load.duration = 500ms;
  clients().rate_per_s = 1e6;  // more than is counted one by one
  clients().connections = 1;
  prepare();
  server->script = [](const std::string&) { return Reply{.silent = true}; };
  change_at(0.3, {.rate_per_s = 10});
  const RunResult result = run();
  const auto waiting = std::ranges::max(result.windows, {}, &Window::waiting).waiting;
  EXPECT_NEAR(static_cast<double>(waiting), 300'000, 3000);
  EXPECT_NEAR(static_cast<double>(result.total.planned), 300'000, 3000);
}

TEST_F(Live, ALongerPatienceHoldsForWhatIsUnderWay) {
  load.duration = 1s;
  clients().rate_per_s = 1;
  clients().behaviour.give_up_after = 200ms;
  prepare();
  server->script = [](const std::string&) { return Reply{.silent = true}; };
  change_at(0.1, {.rate_per_s = 1, .give_up_after = 600ms});
  const RunResult result = run();
  const ClassResult& gave_up = result.total.of(Outcome::gave_up);
  ASSERT_EQ(gave_up.count, 1u);
  EXPECT_NEAR(ms(gave_up.latency.max()), 600, 1);
}

TEST_F(Live, ANewPatienceAndNewRetriesHoldForWhatIsSentFromThenOn) {
  clients().rate_per_s = 20;
  clients().connections = 100;
  clients().behaviour.retry_backoff = 1ms;
  prepare();
  server->script = [](const std::string&) { return Reply{.silent = true}; };
  change_at(1, {.rate_per_s = 20, .give_up_after = 50ms, .retries = 2});
  const RunResult result = run();
  EXPECT_NEAR(static_cast<double>(result.total.of(Outcome::unanswered).count), 20, 4);
  EXPECT_NEAR(static_cast<double>(result.total.of(Outcome::gave_up).count), 20, 4);
  EXPECT_NEAR(static_cast<double>(result.total.retried), 40, 6);
}

TEST_F(Live, WindowsAreHandedOverWholeAndInOrder) {
  clients().rate_per_s = 1000;
  load.on_window = [](const Window&) {};  // called by run(), which the rig does not use
  const RunResult result = run();
  EXPECT_TRUE(result.windows.empty());
  std::uint64_t planned = 0, ok = 0;
  std::size_t expected = 0;
  meeting.windows.take(1, [&](std::size_t index, const WindowRecord& window) {
    EXPECT_EQ(index, expected++);
    planned += window.planned;
    ok += window.outcomes[static_cast<std::size_t>(Outcome::ok)];
    if (index < 20) { EXPECT_NEAR(static_cast<double>(window.planned), 100, 1) << index; }
  });
  EXPECT_GE(expected, 20u);
  EXPECT_EQ(planned, result.total.planned);
  EXPECT_EQ(ok, result.total.planned);
}

TEST_F(Live, PatienceHoldsForWhatFindsNoConnection) {
  clients().rate_per_s = 100;
  clients().connections = 2;
  clients().behaviour.give_up_after = 100ms;
  clients().behaviour.give_up_unsent = true;
  prepare();
  server->script = [](const std::string&) { return Reply{.silent = true}; };
  const RunResult result = run();
  EXPECT_EQ(result.total.planned, 200u);
  const ClassResult& gave_up = result.total.of(Outcome::gave_up);
  EXPECT_GE(gave_up.count, 180u);
  EXPECT_LE(ms(gave_up.latency.max()), 220) << "the longest: nearly a patience without a connection, then one with it";
  EXPECT_GE(ms(gave_up.latency.raw(0)), 100);
  EXPECT_GT(result.total.unsent, 100u);
}

/// Of the kernel's queue.
base::Fd next_client(int listener) {
  pollfd waits{.fd = listener, .events = POLLIN, .revents = 0};
  ::poll(&waits, 1, -1);
  return base::Fd{::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)};
}

/// Reads one head.
void answer(int client) {
  constexpr std::string_view text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  std::string head;
  char byte = 0;
  while (!head.ends_with("\r\n\r\n") && ::recv(client, &byte, 1, 0) > 0) head += byte;
  ::send(client, text.data(), text.size(), MSG_NOSIGNAL);
}

class GivingUp : public LoadRig, public ::testing::WithParamInterface<bool> {};

TEST_P(GivingUp, EndsTheConnectionAsWasAskedFor) {
  clients().rate_per_s = 10;
  clients().behaviour.give_up_after = 50ms;
  clients().behaviour.give_up_resets = GetParam();
  prepare();
  server->script = [](const std::string&) { return Reply{.silent = true}; };
  const RunResult result = run();
  EXPECT_EQ(result.total.of(Outcome::gave_up).count, 20u);
  EXPECT_EQ(server->resets, GetParam() ? 20u : 0u);
}
INSTANTIATE_TEST_SUITE_P(ByEndOrByReset, GivingUp, ::testing::Bool());

TEST(Windows, AreWholeWhenEveryThreadHasGivenThem) {
  FinishedWindows windows;
  const auto window = [](std::uint64_t planned) {
    WindowRecord record;
    record.planned = planned;
    return record;
  };
  std::vector<std::pair<std::size_t, std::uint64_t>> seen;
  const auto note = [&](std::size_t index, const WindowRecord& record) { seen.emplace_back(index, record.planned); };
  windows.give(0, window(1));
  windows.give(1, window(2));
  windows.take(2, note);
  EXPECT_TRUE(seen.empty());
  windows.give(0, window(10));
  windows.take(2, note);
  windows.give(1, window(20));
  windows.take(2, note);
  EXPECT_EQ(seen, (std::vector<std::pair<std::size_t, std::uint64_t>>{{0, 11}, {1, 22}}));
}

TEST(Windows, AreBoundedWhenNobodyComesForThem) {
  FinishedWindows windows;
  for (std::size_t index = 0; index < 2 * FinishedWindows::windows_max; ++index) windows.give(index, WindowRecord{});
  std::vector<std::size_t> seen;
  windows.take(1, [&](std::size_t index, const WindowRecord&) { seen.push_back(index); });
  ASSERT_EQ(seen.size(), FinishedWindows::windows_max);
  EXPECT_EQ(seen.front(), FinishedWindows::windows_max);
}

TEST(LatencyWithin, CountsWhatIsNotAbove) {
  auto recorded = std::make_shared<base::Histogram>(0.01);
  for (const auto time : {10ms, 200ms, 400ms}) recorded->record(static_cast<std::uint64_t>(Duration{time}.count()));
  const Latency latency{recorded};
  EXPECT_EQ(latency.within(300ms), 2u);
  EXPECT_EQ(latency.within(5ms), 0u);
  EXPECT_EQ(latency.within(1s), 3u);
  EXPECT_EQ(latency.within(-1s), 0u);
  EXPECT_EQ(Latency{}.within(1s), 0u);
}

TEST(LiveRun, IsSteeredWatchedAndEndedByItsCaller) {
  const NullServer server{false};
  Load load{.url = server.url(), .duration = 10min};
  load.clients.front().rate_per_s = 1;
  load.threads = 2;
  load.window = 50ms;
  std::uint64_t ok = 0;
  unsigned asked = 0;
  load.steer = [&](std::span<Course> courses) {
    ASSERT_EQ(courses.size(), 1u);
    if (asked++ == 0) { EXPECT_EQ(courses[0].rate_per_s, 1); }
    courses[0].rate_per_s = 2000;
  };
  load.on_window = [&](const Window& window) {
    ok += window.outcomes[static_cast<std::size_t>(Outcome::ok)];
    EXPECT_EQ(window.ok.count(), window.outcomes[static_cast<std::size_t>(Outcome::ok)]);
  };
  load.interrupted = [&] { return ok >= 200; };
  const auto result = run(load);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_TRUE(result->windows.empty());
  EXPECT_EQ(ok, result->total.of(Outcome::ok).count) << "all windows were handed over, the last ones too";
}

TEST(LiveRun, HandsOverWhatOneThreadSawWhenTheOtherWasThrough) {
  auto listener = net::Listener::open(*net::Address::parse("127.0.0.1:0"), {});
  ASSERT_TRUE(listener.has_value());
  Load load{.url = "http://" + listener->address().to_string() + "/", .threads = 2, .duration = 100ms, .grace = 1min};
  load.clients.front().connections = 2;
  load.clients.front().rate_per_s = 20;  // one request for each thread
  load.window = 10ms;
  std::uint64_t planned = 0, ok = 0;
  double last_s = -1;
  load.on_window = [&](const Window& window) {
    EXPECT_GT(window.at_s, last_s);
    last_s = window.at_s;
    planned += window.planned;
    ok += window.outcomes[static_cast<std::size_t>(Outcome::ok)];
  };
  std::jthread server{[fd = listener->fd(0)] {
    const base::Fd probe = next_client(fd), one = next_client(fd), other = next_client(fd);
    answer(one.get());
    char byte = 0;
    while (::recv(one.get(), &byte, 1, 0) > 0) {}  // until its thread is through
    answer(other.get());
    while (::recv(other.get(), &byte, 1, 0) > 0) {}
  }};
  const auto result = run(load);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_EQ(result->total.of(Outcome::ok).count, 2u);
  EXPECT_EQ(ok, 2u);
  EXPECT_EQ(planned, 2u);
}

TEST(LiveRun, ItsWindowsAreBounded) {
  const auto fault = [](const Load& load) {
    const auto result = run(load);
    return result.has_value() ? "" : result.error().text;
  };
  Load load{.url = "unix:", .duration = 1h, .grace = 0s, .window = 9ms};
  EXPECT_EQ(fault(load), "the window must be 10 ms or more");
  load.window = 360ms;
  const std::string narrow =
      "the window is too narrow: without on_window a run and its grace must have fewer than 10,000 of them";
  EXPECT_EQ(fault(load), narrow);
  load.window = 361ms;
  EXPECT_NE(fault(load), narrow);
  load.grace = 1h;
  EXPECT_EQ(fault(load), narrow);
  load.on_window = [](const Window&) {};
  EXPECT_NE(fault(load), narrow);
}

TEST(LiveRun, ClosedLoopsAndPatternsCannotBeSteered) {
  Load load{.url = "http://127.0.0.1:1/"};
  load.steer = [](std::span<Course>) {};
  const auto closed = run(load);
  ASSERT_FALSE(closed.has_value());
  EXPECT_EQ(closed.error().text, "clients \"clients\": steering needs a rate");
  load.clients.front().rate_per_s = 10;
  load.clients.front().pattern.kind = Pattern::Kind::ramp;
  const auto ramp = run(load);
  ASSERT_FALSE(ramp.has_value());
  EXPECT_EQ(ramp.error().text, "clients \"clients\": bursts and ramps can't be steered");
}

}  // namespace
}  // namespace sluice::bench
