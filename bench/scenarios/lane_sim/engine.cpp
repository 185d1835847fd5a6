#include "scenarios/lane_sim/engine.hpp"

#include <algorithm>
#include <utility>

namespace sluice::lane_sim {
namespace {

using admission::Claim;
using sim::Work;

double seconds(Duration time) noexcept { return static_cast<double>(time.count()) * 1e-9; }

Duration gap(const Scenario& scenario) noexcept {
  if (scenario.rate_per_s > 0) return Duration{static_cast<std::int64_t>(1e9 / scenario.rate_per_s)};
  return Duration{
      static_cast<std::int64_t>(static_cast<double>(scenario.service.count()) / scenario.permits / scenario.load)};
}

unsigned worker_count(const Scenario& scenario) noexcept {
  return scenario.adaptive ? scenario.adaptive->max : scenario.permits;
}

sim::HostSpec host_spec(const Scenario& scenario) {
  sim::LaneSpec lane;
  lane.settings.name = "simulated";
  lane.settings.limit = scenario.permits;
  lane.settings.depth_max = scenario.queue_depth_max;
  lane.settings.queue_timeout = scenario.queue_timeout;
  lane.settings.discipline = scenario.discipline;
  lane.settings.adaptive = scenario.adaptive;
  lane.workers = scenario.workers;
  return {.lanes = {lane}, .pool_threads = worker_count(scenario)};
}

}  // namespace

Engine::Engine(const Scenario& scenario)
    : scenario_{scenario},
      start_{timeline_.now()},
      host_{timeline_, *this, host_spec(scenario_)},
      arrivals_{Shape::exponential, gap(scenario), scenario.seed * 3 + 1},
      services_{scenario.shape, scenario.service, scenario.seed * 3 + 2},
      spread_{Shape::fixed, Duration{1}, scenario.seed * 3 + 3},
      mode_since_{start_} {
  if (!scenario_.dependency) return;
  TimePoint end = start_;
  for (const Phase& phase : scenario_.dependency->phases) phase_ends_.push_back(end += phase.length);
  result_.phases.resize(phase_ends_.size());
  dependency_.emplace(sim::StationOptions{.knee = scenario_.dependency->phases.front().knee,
                                          .loss_per_job = scenario_.dependency->loss_per_job},
                      start_);
  schedule(phase_ends_.front(), phase_end);
}

Result Engine::run() {
  next_call();
  while (timeline_.step()) watch_mode();
  close_books();
  return std::move(result_);
}

void Engine::schedule(TimePoint at, Kind kind, Call call) {
  timeline_.schedule({.at = at, .to = this, .kind = kind, .slot = call.attempts, .number = call.number()});
}

void Engine::handle(const sim::Event& event) {
  switch (event.kind) {
    case next_arrival: return next_call();
    case again: return attempt(Call::of(event.number, event.slot));
    case phase_end: return next_phase();
    case dependency_end: break;
    default: return;
  }
  if (event.generation != dependency_turn_) return;
  host_.end(host_.work(static_cast<std::uint32_t>(dependency_->take(now()))));
  watch_dependency();
}

/// The call that is due, and when the one behind it is.
void Engine::next_call() {
  if (now() > start_) {
    ++result_.calls;
    ++slot_of(now()).offered;
    if (PhaseResult* const phase = phase_of(now())) ++phase->offered;
    attempt({.first = now(), .attempts = 0});
  }
  const TimePoint next = now() + arrivals_.next();
  const bool last = scenario_.length ? next > start_ + *scenario_.length : result_.calls == scenario_.requests;
  if (last) horizon_ = now();
  else schedule(next, next_arrival);
}

void Engine::attempt(Call call) {
  ++result_.attempts;
  ++slot_of(now()).attempts;
  ++call.attempts;
  host_.arrive({.owner = call.number(),
                .attempt = call.attempts,
                .budget = scenario_.budget,
                .patience = scenario_.client_timeout});
  result_.longest_queue = std::max<std::uint64_t>(result_.longest_queue, host_.view(0, scenario_.budget).depth);
}

std::optional<TimePoint> Engine::begun(Work& work) {
  result_.wait.record(static_cast<std::uint64_t>((now() - work.arrived).count()));
  const Duration service = service_time();
  if (!dependency_) return now() + service;
  dependency_->begin(work.slot, service, now());
  watch_dependency();
  return std::nullopt;
}

void Engine::told(const Work& work, Claim outcome, std::optional<ShedReason>) {
  note(work, outcome);
  const Call call = Call::of(work.owner, work.attempt);
  if (outcome == Claim::responded) return answered(work, call);
  if (outcome == Claim::expired || outcome == Claim::shed) {
    result_.refusal.record(static_cast<std::uint64_t>((now() - work.arrived).count()));
  }
  told_no(call);
}

void Engine::answered(const Work& work, const Call& call) {
  if (now() <= horizon_) ++result_.good;
  ++slot_of(call.first).good;
  if (PhaseResult* const phase = phase_of(call.first)) {
    ++phase->good;
    phase->response.record(static_cast<std::uint64_t>((now() - work.arrived).count()));
  }
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
  schedule(now() + delay, again, call);
}

Duration Engine::service_time() noexcept {
  const Duration service = services_.next();
  const Stall& stall = scenario_.stall;
  const Duration at = now() - start_;
  return at >= stall.begin && at < stall.begin + stall.length ? service * stall.factor : service;
}

void Engine::watch_dependency() {
  const auto next = dependency_->next_end();
  ++dependency_turn_;
  if (!next) return;
  timeline_.schedule({.at = *next, .to = this, .kind = dependency_end, .generation = dependency_turn_});
}

void Engine::next_phase() {
  result_.phases[phase_].limit_at_end = host_.view(0, scenario_.budget).limit;
  const auto& phases = scenario_.dependency->phases;
  if (++phase_ == phases.size()) return;
  dependency_->move_knee(phases[phase_].knee, now());
  schedule(phase_ends_[phase_], phase_end);
  watch_dependency();
}

void Engine::watch_mode() {
  const bool overloaded = host_.view(0, scenario_.budget).overloaded;
  if (overloaded == overloaded_) return;
  count_overload();
  if (now() <= horizon_) ++result_.mode_changes;
  overloaded_ = overloaded;
  mode_since_ = now();
}

/// The time since the last change, up to the horizon.
void Engine::count_overload() noexcept {
  const TimePoint end = std::min(now(), horizon_);
  if (overloaded_ && mode_since_ < end) overloaded_time_ += end - mode_since_;
}

void Engine::note(const Work& work, Claim outcome) noexcept {
  const auto add = [this](std::uint64_t value) {
    result_.fingerprint = (result_.fingerprint ^ value) * 0x9e3779b97f4a7c15;
    result_.fingerprint ^= result_.fingerprint >> 29;
  };
  add(static_cast<std::uint64_t>(now().time_since_epoch().count()));
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
  sim::Draw services{scenario_.shape, scenario_.service, scenario_.seed * 3 + 2};
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
  result_.counters = host_.lane(0).counters();
  result_.balanced = host_.balanced() && result_.counters.received == result_.attempts;
  if (!dependency_ && scenario_.stall.length == Duration{0}) result_.capacity = capacity();
  for (std::size_t i = 0; i < result_.phases.size(); ++i) {
    result_.phases[i].seconds = seconds(scenario_.dependency->phases[i].length);
  }
}

Result play(const Scenario& scenario) { return Engine{scenario}.run(); }

Duration recovery(const Scenario& scenario, const Result& result, double share) {
  const auto from = static_cast<std::size_t>((scenario.stall.begin + scenario.stall.length) / slot_length);
  const auto count = std::min(static_cast<std::size_t>(result.seconds * 10), result.slots.size());
  return sim::recovery(std::span{result.slots}.first(count), from, share);
}

}  // namespace sluice::lane_sim
