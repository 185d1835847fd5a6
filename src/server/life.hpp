// life.hpp: the pins of one exchange and whether its answer is on its way, in one atomic word.
//
// An exchange is pinned by the frame of its running handler and by every live handle. Whoever ends the last pin gives
// the permit back, once, and sends the exchange home. DELIVER: an answer waits to be written. POSTED: the node is in
// the mailbox, or its poster is about to put it there. NEWS: a streamed body moved. After a call that says so nothing of
// the exchange may be touched by the caller. Written against Sync, so that a checker runs this very code under every
// interleaving.
#pragma once

#include <cstdint>

#include "base/assert.hpp"
#include "base/sync.hpp"

namespace sluice::detail {

template <class Sync>
class LifeOf {
 public:
  /// What the end of a pin owes. With neither set the exchange may already be gone.
  struct End {
    bool post = false;  // put the node into the mailbox
    bool last = false;  // that was the last pin: give the permit back
  };
  /// What the loop finds.
  struct Arrival {
    bool deliver = false;  // an answer is to be written
    bool news = false;  // a body that comes or goes in pieces has something for the loop
    bool last = false;  // (end of a frame) no pin is left: give the permit back
    bool free = false;  // no pin is left and no node is under way: the loop frees it
  };

  /// Before any other thread can see the exchange: its frame starts, with one handle.
  void begin() noexcept { word_.store(frame | one_handle, std::memory_order_relaxed); }

  /// One more handle, made from a live one.
  void add_handle() noexcept {
    const std::uint32_t old = word_.fetch_add(one_handle, std::memory_order_relaxed);
    SLUICE_ASSERT((old & handles) != handles);  // one more would be taken for a frame
  }

  /// Any thread: if it isn't the last handle, ends it. False: it is the last, nothing was changed.
  bool end_if_not_last_handle(End& end) noexcept {
    std::uint32_t old = word_.load(std::memory_order_acquire);
    while ((old & handles) > one_handle) {
      const std::uint32_t wanted = old - one_handle;
      if (word_.compare_exchange_weak(old, wanted, std::memory_order_acq_rel, std::memory_order_acquire)) {
        end = {};
        return true;
      }
    }
    return false;
  }

  /// Any thread but the loop inside this exchange's own frame: a handle ends. answered: its claim won.
  End end_handle(bool answered) noexcept { return end(one_handle, answered); }

  /// On the loop, inside this exchange's own frame: only stores; the frame's end sees to the rest.
  void end_handle_in_frame(bool answered) noexcept {
    // Exactly one claim wins, so DELIVER is not set yet and adding it can't carry.
    const std::uint32_t old = word_.fetch_add((answered ? deliver : 0) - one_handle, std::memory_order_release);
    SLUICE_ASSERT((old & handles) != 0 && (old & frame) != 0);
  }

  /// Any thread that holds a pin and keeps it: an answer is there, its body is yet to come. True: put the node into the
  /// mailbox. On the loop inside this exchange's own frame it only stores.
  bool deliver_pinned(bool in_own_frame) noexcept {
    if (!in_own_frame) return tell(deliver);
    word_.fetch_or(deliver, std::memory_order_release);
    return false;
  }

  /// Any thread that holds a pin and keeps it: the loop is to look at this exchange's bodies. True: put the node into
  /// the mailbox.
  bool tell_news() noexcept { return tell(news); }

  /// On a worker: the handler has returned. answered: the frame itself claimed (it threw).
  End end_frame(bool answered) noexcept { return end(frame, answered); }

  /// On the loop: the handler has returned.
  Arrival end_frame_on_loop(bool answered) noexcept {
    std::uint32_t old = word_.load(std::memory_order_acquire);
    std::uint32_t wanted = 0;
    do {
      SLUICE_ASSERT((old & frame) != 0);
      wanted = old & ~(frame | deliver);
    } while (!word_.compare_exchange_weak(old, wanted, std::memory_order_acq_rel, std::memory_order_acquire));
    const bool last = (wanted & pins) == 0;
    return {answered || (old & deliver) != 0, false, last, last && (wanted & posted) == 0};
  }

  /// On the loop, or on whoever owns the node after the mailbox was closed: the node has arrived.
  Arrival arrive() noexcept {
    const std::uint32_t old = word_.fetch_and(~(deliver | news | posted), std::memory_order_acq_rel);
    SLUICE_ASSERT((old & posted) != 0);
    return {(old & deliver) != 0, (old & news) != 0, false, (old & pins) == 0};
  }

  /// For an exchange that never ran: it is sent home by whoever unlinked it.
  void post_unstarted() noexcept { word_.store(posted, std::memory_order_relaxed); }

  bool pinned() const noexcept { return (word_.load(std::memory_order_acquire) & pins) != 0; }

 private:
  static constexpr std::uint32_t one_handle = 1;
  static constexpr std::uint32_t handles = 0xffff;
  static constexpr std::uint32_t frame = 1u << 16;
  static constexpr std::uint32_t deliver = 1u << 17;
  static constexpr std::uint32_t posted = 1u << 18;
  static constexpr std::uint32_t news = 1u << 19;
  static constexpr std::uint32_t pins = handles | frame;

  bool tell(std::uint32_t what) noexcept {
    const std::uint32_t old = word_.fetch_or(what | posted, std::memory_order_acq_rel);
    SLUICE_ASSERT((old & pins) != 0);
    return (old & posted) == 0;
  }

  End end(std::uint32_t pin, bool answered) noexcept {
    std::uint32_t old = word_.load(std::memory_order_acquire);
    std::uint32_t wanted = 0;
    bool post = false;
    bool last = false;
    do {
      SLUICE_ASSERT((old & (pin == frame ? frame : handles)) != 0);
      wanted = old - pin;
      if (answered) wanted |= deliver;
      last = (wanted & pins) == 0;
      post = (answered || last) && (old & posted) == 0;
      if (post) wanted |= posted;
    } while (!word_.compare_exchange_weak(old, wanted, std::memory_order_acq_rel, std::memory_order_acquire));
    return {post, last};
  }

  typename Sync::template Atomic<std::uint32_t> word_{0};
};

}  // namespace sluice::detail
