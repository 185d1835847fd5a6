// dependencies.cpp: two handlers that call something else, a database and a slow HTTP service, and say beforehand what
// happens when it fails: how many calls at once, how long one attempt may take, how often it is tried, what is answered
// without it. The service is a second server of this program, so that there is something to make slow.
//
//   curl 127.0.0.1:8080/users/7                      SQLite behind a bulkhead sized like its connection pool
//   curl '127.0.0.1:8080/statistics?stall=1'         a query that never ends: each attempt is given up, then the old number
//   curl 127.0.0.1:8080/forecast                     from the other server
//   curl '127.0.0.1:8080/forecast?ms=5000'           it stalls: the last forecast, within the budget
//   curl '127.0.0.1:8080/forecast?fail=1'            it fails: tried again, as far as the retry budget goes
//   curl 127.0.0.1:8080/dependencies                 what became of all calls
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sqlite3.h>  // used by user_store.hpp; named here, where the build looks for what a program needs
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <expected>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <sluice/extra/json.hpp>
#include <sluice/extra/policy.hpp>
#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>

#include "user_store.hpp"

using namespace std::chrono_literals;
using namespace sluice;

namespace {

constexpr unsigned connection_count = 4;
constexpr int row_count = 5000;

// ---- the database

/// What SQLite asks now and then: whether anybody waits, and how long this attempt may still take.
struct Asking {
  const Request& request;
  const Attempt& attempt;
  bool stop_requested() const { return request.stop_requested(); }
  std::chrono::nanoseconds remaining() const { return attempt.remaining(); }
};

class Users {
 public:
  Response find(const Request& request) {
    const auto id = request.param<std::int64_t>("id");
    const auto user = with_policy(read_, request, [&](const Attempt& attempt) {
      const auto found = store_.with(Asking{request, attempt}, [&](UserConnection& db) { return db.find(id); });
      if (!found) throw Problem{404, {}, "no such user"};  // nobody's fault: not tried again
      return *found;
    });
    if (!user) throw to_problem(user.error());
    JsonWriter out;
    out.begin_object().member("id", user->id).member("name", user->name).end_object();
    return json(std::move(out).take());
  }

  // Nice to have, but not worth an error: without the database it is the number of a while ago.
  Response statistics(const Request& request) {
    const bool stall = request.has_query("stall");
    bool fresh = true;
    const std::size_t count = with_policy(
        read_, request,
        [&](const Attempt& attempt) {
          count_ = store_.with(Asking{request, attempt}, [&](UserConnection& db) {
            if (stall) db.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n");
            return db.search("", row_count * 2).size();
          });
          return count_.load();
        },
        [&](const PolicyError&) {
          fresh = false;
          return count_.load();
        });
    JsonWriter out;
    out.begin_object().member("users", count).member("fresh", fresh).end_object();
    return json(std::move(out).take());
  }

  const Dependency& database() const { return database_; }

