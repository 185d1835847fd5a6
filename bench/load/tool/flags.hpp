// flags.hpp: what was said on the command line, before scenarios and defaults come in.
// In: flags, already read as numbers and times. Out: a Load with them on top of the scenario, or of the defaults.
// Thread: any. What is empty was not said.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sluice/bench.hpp>

namespace sluice::bench {

/// The flags that describe a load.
struct LoadFlags {
  std::optional<std::string> url{}, name{}, scenario{}, mix{};
  std::optional<double> rate_per_s{};
  std::optional<unsigned> connections{}, threads{};
  std::optional<Duration> duration{}, warmup{}, grace{};
  std::optional<std::uint64_t> seed{};
  std::vector<std::string> sources{};
  std::optional<unsigned> source_count{};
  // the first clients
  std::optional<Arrival> arrival{};
  std::optional<Pattern::Kind> pattern{};
  std::optional<double> high{}, low{};
  std::optional<Duration> on{}, off{};
  std::optional<unsigned> pipeline{}, retries{};
  std::optional<std::uint64_t> requests_per_connection{};
  bool new_connections = false;
  std::optional<Duration> give_up{}, retry_backoff{}, deadline{};
  std::optional<std::string> deadline_header{};
  // their requests
  std::optional<std::string> method{}, body{}, body_file{};
  std::optional<std::uint64_t> body_bytes{};
  std::vector<std::pair<std::string, std::string>> headers{};
  // clients in the background
  std::optional<unsigned> slow_readers{}, slow_writers{};
  std::uint64_t read_rate = 10 * 1024, write_rate = 100;
};

/// The load that the flags describe. Reads the files they name.
///   Errors: one line.
[[nodiscard]] std::expected<Load, std::string> make_load(const LoadFlags& flags);

}  // namespace sluice::bench
