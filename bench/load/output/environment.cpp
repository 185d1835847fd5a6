// environment.cpp: reads what the kernel tells about machine and process.
// Thread: any. A file that is not there leaves its value empty; nothing here can fail a run.
#include "load/output/environment.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include <sluice/version.hpp>

namespace sluice::bench {
namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in{file};
  std::ostringstream text;
  if (in) text << in.rdbuf();
  return std::move(text).str();
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return std::string{text.substr(begin, text.find_last_not_of(blanks) - begin + 1)};
}

std::string compiler_text() {
#if defined(__clang__)
  return "clang " + std::to_string(__clang_major__) + '.' + std::to_string(__clang_minor__) + '.' +
         std::to_string(__clang_patchlevel__);
#elif defined(__GNUC__)
  return "gcc " + trimmed(__VERSION__);
#else
  return {};
#endif
}

std::string build_text() {
  std::string text;
#if defined(__OPTIMIZE__)
  text = "optimized";
#else
  text = "unoptimized";
#endif
#if !defined(NDEBUG)
  text += ", assertions";
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  text += ", asan";
#endif
#if __has_feature(thread_sanitizer)
  text += ", tsan";
#endif
#else
#if defined(__SANITIZE_ADDRESS__)
  text += ", asan";
#endif
#if defined(__SANITIZE_THREAD__)
  text += ", tsan";
#endif
#endif
  return text;
}

std::string commit_text() {
#if defined(SLUICE_COMMIT)
  return SLUICE_COMMIT;
#else
  return {};
#endif
}

std::vector<std::pair<std::string, std::string>> read_vulnerabilities() {
  std::vector<std::pair<std::string, std::string>> found;
  std::error_code error;
  std::filesystem::directory_iterator folder{"/sys/devices/system/cpu/vulnerabilities", error};
  for (; !error && folder != std::filesystem::directory_iterator{}; folder.increment(error)) {
    found.emplace_back(folder->path().filename().string(), trimmed(text_of(folder->path())));
  }
  return found;
}

std::vector<unsigned> allowed_cpus() {
  std::vector<unsigned> cpus;
  ::cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

std::uint64_t positive(long value) { return value > 0 ? static_cast<std::uint64_t>(value) : 0; }

void append_names(std::string& text, std::string_view what, const std::vector<std::string>& names) {
  if (names.empty()) return;
  if (!text.empty()) text += "; ";
  text += what;
  for (std::size_t index = 0; index < names.size(); ++index) text += (index == 0 ? ": " : ", ") + names[index];
}

}  // namespace

std::string cpuinfo_value(std::string_view cpuinfo, std::string_view key) {
  while (!cpuinfo.empty()) {
    const std::size_t end = std::min(cpuinfo.find('\n'), cpuinfo.size());
    const std::string_view line = cpuinfo.substr(0, end);
    cpuinfo.remove_prefix(std::min(end + 1, cpuinfo.size()));
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && trimmed(line.substr(0, colon)) == key)
      return trimmed(line.substr(colon + 1));
  }
  return {};
}

std::string summarize_mitigations(std::vector<std::pair<std::string, std::string>> vulnerabilities) {
  if (vulnerabilities.empty()) return {};
  std::sort(vulnerabilities.begin(), vulnerabilities.end());
  std::vector<std::string> mitigated, vulnerable, unclear;
  for (const auto& [name, state] : vulnerabilities) {
    if (state.starts_with("Not affected")) continue;
    if (state.starts_with("Mitigation")) mitigated.push_back(name);
    else if (state.starts_with("Vulnerable")) vulnerable.push_back(name);
    else unclear.push_back(name);
  }
  std::string text;
  append_names(text, "mitigated", mitigated);
  append_names(text, "vulnerable", vulnerable);
  append_names(text, "unclear", unclear);
  return text.empty() ? "none" : text;
}

std::string cpu_list(const std::vector<unsigned>& cpus) {
  std::string text;
  for (std::size_t first = 0, last = 0; first < cpus.size(); first = last + 1) {
    last = first;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(cpus[first]);
    if (last != first) text += '-' + std::to_string(cpus[last]);
  }
  return text;
}

Environment read_environment() {
  Environment environment;
  environment.version = SLUICE_VERSION;
  environment.build = build_text();
  environment.compiler = compiler_text();
  environment.commit = commit_text();
  if (::utsname names{}; ::uname(&names) == 0) {
    environment.host = names.nodename;
    environment.kernel = std::string{names.sysname} + ' ' + names.release;
  }
  const std::string cpuinfo = text_of("/proc/cpuinfo");
  for (const std::string_view key : {"model name", "Model", "Hardware"}) {
    if (environment.cpu.empty()) environment.cpu = cpuinfo_value(cpuinfo, key);
  }
  environment.cpus = static_cast<unsigned>(positive(::sysconf(_SC_NPROCESSORS_ONLN)));
  environment.memory_bytes = positive(::sysconf(_SC_PHYS_PAGES)) * positive(::sysconf(_SC_PAGESIZE));
  environment.mitigations = summarize_mitigations(read_vulnerabilities());
  if (::rlimit limit{}; ::getrlimit(RLIMIT_NOFILE, &limit) == 0) environment.descriptors_max = limit.rlim_cur;
  environment.generator_cpus = cpu_list(allowed_cpus());
  return environment;
}

}  // namespace sluice::bench
