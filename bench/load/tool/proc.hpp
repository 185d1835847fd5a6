// proc.hpp: what Linux tells about a process: its threads' CPU time and context switches, its memory, its sockets.
// In: the text of files below /proc. Out: numbers; a file that is not as expected gives nothing.
// Thread: any; the functions that take text are pure, the others read files. Must never fail because a process ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sluice/bench.hpp>

namespace sluice::bench {

/// utime + stime of /proc/PID/stat or /proc/PID/task/TID/stat, in clock ticks.
std::optional<std::uint64_t> cpu_ticks(std::string_view stat);

/// The second column of /proc/PID/statm: resident pages.
std::optional<std::uint64_t> resident_pages(std::string_view statm);

/// How often a thread has left its processor since it started.
struct Switches {
  std::uint64_t voluntary = 0, involuntary = 0;
};
/// From /proc/PID/task/TID/status.
std::optional<Switches> context_switches(std::string_view status);

/// The inodes of the sockets that listen on `port`, from /proc/net/tcp or /proc/net/tcp6.
std::vector<std::uint64_t> tcp_listeners(std::string_view table, std::uint16_t port);
/// The same for a unix socket, from /proc/net/unix; `name` is a path, or "@name" for an abstract one.
std::vector<std::uint64_t> unix_listeners(std::string_view table, std::string_view name);
/// The inode in "socket:[12345]", as the link of a descriptor reads.
std::optional<std::uint64_t> socket_inode(std::string_view link);

/// The processes that hold one of these sockets, as far as this user may look.
///   Cost: reads the descriptors of every process.
std::vector<int> holders(const std::vector<std::uint64_t>& inodes);

/// Where a server listens, for listening_processes.
struct Listening {
  std::uint16_t port = 0;   // 0: `unix_name` counts
  std::string unix_name{};  // a path or "@name"
};
std::vector<int> listening_processes(const Listening& where);

/// Watches one process: each look gives the rates since the look before it.
/// Thread: one at a time.
class ProcessWatch {
 public:
  using Clock = std::chrono::steady_clock;

  explicit ProcessWatch(int pid) : pid_{pid} {}

  /// A look that comes later than this after the one before has no rates: they would be of another run.
  static constexpr std::chrono::seconds gap_max{3};

  /// Fills in what the process shows now. The first look has no rates.
  ///   Errors: the fields stay empty; the process may have ended.
  void look(ServerSample& sample, Clock::time_point now = Clock::now());

  int pid() const noexcept { return pid_; }

 private:
  struct Thread {
    std::uint64_t ticks = 0;
    Switches switches{};
  };
  using Threads = std::unordered_map<int, Thread>;

  Threads read_threads() const;
  void compare(const Threads& threads, double seconds, ServerSample& sample) const;

  int pid_;
  Threads before_{};
  std::optional<std::uint64_t> ticks_before_{};
  Clock::time_point at_{};
};

/// A file below /proc, of at most `bytes_max`; nothing if it cannot be read.
std::optional<std::string> read_proc(const std::string& path, std::size_t bytes_max = 16 * 1024 * 1024);

}  // namespace sluice::bench
