// A server's life over real sockets: starting and ending it from everywhere, where it can listen, and that nothing of
// it is left afterwards (the fixture looks at threads, descriptors and counters).
#include <gtest/gtest.h>

#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <semaphore>
#include <set>
#include <system_error>
#include <thread>

#include <sluice/extra/signals.hpp>

#include "support/live_server.hpp"

namespace sluice::live {
namespace {

using namespace std::chrono_literals;

class LiveServer : public LiveTest {
 protected:
  LiveServer() {
    app.get("/", [](const Request&) { return text("plain"); });
    app.get("/peer", [](const Request& q) {
      const Peer peer = q.peer();
      return text(peer.address + " " + (peer.process_id ? std::to_string(*peer.process_id) : "-") + " " +
                  (peer.user_id ? std::to_string(*peer.user_id) : "-"));
    });
    app.get("/held", blocking([this](const Request&) {
              entered.release();
              release.acquire();
              return text("held");
            }),
            {.budget = 60s});
  }
  /// Starts /held on a new connection and waits until its handler runs.
  Client hold() {
    Client talker = client();
    talker.get("/held");
    EXPECT_TRUE(entered.try_acquire_for(20s));
    return talker;
  }
  static bool refused(const std::string& address) { return !Client{address}.connected(); }

  std::counting_semaphore<> entered{0};
  std::counting_semaphore<> release{0};
};

TEST_F(LiveServer, ServesAndStops) {
  serve();
  Client talker = client();
  talker.get("/");
  EXPECT_EQ(talker.read().body, "plain");
  const DrainReport report = server->stop();
  EXPECT_EQ(report.cut, 0u);
  EXPECT_TRUE(report.still_running.empty());
  EXPECT_EQ(talker.read_to_end(), "");
  EXPECT_TRUE(refused(address()));
}

TEST_F(LiveServer, RunReturnsZeroAfterADrainFromAnotherThread) {
  server = std::make_unique<Server>(std::move(app), options);
  std::future<int> result = std::async(std::launch::async, [&] { return server->run(); });
  Client talker = hold();
  std::future<DrainReport> drained = std::async(std::launch::async, [&] { return server->drain(); });
  EXPECT_TRUE(soon([&] { return refused(address()); }));
  release.release();
  const ClientResponse answer = talker.read();
  EXPECT_EQ(answer.body, "held");
  EXPECT_EQ(answer.header("connection"), "close");
  talker.close();
  EXPECT_EQ(result.get(), 0);
  const DrainReport report = drained.get();
  EXPECT_EQ(report.finished, 1u);
  EXPECT_EQ(report.cut, 0u);
}

TEST_F(LiveServer, DrainFromALoopThreadDoesNotWaitForItself) {
  app.get("/drain", [this](const Request&) {
    server->drain(10s);
    return text("draining");
  });
  serve();
  Client talker = client();
  talker.get("/drain");
  EXPECT_EQ(talker.read().body, "draining");
  EXPECT_EQ(talker.read_to_end(), "");
  talker.close();
  server->wait();
}

TEST_F(LiveServer, DrainFromAPoolThreadDoesNotWaitForItself) {
  app.get("/drain", blocking([this](const Request&) {
            server->drain(10s);
            return text("draining");
          }));
  serve();
  Client talker = client();
  talker.get("/drain");
  EXPECT_EQ(talker.read().body, "draining");
  talker.close();
  server->wait();
}

TEST_F(LiveServer, StopFromALoopThreadEndsTheServer) {
  app.get("/stop", [this](const Request&) {
    server->stop();
    return text("x");
  });
  serve();
  Client one = client();
  one.get("/stop");
  one.read_to_end();
  server->wait();
  server->stop();  // once more, from outside: nothing is left to do
}

TEST_F(LiveServer, StopFromAPoolThreadEndsTheServer) {
  app.get("/stop-pool", blocking([this](const Request&) {
            server->stop();
            return text("x");
          }));
  serve();
  Client one = client();
  one.get("/stop-pool");
  one.read_to_end();
  server->wait();
}

TEST_F(LiveServer, TwoServersInOneProcessKnowNothingOfEachOther) {
  serve();
  Router other_app;
  other_app.get("/", [](const Request&) { return text("other"); });
  Server other{std::move(other_app), options};
  other.start();
  Client one = client();
  Client two{other.addresses().at(0)};
  one.get("/");
  two.get("/");
  EXPECT_EQ(one.read().body, "plain");
  EXPECT_EQ(two.read().body, "other");
  other.stop();
  one.get("/");
  EXPECT_EQ(one.read().body, "plain");
}

TEST_F(LiveServer, PortInUseIsAnErrorThatNamesTheOption) {
  serve();
  Router other;
  ServerOptions same = options;
  same.listen = {address()};
  try {
    Server second{std::move(other), same};
    ADD_FAILURE() << "it was bound twice";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EADDRINUSE);
    EXPECT_NE(std::string_view{error.what()}.find("listen \"" + address() + "\""), std::string_view::npos)
        << error.what();
  }
}

TEST_F(LiveServer, AddressesThatCannotBeAreErrorsThatNameTheOption) {
  for (const char* bad : {"", "localhost:80", "1.2.3.4", "127.0.0.1:99999", "[::1]", "unix:", "127.0.0.1:http"}) {
    ServerOptions wrong = options;
    wrong.listen = {bad};
    try {
      Server never{Router{}, wrong};
      ADD_FAILURE() << bad;
    } catch (const std::invalid_argument& error) {
      EXPECT_TRUE(std::string_view{error.what()}.starts_with("listen \"" + std::string{bad} + "\"")) << error.what();
    }
  }
  ServerOptions none = options;
  none.listen.clear();
  EXPECT_THROW((Server{Router{}, none}), std::invalid_argument);
}

TEST_F(LiveServer, ServerThatWasNeverStartedCanBeStoppedAndWaitedFor) {
  server = std::make_unique<Server>(std::move(app), options);
  std::future<void> waiting = std::async(std::launch::async, [&] { server->wait(); });
  server->stop();
  waiting.get();
  EXPECT_EQ(server->run(), 0);  // it has ended before it began: a signal may be that quick
}

TEST_F(LiveServer, SecondStartIsAnError) {
  serve();
  EXPECT_THROW(server->start(), std::logic_error);
}

// ---- where it listens

TEST_F(LiveServer, ListensOnSeveralAddressesOfSeveralKinds) {
  const std::string path = std::filesystem::temp_directory_path() / ("sluice-test-" + std::to_string(::getpid()));
  options.listen = {"127.0.0.1:0", "[::1]:0", "unix:" + path, "unix:@sluice-test-" + std::to_string(::getpid())};
  serve();
  ASSERT_EQ(server->addresses().size(), 4u);
  EXPECT_FALSE(address(0).ends_with(":0"));
  EXPECT_TRUE(address(1).starts_with("[::1]:"));
  for (std::size_t i = 0; i < 4; ++i) {
    Client talker = client(i);
    talker.get("/peer");
    const std::string peer = talker.read().body;
    const std::string who = std::to_string(::getpid()) + " " + std::to_string(::getuid());
    EXPECT_TRUE(i < 2 ? peer.ends_with(" - -") : peer.ends_with(" " + who)) << peer;
    EXPECT_TRUE(peer.starts_with(i == 0 ? "127.0.0.1:" : i == 1 ? "[::1]:" : "unix")) << peer;
  }
  struct stat file{};
  ASSERT_EQ(::stat(path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777u, 0600u);
  server->stop();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(LiveServer, EveryLoopServes) {
  options.loops = 2;
  std::mutex lock;
  std::set<std::thread::id> loops;
  app.get("/loop", [&](const Request&) {
    const std::lock_guard hold{lock};
    loops.insert(std::this_thread::get_id());
    return text("x");
  });
  serve();
  EXPECT_TRUE(soon([&] {  // the kernel chooses the loop; in the end both have been chosen
    Client talker = client();
    talker.get("/loop");
    talker.read();
    const std::lock_guard hold{lock};
    return loops.size() == 2;
  }));
}

TEST_F(LiveServer, PinnedLoopsHaveAProcessorEach) {
  options.loops = 2;
  options.pin_loops = true;
  std::mutex lock;
  std::map<std::thread::id, int> processors;  // the one of each loop, or -1
  app.get("/loop", [&](const Request&) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    ::sched_getaffinity(0, sizeof allowed, &allowed);
    const std::lock_guard hold{lock};
    processors[std::this_thread::get_id()] = CPU_COUNT(&allowed) == 1 ? ::sched_getcpu() : -1;
    return text("x");
  });
  serve();
  EXPECT_TRUE(soon([&] {
    Client talker = client();
    talker.get("/loop");
    talker.read();
    const std::lock_guard hold{lock};
    return processors.size() == 2;
  }));
  std::set<int> different;
  for (const auto& [loop, processor] : processors) {
    EXPECT_GE(processor, 0);
    different.insert(processor);
  }
  EXPECT_EQ(different.size(), std::min(2u, default_loops()));
}

// ---- ends

TEST_F(LiveServer, ResponderMayOutliveItsServer) {
  std::optional<Responder> kept;
  std::binary_semaphore there{0};
  app.get("/keep", [&](const Request&, Responder responder) {
    kept.emplace(std::move(responder));
    there.release();
  });
  serve();
  Client talker = client();
  talker.get("/keep");
  ASSERT_TRUE(there.try_acquire_for(20s));
  const DrainReport report = server->stop();
  EXPECT_EQ(report.cut, 1u);
  ASSERT_EQ(report.still_running.size(), 1u);
  EXPECT_EQ(report.still_running[0].first, "GET /keep");
  server.reset();
  EXPECT_EQ(kept->respond(text("nobody")), Sent::too_late);
  kept.reset();
}

TEST_F(LiveServer, HandlerThatStillRunsAtTheDrainsEndIsReportedByRoute) {
  serve();
  Client talker = hold();
  const DrainReport report = server->drain(50ms);
  ASSERT_EQ(report.still_running.size(), 1u);
  EXPECT_EQ(report.still_running[0].first, "GET /held");
  EXPECT_EQ(report.still_running[0].second, 1u);
  EXPECT_EQ(lane("GET /held").zombies, 1u);
  talker.read_to_end();
  release.release();
  EXPECT_TRUE(soon([&] { return lane("GET /held").in_flight == 0; }));
  EXPECT_EQ(lane("GET /held").late, 1u);
}

TEST_F(LiveServer, SignalDrainsAndTheProcessEndsWell) {
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    app.get("/async", [](const Request&, Responder r) {
      std::thread{[r = std::move(r)]() mutable {
        ::kill(::getpid(), SIGTERM);  // in the middle of a request
        r.respond(text("after the signal"));
      }}.detach();
    });
    const auto serve_until_signal = [&] {
      Server own{std::move(app), options};
      const DrainOnSignal on_signal{own};
      const std::string where = own.addresses().at(0) + "\n";
      const bool told = ::write(pipe_fds[1], where.data(), where.size()) > 0;
      const int result = own.run();
      return told ? result : 2;
    };
    ::_exit(serve_until_signal());  // only after both have joined their threads
  }
  char where[100];
  const ssize_t size = ::read(pipe_fds[0], where, sizeof where);
  ::close(pipe_fds[0]);
  ::close(pipe_fds[1]);
  ASSERT_GT(size, 1);
  Client talker{std::string{where, static_cast<std::size_t>(size - 1)}};
  talker.get("/async");
  EXPECT_EQ(talker.read().body, "after the signal");
  EXPECT_EQ(talker.read_to_end(), "");
  talker.close();
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace sluice::live
