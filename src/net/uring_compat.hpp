// uring_compat.hpp: what not every liburing has from 2.3 on, the oldest that will do. For uring_ring.cpp alone, after it
// has included liburing. Whether the kernel has it is a question of its own, asked at run time.
#pragma once

namespace sluice::net {

/// io_uring_enable_rings() without that function, which the shared library of some versions does not export.
template <class Ring>
int enable(Ring* ring) noexcept {
  return io_uring_register(static_cast<unsigned>(ring->ring_fd), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
}

/// Keeps a loop that waits from being shown as a processor that waits for its disk. Without it that is only a wrong
/// figure in tools like top: nothing is slower.
template <class Ring>
void hide_wait([[maybe_unused]] Ring* ring) noexcept {
  if constexpr (requires { io_uring_set_iowait(ring, false); }) io_uring_set_iowait(ring, false);
}

}  // namespace sluice::net
