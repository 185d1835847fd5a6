// proc.cpp: reading /proc. Pure functions for the texts, and the few that open files.
// Sources: proc(5).
#include "load/tool/proc.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <span>
#include <system_error>
#include <thread>

#include "base/fd.hpp"

namespace sluice::bench {
namespace {

constexpr std::chrono::microseconds between_threads{500};

constexpr std::string_view blanks = " \t";

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> found;
  for (std::size_t begin = line.find_first_not_of(blanks); begin != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(blanks, begin), line.size());
    found.push_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(blanks, end);
  }
  return found;
}

template <class Visit>
void for_each_line(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::optional<std::uint64_t> number(std::string_view digits, int base = 10) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

/// The number after `key` and a colon, at the start of a line.
std::optional<std::uint64_t> status_number(std::string_view status, std::string_view key) {
  std::optional<std::uint64_t> found;
  for_each_line(status, [&](std::string_view line) {
    if (!line.starts_with(key) || line.substr(key.size(), 1) != ":") return;
    const auto columns = words(line.substr(key.size() + 1));
    if (!columns.empty()) found = number(columns[0]);
  });
  return found;
}

/// The numbers that name entries of a folder of /proc: processes, threads, descriptors.
std::vector<int> numbered_entries(const std::string& folder) {
  std::vector<int> found;
  std::error_code error;
  std::filesystem::directory_iterator entry{folder, std::filesystem::directory_options::skip_permission_denied, error};
  const std::filesystem::directory_iterator end;
  while (!error && entry != end) {
    if (const auto value = number(entry->path().filename().string())) found.push_back(static_cast<int>(*value));
    entry.increment(error);
  }
  return found;
}

bool holds_any(int pid, std::span<const std::uint64_t> inodes) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
  const auto descriptors = numbered_entries(folder);
  return std::any_of(descriptors.begin(), descriptors.end(), [&](int fd) {
    std::error_code error;
    const auto link = std::filesystem::read_symlink(folder + '/' + std::to_string(fd), error);
    if (error) return false;
    const auto inode = socket_inode(link.native());
    return inode && std::find(inodes.begin(), inodes.end(), *inode) != inodes.end();
  });
}

double ticks_per_second() { return static_cast<double>(::sysconf(_SC_CLK_TCK)); }

}  // namespace

std::optional<std::uint64_t> cpu_ticks(std::string_view stat) {
  // The second column is the name in brackets, which may hold blanks and brackets itself.
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  const auto columns = words(stat.substr(name_end + 1));
  constexpr std::size_t utime = 11, stime = 12;  // from the state, which is column 3, on
  if (columns.size() <= stime) return std::nullopt;
  const auto user = number(columns[utime]), system = number(columns[stime]);
  if (!user || !system) return std::nullopt;
  return *user + *system;
}

std::optional<std::uint64_t> resident_pages(std::string_view statm) {
  const auto columns = words(statm.substr(0, statm.find('\n')));
  return columns.size() < 2 ? std::nullopt : number(columns[1]);
}

std::optional<Switches> context_switches(std::string_view status) {
  const auto voluntary = status_number(status, "voluntary_ctxt_switches");
  const auto involuntary = status_number(status, "nonvoluntary_ctxt_switches");
  if (!voluntary || !involuntary) return std::nullopt;
  return Switches{*voluntary, *involuntary};
}

std::vector<std::uint64_t> tcp_listeners(std::string_view table, std::uint16_t port) {
  constexpr std::size_t local = 1, state = 3, inode = 9;
  std::vector<std::uint64_t> found;
  for_each_line(table, [&](std::string_view line) {
    const auto columns = words(line);
    if (columns.size() <= inode || columns[state] != "0A") return;  // TCP_LISTEN
    const std::size_t colon = columns[local].rfind(':');
    if (colon == std::string_view::npos || number(columns[local].substr(colon + 1), 16) != port) return;
    if (const auto value = number(columns[inode])) found.push_back(*value);
  });
  return found;
}

std::vector<std::uint64_t> unix_listeners(std::string_view table, std::string_view name) {
  constexpr std::size_t flags = 3, inode = 6, path = 7;
  constexpr std::uint64_t accepts = 0x10000;  // __SO_ACCEPTCON
  std::vector<std::uint64_t> found;
  for_each_line(table, [&](std::string_view line) {
    const auto columns = words(line);
    if (columns.size() <= path || (number(columns[flags], 16).value_or(0) & accepts) == 0) return;
    const std::size_t begin = static_cast<std::size_t>(columns[path].data() - line.data());  // the path may hold blanks
    if (line.substr(begin) != name) return;
    if (const auto value = number(columns[inode])) found.push_back(*value);
  });
  return found;
}

