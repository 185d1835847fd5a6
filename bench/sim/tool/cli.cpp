#include "sim/tool/cli.hpp"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "load/tool/output_file.hpp"
#include "sim/tool/page.hpp"
#include "sim/tool/study_json.hpp"
#include "sim/tool/study_text.hpp"

namespace sluice::sim {
namespace {

constexpr std::size_t values_max = 100;  // of a sweep

constexpr const char* help =
    R"(sluice-sim SCENARIO.json [flags]: what overload would do to the service that the file describes.

  --policy sluice|naive|both   naive: the same permits behind a queue without bound or deadlines (sluice)
  --loads 0.5,1,2,5,10         the same service under so many times the load: goodput against offered load
  --what-if KEY=8,16,32        one row for each value of a number in the file: in_flight_max (all routes),
                               routes.NAME.budget_ms, servers.count, dependencies.NAME.connections, ...
  --set KEY=VALUE              changes a number of the file first; may be given several times
  --replay FILE.csv            arrivals and service times from a recording, in place of the file's
  --speed K                    the recording K times as fast (1)
  --seed N                     as --set seed=N
  --json FILE  --html FILE     all figures; a page that needs nothing else
  --help

Exit code: 0; 1: a file could not be written; 2: the scenario or the command line is wrong, and what is said why.
)";

using Taken = std::expected<void, std::string>;

std::optional<double> number(std::string_view text) noexcept {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::expected<std::vector<double>, std::string> numbers(std::string_view text) {
  std::vector<double> found;
  while (true) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const auto value = number(text.substr(0, comma));
    if (!value) return std::unexpected{'"' + std::string{text.substr(0, comma)} + "\" is not a number"};
    if (found.size() == values_max) return std::unexpected{"more than " + std::to_string(values_max) + " values"};
    found.push_back(*value);
    if (comma == text.size()) return found;
    text.remove_prefix(comma + 1);
  }
}

Taken take_policy(Command& command, std::string_view text) {
  std::vector<Policy>& policies = command.question.policies;
  if (text == "sluice") policies = {Policy::sluice};
  else if (text == "naive") policies = {Policy::naive};
  else if (text == "both") policies = {Policy::sluice, Policy::naive};
  else return std::unexpected{std::string{"must be sluice, naive or both"}};
  return {};
}

Taken take_loads(Command& command, std::string_view text) {
  auto loads = numbers(text);
  if (!loads) return std::unexpected{loads.error()};
  for (const double load : *loads) {
    if (load < 0.001 || load > 1000) return std::unexpected{std::string{"a load must be from 0.001 to 1000"}};
  }
  command.question.loads = std::move(*loads);
  return {};
}

Taken take_what_if(Command& command, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == text.npos || equals == 0) return std::unexpected{std::string{"must be KEY=VALUE,VALUE,..."}};
  auto values = numbers(text.substr(equals + 1));
  if (!values) return std::unexpected{values.error()};
  command.question.what_if = text.substr(0, equals);
  command.question.values = std::move(*values);
  return {};
}

Taken take_set(Command& command, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == text.npos || equals == 0) return std::unexpected{std::string{"must be KEY=NUMBER"}};
  const auto value = number(text.substr(equals + 1));
  if (!value) return std::unexpected{'"' + std::string{text.substr(equals + 1)} + "\" is not a number"};
  command.question.changes.emplace_back(text.substr(0, equals), *value);
  return {};
}

Taken take_speed(Command& command, std::string_view text) {
  const auto value = number(text);
  if (!value || *value < 0.001 || *value > 1000) return std::unexpected{std::string{"must be from 0.001 to 1000"}};
  command.question.speed = *value;
  return {};
}

Taken take_name(std::string& name, std::string_view text) {
  if (text.empty()) return std::unexpected{std::string{"must be the name of a file"}};
  name = text;
  return {};
}

using Take = std::function<Taken(Command&, std::string_view)>;

const std::map<std::string_view, Take>& flags() {
  static const std::map<std::string_view, Take> all{
      {"--policy", take_policy},
      {"--loads", take_loads},
      {"--what-if", take_what_if},
      {"--set", take_set},
      {"--speed", take_speed},
      {"--seed", [](Command& command, auto text) { return take_set(command, "seed=" + std::string{text}); }},
      {"--replay", [](Command& command, auto text) { return take_name(command.question.replay, text); }},
      {"--json", [](Command& command, auto text) { return take_name(command.json, text); }},
      {"--html", [](Command& command, auto text) { return take_name(command.html, text); }},
  };
  return all;
}

