// database.hpp: the demo's database: as many queries at a time as it has connections, each of which takes a while, cannot
// be cancelled, and hangs while the database is stalled. It sleeps; what it counts is true.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include <sluice/message.hpp>

/// Any thread. Several databases can share one stall.
class Stall {
 public:
  void set(bool on) {
    {
      const std::lock_guard lock{mutex_};
      on_ = on;
    }
    changed_.notify_all();
  }
  bool on() const {
    const std::lock_guard lock{mutex_};
    return on_;
  }
  void wait_for_its_end() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return !on_; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool on_ = false;
};

/// Any thread. Who calls it sees to it that there are no more callers than connections.
class Database {
 public:
  struct Counts {
    std::size_t in_flight = 0;
    std::size_t zombies = 0;  // of them: queries whose client has left
    std::uint64_t for_nobody = 0;  // queries that ended after their client had left
  };

  Database(Stall& stall, std::chrono::milliseconds query_time) : stall_{&stall}, query_time_{query_time} {}

  /// A query on behalf of `request`.
  void query(const sluice::Request& request) {
    const Use use{*this, request.stop_token()};
    stall_->wait_for_its_end();
    std::this_thread::sleep_for(query_time_);
  }

  Counts counts() const {
    const std::lock_guard lock{mutex_};
    const auto left = std::ranges::count_if(clients_, [](const auto& client) { return client.stop_requested(); });
    return {.in_flight = clients_.size(), .zombies = static_cast<std::size_t>(left), .for_nobody = for_nobody_};
  }

 private:
  /// One of the connections, for as long as a query takes.
  class Use {
   public:
    Use(Database& database, std::stop_token client) : database_{database}, client_{std::move(client)} {
      const std::lock_guard lock{database_.mutex_};
      database_.clients_.push_back(client_);
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() {
      const std::lock_guard lock{database_.mutex_};
      database_.for_nobody_ += client_.stop_requested();
      const auto mine = std::ranges::find(database_.clients_, client_);
      *mine = std::move(database_.clients_.back());
      database_.clients_.pop_back();
    }

   private:
    Database& database_;
    std::stop_token client_;
  };

  Stall* stall_;
  std::chrono::milliseconds query_time_;
  mutable std::mutex mutex_;
  std::vector<std::stop_token> clients_;  // of the queries under way
  std::uint64_t for_nobody_ = 0;
};
