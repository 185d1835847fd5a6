// What a recording writes down, in virtual time: when requests came, however long they waited, and how long their work
// took, however it ended; and what becomes of it when there is no room, no disk, or enough.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <sluice/extra/recording.hpp>

#include "base/fd.hpp"
#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::EndsWith;

class Recordings : public Stage {
 protected:
  struct Line {
    std::int64_t arrival_us = 0;
    std::string route;
    std::int64_t service_us = 0;
  };

  Recordings() { made.path = testing::TempDir() + "sluice_recording_" + test_name() + ".csv"; }
  ~Recordings() override {
    finish();
    recording.reset();
    std::remove(made.path.c_str());
  }
  static std::string test_name() { return testing::UnitTest::GetInstance()->current_test_info()->name(); }

  /// Before the routes.
  void record() {
    made.on_end = [this](const RecordingStatus& status) { ends.push_back(status); };
    recording.emplace(made);
    app.use(recording->middleware());
  }
  SimServer& serve_at_once() {
    SimServer& server = serve();
    server.net().options().delay_max = 0ns;
    return server;
  }
  std::string written() {
    recording->flush();
    std::ostringstream text;
    text << std::ifstream{made.path, std::ios::binary}.rdbuf();
    return text.str();
  }
  /// The lines behind the header. Routes here have no commas.
  std::vector<Line> lines() {
    std::istringstream text{written()};
    std::string line;
    EXPECT_TRUE(std::getline(text, line));
    EXPECT_EQ(line, "arrival_us,route,service_us");
    std::vector<Line> all;
    while (std::getline(text, line)) {
      const std::size_t first = line.find(','), last = line.rfind(',');
      all.push_back({std::stoll(line.substr(0, first)), line.substr(first + 1, last - first - 1),
                     std::stoll(line.substr(last + 1))});
    }
    EXPECT_TRUE(recording->status().balanced());
    return all;
  }
  static Handler sleeper() {
    return blocking([](const Request& q) {
      sleep(std::chrono::milliseconds{q.query<int>("ms")});
      return text("slept");
    });
  }

  RecordingOptions made;
  std::optional<Recording> recording;
  std::vector<RecordingStatus> ends;
};

TEST_F(Recordings, HoldWhenEachRequestCameAndHowLongItsWorkTook) {
  record();
  app.get("/sleep/{id}", sleeper(), {.budget = 10s, .in_flight_max = 1});
  serve_at_once();
  Talker &first = client(), &second = client();
  stage->run_for(1ms);
  const base::TimePoint begin = stage->now();
  after(3ms, [&] { first.get("/sleep/1?ms=20"); });
  after(5ms, [&] { second.get("/sleep/2?ms=7"); });  // waits for 18 ms: that is not its work
  ASSERT_TRUE(until([&] { return !first.received().empty() && !second.received().empty(); }));
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  const auto us = [](base::TimePoint at) { return at.time_since_epoch() / 1us; };
  EXPECT_EQ(all[0].arrival_us, us(begin + 3ms));
  EXPECT_EQ(all[0].route, "GET /sleep/{id}");
  EXPECT_EQ(all[0].service_us, 20'000);
  EXPECT_EQ(all[1].arrival_us, us(begin + 5ms));
  EXPECT_EQ(all[1].service_us, 7000);
}

TEST_F(Recordings, DependOnARequestThatKnowsWhenItWasReceived) {
  std::vector<base::TimePoint> received;
  app.get("/one", blocking([&](const Request& q) {
            received.push_back(q.received_at());
            sleep(20ms);
            return text("slept");
          }),
          {.in_flight_max = 1});
  app.get("/at-once", [&](const Request& q) {
    received.push_back(q.received_at());
    return text("told");
  });
  serve_at_once();
  Talker &first = client(), &second = client(), &third = client();
  stage->run_for(1ms);
  const base::TimePoint begin = stage->now();
  after(3ms, [&] { first.get("/one"); });
  after(5ms, [&] { second.get("/one"); });
  after(40ms, [&] { third.get("/at-once"); });
  ASSERT_TRUE(until([&] { return received.size() == 3 && !second.received().empty(); }));
  EXPECT_THAT(received, ElementsAre(begin + 3ms, begin + 5ms, begin + 40ms));
}

TEST_F(Recordings, CountTheWorkOfAnswersThatComeLater) {
  record();
  app.get("/later", [this](const Request&, Responder responder) {
    auto kept = std::make_shared<Responder>(std::move(responder));
    after(40ms, [kept] { kept->respond(text("later")); });
  });
  app.get("/dropped", [this](const Request&, Responder responder) {
    auto kept = std::make_shared<Responder>(std::move(responder));
    after(30ms, [kept] { const Responder gone{std::move(*kept)}; });
  });
  serve_at_once();
  EXPECT_EQ(client().get("/later").last().body, "later");
  EXPECT_EQ(client().get("/dropped").last().status, 500);
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].service_us, 40'000);
  EXPECT_EQ(all[1].service_us, 30'000);
}

TEST_F(Recordings, CountWorkToItsEndThoughItsClientHasHadA504) {
  record();
  app.get("/slow", sleeper(), {.budget = 100ms});
  serve_at_once();
  EXPECT_EQ(client().get("/slow?ms=300").last().status, 504);
  EXPECT_EQ(recording->status().handled, 0u);
  stage->run_for(1s);
  const auto all = lines();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].service_us, 300'000);
}

