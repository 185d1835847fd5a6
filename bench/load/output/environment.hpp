// environment.hpp: on what machine and with which program a result was measured.
// In: the kernel, /proc, /sys and the compiler's macros. Out: plain values; what is not to be had is empty or 0.
// Thread: any; a call reads some small files. Never reads environment variables.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::bench {

/// Conditions of a measurement, as they are written into its result.
struct Environment {
  std::string version{};   // of sluice
  std::string build{};     // "optimized" or "unoptimized", then "assertions" and sanitizers, if they are in
  std::string compiler{};  // "gcc 12.2.0"
  std::string commit{};    // SLUICE_COMMIT at compile time; may be ""
  std::string host{};
  std::string kernel{};    // "Linux 6.1.0"
  std::string cpu{};       // the model's name
  unsigned cpus = 0;       // online
  std::uint64_t memory_bytes = 0;
  std::string mitigations{};  // "mitigated: spectre_v1, spectre_v2; vulnerable: mds"; "none"; "" if not known
  std::uint64_t descriptors_max = 0;  // soft limit of this process
  std::string generator_cpus{};       // on which this thread may run, as "0-3,7"
};

/// This program on this machine, now.
Environment read_environment();

/// The value of the first line `key : value` in the text of /proc/cpuinfo; "" if there is none.
std::string cpuinfo_value(std::string_view cpuinfo, std::string_view key);
/// One line for pairs of a CPU weakness and what the kernel says of it. Weaknesses that the CPU has not are left out.
std::string summarize_mitigations(std::vector<std::pair<std::string, std::string>> vulnerabilities);
/// Numbers, ascending, as "0-3,7".
std::string cpu_list(const std::vector<unsigned>& cpus);

}  // namespace sluice::bench
