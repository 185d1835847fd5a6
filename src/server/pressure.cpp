// Making room: which connections go, and the part of Connection that waits because memory is scarce.
#include "server/pressure.hpp"

#include <algorithm>
#include <array>

#include "server/shard.hpp"

namespace sluice::detail {
namespace {

using base::TimePoint;

/// The connections that have been idle for longest, of those that were offered.
class LongestIdle {
 public:
  explicit LongestIdle(std::size_t most) noexcept : most_{most} {}

  void offer(Connection& connection, TimePoint since) noexcept {
    if (count_ == most_) {
      if (since >= all_[0].since) return;
      std::pop_heap(all_.begin(), end(), later);  // the shortest idle of them is in front
      --count_;
    }
    all_[count_++] = {since, &connection};
    std::push_heap(all_.begin(), end(), later);
  }
  template <class F>
  void for_each(F&& visit) const {
    for (std::size_t i = 0; i < count_; ++i) visit(*all_[i].connection);
  }

 private:
  struct Candidate {
    TimePoint since;
    Connection* connection = nullptr;
  };
  using All = std::array<Candidate, PressureRelief::reaped_max>;
  static bool later(const Candidate& a, const Candidate& b) noexcept { return a.since < b.since; }
  All::iterator end() noexcept { return all_.begin() + static_cast<std::ptrdiff_t>(count_); }

  All all_{};
  const std::size_t most_;
  std::size_t count_ = 0;
};

}  // namespace

PressureRelief::PressureRelief(std::size_t bytes_share, std::size_t connections_share) noexcept
    : steps_{bytes_share}, reaped_when_full_{std::clamp<std::size_t>(connections_share / 16, 1, reaped_max)} {}

void PressureRelief::relieve(Shard& shard, Pressure level, bool full) noexcept {
  // A step that was reached is acted on at once: what would be read until the next look could be a lot.
  if (timer_.armed() && level <= seen_) return;
  seen_ = level;
  holding_ = false;
  if (level >= Pressure::reap) reap(shard, reaped_max);
  else if (full) reap(shard, reaped_when_full_);
  shard.for_each_connection([](Connection& connection) { connection.update_reading(); });
  if (level != Pressure::none || full || holding_) shard.loop().timers().arm(timer_, shard.now() + interval);
}

void PressureRelief::reap(Shard& shard, std::size_t count) noexcept {
  if (shard.draining()) return;  // they are all on their way out
  LongestIdle longest{count};
  const TimePoint latest = shard.now() - idle_least;
  shard.for_each_connection([&](Connection& connection) {
    const TimePoint since = connection.idle_since();
    if (since < latest) longest.offer(connection, since);
  });
  longest.for_each([&](Connection& connection) {
    shard.counts().idle_reaped.add_owned();
    connection.cut(false);
  });
}

// ---- Connection

TimePoint Connection::idle_since() const noexcept {
  const bool idle = state_ == State::idle && out.empty() && kept_.empty() && !closing;
  return idle && !for_exempt_ ? phase_deadline_ - shard_->limits().idle_timeout : base::never;
}

bool Connection::held_back() noexcept {
  if (exchange_ == nullptr || (state_ != State::body && state_ != State::handling)) return false;
  Exchange& x = *exchange_;
  if (x.route->options.criticality == Criticality::exempt) return false;
  // What a reader takes is not kept here, and its answer may be waiting for it.
  if (x.inflow != nullptr && !x.inflow->over()) return false;
  const Pressure level = shard_->pressure();
  // Behind a request in progress nothing is waited for; its answer ends the pause.
  const bool held = state_ == State::handling ? level >= Pressure::hold : body_held_back(level);
  if (held) shard_->relief().note_hold();
  return held;
}

// Above the budget. A small head may still come together: it could be for a route that is never shed.
void Connection::keep_little() {
  constexpr std::size_t little = 4000;  // in one block of 4 KiB
  if (kept_.size() <= little) return;
  if (state_ == State::head) refuse({503, "buffered_bytes_max reached"});
  else if (state_ == State::idle && !out.empty()) begin_closing();  // more requests behind a refusal nobody has read
}

bool Connection::body_held_back(Pressure level) noexcept {
  Exchange& x = *exchange_;
  if (x.held_until != TimePoint{}) return level >= Pressure::hold && shard_->now() < x.held_until;
  // Above the budget it is refused instead, which gives its memory back.
  if (level != Pressure::hold) return false;
  const bool fits = x.head.framing == http::Framing::length &&
                    x.head.content_length - x.body_received <= x.own_body.capacity() - x.own_body.size();
  if (fits) return false;  // it needs no more memory, and is over the sooner
  x.note_more();
  x.held_until = shard_->now() + PressureRelief::hold_max;
  phase_deadline_ += PressureRelief::hold_max;  // the time is ours: neither its rate nor its total time counts it
  shard_->counts().memory_pauses.add_owned();
  arm();
  return true;
}

}  // namespace sluice::detail
