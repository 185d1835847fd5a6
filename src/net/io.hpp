// io.hpp: what a backend (epoll, io_uring, simulation) is to the loop, in completion style.
// In: streams to serve or to connect, output to write. Out: calls of the Sink (the loop) during dispatch, nowhere else.
// Thread: the loop, except wake(). Must never know a protocol, never call the Sink outside dispatch, never block
// outside wait.
//
// Rules that all three keep:
//  * Input bytes belong to the Io until Sink::received returns.
//  * After pause, input that was under way may still be delivered, a bounded amount of it.
//  * At most one write per stream is under way; from `queued` to Sink::wrote the bytes of Stream::out that it covers
//    stay where they are.
//  * A closed stream's slot is free for reuse only when close returned true or Sink::gone was called.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/clock.hpp"
#include "net/address.hpp"
#include "net/stream.hpp"

namespace sluice::net {

enum class Wrote : std::uint8_t {
  all,  // everything offered was taken
  blocked,  // `bytes` of it were; Sink::writable follows when there is room
  queued,  // Sink::wrote follows in a later dispatch; counted in Stream::in_flight
  failed,  // `error` says why; nothing more can be sent
};

struct WriteResult {
  Wrote state = Wrote::all;
  std::size_t bytes = 0;
  int error = 0;
};

/// How a connection of ours is made.
struct ConnectOptions {
  const Address* from = nullptr;  // the local address; null: the kernel's choice. Only read during connect
  int receive_buffer_bytes = 0;  // SO_RCVBUF, for a reader that is slow on purpose; 0: the kernel's choice
};

/// Parts of one write; what lies behind them is sent in the next turn.
inline constexpr unsigned write_parts_max = 64;
/// Events per batch.
inline constexpr unsigned batch_max = 64;

/// What the loop offers the Io during dispatch.
template <class S>
concept Sink = requires(S sink, Stream& stream, std::span<char> bytes, int number, std::size_t count) {
  sink.accepted(number);  // a new descriptor
  sink.accept_failed(number);  // errno; pause_accept was not called yet
  sink.connected(stream);  // after connect; broke() if that failed
  { sink.find(stream.slot, stream.generation) } -> std::same_as<Stream*>;  // null if stale
  sink.received(stream, bytes);
  sink.ended(stream);  // FIN
  sink.broke(stream, number);  // errno
  sink.writable(stream);  // after `blocked`
  sink.wrote(stream, count, number, true);  // after `queued`: bytes taken, errno or 0, blocked
  sink.gone(stream);  // after close returned false: in_flight is 0
  sink.event_done();  // between two events: the loop may flush
};

template <class I, class S>
concept Io = Sink<S> && requires(I io, S sink, Stream& stream, int fd, base::TimePoint deadline, base::TimePoint now,
                                 const Address& to, const ConnectOptions& options) {
  { io.listen(fd, true) } -> std::same_as<int>;  // errno; `true`: other loops listen to the same socket
  io.unlisten();  // for good, all of them
  io.pause_accept();
  { io.resume_accept() } -> std::same_as<int>;  // errno; the loop tries again later
  io.refuse(fd);  // closes an accepted descriptor nobody wants
  { io.add(stream) } -> std::same_as<int>;  // errno; sets `registered`; `reading_paused` may be set already
  // errno, and the stream is as before; else it is registered and `connecting` until Sink::connected or broke.
  { io.connect(stream, to, options) } -> std::same_as<int>;
  io.pause(stream);  // registered streams only, as resume
  io.resume(stream);
  { io.write(stream) } -> std::same_as<WriteResult>;  // Stream::out is not empty, no write is under way
  io.shutdown(stream);  // end of our sending side
  { io.close(stream) } -> std::same_as<bool>;  // true: nothing names the slot any more
  io.wait(deadline, now);  // `now`: the last turn's end; TimePoint::min() only looks, base::never waits for an event
  io.dispatch(sink);
  { io.has_work() } -> std::same_as<bool>;  // dispatch has something to do without an event
  io.wake();  // any thread
};

}  // namespace sluice::net
