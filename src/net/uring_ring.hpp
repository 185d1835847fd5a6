// uring_ring.hpp: one io_uring with one ring of provided buffers, and the operations that UringIo needs of it.
// In: operations, each with a name of 64 bits. Out: events with these names, and the bytes of what was received.
// Thread: open() any; after start() that thread only, but for its end. Its one source file, uring_ring.cpp, is the only
// one that includes liburing; a build without it has uring_absent.cpp in its place.
// Must never wait in any other function than wait(), never let a buffer go that was not given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>

#include "base/clock.hpp"
#include "net/error.hpp"

namespace sluice::net {

struct UringOptions {
  unsigned submissions = 256;  // entries of the submission queue
  unsigned completions = 4096;  // wanted; fewer if memory is short, but not below completions_min
  unsigned buffers = 256;  // wanted, a power of two; fewer if memory is short, but not below buffers_min
  bool skip_success = false;  // no event for a send that took everything; only if probe_uring() says so
  bool rings_when_quiet = false;  // for tests: UringIo sends through the ring in every turn
  unsigned refused_flags = 0;  // for tests: setup flags that this kernel is to be without

  static constexpr unsigned completions_min = 1024;  // of what is made smaller; less may be asked for
  static constexpr unsigned buffers_min = 128;
};

/// What became of one operation.
struct UringEvent {
  std::uint64_t name = 0;
  std::int32_t result = 0;  // as the system call's, or minus an errno
  std::uint32_t flags = 0;

  bool more() const noexcept { return flags & 2u; }  // the operation goes on
  bool has_buffer() const noexcept { return flags & 1u; }
  std::uint16_t buffer() const noexcept { return static_cast<std::uint16_t>(flags >> 16); }
};

class UringRing {
 public:
  static constexpr std::size_t buffer_bytes = 4096;

  /// A ring that is not started yet.
  ///   Thread: any.
  ///   Errors: an errno and a sentence that says what this system has not, or does not allow.
  [[nodiscard]] static std::expected<UringRing, Error> open(const UringOptions& options);

  UringRing(UringRing&& other) noexcept;
  UringRing& operator=(UringRing&& other) noexcept;
  ~UringRing();

  /// Which of its two forms it has; for the log.
  bool deferred() const noexcept;  // completions are worked off by the waiting loop alone: Linux 6.1
  bool skips_success() const noexcept;
  unsigned completions() const noexcept;
  unsigned buffers() const noexcept;

  /// Makes the calling thread the one that uses it. Idempotent. Returns 0 or an errno.
  int start() noexcept;
  bool started() const noexcept;

  // Each puts one operation into the queue, and is false if that is full and can't be emptied now: try again later.
  // Flags of the accepted: non-blocking, close-on-exec.
  bool accept(int fd, std::uint64_t name) noexcept;  // again and again
  bool receive(int fd, std::uint64_t name) noexcept;  // again and again, into the ring's buffers
  bool send(int fd, const void* bytes, std::size_t size, std::uint64_t name) noexcept;  // never waits for the peer
  bool poll(int fd, unsigned events, std::uint64_t name) noexcept;  // again and again
  bool cancel(std::uint64_t target, std::uint64_t name) noexcept;
  /// Operations that the kernel has not taken yet.
  unsigned unsubmitted() const noexcept;

  /// Hands over the queue and lets the kernel work off what has become ready.
  void look() noexcept;
  /// As look(), and waits for an event, but not for longer than `at_most`; base::Duration::max(): for as long as it
  /// takes.
  void wait(base::Duration at_most) noexcept;
  /// Moves events out of the ring, oldest first; returns how many.
  unsigned take(std::span<UringEvent> events) noexcept;
  /// Events that could be taken.
  unsigned ready() const noexcept;
  /// The kernel has more events than the ring has room for.
  bool overflowed() const noexcept;

  char* buffer(std::uint16_t id) noexcept;
  /// Gives a buffer back; the kernel has it after return_buffers().
  void give(std::uint16_t id) noexcept;
  void return_buffers() noexcept;

 private:
  struct State;
  explicit UringRing(std::unique_ptr<State> state) noexcept;

  std::unique_ptr<State> state_;
};

}  // namespace sluice::net
