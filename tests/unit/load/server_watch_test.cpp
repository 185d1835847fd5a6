// server_watch_test.cpp: the server's side of a run: texts of /proc, answers with counters, and a small server of our own.
#include "load/tool/server_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "base/fd.hpp"

namespace sluice::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view stat =
    "4711 (my (server) 1) S 1 4711 4711 0 -1 4194304 99 0 0 0 250 50 7 9 20 0 3 0 1344241 3133440 382 184467 0 0";

TEST(Proc, AddsUserAndSystemTime) { EXPECT_EQ(cpu_ticks(stat), 300U); }

TEST(Proc, FindsNoTimeInAnythingElse) {
  EXPECT_FALSE(cpu_ticks(""));
  EXPECT_FALSE(cpu_ticks("4711 (server"));
  EXPECT_FALSE(cpu_ticks("4711 (server) S 1 2 3"));
  EXPECT_FALSE(cpu_ticks("4711 (server) S 1 4711 4711 0 -1 4194304 99 0 0 0 x 50 7"));
}

TEST(Proc, TakesTheSecondColumnForTheResidentPages) {
  EXPECT_EQ(resident_pages("765 438 409 5 0 123 0\n"), 438U);
  EXPECT_FALSE(resident_pages("765"));
  EXPECT_FALSE(resident_pages(""));
}

TEST(Proc, CountsContextSwitches) {
  const auto switches = context_switches("Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n");
  ASSERT_TRUE(switches);
  EXPECT_EQ(switches->voluntary, 12U);
  EXPECT_EQ(switches->involuntary, 3U);
  EXPECT_FALSE(context_switches("voluntary_ctxt_switches:\t12\n"));
}

TEST(Proc, FindsListeningTcpSocketsByPort) {
  constexpr std::string_view table =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1076 1 0 100 0 0 10 "
      "0\n"
      "   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 2000 1 0 100 0 0 10 "
      "0\n"
      "   2: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1077 1 0 100 0 0 10 "
      "0\n"
      "   3: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 1078 1 0\n";
  EXPECT_THAT(tcp_listeners(table, 8080), ElementsAre(1076, 1078));
  EXPECT_THAT(tcp_listeners(table, 8081), ElementsAre(1077));
  EXPECT_THAT(tcp_listeners(table, 80), IsEmpty());
  EXPECT_THAT(tcp_listeners("", 80), IsEmpty());
}

TEST(Proc, FindsListeningUnixSocketsByName) {
  constexpr std::string_view table =
      "Num       RefCount Protocol Flags    Type St Inode Path\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01  1072 /run/app.sock\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03  1073 /run/app.sock\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01  1074 @app two\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03  1075\n";
  EXPECT_THAT(unix_listeners(table, "/run/app.sock"), ElementsAre(1072));
  EXPECT_THAT(unix_listeners(table, "@app two"), ElementsAre(1074));
  EXPECT_THAT(unix_listeners(table, "@app"), IsEmpty());
}

TEST(Proc, ReadsInodesOfSocketLinks) {
  EXPECT_EQ(socket_inode("socket:[12345]"), 12345U);
  EXPECT_FALSE(socket_inode("/dev/null"));
  EXPECT_FALSE(socket_inode("socket:[]"));
  EXPECT_FALSE(socket_inode("pipe:[12345]"));
}

TEST(ProcessWatch, GivesRatesFromTheSecondLookOn) {
  ProcessWatch watch{::getpid()};
  const ProcessWatch::Clock::time_point start{};
  ServerSample first, second;
  watch.look(first, start);
  EXPECT_FALSE(first.cpu_cores);
  EXPECT_GT(first.rss_bytes.value_or(0), 0U);
  EXPECT_GE(first.threads.value_or(0), 1U);
  watch.look(second, start + std::chrono::seconds{1});
  ASSERT_TRUE(second.cpu_cores);
  ASSERT_TRUE(second.hottest_thread);
  EXPECT_GE(*second.cpu_cores, 0);
  EXPECT_GE(second.voluntary_switches_per_s.value_or(-1), 0);
  EXPECT_GE(second.involuntary_switches_per_s.value_or(-1), 0);
}

TEST(ProcessWatch, GivesNoRatesAcrossALongPause) {
  ProcessWatch watch{::getpid()};
  const ProcessWatch::Clock::time_point start{};
  ServerSample sample;
  watch.look(sample, start);
  watch.look(sample, start + ProcessWatch::gap_max + std::chrono::milliseconds{1});
  EXPECT_FALSE(sample.cpu_cores);
}

