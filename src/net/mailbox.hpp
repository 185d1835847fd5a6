// mailbox.hpp: the only way onto a loop from another thread.
// In: nodes pushed by any thread. Out: the same nodes, oldest first, on the loop. Lock-free; never full.
// Thread: push: any. The rest: the loop. Written against Sync::Atomic alone (all operations sequentially consistent),
// so that a model checker runs this very code. Must never lose a wake-up.
#pragma once

#include <cstdint>

#include "base/inline.hpp"
#include "base/planted.hpp"
#include "base/sync.hpp"

namespace sluice::net {

/// What is posted derives from it; the mailbox links it and never allocates.
struct MailNode {
  MailNode* next = nullptr;
};

enum class Posted : std::uint8_t {
  queued,       // the loop is awake and will find it
  queued_wake,  // the caller must wake the loop
  closed,       // not taken: the node is still the caller's
};

template <class Sync = base::StdSync>
class Mailbox {
  template <class T>
  using Atomic = typename Sync::template Atomic<T>;

 public:
  static constexpr unsigned drain_max = 256;

  Mailbox() noexcept : head_{nullptr}, sleeping_{false} {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Hands the node to the loop; unless closed, it must not be touched afterwards.
  ///   Thread: any. The caller keeps the mailbox alive until push has returned.
  ///   Cost:   one compare-exchange; a second atomic write only if the loop sleeps.
  [[nodiscard]] Posted push(MailNode* node) noexcept {
    MailNode* old = head_.load();
    do {
      if (old == &closed_) return Posted::closed;
      node->next = old;
    } while (!head_.compare_exchange_weak(old, node));
    // Whatever the old head was: a poster that found the stack empty may be about to sleep itself.
    if (sleeping_.load() && sleeping_.exchange(false)) {
      return base::planted(base::Bug::lost_wakeup) ? Posted::queued : Posted::queued_wake;
    }
    return Posted::queued;
  }

  /// Calls `run(MailNode&)` for at most `max` nodes; what remains is the first of the next drain.
  template <class F>
  unsigned drain(unsigned max, F&& run) {
    take();
    unsigned count = 0;
    while (count < max && first_ != nullptr) {
      MailNode* const node = first_;
      first_ = node->next;
      if (first_ == nullptr) last_ = nullptr;
      ++count;
      run(*node);
    }
    return count;
  }

  /// Nodes taken but not run yet.
  bool has_left_over() const noexcept { return first_ != nullptr; }

  /// Announces that the loop is about to block. False: it must not, there is work.
  SLUICE_INLINE bool prepare_sleep() noexcept {
    if (first_ != nullptr) return false;
    sleeping_.store(true);
    const MailNode* const head = head_.load();
    if (head == nullptr || head == &closed_) return true;
    sleeping_.store(false);
    return false;
  }
  /// The loop is awake, for whatever reason.
  void cancel_sleep() noexcept {
    if (sleeping_.load()) sleeping_.store(false);
  }

  /// No push succeeds any more. Returns the nodes that were not run, oldest first, linked by next.
  MailNode* close() noexcept {
    append_reversed(head_.exchange(&closed_));
    MailNode* const rest = first_;
    first_ = last_ = nullptr;
    return rest;
  }

 private:
  void take() noexcept {
    const MailNode* const head = head_.load();
    if (head == nullptr || head == &closed_) return;
    append_reversed(head_.exchange(nullptr));
  }

  void append_reversed(MailNode* newest) noexcept {
    if (newest == nullptr || newest == &closed_) return;
    MailNode* oldest = nullptr;
    for (MailNode* node = newest; node != nullptr;) {
      MailNode* const older = node->next;
      node->next = oldest;
      oldest = node;
      node = older;
    }
    if (last_ == nullptr) {
      first_ = oldest;
    } else {
      last_->next = oldest;
    }
    last_ = newest;
  }

  Atomic<MailNode*> head_;
  Atomic<bool> sleeping_;
  MailNode* first_ = nullptr;  // left-overs, oldest first
  MailNode* last_ = nullptr;
  MailNode closed_{};  // its address marks a closed mailbox
};

}  // namespace sluice::net
