// group.hpp: connections that behave alike on one thread: their plan, who is free, who has to try again.
// In: the clock's readings and what became of requests. Out: the next request to send, and when.
// Thread: the generator thread. Must never reorder the plan: the earliest due request is sent first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/list.hpp"
#include "http/response_parser.hpp"
#include "load/client/records.hpp"
#include "load/client/settings.hpp"
#include "load/plan/arrival.hpp"
#include "load/plan/request_text.hpp"
#include "net/stream.hpp"

namespace sluice::bench {

struct Group;

/// A request on its way, from its planned time to its outcome.
struct Flight {
  base::TimePoint due{};
  base::TimePoint sent{};
  base::TimePoint ready{};  // the connection was free for it from here on
  base::Duration waited{}, lag{};  // on demand, before the connection was begun: for a slot; by the generator
  std::uint64_t number = 0;  // {seq}
  std::uint16_t spec = 0;
  std::uint16_t tries = 0;
  bool to_head = false;
  bool counted = false;  // as planned
};

struct IdleTag {};

/// One connection and the requests that wait for its answers, oldest first.
struct Connection : net::Stream, base::ListNode<IdleTag> {
  Group* group = nullptr;
  std::unique_ptr<Flight[]> flights{};
  std::uint16_t capacity = 0, first = 0, count = 0, written = 0;  // `written` of `count` have been sent
  bool last = false;  // no further request: it closes behind this one
  http::ResponseReader reader{};
  std::uint64_t requests = 0;
  base::TimePoint begun{}, free_since{}, resume_at{base::never}, piece_at{base::never};
  std::string trickle{};     // what a slow writer has not sent yet
  std::size_t trickled = 0;

  bool listed() const noexcept { return ListNode::linked(); }
  Flight& flight(unsigned index) noexcept { return flights[(first + index) % capacity]; }
  bool has_room() const noexcept { return count < capacity && !last; }
  void push(const Flight& flight) noexcept {
    flights[(first + count) % capacity] = flight;
    ++count;
  }
  Flight pop() noexcept {
    const Flight flight = flights[first];
    first = static_cast<std::uint16_t>((first + 1) % capacity);
    --count;
    if (written > 0) --written;
    return flight;
  }
};

/// A request that waits for another try.
struct Again {
  base::TimePoint at{};
  Flight flight{};
  std::optional<Outcome> last{};  // of the try before; nothing: it was never answered
  base::TimePoint last_at{};
  bool operator<(const Again& other) const noexcept { return at > other.at; }  // the heap's top is the earliest
};

/// All fields are the Client's to use; the plan is changed by the functions alone.
struct Group {
  static constexpr std::size_t again_max = 1'000'000;

  Group(const Settings& settings, std::size_t place, Part thread);

  bool open_loop() const noexcept { return clients.rate_per_s > 0; }
  /// A connection is made when a request needs one.
  bool on_demand() const noexcept { return clients.behaviour.requests_per_connection == 1; }
  bool slow_writer() const noexcept { return clients.behaviour.write_bytes_per_s > 0; }

  // The plan. begin() sets it to run from `warm` on, as a new one from `from` on, to `to`.
  void begin(base::TimePoint warm, base::TimePoint from, base::TimePoint to);
  /// When the next request is due, a further try included; base::never without any.
  base::TimePoint next_due() const noexcept {
    return std::min(planned, again.empty() ? base::never : again.front().at);
  }
  /// The earliest due request. Only if next_due() has come.
  Flight take();
  /// A request of the closed loop, due now.
  Flight make(base::TimePoint now);
  /// How many planned requests are due at `now` and on no connection; counted up to a bound, estimated beyond.
  std::uint64_t waiting(base::TimePoint now) const;
  /// False if too many wait already.
  [[nodiscard]] bool try_again(const Again& entry);
  /// No request of the plan at or after `end`.
  void cut(base::TimePoint end) noexcept;
  /// Goes on like that; at a new rate from `now` on.
  void steer(const Course& next, base::TimePoint now);
  /// Whether the next request has waited for a connection for longer than its client does.
  bool gives_up_unsent(base::TimePoint now) const noexcept {
    return clients.behaviour.give_up_unsent && course.give_up_after > Duration{} &&
           next_due() <= now - course.give_up_after;
  }

  void list_idle(Connection& connection) noexcept {
    idle.push_back(connection);
    ++idle_count;
  }
  void unlist(Connection& connection) noexcept {
    if (!connection.listed()) return;
    connection.ListNode::unlink();
    --idle_count;
  }

  const Clients& clients;
  const RequestMix& mix;
  Course course;  // how they go on: as `clients` say, until steered
  ClientsRecord* record = nullptr;
  bool background = false;
  unsigned connections_max = 0, live = 0;  // live: connecting or connected
  unsigned attempted = 0, idle_count = 0;
  base::List<Connection, IdleTag> idle{};  // connected, with room for a request; the longest idle first
  base::TimePoint slot_free_at{};          // on demand: since when `live` is below its max
  base::TimePoint reconnect_at{base::TimePoint::min()};
  base::Duration reconnect_pause{};

  std::vector<Again> again{};  // a heap
  base::TimePoint planned{base::never};  // the next of the plan
  Random random;

 private:
  static constexpr std::size_t changes_max = 64;
  /// A rate that is to begin, after what was due before.
  struct Change {
    base::TimePoint at{};
    double rate_per_s = 0;
  };

  void plan_next() noexcept;
  void plan_one() noexcept;
  void use(const Change& change) noexcept;

  Part thread_;
  std::uint64_t seed_;
  Schedule schedule_;
  double rate_per_s_ = 0;  // of schedule_; that of `course` may be one that is to begin yet
  base::TimePoint origin_{}, warm_end_{}, end_{base::never};
  bool warming_ = false;
  std::uint64_t number_ = 0;
  std::vector<Change> changes_{};  // the earliest first
  std::uint64_t changed_ = 0;
};

}  // namespace sluice::bench
