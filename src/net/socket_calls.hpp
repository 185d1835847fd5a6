// socket_calls.hpp: system calls on a stream's socket that every backend over real sockets makes in the same way.
// In: a stream with output, an address. Out: what was taken, or an errno. Thread: the stream's loop.
// A file is sent by sendfile, which reads what is not in the page cache from its disk, and the loop waits for that.
// Must never wait for the peer, never raise SIGPIPE.
#pragma once

#include <cstddef>
#include <expected>

#include "base/fd.hpp"
#include "net/io.hpp"

namespace sluice::net {

inline constexpr std::size_t file_bytes_max = 512 * 1024;  // of a file, per write

/// Gives the socket what it takes now of `out`, which is not empty; never Wrote::queued.
///   Cost: one system call; with a file behind bytes in memory, two.
WriteResult write_now(Stream& stream) noexcept;

/// A non-blocking socket, bound and connecting as asked. Errors: errno.
std::expected<base::Fd, int> connecting_socket(const Address& to, const ConnectOptions& options) noexcept;

/// The error that the kernel keeps for the socket, which is told only once; ECONNRESET if it has none any more.
int take_error(const Stream& stream) noexcept;

/// A close that follows sends RST, and what was not sent is dropped.
void reset_on_close(const Stream& stream) noexcept;

}  // namespace sluice::net
