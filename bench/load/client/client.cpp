#include "load/client/client.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/assert.hpp"

namespace sluice::bench {
namespace {

using std::chrono::milliseconds;

constexpr base::Duration trickle_interval = milliseconds{20};
constexpr base::Duration reconnect_first = milliseconds{10}, reconnect_last = std::chrono::seconds{1};
constexpr int slow_receive_buffer_bytes = 4096;
constexpr unsigned backoff_doublings_max = 10;

Connection& of(net::Stream& stream) noexcept { return static_cast<Connection&>(stream); }

Outcome outcome_of(std::uint16_t status) noexcept {
  if (status >= 200 && status < 300) return Outcome::ok;
  switch (status) {
    case 429: return Outcome::limited;
    case 503: return Outcome::shed;
    case 504: return Outcome::timed_out;
    default: return Outcome::other;
  }
}

/// What a client that retries tries again.
bool may_be_retried(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::limited:
    case Outcome::shed:
    case Outcome::timed_out:
    case Outcome::broken:
    case Outcome::gave_up: return true;
    case Outcome::ok:
    case Outcome::other:
    case Outcome::connect_error:
    case Outcome::unanswered: break;
  }
  return false;
}

base::Duration time_for(std::size_t bytes, std::uint64_t bytes_per_s) noexcept {
  const std::chrono::duration<double> time{static_cast<double>(bytes) / static_cast<double>(bytes_per_s)};
  return std::chrono::duration_cast<base::Duration>(time);
}

}  // namespace

Client::Client(const Settings& settings, Meeting& meeting, Part part, const base::Clock& clock)
    : settings_{settings},
      meeting_{meeting},
      part_{part},
      clock_{clock},
      connect_by_{clock.now() + settings.load->connect_timeout},
      next_source_{part.number},
      turn_end_{clock.now()} {
  record_.clients.resize(settings.load->clients.size());
  for (std::size_t place = 0; place < settings.load->clients.size(); ++place) {
    groups_.push_back(std::make_unique<Group>(settings, place, part));
    groups_.back()->record = &record_.clients[place];
  }
}

// ---- connections ----

bool Client::may_connect(const Group& group, base::TimePoint now) const noexcept {
  if (group.live >= group.connections_max || connecting_ >= connecting_max || group.reconnect_at > now) return false;
  if (phase_ == Phase::loading) return !group.on_demand() || !group.open_loop();
  // Before the start each is tried once: what fails then is told, not repeated.
  return phase_ == Phase::connecting && !group.on_demand() && group.attempted < group.connections_max;
}

void Client::connect_more(base::TimePoint now) noexcept {
  for (auto& group : groups_) {
    while (may_connect(*group, now)) {
      ++group->attempted;
      Connection* const connection = open_connection(*group);
      if (!group->on_demand()) continue;
      if (connection != nullptr) offer(*connection, now);
      else lose_request(*group, now);
    }
  }
}

/// Null if that failed at once; connect_failed has been told then.
Connection* Client::open_connection(Group& group) noexcept {
  Connection& connection = *slab_.take();
  const auto capacity = static_cast<std::uint16_t>(group.slow_writer() ? 1 : group.clients.behaviour.pipeline);
  if (connection.capacity != capacity) connection.flights = std::make_unique<Flight[]>(capacity);
  connection.capacity = capacity;
  connection.group = &group;
  connection.first = connection.count = connection.written = 0;
  connection.last = false;
  connection.reader.reset();
  connection.requests = 0;
  connection.begun = connection.free_since = clock_.now();
  connection.resume_at = connection.piece_at = base::never;
  connection.trickle.clear();
  connection.trickled = 0;

  net::ConnectOptions options;
  if (!settings_.sources.empty()) {
    options.from = &settings_.sources[next_source_ % settings_.sources.size()];
    next_source_ += part_.count;
  }
  if (group.clients.behaviour.read_bytes_per_s > 0) options.receive_buffer_bytes = slow_receive_buffer_bytes;
  if (const int error = loop_->connect(connection, settings_.target, options); error != 0) {
    slab_.give(connection);
    connect_failed(group, error);
    return nullptr;
  }
  ++group.live;
  ++connecting_;
  loop_->arm(connection, connection.begun + settings_.load->connect_timeout);
  return &connection;
}

