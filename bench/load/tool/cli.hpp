// cli.hpp: the command line of sluice-load, as plain values.
// In: the arguments, and the files they name (scenarios, mixes, bodies). Out: a Command, or what to print and to return.
// Thread: any. Must never start anything or write a file; who calls it does.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include <sluice/bench.hpp>

#include "load/tool/server_watch.hpp"

namespace sluice::bench {

/// What sluice-load returns to the shell.
namespace exit_code {
inline constexpr int done = 0;
inline constexpr int usage = 2;
inline constexpr int unreachable = 3;
inline constexpr int not_http = 4;
inline constexpr int descriptors = 5;
inline constexpr int system = 6;
inline constexpr int invalid = 7;  // measured and written, but it does not count
inline constexpr int interrupted = 130;
}  // namespace exit_code

/// The code for an error of run() or search().
int exit_code_of(Error::Kind kind) noexcept;

enum class Verb : std::uint8_t { run, sweep, search, report, compare, self_check, null_server };
enum class Color : std::uint8_t { automatic, always, never };

/// Where results go, besides the table on stdout. Empty: not there.
struct OutputOptions {
  std::string json{};
  std::string hgrm{};  // what the names of the .hgrm files begin with
  std::string csv{};
  std::string html{};
  bool json_lines = false;  // on stdout, instead of the table
  bool quiet = false;  // no progress
  Color color = Color::automatic;
};

/// What the user wants.
struct Command {
  Verb verb = Verb::run;
  std::string line{};  // as typed, quoted where a shell would need it
  Load load{};
  OutputOptions output{};
  WatchOptions watch{};
  // sweep
  std::vector<double> rates_per_s{};
  Duration pause{};
  // search
  SearchOptions search{};
  bool profile = false;
  // null_server
  std::uint16_t port = 0;
  // report: all files; compare: the two sides
  std::vector<std::string> files{}, before{}, after{};
};

/// Nothing is to be done but to print and to end: help, version, an error.
struct Exit {
  int code = exit_code::done;
  std::string out{};  // for stdout
  std::string err{};  // for stderr: one line
};

/// Reads the arguments, the program's name not among them.
///   Errors: an Exit with code `usage` and one line that says what is wrong; help and version are an Exit with `done`.
[[nodiscard]] std::expected<Command, Exit> parse_command(const std::vector<std::string>& arguments);

}  // namespace sluice::bench
