// blocking.cpp: handlers that block, on a real database. Each has a budget, waits in its lane's queue, runs on the
// pool and hands what is left of the budget on to SQLite.
//
//   blocking 127.0.0.1:8080
//   curl 127.0.0.1:8080/users/7
//   curl '127.0.0.1:8080/users?name=Ada'       a scan of the whole table
//   curl -X POST '127.0.0.1:8080/users?name=Ken&email=ken@example.org'
//   curl 127.0.0.1:8080/slow                   a query that never ends: the answer is a 504, on time
#include <sqlite3.h>  // used by user_store.hpp; named here, where the build looks for what a program needs

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include <sluice/extra/json.hpp>
#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>

#include "user_store.hpp"

using namespace std::chrono_literals;
using namespace sluice;

namespace {

constexpr unsigned connection_count = 4;
constexpr int row_count = 5000;

void write(JsonWriter& out, const User& user) {
  out.begin_object().member("id", user.id).member("name", user.name).member("email", user.email).end_object();
}

Response find_one(UserStore& store, const Request& request) {
  const auto id = request.param<std::int64_t>("id");
  const auto user = store.with(request, [&](UserConnection& db) { return db.find(id); });
  if (!user) throw Problem{404, {}, "no such user"};
  JsonWriter out;
  write(out, *user);
  return json(std::move(out).take());
}

Response search(UserStore& store, const Request& request) {
  const auto name = request.query<std::string>("name");
  const auto users = store.with(request, [&](UserConnection& db) { return db.search(name, 20); });
  JsonWriter out;
  out.begin_array();
  for (const User& user : users) write(out, user);
  out.end_array();
  return json(std::move(out).take());
}

Response add(UserStore& store, const Request& request) {
  const auto name = request.query<std::string>("name");
  const auto email = request.query<std::string>("email", "");
  const auto id = store.with(request, [&](UserConnection& db) { return db.add(name, email); });
  return Response{201}.header("Location", "/users/" + std::to_string(id));
}

// Counts for ever, so it would keep its connection for ever too. The budget ends it: the client has its 504 when it is
// spent, and a moment later SQLite gives up as well, which is what frees the connection and the permit.
Response slow(UserStore& store, const Request& request) {
  store.with(request, [](UserConnection& db) {
    db.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n");
  });
  return text("never said\n");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    UserStore store{connection_count, row_count};
    Router app;
    // One lane for everything that needs the database: as many permits as there are connections, so that no handler
    // ever waits for one, and a queue that is refused at its door once its wait would be too long to be of use.
    app.lane("database", {.in_flight_max = connection_count, .queue_depth_max = 128});
    const RouteOptions quick{.budget = 500ms, .lane = "database"};
    app.get("/users/{id}", blocking([&](const Request& request) { return find_one(store, request); }), quick);
    app.get("/users", blocking([&](const Request& request) { return search(store, request); }), quick);
    app.post("/users", blocking([&](const Request& request) { return add(store, request); }), quick);
    app.get("/slow", blocking([&](const Request& request) { return slow(store, request); }), quick);
    // On the loop: it answers however long the queue of the database is.
    app.get("/health", [](const Request&) { return text("ok"); }, {.criticality = Criticality::exempt});

    Server server{std::move(app),
                  {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}, .pool_threads = connection_count}};
    const DrainOnSignal drain_on_signal{server};
    std::printf("%s", server.report().to_text().c_str());  // what it may hold, and what it thinks of its options
    for (const std::string& address : server.addresses()) std::printf("listening on %s\n", address.c_str());
    std::fflush(stdout);
    return server.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "blocking: %s\n", error.what());
    return 1;
  }
}
