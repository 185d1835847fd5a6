// pace.cpp: the phases of a run on one thread, the windows of its time axis, and what the thread knows of its own time.
#include <algorithm>
#include <ctime>

#include "base/assert.hpp"
#include "load/client/client.hpp"

namespace sluice::bench {
namespace {

base::Duration thread_cpu_time() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

}  // namespace

base::TimePoint Client::next_wake() noexcept {
  if (wait_begin_ == base::never) wait_begin_ = clock_.now();
  base::TimePoint wake = turn_end_ + heartbeat;
  switch (phase_) {
    case Phase::connecting: break;
    case Phase::waiting: {
      wake = turn_end_ + std::chrono::milliseconds{1};
      const std::int64_t at = meeting_.start.load();
      if (at != Meeting::not_yet) wake = std::min(wake, base::TimePoint{std::chrono::nanoseconds{at}});
      break;
    }
    case Phase::grace: wake = std::min(wake, grace_end_); break;
    case Phase::over: break;
    case Phase::loading:
      wake = std::min(wake, end_);
      for (const auto& group : groups_) wake = std::min(wake, wake_for(*group));
      break;
  }
  planned_wake_ = std::max(wake, turn_end_);
  return planned_wake_;
}

/// When there is something to do for the group, as far as that depends on time alone: else an event will tell.
base::TimePoint Client::wake_for(const Group& group) const noexcept {
  base::TimePoint wake = group.idle.empty() ? base::never : group.next_due();
  if (group.live < group.connections_max && connecting_ < connecting_max) {
    wake = std::min(wake, group.on_demand() && group.open_loop() ? group.next_due() : group.reconnect_at);
  }
  return wake;
}

bool Client::turn_ended() noexcept {
  const base::TimePoint now = clock_.now();
  account(now);
  follow_courses(now);
  if (phase_ == Phase::loading) {  // first of all: what was due goes out, even if the end has come meanwhile
    for (auto& group : groups_) {
      serve(*group, now);
      if (!group->open_loop() && now < end_) release_idle(*group, now);
    }
  }
  advance(now);
  if (phase_ == Phase::connecting || phase_ == Phase::loading) connect_more(now);
  if (phase_ == Phase::over && slab_.in_use() == 0) loop_->quit();
  tell();
  return false;
}

/// How the time since the turn before was spent, and whether the thread was there when it had to be.
void Client::account(base::TimePoint now) noexcept {
  const bool slept = wait_begin_ != base::never;
  const base::TimePoint begun = loop_->now();
  const net::LoopCounters& counters = loop_->counters();
  const std::uint64_t work = counters.writes.value() + counters.bytes_received.value() + counters.connects.value();
  if (measuring_ && phase_ == Phase::loading) {
    const base::Duration idle = slept ? begun - wait_begin_ : base::Duration{};
    if (work != work_seen_) record_.busy += now - turn_end_ - idle;
    const base::TimePoint expected = slept ? planned_wake_ : turn_end_;
    if (begun - expected >= stall_min) record_.stalls.add({expected, begun});
    if (now - begun >= stall_min) record_.stalls.add({begun, now});
  }
  work_seen_ = work;
  wait_begin_ = base::never;
  turn_end_ = now;
}

bool Client::connected_all() const noexcept {
  return connecting_ == 0 && std::ranges::all_of(groups_, [](const auto& group) {
           return group->on_demand() || group->attempted == group->connections_max;
         });
}

void Client::advance(base::TimePoint now) noexcept {
  if (meeting_.abandon.load(std::memory_order_relaxed) && phase_ != Phase::over) finish_all(now);
  switch (phase_) {
    case Phase::connecting:
      if (!connected_all() && now < connect_by_) return;
      phase_ = Phase::waiting;
      meeting_.ready.fetch_add(1);
      break;
    case Phase::waiting: {
      const std::int64_t at = meeting_.start.load();
      if (at == Meeting::not_yet) return;
      const base::TimePoint from{std::chrono::nanoseconds{at}};
      if (now >= from) start(from);
      break;
    }
    case Phase::loading:
      if (!measuring_ && now >= measure_from_) {
        measuring_ = true;
        cpu_at_start_ = thread_cpu_time();
        record_.left_from_warmup = waiting(measure_from_);
      }
      end_windows(now);
      if (now >= end_ || meeting_.stop.load(std::memory_order_relaxed)) end_load(now);
      break;
    case Phase::grace:
      end_windows(now);
      if (held_ == 0 || now >= grace_end_) finish_all(now);
      break;
    case Phase::over: break;
  }
}

void Client::start(base::TimePoint at) noexcept {
  phase_ = Phase::loading;
  measure_from_ = at + settings_.load->warmup;
  end_ = measure_from_ + settings_.load->duration;
  last_answer_ = waiting_since_ = at;
  for (auto& group : groups_) {
    group->begin(at, measure_from_, end_);
    group->reconnect_at = at;
  }
  slab_.for_each_in_use([this, at](Connection& connection) {
    if (connection.closing || connection.connecting) return;
    connection.free_since = at;
    offer(connection, at);
  });
}

void Client::end_load(base::TimePoint now) noexcept {
  end_ = std::min(end_, std::max(now + base::Duration{1}, measure_from_));  // what was due just now is still in it
  grace_end_ = now + settings_.load->grace;
  phase_ = Phase::grace;
  record_.cpu = measuring_ ? thread_cpu_time() - cpu_at_start_ : base::Duration{};
  record_.measured = end_ - measure_from_;
  for (auto& group : groups_) group->cut(end_);
  end_last_window();
}

/// Nothing is waited for any longer: whatever was planned and has no outcome is unanswered.
void Client::finish_all(base::TimePoint now) noexcept {
  if (phase_ == Phase::loading) end_load(now);
  if (outstanding_ > 0) note_silence(now);
  phase_ = Phase::over;
  slab_.for_each_in_use([this, now](Connection& connection) {
    if (connection.closing) return;
    Group& group = *connection.group;
    while (connection.count > 0) record(group, pop_flight(connection), Outcome::unanswered, now);
    close(connection);
  });
  SLUICE_ASSERT(held_ == 0 && outstanding_ == 0 && unconnected_ == 0);
  for (auto& group : groups_) {
    for (const Again& again : group->again) {
      record(*group, again.flight, again.last.value_or(Outcome::unanswered), again.last ? again.last_at : now);
    }
    group->again.clear();
    while (group->planned != base::never) {
      Flight flight = group->take();
      count_planned(*group, flight);
      record(*group, flight, Outcome::unanswered, now);
    }
  }
}

// ---- the time axis ----

/// The window that a moment belongs to; null before the measured part.
WindowRecord* Client::window_at(base::TimePoint at) noexcept {
  if (at < measure_from_) return nullptr;
  auto index = static_cast<std::size_t>((at - measure_from_) / settings_.window);
  index = std::max(index, windows_given_) - windows_given_;
  if (index >= record_.windows.size()) record_.windows.resize(index + 1);
  return &record_.windows[index];
}

/// How many requests of the measured clients are due and not sent. Some have a connection that is still being made.
std::uint64_t Client::waiting(base::TimePoint now) const {
  std::uint64_t count = unconnected_;
  for (const auto& group : groups_) {
    if (!group->background) count += group->waiting(now);
  }
  return count;
}

/// Notes how many were outstanding and waiting when a window ended.
void Client::end_windows(base::TimePoint now) noexcept {
  if (now < measure_from_ + settings_.window * static_cast<std::int64_t>(windows_ended_ + 1)) return;
  const std::uint64_t waiting_now = waiting(now);
  const auto ended = static_cast<std::size_t>((now - measure_from_) / settings_.window);
  if (record_.windows.size() < ended - windows_given_) record_.windows.resize(ended - windows_given_);
  for (; windows_ended_ < ended; ++windows_ended_) {
    record_.windows[windows_ended_ - windows_given_].outstanding = outstanding_;
    record_.windows[windows_ended_ - windows_given_].waiting = waiting_now;
  }
  if (settings_.load->on_window) give_windows(ended - windows_given_);
}

/// Hands over the first `count` of them.
void Client::give_windows(std::size_t count) noexcept {
  const auto begin = record_.windows.begin(), end = begin + static_cast<std::ptrdiff_t>(count);
  for (auto window = begin; window != end; ++window) meeting_.windows.give(windows_given_++, std::move(*window));
  record_.windows.erase(begin, end);
}

/// What the caller has changed meanwhile.
void Client::follow_courses(base::TimePoint now) noexcept {
  if (phase_ == Phase::grace || phase_ == Phase::over) return;
  meeting_.courses.take(courses_seen_, [&](std::size_t place, const Course& course) {
    groups_[place]->steer(course, phase_ == Phase::loading ? now : base::never);
  });
}

/// The load may end in the middle of a window, which is noted then, with all that was not sent.
void Client::end_last_window() noexcept {
  if (WindowRecord* const last = end_ > measure_from_ ? window_at(end_ - base::Duration{1}) : nullptr) {
    last->outstanding = outstanding_;
    last->waiting = waiting(end_) + (held_ - outstanding_ - unconnected_);
  }
}

/// Lets the caller's thread see how it goes; once per turn.
void Client::tell() noexcept {
  if (ok_ + refused_ + failed_ == 0 && outstanding_told_ == static_cast<std::int64_t>(outstanding_)) return;
  meeting_.ok.fetch_add(std::exchange(ok_, 0), std::memory_order_relaxed);
  meeting_.refused.fetch_add(std::exchange(refused_, 0), std::memory_order_relaxed);
  meeting_.failed.fetch_add(std::exchange(failed_, 0), std::memory_order_relaxed);
  const auto outstanding = static_cast<std::int64_t>(outstanding_);
  meeting_.outstanding.fetch_add(outstanding - std::exchange(outstanding_told_, outstanding),
                                 std::memory_order_relaxed);
}

}  // namespace sluice::bench
