// self_check.cpp: what the generator can do by itself, and search() built on that.
#include <sluice/bench.hpp>

#include <cstdio>
#include <system_error>
#include <utility>

#include "load/client/null_server.hpp"
#include "load/judge/search.hpp"

namespace sluice::bench {
namespace {

constexpr Duration settle = std::chrono::seconds{1}, window = std::chrono::seconds{3};
constexpr Duration lag_max = std::chrono::microseconds{100};

double microseconds(Duration time) noexcept { return static_cast<double>(time.count()) / 1000; }

}  // namespace

std::expected<SelfCheck, Error> self_check(unsigned threads, unsigned connections) {
  try {
    const NullServer server{true};
    Load load;
    load.url = server.url();
    load.threads = threads;
    load.warmup = settle;
    load.duration = window;
    load.grace = settle;
    load.clients.front().connections = connections;
    const auto closed = run(load);
    if (!closed) return std::unexpected(closed.error());

    SelfCheck check;
    check.ceiling_rps = closed->goodput_rps;
    load.clients.front().rate_per_s = closed->goodput_rps / 2;
    const auto half = run(load);
    if (!half) return std::unexpected(half.error());
    check.floor_p50_us = microseconds(half->total.of(Outcome::ok).latency.raw(0.5));
    const Duration lag = half->total.send_lag.raw(0.999);
    check.send_lag_p999_us = microseconds(lag);
    if (lag > lag_max) {
      char text[120];
      std::snprintf(text, sizeof text, "at half of its ceiling the generator sends up to %.0f us late (p99.9)",
                    check.send_lag_p999_us);
      check.problems.emplace_back(text);
    }
    for (const std::string& reason : half->invalid) check.problems.push_back(reason);
    return check;
  } catch (const std::system_error& error) { return std::unexpected(Error{Error::Kind::system, error.what()}); }
}

std::expected<SearchResult, Error> search(const Load& load, const SearchOptions& options) {
  std::optional<SelfCheck> check;
  if (options.self_check) {
    if (options.on_stage) options.on_stage("self-check against a null server");
    auto checked = self_check(load.threads, load.clients.empty() ? 1 : load.clients.front().connections);
    if (!checked) return std::unexpected(checked.error());
    check = std::move(*checked);
  }
  return search_with([](const Load& step) { return run(step); }, load, options, std::move(check));
}

}  // namespace sluice::bench
