// server_watch.hpp: the server's side of a run: its CPU time and memory from /proc, its lanes from GET /counters.
// In: the load's URL and what the user asked for. Out: one ServerSample per look, for Load::watch_server.
// Thread: one at a time; a look takes milliseconds, at most about a second. Must never fail a run: what is not to be
// had stays empty.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/bench.hpp>

#include "load/tool/http_get.hpp"
#include "load/tool/proc.hpp"

namespace sluice::bench {

/// What to watch.
struct WatchOptions {
  std::optional<int> pid{};  // empty: find the process that listens on the target, if it is on this machine; 0: none
  std::string metrics = "auto";  // a URL, a path on the target, "none", or "auto": /counters, if it has lanes
};

/// The members of {"lanes":{NAME:{"depth":...}}}; what a lane lacks is 0. Nothing if it is not such a document.
std::optional<std::vector<LaneSample>> parse_lanes(std::string_view json);

/// Whether the other end is on this machine, by its address alone: a loopback address or a unix socket.
bool is_local(const net::Address& address);

class ServerWatch {
 public:
  /// Looks for the process and asks for the counters once.
  ///   Errors: one line: the URL makes no sense, or there is no process with that number. A host that is not to be
  ///           found is left to the run.
  [[nodiscard]] static std::expected<ServerWatch, std::string> open(std::string_view url, const WatchOptions& options);

  /// The server now; nothing if nothing is watched. `at_s` is left to the run.
  std::optional<ServerSample> look();

  /// The process that is watched; 0: none.
  int pid() const noexcept { return process_ ? process_->pid() : 0; }
  bool has_lanes() const noexcept { return counters_.has_value(); }
  /// What the user asked for, or could ask for, and does not get. One line each.
  const std::vector<std::string>& warnings() const noexcept { return warnings_; }

 private:
  ServerWatch() = default;

  std::optional<std::string> open_process(const Target& target, const std::optional<int>& pid);
  std::optional<std::string> open_counters(const Target& target, const std::string& metrics);

  std::optional<ProcessWatch> process_{};
  std::optional<HttpGet> counters_{};
  std::vector<std::string> warnings_{};
};

}  // namespace sluice::bench
