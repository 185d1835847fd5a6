// stream.hpp: one connection as the loop sees it: descriptor, state bits, output, timer.
// In: wishes of the protocol (through LoopBase). Out: what the Io acts on. Thread: its loop.
// The protocol derives from it and keeps it in a slab, where it never moves. Must never be named across turns or
// threads by pointer: {slot, generation} does that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "net/chain.hpp"
#include "net/timers.hpp"

namespace sluice::net {

/// The bits are the loop's and the Io's; the protocol reads them and changes them through LoopBase only.
struct Stream {
  int fd = -1;
  std::uint32_t slot = 0, generation = 0;  // set by the slab

  std::uint32_t reading_paused : 1 = 0;       // the protocol wants no input for now
  std::uint32_t input_ended : 1 = 0;          // FIN seen and told
  std::uint32_t write_blocked : 1 = 0;        // the peer takes nothing; the Io tells when it does again
  std::uint32_t write_queued : 1 = 0;         // a write is under way: its bytes are frozen, its end will be told
  std::uint32_t dirty : 1 = 0;                // in the dirty list
  std::uint32_t want_shutdown : 1 = 0;        // end our sending side once `out` is empty
  std::uint32_t was_shutdown : 1 = 0;         // done
  std::uint32_t close_when_flushed : 1 = 0;
  std::uint32_t closing : 1 = 0;              // no callback but closed() follows
  std::uint32_t reset : 1 = 0;                // close with RST
  std::uint32_t failed : 1 = 0;               // failed() was told
  std::uint32_t gone : 1 = 0;                 // the Io has let go of it
  std::uint32_t registered : 1 = 0;           // Io: known to the kernel
  std::uint32_t input_pending : 1 = 0;        // Io: bytes or an end may wait in the kernel, no event will tell
  std::uint32_t hangup_seen : 1 = 0;          // Io: an end is in the kernel behind the bytes
  std::uint32_t requeued : 1 = 0;             // Io: in its own list of streams to look at again
  std::uint32_t armed : 1 = 0;                // Io: a receive is under way in the kernel
  std::uint32_t polled : 1 = 0;               // Io: a wait for room is under way in the kernel
  std::uint32_t connecting : 1 = 0;           // ours, and not answered yet: nothing is written, nothing comes

  std::uint16_t in_flight = 0;  // things of the Io that name this slot; it is free for reuse only at 0
  std::uint16_t io_count = 0;   // free for the Io
  std::uint32_t io_word = 0;    // free for the Io
  OutputChain out{};
  Stream* next_dirty = nullptr;     // dirty list, then the closing list
  Stream* next_requeued = nullptr;  // the Io's list
  TimerNode timer{.kind = TimerKind::stream};

  /// The stream whose timer it is. Only for nodes of TimerKind::stream.
  static Stream& of(TimerNode& node) noexcept;
  /// As new, for the next connection of this slot.
  void recycle() noexcept;
};
static_assert(sizeof(Stream) <= 112);
static_assert(std::is_standard_layout_v<Stream>, "offsetof below");

inline Stream& Stream::of(TimerNode& node) noexcept {
  return *reinterpret_cast<Stream*>(reinterpret_cast<char*>(&node) - offsetof(Stream, timer));
}

inline void Stream::recycle() noexcept {
  SLUICE_ASSERT(out.empty() && !timer.armed() && in_flight == 0 && !dirty && !requeued);
  fd = -1;
  reading_paused = input_ended = write_blocked = write_queued = 0;
  want_shutdown = was_shutdown = close_when_flushed = closing = reset = failed = gone = 0;
  registered = input_pending = hangup_seen = armed = polled = connecting = 0;
  io_count = 0;
  io_word = 0;
  next_dirty = next_requeued = nullptr;
}

}  // namespace sluice::net