void Client::connected(net::Stream& stream) noexcept {
  Connection& connection = of(stream);
  Group& group = *connection.group;
  const base::TimePoint now = clock_.now();
  --connecting_;
  loop_->disarm(stream);
  ++group.record->connects;
  group.record->connect.record(now - connection.begun);
  group.reconnect_pause = {};
  meeting_.connected.fetch_add(1, std::memory_order_relaxed);
  connection.free_since = now;
  if (!group.background) unconnected_ -= connection.count;
  for (unsigned index = 0; index < connection.count; ++index) connection.flight(index).ready = now;
  if (connection.piece_at != base::never) send_piece(connection);
  if (phase_ == Phase::loading && connection.count == 0) offer(connection, now);
}

/// Counts it; and where connections are kept alive, somebody may have wanted to send on this one.
void Client::connect_failed(Group& group, int error) noexcept {
  int none = 0;
  meeting_.connect_error.compare_exchange_strong(none, error, std::memory_order_relaxed);
  ++group.record->connect_failures;
  const base::TimePoint now = clock_.now();
  if (group.on_demand() && group.open_loop()) return;
  group.reconnect_pause = std::clamp(2 * group.reconnect_pause, reconnect_first, reconnect_last);
  group.reconnect_at = now + group.reconnect_pause;
  if (phase_ != Phase::loading || group.on_demand()) return;
  if (group.open_loop() && (!group.idle.empty() || group.next_due() > now)) return;
  lose_request(group, now);
}

/// The connection that the next request would have had could not be made.
void Client::lose_request(Group& group, base::TimePoint now) noexcept {
  Flight flight = group.open_loop() ? group.take() : group.make(now);
  count_planned(group, flight);
  finish(group, flight, Outcome::connect_error, now);
}

void Client::stop_connecting(Connection& connection, int error) noexcept {
  --connecting_;
  connect_failed(*connection.group, error);
  lose_flights(connection, Outcome::connect_error, clock_.now());
  close(connection);
}

void Client::failed(net::Stream& stream, int error) noexcept {
  Connection& connection = of(stream);
  if (connection.connecting) {
    stop_connecting(connection, error);
    return;
  }
  lose_flights(connection, Outcome::broken, clock_.now());
  close(connection);
}

void Client::input_ended(net::Stream& stream) noexcept {
  Connection& connection = of(stream);
  const base::TimePoint now = clock_.now();
  if (connection.written > 0 && connection.reader.end()) {
    answered(connection, now);
  } else {
    lose_flights(connection, Outcome::broken, now);
  }
  leave(connection);
}

/// Closes a connection on which nothing more is sent. What had no answer yet goes to another one, as every client has
/// to do it when the server ends the connection behind an answer (RFC 9112 9.6).
void Client::leave(Connection& connection) noexcept {
  while (connection.count > 0) send_elsewhere(*connection.group, pop_flight(connection));
  close(connection);
}

void Client::close(Connection& connection) noexcept {
  connection.group->unlist(connection);
  loop_->close(connection);
}

void Client::reset(Connection& connection) noexcept {
  connection.group->unlist(connection);
  loop_->reset(connection);
}

void Client::closed(net::Stream& stream) noexcept {
  Connection& connection = of(stream);
  Group& group = *connection.group;
  SLUICE_ASSERT(connection.count == 0 && !connection.listed());
  if (group.live-- == group.connections_max) group.slot_free_at = clock_.now();
  slab_.give(connection);
}