TEST_F(Recordings, HoldWhatHasThrownAndNothingThatWasRefused) {
  record();
  app.get("/throws", blocking([](const Request&) -> Response {
            sleep(2ms);
            throw std::runtime_error{"no"};
          }));
  app.get("/one", sleeper(), {.in_flight_max = 1, .queue_depth_max = 1});
  serve_at_once();
  EXPECT_EQ(client().get("/throws").last().status, 500);
  EXPECT_EQ(client().get("/nowhere").last().status, 404);
  for (int i = 0; i < 5; ++i) client().get("/one?ms=10");
  stage->run_for(1s);
  const auto all = lines();
  ASSERT_EQ(all.size(), 1 + lane("GET /one").started);
  EXPECT_LT(all.size(), 6u);
  EXPECT_EQ(all[0].route, "GET /throws");
  EXPECT_EQ(all[0].service_us, 2000);
}

TEST_F(Recordings, NameTheRouteAsItIsRegisteredAndQuoteWhatNeedsIt) {
  record();
  app.get("/plain", [](const Request&) { return text("plain"); });
  app.get("/a,b/\"c\"", [](const Request&) { return text("odd"); });
  serve_at_once();
  client().ask("HEAD", "/plain").last();
  EXPECT_EQ(client().get("/a,b/%22c%22").last().status, 200);
  const std::string csv = written();
  EXPECT_NE(csv.find(",GET /plain,0\n"), csv.npos) << csv;
  EXPECT_THAT(csv, EndsWith(",\"GET /a,b/\"\"c\"\"\",0\n"));
}

TEST_F(Recordings, EndWithRequestsMaxAndSaySoOnce) {
  made.requests_max = 2;
  record();
  app.get("/", [](const Request&) { return text("on"); });
  serve_at_once();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client().get("/").last().status, 200);
  EXPECT_EQ(lines().size(), 2u);
  recording->flush();
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].state, RecordingState::full);
  EXPECT_EQ(ends[0].written, 2u);
  EXPECT_EQ(recording->status().missed, 3u);
}

