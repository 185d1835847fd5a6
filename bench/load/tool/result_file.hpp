// result_file.hpp: saved results, read again: for a report of several and for comparisons.
// In: files or texts of the schema sluice-load/1. Out: checked texts, a report's JSON, flat lists of figures.
// Thread: any; read_result() blocks on the disk. Must never take a file for a result that it is not.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/bench.hpp>

namespace sluice::bench {

/// One saved result.
struct ResultFile {
  enum class Kind : std::uint8_t { run, sweep, search, report };
  std::string file{};  // its name, for messages
  std::string text{};  // JSON, as it was read, without blanks around it
  Kind kind = Kind::run;
  std::string name{};
  bool valid = true;  // what it says itself; of a report: all of its results
  std::vector<std::string> covers{};  // of it and of its runs, each once
};
/// "run", "sweep", "search", "report".
std::string_view name(ResultFile::Kind kind) noexcept;

/// Reads and checks one file.
///   Errors: one line: the file's name and what is wrong: not there, not JSON, another schema, a key that is missing or
///           has the wrong type.
[[nodiscard]] std::expected<ResultFile, std::string> read_result(const std::string& file);
/// The same for a text; `file` is what messages call it.
[[nodiscard]] std::expected<ResultFile, std::string> parse_result(const std::string& file, std::string text);

/// Kinds of scenario without which a report says little of a server, as in RunResult::covers.
std::vector<std::string> missing_scenarios(std::span<const ResultFile> results);

/// The results as one document of kind "report": texts are embedded as they are, those of a report one by one.
///   `generated_at`: UTC, ISO 8601.
std::string report_json(std::span<const ResultFile> results, std::string_view generated_at);

/// Which way a figure improves.
enum class Better : std::uint8_t { higher, lower };
/// What a figure is a number of.
enum class Measure : std::uint8_t { per_second, microseconds, seconds, share };

/// One number that may be compared.
struct Figure {
  std::string name{};  // "2xx p99", "limit", "10.0k/s: 2xx p99", ...
  double value = 0;
  Measure measure = Measure::microseconds;
  Better better = Better::lower;
};

/// All figures of a result, in the order they are shown. What it does not know is left out, and so is what is INVALID.
std::vector<Figure> figures_of(const ResultFile& result);

/// Under which conditions it was measured: "environment.kernel", "config.connections", "target", ... and the value, as
/// JSON. The rates of a sweep and a search are results there, not conditions.
std::map<std::string, std::string> conditions_of(const ResultFile& result);

}  // namespace sluice::bench
