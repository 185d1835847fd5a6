#include "server/outflow.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace sluice::detail {

std::size_t Outflow::room_locked() const noexcept {
  if (broken_ || end_ != End::open) return 0;
  if (options_.discards) return options_.high_water;
  const std::size_t held = pending_.size() + output_bytes_;
  return held < options_.high_water ? options_.high_water - held : 0;
}

Outflow::Taken Outflow::take(std::string_view bytes) {
  const std::lock_guard lock{lock_};
  if (broken_ || end_ != End::open) return {};
  if (options_.length && bytes.size() > *options_.length - accepted_) {
    throw std::length_error{"more bytes were written than the answer's length"};
  }
  const std::size_t before = pending_.size();
  const std::size_t size = std::min(bytes.size(), room_locked());
  if (!options_.discards) pending_.append(bytes.substr(0, size));
  accepted_ += size;
  // Full, it must go out whatever its size: nothing else would make room.
  const bool full = size < bytes.size() && before + size > 0;
  return {size, !options_.discards && (full || before + size >= gather_bytes)};
}

bool Outflow::flush() noexcept {
  const std::lock_guard lock{lock_};
  return !pending_.empty() && !broken_;
}

bool Outflow::end(End how, std::string&& trailers) noexcept {
  const std::lock_guard lock{lock_};
  if (end_ != End::open) return end_ == End::finished && !broken_;
  const bool whole = how == End::finished && (!options_.length || options_.discards || accepted_ == *options_.length);
  end_ = whole ? End::finished : End::aborted;
  trailers_ = std::move(trailers);
  return whole && !broken_;
}

bool Outflow::wait_for_room() {
  admission::Parking here;
  {
    const std::lock_guard lock{lock_};
    if (broken_ || end_ != End::open) return false;
    if (room_locked() > 0) return true;
    waiter_ = &here;
  }
  for (;;) {
    here.wait();
    const std::lock_guard lock{lock_};
    if (waiter_ != &here) return !broken_ && end_ == End::open;
  }
}

bool Outflow::on_drain(Callback&& callback) noexcept {
  Callback before;  // dies after the lock: what it captured is user code
  const std::lock_guard lock{lock_};
  before = std::exchange(drain_, std::move(callback));
  return drain_ != nullptr && roomy_locked();
}

std::size_t Outflow::room() const noexcept {
  const std::lock_guard lock{lock_};
  return room_locked();
}

bool Outflow::closed() const noexcept {
  const std::lock_guard lock{lock_};
  return broken_ || end_ != End::open;
}

Outflow::Batch Outflow::collect(std::size_t output_bytes) noexcept {
  const std::lock_guard lock{lock_};
  Batch batch;
  batch.bytes.swap(pending_);
  output_bytes_ = output_bytes + batch.bytes.size();
  batch.end = end_;
  if (end_ == End::finished) batch.trailers.swap(trailers_);
  return batch;
}

bool Outflow::progress(std::size_t output_bytes) noexcept {
  const std::lock_guard lock{lock_};
  output_bytes_ = output_bytes;
  if (!roomy_locked()) return false;
  wake_locked();
  return drain_ != nullptr;
}

void Outflow::break_off() noexcept {
  const std::lock_guard lock{lock_};
  broken_ = true;
  pending_ = std::string{};
  wake_locked();
}

void Outflow::wake_locked() noexcept {
  if (waiter_ != nullptr) std::exchange(waiter_, nullptr)->wake();
}

bool Outflow::due() const noexcept {
  const std::lock_guard lock{lock_};
  return drain_ != nullptr && roomy_locked();
}

Outflow::Callback Outflow::take_due() noexcept {
  const std::lock_guard lock{lock_};
  if (drain_ == nullptr || !roomy_locked()) return nullptr;
  return std::exchange(drain_, nullptr);
}

}  // namespace sluice::detail
