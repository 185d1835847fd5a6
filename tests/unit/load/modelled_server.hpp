// modelled_server.hpp: a server and the clients in front of it, computed in virtual time: a queue with workers.
// In: a Load, as run() gets it. Out: the RunResult that run() would have made of it, histograms and windows included.
// What is left to do at the end of a run is still there when the next one begins. Same numbers from the same seeds.
#pragma once

#include <sluice/bench.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <limits>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include "base/histogram.hpp"
#include "load/plan/arrival.hpp"
#include "load/plan/random.hpp"

namespace sluice::bench {

struct ModelOptions {
  unsigned workers = 1;
  Duration service = std::chrono::microseconds{50};
  std::size_t queue_max = std::numeric_limits<std::size_t>::max();  // beyond: 503
  Duration budget{};            // longest wait for a worker, then 504; 0: none
  double rate_max = 0;          // requests a second beyond which 503 is answered; 0: none
  double spike_share = 0;       // of the requests, which take `spike` more, without a worker
  Duration spike{};
  bool watched = false;         // gives server samples
  bool inline_cpu = false;      // the workers are threads that compute; else they sleep in a lane "pool"
  double generator_busy = 0.1;
};

class ModelledServer {
 public:
  explicit ModelledServer(const ModelOptions& options) : options_{options} { workers_.assign(options.workers, 0); }

  std::expected<RunResult, Error> run(const Load& load) {
    const Clients& clients = load.clients.front();
    Work work{load, now_};
    Schedule schedule{{.rate_per_s = clients.rate_per_s, .arrival = clients.arrival, .seed = load.seed}};
    Heap connections;
    for (unsigned index = 0; index < clients.connections; ++index) connections.push(now_);
    Random random{load.seed};
    while (true) {
      const std::int64_t free = connections.top();
      const std::int64_t due = clients.rate_per_s > 0 ? at(schedule.next()) : free;
      if (due >= work.end) break;
      const std::int64_t sent = std::max(due, free);
      if (sent >= work.end) {
        work.unsent(due);
        continue;
      }
      connections.pop();
      const Answer answer = serve(sent, random);
      connections.push(answer.at);
      work.record(due, sent, answer);
    }
    now_ = work.end + load.grace.count();
    return work.result(options_);
  }

 private:
  using Heap = std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>>;

  struct Answer {
    std::int64_t at = 0, begun = 0, done = 0;  // begun to done: a worker was at it; both 0 if none was
    Outcome outcome = Outcome::ok;
  };

  std::int64_t at(Duration offset) const {
    return offset == Duration::max() ? std::numeric_limits<std::int64_t>::max() : now_ + offset.count();
  }

  Answer serve(std::int64_t sent, Random& random) {
    constexpr std::int64_t refusal = 2'000'000;
    if (options_.rate_max > 0) {
      tokens_ = std::min(10.0, tokens_ + static_cast<double>(sent - tokens_at_) * 1e-9 * options_.rate_max);
      tokens_at_ = sent;
      if (tokens_ < 1) return {.at = sent + refusal, .outcome = Outcome::shed};
      tokens_ -= 1;
    }
    while (!begins_.empty() && begins_.front() <= sent) begins_.pop();
    const auto worker = std::min_element(workers_.begin(), workers_.end());
    const std::int64_t begun = std::max(sent, *worker);
    if (begun > sent && begins_.size() >= options_.queue_max) return {.at = sent + refusal, .outcome = Outcome::shed};
    if (options_.budget > Duration{} && begun - sent > options_.budget.count()) {
      return {.at = sent + options_.budget.count(), .outcome = Outcome::timed_out};
    }
    if (begun > sent) begins_.push(begun);
    *worker = begun + options_.service.count();
    const std::int64_t extra = random.uniform() < options_.spike_share ? options_.spike.count() : 0;
    return {.at = *worker + extra, .begun = begun, .done = *worker};
  }

  /// What a run collects.
  struct Work {
    static constexpr std::int64_t second = 1'000'000'000;
    using Counts = std::vector<double>;

    Work(const Load& wanted, std::int64_t now)
        : load{wanted},
          from{now + load.warmup.count()},
          end{from + load.duration.count()},
          last{end + load.grace.count()},
          windows(static_cast<std::size_t>((end - from + second - 1) / second)),
          window_times(windows.size(), base::Histogram{0.01}) {
      for (auto* ends : {&outstanding, &waiting, &depth, &in_flight}) ends->assign(windows.size() + 1, 0);
      busy.assign(windows.size(), 0);
    }

    /// Adds one to each window that ends within the span.
    void span(Counts& ends, std::int64_t begin, std::int64_t done) const {
      const auto index = [this](std::int64_t time) {
        const std::int64_t past = std::max<std::int64_t>(time - from, 0);
        return std::min(static_cast<std::size_t>((past + second - 1) / second), windows.size() + 1);
      };
      // The end of window n is (n + 1) seconds after the start.
      const std::size_t low = std::max<std::size_t>(index(begin), 1) - 1,
                        high = std::max<std::size_t>(index(done), 1) - 1;
      if (low >= high) return;
      ends[low] += 1;
      ends[high] -= 1;
    }
    std::size_t window_of(std::int64_t time) const { return static_cast<std::size_t>((time - from) / second); }

