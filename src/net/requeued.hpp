// requeued.hpp: the streams that an Io looks at again by itself, oldest first. Thread: the loop's.
// Must never be left by a stream's slot: each entry counts in Stream::in_flight.
#pragma once

#include "net/stream.hpp"

namespace sluice::net {

class RequeuedStreams {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  /// The newest, up to which a round goes; what comes meanwhile is for the next one. nullptr if empty.
  const Stream* last() const noexcept { return last_; }

  /// Idempotent.
  void push(Stream& stream) noexcept {
    if (stream.requeued) return;
    stream.requeued = 1;
    ++stream.in_flight;
    stream.next_requeued = nullptr;
    if (first_ == nullptr) {
      first_ = &stream;
    } else {
      last_->next_requeued = &stream;
    }
    last_ = &stream;
  }

  /// Only if not empty.
  Stream& take() noexcept {
    Stream& stream = *first_;
    first_ = stream.next_requeued;
    if (first_ == nullptr) last_ = nullptr;
    stream.requeued = 0;
    --stream.in_flight;
    return stream;
  }

 private:
  Stream* first_ = nullptr;
  Stream* last_ = nullptr;
};

}  // namespace sluice::net