std::optional<std::uint64_t> socket_inode(std::string_view link) {
  constexpr std::string_view before = "socket:[";
  if (!link.starts_with(before) || !link.ends_with(']')) return std::nullopt;
  return number(link.substr(before.size(), link.size() - before.size() - 1));
}

std::vector<int> holders(const std::vector<std::uint64_t>& inodes) {
  std::vector<int> found;
  if (inodes.empty()) return found;
  for (const int pid : numbered_entries("/proc")) {
    if (holds_any(pid, inodes)) found.push_back(pid);
  }
  return found;
}

std::vector<int> listening_processes(const Listening& where) {
  std::vector<std::uint64_t> inodes;
  const auto add = [&](const std::vector<std::uint64_t>& more) {
    inodes.insert(inodes.end(), more.begin(), more.end());
  };
  if (where.port == 0) {
    add(unix_listeners(read_proc("/proc/net/unix").value_or(""), where.unix_name));
  } else {
    add(tcp_listeners(read_proc("/proc/net/tcp").value_or(""), where.port));
    add(tcp_listeners(read_proc("/proc/net/tcp6").value_or(""), where.port));
  }
  return holders(inodes);
}

void ProcessWatch::look(ServerSample& sample, Clock::time_point now) {
  const std::string folder = "/proc/" + std::to_string(pid_);
  if (const auto statm = read_proc(folder + "/statm")) {
    if (const auto pages = resident_pages(*statm)) {
      sample.rss_bytes = *pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    }
  }
  const auto stat = read_proc(folder + "/stat");
  const auto ticks = stat ? cpu_ticks(*stat) : std::nullopt;
  Threads threads = read_threads();
  if (!threads.empty()) sample.threads = threads.size();
  const double seconds = std::chrono::duration<double>(now - at_).count();
  if (ticks && ticks_before_ && seconds > 0 && now - at_ <= gap_max) {
    // The process's own count holds the threads that ended meanwhile, too.
    const std::uint64_t spent = *ticks - std::min(*ticks, *ticks_before_);
    sample.cpu_cores = static_cast<double>(spent) / ticks_per_second() / seconds;
    compare(threads, seconds, sample);
  }
  ticks_before_ = ticks;
  before_ = std::move(threads);
  at_ = now;
}

ProcessWatch::Threads ProcessWatch::read_threads() const {
  Threads threads;
  const std::string folder = "/proc/" + std::to_string(pid_) + "/task";
  for (const int tid : numbered_entries(folder)) {
    const std::string thread = folder + '/' + std::to_string(tid);
    const auto stat = read_proc(thread + "/stat");
    const auto status = read_proc(thread + "/status");
    const auto ticks = stat ? cpu_ticks(*stat) : std::nullopt;
    if (!ticks) continue;
    threads[tid] = Thread{*ticks, status ? context_switches(*status).value_or(Switches{}) : Switches{}};
    // The generator may share this processor: dozens of files in one go would make it send milliseconds late.
    std::this_thread::sleep_for(between_threads);
  }
  return threads;
}

void ProcessWatch::compare(const Threads& threads, double seconds, ServerSample& sample) const {
  const auto grown = [](std::uint64_t now, std::uint64_t then) {
    return static_cast<double>(now - std::min(now, then));
  };
  double hottest = 0, voluntary = 0, involuntary = 0;
  for (const auto& [tid, thread] : threads) {
    const auto found = before_.find(tid);
    const Thread then = found == before_.end() ? Thread{} : found->second;
    hottest = std::max(hottest, grown(thread.ticks, then.ticks));
    voluntary += grown(thread.switches.voluntary, then.switches.voluntary);
    involuntary += grown(thread.switches.involuntary, then.switches.involuntary);
  }
  if (threads.empty()) return;
  sample.hottest_thread = hottest / ticks_per_second() / seconds;
  sample.voluntary_switches_per_s = voluntary / seconds;
  sample.involuntary_switches_per_s = involuntary / seconds;
}

std::optional<std::string> read_proc(const std::string& path, std::size_t bytes_max) {
  const base::Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) return std::nullopt;
  std::string text;
  constexpr std::size_t step = 16 * 1024;
  while (text.size() < bytes_max) {
    const std::size_t size = text.size();
    text.resize(size + step);
    const ::ssize_t count = ::read(fd.get(), text.data() + size, step);
    text.resize(size + static_cast<std::size_t>(std::max<::ssize_t>(count, 0)));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::nullopt;
    if (count == 0) break;
  }
  return text;
}

}  // namespace sluice::bench
