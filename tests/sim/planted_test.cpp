// The simulator proves that it finds bugs: each bug of base/planted.hpp is switched on in a process of its own, which
// lives through seeds until a promise is broken, an invariant aborts it, or it hangs. A table says what was found.
#include <gtest/gtest.h>

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/planted.hpp"
#include "support/chaos.hpp"

namespace sluice::sim {
namespace {

using base::Bug;
using namespace std::chrono_literals;

constexpr std::uint64_t seeds_max = 3'000;

// A seed takes milliseconds; one that says nothing for so long will never end. Sanitizers are slow.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr auto silence_max = 40s;
#else
constexpr auto silence_max = 10s;
#endif

struct Planted {
  Bug bug;
  const char* name;
};

constexpr std::array planted_bugs{
    Planted{Bug::lost_wakeup, "lost_wakeup"},
    Planted{Bug::permit_released_early, "permit_released_early"},
    Planted{Bug::permit_leaked, "permit_leaked"},
    Planted{Bug::timer_not_rearmed, "timer_not_rearmed"},
    Planted{Bug::late_answer_written, "late_answer_written"},
    Planted{Bug::stale_generation, "stale_generation"},
    Planted{Bug::deadline_unchecked, "deadline_unchecked"},
    Planted{Bug::unlink_missed, "unlink_missed"},
    Planted{Bug::dropped_unanswered, "dropped_unanswered"},
    Planted{Bug::short_write_lost, "short_write_lost"},
    Planted{Bug::queue_unbounded, "queue_unbounded"},
    Planted{Bug::grant_lost, "grant_lost"},
    Planted{Bug::resume_forgotten, "resume_forgotten"},
    Planted{Bug::stop_token_silent, "stop_token_silent"},
    Planted{Bug::drain_ignores_queue, "drain_ignores_queue"},
};

/// What became of the process that lived through the seeds.
struct Found {
  std::uint64_t seed = 0;  // the one it was at
  std::string what{};      // empty: every seed was clean
};

/// Child: tells on standard output and standard error, which are the pipe.
[[noreturn]] void live(Bug bug, std::uint64_t first, std::uint64_t last) {
  base::planted_bug = bug;
  ChaosStatistics statistics;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    std::printf("\x01%llu\n", static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    const std::string violation = run_chaos(seed, statistics);
    if (violation.empty()) continue;
    std::printf("%s\n", violation.c_str());
    break;
  }
  std::fflush(stdout);
  std::_Exit(0);
}

/// Everything the child says until it ends. False: it fell silent, and was ended.
bool listen_to(pid_t child, int pipe_fd, std::string& said) {
  std::array<char, 4096> piece;
  for (;;) {
    pollfd waiting{pipe_fd, POLLIN, 0};
    const auto patience = std::chrono::milliseconds{silence_max}.count();
    if (poll(&waiting, 1, static_cast<int>(patience)) == 0) {
      kill(child, SIGKILL);
      return false;
    }
    const ssize_t size = read(pipe_fd, piece.data(), piece.size());
    if (size <= 0) return true;
    said.append(piece.data(), static_cast<std::size_t>(size));
    // Only the last seed is of interest.
    if (const std::size_t at = said.rfind('\x01'); at != std::string::npos) said.erase(0, at);
  }
}

std::string on_one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

Found hunt(Bug bug, std::uint64_t first, std::uint64_t last) {
  int ends[2];
  if (pipe(ends) != 0) return {0, "no pipe"};
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    live(bug, first, last);
  }
  close(ends[1]);
  std::string said;
  const bool ended = listen_to(child, ends[0], said);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  Found found;
  if (!said.empty()) found.seed = std::strtoull(said.c_str() + 1, nullptr, 10);
  const std::size_t line_end = said.find('\n');
  if (line_end != std::string::npos) found.what = on_one_line(said.substr(line_end + 1));
  if (!ended) found.what = "hangs";
  else if (WIFSIGNALED(status)) found.what += " (ended by signal " + std::to_string(WTERMSIG(status)) + ")";
  else if (WEXITSTATUS(status) != 0) found.what += " (exit status " + std::to_string(WEXITSTATUS(status)) + ")";
  return found;
}

TEST(Planted, TheSimulatorFindsEveryBug) {
  const char* const only = std::getenv("SLUICE_BUG");  // one of them alone
  std::uint64_t farthest = 1;
  std::string table = "planted bug              seed  what was violated\n";
  for (const Planted& planted : planted_bugs) {
    if (only != nullptr && std::string_view{only} != planted.name) continue;
    const Found found = hunt(planted.bug, 1, seeds_max);
    EXPECT_NE(found.what, "") << planted.name << " was not found in " << seeds_max << " seeds";
    farthest = std::max(farthest, found.what.empty() ? 1 : found.seed);
    std::array<char, 240> line;
    std::snprintf(line.data(), line.size(), "%-22s %6llu  %.180s\n", planted.name,
                  static_cast<unsigned long long>(found.seed), found.what.empty() ? "NOT FOUND" : found.what.c_str());
    table += line.data();
  }
  const Found sound = hunt(Bug::none, 1, farthest);
  EXPECT_EQ(sound.what, "") << "without any bug, seed " << sound.seed;
  table +=
      "none                   1-" + std::to_string(farthest) + (sound.what.empty() ? "  nothing" : sound.what) + "\n";
  std::printf("%s", table.c_str());
}

}  // namespace
}  // namespace sluice::sim