 private:
  UserStore store_{connection_count, row_count};
  // As many permits as there are connections: who has one finds a connection. A short line in front, no long one.
  Dependency database_{
      {.name = "database", .bulkhead = {.in_flight_max = connection_count, .waiting_max = 16, .wait_max = 200ms}}};
  const Policy read_{.dependency = database_,
                     .timeout = 150ms,
                     .attempts = 2,  // reading is safe to do twice
                     .backoff = {.base = 10ms, .max = 50ms}};
  std::atomic<std::size_t> count_{row_count};
};

// ---- the other service

/// One GET over a connection of its own, within what the attempt has left.
std::expected<std::string, std::string> fetch(const sockaddr_in& place, const std::string& target,
                                              const Attempt& attempt) {
  struct Socket {
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ~Socket() {
      if (fd >= 0) ::close(fd);
    }
  } const socket;
  const auto limit_waiting = [&] {
    const auto left = std::max(std::chrono::floor<std::chrono::microseconds>(attempt.remaining()), 1us);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    const timeval limit{.tv_sec = seconds.count(), .tv_usec = (left - seconds).count()};
    ::setsockopt(socket.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ::setsockopt(socket.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  };
  limit_waiting();
  if (socket.fd < 0 || ::connect(socket.fd, reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0)
    return std::unexpected("could not connect");
  // The other side is told how long its answer is worth having, and gives up by itself.
  const std::string head = "GET " + target + " HTTP/1.0\r\nHost: upstream\r\nX-Budget-Ms: " +
                           format_deadline(DeadlineHeader::Format::milliseconds, attempt.remaining()) + "\r\n\r\n";
  if (::send(socket.fd, head.data(), head.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(head.size()))
    return std::unexpected("could not send");
  std::string all;
  std::array<char, 4096> piece;
  for (;;) {
    limit_waiting();
    const ssize_t count = ::recv(socket.fd, piece.data(), piece.size(), 0);
    if (count == 0) break;
    if (count < 0 || attempt.remaining() == 0ns) return std::unexpected("no answer in time");
    all.append(piece.data(), static_cast<std::size_t>(count));
    if (all.size() > 64 * 1024) return std::unexpected("the answer is too long");
  }
  const std::size_t body = all.find("\r\n\r\n");
  if (body == std::string::npos) return std::unexpected("an answer that is none");
  if (all.compare(8, 5, " 200 ") != 0) return std::unexpected("answered" + all.substr(8, 4));
  return all.substr(body + 4);
}

class Forecasts {
 public:
  explicit Forecasts(const sockaddr_in& place) : place_{place} {}

  Response get(const Request& request) {
    const std::string target = "/weather?ms=" + std::to_string(request.query<unsigned>("ms", 0)) +
                               (request.has_query("fail") ? "&fail=1" : "");
    std::string age = "0";
    const std::string forecast = with_policy(
        policy_, request,
        [&](const Attempt& attempt) -> std::expected<std::string, std::string> {
          auto fresh = fetch(place_, target, attempt);
          if (fresh) remember(*fresh);
          return fresh;
        },
        [&](const PolicyErrorOf<std::string>& error) {
          std::fprintf(stderr, "forecast: %s after %u attempts: %s\n", std::string{to_string(error.reason)}.c_str(),
                       error.attempts, error.error.value_or("no attempt").c_str());
          age = "unknown";
          return last();
        });
    return text(forecast).header("X-Forecast-Age", age);
  }

  const Dependency& service() const { return service_; }

 private:
  void remember(const std::string& forecast) {
    const std::lock_guard lock{lock_};
    last_ = forecast;
  }
  std::string last() const {
    const std::lock_guard lock{lock_};
    return last_;
  }

  const sockaddr_in place_;
  Dependency service_{{.name = "weather",
                       .bulkhead = {.in_flight_max = 8, .waiting_max = 8, .wait_max = 50ms},
                       .retry_budget = {.share = 0.1, .floor = 10}}};
  const Policy policy_{
      .dependency = service_, .timeout = 200ms, .attempts = 3, .backoff = {.base = 20ms, .max = 100ms}};
  mutable std::mutex lock_;
  std::string last_ = "no forecast yet\n";
};

/// A service as one would rather not have it: as slow as it is told to be, and broken if it is told so.
Router weather() {
  Router app;
  app.get("/weather", blocking([](const Request& request) {
            const auto end = std::chrono::steady_clock::now() + request.query<unsigned>("ms", 0) * 1ms;
            while (std::chrono::steady_clock::now() < end && request.remaining() > 0ns)
              std::this_thread::sleep_for(1ms);
            if (request.remaining() == 0ns) throw Problem{504};  // nobody waits any more
            if (request.has_query("fail")) throw Problem{500};
            return text("rain, then sun\n");
          }),
          {.budget = 10s});
  return app;
}

sockaddr_in loopback(std::string_view address) {
  sockaddr_in place{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  std::uint16_t port = 0;
  const std::string_view digits = address.substr(address.rfind(':') + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), port);
  place.sin_port = htons(port);
  return place;
}

// ---- what became of the calls

void write(JsonWriter& out, const Dependency& dependency) {
  const DependencyCounters c = dependency.counters();
  out.key(dependency.name()).begin_object();
  out.member("calls", c.calls).member("succeeded", c.succeeded).member("active", c.active);
  for (std::size_t i = 0; i < policy_failure_count; ++i) {
    out.member(std::string{"failed_"} + std::string{to_string(static_cast<PolicyFailure>(i))}, c.failed[i]);
  }
  out.member("fallbacks", c.fallbacks).member("attempts", c.attempts).member("retries", c.retries);
  out.member("in_flight", c.bulkhead.in_flight).member("waiting", c.bulkhead.waiting);
  out.member("waited_us", std::chrono::floor<std::chrono::microseconds>(c.bulkhead.waited).count());
  out.member("slept_us", std::chrono::floor<std::chrono::microseconds>(c.slept).count());
  out.member("balanced", c.balanced()).end_object();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    ServerOptions behind{.listen = {"127.0.0.1:0"}, .loops = 1};
    behind.deadline_headers = {{"X-Budget-Ms", DeadlineHeader::Format::milliseconds}};
    Server upstream{weather(), std::move(behind)};

    Users users;
    Forecasts forecasts{loopback(upstream.addresses().front())};
    Router app;
    app.get("/users/{id}", blocking([&](const Request& request) { return users.find(request); }), {.budget = 500ms});
    app.get("/statistics", blocking([&](const Request& request) { return users.statistics(request); }),
            {.budget = 500ms});
    app.get("/forecast", blocking([&](const Request& request) { return forecasts.get(request); }), {.budget = 600ms});
    app.get("/dependencies",
            [&](const Request&) {
              JsonWriter out;
              out.begin_object();
              write(out, users.database());
              write(out, forecasts.service());
              out.end_object();
              return json(std::move(out).take());
            },
            {.criticality = Criticality::exempt});

    Server server{std::move(app), {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}}};
    const DrainOnSignal drain_on_signal{server};
    upstream.start();
    for (const std::string& address : server.addresses()) std::printf("listening on %s\n", address.c_str());
    std::fflush(stdout);
    return server.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dependencies: %s\n", error.what());
    return 1;
  }
}
