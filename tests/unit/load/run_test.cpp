// run() over real sockets on loopback: counts and errors, never times.
#include <sluice/bench.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/socket.h>

#include <thread>

#include "base/fd.hpp"
#include "load/client/null_server.hpp"
#include "load/client/target.hpp"
#include "net/listener.hpp"

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

Load load_for(const std::string& url) {
  Load load;
  load.url = url;
  load.duration = 300ms;
  load.clients.front().connections = 4;
  return load;
}

std::uint64_t outcomes(const ClientsResult& result) {
  std::uint64_t sum = 0;
  for (const ClassResult& each : result.classes) sum += each.count;
  return sum;
}

TEST(Run, PlansTheSameForAnyNumberOfThreads) {
  const NullServer server{false};
  for (const unsigned threads : {1U, 2U, 3U}) {
    Load load = load_for(server.url());
    load.threads = threads;
    load.clients.front().rate_per_s = 1000;
    const auto result = run(load);
    ASSERT_TRUE(result.has_value()) << result.error().text;
    EXPECT_EQ(result->total.planned, 300u);
    EXPECT_EQ(outcomes(result->total), 300u);
    EXPECT_EQ(result->total.of(Outcome::ok).count + result->total.of(Outcome::unanswered).count, 300u);
    EXPECT_EQ(result->total.connects, 4u);
    EXPECT_EQ(result->generator.threads, threads);
  }
}

TEST(Run, ClosedLoopAddsUp) {
  const NullServer server{false};
  const auto result = run(load_for(server.url()));
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_GT(result->total.planned, 0u);
  EXPECT_EQ(outcomes(result->total), result->total.planned);
  EXPECT_EQ(result->total.sent, result->total.planned);
  EXPECT_EQ(result->error_ratio(), 0);
  EXPECT_THAT(to_json(*result), HasSubstr("\"schema\":\"sluice-load/1\""));
  EXPECT_THAT(to_text(*result), HasSubstr("2xx"));
}

TEST(Run, MakesAConnectionPerRequestFromSeveralAddresses) {
  const NullServer server{false};
  Load load = load_for(server.url());
  load.sources = {"127.0.0.2", "127.0.0.3"};
  load.clients.front().rate_per_s = 200;
  load.clients.front().behaviour.requests_per_connection = 1;
  const auto result = run(load);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_EQ(result->total.planned, 60u);
  EXPECT_EQ(outcomes(result->total), 60u);
  EXPECT_EQ(result->total.connect_failures, 0u);
}

TEST(Run, PlansNothingForThreadsWithoutAConnection) {
  const NullServer server{false};
  Load load = load_for(server.url());
  load.threads = 3;
  load.clients.front().connections = 2;
  load.clients.front().rate_per_s = 200;
  const auto result = run(load);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_EQ(result->total.planned, 60u);
  EXPECT_EQ(outcomes(result->total), 60u);
  EXPECT_EQ(result->total.unsent, 0u);
}

TEST(Run, AClosedLoopThatCannotConnectHasConnectErrors) {
  const NullServer server{false};
  Load load = load_for(server.url());
  load.sources = {"192.0.2.1"};  // RFC 5737: nobody's
  load.clients.front().behaviour.requests_per_connection = 1;
  const auto result = run(load);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_GT(result->total.of(Outcome::connect_error).count, 0u);
  EXPECT_EQ(outcomes(result->total), result->total.planned);
  EXPECT_EQ(result->error_ratio(), 1);
}

TEST(Run, TellsHowItGoesAndEndsWhenAsked) {
  const NullServer server{false};
  Load load = load_for(server.url());
  load.duration = 1h;
  int told = 0, watched = 0;
  load.on_progress = [&](const Progress& progress) {
    ++told;
    EXPECT_EQ(progress.of_s, 3600);
  };
  load.watch_server = [&]() -> std::optional<ServerSample> {
    ++watched;
    return ServerSample{.lanes = {{.name = "a"}}};
  };
  load.interrupted = [&] { return told >= 3; };
  const auto result = run(load);
  ASSERT_TRUE(result.has_value());
  EXPECT_GE(told, 3);
  EXPECT_EQ(result->server.size(), static_cast<std::size_t>(watched));
  EXPECT_LT(result->duration_s, 3600);
  EXPECT_EQ(outcomes(result->total), result->total.planned);
}