void Client::expired(net::Stream& stream) noexcept {
  Connection& connection = of(stream);
  const Duration patience = connection.group->course.give_up_after;
  const base::TimePoint now = loop_->now();
  if (connection.connecting) {
    const base::TimePoint by = connection.begun + settings_.load->connect_timeout;
    if (now >= by) stop_connecting(connection, ETIMEDOUT);
    else loop_->arm(connection, by);
    return;
  }
  if (connection.resume_at <= now) {
    connection.resume_at = base::never;
    loop_->resume(connection);
  }
  if (connection.piece_at <= now) send_piece(connection);
  base::TimePoint next = std::min(connection.resume_at, connection.piece_at);
  if (patience > Duration{} && connection.written > 0) {
    const base::TimePoint patience_end = connection.flight(0).sent + patience;
    if (patience_end <= now) {
      lose_flights(connection, Outcome::gave_up, clock_.now());
      if (connection.group->clients.behaviour.give_up_resets) reset(connection);
      else close(connection);
      return;
    }
    next = std::min(next, patience_end);
  }
  if (next != base::never) loop_->arm(connection, next);
}

// ---- requests ----

/// Sends what is due and can be sent.
void Client::serve(Group& group, base::TimePoint now) noexcept {
  while (group.next_due() <= now) {
    if (group.gives_up_unsent(now)) {
      Flight flight = group.take();
      count_planned(group, flight);
      finish(group, flight, Outcome::gave_up, now);
      continue;
    }
    Connection* connection = group.idle.empty() ? nullptr : &group.idle.front();
    const bool on_demand = connection == nullptr && group.open_loop() && group.on_demand();
    if (connection == nullptr && (!on_demand || group.live >= group.connections_max || connecting_ >= connecting_max)) {
      return;
    }
    Flight flight = group.take();
    count_planned(group, flight);
    if (on_demand) {
      const base::TimePoint possible = std::max(flight.due, group.slot_free_at);
      flight.waited = possible - flight.due;
      flight.lag = std::max(base::Duration{}, now - possible);
      connection = open_connection(group);
      if (connection == nullptr) {
        finish(group, flight, Outcome::connect_error, clock_.now());
        continue;
      }
    }
    send(*connection, flight);
  }
}

/// Closed loop: a connection that waited for a retry goes on when another one has taken that.
void Client::release_idle(Group& group, base::TimePoint now) noexcept {
  while (group.idle_count > group.again.size()) {
    Connection& connection = group.idle.front();
    group.unlist(connection);
    offer(connection, now);
  }
}

/// The connection has room for requests: it sends one at once, or waits for one.
void Client::offer(Connection& connection, base::TimePoint now) noexcept {
  Group& group = *connection.group;
  if (connection.closing || phase_ != Phase::loading) return;
  if (group.open_loop()) {
    if (connection.has_room() && !connection.listed()) group.list_idle(connection);
    serve(group, now);
    return;
  }
  while (connection.has_room()) {
    if (group.next_due() <= now) {
      send(connection, group.take());
    } else if (group.idle_count < group.again.size() && !connection.listed()) {
      group.list_idle(connection);  // its client waits before it tries again
      return;
    } else if (connection.listed()) {
      return;
    } else {
      Flight flight = group.make(now);
      count_planned(group, flight);
      send(connection, flight);
    }
  }
}

void Client::send(Connection& connection, Flight flight) noexcept {
  Group& group = *connection.group;
  const std::uint64_t limit = group.clients.behaviour.requests_per_connection;
  connection.last = limit > 0 && connection.requests + connection.count + 1 >= limit;
  flight.ready = connection.free_since;
  connection.push(flight);
  if (!group.background) {
    ++held_;
    unconnected_ += connection.connecting;
  }
  group.unlist(connection);
  if (group.open_loop() && connection.has_room() && !connection.connecting) group.list_idle(connection);

  const RequestText& request = group.mix.text(flight.spec);
  std::string_view bytes;
  if (request.fixed()) {
    bytes = request.text(connection.last);
  } else {
    text_.clear();
    request.render(text_, flight.number, group.random.next() >> 32, connection.last);
    bytes = text_;
  }
  if (group.slow_writer()) {
    connection.trickle = bytes;
    connection.trickled = 0;
    connection.piece_at = loop_->now();
    if (!connection.connecting) send_piece(connection);
  } else {
    connection.out.append(loop_->blocks(), bytes);
    loop_->touch(connection);
  }
}

