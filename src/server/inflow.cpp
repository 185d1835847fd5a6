#include "server/inflow.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.hpp"

namespace sluice::detail {

Inflow::Taken Inflow::take(std::span<char> into) noexcept {
  const std::lock_guard lock{lock_};
  Taken taken;
  taken.news = !std::exchange(asked_, true);
  if (size_ == 0) {
    if (failure_.status != 0) taken.read.state = BodyRead::State::failed;
    else if (ended_) taken.read.state = BodyRead::State::end;
    else waits_ = true;
    return taken;
  }
  waits_ = false;
  const std::size_t count = std::min(into.size(), size_);
  const std::size_t first = std::min(count, window_ - begin_);
  std::memcpy(into.data(), ring_.get() + begin_, first);
  std::memcpy(into.data() + first, ring_.get(), count - first);
  begin_ = (begin_ + count) % window_;
  size_ -= count;
  taken.read = {BodyRead::State::data, count};
  if (refused_ && size_ <= window_ / 2) {
    refused_ = false;
    taken.news = true;
  }
  return taken;
}

void Inflow::wait() {
  admission::Parking here;
  {
    const std::lock_guard lock{lock_};
    if (ready_locked()) return;
    waiter_ = &here;
  }
  for (;;) {
    here.wait();
    const std::lock_guard lock{lock_};
    if (waiter_ != &here) return;
  }
}

Inflow::Asked Inflow::on_ready(Callback&& callback) noexcept {
  Callback before;  // dies after the lock: what it captured is user code
  const std::lock_guard lock{lock_};
  before = std::exchange(ready_, std::move(callback));
  const bool news = !std::exchange(asked_, true);
  if (!ready_locked()) waits_ = true;
  return {ready_ != nullptr && ready_locked(), news};
}

Inflow::Failure Inflow::failure() const noexcept {
  const std::lock_guard lock{lock_};
  return failure_;
}

std::string Inflow::trailer_lines() const {
  const std::lock_guard lock{lock_};
  return ended_ ? trailers_ : std::string{};
}

std::size_t Inflow::room() noexcept {
  const std::lock_guard lock{lock_};
  if (over_ || !asked_) return 0;
  refused_ = size_ == window_;
  return window_ - size_;
}

void Inflow::put(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::lock_guard lock{lock_};
  SLUICE_ASSERT(!over_ && bytes.size() <= window_ - size_);
  if (!ring_) ring_ = std::make_unique_for_overwrite<char[]>(window_);
  const std::size_t end = (begin_ + size_) % window_;
  const std::size_t first = std::min(bytes.size(), window_ - end);
  std::memcpy(ring_.get() + end, bytes.data(), first);
  std::memcpy(ring_.get(), bytes.data() + first, bytes.size() - first);
  size_ += bytes.size();
  wake_locked();
}

void Inflow::end(std::string&& trailer_lines) noexcept {
  over_ = true;
  const std::lock_guard lock{lock_};
  trailers_ = std::move(trailer_lines);
  ended_ = true;
  wake_locked();
}

void Inflow::fail(Failure failure) noexcept {
  if (over_) return;
  over_ = failed_ = true;
  const std::lock_guard lock{lock_};
  failure_ = failure;
  wake_locked();
}

void Inflow::wake_locked() noexcept {
  waits_ = false;
  if (waiter_ != nullptr) std::exchange(waiter_, nullptr)->wake();
}

bool Inflow::asked() const noexcept {
  const std::lock_guard lock{lock_};
  return asked_;
}

bool Inflow::hungry() const noexcept {
  const std::lock_guard lock{lock_};
  return waits_ && size_ == 0;
}

bool Inflow::due() const noexcept {
  const std::lock_guard lock{lock_};
  return ready_ != nullptr && ready_locked();
}

Inflow::Callback Inflow::take_due() noexcept {
  const std::lock_guard lock{lock_};
  if (ready_ == nullptr || !ready_locked()) return nullptr;
  return std::exchange(ready_, nullptr);
}

}  // namespace sluice::detail