Ending wrong(const std::string& why) {
  return {2, {}, "sluice-sim: " + why + "\nsluice-sim --help lists what it takes.\n"};
}

std::optional<std::string> contradiction(const Question& question) {
  if (question.scenario.empty()) return "the name of a scenario's file is missing";
  if (!question.loads.empty() && !question.what_if.empty()) return "give --loads or --what-if, not both";
  if (question.speed != 1 && question.replay.empty()) return "--speed is for --replay";
  if (question.replay.empty()) return std::nullopt;
  if (!question.loads.empty()) return "a recording's load is varied with --speed";
  const auto unused = [](const std::string& path) {
    const bool service = path.starts_with("routes.") && path.find(".service.") != path.npos;
    return path == "duration_s" || path.starts_with("arrivals.") || service;
  };
  if (unused(question.what_if)) return "--what-if " + question.what_if + ": a recording brings its own";
  for (const auto& [path, value] : question.changes) {
    if (unused(path)) return "--set " + path + ": a recording brings its own";
  }
  return std::nullopt;
}

bool same_file(const std::string& one, const std::string& other) {
  std::error_code none;
  if (std::filesystem::equivalent(one, other, none)) return true;
  const auto place = [&](const std::string& name) { return std::filesystem::weakly_canonical(name, none); };
  return place(one) == place(other);
}

/// An output that would be written over something that is needed.
std::optional<std::string> clash(const Command& command) {
  const std::pair<const char*, const std::string&> outputs[] = {{"--json", command.json}, {"--html", command.html}};
  for (const auto& [flag, name] : outputs) {
    if (name.empty()) continue;
    if (same_file(name, command.question.scenario)) return std::string{flag} + ": " + name + " is the scenario's file";
    if (!command.question.replay.empty() && same_file(name, command.question.replay)) {
      return std::string{flag} + ": " + name + " is the recording";
    }
  }
  if (!command.json.empty() && !command.html.empty() && same_file(command.json, command.html)) {
    return "--json and --html name the same file, " + command.json;
  }
  return std::nullopt;
}

}  // namespace

std::expected<Command, Ending> parse_command(const std::vector<std::string>& words) {
  Command command;
  std::set<std::string_view> given;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--help" || word == "-h") return std::unexpected{Ending{0, help, {}}};
    if (!word.starts_with('-')) {
      if (!command.question.scenario.empty())
        return std::unexpected{wrong("one scenario at a time, not " + word + " too")};
      command.question.scenario = word;
      continue;
    }
    const auto flag = flags().find(word);
    if (flag == flags().end()) return std::unexpected{wrong("there is no flag " + word)};
    if (i + 1 == words.size()) return std::unexpected{wrong(word + " needs a value")};
    if (!given.insert(flag->first).second && word != "--set") return std::unexpected{wrong(word + " is there twice")};
    if (const Taken taken = flag->second(command, words[++i]); !taken) {
      return std::unexpected{wrong(word + ' ' + words[i] + ": " + taken.error())};
    }
  }
  if (const auto why = contradiction(command.question)) return std::unexpected{wrong(*why)};
  return command;
}

Ending execute(const Command& command) {
  if (const auto why = clash(command)) return {2, {}, "sluice-sim: " + *why + '\n'};
  for (const std::string& name : {command.json, command.html}) {
    if (name.empty()) continue;
    if (const auto can = bench::check_writable(name); !can) return {1, {}, "sluice-sim: " + can.error() + '\n'};
  }
  const auto study = answer(command.question);
  if (!study) return {2, {}, "sluice-sim: " + study.error() + '\n'};
  Ending ending{study->balanced() ? 0 : 1, study_text(*study, command.color), {}};
  if (command.json.empty() && command.html.empty()) return ending;
  const std::string json = study_json(*study);
  const auto write = [&](const std::string& name, const std::string& text) {
    if (name.empty()) return;
    if (const auto done = bench::write_file(name, text); !done) {
      ending.code = 1;
      ending.err += "sluice-sim: " + done.error() + '\n';
    }
  };
  write(command.json, json + '\n');
  if (!command.html.empty()) write(command.html, study_page(json));
  return ending;
}

}  // namespace sluice::sim
