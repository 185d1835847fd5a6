// dialer.hpp: a protocol for tests that connects, remembers what became of each call, and checks every rule that the
// loop promises for connections of its own making.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.hpp"
#include "base/slab.hpp"
#include "net/loop_base.hpp"

namespace sluice::net {

/// What became of one connection; it outlives the stream.
struct Call {
  std::uint32_t slot = 0, generation = 0;  // of its stream; see Dialer::find
  std::string received{};
  std::string greeting{};                  // sent by connected()
  unsigned connected = 0, failed = 0, ended = 0, shut = 0, drained = 0, closed = 0;
  int connect_error = 0;                   // of connect() itself; then there never was a stream
  int error = 0;                           // as given to failed()
  bool failed_connecting = false;
};

struct DialedStream : Stream {
  Call* call = nullptr;   // null: accepted
  bool writing = false;   // the next thing is a write
};

/// Keeps what it receives, closes after an end or a failure. Accepted connections send everything back.
class Dialer {
 public:
  LoopBase* loop = nullptr;
  std::deque<Call> calls{};
  bool accepts = false;
  base::TimePoint wake = base::never;          // what next_wake() says; reset when it has come
  std::vector<base::TimePoint> woken{};        // when it did
  bool pause_first = false;                    // before the connection is begun
  std::uint64_t writings = 0;
  unsigned accepted_count = 0;
  std::function<void()> on_turn_ended{};

  std::size_t streams() const noexcept { return slab_.in_use(); }
  std::size_t slots() const noexcept { return slots_; }

  /// `text` is written at once, while it connects.
  Call& dial(const Address& to, std::string_view text = {}, const ConnectOptions& options = {}) {
    Call& call = calls.emplace_back();
    DialedStream& stream = *slab_.take();
    slots_ = std::max<std::size_t>(slots_, stream.slot + 1);
    stream.call = &call;
    stream.writing = false;
    call.slot = stream.slot;
    call.generation = stream.generation;
    if (pause_first) loop->pause(stream);
    call.connect_error = loop->connect(stream, to, options);
    if (call.connect_error != 0) {
      SLUICE_ASSERT(stream.fd == -1 && !stream.registered && !stream.connecting && stream.in_flight == 0);
      stream.recycle();
      slab_.give(stream);
      return call;
    }
    SLUICE_ASSERT(stream.registered && stream.connecting && stream.fd != -1);
    send(call, text);
    return call;
  }

  /// Null when it is closed, or about to be.
  DialedStream* find(const Call& call) noexcept {
    DialedStream* const stream = slab_.find(call.slot, call.generation);
    return stream == nullptr || stream->closing || call.connect_error != 0 ? nullptr : stream;
  }
  void send(const Call& call, std::string_view text) {
    DialedStream* const stream = find(call);
    if (stream == nullptr || stream->failed || text.empty()) return;
    stream->out.append(loop->blocks(), text);
    loop->touch(*stream);
  }
  void close(const Call& call) noexcept {
    if (DialedStream* const stream = find(call)) loop->close(*stream);
  }
  void reset(const Call& call) noexcept {
    if (DialedStream* const stream = find(call)) loop->reset(*stream);
  }
  void close_all() noexcept {
    slab_.for_each_in_use([this](DialedStream& stream) { loop->close(stream); });
  }

  // ---- Protocol ----

  Stream* opened(int) noexcept {
    if (!accepts) return nullptr;
    DialedStream& stream = *slab_.take();
    stream.call = nullptr;
    ++accepted_count;
    return &stream;
  }
  void connected(Stream& stream) noexcept {
    Call& call = check(stream);
    SLUICE_ASSERT(!stream.connecting && !stream.write_blocked && stream.registered && !stream.input_ended);
    SLUICE_ASSERT(call.connected == 0 && call.failed == 0 && call.received.empty());
    ++call.connected;
    send(call, call.greeting);
  }
  void input(Stream& stream, std::span<char> bytes) noexcept {
    SLUICE_ASSERT(!bytes.empty() && !stream.connecting && !stream.input_ended);
    if (static_cast<DialedStream&>(stream).call == nullptr) {
      stream.out.append(loop->blocks(), std::string_view{bytes.data(), bytes.size()});
      loop->touch(stream);
    } else {
      Call& call = check(stream);
      SLUICE_ASSERT(call.connected == 1);
      call.received.append(bytes.data(), bytes.size());
    }
    std::ranges::fill(bytes, '#');
  }
  void input_ended(Stream& stream) noexcept {
    SLUICE_ASSERT(!stream.connecting);
    if (static_cast<DialedStream&>(stream).call != nullptr) ++check(stream).ended;
    loop->close_after_flush(stream);
  }
  void failed(Stream& stream, int error) noexcept {
    if (static_cast<DialedStream&>(stream).call != nullptr) {
      Call& call = check(stream);
      SLUICE_ASSERT(call.failed == 0 && error != 0 && stream.connecting == (call.connected == 0));
      ++call.failed;
      call.error = error;
      call.failed_connecting = stream.connecting;
    }
    loop->close(stream);
  }
  void writing(Stream& stream) noexcept {
    auto& ours = static_cast<DialedStream&>(stream);
    // The loop has just counted the write that follows.
    ++writings;
    SLUICE_ASSERT(writings == loop->counters().writes.value());
    SLUICE_ASSERT(!stream.out.empty() && !stream.write_blocked && !stream.write_queued && !stream.connecting);
    ours.writing = true;
  }
  void wrote(Stream& stream, std::size_t count) noexcept {
    auto& ours = static_cast<DialedStream&>(stream);
    SLUICE_ASSERT(count > 0 && ours.writing);
    ours.writing = false;
  }
  void drained(Stream& stream) noexcept {
    SLUICE_ASSERT(stream.out.empty() && !stream.write_blocked && !stream.write_queued);
    if (static_cast<DialedStream&>(stream).call != nullptr) ++check(stream).drained;
  }
  void output_shut(Stream& stream) noexcept { ++check(stream).shut; }
  void expired(Stream& stream) noexcept { loop->close(stream); }
  void posted(MailNode&) noexcept {}
  void closed(Stream& stream) noexcept {
    auto& ours = static_cast<DialedStream&>(stream);
    SLUICE_ASSERT(stream.closing && stream.in_flight == 0 && stream.fd == -1 && stream.out.empty());
    if (ours.call != nullptr) ++ours.call->closed;
    slab_.give(ours);
  }
  bool turn_ended() noexcept {
    SLUICE_ASSERT(LoopBase::current() == loop);
    if (wake <= loop->now()) {
      woken.push_back(loop->now());
      wake = base::never;
    }
    if (on_turn_ended) on_turn_ended();
    return false;
  }
  base::TimePoint next_wake() const noexcept { return wake; }
  Stream* find(std::uint32_t slot, std::uint32_t generation) noexcept { return slab_.find(slot, generation); }
  void accept_paused(int) noexcept {}

 private:
  Call& check(Stream& stream) noexcept {
    auto& ours = static_cast<DialedStream&>(stream);
    SLUICE_ASSERT(ours.call != nullptr && !stream.closing && loop->on_this_thread() && ours.call->closed == 0);
    SLUICE_ASSERT(slab_.find(ours.call->slot, ours.call->generation) == &ours);
    return *ours.call;
  }

  base::Slab<DialedStream> slab_;
  std::size_t slots_ = 0;
};

}  // namespace sluice::net
