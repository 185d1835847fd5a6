// timeline.hpp: virtual time: a clock that stands still between events, and the events that are to come.
// In: who is to be told what, and when. Out: one event after the other, the earliest first. Single-threaded; the order is
// the same on every machine.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "base/clock.hpp"

namespace sluice::sim {

using base::Duration;
using base::TimePoint;

inline double seconds(Duration time) noexcept { return static_cast<double>(time.count()) * 1e-9; }

struct VirtualClock final : base::Clock {
  TimePoint now() const noexcept override { return time; }
  std::time_t wall() const noexcept override { return 0; }
  TimePoint time{std::chrono::seconds{100}};
};

class Handler;

struct Event {
  TimePoint at{};
  Handler* to = nullptr;  // outlives the timeline's use of it
  std::uint32_t kind = 0;
  std::uint32_t slot = 0, generation = 0;  // of what it is about
  std::uint64_t number = 0;  // whatever else the handler wants to know
  std::uint64_t order = 0;  // of scheduling: ties end the same way on every machine

  bool operator>(const Event& other) const noexcept { return at != other.at ? at > other.at : order > other.order; }
};

class Handler {
 public:
  virtual void handle(const Event& event) = 0;

 protected:
  ~Handler() = default;
};

class Timeline {
 public:
  const VirtualClock& clock() const noexcept { return clock_; }
  TimePoint now() const noexcept { return clock_.time; }

  void schedule(Event event) {
    event.order = order_++;
    events_.push(event);
  }
  /// Goes on to the next event and has it handled. False: there is none before `end`.
  bool step(TimePoint end = base::never) {
    if (events_.empty() || events_.top().at > end) return false;
    const Event event = events_.top();
    events_.pop();
    clock_.time = event.at;
    event.to->handle(event);
    return true;
  }

 private:
  VirtualClock clock_;
  std::uint64_t order_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
};

}  // namespace sluice::sim