/// The next bytes of a slow writer.
void Client::send_piece(Connection& connection) noexcept {
  const std::uint64_t rate = connection.group->clients.behaviour.write_bytes_per_s;
  const auto per_interval = static_cast<std::size_t>(rate * static_cast<std::uint64_t>(trickle_interval.count()) /
                                                     static_cast<std::uint64_t>(std::nano::den));
  const std::string_view left = std::string_view{connection.trickle}.substr(connection.trickled);
  const std::string_view piece = left.substr(0, std::max<std::size_t>(1, per_interval));
  connection.out.append(loop_->blocks(), piece);
  connection.trickled += piece.size();
  loop_->touch(connection);
  connection.piece_at = base::never;
  if (piece.size() == left.size()) return;
  connection.piece_at = loop_->now() + std::max(trickle_interval, time_for(piece.size(), rate));
  loop_->arm(connection, connection.piece_at);
}

void Client::writing(net::Stream& stream) noexcept {
  Connection& connection = of(stream);
  if (connection.written == connection.count) return;
  Group& group = *connection.group;
  const base::TimePoint now = clock_.now();
  const bool open_loop = group.open_loop();
  for (; connection.written < connection.count; ++connection.written) {
    Flight& flight = connection.flight(connection.written);
    const bool first = std::exchange(flight.sent, now) == base::TimePoint{};
    if (!group.background && outstanding_++ == 0) waiting_since_ = now;
    if (!measured(flight.due)) continue;
    ++group.record->sent;
    if (!first) ++group.record->retried;
    if (!group.background) {
      if (WindowRecord* const window = window_at(now)) ++window->sent;
    }
    if (!open_loop || !first) continue;
    const base::TimePoint free = std::max(flight.due, flight.ready);
    group.record->connection_wait.record(group.on_demand() ? flight.waited : free - flight.due);
    group.record->send_lag.record(now - free + flight.lag);
  }
  if (const Duration patience = group.course.give_up_after; patience > Duration{}) {
    loop_->arm(connection, now + patience);
  }
}

void Client::wrote(net::Stream& stream, std::size_t count) noexcept {
  if (measured(loop_->now())) of(stream).group->record->bytes_sent += count;
}

void Client::input(net::Stream& stream, std::span<char> bytes) noexcept {
  Connection& connection = of(stream);
  Group& group = *connection.group;
  const base::TimePoint now = clock_.now();
  if (measured(now)) group.record->bytes_received += bytes.size();
  if (const std::uint64_t rate = group.clients.behaviour.read_bytes_per_s; rate > 0) {
    connection.resume_at = now + time_for(bytes.size(), rate);
    loop_->pause(connection);
    loop_->arm(connection, connection.resume_at);
  }
  read_answers(connection, {bytes.data(), bytes.size()}, now);
  if (!connection.closing) offer(connection, now);
}

void Client::read_answers(Connection& connection, std::string_view in, base::TimePoint now) noexcept {
  using Kind = http::ResponseReader::Step::Kind;
  while (!connection.closing) {
    if (connection.written == 0) {
      if (in.empty()) return;
      lose_flights(connection, Outcome::broken, now);  // an answer that nobody asked for
      close(connection);
      return;
    }
    const auto step = connection.reader.next(parser_, in, connection.flight(0).to_head);
    in.remove_prefix(step.consumed);
    if (step.kind == Kind::need_more) return;
    if (step.kind == Kind::done) {
      answered(connection, now);
    } else if (step.kind == Kind::rejected) {
      if (!spoke_http_) meeting_.not_http.store(true, std::memory_order_relaxed);
      lose_flights(connection, Outcome::broken, now);
      close(connection);
    }
  }
}

/// The oldest request of the connection has its complete answer.
void Client::answered(Connection& connection, base::TimePoint now) noexcept {
  Group& group = *connection.group;
  const http::AnswerHead& head = connection.reader.head();
  spoke_http_ = true;
  ++connection.requests;
  // An answer before the request was written to its end: the rest can't be left out, and nobody wants it any more.
  const bool cut_short = connection.piece_at != base::never;
  const bool ends = head.close || cut_short || (connection.last && connection.count == 1);
  const Outcome outcome = outcome_of(head.status);
  if (!group.background) note_answer(outcome, now);
  if (connection.count == connection.capacity) connection.free_since = now;
  finish(group, pop_flight(connection), outcome, now);
  if (ends) leave(connection);
}

