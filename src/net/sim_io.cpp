#include "net/sim_io.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.hpp"

namespace sluice::net {
namespace {

using std::chrono::milliseconds;

constexpr unsigned under_way_max = 32;            // arrivals that are still delivered after a pause
constexpr std::size_t read_bytes_max = 65'536;
constexpr std::size_t later_read_bytes_max = 4096;  // one provided buffer

}  // namespace

SimIo::SimIo(SimNet& net) : net_{net} { net_.ios_.push_back(this); }

SimIo::~SimIo() {
  std::erase(net_.ios_, this);
  for (auto& connection : net_.connections_) {
    if (connection->io == this) connection->added = false;
  }
}

int SimIo::listen(int fd, bool) noexcept {
  listeners_.push_back(fd);
  return 0;
}

void SimIo::unlisten() noexcept {
  listeners_.clear();
  accepting_ = false;
  for (SimConnection* connection : backlog_) close_connection(*connection, true);
  backlog_.clear();
}

int SimIo::resume_accept() noexcept {
  accepting_ = true;
  if (!backlog_.empty()) queue_accept();
  return 0;
}

void SimIo::queue_accept() noexcept {
  if (accept_queued_ || !accepting_) return;
  accept_queued_ = true;
  events_.push_back({Kind::accept, nullptr, 0, 0});
}

bool SimIo::take_from_backlog(int& error) noexcept {
  const auto verdict = net_.judge(SimOp::accept);
  if (verdict.faulty) {
    net_.count(SimOp::accept, verdict.kind);
    error = verdict.kind == SimFault::no_descriptors ? EMFILE : 0;
    return false;
  }
  backlog_.pop_front();
  return true;
}

void SimIo::refuse(int fd) noexcept { close_connection(net_.connection(fd), false); }

int SimIo::add(Stream& stream) noexcept {
  SimConnection& connection = net_.connection(stream.fd);
  SLUICE_ASSERT(!connection.added && !connection.closed);
  connection.added = true;
  connection.slot = stream.slot;
  connection.generation = stream.generation;
  connection.paused = stream.reading_paused != 0;
  stream.registered = 1;
  if (net_.options_.confirm_later) {
    stream.armed = 1;
    ++stream.in_flight;
  }
  net_.tell_server(connection);
  return 0;
}

int SimIo::connect(Stream& stream, const Address& to, const ConnectOptions&) noexcept {
  stream.fd = net_.connect(*this, to.port()).fd;
  stream.connecting = 1;
  stream.write_blocked = 1;
  return add(stream);
}

void SimIo::disarm(Stream& stream) noexcept {
  if (!stream.armed) return;
  stream.armed = 0;
  --stream.in_flight;
}

void SimIo::pause(Stream& stream) noexcept {
  SimConnection& connection = net_.connection(stream.fd);
  connection.paused = true;
  if (!net_.options_.confirm_later) return;
  const auto arrived = static_cast<unsigned>(std::min<std::size_t>(connection.inbox.size(), under_way_max));
  connection.under_way = static_cast<unsigned>(net_.random_.below(arrived + 1));
}

void SimIo::resume(Stream& stream) noexcept {
  SimConnection& connection = net_.connection(stream.fd);
  connection.paused = false;
  connection.under_way = 0;
  net_.tell_server(connection);
}

void SimIo::queue(Kind kind, SimConnection& connection) noexcept {
  events_.push_back({kind, &connection, connection.slot, connection.generation});
}

SimIo::Read SimIo::next_read(SimConnection& connection) noexcept {
  if (connection.broken && (connection.inbox.empty() || connection.paused)) {
    connection.broken_told = true;
    return {.what = Read::broken};
  }
  if (connection.inbox.empty() || (connection.paused && connection.under_way == 0)) return {};
  if (connection.under_way > 0) --connection.under_way;
  if (connection.inbox.front().fin) {
    connection.inbox.pop_front();
    return {.what = Read::fin};
  }
  const auto verdict = net_.judge(SimOp::read);
  if (verdict.faulty) {
    if (verdict.kind == SimFault::again || verdict.kind == SimFault::stall) {
      net_.count(SimOp::read, verdict.kind, &connection);
      const bool stalls = verdict.kind == SimFault::stall;
      const auto later = stalls ? milliseconds{net_.random_.between(100, 15'000)} : milliseconds{1};
      connection.told = true;  // holds back later arrivals too
      net_.at(net_.now() + later, [this, &connection] {
        connection.told = false;
        net_.tell_server(connection);
      });
      return {};
    }
    if (verdict.kind == SimFault::reset) {
      net_.count(SimOp::read, verdict.kind, &connection);
      connection.broken = connection.broken_told = true;
      net_.reset_to_client(connection, true);
      return {.what = Read::broken};
    }
  }
  return {.what = Read::bytes, .data = read_bytes(connection, verdict.faulty)};
}

std::vector<char> SimIo::read_bytes(SimConnection& connection, bool partly) noexcept {
  std::size_t room = net_.options_.confirm_later ? later_read_bytes_max : read_bytes_max;
  if (partly) {
    room = 1;
    if (connection.inbox.front().bytes.size() > 1) net_.count(SimOp::read, SimFault::partial, &connection);
  }
  const bool joins = net_.random_.chance(500'000);
  std::vector<char> data;
  do {
    SimConnection::Arrival& first = connection.inbox.front();
    const std::string_view bytes = std::string_view{first.bytes}.substr(first.read, room - data.size());
    data.insert(data.end(), bytes.begin(), bytes.end());
    first.read += bytes.size();
    if (first.read < first.bytes.size()) break;
    connection.inbox.pop_front();
  } while (joins && data.size() < room && !connection.inbox.empty() && !connection.inbox.front().fin);
  data.shrink_to_fit();  // so that the address sanitizer sees a read past the end
  connection.inbound_bytes -= data.size();
  return data;
}

void SimIo::after_read(SimConnection& connection) noexcept {
  net_.tell_server(connection);
  // The client hears of the room after a while.
  net_.at(net_.now() + net_.delay(), [&net = net_, &connection] { net.tell_room(connection); });
}

WriteResult SimIo::write(Stream& stream) noexcept {
  SimConnection& connection = net_.connection(stream.fd);
  std::array<iovec, write_parts_max> parts;
  unsigned count = stream.out.gather(parts.data(), write_parts_max);
  if (count == 0) {
    if (!read_file(connection, *stream.out.file_at(0))) return {Wrote::failed, 0, EIO};
    parts[0] = {connection.file_piece.data(), connection.file_piece.size()};
    count = 1;
  }
  if (!net_.options_.confirm_later) return take(connection, parts.data(), count);
  SLUICE_ASSERT(connection.frozen.empty());
  connection.frozen.assign(parts.data(), parts.data() + count);
  connection.frozen_copy.clear();
  for (const iovec& part : connection.frozen) {
    connection.frozen_copy.append(static_cast<const char*>(part.iov_base), part.iov_len);
  }
  ++stream.in_flight;
  net_.at(net_.now() + net_.delay(), [this, &connection] { queue(Kind::confirm, connection); });
  return {Wrote::queued, 0, 0};
}

bool SimIo::read_file(SimConnection& connection, const FileSpan& file) {
  connection.file_piece.resize(std::min<std::size_t>(file.size, 16'384));
  const ssize_t count =
      ::pread(file.fd, connection.file_piece.data(), connection.file_piece.size(), static_cast<off_t>(file.offset));
  if (count <= 0) return false;  // shorter than announced
  connection.file_piece.resize(static_cast<std::size_t>(count));
  return true;
}

WriteResult SimIo::end_write(SimConnection& connection) noexcept {
  std::size_t offset = 0;
  for (const iovec& part : connection.frozen) {
    // The bytes of a write under way belong to the kernel.
    SLUICE_ASSERT(std::memcmp(part.iov_base, connection.frozen_copy.data() + offset, part.iov_len) == 0);
    offset += part.iov_len;
  }
  const std::vector<iovec> parts = std::exchange(connection.frozen, {});
  if (connection.closed) return {Wrote::failed, 0, ECANCELED};
  return take(connection, parts.data(), static_cast<unsigned>(parts.size()));
}

WriteResult SimIo::take(SimConnection& connection, const iovec* parts, unsigned count) noexcept {
  if (connection.broken || connection.shut) return {Wrote::failed, 0, connection.shut ? EPIPE : ECONNRESET};
  std::size_t offered = 0;
  for (unsigned index = 0; index < count; ++index) offered += parts[index].iov_len;
  const std::size_t size = net_.options_.send_buffer_bytes;
  const std::size_t room = connection.outbound_bytes < size ? size - connection.outbound_bytes : 0;
  std::size_t taken = std::min(offered, room);
  if (taken > 1 && net_.random_.chance(250'000)) taken = net_.random_.between(1, taken);
  base::Duration pause = net_.delay();
  if (const auto verdict = net_.judge(SimOp::write); verdict.faulty) {
    if (verdict.kind != SimFault::partial || taken > 1) net_.count(SimOp::write, verdict.kind, &connection);
    switch (verdict.kind) {
      case SimFault::partial: taken = std::min<std::size_t>(taken, 1); break;
      case SimFault::stall: pause = milliseconds{net_.random_.between(100, 15'000)}; [[fallthrough]];
      case SimFault::again: taken = 0; break;
      default:
        connection.broken = connection.broken_told = true;
        net_.reset_to_client(connection, true);
        return {Wrote::failed, 0, ECONNRESET};
    }
  }
  std::string bytes;
  for (unsigned index = 0; bytes.size() < taken; ++index) {
    bytes.append(static_cast<const char*>(parts[index].iov_base), std::min(parts[index].iov_len, taken - bytes.size()));
  }
  connection.outbound_bytes += taken;
  for (std::size_t sent = 0; sent < taken;) {
    const std::size_t segment = net_.random_.between(1, std::min(taken - sent, net_.options_.segment_bytes_max));
    net_.to_client(connection, bytes.substr(sent, segment), false);
    sent += segment;
  }
  if (taken == offered) return {Wrote::all, taken, 0};
  connection.blocked = true;
  if (taken < room) net_.tell_writable(connection, pause);
  return {Wrote::blocked, taken, 0};
}

void SimIo::shutdown(Stream& stream) noexcept {
  SimConnection& connection = net_.connection(stream.fd);
  if (connection.shut || connection.broken) return;
  connection.shut = true;
  net_.to_client(connection, {}, true);
}

bool SimIo::close(Stream& stream) noexcept {
  SimConnection& connection = net_.connection(stream.fd);
  close_connection(connection, stream.reset);
  stream.fd = -1;
  if (stream.armed) {
    net_.at(net_.now() + net_.delay(), [this, &connection] { queue(Kind::terminal, connection); });
  }
  if (!net_.options_.confirm_later && net_.random_.chance(500'000)) make_late_event(connection);
  return stream.in_flight == 0;
}

// An event that was under way when the connection was closed: it names a slot that may serve another by then. Without
// unread bytes it is a hang-up.
void SimIo::make_late_event(SimConnection& connection) noexcept {
  net_.at(net_.now() + net_.delay(), [this, &connection] {
    if (!connection.added) return;
    connection.paused = false;
    connection.broken = true;
    queue(Kind::input, connection);
  });
}

void SimIo::close_connection(SimConnection& connection, bool reset) noexcept {
  if (connection.closed) return;
  connection.closed = true;
  if (connection.broken) return;
  const bool unread = std::ranges::any_of(connection.inbox, [](const auto& arrival) { return !arrival.bytes.empty(); });
  if (reset || unread) {
    // As in a kernel: bytes nobody read make a reset of the close, and it may overtake what was sent before.
    net_.reset_to_client(connection, net_.random_.chance(500'000));
  } else if (!connection.shut) {
    net_.to_client(connection, {}, true);
  }
}

}  // namespace sluice::net
