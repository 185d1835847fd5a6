// server_watch.cpp: finding the server's process and its counters, and asking both once a look.
// Thread: one at a time. One JSON parser per look: once a second, nothing is worth keeping.
#include "load/tool/server_watch.hpp"

#include <signal.h>
#include <simdjson.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sluice::bench {
namespace {

constexpr std::size_t lanes_max = 1000;

std::uint64_t member(const simdjson::dom::object& lane, std::string_view key) {
  std::uint64_t value = 0;
  if (lane[key].get_uint64().get(value) != simdjson::SUCCESS) return 0;
  return value;
}

Listening listening_of(const net::Address& address) {
  if (!address.is_unix()) return {address.port(), {}};
  return {0, address.to_string().substr(std::string_view{"unix:"}.size())};
}

}  // namespace

bool is_local(const net::Address& address) {
  const std::string host = address.host();
  return address.is_unix() || host.starts_with("127.") || host == "::1" || host == "[::1]";
}

std::optional<std::vector<LaneSample>> parse_lanes(std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::object lanes;
  const simdjson::padded_string padded{json};
  if (parser.parse(padded).get(root) != simdjson::SUCCESS) return std::nullopt;
  if (root["lanes"].get_object().get(lanes) != simdjson::SUCCESS) return std::nullopt;
  std::vector<LaneSample> samples;
  for (const simdjson::dom::key_value_pair lane : lanes) {
    simdjson::dom::object counters;
    if (lane.value.get_object().get(counters) != simdjson::SUCCESS) return std::nullopt;
    if (samples.size() == lanes_max) break;
    samples.push_back({std::string{lane.key}, member(counters, "depth"), member(counters, "in_flight"),
                       member(counters, "limit"), member(counters, "zombies")});
  }
  return samples;
}

std::expected<ServerWatch, std::string> ServerWatch::open(std::string_view url, const WatchOptions& options) {
  const auto target = resolve(url);
  if (!target && target.error().kind == Error::Kind::usage) return std::unexpected{target.error().text};
  ServerWatch watch;
  if (!target) return watch;  // no such host: the run says so
  if (auto problem = watch.open_process(*target, options.pid)) return std::unexpected{std::move(*problem)};
  if (auto problem = watch.open_counters(*target, options.metrics)) return std::unexpected{std::move(*problem)};
  return watch;
}

std::optional<std::string> ServerWatch::open_process(const Target& target, const std::optional<int>& pid) {
  if (pid) {
    if (*pid == 0) return std::nullopt;
    if (::kill(*pid, 0) != 0 && errno == ESRCH) return "--pid: there is no process " + std::to_string(*pid);
    process_.emplace(*pid);
  } else if (is_local(target.address)) {
    const auto found = listening_processes(listening_of(target.address));
    if (found.size() > 1) {
      warnings_.push_back(std::to_string(found.size()) +
                          " processes listen there, so none of them is watched; name one with --pid");
    } else if (found.size() == 1) {
      process_.emplace(found[0]);
    }
  }
  if (process_) {
    ServerSample first;  // rates count from here on
    process_->look(first);
  }
  return std::nullopt;
}

std::optional<std::string> ServerWatch::open_counters(const Target& target, const std::string& metrics) {
  if (metrics == "none") return std::nullopt;
  const bool automatic = metrics == "auto";
  Target where = target;
  if (automatic) {
    where.path = "/counters";
  } else if (metrics.starts_with('/')) {
    where.path = metrics;
  } else {
    auto other = resolve(metrics);
    if (!other) return "--server-metrics: " + other.error().text;
    where = std::move(*other);
  }
  HttpGet get{std::move(where)};
  const auto document = get.fetch();
  const bool usable = document && parse_lanes(*document);
  if (!usable && !automatic) warnings_.push_back("no lanes at " + metrics + " yet; it is asked again during the run");
  if (usable || !automatic) counters_.emplace(std::move(get));
  return std::nullopt;
}

std::optional<ServerSample> ServerWatch::look() {
  if (!process_ && !counters_) return std::nullopt;
  ServerSample sample;
  if (process_) process_->look(sample);
  if (counters_) {
    if (const auto document = counters_->fetch())
      sample.lanes = parse_lanes(*document).value_or(std::vector<LaneSample>{});
  }
  return sample;
}

}  // namespace sluice::bench
