// profile.cpp: perf as a child process: record until told to stop, then script through a pipe.
// Thread: that of the caller; waits are bounded. The children get default signals, no input and no terminal.
#include "load/tool/profile.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>

#include "base/fd.hpp"
#include "load/tool/proc.hpp"

namespace sluice::bench {
namespace {

constexpr int finish_ms_max = 20'000;               // perf record has to write what is in its buffers
constexpr int script_silence_ms_max = 20'000;       // perf script may look for symbols for long
constexpr std::size_t script_bytes_max = 512 << 20;  // then the profile is cut
constexpr std::string_view no_samples =
    "perf recorded nothing; it may not look at the process (kernel.perf_event_paranoid), or that did not run";

/// Owns a posix_spawn_file_actions_t and a posix_spawnattr_t.
class SpawnSettings {
 public:
  explicit SpawnSettings(int output_fd) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (output_fd >= 0) ::posix_spawn_file_actions_adddup2(&actions_, output_fd, STDOUT_FILENO);
    else ::posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawnattr_init(&attributes_);
    ::sigset_t defaults, unblocked;
    ::sigemptyset(&unblocked);
    ::sigemptyset(&defaults);
    for (const int number : {SIGINT, SIGTERM, SIGPIPE}) ::sigaddset(&defaults, number);
    ::posix_spawnattr_setsigdefault(&attributes_, &defaults);
    ::posix_spawnattr_setsigmask(&attributes_, &unblocked);
    // A group of its own: an interrupt from the keyboard ends the search, and that ends perf.
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  const ::posix_spawn_file_actions_t* actions() const noexcept { return &actions_; }
  const ::posix_spawnattr_t* attributes() const noexcept { return &attributes_; }

 private:
  ::posix_spawn_file_actions_t actions_;
  ::posix_spawnattr_t attributes_;
};

std::expected<::pid_t, std::string> spawn(std::vector<std::string> arguments, int output_fd) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const SpawnSettings settings{output_fd};
  ::pid_t child = -1;
  const int error =
      ::posix_spawnp(&child, pointers[0], settings.actions(), settings.attributes(), pointers.data(), environ);
  if (error == ENOENT) return std::unexpected{arguments[0] + " is not installed"};
  if (error != 0) return std::unexpected{"cannot start " + arguments[0] + ": " + std::strerror(error)};
  return child;
}

/// Waits for a child's end; after `ms_max` it is killed.
void reap(::pid_t child, int ms_max) {
  const base::Fd handle{static_cast<int>(::syscall(SYS_pidfd_open, child, 0))};
  ::pollfd ended{handle.get(), POLLIN, 0};
  if (!handle || ::poll(&ended, 1, ms_max) != 1) ::kill(child, SIGKILL);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {}
}

/// All that comes out of `fd`, up to the limits.
std::string read_all(int fd) {
  std::string text;
  std::array<char, 64 * 1024> buffer;
  ::pollfd readable{fd, POLLIN, 0};
  while (text.size() < script_bytes_max) {
    const int ready = ::poll(&readable, 1, script_silence_ms_max);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) break;
    const ::ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return text;
}

std::expected<std::filesystem::path, std::string> private_folder() {
  std::error_code error;
  const auto parent = std::filesystem::temp_directory_path(error);
  std::string name = ((error ? std::filesystem::path{"/tmp"} : parent) / "sluice-load-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return std::unexpected{"cannot make a folder for the profile: " + std::string{std::strerror(errno)}};
  }
  return std::filesystem::path{name};
}

/// The processors the process may run on, as perf takes them ("0,2,3"); empty if that is not known.
std::string processors_of(int pid) {
  ::cpu_set_t set;
  if (::sched_getaffinity(pid, sizeof set, &set) != 0) return {};
  std::string list;
  const long count = std::min<long>(::sysconf(_SC_NPROCESSORS_CONF), CPU_SETSIZE);
  for (long cpu = 0; cpu < count; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) list += (list.empty() ? "" : ",") + std::to_string(cpu);
  }
  return list;
}

/// Whether this user may sample whole processors.
bool may_sample_processors() {
  if (::geteuid() == 0) return true;
  const std::string paranoid = read_proc("/proc/sys/kernel/perf_event_paranoid").value_or("");
  return paranoid.starts_with('-') || paranoid.starts_with('0');
}

/// What perf is to watch. A process watched by its id pays at each of its context switches, several percent in all; its
/// processors cost next to nothing, and the process is picked out afterwards.
std::vector<std::string> watched(int pid) {
  std::string processors = may_sample_processors() ? processors_of(pid) : std::string{};
  if (processors.empty()) return {"-p", std::to_string(pid)};
  return {"-C", std::move(processors)};
}

}  // namespace

std::expected<PerfRecording, std::string> PerfRecording::start(int pid) {
  auto folder = private_folder();
  if (!folder) return std::unexpected{folder.error()};
  const std::string file = (*folder / "perf.data").string();
  std::vector<std::string> command{"perf", "record", "-q", "-F", "99", "-g", "--call-graph", "fp", "-o", file};
  for (std::string& word : watched(pid)) command.push_back(std::move(word));
  const auto child = spawn(std::move(command), -1);
  if (!child) {
    std::error_code ignored;
    std::filesystem::remove_all(*folder, ignored);
    return std::unexpected{child.error()};
  }
  return PerfRecording{pid, *child, std::move(*folder)};
}

PerfRecording::PerfRecording(PerfRecording&& other) noexcept
    : pid_{other.pid_}, perf_{std::exchange(other.perf_, -1)}, folder_{std::exchange(other.folder_, {})} {}

PerfRecording::~PerfRecording() {
  if (perf_ > 0) {
    ::kill(perf_, SIGTERM);
    reap(perf_, finish_ms_max);
  }
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::expected<FoldedStacks, std::string> PerfRecording::finish() {
  ::kill(perf_, SIGINT);  // perf writes its file and then dies of this very signal, so its status says nothing
  reap(std::exchange(perf_, -1), finish_ms_max);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::unexpected{std::string{"no pipe to perf: "} + std::strerror(errno)};
  base::Fd from{ends[0]}, to{ends[1]};
  const auto child =
      spawn({"perf", "script", "--pid", std::to_string(pid_), "-i", (folder_ / "perf.data").string()}, to.get());
  if (!child) return std::unexpected{child.error()};
  to.reset();
  const std::string text = read_all(from.get());
  from.reset();  // if it was cut, perf ends with its next write
  reap(*child, finish_ms_max);
  FoldedStacks stacks = fold(text);
  if (stacks.empty()) return std::unexpected{std::string{no_samples}};
  return stacks;
}

void Profiler::stage(std::string_view percent, bool begins) {
  if (begins) {
    running_.clear();
    auto recording = PerfRecording::start(pid_);
    if (recording) running_.push_back(std::move(*recording));
    else if (warning_.empty()) warning_ = "no flame graphs: " + recording.error();
    return;
  }
  if (running_.empty()) return;
  auto stacks = running_.back().finish();
  running_.clear();
  if (!stacks) {
    if (warning_.empty()) warning_ = "no flame graph at " + std::string{percent} + " %: " + stacks.error();
    return;
  }
  Flame flame{0, std::move(*stacks)};
  std::from_chars(percent.data(), percent.data() + percent.size(), flame.percent);
  profiles_.push_back(std::move(flame));
}

}  // namespace sluice::bench