TEST(ProcessWatch, LeavesEverythingEmptyWithoutAProcess) {
  ProcessWatch watch{0x7fffffff};
  ServerSample sample;
  watch.look(sample);
  EXPECT_FALSE(sample.rss_bytes);
  EXPECT_FALSE(sample.threads);
  EXPECT_FALSE(sample.cpu_cores);
}

TEST(Lanes, AreReadByName) {
  const auto lanes = parse_lanes(R"({"lanes":{"slow":{"depth":3,"in_flight":8,"limit":8,"zombies":1,"more":"x"},
                                             "rest":{}},"total":{}})");
  ASSERT_TRUE(lanes);
  ASSERT_EQ(lanes->size(), 2U);
  EXPECT_EQ(lanes->at(0).name, "slow");
  EXPECT_EQ(lanes->at(0).depth, 3U);
  EXPECT_EQ(lanes->at(0).in_flight, 8U);
  EXPECT_EQ(lanes->at(0).limit, 8U);
  EXPECT_EQ(lanes->at(0).zombies, 1U);
  EXPECT_EQ(lanes->at(1).depth, 0U);
}

TEST(Lanes, AreNotInOtherDocuments) {
  EXPECT_FALSE(parse_lanes(""));
  EXPECT_FALSE(parse_lanes("<html>"));
  EXPECT_FALSE(parse_lanes("[]"));
  EXPECT_FALSE(parse_lanes(R"({"lanes":[]})"));
  EXPECT_FALSE(parse_lanes(R"({"lanes":{"a":1}})"));
}

TEST(Answer, EndsWhereItsLengthSays) {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  const auto answer = read_answer(text, false);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200U);
  EXPECT_EQ(answer->body, "hello");
  EXPECT_TRUE(answer->keeps_connection);
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto part = read_answer(text.substr(0, size), false);
    ASSERT_FALSE(part) << size;
    EXPECT_EQ(part.error(), Wants::more) << size;
  }
}

TEST(Answer, JoinsChunks) {
  const std::string text =
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
  const auto answer = read_answer(text, false);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "hello");
  EXPECT_FALSE(answer->keeps_connection);
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(read_answer(text.substr(0, size), false)) << size;
}

TEST(Answer, WithoutALengthEndsWithTheConnection) {
  const std::string text = "HTTP/1.0 200 OK\r\n\r\nhel";
  EXPECT_FALSE(read_answer(text, false));
  const auto answer = read_answer(text, true);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "hel");
  EXPECT_FALSE(answer->keeps_connection);
}

TEST(Answer, SkipsWhatComesBeforeTheFinalStatus) {
  const auto answer =
      read_answer("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", false);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 404U);
}

TEST(Answer, IsNotWhatIsNoHttp) {
  for (const std::string_view text :
       {"SSH-2.0-x\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    const auto answer = read_answer(text, false);
    ASSERT_FALSE(answer) << text;
    EXPECT_EQ(answer.error(), Wants::nothing) << text;
  }
  const auto cut = read_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error(), Wants::nothing);
}

/// Answers every request on loopback with the same bytes, on a thread of its own.
class TinyServer {
 public:
  explicit TinyServer(std::string answer) : answer_{std::move(answer)} {
    listener_ = base::Fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::socklen_t size = sizeof address;
    auto* const name = reinterpret_cast<::sockaddr*>(&address);
    if (::bind(listener_.get(), name, size) != 0 || ::listen(listener_.get(), 8) != 0) return;
    if (::getsockname(listener_.get(), name, &size) != 0) return;
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this] { serve(); }};
  }
  ~TinyServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);  // ends accept
    if (thread_.joinable()) thread_.join();
  }

  std::string url(const std::string& path = "/") const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
  int connections() const { return connections_; }
  int requests() const { return requests_; }

 private:
  void serve() {
    for (;;) {
      const base::Fd client{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
      if (!client) return;
      ++connections_;
      const ::timeval patience{5, 0};
      ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      char buffer[4096];
      while (::recv(client.get(), buffer, sizeof buffer, 0) > 0) {
        ++requests_;
        if (::send(client.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL) < 0) break;
        if (answer_.find("close") != std::string::npos) break;
      }
    }
  }

  std::string answer_;
  base::Fd listener_{};
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0}, requests_{0};
  std::thread thread_{};
};

