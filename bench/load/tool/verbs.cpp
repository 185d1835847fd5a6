// verbs.cpp: each verb: check the files, watch the server, make the load, print, write, return.
// Thread: the caller's. stdout has results alone, stderr all that is said meanwhile.
#include "load/tool/verbs.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "load/client/null_server.hpp"
#include "load/output/report_page.hpp"
#include "load/plan/units.hpp"
#include "load/tool/compare.hpp"
#include "load/tool/documents.hpp"
#include "load/tool/output_file.hpp"
#include "load/tool/profile.hpp"
#include "load/tool/result_file.hpp"

namespace sluice::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

void complain(const std::string& problem) { std::fprintf(stderr, "sluice-load: %s\n", problem.c_str()); }

int fail(const Error& error) {
  complain(error.text);
  return exit_code_of(error.kind);
}

int fail_usage(const std::string& problem) {
  complain(problem);
  return exit_code::usage;
}

std::string format_microseconds(double time_us) {
  return format_duration(Duration{static_cast<Duration::rep>(time_us * 1000)});
}

void put(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// What all measuring verbs need, from before the load until after it.
class Session {
 public:
  Session(Command& command, std::function<bool()> interrupted)
      : command_{command}, interrupted_{std::move(interrupted)}, progress_{command.output} {}

  /// Errors: one line, a mistake of the user.
  std::expected<void, std::string> prepare() {
    for (const std::string& path : output_paths(command_.output)) {
      if (auto writable = check_writable(path); !writable) return writable;
    }
    auto watch = ServerWatch::open(command_.load.url, command_.watch);
    if (!watch) return std::unexpected{watch.error()};
    for (const std::string& warning : watch->warnings()) complain("warning: " + warning);
    watch_.emplace(std::move(*watch));
    if (command_.profile && watch_->pid() == 0) {
      return std::unexpected{std::string{"--profile needs --pid: the server's process was not found"}};
    }
    command_.load.interrupted = interrupted_;
    command_.load.watch_server = [this] { return watch_->look(); };
    command_.load.on_progress = [this](const Progress& progress) { progress_.show(progress); };
    return {};
  }

  /// The code for what was measured.
  int code(bool valid) const {
    if (interrupted_()) return exit_code::interrupted;
    return valid ? exit_code::done : exit_code::invalid;
  }

  /// Writes each file; what cannot be written does not keep the others from it.
  ///   Result: `code`, or that of an error of the system.
  int write(const std::vector<NamedText>& files, int code) const {
    for (const NamedText& file : files) {
      if (const auto written = write_file(file.path, file.text); !written) {
        complain(written.error());
        code = exit_code::system;
      }
    }
    return code;
  }

  bool interrupted() const { return interrupted_(); }
  int server_pid() const { return watch_->pid(); }
  ProgressDisplay& progress() { return progress_; }

 private:
  Command& command_;
  std::function<bool()> interrupted_;
  ProgressDisplay progress_;
  std::optional<ServerWatch> watch_{};
};

int do_run(Session& session, const Command& command) {
  const auto result = run(command.load);
  session.progress().clear();
  if (!result) return fail(result.error());
  put(shown(command, *result));
  return session.write(files_of(command, *result), session.code(result->valid()));
}

/// False: interrupted.
bool pause(const Session& session, Duration time) {
  constexpr Duration step = std::chrono::milliseconds{50};
  for (const auto end = SteadyClock::now() + time; SteadyClock::now() < end && !session.interrupted();) {
    std::this_thread::sleep_for(std::min<Duration>(step, end - SteadyClock::now()));
  }
  return !session.interrupted();
}

int do_sweep(Session& session, const Command& command) {
  SweepResult sweep;
  sweep.name = command.load.name;
  std::optional<Error> error;
  Load load = command.load;
  for (const double rate : command.rates_per_s) {
    if (!sweep.runs.empty() && !pause(session, command.pause)) break;
    load.clients.front().rate_per_s = rate;
    auto result = run(load);
    session.progress().clear();
    if (!result) {
      error = result.error();
      break;
    }
    session.progress().say("at " + format_rate(rate) + "/s: " + (result->valid() ? "done" : "INVALID"));
    sweep.runs.push_back({rate, std::move(*result)});
    if (session.interrupted()) break;
  }
  if (error) complain(error->text);
  if (sweep.runs.empty()) return error ? exit_code_of(error->kind) : exit_code::interrupted;
  sweep.target = sweep.runs.front().run.target;
  sweep.started_at = sweep.runs.front().run.started_at;
  put(shown(command, sweep));
  const int code = error ? exit_code_of(error->kind) : session.code(sweep.valid());
  return session.write(files_of(command, sweep), code);  // what was measured before the error is worth keeping
}

int do_search(Session& session, const Command& command) {
  SearchOptions options = command.search;
  options.on_stage = [&session](std::string_view line) { session.progress().say(line); };
  std::optional<Profiler> profiler;
  if (command.profile) {
    profiler.emplace(session.server_pid());
    options.on_profile_stage = [&profiler](std::string_view percent, bool begins) { profiler->stage(percent, begins); };
  }
  const auto result = search(command.load, options);
  session.progress().clear();
  if (profiler && !profiler->warning().empty()) complain("warning: " + profiler->warning());
  if (!result) return fail(result.error());
  const auto flames = profiler ? profiler->profiles() : std::vector<Flame>{};
  put(shown(command, *result, flames));
  return session.write(files_of(command, *result, flames), session.code(result->valid));
}

int measure(Command& command, std::function<bool()> interrupted) {
  Session session{command, std::move(interrupted)};
  if (const auto prepared = session.prepare(); !prepared) return fail_usage(prepared.error());
  switch (command.verb) {
    case Verb::sweep: return do_sweep(session, command);
    case Verb::search: return do_search(session, command);
    default: return do_run(session, command);
  }
}

std::expected<std::vector<ResultFile>, std::string> read_results(const std::vector<std::string>& files) {
  std::vector<ResultFile> results;
  for (const std::string& file : files) {
    auto result = read_result(file);
    if (!result) return std::unexpected{result.error()};
    results.push_back(std::move(*result));
  }
  return results;
}

int do_report(const Command& command) {
  if (const auto writable = check_writable(command.output.html); !writable) return fail_usage(writable.error());
  const auto results = read_results(command.files);
  if (!results) return fail_usage(results.error());
  const std::string page = report_page(report_json(*results, utc_now()));
  if (const auto written = write_file(command.output.html, page); !written) {
    return fail({Error::Kind::system, written.error()});
  }
  for (const std::string& scenario : missing_scenarios(*results)) complain("warning: no result covers " + scenario);
  return exit_code::done;
}

int do_compare(const Command& command) {
  const auto before = read_results(command.before);
  if (!before) return fail_usage(before.error());
  const auto after = read_results(command.after);
  if (!after) return fail_usage(after.error());
  const auto table = compare_text(*before, *after, wants_color(command.output));
  if (!table) return fail_usage(table.error());
  put(*table);
  return exit_code::done;
}

int do_self_check(const Command& command) {
  const auto check = self_check(command.load.threads, command.load.clients.front().connections);
  if (!check) return fail(check.error());
  put("ceiling   " + format_rate(check->ceiling_rps) + "/s in a closed loop against a server that only answers\n" +
      "floor     " + format_microseconds(check->floor_p50_us) + " median latency at half of it\n" + "send lag  " +
      format_microseconds(check->send_lag_p999_us) + " at half of it (p99.9)\n");
  for (const std::string& problem : check->problems) put("INVALID   " + problem + '\n');
  return check->problems.empty() ? exit_code::done : exit_code::invalid;
}

int do_null_server(const Command& command, const std::function<bool()>& interrupted) {
  const NullServer server{false, command.port};
  put("listening on " + server.url() + '\n');
  while (!interrupted()) std::this_thread::sleep_for(std::chrono::milliseconds{50});
  return exit_code::done;
}

}  // namespace

int execute(Command command, std::function<bool()> interrupted) {
  switch (command.verb) {
    case Verb::report: return do_report(command);
    case Verb::compare: return do_compare(command);
    case Verb::self_check: return do_self_check(command);
    case Verb::null_server: return do_null_server(command, interrupted);
    default: return measure(command, std::move(interrupted));
  }
}

}  // namespace sluice::bench
