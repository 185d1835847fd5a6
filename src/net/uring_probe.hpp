// uring_probe.hpp: whether this kernel's io_uring does what UringIo builds on, found out by doing it.
// In: nothing but the system. Out: what may be used, or a sentence that says why it can't be.
// Thread: any; the ring of the test is made and ended inside. Must never touch the network.
#pragma once

#include <expected>

#include "net/error.hpp"
#include "net/uring_ring.hpp"

namespace sluice::net {

struct UringTraits {
  /// A send that took everything can be without an event, while a short or failed one has one.
  bool skips_success = false;
};

/// Sends and receives through a small ring with the flags of the real one.
///   Errors: io_uring can't be had, or does not behave: then nothing of it may be used.
///   Cost:   a dozen system calls and a few hundred KiB, for a moment.
[[nodiscard]] std::expected<UringTraits, Error> probe_uring(unsigned refused_flags = 0);

}  // namespace sluice::net