std::string ok(const std::string& body, const std::string& fields = {}) {
  return "HTTP/1.1 200 OK\r\n" + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::string counters = R"({"lanes":{"main":{"depth":2,"in_flight":4}}})";

ServerWatch open_or_die(const std::string& url, const WatchOptions& options) {
  auto watch = ServerWatch::open(url, options);
  EXPECT_TRUE(watch) << watch.error();
  return std::move(*watch);
}

TEST(ServerWatch, AsksForTheCountersOnOneConnection) {
  const TinyServer server{ok(counters)};
  ServerWatch watch = open_or_die(server.url("/other"), {0, "auto"});
  EXPECT_TRUE(watch.has_lanes());
  for (int i = 0; i < 3; ++i) {
    const auto sample = watch.look();
    ASSERT_TRUE(sample);
    ASSERT_EQ(sample->lanes.size(), 1U);
    EXPECT_EQ(sample->lanes[0].depth, 2U);
  }
  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(server.requests(), 4);
}

TEST(ServerWatch, ConnectsAgainWhereConnectionsAreClosed) {
  const TinyServer server{ok(counters, "Connection: close\r\n")};
  ServerWatch watch = open_or_die(server.url(), {0, server.url("/counters")});
  const auto sample = watch.look();
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->lanes.size(), 1U);
  EXPECT_EQ(server.connections(), 2);
}

TEST(ServerWatch, LooksAtNothingWhereThereAreNoLanes) {
  const TinyServer server{ok("hello")};
  ServerWatch watch = open_or_die(server.url(), {0, "auto"});
  EXPECT_FALSE(watch.has_lanes());
  EXPECT_FALSE(watch.look());
  EXPECT_THAT(watch.warnings(), IsEmpty());
}

TEST(ServerWatch, SaysSoIfTheNamedCountersAreMissing) {
  const TinyServer server{ok("hello")};
  ServerWatch watch = open_or_die(server.url(), {0, "/metrics"});
  EXPECT_THAT(watch.warnings(), ElementsAre(HasSubstr("no lanes at /metrics")));
  const auto sample = watch.look();  // they may come later
  ASSERT_TRUE(sample);
  EXPECT_THAT(sample->lanes, IsEmpty());
}

TEST(ServerWatch, AsksForNothingIfToldSo) {
  const TinyServer server{ok(counters)};
  ServerWatch watch = open_or_die(server.url(), {0, "none"});
  EXPECT_FALSE(watch.look());
  EXPECT_EQ(server.connections(), 0);
}

TEST(ServerWatch, FindsTheProcessThatListens) {
  const TinyServer server{ok("hello")};
  ServerWatch watch = open_or_die(server.url(), {std::nullopt, "none"});
  EXPECT_EQ(watch.pid(), ::getpid());
  const auto sample = watch.look();
  ASSERT_TRUE(sample);
  EXPECT_GT(sample->rss_bytes.value_or(0), 0U);
}

TEST(ServerWatch, RefusesAProcessThatIsNotThere) {
  const auto watch = ServerWatch::open("http://127.0.0.1:1/", {0x7fffffff, "none"});
  ASSERT_FALSE(watch);
  EXPECT_THAT(watch.error(), HasSubstr("--pid: there is no process 2147483647"));
}

TEST(ServerWatch, RefusesUrlsThatAreNone) {
  EXPECT_FALSE(ServerWatch::open("127.0.0.1:8080", {0, "none"}));
  const auto watch = ServerWatch::open("http://127.0.0.1:1/", {0, "counters"});
  ASSERT_FALSE(watch);
  EXPECT_THAT(watch.error(), testing::StartsWith("--server-metrics: "));
}

TEST(IsLocal, HoldsForLoopbackAndUnixSockets) {
  const auto local = [](const char* text) { return is_local(*net::Address::parse(text)); };
  EXPECT_TRUE(local("127.0.0.1:80"));
  EXPECT_TRUE(local("127.9.9.9:80"));
  EXPECT_TRUE(local("[::1]:80"));
  EXPECT_TRUE(local("unix:/run/app.sock"));
  EXPECT_FALSE(local("10.0.0.1:80"));
  EXPECT_FALSE(local("[::]:80"));
}

}  // namespace
}  // namespace sluice::bench
