// Calls to a dependency from handlers that answer later, on real loops, answered by threads that have nothing to do
// with the server: permits, pauses and timeouts go from thread to loop and back, and every call ends once.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/extra/policy.hpp>

#include "support/live_server.hpp"

namespace sluice::live {
namespace {

using namespace std::chrono_literals;

/// A dependency with threads of its own: answers, fails, forgets, or is late, in turn.
class Moody {
 public:
  explicit Moody(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this](const std::stop_token& stop) { run(stop); });
  }
  void ask(Reply<int> reply) {
    const std::lock_guard lock{lock_};
    asked_.push_back(std::move(reply));
    changed_.notify_one();
  }
  /// Those that were kept for too long are answered now.
  void answer_the_late() {
    const std::lock_guard lock{lock_};
    late_.clear();
  }

 private:
  void run(const std::stop_token& stop) {
    std::unique_lock lock{lock_};
    while (changed_.wait(lock, stop, [this] { return !asked_.empty(); })) {
      Reply<int> reply = std::move(asked_.back());
      asked_.pop_back();
      const unsigned turn = turn_++ % 8;
      if (turn == 3) {
        late_.push_back(std::move(reply));
        continue;
      }
      lock.unlock();
      if (turn % 4 == 1) reply.fail(Problem{503});
      else if (turn == 6) const Reply<int> dropped = std::move(reply);
      else reply.succeed(7);
      lock.lock();
    }
  }

  std::mutex lock_;
  std::condition_variable_any changed_;
  std::vector<Reply<int>> asked_, late_;
  unsigned turn_ = 0;
  std::vector<std::jthread> threads_;  // last: they use everything above
};

class PolicyLive : public LiveTest {
 protected:
  PolicyLive() { options.loops = 2; }
};

TEST_F(PolicyLive, EveryCallEndsOnceWhoeverAnswersIt) {
  constexpr int clients_count = 8, rounds = 60;
  Dependency upstream{{.bulkhead = {.in_flight_max = 3, .waiting_max = 3, .wait_max = 20ms},
                       .retry_budget = {.share = 0.5, .floor = 10}}};
  const Policy policy{
      .dependency = upstream, .timeout = 10ms, .attempts = 3, .backoff = {.base = 1ms, .max = 2ms}, .attempt_min = 1ms};
  std::atomic<int> ended{0};
  {
    Moody moody{2};
    app.get("/later", [&](const Request& q, Responder responder) {
      with_policy_later<int>(policy, q,
                             {.start = [&](const Attempt&, Reply<int> reply) { moody.ask(std::move(reply)); },
                              .done =
                                  [&ended, r = std::move(responder)](auto result) mutable {
                                    ++ended;
                                    if (result) r.respond(text(std::to_string(*result)));
                                    else r.raise(to_problem(result.error()));
                                  }});
    });
    app.get("/blocks", blocking([&](const Request& q) {
              const auto result = with_policy(policy, q, [](const Attempt&) { return 8; });
              ++ended;
              return text(std::to_string(result.value_or(0)));
            }));
    serve();
    std::vector<std::jthread> threads;
    for (int i = 0; i < clients_count; ++i) {
      threads.emplace_back([&, i] {
        Client talker = client();
        for (int round = 0; round < rounds; ++round) {
          talker.get(i % 4 == 3 ? "/blocks" : "/later");
          const int status = talker.read().status;
          EXPECT_TRUE(status == 200 || status == 502 || status == 503) << status;
          const DependencyCounters c = upstream.counters();
          EXPECT_TRUE(c.balanced());
          if (round % 8 == 0) moody.answer_the_late();
        }
      });
    }
    threads.clear();
    moody.answer_the_late();
  }
  EXPECT_EQ(ended, clients_count * rounds);
  const DependencyCounters c = upstream.counters();
  EXPECT_TRUE(c.balanced());
  EXPECT_EQ(c.calls, static_cast<std::uint64_t>(clients_count * rounds));
  EXPECT_EQ(c.active, 0u);
  EXPECT_EQ(c.late, c.attempts_timed_out);
  EXPECT_EQ(c.bulkhead.in_flight, 0u);
  EXPECT_LE(static_cast<double>(c.attempts), static_cast<double>(c.calls) * 1.5 + 10);
}

