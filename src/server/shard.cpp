#include "server/shard.hpp"

#include <cstring>

namespace sluice::detail {

using admission::Claim;
using admission::Tally;

namespace {

constexpr base::Duration last_words = std::chrono::milliseconds{50};

Connection& connection_of(net::Stream& stream) noexcept { return static_cast<Connection&>(stream); }

/// The request is over without its handler having run.
bool ended_unstarted(const Exchange& x) noexcept {
  const Claim claim = x.claim.load(std::memory_order_acquire);
  return claim == Claim::expired || claim == Claim::cancelled || claim == Claim::shed;
}

std::size_t share(std::uint64_t total, unsigned loops) noexcept {
  return static_cast<std::size_t>((total + loops - 1) / loops);
}

}  // namespace

Shard::Shard(std::shared_ptr<Core> core, std::size_t index)
    : core_{std::move(core)},
      index_{index},
      head_limits_{core_->limits().head_bytes_max, core_->limits().head_fields_max, core_->limits().target_bytes_max},
      connections_max_{share(core_->limits().connections_max, core_->options().loops)},
      guard_{*core_, index},
      relief_{share(core_->limits().buffered_bytes_max, core_->options().loops), connections_max_} {}

Shard::~Shard() {
  SLUICE_ASSERT(connections_.in_use() == 0);
  SLUICE_ASSERT(exchanges_.in_use() == 0);
}

// One of the two catch sites: no memory for one connection's event drops that connection, and says so.
template <class F>
void Shard::guarded(Connection& connection, F&& event) noexcept {
  look();
  try {
    event();
  } catch (const std::bad_alloc&) {
    core_->log(LogEvent::Level::error, "connection_dropped", {}, "out of memory");
    connection.cut(true);
  }
}

// ---- connections

net::Stream* Shard::opened(int) noexcept {
  try {
    Connection* const connection = connections_.take();
    connection->open(*this);
    counts_.accepted.add_owned();
    if (connections_.in_use() >= connections_max_ && (accept_holds_ & full) == 0) {
      counts_.accept_pauses.add_owned();
      hold_accepting(full, true);
    }
    return connection;
  } catch (const std::bad_alloc&) {
    core_->log(LogEvent::Level::error, "connection_refused", {}, "out of memory");
    return nullptr;
  }
}

void Shard::started(net::Stream& stream) noexcept { connection_of(stream).start(); }

void Shard::input(net::Stream& stream, std::span<char> bytes) noexcept {
  Connection& connection = connection_of(stream);
  guarded(connection, [&] { connection.input(bytes); });
}

void Shard::input_ended(net::Stream& stream) noexcept {
  Connection& connection = connection_of(stream);
  guarded(connection, [&] { connection.input_over(); });
}

void Shard::failed(net::Stream& stream, int) noexcept {
  counts_.resets.add_owned();
  connection_of(stream).cut(false);
}

void Shard::drained(net::Stream& stream) noexcept { connection_of(stream).output_drained(); }

void Shard::wrote(net::Stream& stream, std::size_t) noexcept { connection_of(stream).output_progressed(); }

void Shard::output_shut(net::Stream& stream) noexcept { connection_of(stream).output_closed(); }

void Shard::expired(net::Stream& stream) noexcept {
  Connection& connection = connection_of(stream);
  guarded(connection, [&] {
    connection.timer_fired();
    connection.pump();
  });
}

void Shard::closed(net::Stream& stream) noexcept {
  Connection& connection = connection_of(stream);
  counts_.closed.add_owned();
  connections_.give(connection);
  if (connections_.in_use() < connections_max_) hold_accepting(full, false);
  quit_if_drained();
}

void Shard::quit_if_drained() noexcept {
  if (!draining_ || connections_.in_use() != 0) return;
  // A handler whose answer is out may be about to return: a moment for it, or it would be reported as still running.
  if (exchanges_.in_use() != 0 && !last_words_over_) {
    if (!cut_) cut_all();
    return;
  }
  loop_->timers().cancel(drain_timer_);
  loop_->timers().cancel(ladder_timer_);
  loop_->timers().cancel(relief_.timer());
  loop_->quit();
}

net::Stream* Shard::find(std::uint32_t slot, std::uint32_t generation) noexcept {
  return connections_.find(slot, generation);
}

void Shard::accept_paused(int reason) noexcept {
  counts_.accept_pauses.add_owned();
  core_->log(LogEvent::Level::warning, "accept_paused", {}, std::strerror(reason));
}

void Shard::requeue(Connection& connection) noexcept {
  if (!connection.base::ListNode<ReadyTag>::linked()) ready_.push_back(connection);
}

void Shard::forget(Connection& connection) noexcept {
  if (connection.base::ListNode<ReadyTag>::linked()) connection.base::ListNode<ReadyTag>::unlink();
}

// What the turn's events left to do, user code among it.
void Shard::work_off() noexcept {
  fire_stops();
  run_calls();
  look_at_due();
  resume_ready();
}

// Each waiting connection gets one go; what has more comes to the tail, for the next turn.
void Shard::resume_ready() noexcept {
  base::List<Connection, ReadyTag> now;
  while (Connection* connection = ready_.pop_front()) now.push_back(*connection);
  while (Connection* connection = now.pop_front()) {
    guarded(*connection, [&] { connection->pump(); });
  }
}

// ---- exchanges

Connection* Shard::owner_of(const Exchange& exchange) noexcept {
  Connection* const connection = connections_.find(exchange.connection_slot, exchange.connection_generation);
  // The name does not tell two requests of one connection apart; what it works on now does.
  return connection != nullptr && connection->exchange() == &exchange ? connection : nullptr;
}

LifeOf<base::StdSync>::Arrival Shard::run_frame(Exchange& exchange) noexcept {
  SLUICE_ASSERT(frame_ == nullptr);
  frame_ = &exchange;
  guard_.enter(*exchange.route);
  const auto end = exchange.run_on_loop();
  guard_.leave();
  frame_ = nullptr;
  if (end.last && exchange.permit) release_permit(*exchange.lane, exchange.ticket);
  return end;
}

void Shard::release_permit(admission::Lane& lane, admission::Ticket ticket) noexcept {
  const auto released = lane.group()->release(lane, ticket, false);
  if (released.wake != admission::LaneGroup::no_worker) core_->pool_of(lane)->unpark(released.wake);
}

void Shard::mark_zombie(Exchange& exchange) noexcept {
  exchange.note_more();
  exchange.zombie = true;
  tally(*exchange.lane).zombies.add_owned();
  if (!exchange.permit) return;
  if (base::planted(base::Bug::permit_released_early)) {
    exchange.permit = false;
    release_permit(*exchange.lane, exchange.ticket);
    return;
  }
  exchange.lane->group()->mark_zombie(*exchange.lane, exchange.ticket);
}

// Off the lists and out of the counts.
[[gnu::noinline]] void Shard::strike(Exchange& exchange) noexcept {
  if (exchange.zombie) tally(*exchange.lane).zombies.add_owned(admission::minus_one);
  if (exchange.counted) {
    Connection* const connection = connections_.find(exchange.connection_slot, exchange.connection_generation);
    if (connection != nullptr) --connection->in_flight_requests;
  }
  if (exchange.base::ListNode<StopListTag>::linked()) exchange.base::ListNode<StopListTag>::unlink();
  if (exchange.base::ListNode<CallListTag>::linked()) exchange.base::ListNode<CallListTag>::unlink();
}

void Shard::abandon(Exchange& x) noexcept {
  switch (x.claim.load(std::memory_order_acquire)) {
    case Claim::queued:
      if (base::planted(base::Bug::unlink_missed)) return;
      if (x.lane->group()->unlink(x, Claim::cancelled)) {
        free(x);
        return;
      }
      // A worker has it by now; or a permit came free and it is on its way here.
      if (x.claim.load(std::memory_order_acquire) != Claim::granted) break;
      [[fallthrough]];
    case Claim::granted:
      admission::LaneGroup::count_dead_grant(x, Claim::cancelled);  // its node frees it
      return;
    case Claim::idle: free(x); return;  // there was no memory to hand it over
    default: break;
  }
  if (draining_) counts_.drain_cut.add_owned();
  break_streams(x);
  if (!x.claim_running(Claim::abandoned)) {
    if (x.outflow() == nullptr) return;  // its answer is on the way, and will find nobody
    if (x.pinned()) mark_zombie(x);      // whoever writes it goes on for a while
    x.request_stop();
    return;
  }
  mark_zombie(x);
  x.request_stop();
}

// Nobody will send its body or read its answer any more.
void Shard::break_streams(Exchange& x) noexcept {
  if (x.inflow != nullptr) x.inflow->fail({499, "the client has left"});
  if (x.outflow() != nullptr) x.outflow()->break_off();
  if (x.call_due()) call_later(x);
}

void Shard::posted(net::MailNode& node) noexcept {
  if (&node == &control_) obey();
  else home(static_cast<Exchange&>(node));
}

void Shard::home(Exchange& x) noexcept {
  const auto arrival = x.arrive();
  const Claim claim = x.claim.load(std::memory_order_acquire);
  if (claim == Claim::granted) {
    start_granted(x);
    return;
  }
  const bool unstarted = ended_unstarted(x);
  if (unstarted && x.permit) release_permit(*x.lane, x.ticket);  // died on its way here: pass it on
  Connection* const connection = owner_of(x);
  const bool answer = arrival.deliver || (unstarted && claim != Claim::cancelled);
  if (answer && connection != nullptr) guarded(*connection, [&] { connection->deliver(x); });
  if (answer && connection == nullptr && arrival.deliver) deliver_to_nobody(x);
  if (arrival.news) news_of(x);
  if (arrival.free) free(x);
  if (connection != nullptr) guarded(*connection, [&] { connection->pump(); });
}

void Shard::news_of(Exchange& x) noexcept {
  for (std::shared_ptr<Watch> watch = x.take_watches(); watch != nullptr;) {
    const std::shared_ptr<Watch> next = std::move(watch->next_);
    watch->queued_.exchange(false, std::memory_order_acq_rel);
    settle(watch, x.route);
    watch = next;
  }
  if (Connection* const connection = owner_of(x)) guarded(*connection, [&] { connection->bodies_moved(); });
  if (x.call_due()) call_later(x);
}

void Shard::deliver_to_nobody(Exchange& x) noexcept {
  if (base::planted(base::Bug::late_answer_written)) {
    Connection* const connection = connections_.find(x.connection_slot, x.connection_generation);
    if (connection != nullptr && connection->exchange() == nullptr) connection->deliver_late(x);
  }
  counts_.responses_dropped.add_owned();
  if (x.outflow() == nullptr) return;
  break_streams(x);
  x.request_stop();
}

void Shard::start_granted(Exchange& x) noexcept {
  Connection* const connection = owner_of(x);
  SLUICE_ASSERT(connection != nullptr);  // whoever took it from its connection has changed the claim
  if (now() >= x.queue_deadline) {
    admission::LaneGroup::count_dead_grant(x, Claim::expired);
    release_permit(*x.lane, x.ticket);
    guarded(*connection, [&] { connection->deliver(x); });
    free(x);
  } else {
    admission::LaneGroup::count_start(x, now());
    guarded(*connection, [&] { connection->run_on_loop(); });
  }
  guarded(*connection, [&] { connection->pump(); });
}

void Shard::fire_stop_later(Exchange& exchange) noexcept {
  exchange.note_more();
  if (!exchange.base::ListNode<StopListTag>::linked()) stops_.push_back(exchange);
}

// User code runs in the callbacks: here, and not where the stop was decided.
void Shard::fire_stops() noexcept {
  base::List<Exchange, StopListTag> batch;
  while (Exchange* exchange = stops_.pop_front()) batch.push_back(*exchange);
  while (Exchange* exchange = batch.pop_front()) {
    look();
    guard_.enter(*exchange->route);
    exchange->fire_stop();
    guard_.leave();
  }
}

void Shard::run_calls() noexcept {
  base::List<Exchange, CallListTag> batch;
  while (Exchange* exchange = calls_.pop_front()) batch.push_back(*exchange);
  while (Exchange* exchange = batch.pop_front()) {
    look();
    guard_.enter(*exchange->route);
    exchange->run_calls();
    guard_.leave();
  }
}

// ---- watches

void Shard::settle(const std::shared_ptr<Watch>& watch, const Route* route) noexcept {
  const base::TimePoint at = watch->at();
  net::TimerNode& node = *watch;
  base::ListNode<WatchTag>& place = *watch;
  if (place.linked()) place.unlink();
  loop_->timers().cancel(node);
  if (at == base::never) {
    watch->held_.reset();
    return;
  }
  watch->route_ = route;
  watch->held_ = watch;
  if (at <= now()) {
    due_.push_back(*watch);
    return;
  }
  armed_.push_back(*watch);
  loop_->timers().arm(node, at);
}

// What is settled by a look waits for the next turn.
void Shard::look_at_due() noexcept {
  base::List<Watch, WatchTag> batch;
  while (Watch* const watch = due_.pop_front()) batch.push_back(*watch);
  while (Watch* const watch = batch.pop_front()) {
    const std::shared_ptr<Watch> held = std::move(watch->held_);
    look();
    guard_.enter(*watch->route_);
    watch->look_now(false);
    guard_.leave();
  }
}

// The loop is over.
void Shard::look_at_armed() noexcept {
  while (Watch* const watch = armed_.pop_front()) due_.push_back(*watch);
  while (Watch* const watch = due_.pop_front()) {
    const std::shared_ptr<Watch> held = std::move(watch->held_);
    loop_->timers().cancel(*watch);
    watch->look_now(true);
  }
}

Peer Shard::peer_of(const Exchange& exchange) {
  Connection* const connection = connections_.find(exchange.connection_slot, exchange.connection_generation);
  return connection == nullptr ? Peer{"unknown"} : peer_of(connection->fd);
}

// ---- any thread

void Shard::post(Exchange& exchange) noexcept {
  if (!loop_->post(&exchange)) adopt_orphan(exchange);
}

// The loop is over and its mailbox closed: the poster does what is left to do.
void Shard::adopt_orphan(Exchange& x) noexcept {
  std::shared_ptr<void> last;  // dies after the lock; this shard may die with it
  const std::shared_ptr<Core> core = core_;
  const Route& route = *x.route;
  Exchange::Calls calls;
  std::shared_ptr<Watch> watch;
  {
    const std::lock_guard lock{orphan_lock_};
    const auto arrival = x.arrive();
    if (arrival.news) {
      calls = x.take_calls();
      watch = x.take_watches();
    }
    if (ended_unstarted(x) && x.permit) release_permit(*x.lane, x.ticket);
    if (arrival.deliver) counts_.responses_dropped.add_owned();
    if (arrival.deliver && x.outflow() != nullptr) x.outflow()->break_off();
    if (arrival.free) {
      free(x);
      if (exchanges_.in_use() == 0) last = std::move(self_);
    }
  }
  Exchange::run(calls, *core, route);  // user code: not under the lock
  while (watch != nullptr) {
    const std::shared_ptr<Watch> looked_at = std::exchange(watch, std::move(watch->next_));
    looked_at->queued_.exchange(false, std::memory_order_acq_rel);
    if (looked_at->at() != base::never) looked_at->look_now(true);
  }
}

// ---- life cycle

void Shard::ask(Wish wish) noexcept {
  Wish seen = wish_.load(std::memory_order_relaxed);
  while (seen < wish && !wish_.compare_exchange_weak(seen, wish, std::memory_order_acq_rel)) {}
  if (control_.posted.exchange(true, std::memory_order_acq_rel)) return;
  if (!loop_->post(&control_)) return;  // the loop is over: it has nothing left to drain
}

void Shard::obey() noexcept {
  control_.posted.store(false, std::memory_order_release);
  const Wish wish = wish_.load(std::memory_order_acquire);
  if (wish >= Wish::drain && !draining_) begin_drain();
  if (!cut_) loop_->timers().arm_earlier(drain_timer_, core_->drain_deadline());
  if (wish >= Wish::cut && !cut_) cut_all();
}

void Shard::begin_drain() noexcept {
  draining_ = true;
  loop_->stop_accepting();
  stopped_accepting_.store(true, std::memory_order_release);
  connections_.for_each_in_use([](Connection& connection) { connection.begin_drain(); });
}

// ---- refusals

void Shard::hold_accepting(unsigned why, bool held) noexcept {
  const unsigned before = std::exchange(accept_holds_, held ? accept_holds_ | why : accept_holds_ & ~why);
  if (before == 0 && accept_holds_ != 0) loop_->pause_accepting();
  if (before != 0 && accept_holds_ == 0) loop_->resume_accepting();
}

void Shard::note_refusal() noexcept {
  if (!ladder_timer_.armed()) {
    window_ = {now(), core_->clock().thread_cpu(), counts_.responses.read(), counts_.refusals.read()};
    loop_->timers().arm(ladder_timer_, now() + admission::Ladder::window);
  }
  counts_.refusals.add_owned();
}

void Shard::ladder_window() noexcept {
  const std::uint64_t answers = counts_.responses.read();
  const std::uint64_t refusals = counts_.refusals.read();
  const base::Duration cpu = core_->clock().thread_cpu();
  const admission::Rung rung = ladder_.observe({.length = now() - window_.begin,
                                                .busy = cpu - window_.busy,
                                                .answers = answers - window_.answers,
                                                .refusals = refusals - window_.refusals});
  counts_.refusal_rung.set_owned(static_cast<std::uint64_t>(rung));
  counts_.refusal_cost_ns.set_owned(static_cast<std::uint64_t>(ladder_.cost().count()));
  // Every other window only: whoever watches over the server must still get in.
  const bool pause = rung == admission::Rung::pause_accept && (accept_holds_ & refusing) == 0 && !draining_;
  if (pause) counts_.accepts_paused.add_owned();
  hold_accepting(refusing, pause);
  const bool quiet = refusals == window_.refusals && (rung == admission::Rung::answer || ladder_.held()) &&
                     (accept_holds_ & refusing) == 0;
  window_ = {now(), cpu, answers, refusals};
  if (!quiet) loop_->timers().arm(ladder_timer_, now() + admission::Ladder::window);
}

base::Duration Shard::refusal_delay() noexcept {
  spread_ = spread_ * 6364136223846793005u + 1442695040888963407u;
  const auto range =
      static_cast<std::uint64_t>((admission::Ladder::delay_most - admission::Ladder::delay_least).count());
  return admission::Ladder::delay_least + base::Duration{static_cast<std::int64_t>((spread_ >> 33) % range)};
}

void Shard::timer_fired(net::TimerNode& node) noexcept {
  if (&node == &relief_.timer()) return;  // turn_ended() does the work
  if (&node == &ladder_timer_) {
    ladder_window();
    return;
  }
  if (&node != &drain_timer_) {  // user code hears of it when the turn ends
    Watch& watch = static_cast<Watch&>(node);
    static_cast<base::ListNode<WatchTag>&>(watch).unlink();
    due_.push_back(watch);
    return;
  }
  last_words_over_ = cut_;
  cut_all();
}

// Twice: what waits in a queue is answered and has a moment to leave, then nobody is waited for any more.
void Shard::cut_all() noexcept {
  const bool again = std::exchange(cut_, true);
  if (!again) loop_->timers().arm(drain_timer_, now() + last_words);
  connections_.for_each_in_use([&](Connection& connection) {
    if (base::planted(base::Bug::drain_ignores_queue) && connection.state() == Connection::State::handling) return;
    guarded(connection, [&] {
      if (again) connection.cut(true);
      else connection.drain_out();
    });
  });
}

void Shard::count_running(std::map<std::string, std::uint64_t>& by_route) {
  exchanges_.for_each_in_use([&](Exchange& x) {
    if (x.route != nullptr && x.pinned()) ++by_route[std::string{to_string(x.route->method)} + " " + x.route->pattern];
  });
}

std::size_t Shard::undelivered() noexcept {
  std::size_t count = 0;
  connections_.for_each_in_use([&](Connection& connection) {
    if (connection.state() != Connection::State::handling) return;
    const Claim claim = connection.exchange()->claim.load(std::memory_order_acquire);
    count += claim == Claim::responded || claim == Claim::raised || claim == Claim::expired || claim == Claim::shed;
  });
  return count;
}

void Shard::retire(std::shared_ptr<void> self) noexcept {
  {
    const std::lock_guard lock{orphan_lock_};
    if (exchanges_.in_use() != 0) self_ = std::move(self);
  }
  net::MailNode* node = loop_->close_mailbox();
  while (node != nullptr) {
    net::MailNode* const next = node->next;
    if (node != &control_) adopt_orphan(static_cast<Exchange&>(*node));
    node = next;
  }
  look_at_armed();
}

}  // namespace sluice::detail
