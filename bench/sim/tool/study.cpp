#include "sim/tool/study.hpp"

#include <algorithm>
#include <filesystem>

#include "load/tool/scenario.hpp"
#include "sim/model/engine.hpp"
#include "sim/tool/recording.hpp"
#include "sim/tool/scenario_file.hpp"

namespace sluice::sim {
namespace {

constexpr std::size_t scenario_bytes_max = std::size_t{64} << 20;
constexpr double replay_s_max = 3600;
constexpr std::size_t recording_bytes_max = std::size_t{1} << 30;

/// A recording that is held by the text it came from.
struct Tape {
  std::string text{};
  std::vector<RecordedLine> lines{};
};

class Studio {
 public:
  explicit Studio(const Question& question) : question_{question} {}

  std::expected<Study, std::string> run() {
    if (auto read = read_files(); !read) return std::unexpected{read.error()};
    Study study;
    study.what_if = question_.what_if;
    study.loads = !question_.loads.empty();
    auto base = scenario(tree_);
    if (!base) return std::unexpected{base.error()};
    study.scenario = *base;
    for (const double load : question_.loads) {
      Scenario scaled = *base;
      scale_load(scaled, load);
      if (auto done = play_all(study, scaled, {.load = load, .result = {}}); !done)
        return std::unexpected{done.error()};
    }
    for (const double value : question_.values) {
      auto changed = with(value);
      if (!changed) return std::unexpected{changed.error()};
      if (auto done = play_all(study, *changed, {.value = value, .result = {}}); !done)
        return std::unexpected{done.error()};
    }
    if (study.sweeps()) return study;
    if (auto done = play_all(study, *base, {.result = {}}); !done) return std::unexpected{done.error()};
    return study;
  }

 private:
  std::expected<void, std::string> read_files() {
    const auto text = bench::read_file(question_.scenario, scenario_bytes_max);
    if (!text) return std::unexpected{text.error()};
    auto tree = parse_tree(*text);
    if (!tree) return std::unexpected{question_.scenario + ": " + tree.error()};
    tree_ = std::move(*tree);
    for (const auto& [path, value] : question_.changes) {
      if (auto done = change(tree_, path, value); !done) return std::unexpected{"--set " + done.error()};
    }
    if (question_.replay.empty()) return {};
    auto recording = bench::read_file(question_.replay, recording_bytes_max);
    if (!recording) return std::unexpected{recording.error()};
    tape_.text = std::move(*recording);
    auto lines = parse_recording(tape_.text);
    if (!lines) return std::unexpected{question_.replay + ": " + lines.error()};
    tape_.lines = std::move(*lines);
    const double length = length_s(tape_.lines, question_.speed);
    if (length > replay_s_max) {
      return std::unexpected{question_.replay +
                             ": takes more than an hour at this speed; play it faster, or a part of it"};
    }
    return put_number(tree_, "duration_s", length);
  }

  std::expected<Scenario, std::string> scenario(const Node& tree) const {
    const bool replays = !question_.replay.empty();
    auto made = scenario_of(tree, replays);
    if (!made) return std::unexpected{question_.scenario + ": " + made.error()};
    made->name = std::filesystem::path{question_.scenario}.stem().string();
    if (replays) {
      auto calls = replayed(tape_.lines, *made, question_.speed);
      if (!calls) return std::unexpected{question_.replay + ": " + calls.error()};
      made->recording = std::move(*calls);
    }
    return made;
  }

  std::expected<Scenario, std::string> with(double value) const {
    Node tree = tree_;
    if (auto done = change(tree, question_.what_if, value); !done) return std::unexpected{"--what-if " + done.error()};
    return scenario(tree);
  }

  std::expected<void, std::string> play_all(Study& study, const Scenario& scenario, const Run& setting) const {
    if (auto fits = check_size(scenario); !fits) return std::unexpected{question_.scenario + ": " + fits.error()};
    for (const Policy policy : question_.policies) {
      Run run = setting;
      run.result = play(scenario, policy);
      if (study.sweeps()) run.result.series = {};  // nobody looks at each of them over time
      study.runs.push_back(std::move(run));
    }
    return {};
  }

  const Question& question_;
  Node tree_{};
  Tape tape_{};
};

}  // namespace

bool Study::balanced() const noexcept {
  return std::all_of(runs.begin(), runs.end(), [](const Run& run) { return run.result.balanced; });
}

std::expected<Study, std::string> answer(const Question& question) { return Studio{question}.run(); }

}  // namespace sluice::sim
