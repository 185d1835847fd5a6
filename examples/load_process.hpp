// load_process.hpp: the demo's load, demo_load.cpp, as a child of the program that shows it. Lines go to it and come from
// it over one socket; it ends when that does, so with its parent, however that ends.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

/// Any thread may call say(); the rest is its owner's.
class LoadProcess {
 public:
  /// Told each line, and an empty one when it has ended. Thread: its own.
  using Heard = std::function<void(const std::string& line)>;

  /// Errors: std::system_error.
  LoadProcess(std::vector<std::string> command, Heard heard) : heard_{std::move(heard)} {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail(errno, "socketpair");
    ours_ = ends[0];
    const int error = spawn(command, ends[1]);
    ::close(ends[1]);
    if (error == 0) {
      reader_ = std::thread{[this] { read(); }};
      return;
    }
    ::close(ours_);
    fail(error, command.front());
  }
  LoadProcess(const LoadProcess&) = delete;
  LoadProcess& operator=(const LoadProcess&) = delete;
  ~LoadProcess() {
    end();
    ::close(ours_);
    while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {}
  }

  /// Nothing more is heard of it when this returns.
  void end() {
    ::shutdown(ours_, SHUT_RDWR);
    if (reader_.joinable()) reader_.join();
  }

  /// False if it can't be told now. Never waits: it must not be the loop's fault that the child is busy.
  bool say(const std::string& line) noexcept {
    return ::send(ours_, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(line.size());
  }

 private:
  [[noreturn]] static void fail(int error, const std::string& what) {
    throw std::system_error{error, std::generic_category(), what};
  }

  /// With its end of the socket as standard input and output, and no signal blocked.
  int spawn(std::vector<std::string>& command, int end) {
    std::vector<char*> words;
    for (std::string& word : command) words.push_back(word.data());
    words.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_adddup2(&files, end, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, end, STDOUT_FILENO);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const int error = ::posix_spawn(&child_, words.front(), &files, &attributes, words.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&files);
    return error;
  }

  void read() {
    std::string text;
    char piece[4096];
    for (;;) {
      const ssize_t count = ::recv(ours_, piece, sizeof piece, 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0 || text.size() > sizeof piece) break;
      text.append(piece, static_cast<std::size_t>(count));
      for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
        heard_(text.substr(0, end));
        text.erase(0, end + 1);
      }
    }
    heard_({});
  }

  const Heard heard_;
  int ours_ = -1;
  pid_t child_ = -1;
  std::thread reader_;
};