TEST_F(PolicyLive, CallsThatAreUnderWayEndWithTheServer) {
  Dependency upstream{{.bulkhead = {.in_flight_max = 4, .waiting_max = 8, .wait_max = 1h}}};
  const Policy policy{.dependency = upstream, .timeout = 1h};
  std::atomic<int> ended{0};
  std::mutex lock;
  std::vector<Reply<int>> held;
  app.get("/",
          [&](const Request& q, Responder responder) {
            with_policy_later<int>(policy, q,
                                   {.start =
                                        [&](const Attempt&, Reply<int> reply) {
                                          const std::lock_guard guard{lock};
                                          held.push_back(std::move(reply));
                                        },
                                    .done = [&ended, r = std::move(responder)](auto) { ++ended; }});
          },
          {.budget = 1h});
  serve();
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(client());
    clients.back().get("/");
  }
  ASSERT_TRUE(soon([&] { return upstream.counters().bulkhead.waiting == 4; }));
  server->stop();
  EXPECT_TRUE(soon([&] { return ended == 8; }));
  {
    const std::lock_guard guard{lock};
    for (Reply<int>& reply : held) EXPECT_FALSE(reply.succeed(7));
    held.clear();
  }
  EXPECT_TRUE(upstream.counters().balanced());
  EXPECT_EQ(upstream.counters().bulkhead.in_flight, 0u);
}

/// A handler whose loop has ended, while much of its budget is left, asks for a call all the same.
class CallAfterTheLoop : public PolicyLive {
 protected:
  /// For a thread that pins the request until this has returned, or only by its responder.
  void ask(const Request& request, Responder responder) {
    is_asking_ = true;
    over_.wait(false);
    with_policy_later<int>(Policy{.dependency = upstream}, request,
                           {.start =
                                [this](const Attempt&, Reply<int> reply) {
                                  ++started;
                                  reply.succeed(1);
                                },
                            .done =
                                [this, r = std::move(responder)](auto result) mutable {
                                  ++ended;
                                  EXPECT_FALSE(result.has_value());
                                  r.respond(text("too late"));
                                }});
  }
  void end_the_loop_first() {
    serve();
    Client leaving = client();
    leaving.get("/");
    ASSERT_TRUE(soon([&] { return is_asking_.load(); }));
    leaving.reset();
    server->drain(8s);
    over_ = true;
    over_.notify_all();
    EXPECT_TRUE(soon([&] { return upstream.counters().active == 0 && ended == 1; }));
    EXPECT_EQ(started, 0) << "it is over: nothing is begun any more";
    EXPECT_TRUE(upstream.counters().balanced());
  }

  Dependency upstream{{}};
  std::atomic<int> started{0}, ended{0};

 private:
  std::atomic<bool> is_asking_{false}, over_{false};
};

TEST_F(CallAfterTheLoop, EndsOnceFromAThreadThatHasOnlyTheResponder) {
  std::thread thread;
  app.get("/",
          [&](const Request& request, Responder responder) {
            thread = std::thread{[this, &request, r = std::move(responder)]() mutable { ask(request, std::move(r)); }};
          },
          {.budget = 1h});
  end_the_loop_first();
  thread.join();
}

TEST_F(CallAfterTheLoop, EndsOnceFromAHandlerOnThePool) {
  app.get("/", blocking([&](const Request& request, Responder responder) { ask(request, std::move(responder)); }),
          {.budget = 1h});
  end_the_loop_first();
}

}  // namespace
}  // namespace sluice::live
