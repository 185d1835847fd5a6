// documents.cpp: one table of outputs per kind of result. Any thread.
#include "load/tool/documents.hpp"

#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <utility>

#include "load/output/csv.hpp"
#include "load/output/environment.hpp"
#include "load/output/hgrm.hpp"
#include "load/output/report_page.hpp"
#include "load/output/table.hpp"
#include "load/tool/result_file.hpp"

namespace sluice::bench {
namespace {

/// "runs.csv" -> "runs.series.csv".
std::string series_path(const std::string& path) {
  constexpr std::string_view end = ".csv";
  const bool usual = path.ends_with(end);
  return (usual ? path.substr(0, path.size() - end.size()) : path) + ".series.csv";
}

Origin origin_of(const Command& command, const Environment& environment, const std::vector<Flame>& flames) {
  Origin origin;
  origin.command = command.line;
  origin.config = &command.load;
  origin.environment = &environment;
  if (command.verb == Verb::search) origin.search = &command.search;
  origin.flames = flames;
  return origin;
}

template <class Result>
std::string shown_result(const Command& command, const Result& result, const std::vector<Flame>& flames) {
  if (command.output.json_lines) {
    const Environment environment = read_environment();
    return to_json(result, origin_of(command, environment, flames)) + '\n';
  }
  return to_text(result, TextOptions{wants_color(command.output), &command.load});
}

/// A report of this result alone. What is no result, which would be a mistake here, is left to the page to complain of.
std::string page_of(const std::string& document) {
  const auto result = parse_result("this result", document);
  return report_page(result ? report_json({&*result, 1}, utc_now()) : document);
}

/// All but the .hgrm files, which are of runs alone.
template <class Result>
std::vector<NamedText> common_files(const Command& command, const Result& result, const std::vector<Flame>& flames) {
  const OutputOptions& output = command.output;
  std::vector<NamedText> files;
  if (!output.json.empty() || !output.html.empty()) {
    const Environment environment = read_environment();
    const std::string document = to_json(result, origin_of(command, environment, flames));
    if (!output.json.empty()) files.push_back({output.json, document + '\n'});
    if (!output.html.empty()) files.push_back({output.html, page_of(document)});
  }
  if (!output.csv.empty()) {
    files.push_back({output.csv, runs_csv(result)});
    files.push_back({series_path(output.csv), series_csv(result)});
  }
  return files;
}

void add_hgrm(const std::string& prefix, const RunResult& run, std::vector<NamedText>& files) {
  for (HgrmFile& file : hgrm_files(prefix, run)) files.push_back({std::move(file.name), std::move(file.text)});
}

std::string rate_name(double rate_per_s) {
  return rate_per_s > 0 ? "r" + std::to_string(std::llround(rate_per_s)) : std::string{"closed"};
}

}  // namespace

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::vector<std::string> output_paths(const OutputOptions& options) {
  std::vector<std::string> paths;
  for (const std::string& path : {options.json, options.html, options.csv}) {
    if (!path.empty()) paths.push_back(path);
  }
  if (!options.csv.empty()) paths.push_back(series_path(options.csv));
  if (!options.hgrm.empty()) paths.push_back(options.hgrm + ".all.hgrm");
  return paths;
}

bool wants_color(const OutputOptions& options) {
  if (options.color != Color::automatic) return options.color == Color::always;
  return ::isatty(STDOUT_FILENO) == 1;
}

std::string shown(const Command& command, const RunResult& result) { return shown_result(command, result, {}); }

std::string shown(const Command& command, const SweepResult& result) { return shown_result(command, result, {}); }

std::string shown(const Command& command, const SearchResult& result, const std::vector<Flame>& flames) {
  return shown_result(command, result, flames);
}

std::vector<NamedText> files_of(const Command& command, const RunResult& result) {
  auto files = common_files(command, result, {});
  if (!command.output.hgrm.empty()) add_hgrm(command.output.hgrm, result, files);
  return files;
}

std::vector<NamedText> files_of(const Command& command, const SweepResult& result) {
  auto files = common_files(command, result, {});
  if (command.output.hgrm.empty()) return files;
  for (std::size_t i = 0; i < result.runs.size(); ++i) {
    const std::string middle = '.' + std::to_string(i) + '.' + rate_name(result.runs[i].rate_per_s);
    add_hgrm(command.output.hgrm + middle, result.runs[i].run, files);
  }
  return files;
}

std::vector<NamedText> files_of(const Command& command, const SearchResult& result, const std::vector<Flame>& flames) {
  auto files = common_files(command, result, flames);
  if (command.output.hgrm.empty()) return files;
  for (std::size_t i = 0; i < result.probes.size(); ++i) {
    const Probe& probe = result.probes[i];
    const std::string middle = '.' + std::to_string(i) + '.' + std::string{name(probe.stage)} + '.';
    add_hgrm(command.output.hgrm + middle + rate_name(probe.rate_per_s), probe.run, files);
  }
  return files;
}

ProgressDisplay::ProgressDisplay(const OutputOptions& options) {
  if (options.quiet) return;
  json_lines_ = options.json_lines;
  if (!json_lines_) line_.emplace(STDERR_FILENO);
}

void ProgressDisplay::show(const Progress& progress) {
  if (line_) line_->show(progress);
  const auto now = std::chrono::steady_clock::now();
  if (!json_lines_ || now < next_) return;
  next_ = now + std::chrono::seconds{1};
  std::fputs(progress_json(progress).c_str(), stdout);
  std::fflush(stdout);
}

void ProgressDisplay::say(std::string_view line) {
  if (line_) line_->note(line);
  if (!json_lines_) return;
  std::fputs(stage_json(line).c_str(), stdout);
  std::fflush(stdout);
}

void ProgressDisplay::clear() {
  if (line_) line_->erase();
}

}  // namespace sluice::bench
