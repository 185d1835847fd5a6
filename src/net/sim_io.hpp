// sim_io.hpp: the Io over the simulated network: the same Loop and the same protocol, in virtual time.
// In: what SimNet has made due. Out: calls of the Sink. Thread: the loop, except wake().
// Must never block, never deliver what is not due, never count as ready because of a post without a wake-up: that is
// how a lost wake-up shows.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "net/io.hpp"
#include "net/sim_net.hpp"

namespace sluice::net {

/// One connection, seen from the kernel of the loop that has it: that loop is the "server", even if it has connected.
/// The other end is a client, or the same connection seen from another loop. Internal to the simulation.
struct SimConnection {
  struct Arrival {
    std::string bytes;
    bool fin = false;
    std::size_t read = 0;  // bytes of it that the server has
  };

  SimClient* client = nullptr;                            // exactly one of these two
  SimConnection* peer = nullptr;
  SimIo* io = nullptr;
  int fd = -1;
  std::uint32_t slot = 0, generation = 0;
  bool added = false, closed = false, shut = false;       // by the server
  bool paused = false;
  bool broken = false;                                    // a reset has come from the client
  bool broken_told = false;
  int error = ECONNRESET;                                 // what is told of it
  bool told = false;                                      // an input event is in the io's queue
  unsigned under_way = 0;                                 // arrivals still delivered after a pause
  std::deque<Arrival> inbox{};                            // client to server, arrived
  std::size_t inbound_bytes = 0;                          // under way or in the inbox
  base::TimePoint last_inbound{};

  std::deque<Arrival> outbox{};                           // server to client, arrived
  std::size_t outbound_bytes = 0;                         // taken from the server, not by the client
  base::TimePoint last_outbound{};
  bool blocked = false;                                   // the server waits for room
  bool cut = false;                                       // nothing reaches the client any more

  std::vector<iovec> frozen{};                            // a write that is to be confirmed
  std::string frozen_copy{};
  std::string file_piece{};  // of a file that is being sent, until its write is confirmed
};

class SimIo {
 public:
  explicit SimIo(SimNet& net);
  SimIo(const SimIo&) = delete;
  SimIo& operator=(const SimIo&) = delete;
  ~SimIo();

  int listen(int fd, bool shared) noexcept;
  void unlisten() noexcept;
  void pause_accept() noexcept { accepting_ = false; }
  int resume_accept() noexcept;
  void refuse(int fd) noexcept;
  int add(Stream& stream) noexcept;
  /// To a loop of the same net that listens on the port of `to`; the rest of the address and the options are ignored.
  int connect(Stream& stream, const Address& to, const ConnectOptions& options) noexcept;
  void pause(Stream& stream) noexcept;
  void resume(Stream& stream) noexcept;
  WriteResult write(Stream& stream) noexcept;
  void shutdown(Stream& stream) noexcept;
  bool close(Stream& stream) noexcept;
  void wait(base::TimePoint, base::TimePoint) noexcept { woken_.store(false); }
  bool has_work() const noexcept { return false; }
  void wake() noexcept { woken_.store(true); }

  /// Whether a blocked wait() would return now: something is due, or wake() was called.
  bool ready() const noexcept { return woken_.load() || !events_.empty(); }
  /// When the net has something next, for whomever.
  base::TimePoint next_event() const noexcept { return net_.next_event(); }

  template <class SinkType>
  void dispatch(SinkType& sink) noexcept {
    for (std::size_t left = std::min<std::size_t>(events_.size(), batch_max); left > 0; --left) {
      const Event event = events_.front();
      events_.pop_front();
      switch (event.kind) {
        case Kind::accept: accept(sink); break;
        case Kind::connected: connected(sink, event); break;
        case Kind::input: input(sink, event); break;
        case Kind::writable: writable(sink, event); break;
        case Kind::confirm: confirm(sink, event); break;
        case Kind::terminal: terminal(sink, event); break;
      }
      sink.event_done();
    }
  }

 private:
  friend class SimNet;

