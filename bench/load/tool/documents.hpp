// documents.hpp: what is put out for a result: the text for stdout and the files that the user asked for.
// In: results and the Command they come from. Out: texts and the names they belong to. Writes nothing itself.
// Thread: any; reads the machine's description from /proc.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/bench.hpp>

#include "load/output/progress.hpp"
#include "load/output/result_json.hpp"
#include "load/output/sweep.hpp"
#include "load/tool/cli.hpp"

namespace sluice::bench {

struct NamedText {
  std::string path{};
  std::string text{};
};

/// The files that will be written, as far as their names are known before the load; for the others a name beside them.
std::vector<std::string> output_paths(const OutputOptions& options);

/// UTC, ISO 8601.
std::string utc_now();

/// Whether stdout is to have colours.
bool wants_color(const OutputOptions& options);

/// What stdout gets: a table, or one line of JSON.
std::string shown(const Command& command, const RunResult& result);
std::string shown(const Command& command, const SweepResult& result);
std::string shown(const Command& command, const SearchResult& result, const std::vector<Flame>& flames);

/// The files for a result, as the user asked for them.
std::vector<NamedText> files_of(const Command& command, const RunResult& result);
std::vector<NamedText> files_of(const Command& command, const SweepResult& result);
std::vector<NamedText> files_of(const Command& command, const SearchResult& result, const std::vector<Flame>& flames);

/// Where progress goes: a line on a terminal's stderr, JSON lines on stdout, or nowhere.
class ProgressDisplay {
 public:
  explicit ProgressDisplay(const OutputOptions& options);

  /// Once a second as JSON, each time on a terminal.
  void show(const Progress& progress);
  /// A line that stays.
  void say(std::string_view line);
  /// Before anything else is written.
  void clear();

 private:
  std::optional<ProgressLine> line_{};
  bool json_lines_ = false;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace sluice::bench
