#include "load/client/group.hpp"

#include "base/assert.hpp"

namespace sluice::bench {
namespace {

constexpr std::uint64_t counted_max = 100'000;  // of waiting(); beyond, the rate tells well enough

/// Before the measured part the load is steady, at the low rate of the pattern.
double warm_rate(const Clients& clients, double rate_per_s) noexcept {
  switch (clients.pattern.kind) {
    case Pattern::Kind::steady: break;
    case Pattern::Kind::burst:
    case Pattern::Kind::ramp: return rate_per_s * clients.pattern.low;
  }
  return rate_per_s;
}

}  // namespace

Group::Group(const Settings& settings, std::size_t place, Part thread)
    : clients{settings.load->clients[place]},
      mix{settings.mixes[place]},
      course{.rate_per_s = clients.rate_per_s,
             .give_up_after = clients.behaviour.give_up_after,
             .retries = clients.behaviour.retries},
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
  ScheduleOptions options{.rate_per_s = course.rate_per_s,
                          .arrival = clients.arrival,
                          .pattern = clients.pattern,
                          .length = to - from,
                          .part = thread_.number,
                          .parts = thread_.count,
                          .seed = seed_};
  if (warming_) {
    options.rate_per_s = warm_rate(clients, course.rate_per_s);
    options.pattern = Pattern{};
    options.length = from - warm;
    options.seed = ~seed_;
  }
  schedule_ = Schedule{options};
  rate_per_s_ = options.rate_per_s;
  plan_next();
}

void Group::plan_one() noexcept {
  const base::Duration offset = schedule_.next();
  planned = offset == base::Duration::max() ? base::never : origin_ + offset;
}

void Group::plan_next() noexcept {
  plan_one();
  while (!changes_.empty() && planned >= changes_.front().at) {
    use(changes_.front());
    changes_.erase(changes_.begin());
    plan_one();
  }
  if (warming_ && planned >= warm_end_) {
    begin(warm_end_, warm_end_, end_);  // the measured part has a plan of its own
  } else if (planned >= end_) {
    planned = base::never;
  }
}

/// The plan goes on from that moment with another rate; what lies before it has been taken.
void Group::use(const Change& change) noexcept {
  warming_ = false;
  origin_ = change.at;
  rate_per_s_ = change.rate_per_s;
  schedule_ = Schedule{{.rate_per_s = change.rate_per_s,
                        .arrival = clients.arrival,
                        .part = thread_.number,
                        .parts = thread_.count,
                        .seed = seed_ + 7919 * ++changed_}};
}

void Group::steer(const Course& next, base::TimePoint now) {
  const bool new_rate = next.rate_per_s != course.rate_per_s;
  course = next;
  if (!new_rate || !open_loop() || connections_max == 0 || now >= end_) return;
  const Change change{.at = now, .rate_per_s = next.rate_per_s};
  if (planned >= now) {
    changes_.clear();
    use(change);
    plan_next();
  } else if (changes_.size() < changes_max) {
    changes_.push_back(change);
  } else {
    changes_.back().rate_per_s = next.rate_per_s;
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
  const auto about = [&](base::TimePoint from, base::TimePoint to, double rate_per_s) {
    const double left_s = std::chrono::duration<double>(to - from).count();
    return static_cast<std::uint64_t>(std::max(0.0, left_s) * rate_per_s / thread_.count);
  };
  base::TimePoint last = std::min(now, end_);
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    count += about(change->at, last, change->rate_per_s);
    last = std::min(last, change->at);
  }
  Schedule ahead = schedule_;
  base::TimePoint at = planned;
  while (at <= last && at < end_ && count < counted_max) {
    ++count;
    const base::Duration offset = ahead.next();
    if (offset == base::Duration::max()) return count;
    at = origin_ + offset;
  }
  return at < last ? count + about(at, last, rate_per_s_) : count;
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