  enum class Kind : std::uint8_t { accept, connected, input, writable, confirm, terminal };
  struct Event {
    Kind kind;
    SimConnection* connection;
    std::uint32_t slot, generation;  // as they were when the event was made
  };
  struct Read {
    enum { nothing, bytes, fin, broken } what = nothing;
    std::vector<char> data{};
  };

  template <class SinkType>
  void accept(SinkType& sink) noexcept {
    accept_queued_ = false;
    while (accepting_ && !backlog_.empty()) {
      const SimConnection& connection = *backlog_.front();
      int error = 0;
      if (!take_from_backlog(error)) {
        if (error != 0) {
          sink.accept_failed(error);
        } else {
          queue_accept();
        }
        return;
      }
      sink.accepted(connection.fd);
      sink.event_done();
      if (net_.random_.chance(500'000)) break;
    }
    if (accepting_ && !backlog_.empty()) queue_accept();
  }

  template <class SinkType>
  void connected(SinkType& sink, const Event& event) noexcept {
    Stream* const stream = find(sink, event);
    if (stream == nullptr || stream->closing || stream->failed) return;
    stream->connecting = 0;
    stream->write_blocked = 0;
    sink.connected(*stream);
  }

  template <class SinkType>
  void input(SinkType& sink, const Event& event) noexcept {
    SimConnection& connection = *event.connection;
    connection.told = false;
    Stream* const stream = find(sink, event);
    if (stream == nullptr || stream->closing) return;
    Read read = next_read(connection);
    switch (read.what) {
      case Read::nothing: return;
      case Read::bytes: sink.received(*stream, std::span{read.data}); break;
      case Read::fin:
        disarm(*stream);
        sink.ended(*stream);
        break;
      case Read::broken:
        disarm(*stream);
        sink.broke(*stream, connection.error);
        return;
    }
    after_read(connection);
  }

  template <class SinkType>
  void writable(SinkType& sink, const Event& event) noexcept {
    Stream* const stream = find(sink, event);
    if (stream != nullptr && !stream->closing) sink.writable(*stream);
  }

  template <class SinkType>
  void confirm(SinkType& sink, const Event& event) noexcept {
    Stream* const stream = find(sink, event);
    SLUICE_ASSERT(stream != nullptr && stream->in_flight > 0);
    --stream->in_flight;
    const WriteResult result = end_write(*event.connection);
    sink.wrote(*stream, result.bytes, result.error, result.state == Wrote::blocked);
    if (stream->closing && stream->fd == -1 && stream->in_flight == 0) sink.gone(*stream);
  }

  template <class SinkType>
  void terminal(SinkType& sink, const Event& event) noexcept {
    Stream* const stream = find(sink, event);
    SLUICE_ASSERT(stream != nullptr && stream->closing);
    disarm(*stream);
    if (stream->in_flight == 0) sink.gone(*stream);
  }

  template <class SinkType>
  Stream* find(SinkType& sink, const Event& event) noexcept {
    Stream* const stream = sink.find(event.slot, event.generation);
    if (stream == nullptr) ++net_.stale_events_;
    return stream;
  }

  void queue(Kind kind, SimConnection& connection) noexcept;
  void queue_accept() noexcept;
  bool take_from_backlog(int& error) noexcept;
  Read next_read(SimConnection& connection) noexcept;
  std::vector<char> read_bytes(SimConnection& connection, bool partly) noexcept;
  static bool read_file(SimConnection& connection, const FileSpan& file);
  void after_read(SimConnection& connection) noexcept;
  WriteResult take(SimConnection& connection, const iovec* parts, unsigned count) noexcept;
  WriteResult end_write(SimConnection& connection) noexcept;
  static void disarm(Stream& stream) noexcept;
  void make_late_event(SimConnection& connection) noexcept;
  void close_connection(SimConnection& connection, bool reset) noexcept;

  SimNet& net_;
  std::vector<int> listeners_;
  bool accepting_ = true;
  bool accept_queued_ = false;
  std::deque<SimConnection*> backlog_;
  std::deque<Event> events_;
  std::atomic<bool> woken_{false};
};

}  // namespace sluice::net
