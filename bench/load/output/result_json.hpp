// result_json.hpp: results as JSON, schema "sluice-load/1"; keys and units are listed in bench/load/README.md.
// In: a result, and what is known of where it came from. Out: one JSON document without line ends.
// Thread: any; pure. Must never change the meaning of a key: saved files are read again by later versions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/bench.hpp>
#include <sluice/extra/json.hpp>

#include "load/output/environment.hpp"
#include "load/output/sweep.hpp"

namespace sluice::bench {

inline constexpr std::string_view result_schema = "sluice-load/1";

/// A profile of the server at `percent` of the limit: "comm;outermost;...;innermost" and how often it was seen.
struct Flame {
  double percent = 0;
  std::vector<std::pair<std::string, std::uint64_t>> folded{};
};

/// What a result does not know itself. Empty and null: nobody knows; it is written as "" or null.
///   Lifetime: views and pointers are only used during the call.
struct Origin {
  std::string_view command{};
  const Load* config = nullptr;
  const Environment* environment = nullptr;
  const SearchOptions* search = nullptr;  // arrival and warm-up of a search's runs; null: as in config
  std::span<const Flame> flames{};        // of a search
};

/// Each writes one object. The runs inside of a sweep or a search have no "command" and no "environment", and their
/// config is that of the load with their own rate and duration.
void write_run(JsonWriter& out, const RunResult& result, const Origin& origin);
void write_sweep(JsonWriter& out, const SweepResult& result, const Origin& origin);
void write_search(JsonWriter& out, const SearchResult& result, const Origin& origin);

std::string to_json(const RunResult& result, const Origin& origin);
std::string to_json(const SweepResult& result, const Origin& origin);
std::string to_json(const SearchResult& result, const Origin& origin);

}  // namespace sluice::bench
