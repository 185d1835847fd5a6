// raw_calls.hpp: the system calls of every request, without what glibc adds for pthread_cancel, which ends no thread
// here: in a program with several threads two locked instructions and two calls for each.
// In and out: as the functions of libc of the same names, errno included. Thread: any.
// Sanitizers watch libc's functions, and get those; so does a build with SLUICE_RAW_CALLS off.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

namespace sluice::net::raw {

#if defined(SLUICE_LIBC_CALLS)
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLUICE_LIBC_CALLS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SLUICE_LIBC_CALLS
#endif
#endif

#if !defined(SLUICE_LIBC_CALLS) && defined(SYS_recvfrom) && defined(SYS_sendto) && \
    (defined(SYS_epoll_wait) || defined(SYS_epoll_pwait))

inline ssize_t recv(int fd, void* to, std::size_t size, int flags) noexcept {
  return ::syscall(SYS_recvfrom, fd, to, size, flags, nullptr, nullptr);
}
inline ssize_t send(int fd, const void* from, std::size_t size, int flags) noexcept {
  return ::syscall(SYS_sendto, fd, from, size, flags, nullptr, 0);
}
inline int epoll_wait(int fd, epoll_event* events, int max, int timeout_ms) noexcept {
#ifdef SYS_epoll_wait
  return static_cast<int>(::syscall(SYS_epoll_wait, fd, events, max, timeout_ms));
#else
  return static_cast<int>(::syscall(SYS_epoll_pwait, fd, events, max, timeout_ms, nullptr, std::size_t{0}));
#endif
}

#else

inline ssize_t recv(int fd, void* to, std::size_t size, int flags) noexcept { return ::recv(fd, to, size, flags); }
inline ssize_t send(int fd, const void* from, std::size_t size, int flags) noexcept {
  return ::send(fd, from, size, flags);
}
inline int epoll_wait(int fd, epoll_event* events, int max, int timeout_ms) noexcept {
  return ::epoll_wait(fd, events, max, timeout_ms);
}

#endif

}  // namespace sluice::net::raw
