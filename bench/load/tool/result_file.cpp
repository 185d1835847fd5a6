// result_file.cpp: checks documents with simdjson and takes out of them what is compared.
// Any thread. Errors name the file and the place in it, as `a.json: runs[2]: "classes" is missing`.
#include "load/tool/result_file.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <sluice/extra/json.hpp>

#include "load/output/percentiles.hpp"
#include "load/output/result_json.hpp"
#include "load/plan/units.hpp"
#include "load/tool/scenario.hpp"

namespace sluice::bench {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t file_bytes_max = std::size_t{512} << 20;
constexpr std::array<std::string_view, 4> scenario_kinds{"large-payload", "slow-client", "failing", "overloaded"};

/// What is wrong with a document; "" if nothing is.
using Problem = std::string;

std::string in_quotes(std::string_view text) { return '"' + std::string{text} + '"'; }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

// ---- looking into a document

std::optional<dom::element> member(const dom::element& object, std::string_view key) {
  dom::element value;
  if (object[key].get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}

std::optional<dom::element> member(const dom::element& object, std::string_view first, std::string_view second) {
  const auto inner = member(object, first);
  return inner ? member(*inner, second) : std::nullopt;
}

std::string text_member(const dom::element& object, std::string_view key) {
  std::string_view text;
  if (object[key].get(text) != simdjson::SUCCESS) return {};
  return std::string{text};
}

std::optional<double> number(const std::optional<dom::element>& value) {
  double result = 0;
  if (!value || value->get(result) != simdjson::SUCCESS) return std::nullopt;
  return result;
}

std::vector<dom::element> elements(const std::optional<dom::element>& value) {
  std::vector<dom::element> all;
  dom::array array;
  if (!value || value->get(array) != simdjson::SUCCESS) return all;
  for (const dom::element one : array) all.push_back(one);
  return all;
}

// ---- checking it

enum class Type : std::uint8_t { text, flag, number, object, array };

struct Required {
  std::string_view key;
  Type type;
};

bool has_type(const dom::element& value, Type type) {
  switch (type) {
    case Type::text: return value.is_string();
    case Type::flag: return value.is_bool();
    case Type::number: return value.is_number();
    case Type::object: return value.is_object();
    case Type::array: return value.is_array();
  }
  return false;
}

std::string_view words_for(Type type) {
  switch (type) {
    case Type::text: return "a text";
    case Type::flag: return "true or false";
    case Type::number: return "a number";
    case Type::object: return "an object";
    case Type::array: return "an array";
  }
  return "?";
}

Problem check_members(const dom::element& object, std::span<const Required> required) {
  for (const Required& one : required) {
    const auto value = member(object, one.key);
    if (!value) return in_quotes(one.key) + " is missing";
    if (!has_type(*value, one.type)) return in_quotes(one.key) + " is not " + std::string{words_for(one.type)};
  }
  return {};
}

Problem check_run(const dom::element& run) {
  static constexpr std::array<Required, 9> required{{{"name", Type::text},
                                                     {"target", Type::text},
                                                     {"valid", Type::flag},
                                                     {"covers", Type::array},
                                                     {"offered_rps", Type::number},
                                                     {"goodput_rps", Type::number},
                                                     {"error_ratio", Type::number},
                                                     {"classes", Type::object},
                                                     {"all_us", Type::object}}};
  if (!run.is_object()) return "a run is not an object";
  if (Problem problem = check_members(run, required); !problem.empty()) return problem;
  for (std::size_t index = 0; index < outcome_count; ++index) {
    const std::string_view outcome = name(static_cast<Outcome>(index));
    const auto one = member(run, "classes", outcome);
    if (!one || !number(member(*one, "count"))) return "\"classes\" has no count of " + in_quotes(outcome);
  }
  return {};
}

/// All of an array, each element by `check`; problems get the element's place.
template <class Check>
Problem check_each(const dom::element& object, std::string_view key, Check check) {
  std::size_t index = 0;
  for (const dom::element& one : elements(member(object, key))) {
    const Problem problem = check(one);
    if (!problem.empty()) return std::string{key} + '[' + std::to_string(index) + "]: " + problem;
    ++index;
  }
  return {};
}

Problem check_sweep(const dom::element& sweep) {
  static constexpr std::array<Required, 3> required{
      {{"target", Type::text}, {"valid", Type::flag}, {"runs", Type::array}}};
  if (Problem problem = check_members(sweep, required); !problem.empty()) return problem;
  return check_each(sweep, "runs", check_run);
}

Problem check_probe(const dom::element& probe) {
  static constexpr std::array<Required, 3> required{
      {{"stage", Type::text}, {"rate_rps", Type::number}, {"run", Type::object}}};
  if (!probe.is_object()) return "a probe is not an object";
  if (Problem problem = check_members(probe, required); !problem.empty()) return problem;
  const Problem problem = check_run(*member(probe, "run"));
  return problem.empty() ? problem : "run: " + problem;
}

Problem check_search(const dom::element& search) {
  static constexpr std::array<Required, 4> required{
      {{"target", Type::text}, {"valid", Type::flag}, {"capacity_rps", Type::number}, {"probes", Type::array}}};
  if (Problem problem = check_members(search, required); !problem.empty()) return problem;
  return check_each(search, "probes", check_probe);
}

std::optional<ResultFile::Kind> kind_of(std::string_view text) {
  using Kind = ResultFile::Kind;
  for (const Kind kind : {Kind::run, Kind::sweep, Kind::search, Kind::report}) {
    if (text == name(kind)) return kind;
  }
  return std::nullopt;
}

/// What every document has: the schema and a kind this program knows.
std::expected<ResultFile::Kind, Problem> check_heading(const dom::element& document) {
  if (!document.is_object()) return std::unexpected{Problem{"is not a result of sluice-load: not a JSON object"}};
  const auto schema = member(document, "schema");
  if (!schema || !schema->is_string()) {
    return std::unexpected{Problem{"is not a result of sluice-load: \"schema\" is missing"}};
  }
  const std::string text = text_member(document, "schema");
  if (text != result_schema) {
    return std::unexpected{"has the schema " + in_quotes(text) + "; this program reads " + in_quotes(result_schema)};
  }
  const auto kind = kind_of(text_member(document, "kind"));
  if (kind) return *kind;
  if (!member(document, "kind")) return std::unexpected{Problem{"\"kind\" is missing"}};
  return std::unexpected{"the kind " + in_quotes(text_member(document, "kind")) +
                         " is not known; run, sweep, search and report are"};
}

/// A run, a sweep or a search.
Problem check_single(const dom::element& document) {
  const auto kind = check_heading(document);
  if (!kind) return kind.error();
  switch (*kind) {
    case ResultFile::Kind::run: return check_run(document);
    case ResultFile::Kind::sweep: return check_sweep(document);
    case ResultFile::Kind::search: return check_search(document);
    case ResultFile::Kind::report: return "a report inside of a report";
  }
  return {};
}

Problem check_result(const dom::element& document) {
  static constexpr std::array<Required, 1> required{{{"results", Type::array}}};
  const auto kind = check_heading(document);
  if (!kind) return kind.error();
  if (*kind != ResultFile::Kind::report) return check_single(document);
  if (Problem problem = check_members(document, required); !problem.empty()) return problem;
  return check_each(document, "results", check_single);
}

// ---- what it says

/// Whether a result says of itself that it is valid.
bool counts(const dom::element& document) {
  bool valid = false;
  return document["valid"].get(valid) == simdjson::SUCCESS && valid;
}

/// The results in a report, or the one that is none.
std::vector<dom::element> results_of(const dom::element& root) {
  if (const auto results = member(root, "results")) return elements(results);
  return {root};
}

std::vector<std::string> covers_of(const dom::element& root) {
  std::vector<dom::element> covering;
  for (const dom::element& result : results_of(root)) {
    covering.push_back(result);
    for (const dom::element& run : elements(member(result, "runs"))) covering.push_back(run);
    for (const dom::element& probe : elements(member(result, "probes"))) covering.push_back(*member(probe, "run"));
  }
  std::vector<std::string> covers;
  for (const dom::element& document : covering) {
    for (const dom::element& one : elements(member(document, "covers"))) {
      std::string_view text;
      if (one.get(text) != simdjson::SUCCESS) continue;
      if (std::find(covers.begin(), covers.end(), text) == covers.end()) covers.emplace_back(text);
    }
  }
  return covers;
}

bool valid_of(const dom::element& root) {
  const std::vector<dom::element> results = results_of(root);
  return std::all_of(results.begin(), results.end(), counts);
}

/// A checked document, and the memory it lives in.
struct Document {
  dom::parser parser{};
  simdjson::padded_string text;
  dom::element root{};

  explicit Document(std::string_view json) : text{json} { error = parser.parse(text).get(root); }
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  simdjson::error_code error = simdjson::SUCCESS;
};

/// Appends what stands in "results", each as it is.
void append_parts(std::vector<std::string>& parts, const std::string& report) {
  namespace ondemand = simdjson::ondemand;
  ondemand::parser parser;
  const simdjson::padded_string text{report};
  ondemand::document document;
  ondemand::array results;
  if (parser.iterate(text).get(document) != simdjson::SUCCESS) return;
  if (document["results"].get_array().get(results) != simdjson::SUCCESS) return;
  for (auto one : results) {
    ondemand::object object;
    std::string_view raw;
    if (one.get_object().get(object) != simdjson::SUCCESS || object.raw_json().get(raw) != simdjson::SUCCESS) return;
    parts.emplace_back(trimmed(raw));
  }
}

// ---- figures

class Figures {
 public:
  void add(const std::string& what, const std::optional<double>& value, Measure measure, Better better) {
    if (value) figures_.push_back({prefix_ + what, *value, measure, better});
  }
  void add_rate(const std::string& what, const std::optional<double>& value) {
    add(what, value, Measure::per_second, Better::higher);
  }
  /// The figures of a distribution.
  void add_times(const std::string& what, const std::optional<dom::element>& times) {
    if (!times) return;
    for (const Percentile& percentile : percentiles) {
      add(what + ' ' + std::string{percentile.label}, number(member(*times, percentile.name)), Measure::microseconds,
          Better::lower);
    }
  }
  void begin(std::string prefix) { prefix_ = std::move(prefix); }
  const std::string& prefix() const noexcept { return prefix_; }
  std::vector<Figure> take() && { return std::move(figures_); }

 private:
  std::string prefix_{};
  std::vector<Figure> figures_{};
};

void add_run(Figures& figures, const dom::element& run) {
  if (!counts(run)) return;
  figures.add_rate("2xx", number(member(run, "goodput_rps")));
  figures.add_rate("answered", number(member(run, "answered_rps")));
  figures.add("not 2xx", number(member(run, "error_ratio")), Measure::share, Better::lower);
  const auto ok = member(run, "classes", "2xx");
  if (ok) {
    figures.add_times("2xx", member(*ok, "latency_us"));
    figures.add_times("2xx service", member(*ok, "service_us"));
  }
  figures.add_times("all", member(run, "all_us"));
}

void add_sweep(Figures& figures, const dom::element& sweep) {
  const std::string before = figures.prefix();
  for (const dom::element& run : elements(member(sweep, "runs"))) {
    auto rate = number(member(run, "config", "rate_rps"));
    if (!rate) rate = number(member(run, "offered_rps"));
    figures.begin(before + format_rate(rate.value_or(0)) + "/s: ");
    add_run(figures, run);
  }
  figures.begin(before);
}

void add_search(Figures& figures, const dom::element& search) {
  if (!counts(search)) return;
  const std::string before = figures.prefix();
  // 0 means that there is none, and a step down to none is one for the worse.
  figures.add_rate("limit", number(member(search, "capacity_rps")));
  figures.add_rate("good", number(member(search, "good_rps")));
  figures.add_rate("ok", number(member(search, "ok_rps")));
  figures.add_rate("ceiling", number(member(search, "ceiling_rps")));
  bool overloaded = false;
  for (const dom::element& probe : elements(member(search, "probes"))) {
    const std::string stage = text_member(probe, "stage");
    overloaded = overloaded || stage == "overload";
    const auto run = member(probe, "run");
    if (stage != "curve" || !run || !counts(*run)) continue;
    const auto ok = member(*run, "classes", "2xx");
    figures.begin(before + "at " + format_percent(number(member(probe, "percent")).value_or(0) / 100) + ": ");
    if (ok) figures.add_times("2xx", member(*ok, "latency_us"));
  }
  figures.begin(before);
  if (!overloaded) return;
  figures.add("kept at 200 %", number(member(search, "goodput_kept_200")), Measure::share, Better::higher);
  const auto recovery_s = number(member(search, "recovery_s"));
  if (recovery_s && *recovery_s >= 0) figures.add("recovery", recovery_s, Measure::seconds, Better::lower);
}

void add_document(Figures& figures, const dom::element& document) {
  switch (kind_of(text_member(document, "kind")).value_or(ResultFile::Kind::run)) {
    case ResultFile::Kind::run: add_run(figures, document); break;
    case ResultFile::Kind::sweep: add_sweep(figures, document); break;
    case ResultFile::Kind::search: add_search(figures, document); break;
    case ResultFile::Kind::report: break;  // taken apart by the caller
  }
}

/// Calls visit(prefix, document) for a result, or for each one in a report; those have their name before their figures.
template <class Visit>
void for_each_document(const dom::element& root, Visit visit) {
  if (text_member(root, "kind") != name(ResultFile::Kind::report)) {
    visit(std::string{}, root);
    return;
  }
  std::size_t index = 0;
  std::map<std::string, unsigned> times;  // how often a name came
  for (const dom::element& part : elements(member(root, "results"))) {
    ++index;
    std::string title = text_member(part, "name");
    if (title.empty()) title = "result " + std::to_string(index);
    const auto same = ++times[title];
    if (same > 1) title += " #" + std::to_string(same);
    visit(title + ": ", part);
  }
}

// ---- conditions

struct Skipped {
  std::span<const std::string_view> keys{};
};

void add_members(std::map<std::string, std::string>& conditions, const std::string& prefix,
                 const std::optional<dom::element>& value, Skipped skipped = {}) {
  dom::object object;
  if (!value || value->get(object) != simdjson::SUCCESS) return;
  for (const auto& [key, inner] : object) {
    if (std::find(skipped.keys.begin(), skipped.keys.end(), key) != skipped.keys.end()) continue;
    conditions[prefix + std::string{key}] = simdjson::minify(inner);
  }
}

void add_conditions(std::map<std::string, std::string>& conditions, const std::string& prefix,
                    const dom::element& document) {
  for (const std::string_view key : {"target", "slos"}) {
    if (const auto value = member(document, key)) conditions[prefix + std::string{key}] = simdjson::minify(*value);
  }
  add_members(conditions, prefix + "environment.", member(document, "environment"));
  if (const auto limited = member(document, "generator", "limited")) {
    conditions[prefix + "generator.limited"] = simdjson::minify(*limited);
  }
  const std::vector<dom::element> runs = elements(member(document, "runs"));
  const std::vector<dom::element> probes = elements(member(document, "probes"));
  static constexpr std::array<std::string_view, 1> skipped_at_once{"clients"};
  static constexpr std::array<std::string_view, 3> skipped_in_several{"clients", "rate_rps", "duration_s"};
  std::optional<dom::element> config = member(document, "config");
  Skipped skipped{skipped_at_once};
  if (!runs.empty() || !probes.empty()) {
    config = runs.empty() ? member(probes.front(), "run", "config") : member(runs.front(), "config");
    skipped = {skipped_in_several};
  }
  if (!config) return;
  add_members(conditions, prefix + "config.", config, skipped);
  std::size_t index = 0;
  for (const dom::element& clients : elements(member(*config, "clients"))) {
    static constexpr std::array<std::string_view, 1> rate{"rate_rps"};  // once is enough, and a search varies it
    const std::string place = prefix + "config.clients[" + std::to_string(index) + "].";
    add_members(conditions, place, clients, index == 0 ? Skipped{rate} : Skipped{});
    ++index;
  }
}

}  // namespace

std::string_view name(ResultFile::Kind kind) noexcept {
  switch (kind) {
    case ResultFile::Kind::run: return "run";
    case ResultFile::Kind::sweep: return "sweep";
    case ResultFile::Kind::search: return "search";
    case ResultFile::Kind::report: return "report";
  }
  return "?";
}

std::expected<ResultFile, std::string> parse_result(const std::string& file, std::string text) {
  ResultFile result;
  result.file = file;
  result.text = trimmed(text);
  if (result.text.empty()) return std::unexpected{file + ": is empty"};
  const Document document{result.text};
  if (document.error != simdjson::SUCCESS) {
    return std::unexpected{file + ": is not JSON: " + simdjson::error_message(document.error)};
  }
  if (const Problem problem = check_result(document.root); !problem.empty()) {
    return std::unexpected{file + ": " + problem};
  }
  result.kind = *kind_of(text_member(document.root, "kind"));
  result.name = text_member(document.root, "name");
  result.valid = valid_of(document.root);
  result.covers = covers_of(document.root);
  return result;
}

std::expected<ResultFile, std::string> read_result(const std::string& file) {
  auto text = read_file(file, file_bytes_max);
  if (!text) return std::unexpected{std::move(text.error())};
  return parse_result(file, std::move(*text));
}

std::vector<std::string> missing_scenarios(std::span<const ResultFile> results) {
  std::vector<std::string> missing;
  for (const std::string_view kind : scenario_kinds) {
    const bool covered = std::any_of(results.begin(), results.end(), [&](const ResultFile& result) {
      return std::find(result.covers.begin(), result.covers.end(), kind) != result.covers.end();
    });
    if (!covered) missing.emplace_back(kind);
  }
  return missing;
}

std::string report_json(std::span<const ResultFile> results, std::string_view generated_at) {
  std::vector<std::string> parts;
  for (const ResultFile& result : results) {
    if (result.kind == ResultFile::Kind::report) append_parts(parts, result.text);
    else parts.push_back(result.text);
  }
  const std::vector<std::string> missing = missing_scenarios(results);
  JsonWriter out;
  out.begin_object().member("schema", result_schema).member("kind", name(ResultFile::Kind::report));
  out.member("generated_at", generated_at).member("complete", missing.empty()).key("missing").begin_array();
  for (const std::string& kind : missing) out.value(kind);
  out.end_array().key("results").begin_array();
  for (const std::string& part : parts) out.raw(part);
  out.end_array().end_object();
  return std::move(out).take();
}

std::vector<Figure> figures_of(const ResultFile& result) {
  const Document document{result.text};
  Figures figures;
  for_each_document(document.root, [&](const std::string& prefix, const dom::element& one) {
    figures.begin(prefix);
    add_document(figures, one);
  });
  return std::move(figures).take();
}

std::map<std::string, std::string> conditions_of(const ResultFile& result) {
  const Document document{result.text};
  std::map<std::string, std::string> conditions;
  for_each_document(document.root, [&](const std::string& prefix, const dom::element& one) {
    add_conditions(conditions, prefix, one);
  });
  return conditions;
}

}  // namespace sluice::bench