Flight Client::pop_flight(Connection& connection) noexcept {
  if (!connection.group->background) {
    --held_;
    unconnected_ -= connection.connecting;
    if (connection.written > 0) --outstanding_;
  }
  return connection.pop();
}

/// The connection is over. What was sent on it ends so; what was not gets another connection.
void Client::lose_flights(Connection& connection, Outcome outcome, base::TimePoint now) noexcept {
  while (connection.count > 0) {
    const bool lost = connection.written > 0 || outcome == Outcome::connect_error;
    const Flight flight = pop_flight(connection);
    if (lost) {
      finish(*connection.group, flight, outcome, now);
    } else {
      send_elsewhere(*connection.group, flight);
    }
  }
}

void Client::send_elsewhere(Group& group, Flight flight) noexcept {
  const bool waits = phase_ == Phase::loading && group.try_again({.at = flight.due, .flight = flight});
  if (!waits) record(group, flight, Outcome::unanswered, clock_.now());
}

// ---- what became of them ----

void Client::count_planned(Group& group, Flight& flight) noexcept {
  if (flight.counted) return;
  flight.counted = true;
  if (!measured(flight.due)) return;
  ++group.record->planned;
  if (group.background) return;
  if (WindowRecord* const window = window_at(flight.due)) ++window->planned;
}

/// One try is over. Tries again if the clients do that, else it is the request's outcome.
void Client::finish(Group& group, Flight flight, Outcome outcome, base::TimePoint now) noexcept {
  const Behaviour& behaviour = group.clients.behaviour;
  if (flight.tries < group.course.retries && may_be_retried(outcome) && phase_ == Phase::loading) {
    const auto pause = behaviour.retry_backoff * (1U << std::min<unsigned>(flight.tries, backoff_doublings_max));
    const double extra = static_cast<double>(group.random.next() >> 11) * 0x1p-53;
    Again again{.at = now + pause + std::chrono::duration_cast<Duration>(pause * extra), .flight = flight};
    again.flight.tries = static_cast<std::uint16_t>(flight.tries + 1);
    again.last = outcome;
    again.last_at = now;
    if (group.try_again(again)) return;
  }
  record(group, flight, outcome, now);
}

void Client::record(Group& group, const Flight& flight, Outcome outcome, base::TimePoint now) noexcept {
  if (!measured(flight.due)) return;
  ClassRecord& result = group.record->classes[static_cast<std::size_t>(outcome)];
  ++result.count;
  result.latency.record(now - flight.due);
  if (flight.sent != base::TimePoint{}) result.service.record(now - flight.sent);
  else ++group.record->unsent;
  if (group.background || outcome == Outcome::unanswered) return;
  if (WindowRecord* const window = window_at(now)) {
    ++window->outcomes[static_cast<std::size_t>(outcome)];
    if (outcome == Outcome::ok) window->latency.record(now - flight.due);
  }
}

void Client::note_answer(Outcome outcome, base::TimePoint now) noexcept {
  note_silence(now);
  last_answer_ = now;
  switch (outcome) {
    case Outcome::ok: ++ok_; break;
    case Outcome::shed:
    case Outcome::limited: ++refused_; break;
    default: ++failed_; break;
  }
  if (!measured(now)) return;
  ++record_.answers;
  if (outcome == Outcome::ok) ++record_.good_answers;
}

/// Requests are waiting, and no answer came until now. Behind the end nothing new is asked, so that says nothing.
void Client::note_silence(base::TimePoint now) noexcept {
  const Span silence{std::max({last_answer_, waiting_since_, measure_from_}), std::min(now, end_)};
  if (silence.length() >= silence_min) record_.silences.add(silence);
}

}  // namespace sluice::bench
