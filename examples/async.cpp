// async.cpp: answers that come later, from another thread. A request that waits holds a Responder in a bounded set, and
// no thread.
//
//   async 127.0.0.1:8080
//   curl 127.0.0.1:8080/later?ms=500           answered by the timer thread
//   curl 127.0.0.1:8080/wait                   long poll: waits for news, at most 25 s, then 204
//   curl -d 'it works' 127.0.0.1:8080/publish  answers everyone who waits
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>

using namespace std::chrono_literals;
using namespace sluice;

namespace {

/// Requests that wait for a time or for news, whichever comes first. Any thread.
class Waiting {
 public:
  /// The most that may wait. The lane has as many permits, so it is the lane that refuses, with its 503 and Retry-After.
  static constexpr std::uint32_t count_max = 10'000;

  /// Keeps `responder` until `due`, then gives it `answer`; an earlier publish() answers it if it `wants_news`.
  void add(const Request& request, Responder responder, std::chrono::milliseconds wait, Response answer,
           bool wants_news) {
    auto entry = std::make_unique<Entry>(std::move(responder), std::move(answer), wants_news);
    const Entry* const key = entry.get();
    const auto due = Clock::now() + wait;
    // A client that leaves frees its place at once. The callback runs on the request's loop; made before the entry is
    // in the set, because then no other thread can take the entry away while we are still building it.
    entry->on_stop.emplace(request.stop_token(), [this, key, due] { take(due, key); });
    {
      const std::lock_guard lock{mutex_};
      if (entries_.size() < count_max) entries_.emplace(due, std::exchange(entry, nullptr));
    }
    if (entry) {
      entry->responder.raise(Problem{503, {}, "too many wait already"});
    } else if (request.stop_requested()) {
      take(due, key);  // it left before its entry was there to be taken
    } else {
      changed_.notify_one();
    }
  }

  /// Answers everyone who wants news; how many there were.
  std::size_t publish(const std::string& news) {
    std::vector<std::unique_ptr<Entry>> readers;
    {
      const std::lock_guard lock{mutex_};
      for (auto at = entries_.begin(); at != entries_.end();) {
        if (at->second->wants_news) {
          readers.push_back(std::move(at->second));
          at = entries_.erase(at);
        } else {
          ++at;
        }
      }
    }
    std::size_t reached = 0;
    for (auto& reader : readers) reached += reader->responder.respond(text(news)) == Sent::accepted;
    return reached;
  }

  /// Apart from the constructor, so that signals can be blocked before the thread is there to catch them.
  void start() {
    timer_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    Entry(Responder to, Response with, bool news)
        : responder{std::move(to)}, answer{std::move(with)}, wants_news{news} {}
    Responder responder;
    Response answer;
    bool wants_news;
    std::optional<std::stop_callback<std::function<void()>>> on_stop{};
  };
  using Entries = std::multimap<Clock::time_point, std::unique_ptr<Entry>>;

  // Everywhere the rule is: take entries out under the lock, answer and destroy them without it. Destroying a
  // stop_callback waits for it if it is running, and a running one may be waiting for the lock.
  std::unique_ptr<Entry> take(Clock::time_point due, const Entry* key) {
    const std::lock_guard lock{mutex_};
    const auto [first, last] = entries_.equal_range(due);
    const auto found = std::find_if(first, last, [&](const auto& entry) { return entry.second.get() == key; });
    if (found == last) return nullptr;  // somebody else has it already
    auto entry = std::move(found->second);
    entries_.erase(found);
    return entry;
  }

  void run(const std::stop_token& stop) {
    std::unique_lock lock{mutex_};
    while (!stop.stop_requested()) {
      if (entries_.empty()) {
        changed_.wait(lock, stop, [this] { return !entries_.empty(); });
      } else if (const auto due = entries_.begin()->first; due > Clock::now()) {
        changed_.wait_until(lock, stop, due, [&] { return entries_.empty() || entries_.begin()->first < due; });
      } else {
        auto entry = std::move(entries_.begin()->second);
        entries_.erase(entries_.begin());
        lock.unlock();
        entry->responder.respond(std::move(entry->answer));
        entry.reset();
        lock.lock();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Entries entries_;
  std::jthread timer_;  // last: it uses everything above
};

}  // namespace

int main(int argc, char** argv) {
  try {
    Waiting waiting;
    Router app;
    // The budget stands above the longest wait, so that it is our 204 that ends a wait, not the server's 504.
    app.lane("waiting", {.in_flight_max = Waiting::count_max});
    const RouteOptions patient{.budget = 30s, .lane = "waiting"};
    app.get(
        "/later",
        [&](const Request& request, Responder responder) {
          const std::chrono::milliseconds wait{std::min(request.query<std::uint32_t>("ms"), 25'000u)};
          waiting.add(request, std::move(responder), wait, text("answered by the timer thread\n"), false);
        },
        patient);
    app.get(
        "/wait",
        [&](const Request& request, Responder responder) {
          waiting.add(request, std::move(responder), 25s, empty(204), true);
        },
        patient);
    app.post("/publish", [&](const Request& request) {
      return text("reached " + std::to_string(waiting.publish(std::string{request.body()})) + "\n");
    });

    ServerOptions options{.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}};
    options.limits.drain_timeout = 2s;  // there may never be news: whoever waits for some must not hold up the end
    Server server{std::move(app), std::move(options)};
    const DrainOnSignal drain_on_signal{server};  // before any other thread
    waiting.start();
    for (const std::string& address : server.addresses()) std::printf("listening on %s\n", address.c_str());
    std::fflush(stdout);
    return server.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "async: %s\n", error.what());
    return 1;
  }
}
