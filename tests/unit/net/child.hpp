// child.hpp: a test's question asked in a process of its own, whose limits and rights may be taken away.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "base/fd.hpp"

namespace sluice::net {

/// What `question()` answers in a child of this process, or how that ended.
template <class Question>
std::string ask_in_child(Question&& question) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return "no pipe";
  base::Fd reading{ends[0]}, writing{ends[1]};
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string answer = question();
    const bool told = ::write(writing.get(), answer.data(), answer.size()) == static_cast<ssize_t>(answer.size());
    ::_exit(told ? 0 : 2);
  }
  writing.reset();
  std::string answer;
  std::array<char, 1024> piece{};
  for (ssize_t count; (count = ::read(reading.get(), piece.data(), piece.size())) > 0;) {
    answer.append(piece.data(), static_cast<std::size_t>(count));
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    answer += " [the child ended with " + std::to_string(status) + "]";
  }
  return answer;
}

/// From here on this process, a child, gets `error` for io_uring_setup, as in a container that forbids it.
inline bool forbid_io_uring(unsigned error) {
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace sluice::net
