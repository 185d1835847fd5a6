// profile.hpp: flame graphs of the server while a search runs: perf records, this folds what it says into stacks.
// In: a process id, the stages of a search, the text of `perf script`. Out: one Flame per profiled stage.
// Thread: one at a time, the one that calls search(). Must never fail a search: without perf there is one warning.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "load/output/result_json.hpp"

namespace sluice::bench {

/// Stacks with how often each was seen: "comm;outermost;...;innermost".
using FoldedStacks = std::vector<std::pair<std::string, std::uint64_t>>;

inline constexpr std::size_t folded_stacks_max = 20'000;

/// Folds the output of `perf script`, most frequent stack first. Addresses, offsets and file names are left out.
///   Units: `stacks_max` distinct stacks; samples of further ones count as "comm;[other stacks]".
FoldedStacks fold(std::string_view perf_script_output, std::size_t stacks_max = folded_stacks_max);

/// Runs `perf record` on one process, for a while.
class PerfRecording {
 public:
  /// Starts it.
  ///   Errors: one line; perf is not installed, or there is no folder for its file.
  [[nodiscard]] static std::expected<PerfRecording, std::string> start(int pid);

  PerfRecording(PerfRecording&& other) noexcept;
  PerfRecording& operator=(PerfRecording&&) = delete;
  /// Ends perf if it still runs, and removes its file.
  ~PerfRecording();

  /// Ends the recording and reads it.
  ///   Errors: one line; perf may not look at the process, or recorded nothing.
  ///   Cost:   up to half a minute, most of it perf's search for symbols.
  [[nodiscard]] std::expected<FoldedStacks, std::string> finish();

 private:
  PerfRecording(int pid, ::pid_t perf, std::filesystem::path folder)
      : pid_{pid}, perf_{perf}, folder_{std::move(folder)} {}

  int pid_;  // the process that is looked at
  ::pid_t perf_;
  std::filesystem::path folder_;
};

/// What SearchOptions::on_profile_stage is made of.
class Profiler {
 public:
  explicit Profiler(int pid) : pid_{pid} {}

  /// "80" or "120"; true at the stage's start, false at its end.
  void stage(std::string_view percent, bool begins);

  const std::vector<Flame>& profiles() const noexcept { return profiles_; }
  /// Why there are fewer than expected: at most one line. Empty: all is well.
  const std::string& warning() const noexcept { return warning_; }

 private:
  int pid_;
  std::vector<PerfRecording> running_{};  // none or one
  std::vector<Flame> profiles_{};
  std::string warning_{};
};

}  // namespace sluice::bench
