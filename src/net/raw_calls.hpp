// raw_calls.hpp: the system calls of every request, without what glibc adds for pthread_cancel, which ends no thread
// here: in a program with several threads two locked instructions and two calls for each.
// In and out: as the functions of libc of the same names, errno included. Thread: any.
// Sanitizers watch libc's functions, and get those; so does a build with SLUICE_RAW_CALLS off.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
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

inline long place(const void* pointer) noexcept { return reinterpret_cast<long>(pointer); }

#if defined(__x86_64__) && !defined(__ILP32__)
/// As syscall(2), in place. Source: System V ABI, AMD64 supplement, A.2.1.
inline long call(long number, long a, long b, long c, long d, long e, long f) noexcept {
  long result = number;
  register long fourth asm("r10") = d;
  register long fifth asm("r8") = e;
  register long sixth asm("r9") = f;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
               : "rcx", "r11", "memory");
  if (result >= 0) [[likely]]
    return result;
  errno = static_cast<int>(-result);
  return -1;
}
#else
inline long call(long number, long a, long b, long c, long d, long e, long f) noexcept {
  return ::syscall(number, a, b, c, d, e, f);
}
#endif

inline ssize_t recv(int fd, void* to, std::size_t size, int flags) noexcept {
  return call(SYS_recvfrom, fd, place(to), static_cast<long>(size), flags, 0, 0);
}
inline ssize_t send(int fd, const void* from, std::size_t size, int flags) noexcept {
  return call(SYS_sendto, fd, place(from), static_cast<long>(size), flags, 0, 0);
}
inline int epoll_wait(int fd, epoll_event* events, int max, int timeout_ms) noexcept {
#ifdef SYS_epoll_wait
  return static_cast<int>(call(SYS_epoll_wait, fd, place(events), max, timeout_ms, 0, 0));
#else
  return static_cast<int>(call(SYS_epoll_pwait, fd, place(events), max, timeout_ms, 0, 0));
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