// A pipe that nobody reads is a disk that stands still.
TEST_F(Recordings, CountWhatFindsNoRoomAndKeepNobodyWaiting) {
  ASSERT_EQ(mkfifo(made.path.c_str(), 0600), 0);
  base::Fd reader{open(made.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  ASSERT_TRUE(reader);
  ASSERT_EQ(fcntl(reader.get(), F_SETPIPE_SZ, 4096), 4096);
  made.buffer_bytes_max = 4096;
  record();
  app.get("/a-name-that-takes-some-room", [](const Request&) { return text("on"); });
  serve_at_once();
  constexpr std::uint64_t requests = 600;  // of at least 34 bytes: more than pipe and both buffers hold
  Talker& talker = client();
  for (std::uint64_t i = 0; i < requests; ++i) talker.get("/a-name-that-takes-some-room");
  EXPECT_EQ(talker.last().status, 200);
  const RecordingStatus status = recording->status();
  EXPECT_EQ(status.handled, requests);
  EXPECT_GT(status.missed, 0u);
  EXPECT_TRUE(status.balanced());
  finish();
  std::string csv;
  ASSERT_EQ(fcntl(reader.get(), F_SETFL, 0), 0);
  std::thread reads{[&] {
    char bytes[4096];
    while (const ssize_t count = read(reader.get(), bytes, sizeof bytes)) csv.append(bytes, count > 0 ? count : 0);
  }};
  recording.reset();  // the end of the pipe
  reads.join();
  EXPECT_EQ(static_cast<std::uint64_t>(std::count(csv.begin(), csv.end(), '\n')), 1 + status.handled - status.missed);
}

TEST_F(Recordings, SayOnceThatTheDiskIsFullAndCountWhatIsLost) {
  made.path = "/dev/full";
  record();
  made.path.clear();
  app.get("/", [](const Request&) { return text("on"); });
  serve_at_once();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client().get("/").last().status, 200);
  recording->flush();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client().get("/").last().status, 200);
  recording->flush();
  const RecordingStatus status = recording->status();
  EXPECT_EQ(status.state, RecordingState::failed);
  EXPECT_EQ(status.error, "/dev/full: No space left on device");
  EXPECT_EQ(status.written, 0u);
  EXPECT_EQ(status.missed, 5u);
  EXPECT_TRUE(status.balanced());
  EXPECT_EQ(ends.size(), 1u);
}

TEST_F(Recordings, EndWithAWholeLineWhereTheDiskDid) {
  record();
  app.get("/", [](const Request&) { return text("on"); });
  serve_at_once();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto signal_before = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 100, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  for (int i = 0; i < 20; ++i) client().get("/").last();
  const auto all = lines();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, signal_before);
  const RecordingStatus status = recording->status();
  EXPECT_EQ(status.state, RecordingState::failed);
  EXPECT_THAT(status.error, EndsWith(": File too large"));
  EXPECT_GT(status.written, 0u);
  EXPECT_EQ(status.missed, 20 - status.written);
  EXPECT_EQ(all.size(), status.written);
  EXPECT_THAT(written(), EndsWith("\n"));
}

TEST_F(Recordings, MayDieBeforeTheirServer) {
  record();
  app.get("/", [](const Request&) { return text("on"); });
  serve_at_once();
  client().get("/").last();
  recording.reset();
  EXPECT_EQ(client().get("/").last().status, 200);
  std::ifstream file{made.path};
  std::string line;
  int count = 0;
  while (std::getline(file, line)) ++count;
  EXPECT_EQ(count, 2);
}

TEST_F(Recordings, RefuseWhatTheyCannotDo) {
  const auto says = [](RecordingOptions options) -> std::string {
    try {
      const Recording recording{std::move(options)};
      return "nothing";
    } catch (const std::exception& error) { return error.what(); }
  };
  EXPECT_EQ(says({}), "Recording: path is empty");
  EXPECT_EQ(says({.path = made.path, .requests_max = 0}), "Recording: requests_max must be 1 to 20,000,000");
  EXPECT_EQ(says({.path = made.path, .buffer_bytes_max = 4095}), "Recording: buffer_bytes_max must be 4 KiB to 1 GiB");
  EXPECT_EQ(says({.path = "/nowhere/day.csv"}), "Recording: /nowhere/day.csv: No such file or directory");
}

}  // namespace
}  // namespace sluice::sim
