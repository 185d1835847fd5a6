// user_store.hpp: users in a real SQLite database, behind a fixed number of connections. Used by blocking.cpp,
// dependencies.cpp and showcase.cpp. Handlers call it from pool threads; a loop must never, every call may block.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/message.hpp>

struct User {
  std::int64_t id = 0;
  std::string name{};
  std::string email{};
};

/// One SQLite connection with its prepared statements. One thread at a time.
class UserConnection {
 public:
  explicit UserConnection(const std::string& uri) {
    constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
    sqlite3* raw = nullptr;
    const int result = sqlite3_open_v2(uri.c_str(), &raw, flags, nullptr);
    db_.reset(raw);  // SQLite hands out a handle even when it fails, for the message
    check(result);
    run("CREATE TABLE IF NOT EXISTS users(id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL)");
    find_ = prepare("SELECT id, name, email FROM users WHERE id = ?1");
    search_ = prepare("SELECT id, name, email FROM users WHERE name LIKE '%' || ?1 || '%' ORDER BY id LIMIT ?2");
    add_ = prepare("INSERT INTO users(name, email) VALUES(?1, ?2)");
  }

  void run(const char* sql) { check(sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr)); }

  /// Hands the caller's budget on to SQLite: a statement that runs is given up once nobody waits for its answer (the
  /// budget is spent or the client has left), a lock is waited for only as long as there is budget left.
  template <class Asking>
  void work_for(const Asking& whom) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(whom.remaining()).count();
    sqlite3_busy_timeout(db_.get(), static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    constexpr int instructions = 1000;  // of SQLite's machine between two looks, some ten microseconds
    sqlite3_progress_handler(
        db_.get(), instructions,
        [](void* context) {
          const auto& asking = *static_cast<const Asking*>(context);
          return asking.stop_requested() || asking.remaining() <= std::chrono::nanoseconds{0} ? 1 : 0;
        },
        const_cast<Asking*>(&whom));
  }
  void work_for_nobody() noexcept { sqlite3_progress_handler(db_.get(), 0, nullptr, nullptr); }

  std::optional<User> find(std::int64_t id) {
    sqlite3_bind_int64(find_.get(), 1, id);
    auto users = rows(find_.get());
    if (users.empty()) return std::nullopt;
    return std::move(users.front());
  }
  std::vector<User> search(std::string_view part, int count_max) {
    bind(search_.get(), 1, part);
    sqlite3_bind_int(search_.get(), 2, count_max);
    return rows(search_.get());
  }
  std::int64_t add(std::string_view name, std::string_view email) {
    bind(add_.get(), 1, name);
    bind(add_.get(), 2, email);
    rows(add_.get());
    return sqlite3_last_insert_rowid(db_.get());
  }

 private:
  struct Close {
    void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  void check(int result) {
    if (result == SQLITE_OK) return;
    // The client has had its 504 or has left, so that this reaches nobody; unless it comes a moment before the server's.
    if (result == SQLITE_INTERRUPT) throw sluice::Problem{504, {}, "the query was given up"};
    if (result == SQLITE_BUSY) throw sluice::Problem{503, {}, "the database was locked for too long"};
    throw std::runtime_error{std::string{"sqlite: "} +
                             sqlite3_errmsg(db_.get())};  // 500; the text goes to the log only
  }
  Statement prepare(std::string_view sql) {
    sqlite3_stmt* raw = nullptr;
    check(sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw,
                             nullptr));
    return Statement{raw};
  }
  static void bind(sqlite3_stmt* statement, int index, std::string_view text) {
    sqlite3_bind_text(statement, index, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  }
  std::vector<User> rows(sqlite3_stmt* statement) {
    const auto text = [&](int column) {
      const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      return std::string{bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
    };
    std::vector<User> users;
    int result = sqlite3_step(statement);
    for (; result == SQLITE_ROW; result = sqlite3_step(statement)) {
      users.push_back({sqlite3_column_int64(statement, 0), text(1), text(2)});
    }
    sqlite3_reset(statement);
    check(result == SQLITE_DONE ? SQLITE_OK : result);
    return users;
  }

  std::unique_ptr<sqlite3, Close> db_;
  Statement find_, search_, add_;  // after db_: finalized before it is closed
};

/// The database and its connections. Any thread.
class UserStore {
 public:
  /// Makes a database of `row_count` users, with ids from 1. It lies in memory, so that nothing is left behind; with
  /// the path of a file in place of `uri` everything else here stays as it is.
  UserStore(unsigned connection_count, int row_count) {
    const std::string uri = "file:/users" + std::to_string(made_.fetch_add(1)) + "?vfs=memdb";
    for (unsigned i = 0; i < connection_count; ++i) {
      connections_.push_back(std::make_unique<UserConnection>(uri));
      idle_.push_back(connections_.back().get());
    }
    constexpr const char* names[] = {"Ada", "Edsger", "Grace", "Alan", "Barbara", "Donald", "Frances", "Tony"};
    UserConnection& db = *connections_.front();
    db.run("BEGIN");  // one transaction: thousands of rows in a few milliseconds
    for (int i = 1; i <= row_count; ++i) {
      const std::string name = names[i % std::size(names)];
      db.add(name + " " + std::to_string(i), "user" + std::to_string(i) + "@example.org");
    }
    db.run("COMMIT");
  }
  UserStore(const UserStore&) = delete;
  UserStore& operator=(const UserStore&) = delete;

  /// Calls `query(UserConnection&)` with a connection that works for this request, or for whatever else has its
  /// remaining() and stop_requested().
  template <class Asking, class Query>
  auto with(const Asking& whom, Query query) {
    const Lease lease{*this, whom};
    return query(lease.connection);
  }

 private:
  struct Lease {
    template <class Asking>
    Lease(UserStore& from, const Asking& whom) : store{from}, connection{from.take()} {
      connection.work_for(whom);
    }
    ~Lease() {
      connection.work_for_nobody();
      store.give_back(connection);
    }
    UserStore& store;
    UserConnection& connection;
  };

  // No waiting here: the lane or the bulkhead in front has as many permits as there are connections, so it is the queue,
  // with its bounds, its deadlines and its counters. A second queue behind it could only hide how long requests wait.
  UserConnection& take() {
    const std::lock_guard lock{mutex_};
    if (idle_.empty()) throw std::logic_error{"there are more permits than the store has connections"};
    UserConnection* const connection = idle_.back();
    idle_.pop_back();
    return *connection;
  }
  void give_back(UserConnection& connection) noexcept {
    const std::lock_guard lock{mutex_};
    idle_.push_back(&connection);  // never grows: it held all of them once
  }

  static inline std::atomic<unsigned> made_{0};  // two stores in one program are two databases
  std::vector<std::unique_ptr<UserConnection>> connections_;
  std::mutex mutex_;
  std::vector<UserConnection*> idle_;  // owned by connections_
};
