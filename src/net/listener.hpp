// listener.hpp: the listening sockets of one address, one per loop.
// In: an address and how to serve it. Out: non-blocking, close-on-exec descriptors for Loop::listen.
// Thread: one at a time, outside the loops. Must never share a TCP port with another program by accident, never remove
// a file that is not a dead socket or that is not ours.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <optional>
#include <vector>

#include "base/fd.hpp"
#include "net/address.hpp"
#include "net/error.hpp"

namespace sluice::net {

struct ListenOptions {
  unsigned loops = 1;
  int backlog = 512;               // the kernel takes min(this, net.core.somaxconn)
  std::uint32_t unix_mode = 0600;  // of a unix socket's file, whatever the umask
};

/// Bound and listening while it lives.
class Listener {
 public:
  /// What the kernel takes of a connection's output beyond what it has sent. Else it takes megabytes: an answer whose
  /// client does not read would be out of our hands, its memory the kernel's, and no write would ever stall.
  static constexpr int unsent_bytes_max = 128 * 1024;

  /// Errors: the errno of the call that failed; EADDRINUSE also for a port another reuseport server has, and for a
  ///         path where something else than a dead socket is.
  [[nodiscard]] static std::expected<Listener, Error> open(const Address& address, const ListenOptions& options);

  Listener(Listener&& other) noexcept = default;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener() { close(); }

  /// The socket for loop number `loop`.
  int fd(unsigned loop) const noexcept { return fds_[loop].get(); }
  /// Whether the loops share one socket (unix): second argument of Loop::listen.
  bool shared() const noexcept { return address_.is_unix() && fds_.size() > 1; }
  /// With the kernel's choice in place of port 0.
  const Address& address() const noexcept { return address_; }
  /// Closes the sockets and removes the unix socket's file, if it is still this listener's. Idempotent.
  void close() noexcept;

 private:
  struct File {  // which file bind made
    dev_t device;
    ino_t inode;
  };

  explicit Listener(const Address& address) : address_{address} {}
  std::optional<Error> open_tcp(const ListenOptions& options);
  std::optional<Error> open_unix(const ListenOptions& options);
  std::optional<Error> bind_path(int fd, std::uint32_t mode);
  std::optional<Error> add_tcp(bool first, const ListenOptions& options);

  Address address_;
  std::vector<base::Fd> fds_{};
  std::optional<File> file_{};
};

/// Who is at the other end of a connected socket; family 0 if that is unknown.
Address peer_address(int fd) noexcept;
/// The address a connected or bound socket has on this side.
Address local_address(int fd) noexcept;

struct Credentials {
  pid_t process = 0;
  uid_t user = 0;
  gid_t group = 0;
};
/// Of the process that connected a unix socket, at the time it did; nothing for other sockets.
std::optional<Credentials> peer_credentials(int fd) noexcept;

}  // namespace sluice::net
