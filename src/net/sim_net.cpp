#include "net/sim_net.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.hpp"
#include "net/sim_io.hpp"

namespace sluice::net {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

template <class T, std::size_t N>
T pick(SimRandom& random, const std::array<T, N>& choices) noexcept {
  return choices[random.below(N)];
}

SimOptions draw(SimRandom& random) noexcept {
  SimOptions options;
  options.delay_max =
      pick<base::Duration>(random, std::array<base::Duration, 5>{microseconds{0}, microseconds{50}, milliseconds{1},
                                                                 milliseconds{10}, milliseconds{80}});
  options.segment_bytes_max = pick(random, std::array<std::size_t, 6>{3, 40, 400, 1460, 16'384, 65'536});
  options.send_buffer_bytes = pick(random, std::array<std::size_t, 4>{500, 4096, 65'536, 1'000'000});
  options.receive_buffer_bytes = pick(random, std::array<std::size_t, 3>{2000, 65'536, 1'000'000});
  return options;
}

}  // namespace

SimNet::SimNet(std::uint64_t seed)
    : seed_{seed},
      random_{seed},
      options_{draw(random_)},
      now_{seconds{1000} + microseconds{random_.below(1'000'000)}} {}

SimNet::~SimNet() = default;

std::time_t SimNet::wall() const noexcept {
  return 1'700'000'000 + std::chrono::duration_cast<seconds>(now_.time_since_epoch()).count();
}

SimClient& SimNet::client() {
  clients_.push_back(std::make_unique<SimClient>(*this, static_cast<std::uint32_t>(clients_.size())));
  return *clients_.back();
}

void SimNet::at(base::TimePoint time, std::function<void()> action) {
  events_.push(Event{std::max(time, now_), order_++, std::move(action)});
}

void SimNet::advance_to(base::TimePoint time) {
  SLUICE_ASSERT(time >= now_);
  while (!events_.empty() && events_.top().at <= time) {
    const auto action = events_.top().action;
    now_ = std::max(now_, events_.top().at);
    events_.pop();
    action();
  }
  now_ = time;
}

base::Duration SimNet::delay() {
  return base::Duration{
      static_cast<base::Duration::rep>(random_.below(static_cast<std::uint64_t>(options_.delay_max.count()) + 1))};
}

SimNet::Verdict SimNet::judge(SimOp op) {
  const std::uint64_t number = ++operations_[static_cast<std::size_t>(op)];
  for (const SimScriptedFault& fault : scripted_) {
    if (fault.op == op && fault.nth == number) return {true, fault.kind};
  }
  if (fault_chance_ == 0 || !random_.chance(fault_chance_)) return {};
  if (op == SimOp::accept) return {true, random_.chance(500'000) ? SimFault::again : SimFault::no_descriptors};
  static constexpr std::array<SimFault, 4> kinds{SimFault::partial, SimFault::again, SimFault::stall, SimFault::reset};
  return {true, kinds[random_.below(fault_resets_ ? 4 : 3)]};
}

void SimNet::count(SimOp op, SimFault kind, const SimConnection* connection) noexcept {
  ++applied_[static_cast<std::size_t>(op)][static_cast<std::size_t>(kind)];
  if (!on_fault) return;
  SimFaultMet met{.op = op, .kind = kind};
  if (connection != nullptr) {
    met.io = static_cast<std::size_t>(std::ranges::find(ios_, connection->io) - ios_.begin());
    met.slot = connection->slot;
    met.generation = connection->generation;
  }
  on_fault(met);
}

SimConnection& SimNet::connection(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd - connection_fd);
  SLUICE_ASSERT(index < connections_.size());
  return *connections_[index];
}

SimConnection& SimNet::make_connection() {
  connections_.push_back(std::make_unique<SimConnection>());
  SimConnection& connection = *connections_.back();
  connection.fd = connection_fd + static_cast<int>(connections_.size() - 1);
  return connection;
}

void SimNet::connect(SimClient& client, unsigned port) {
  SLUICE_ASSERT(client.connection_ == nullptr);
  SimConnection& connection = make_connection();
  connection.client = &client;
  client.connection_ = &connection;
  connection.last_inbound = now_ + delay();
  at(connection.last_inbound, [this, &connection, port] {
    if (!offer(connection, port)) reset_to_client(connection, true);
  });
}

SimConnection& SimNet::connect(SimIo& io, unsigned port) {
  SimConnection& ours = make_connection();
  SimConnection& theirs = make_connection();
  ours.io = &io;
  ours.peer = &theirs;
  theirs.peer = &ours;
  // Nothing overtakes the connection itself, in either direction.
  ours.last_outbound = now_ + delay();
  at(ours.last_outbound, [this, &ours, &theirs, port] {
    const bool offered = offer(theirs, port);
    theirs.last_outbound = now_ + delay();
    at(theirs.last_outbound, [this, &ours, offered] { answer(ours, offered); });
  });
  return ours;
}

// Puts it into the backlog of a loop that listens. False: nobody does.
bool SimNet::offer(SimConnection& connection, unsigned port) {
  std::vector<SimIo*> ready;
  for (SimIo* io : ios_) {
    if (std::ranges::find(io->listeners_, listener(port)) != io->listeners_.end()) ready.push_back(io);
  }
  if (ready.empty()) {
    connection.closed = true;
    return false;
  }
  connection.io = ready[random_.below(ready.size())];
  connection.io->backlog_.push_back(&connection);
  connection.io->queue_accept();
  return true;
}

void SimNet::answer(SimConnection& ours, bool offered) {
  if (!offered) {
    ours.error = ECONNREFUSED;
    break_off(ours);
  } else if (ours.added && !ours.closed) {
    ours.io->queue(SimIo::Kind::connected, ours);
  }
}

void SimNet::to_server(SimConnection& connection, std::string bytes, bool fin) {
  connection.last_inbound = std::max(connection.last_inbound, now_ + delay());
  at(connection.last_inbound, [this, &connection, bytes = std::move(bytes), fin]() mutable {
    if (connection.broken) return;
    if (connection.closed) {
      // A kernel answers bytes for a closed socket with a reset.
      if (!bytes.empty()) reset_to_client(connection, random_.chance(500'000));
      return;
    }
    connection.inbox.push_back({std::move(bytes), fin});
    tell_server(connection);
  });
}

void SimNet::to_client(SimConnection& connection, std::string bytes, bool fin) {
  connection.last_outbound = std::max(connection.last_outbound, now_ + delay());
  at(connection.last_outbound, [this, &connection, bytes = std::move(bytes), fin]() mutable {
    if (connection.cut) return;
    connection.outbox.push_back({std::move(bytes), fin});
    if (connection.client != nullptr) {
      connection.client->arrive();
    } else {
      pass_on(connection);
    }
  });
}

void SimNet::reset_to_server(SimConnection& connection) {
  connection.last_inbound = std::max(connection.last_inbound, now_ + delay());
  at(connection.last_inbound, [this, &connection] { break_off(connection); });
}

void SimNet::reset_to_client(SimConnection& connection, bool drops_data) {
  if (connection.cut) return;
  if (drops_data) connection.cut = true;
  connection.last_outbound = std::max(connection.last_outbound, now_ + delay());
  at(connection.last_outbound, [this, &connection] {
    connection.cut = true;
    if (connection.client != nullptr) {
      connection.client->broken();
    } else {
      connection.outbox.clear();
      break_off(*connection.peer);
    }
  });
}

// A reset has come to the loop that has the connection.
void SimNet::break_off(SimConnection& connection) {
  connection.broken = true;
  connection.cut = true;
  if (random_.chance(500'000)) connection.inbox.clear();
  tell_server(connection);
}

// Hands what has arrived to the loop at the other end, as long as that has room; tell_room goes on. So an outbox never
// holds more than a send buffer, an inbox no more than a receive buffer and one segment.
void SimNet::pass_on(SimConnection& from) {
  SimConnection& to = *from.peer;
  while (!from.outbox.empty()) {
    const bool gone = to.closed || to.broken;
    if (!gone && to.inbound_bytes >= options_.receive_buffer_bytes) break;
    SimConnection::Arrival first = std::move(from.outbox.front());
    from.outbox.pop_front();
    const std::size_t count = first.bytes.size();
    from.outbound_bytes -= count;
    if (from.blocked) tell_writable(from, delay());
    if (!gone) {
      to.inbound_bytes += count;
      to.inbox.push_back(std::move(first));
    } else if (to.closed && count > 0) {
      reset_to_client(to, random_.chance(500'000));  // as to_server
    }
  }
  tell_server(to);
}

// The loop has read: whoever sends to it hears of the room.
void SimNet::tell_room(SimConnection& connection) {
  if (connection.client != nullptr) {
    connection.client->pump();
  } else {
    pass_on(*connection.peer);
  }
}

void SimNet::tell_server(SimConnection& connection) {
  if (!connection.added || connection.closed || connection.told) return;
  const bool has_news = connection.broken ? !connection.broken_told : !connection.inbox.empty();
  const bool wanted = !connection.paused || connection.under_way > 0 || connection.broken;
  if (!has_news || !wanted) return;
  connection.told = true;
  connection.io->queue(SimIo::Kind::input, connection);
}

void SimNet::tell_writable(SimConnection& connection, base::Duration after) {
  at(now_ + after, [&connection] {
    if (!connection.blocked || !connection.added || connection.closed) return;
    connection.blocked = false;
    connection.io->queue(SimIo::Kind::writable, connection);
  });
}

// ---- SimClient ----

void SimClient::connect(unsigned port) { net_.connect(*this, port); }

void SimClient::send(std::string_view bytes) {
  if (want_fin_ || was_reset_ || saw_reset_) return;
  SLUICE_ASSERT(connection_ != nullptr);
  outgoing_ += bytes;
  pump();
}

void SimClient::half_close() {
  if (was_reset_ || saw_reset_) return;
  want_fin_ = true;
  pump();
}

void SimClient::close() {
  half_close();
  closed_ = true;
  if (connection_ != nullptr && !connection_->outbox.empty()) reset();
}

void SimClient::reset() {
  if (was_reset_ || saw_reset_ || connection_ == nullptr) return;
  was_reset_ = closed_ = true;
  outgoing_.clear();
  left_ = 0;
  connection_->outbox.clear();
  net_.reset_to_server(*connection_);
}

void SimClient::set_window(std::size_t bytes) {
  window_ = bytes;
  if (connection_ != nullptr) net_.at(net_.now(), [this] { arrive(); });
}

void SimClient::pump() {
  while (push_segment()) {}
  if (want_fin_ && !sent_fin_ && unsent() == 0 && !was_reset_) {
    sent_fin_ = true;
    net_.to_server(*connection_, {}, true);
  }
}

bool SimClient::push_segment() {
  const std::size_t room_max = net_.options_.receive_buffer_bytes;
  if (unsent() == 0 || connection_->inbound_bytes >= room_max) return false;
  const std::size_t room = room_max - connection_->inbound_bytes;
  std::size_t count = std::min({unsent(), room, net_.options_.segment_bytes_max});
  count = net_.random_.between(1, count);
  connection_->inbound_bytes += count;
  net_.to_server(*connection_, outgoing_.substr(left_, count), false);
  left_ += count;
  if (left_ == outgoing_.size() || left_ > 1'000'000) outgoing_.erase(0, std::exchange(left_, 0));
  return true;
}

void SimClient::arrive() {
  while (!connection_->outbox.empty()) {
    SimConnection::Arrival& first = connection_->outbox.front();
    if (was_reset_) return;
    if (first.fin) {
      connection_->outbox.pop_front();
      saw_fin_ = true;
      if (on_over && !closed_) on_over();
      return;
    }
    if (closed_) {
      reset();
      return;
    }
    if (window_ == 0) return;
    const std::size_t count = std::min(window_, first.bytes.size());
    const std::string piece = first.bytes.substr(0, count);
    if (count == first.bytes.size()) {
      connection_->outbox.pop_front();
    } else {
      first.bytes.erase(0, count);
    }
    if (window_ != unlimited) window_ -= count;
    connection_->outbound_bytes -= std::min(connection_->outbound_bytes, count);
    if (connection_->blocked) net_.tell_writable(*connection_, net_.delay());
    received_ += piece;
    if (on_data) on_data(piece);
  }
}

void SimClient::broken() {
  if (was_reset_ || saw_reset_) return;
  connection_->outbox.clear();
  outgoing_.clear();
  left_ = 0;
  const bool known = over();
  saw_reset_ = true;
  if (on_over && !known) on_over();
}

}  // namespace sluice::net