    void unsent(std::int64_t due) {
      span(waiting, due, end + second);
      if (due < from) return;
      ++windows[window_of(due)].planned;
      ++planned;
      ++unsent_count;
      note(Outcome::unanswered, last - due);
    }

    void record(std::int64_t due, std::int64_t sent, const Answer& answer) {
      span(waiting, due, sent);
      span(outstanding, sent, answer.at);
      if (answer.done > 0) {
        span(depth, sent, answer.begun);
        span(in_flight, answer.begun, answer.done);
        if (answer.begun >= from && answer.begun < end)
          busy[window_of(answer.begun)] += static_cast<double>(answer.done - answer.begun);
      }
      if (answer.at >= from && answer.at < end) {
        ++answered;
        good += answer.outcome == Outcome::ok ? 1 : 0;
      }
      if (due < from) return;
      ++planned;
      ++windows[window_of(due)].planned;
      wait->record(static_cast<std::uint64_t>(sent - due));
      const bool late = answer.at > last;
      const Outcome outcome = late ? Outcome::unanswered : answer.outcome;
      note(outcome, (late ? last : answer.at) - due);
      if (outcome != Outcome::ok) {
        if (answer.at < end) ++windows[window_of(answer.at)].outcomes[static_cast<std::size_t>(outcome)];
        return;
      }
      service->record(static_cast<std::uint64_t>(answer.at - sent));
      if (answer.at >= end) return;
      ++windows[window_of(answer.at)].outcomes[0];
      window_times[window_of(answer.at)].record(static_cast<std::uint64_t>(answer.at - due));
    }

    void note(Outcome outcome, std::int64_t latency) {
      all->record(static_cast<std::uint64_t>(latency));
      ++counts[static_cast<std::size_t>(outcome)];
      if (outcome == Outcome::ok) ok->record(static_cast<std::uint64_t>(latency));
    }

    RunResult result(const ModelOptions& options) {
      RunResult run;
      run.target = "model";
      run.duration_s = static_cast<double>(end - from) * 1e-9;
      run.offered_rps = static_cast<double>(planned) / run.duration_s;
      run.answered_rps = static_cast<double>(answered) / run.duration_s;
      run.goodput_rps = static_cast<double>(good) / run.duration_s;
      run.generator.busy_ratio = options.generator_busy;
      ClientsResult& total = run.total;
      total.planned = planned;
      total.unsent = unsent_count;
      total.sent = planned - unsent_count;
      for (std::size_t outcome = 0; outcome < outcome_count; ++outcome) total.classes[outcome].count = counts[outcome];
      total.classes[0].latency = Latency{ok};
      total.classes[0].service = Latency{service};
      total.all = Latency{all};
      total.connection_wait = Latency{wait};
      fill_windows(run, options);
      run.clients = {total};
      return run;
    }

    void fill_windows(RunResult& run, const ModelOptions& options) {
      double out = 0, wait_now = 0, deep = 0, working = 0;
      for (std::size_t index = 0; index < windows.size(); ++index) {
        Window& window = windows[index];
        window.at_s = static_cast<double>(index);
        window.outstanding = static_cast<std::uint64_t>(out += outstanding[index]);
        window.waiting = static_cast<std::uint64_t>(wait_now += waiting[index]);
        window.p99_us = static_cast<double>(window_times[index].at(0.99)) * 1e-3;
        deep += depth[index];
        working += in_flight[index];
        if (!options.watched) continue;
        ServerSample sample{.at_s = window.at_s + 1};
        const double load_of_one = busy[index] / 1e9 / options.workers;
        sample.hottest_thread = options.inline_cpu ? load_of_one : 0.02;
        if (!options.inline_cpu) {
          sample.lanes.push_back({.name = "pool",
                                  .depth = static_cast<std::uint64_t>(deep),
                                  .in_flight = static_cast<std::uint64_t>(working),
                                  .limit = options.workers});
        }
        run.server.push_back(std::move(sample));
      }
      run.windows = windows;
    }

    Load load;
    std::int64_t from, end, last;
    std::vector<Window> windows;
    std::vector<base::Histogram> window_times;
    Counts outstanding, waiting, depth, in_flight, busy;
    std::array<std::uint64_t, outcome_count> counts{};
    std::uint64_t planned = 0, unsent_count = 0, answered = 0, good = 0;
    std::shared_ptr<base::Histogram> all = std::make_shared<base::Histogram>(),
                                     ok = std::make_shared<base::Histogram>(),
                                     service = std::make_shared<base::Histogram>(),
                                     wait = std::make_shared<base::Histogram>();
  };

  ModelOptions options_;
  std::int64_t now_ = 1'000'000'000;
  std::vector<std::int64_t> workers_;       // when each is free
  std::queue<std::int64_t> begins_;         // of those that wait
  double tokens_ = 10;
  std::int64_t tokens_at_ = 0;
};

}  // namespace sluice::bench
