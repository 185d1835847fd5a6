#include "scenarios/lane_sim/engine.hpp"

#include <algorithm>
#include <utility>

namespace sluice::lane_sim {
namespace {

using admission::Claim;

double seconds(Duration time) noexcept { return static_cast<double>(time.count()) * 1e-9; }

Duration gap(const Scenario& scenario) noexcept {
  if (scenario.rate_per_s > 0) return Duration{static_cast<std::int64_t>(1e9 / scenario.rate_per_s)};
  return Duration{
      static_cast<std::int64_t>(static_cast<double>(scenario.service.count()) / scenario.permits / scenario.load)};
}

}  // namespace

Engine::Engine(const Scenario& scenario)
    : scenario_{scenario},
      start_{clock_.time},
      rig_{clock_, scenario_},
      arrivals_{Shape::exponential, gap(scenario), scenario.seed * 3 + 1},
      services_{scenario.shape, scenario.service, scenario.seed * 3 + 2},
      spread_{Shape::fixed, Duration{1}, scenario.seed * 3 + 3},
      mode_since_{start_} {
  if (!scenario_.dependency) return;
  TimePoint end = start_;
  for (const Phase& phase : scenario_.dependency->phases) phase_ends_.push_back(end += phase.length);
  result_.phases.resize(phase_ends_.size());
  dependency_.emplace(scenario_.dependency->phases.front().knee, scenario_.dependency->loss_per_job, start_);
  schedule(phase_ends_.front(), Kind::phase);
}

Result Engine::run() {
  next_call();
  while (!events_.empty()) {
    const Event event = events_.top();
    events_.pop();
    clock_.time = event.at;
    handle(event);
    settle();
    watch_mode();
  }
  close_books();
  return std::move(result_);
}

void Engine::schedule(TimePoint at, Kind kind, const Work* work, Call call) {
  events_.push({.at = at,
                .order = order_++,
                .kind = kind,
                .slot = work != nullptr ? work->slot : 0,
                .generation = work != nullptr ? work->generation : 0,
                .call = call});
}

/// The work an event is about; null if it is over.
Work* Engine::alive(const Event& event) noexcept {
  Work& work = works_[event.slot];
  return work.generation == event.generation ? &work : nullptr;
}

void Engine::handle(const Event& event) {
  switch (event.kind) {
    case Kind::call: return next_call();
    case Kind::again: return attempt(event.call);
    case Kind::phase: return next_phase();
    case Kind::dependency_end:
      if (event.generation == dependency_turn_) end(works_[dependency_->take(clock_.time)]);
      return;
    default: break;
  }
  Work* const work = alive(event);
  if (work == nullptr) return;
  if (event.kind == Kind::end) return end(*work);
  if (event.kind == Kind::queue_end) return queue_end(*work);
  if (event.kind == Kind::client_leaves) return client_leaves(*work);
  if (!rig_.claim(*work, Claim::timed_out)) return;
  note(*work, Claim::timed_out);
  told_no(work->call);
}

/// The call that is due, and when the one behind it is.
void Engine::next_call() {
  if (clock_.time > start_) {
    ++result_.calls;
    ++slot_of(clock_.time).offered;
    if (PhaseResult* const phase = phase_of(clock_.time)) ++phase->offered;
    attempt({.first = clock_.time, .attempts = 0});
  }
  const TimePoint next = clock_.time + arrivals_.next();
  const bool last = scenario_.length ? next > start_ + *scenario_.length : result_.calls == scenario_.requests;
  if (last) horizon_ = clock_.time;
  else schedule(next, Kind::call);
}

void Engine::attempt(Call call) {
  ++result_.attempts;
  ++slot_of(clock_.time).attempts;
  ++call.attempts;
  Work& work = take_work();
  work.call = call;
  work.arrived = clock_.time;
  const LaneRig::Arrival arrival = rig_.arrive(work);
  if (!arrival.admitted) {
    note(work, Claim::idle);
    told_no(call);
    return free_work(work);
  }
  if (scenario_.client_timeout) schedule(work.arrived + *scenario_.client_timeout, Kind::client_leaves, &work);
  if (arrival.start) begin(work, -1);
  if (arrival.wake >= 0) run_worker(arrival.wake);
  result_.longest_queue = std::max<std::uint64_t>(result_.longest_queue, rig_.depth());
  if (work.linked()) schedule(work.queue_deadline, Kind::queue_end, &work);
}

void Engine::begin(Work& work, int worker) {
  work.worker = worker;
  const Duration waited = clock_.time - work.arrived;
  result_.wait.record(static_cast<std::uint64_t>(waited.count()));
  const Duration service = service_time();
  if (dependency_) {
    dependency_->begin(work.slot, service, clock_.time);
    schedule(work.deadline, Kind::budget_end, &work);
    return watch_dependency();
  }
  const TimePoint end = clock_.time + service;
  if (end > work.deadline) schedule(work.deadline, Kind::budget_end, &work);
  schedule(end, Kind::end, &work);
}

Duration Engine::service_time() noexcept {
  const Duration service = services_.next();
  const Stall& stall = scenario_.stall;
  const Duration now = clock_.time - start_;
  return now >= stall.begin && now < stall.begin + stall.length ? service * stall.factor : service;
}

void Engine::run_worker(int worker) {
  if (Work* const work = rig_.next(worker)) begin(*work, worker);
}

/// The handler returns.
void Engine::end(Work& work) {
  if (rig_.claim(work, Claim::responded)) {
    note(work, Claim::responded);
    if (clock_.time <= horizon_) ++result_.good;
    ++slot_of(work.call.first).good;
    if (PhaseResult* const phase = phase_of(work.call.first)) {
      ++phase->good;
      phase->response.record(static_cast<std::uint64_t>((clock_.time - work.arrived).count()));
    }
  }
  after(work, work.worker);
}

/// Its permit goes on, as in Pool::work.
void Engine::after(Work& ended, int worker) {
  const LaneRig::Ended released = rig_.end(ended);
  free_work(ended);
  if (released.next != nullptr) begin(*released.next, worker);
  else if (worker >= 0) run_worker(worker);
  if (released.wake >= 0) run_worker(released.wake);
  if (dependency_) watch_dependency();
}

/// A client has a 503 or a 504, or has left: it may try again.
void Engine::told_no(const Call& call) {
  const Retries& retries = scenario_.retries;
  if (call.attempts > retries.more) return;
  Duration delay = retries.delay;
  if (retries.backoff) {
    delay = delay * (1 << std::min(call.attempts - 1, 16u));
    delay = Duration{static_cast<std::int64_t>(static_cast<double>(delay.count()) * (0.5 + spread_.uniform()))};
  }
  schedule(clock_.time + delay, Kind::again, nullptr, call);
}

void Engine::queue_end(Work& work) {
  if (rig_.leave(work, Claim::expired)) refused_in_queue(work);
}

void Engine::client_leaves(Work& work) {
  const Call call = work.call;
  if (rig_.leave(work, Claim::cancelled)) {
    note(work, Claim::cancelled);
    free_work(work);
  } else if (rig_.claim(work, Claim::abandoned)) {
    note(work, Claim::abandoned);
  } else {
    return;  // it was told something before
  }
  told_no(call);
}

void Engine::refused_in_queue(Work& work) {
  result_.refusal.record(static_cast<std::uint64_t>((clock_.time - work.arrived).count()));
  note(work, work.claim.load());
  told_no(work.call);
  free_work(work);
}

void Engine::settle() {
  for (std::size_t i = 0; i < rig_.home().size(); ++i) {
    Work& work = *rig_.home()[i];
    if (work.claim.load() == Claim::granted) {
      rig_.begin_granted(work);
      begin(work, -1);
    } else {
      refused_in_queue(work);
    }
  }
  rig_.home().clear();
}

void Engine::watch_dependency() {
  const auto next = dependency_->next_end();
  ++dependency_turn_;
  if (!next) return;
  events_.push({.at = *next, .order = order_++, .kind = Kind::dependency_end, .generation = dependency_turn_});
}

void Engine::next_phase() {
  result_.phases[phase_].limit_at_end = rig_.limit();
  const auto& phases = scenario_.dependency->phases;
  if (++phase_ == phases.size()) return;
  dependency_->move_knee(phases[phase_].knee, clock_.time);
  schedule(phase_ends_[phase_], Kind::phase);
  watch_dependency();
}

void Engine::watch_mode() {
  const bool now = rig_.overloaded();
  if (now == overloaded_) return;
  count_overload();
  if (clock_.time <= horizon_) ++result_.mode_changes;
  overloaded_ = now;
  mode_since_ = clock_.time;
}

/// The time since the last change, up to the horizon.
void Engine::count_overload() noexcept {
  const TimePoint end = std::min(clock_.time, horizon_);
  if (overloaded_ && mode_since_ < end) overloaded_time_ += end - mode_since_;
}

Work& Engine::take_work() {
  if (free_.empty()) {
    works_.emplace_back();
    works_.back().slot = static_cast<std::uint32_t>(works_.size() - 1);
    free_.push_back(works_.back().slot);
  }
  Work& work = works_[free_.back()];
  free_.pop_back();
  work.claim.store(Claim::idle);
  work.permit = false;
  work.worker = -1;
  return work;
}

void Engine::free_work(Work& work) {
  ++work.generation;
  free_.push_back(work.slot);
}

void Engine::note(const Work& work, Claim outcome) noexcept {
  const auto add = [this](std::uint64_t value) {
    result_.fingerprint = (result_.fingerprint ^ value) * 0x9e3779b97f4a7c15;
    result_.fingerprint ^= result_.fingerprint >> 29;
  };
  add(static_cast<std::uint64_t>(clock_.time.time_since_epoch().count()));
  add(static_cast<std::uint64_t>(work.arrived.time_since_epoch().count()) + static_cast<std::uint64_t>(outcome));
}

Slot& Engine::slot_of(TimePoint time) {
  const auto index = static_cast<std::size_t>((time - start_) / slot_length);
  if (result_.slots.size() <= index) result_.slots.resize(index + 1);
  return result_.slots[index];
}

PhaseResult* Engine::phase_of(TimePoint time) noexcept {
  for (std::size_t i = 0; i < phase_ends_.size(); ++i) {
    if (time < phase_ends_[i]) return &result_.phases[i];
  }
  return nullptr;
}

/// What the permits finish until the horizon if none of them ever waits for work: the same service times, in order.
std::uint64_t Engine::capacity() const {
  Draw services{scenario_.shape, scenario_.service, scenario_.seed * 3 + 2};
  std::priority_queue<TimePoint, std::vector<TimePoint>, std::greater<>> free;
  for (std::uint32_t i = 0; i < scenario_.permits; ++i) free.push(start_);
  std::uint64_t count = 0;
  while (free.top() < horizon_) {
    const Duration service = services.next();
    const TimePoint end = free.top() + service;
    free.pop();
    free.push(end);
    const bool fits = service <= scenario_.budget && service <= scenario_.client_timeout.value_or(Duration::max());
    if (fits && end <= horizon_) ++count;
  }
  return count;
}

void Engine::close_books() {
  result_.seconds = seconds(horizon_ - start_);
  count_overload();
  result_.overloaded_share = result_.seconds > 0 ? seconds(overloaded_time_) / result_.seconds : 0;
  result_.counters = rig_.counters();
  const LaneCounters& counters = result_.counters;
  result_.balanced = counters.balanced() && counters.depth == 0 && counters.running == 0 && counters.in_flight == 0 &&
                     counters.zombies == 0 && counters.received == result_.attempts;
  if (!dependency_ && scenario_.stall.length == Duration{0}) result_.capacity = capacity();
  for (std::size_t i = 0; i < result_.phases.size(); ++i) {
    result_.phases[i].seconds = seconds(scenario_.dependency->phases[i].length);
  }
}

Result play(const Scenario& scenario) { return Engine{scenario}.run(); }

Duration recovery(const Scenario& scenario, const Result& result, double share) {
  constexpr std::size_t width = 5;
  const auto from = static_cast<std::size_t>((scenario.stall.begin + scenario.stall.length) / slot_length);
  const auto to = static_cast<std::size_t>(result.seconds * 10);
  std::size_t recovered = from;
  for (std::size_t first = from; first + width <= std::min(to, result.slots.size()); ++first) {
    Slot sum;
    for (std::size_t i = first; i < first + width; ++i) {
      sum.offered += result.slots[i].offered;
      sum.good += result.slots[i].good;
    }
    if (static_cast<double>(sum.good) < share * static_cast<double>(sum.offered)) recovered = first + width;
  }
  return slot_length * static_cast<int>(recovered - from);
}

}  // namespace sluice::lane_sim
