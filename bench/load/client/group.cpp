#include "load/client/group.hpp"

#include "base/assert.hpp"

namespace sluice::bench {
namespace {

constexpr std::uint64_t counted_max = 100'000;  // of waiting(); beyond, the rate tells well enough

/// Before the measured part the load is steady, at the low rate of the pattern.
double warm_rate(const Clients& clients) noexcept {
  switch (clients.pattern.kind) {
    case Pattern::Kind::steady: break;
    case Pattern::Kind::burst:
    case Pattern::Kind::ramp: return clients.rate_per_s * clients.pattern.low;
  }
  return clients.rate_per_s;
}

}  // namespace

Group::Group(const Settings& settings, std::size_t place, Part thread)
    : clients{settings.load->clients[place]},
      mix{settings.mixes[place]},
      background{place + settings.load->background >= settings.load->clients.size()},
      connections_max{thread.of(clients.connections)},
      random{settings.load->seed * 1'000'003 + place * 1009 + thread.number},
      thread_{thread.number, std::min(thread.count, clients.connections)},  // without a connection: no part in the plan
      seed_{settings.load->seed + place},
      schedule_{ScheduleOptions{}} {}

void Group::begin(base::TimePoint warm, base::TimePoint from, base::TimePoint to) {
  end_ = to;
  warm_end_ = from;
  warming_ = warm < from;
  origin_ = warming_ ? warm : from;
  if (!open_loop() || connections_max == 0) return;
  ScheduleOptions options{.rate_per_s = clients.rate_per_s,
                          .arrival = clients.arrival,
                          .pattern = clients.pattern,
                          .length = to - from,
                          .part = thread_.number,
                          .parts = thread_.count,
                          .seed = seed_};
  if (warming_) {
    options.rate_per_s = warm_rate(clients);
    options.pattern = Pattern{};
    options.length = from - warm;
    options.seed = ~seed_;
  }
  schedule_ = Schedule{options};
  plan_next();
}

void Group::plan_next() noexcept {
  const base::Duration offset = schedule_.next();
  planned = offset == base::Duration::max() ? base::never : origin_ + offset;
  if (warming_ && planned >= warm_end_) {
    begin(warm_end_, warm_end_, end_);  // the measured part has a plan of its own
  } else if (planned >= end_) {
    planned = base::never;
  }
}

Flight Group::make(base::TimePoint now) {
  Flight flight{.due = now, .number = number_++ * thread_.count + thread_.number};
  flight.spec = static_cast<std::uint16_t>(mix.choose(random));
  flight.to_head = mix.text(flight.spec).is_head();
  return flight;
}

Flight Group::take() {
  if (!again.empty() && again.front().at <= planned) {
    std::pop_heap(again.begin(), again.end());
    const Flight flight = again.back().flight;
    again.pop_back();
    return flight;
  }
  SLUICE_ASSERT(planned != base::never);
  const Flight flight = make(planned);
  plan_next();
  return flight;
}

std::uint64_t Group::waiting(base::TimePoint now) const {
  if (!open_loop()) return 0;
  auto count = static_cast<std::uint64_t>(
      std::ranges::count_if(again, [now](const Again& entry) { return !entry.last && entry.at <= now; }));
  if (planned > now) return count;
  Schedule ahead = schedule_;
  base::TimePoint at = planned;
  while (at <= now && at < end_ && count < counted_max) {
    ++count;
    const base::Duration offset = ahead.next();
    if (offset == base::Duration::max()) return count;
    at = origin_ + offset;
  }
  if (at < now) {
    const double left_s = std::chrono::duration<double>(std::min(now, end_) - at).count();
    count += static_cast<std::uint64_t>(std::max(0.0, left_s) * clients.rate_per_s / thread_.count);
  }
  return count;
}

bool Group::try_again(const Again& entry) {
  if (again.size() >= again_max) return false;
  again.push_back(entry);
  std::push_heap(again.begin(), again.end());
  return true;
}

void Group::cut(base::TimePoint end) noexcept {
  end_ = std::min(end_, end);
  if (planned >= end_) planned = base::never;
}

}  // namespace sluice::bench