TEST(Run, RefusesWhatMakesNoSense) {
  const NullServer server{false};
  const auto refused = [&](const std::function<void(Load&)>& change) {
    Load load = load_for(server.url());
    change(load);
    const auto result = run(load);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().kind, Error::Kind::usage) << result.error().text;
    EXPECT_FALSE(result.error().text.empty());
    EXPECT_EQ(result.error().text.find('\n'), std::string::npos);
  };
  refused([](Load& load) { load.url = "ftp://host/"; });
  refused([](Load& load) { load.url = "https://host/"; });
  refused([](Load& load) { load.url = "http://host:0/"; });
  refused([](Load& load) { load.url = "http://user@host/"; });
  refused([](Load& load) { load.clients.clear(); });
  refused([](Load& load) { load.background = 1; });
  refused([](Load& load) { load.threads = 0; });
  refused([](Load& load) { load.duration = 0s; });
  refused([](Load& load) { load.clients.front().connections = 0; });
  refused([](Load& load) { load.clients.front().rate_per_s = -1; });
  refused([](Load& load) { load.clients.front().behaviour.pipeline = 65; });
  refused([](Load& load) { load.clients.front().pattern.kind = Pattern::Kind::burst; });
  refused([](Load& load) { load.clients.front().requests = {{.method = "G ET"}}; });
  refused([](Load& load) { load.sources = {"nowhere"}; });
}

TEST(Run, SaysThatNobodyListens) {
  auto listener = net::Listener::open(*net::Address::parse("127.0.0.1:0"), {});
  ASSERT_TRUE(listener.has_value());
  const std::string url = "http://" + listener->address().to_string() + "/";
  listener->close();
  const auto result = run(load_for(url));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, Error::Kind::unreachable);
  EXPECT_THAT(result.error().text, HasSubstr("Connection refused"));
}

TEST(Run, SaysThatTheOtherEndSpeaksNoHttp) {
  auto listener = net::Listener::open(*net::Address::parse("127.0.0.1:0"), {});
  ASSERT_TRUE(listener.has_value());
  std::jthread greeter{[fd = listener->fd(0)](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const base::Fd client{::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC)};
      if (client) (void)!::send(client.get(), "SSH-2.0-x\r\n", 11, MSG_NOSIGNAL);
      else std::this_thread::yield();
    }
  }};
  const auto result = run(load_for("http://" + listener->address().to_string() + "/"));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, Error::Kind::not_http);
}

TEST(Run, KnowsHttpByAnyStatus) {
  auto listener = net::Listener::open(*net::Address::parse("127.0.0.1:0"), {});
  ASSERT_TRUE(listener.has_value());
  std::jthread server{[fd = listener->fd(0)](const std::stop_token& stop) {
    for (int count = 0; !stop.stop_requested();) {
      const base::Fd client{::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC)};
      if (!client) {
        std::this_thread::yield();
        continue;
      }
      char request[1024];
      if (::recv(client.get(), request, sizeof request, 0) <= 0) continue;
      const std::string_view answer = count++ == 0 ? "rubbish\r\n\r\n"
                                                   : "HTTP/1.1 404 Not Found\r\nConnection: close\r\n"
                                                     "Content-Length: 0\r\n\r\n";
      (void)!::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    }
  }};
  Load load = load_for("http://" + listener->address().to_string() + "/");
  load.clients.front().connections = 1;
  const auto result = run(load);
  ASSERT_TRUE(result.has_value()) << result.error().text;
  EXPECT_EQ(result->total.of(Outcome::broken).count, 1u);
  EXPECT_GT(result->total.of(Outcome::other).count, 0u);
}

TEST(Run, SaysThatDescriptorsAreTooFew) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const NullServer server{false};
  rlimit few = before;
  few.rlim_cur = 80;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  Load load = load_for(server.url());
  load.clients.front().connections = 100;
  const auto result = run(load);
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, Error::Kind::descriptors);
  EXPECT_THAT(result.error().text, HasSubstr("164"));
}

TEST(Target, TakesUrlsApart) {
  const auto plain = resolve("http://127.0.0.1:8080/a?b=c#d");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->host, "127.0.0.1:8080");
  EXPECT_EQ(plain->path, "/a?b=c");
  EXPECT_EQ(plain->address.to_string(), "127.0.0.1:8080");
  const auto short_one = resolve("http://127.0.0.1");
  ASSERT_TRUE(short_one.has_value());
  EXPECT_EQ(short_one->host, "127.0.0.1");
  EXPECT_EQ(short_one->path, "/");
  EXPECT_EQ(short_one->address.port(), 80);
  EXPECT_EQ(resolve("http://127.0.0.1?x=1")->path, "/?x=1");
  const auto six = resolve("http://[::1]:9/");
  ASSERT_TRUE(six.has_value());
  EXPECT_EQ(six->host, "[::1]:9");
  EXPECT_EQ(six->address.to_string(), "[::1]:9");
  const auto local = resolve("unix:@sluice-test:/x");
  ASSERT_TRUE(local.has_value());
  EXPECT_EQ(local->path, "/x");
  EXPECT_TRUE(local->address.is_unix());
}

}  // namespace
}  // namespace sluice::bench
