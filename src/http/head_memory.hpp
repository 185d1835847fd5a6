// head_memory.hpp: the last head of a loop and what was read in it. Clients that keep a connection often send the very
// same bytes again (polls, health checks, machines talking to machines); what they mean was worked out before.
// In: bytes that may begin with that head. Out: a copy of guard and Head, and where it led. Loop thread, one per loop.
// It must never take anything for the same that differs in a byte, and never keep a head whose bytes were rewritten.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "http/head.hpp"
#include "http/head_guard.hpp"

namespace sluice::http {

class HeadMemory {
 public:
  static constexpr std::size_t bytes_max = 512;

  /// Whether `bytes` begin with the remembered head; then guard and head are as scan() and parse() would leave them.
  ///   Cost: one compare, which differing heads end in its first bytes.
  bool recall(std::span<const char> bytes, HeadGuard& guard, Head& head) noexcept {
    if (size_ == 0 || bytes.size() < size_ || !begins_alike(bytes.data())) return false;
    if (std::memcmp(bytes.data(), bytes_.data(), size_) != 0) return false;
    guard = guard_;
    head.copy(head_);
    strangers_ = 0;
    holds_latest_ = true;
    return true;
  }

  /// Remembers a head that was accepted. Loops whose clients never repeat themselves pay for one in sixteen only.
  void keep(std::span<const char> bytes, const HeadGuard& guard, const Head& head) noexcept {
    holds_latest_ = false;
    if (strangers_ < patience || strangers_ % patience == 0) store(bytes, guard, head);
    ++strangers_;
  }

  /// The latest head, recalled or kept, led to a route that takes nothing from its path, which has no escapes.
  void lead_to(std::uint32_t route) noexcept {
    if (holds_latest_) route_ = route;
  }
  /// Where the head that was recalled led when it was new; nowhere: that is not known.
  std::uint32_t route() const noexcept { return route_; }
  static constexpr std::uint32_t nowhere = 0xffff'ffff;

 private:
  static constexpr std::uint32_t patience = 16;
  static constexpr std::size_t alike_at = 4, alike_bytes = 8;  // where the target of a GET begins

  /// Cheaper than the call that compares the whole. The smallest head that is accepted has more bytes.
  bool begins_alike(const char* bytes) const noexcept {
    std::uint64_t theirs = 0, ours = 0;
    std::memcpy(&theirs, bytes + alike_at, alike_bytes);
    std::memcpy(&ours, bytes_.data() + alike_at, alike_bytes);
    return theirs == ours;
  }

  void store(std::span<const char> bytes, const HeadGuard& guard, const Head& head) noexcept {
    if (bytes.size() > bytes_max || guard.has_tab() || guard.version_minor() > 1) return;  // those are rewritten
    std::memcpy(bytes_.data(), bytes.data(), bytes.size());
    size_ = bytes.size();
    guard_ = guard;
    head_.copy(head);
    route_ = nowhere;
    holds_latest_ = true;
  }

  std::size_t size_ = 0;
  std::uint32_t strangers_ = 0;  // heads since the last one that was known
  std::uint32_t route_ = nowhere;
  bool holds_latest_ = false;  // what is remembered is the head that was read last
  HeadGuard guard_;
  Head head_;
  std::array<char, bytes_max> bytes_;
};

}  // namespace sluice::http
