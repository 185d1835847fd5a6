// cli.cpp: the flags of each verb, with CLI11. It finds the words; what they mean is read here, for errors of our own.
// Thread: any. CLI11 throws; nothing of that leaves parse_command.
#include "load/tool/cli.hpp"

#include <sluice/version.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "load/plan/units.hpp"
#include "load/tool/flags.hpp"
#include "load/tool/help.hpp"
#include "load/tool/scenario.hpp"

namespace sluice::bench {
namespace {

using Text = std::string;
template <class T>
using Reading = std::expected<T, std::string>;

constexpr std::size_t rates_max = 1000;

// ---- what the words mean

Reading<Text> as_text(const Text& text) { return text; }

Reading<Text> as_file(const Text& text) {
  if (text.empty()) return std::unexpected{Text{"needs the name of a file"}};
  return text;
}

struct Range {
  std::uint64_t least = 0, most = std::numeric_limits<std::uint64_t>::max();
};

/// A reader of whole numbers.
template <class T>
auto count_in(Range range) {
  return [range](const Text& text) -> Reading<T> {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    if (whole && value >= range.least && value <= range.most) return static_cast<T>(value);
    Text bounds = "at least " + std::to_string(range.least);
    if (range.most != Range{}.most) bounds = std::to_string(range.least) + " to " + std::to_string(range.most);
    return std::unexpected{"'" + text + "' is not a whole number, " + bounds};
  };
}

Reading<double> as_rate(const Text& text) {
  const auto rate = parse_rate(text);
  if (rate && !(*rate > 0)) return std::unexpected{"'" + text + "' is no rate: it must be above 0"};
  return rate;
}

Reading<Duration> as_duration(const Text& text) { return parse_duration(text); }

Reading<Duration> as_positive_duration(const Text& text) {
  const auto duration = parse_duration(text);
  if (duration && *duration <= Duration::zero()) return std::unexpected{"'" + text + "' must be longer than nothing"};
  return duration;
}

Reading<std::uint64_t> as_byte_rate(const Text& text) {
  const auto bytes = parse_bytes(text);
  if (bytes && *bytes == 0) return std::unexpected{"'" + text + "' must be above 0 bytes per second"};
  return bytes;
}

Reading<std::uint64_t> as_body_bytes(const Text& text) {
  const auto bytes = parse_bytes(text);
  if (bytes && *bytes > body_bytes_max) return std::unexpected{"'" + text + "' is too large; 256 MiB is the most"};
  return bytes;
}

Reading<double> number(const Text& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::unexpected{"'" + text + "' is not a number"};
  }
  return value;
}

Reading<double> as_factor(const Text& text) {
  const auto value = number(text);
  if (value && *value < 0) return std::unexpected{"'" + text + "' is below 0"};
  return value;
}

/// "0.03" or "3%".
Reading<double> as_share(const Text& text) {
  const bool percent = text.ends_with('%');
  const auto value = number(percent ? text.substr(0, text.size() - 1) : text);
  if (!value) return value;
  const double share = percent ? *value / 100 : *value;
  if (share <= 0 || share >= 1) return std::unexpected{"'" + text + "' is not a share between 0 and 100 %"};
  return share;
}

template <class T>
auto choice(std::vector<std::pair<Text, T>> choices) {
  return [choices = std::move(choices)](const Text& text) -> Reading<T> {
    Text names;
    for (const auto& [name, value] : choices) {
      if (text == name) return value;
      names += (names.empty() ? "" : ", ") + name;
    }
    return std::unexpected{"'" + text + "' is not one of " + names};
  };
}

/// A token of RFC 9110, as names of headers and methods are.
bool is_token(std::string_view text) {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

Reading<Text> as_token(const Text& text) {
  if (!is_token(text)) return std::unexpected{"'" + text + "' is not a name that HTTP allows here"};
  return text;
}

Reading<std::pair<Text, Text>> as_header(const Text& text) {
  const std::size_t colon = text.find(':');
  const bool clean = text.find_first_of(std::string_view{"\r\n\0", 3}) == Text::npos;
  if (colon == Text::npos || !clean || !is_token(text.substr(0, colon))) {
    return std::unexpected{"'" + text + "' is not of the form 'Name: value'"};
  }
  const std::size_t value = std::min(text.find_first_not_of(" \t", colon + 1), text.size());
  return std::pair{text.substr(0, colon), text.substr(value)};
}

std::vector<Text> split(const Text& text) {
  std::vector<Text> parts;
  std::istringstream stream{text};
  for (Text part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

Reading<std::vector<double>> as_rates(const Text& text) {
  std::vector<double> rates;
  for (const Text& part : split(text)) {
    const auto rate = as_rate(part);
    if (!rate) return std::unexpected{rate.error()};
    rates.push_back(*rate);
  }
  if (rates.empty() || rates.size() > rates_max) return std::unexpected{Text{"needs 1 to 1000 rates, as 10k,30k"}};
  return rates;
}

Reading<std::vector<Text>> as_files(const Text& text) {
  auto files = split(text);
  if (files.empty() || std::find(files.begin(), files.end(), "") != files.end()) {
    return std::unexpected{"'" + text + "' is not a list of files"};
  }
  return files;
}

Reading<std::optional<int>> as_pid(const Text& text) {
  if (text == "auto") return std::optional<int>{};
  return count_in<int>({0, std::numeric_limits<int>::max()})(text);
}

Reading<Slo> as_slo(const Text& text) { return Slo::parse(text); }

// ---- flags

/// Adds flags of one verb. Each goes to its own place once the whole line has been read.
class Flags {
 public:
  explicit Flags(CLI::App& app) : app_{app} {}

  /// `place`: a T or an optional of it.
  template <class Place, class Read>
  CLI::Option* one(const char* names, Place& place, Read read, const char* help) {
    return app_.add_option_function<Text>(
        names, [&place, read, names](const Text& text) { place = checked(names, read(text)); }, help);
  }

  /// May come several times, with one word each.
  template <class T, class Read>
  CLI::Option* many(const char* names, std::vector<T>& place, Read read, const char* help) {
    const auto add = [&place, read, names](const std::vector<Text>& texts) {
      for (const Text& text : texts) place.push_back(checked(names, read(text)));
    };
    return app_.add_option_function<std::vector<Text>>(names, add, help)->allow_extra_args(false);
  }

  CLI::Option* flag(const char* names, bool& place, const char* help) { return app_.add_flag(names, place, help); }

 private:
  template <class T>
  static T checked(const char* names, Reading<T> value) {
    if (!value) throw CLI::ValidationError{Text{names}.substr(Text{names}.find(',') + 1), value.error()};
    return std::move(*value);
  }

  CLI::App& app_;
};

/// What the flags fill in.
struct Parsed {
  Command command{};
  LoadFlags load{};
  std::optional<Duration> warmup{}, window{}, confirm{}, stage{};  // of a search
  bool quick = false, full = false, no_self_check = false;
  unsigned check_connections = 64, check_threads = 1;  // of self-check
};

void add_request_flags(Flags& flags, LoadFlags& load) {
  flags.one("-m,--method", load.method, as_token, "method; GET, or POST with a body")->type_name("METHOD");
  flags.many("-H,--header", load.headers, as_header, "a header, 'Name: value'; may come several times")
      ->type_name("HEADER");
  auto* const body = flags.one("--body", load.body, as_text, "the body itself")->type_name("TEXT");
  auto* const file = flags.one("--body-file", load.body_file, as_file, "the body from a file")->type_name("FILE");
  auto* const bytes = flags.one("--body-bytes", load.body_bytes, as_body_bytes, "a body of that size, as 64k");
  bytes->type_name("BYTES")->excludes(body)->excludes(file);
  file->excludes(body);
  flags.one("--mix", load.mix, as_file, "several kinds of requests: a JSON array, as in a scenario")->type_name("FILE");
}

void add_behaviour_flags(Flags& flags, LoadFlags& load) {
  flags.one("--pipeline", load.pipeline, count_in<unsigned>({1, 64}), "requests under way per connection; 1")
      ->type_name("N");
  auto* const each = flags.flag("--new-connections", load.new_connections, "a new connection for every request");
  flags
      .one("--requests-per-connection", load.requests_per_connection, count_in<std::uint64_t>({1}),
           "then it is closed and made anew")
      ->type_name("N")
      ->excludes(each);
  flags.one("--give-up", load.give_up, as_positive_duration, "clients leave when the answer has not come by then")
      ->type_name("TIME");
  flags.one("--retries", load.retries, count_in<unsigned>({0, 100}), "after 429, 503, 504, a break or giving up; 0")
      ->type_name("N");
  flags.one("--retry-backoff", load.retry_backoff, as_duration, "before the first retry, doubled each time; 100ms")
      ->type_name("TIME");
  flags.one("--deadline", load.deadline, as_positive_duration, "tells the server how long the client will wait")
      ->type_name("TIME");
  flags.one("--deadline-header", load.deadline_header, as_token, "in this header, in ms; x-request-timeout-ms")
      ->type_name("NAME");
  auto* const readers = flags.one("--slow-readers", load.slow_readers, count_in<unsigned>({1, 1'000'000}),
                                  "as many more connections, which read slowly; they do not count in the result");
  readers->type_name("N");
  flags.one("--read-rate", load.read_rate, as_byte_rate, "bytes per second and slow reader; 10k")
      ->type_name("BYTES")
      ->needs(readers);
  auto* const writers = flags.one("--slow-writers", load.slow_writers, count_in<unsigned>({1, 1'000'000}),
                                  "as many more connections, which write slowly; they do not count in the result");
  writers->type_name("N");
  flags.one("--write-rate", load.write_rate, as_byte_rate, "bytes per second and slow writer; 100")
      ->type_name("BYTES")
      ->needs(writers);
}

void add_load_flags(Flags& flags, LoadFlags& load) {
  flags.one("URL", load.url, as_text, "http://HOST[:PORT][/PATH] or unix:PATH[:/PATH]");
  flags.one("--scenario", load.scenario, as_file, "the whole load from a JSON file; other flags go over it")
      ->type_name("FILE");
  flags.one("--name", load.name, as_text, "what the result is called")->type_name("TEXT");
  flags.one("-c,--connections", load.connections, count_in<unsigned>({1, 1'000'000}), "connections; 64")
      ->type_name("N");
  flags.one("-t,--threads", load.threads, count_in<unsigned>({1, 256}), "threads that make the load; 1")
      ->type_name("N");
  flags
      .one("--pattern", load.pattern,
           choice<Pattern::Kind>(
               {{"steady", Pattern::Kind::steady}, {"burst", Pattern::Kind::burst}, {"ramp", Pattern::Kind::ramp}}),
           "steady, burst or ramp: how the rate moves; steady")
      ->type_name("PATTERN");
  flags.one("--high", load.high, as_factor, "burst: rate while on; ramp: at the end; as a factor, 3")->type_name("X");
  flags.one("--low", load.low, as_factor, "burst: rate while off; ramp: at the start; as a factor, 0.2")
      ->type_name("X");
  flags.one("--on", load.on, as_positive_duration, "burst: how long it is high; 1s")->type_name("TIME");
  flags.one("--off", load.off, as_positive_duration, "burst: how long it is low; 4s")->type_name("TIME");
  add_request_flags(flags, load);
  add_behaviour_flags(flags, load);
  auto* const source = flags.many("--source", load.sources, as_text, "local address to connect from; several times");
  flags.one("--sources", load.source_count, count_in<unsigned>({1, 253}), "connect from 127.0.0.2 and up, N addresses")
      ->type_name("N")
      ->excludes(source->type_name("ADDRESS"));
  flags.one("--seed", load.seed, count_in<std::uint64_t>({}), "of all random numbers; 1")->type_name("N");
  flags.one("--grace", load.grace, as_duration, "for answers after the last request; 5s")->type_name("TIME");
}

auto arrival_choice() { return choice<Arrival>({{"constant", Arrival::constant}, {"poisson", Arrival::poisson}}); }

void add_timing_flags(Flags& flags, LoadFlags& load) {
  flags.one("-d,--duration", load.duration, as_positive_duration, "the measured part; 10s")->type_name("TIME");
  flags.one("--warmup", load.warmup, as_duration, "the same load before it, not measured; 0s")->type_name("TIME");
  flags.one("--arrival", load.arrival, arrival_choice(), "constant or poisson: the gaps between requests; constant")
      ->type_name("ARRIVAL");
}

void add_color_flag(Flags& flags, OutputOptions& output) {
  flags
      .one("--color", output.color,
           choice<Color>({{"auto", Color::automatic}, {"always", Color::always}, {"never", Color::never}}),
           "auto, always or never")
      ->type_name("WHEN");
}

void add_output_flags(Flags& flags, Command& command) {
  OutputOptions& output = command.output;
  flags.one("-o,--output", output.json, as_file, "the whole result as JSON")->type_name("FILE.json");
  flags
      .one("--hgrm", output.hgrm, as_file, "percentile tables for HdrHistogram's plotters: PREFIX.2xx.hgrm and others")
      ->type_name("PREFIX");
  flags.one("--csv", output.csv, as_file, "classes and percentiles as CSV; the time axis goes to FILE.series.csv")
      ->type_name("FILE");
  flags.one("--html", output.html, as_file, "the report page")->type_name("FILE");
  flags.flag("--jsonl", output.json_lines, "result and progress as JSON lines on stdout, no table");
  flags.flag("-q,--quiet", output.quiet, "no progress");
  flags.one("--server-metrics", command.watch.metrics, as_file, "lanes of the server: URL, /PATH, auto or none; auto")
      ->type_name("URL");
  flags.one("--pid", command.watch.pid, as_pid, "the server's process, for its CPU time and memory; auto, 0: none")
      ->type_name("PID");
  add_color_flag(flags, output);
}

void add_run(CLI::App& app, Parsed& parsed) {
  CLI::App& verb = *app.add_subcommand("run", "one run at one rate");
  Flags flags{verb};
  flags.one("-R,--rate", parsed.load.rate_per_s, as_rate, "requests per second, as 20k; without it: a closed loop")
      ->type_name("RATE");
  add_timing_flags(flags, parsed.load);
  add_load_flags(flags, parsed.load);
  add_output_flags(flags, parsed.command);
  verb.footer(Text{help::run});
}

void add_sweep(CLI::App& app, Parsed& parsed) {
  CLI::App& verb = *app.add_subcommand("sweep", "one run at each of several rates");
  Flags flags{verb};
  flags.one("--rates", parsed.command.rates_per_s, as_rates, "requests per second, as 10k,30k,50k")
      ->type_name("RATE,...")
      ->required();
  flags.one("--pause", parsed.command.pause, as_duration, "between two runs; 0s")->type_name("TIME");
  add_timing_flags(flags, parsed.load);
  add_load_flags(flags, parsed.load);
  add_output_flags(flags, parsed.command);
  verb.footer(Text{help::sweep});
}

void add_search(CLI::App& app, Parsed& parsed) {
  CLI::App& verb = *app.add_subcommand("search", "the highest rate that meets the conditions");
  Flags flags{verb};
  SearchOptions& search = parsed.command.search;
  flags
      .many("--slo", search.slos, as_slo, "a condition: 'p99<50ms', 'max<1s', 'mean<2ms', 'errors<0.1%'; several times")
      ->type_name("SLO");
  flags.one("--arrival", search.arrival, arrival_choice(), "constant or poisson: the gaps between requests; poisson")
      ->type_name("ARRIVAL");
  flags.one("--warmup", parsed.warmup, as_duration, "of each window; 1s")->type_name("TIME");
  flags.one("--window", parsed.window, as_positive_duration, "of each probe; 5s")->type_name("TIME");
  flags.one("--confirm", parsed.confirm, as_positive_duration, "at the limit that was found; 60s")->type_name("TIME");
  flags.one("--stage", parsed.stage, as_positive_duration, "of each point of the curve and the overload; 5s")
      ->type_name("TIME");
  flags.one("--precision", search.precision, as_share, "of the limit; 3%")->type_name("SHARE");
  flags.one("--start", search.start_per_s, as_rate, "the first rate; a tenth of the closed loop's")->type_name("RATE");
  auto* const quick = flags.flag("--quick", parsed.quick, "short stages: a first look in about a minute");
  flags.flag("--full", parsed.full, "confirms the limit for ten minutes")->excludes(quick);
  flags.flag("--no-self-check", parsed.no_self_check, "does not measure the generator first");
  flags.flag("--profile", parsed.command.profile, "flame graphs at 80 % and 120 % of the limit, with perf");
  add_load_flags(flags, parsed.load);
  add_output_flags(flags, parsed.command);
  verb.footer(Text{help::search});
}

void add_report(CLI::App& app, Parsed& parsed) {
  CLI::App& verb = *app.add_subcommand("report", "one page of several results");
  Flags flags{verb};
  flags.many("FILE", parsed.command.files, as_file, "result files, from -o")->allow_extra_args(true)->required();
  flags.one("--html", parsed.command.output.html, as_file, "the page")->type_name("FILE")->required();
  verb.footer(Text{help::report});
}

void add_compare(CLI::App& app, Parsed& parsed) {
  CLI::App& verb = *app.add_subcommand("compare", "whether one set of results is better than another");
  Flags flags{verb};
  flags.one("A", parsed.command.before, as_files, "result files, FILE[,FILE...]")->required();
  flags.one("B", parsed.command.after, as_files, "result files, FILE[,FILE...]")->required();
  add_color_flag(flags, parsed.command.output);
  verb.footer(Text{help::compare});
}

void add_self_check(CLI::App& app, Parsed& parsed) {
  CLI::App& verb = *app.add_subcommand("self-check", "what the generator can do on this machine");
  verb.add_option("-c,--connections", parsed.check_connections, "connections; 64")->check(CLI::Range(1U, 100'000U));
  verb.add_option("-t,--threads", parsed.check_threads, "generator threads; 1")->check(CLI::Range(1U, 256U));
  verb.footer(Text{help::self_check});
}

void add_null_server(CLI::App& app, Parsed& parsed) {
  CLI::App& verb = *app.add_subcommand("null-server", "a server that only answers, to measure generators against");
  verb.add_option("--port", parsed.command.port, "on 127.0.0.1; 0: the kernel chooses");
  verb.footer(Text{help::null_server});
}

// ---- the whole line

Text quoted(const Text& word) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+:,./@%";
  if (!word.empty() && word.find_first_not_of(plain) == Text::npos) return word;
  Text text = "'";
  for (const char c : word) {
    if (c == '\'') text += "'\\''";
    else text += c;
  }
  return text + '\'';
}

Exit usage(Text problem) {
  std::replace_if(problem.begin(), problem.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
  return {exit_code::usage, {}, "sluice-load: " + problem + '\n'};
}

Verb verb_of(const CLI::App& app) {
  const Text name = app.get_subcommands().front()->get_name();
  if (name == "sweep") return Verb::sweep;
  if (name == "search") return Verb::search;
  if (name == "report") return Verb::report;
  if (name == "self-check") return Verb::self_check;
  if (name == "null-server") return Verb::null_server;
  return name == "compare" ? Verb::compare : Verb::run;
}

void finish_search(const Parsed& parsed, SearchOptions& search) {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  if (parsed.quick) {
    search.warmup = milliseconds{500};
    search.window = search.stage = seconds{2};
    search.confirm = seconds{10};
  }
  if (parsed.full) search.confirm = seconds{600};
  if (parsed.warmup) search.warmup = *parsed.warmup;
  if (parsed.window) search.window = *parsed.window;
  if (parsed.confirm) search.confirm = *parsed.confirm;
  if (parsed.stage) search.stage = *parsed.stage;
  search.self_check = !parsed.no_self_check;
}

std::expected<Command, Exit> finish(const CLI::App& app, Parsed& parsed) {
  Command& command = parsed.command;
  command.verb = verb_of(app);
  if (command.verb == Verb::self_check) {
    command.load.threads = parsed.check_threads;
    command.load.clients.front().connections = parsed.check_connections;
  }
  const bool measures = command.verb == Verb::run || command.verb == Verb::sweep || command.verb == Verb::search;
  if (!measures) return std::move(command);
  auto load = make_load(parsed.load);
  if (!load) return std::unexpected{usage(load.error())};
  command.load = std::move(*load);
  if (command.verb == Verb::search) finish_search(parsed, command.search);
  if (command.profile && command.watch.pid == 0)
    return std::unexpected{usage("--profile needs a process, not --pid 0")};
  return std::move(command);
}

/// CLI11 would blame what comes after an unknown verb.
std::optional<Exit> check_verb(const CLI::App& app, const std::vector<Text>& arguments) {
  constexpr const char* verbs =
      "run, sweep, search, report, compare, self-check or null-server; see sluice-load --help";
  if (arguments.empty()) return usage(Text{"what to do? "} + verbs);
  const Text& first = arguments[0];
  const auto all = app.get_subcommands([](const CLI::App*) { return true; });
  const bool known =
      std::any_of(all.begin(), all.end(), [&](const CLI::App* verb) { return verb->get_name() == first; });
  if (first.starts_with('-') || known) return std::nullopt;
  return usage(quoted(first) + " is none of " + verbs);
}

}  // namespace

int exit_code_of(Error::Kind kind) noexcept {
  switch (kind) {
    case Error::Kind::usage: return exit_code::usage;
    case Error::Kind::unreachable: return exit_code::unreachable;
    case Error::Kind::not_http: return exit_code::not_http;
    case Error::Kind::descriptors: return exit_code::descriptors;
    case Error::Kind::system: return exit_code::system;
    case Error::Kind::interrupted: return exit_code::interrupted;
  }
  return exit_code::system;
}

std::expected<Command, Exit> parse_command(const std::vector<std::string>& arguments) {
  CLI::App app{Text{help::summary}, "sluice-load"};
  Parsed parsed;
  app.set_version_flag("--version", Text{"sluice-load "} + SLUICE_VERSION);
  app.require_subcommand(1);
  app.footer(Text{help::exit_codes});
  add_run(app, parsed);
  add_sweep(app, parsed);
  add_search(app, parsed);
  add_report(app, parsed);
  add_compare(app, parsed);
  add_self_check(app, parsed);
  add_null_server(app, parsed);
  parsed.command.line = "sluice-load";
  for (const Text& word : arguments) parsed.command.line += ' ' + quoted(word);
  if (auto exit = check_verb(app, arguments)) return std::unexpected{std::move(*exit)};
  try {
    app.parse(std::vector<Text>{arguments.rbegin(), arguments.rend()});
    return finish(app, parsed);
  } catch (const CLI::Success& success) {
    std::ostringstream out;
    app.exit(success, out, out);
    return std::unexpected{Exit{exit_code::done, out.str(), {}}};
  } catch (const CLI::Error& error) { return std::unexpected{usage(error.what())}; }
}

}  // namespace sluice::bench
