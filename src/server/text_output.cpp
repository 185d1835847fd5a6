// text_output.cpp: counters and the report of a server as text and as JSON. Values in, strings out.
// Any thread; no I/O. Every counter stands in one table here, so that none can be left out of an answer.
#include <sluice/server.hpp>

#include <algorithm>
#include <array>
#include <cstdio>

#include "server/json_text.hpp"

namespace sluice {
namespace {

constexpr std::array<ShedReason, shed_reason_count> shed_reasons = {
    ShedReason::queue_full,       ShedReason::infeasible,   ShedReason::memory,       ShedReason::draining,
    ShedReason::connection_share, ShedReason::rate_limited, ShedReason::client_share, ShedReason::deadline};

template <class Counters>
struct NamedCounter {
  const char* name;
  std::uint64_t Counters::* counter;
};

// Behind "received", "shed" and "shed_total".
constexpr NamedCounter<LaneCounters> lane_counters[] = {
    {"queued", &LaneCounters::queued},
    {"inline", &LaneCounters::inlined},
    {"started", &LaneCounters::started},
    {"expired", &LaneCounters::expired},
    {"cancelled", &LaneCounters::cancelled},
    {"evicted", &LaneCounters::evicted},
    {"stale", &LaneCounters::stale},
    {"drained", &LaneCounters::drained},
    {"responded", &LaneCounters::responded},
    {"raised", &LaneCounters::raised},
    {"dropped", &LaneCounters::dropped},
    {"thrown", &LaneCounters::thrown},
    {"timed_out", &LaneCounters::timed_out},
    {"abandoned", &LaneCounters::abandoned},
    {"late", &LaneCounters::late},
    {"started_after_deadline", &LaneCounters::started_after_deadline},
    {"loop_stalls", &LaneCounters::loop_stalls},
    {"delayed", &LaneCounters::delayed},
    {"degraded", &LaneCounters::degraded},
    {"mode_changes", &LaneCounters::mode_changes},
    {"depth", &LaneCounters::depth},
    {"running", &LaneCounters::running},
    {"in_flight", &LaneCounters::in_flight},
    {"zombies", &LaneCounters::zombies},
    {"limit", &LaneCounters::limit},
    {"oldest_zombie_ms", &LaneCounters::oldest_zombie_ms},
    {"overloaded", &LaneCounters::overloaded},
    {"stalled", &LaneCounters::stalled},
};
static_assert(sizeof(LaneCounters) == sizeof(std::uint64_t) * (1 + shed_reason_count + std::size(lane_counters)),
              "a counter is missing from the table");

constexpr NamedCounter<ConnectionCounters> connection_counters[] = {
    {"accepted", &ConnectionCounters::accepted},
    {"open", &ConnectionCounters::open},
    {"closed", &ConnectionCounters::closed},
    {"refused_requests", &ConnectionCounters::refused_requests},
    {"head_timeouts", &ConnectionCounters::head_timeouts},
    {"body_timeouts", &ConnectionCounters::body_timeouts},
    {"idle_closed", &ConnectionCounters::idle_closed},
    {"slow_readers", &ConnectionCounters::slow_readers},
    {"resets", &ConnectionCounters::resets},
    {"accept_pauses", &ConnectionCounters::accept_pauses},
    {"accept_errors", &ConnectionCounters::accept_errors},
    {"responses", &ConnectionCounters::responses},
    {"responses_dropped", &ConnectionCounters::responses_dropped},
    {"refusals", &ConnectionCounters::refusals},
    {"reads_paused", &ConnectionCounters::reads_paused},
    {"accepts_paused", &ConnectionCounters::accepts_paused},
    {"idle_reaped", &ConnectionCounters::idle_reaped},
    {"memory_pauses", &ConnectionCounters::memory_pauses},
    {"bytes_buffered", &ConnectionCounters::bytes_buffered},
    {"bytes_copied", &ConnectionCounters::bytes_copied},
    {"refusal_rung", &ConnectionCounters::refusal_rung},
    {"refusal_cost_ns", &ConnectionCounters::refusal_cost_ns},
};
static_assert(sizeof(ConnectionCounters) == sizeof(std::uint64_t) * std::size(connection_counters),
              "a counter is missing from the table");

// In front of "stalled_route".
constexpr NamedCounter<LoopStatus> loop_figures[] = {
    {"turns", &LoopStatus::turns},
    {"lag_p50_us", &LoopStatus::lag_p50_us},
    {"lag_p99_us", &LoopStatus::lag_p99_us},
    {"lag_p999_us", &LoopStatus::lag_p999_us},
    {"lag_max_us", &LoopStatus::lag_max_us},
    {"stalls", &LoopStatus::stalls},
    {"blocking_calls", &LoopStatus::blocking_calls},
    {"stalled_for_ms", &LoopStatus::stalled_for_ms},
};
static_assert(sizeof(LoopStatus) == sizeof(std::uint64_t) * std::size(loop_figures) + sizeof(std::string),
              "a figure is missing from the table");

// ---- JSON; the server can't include extra/, where JsonWriter lives ----

/// Appends members and elements, with the commas between them.
class JsonList {
 public:
  explicit JsonList(std::string& out) noexcept : out_{&out} {}

  std::string& element() {
    if (!first_) *out_ += ',';
    first_ = false;
    return *out_;
  }
  std::string& key(std::string_view name) {
    detail::append_json_string(element(), name);
    return *out_ += ':';
  }
  void member(std::string_view name, std::uint64_t number) { key(name) += std::to_string(number); }
  void member(std::string_view name, std::string_view text) { detail::append_json_string(key(name), text); }
  void member(std::string_view name, const std::vector<std::string>& texts) {
    key(name) += '[';
    JsonList list{*out_};
    for (const std::string& text : texts) detail::append_json_string(list.element(), text);
    *out_ += ']';
  }

 private:
  std::string* out_;  // the caller's
  bool first_ = true;
};

void append_json(std::string& out, const LaneCounters& counters) {
  out += '{';
  JsonList members{out};
  members.member("received", counters.received);
  members.key("shed") += '{';
  JsonList reasons{out};
  for (const ShedReason reason : shed_reasons) {
    reasons.member(to_string(reason), counters.shed[static_cast<std::size_t>(reason)]);
  }
  out += '}';
  members.member("shed_total", counters.shed_total());
  for (const auto& [name, counter] : lane_counters) members.member(name, counters.*counter);
  out += '}';
}

void append_json(std::string& out, const ConnectionCounters& counters) {
  out += '{';
  JsonList members{out};
  for (const auto& [name, counter] : connection_counters) members.member(name, counters.*counter);
  out += '}';
}

void append_json(std::string& out, const LoopStatus& loop) {
  out += '{';
  JsonList members{out};
  for (const auto& [name, figure] : loop_figures) members.member(name, loop.*figure);
  members.member("stalled_route", loop.stalled_route);
  out += '}';
}

void append_json(std::string& out, const Report::Lane& lane) {
  out += '{';
  JsonList members{out};
  members.member("name", lane.name);
  members.member("runs", lane.runs);
  if (!lane.pool.empty()) members.member("pool", lane.pool);
  members.member("in_flight_max", lane.in_flight_max);
  members.member("reserved", lane.reserved);
  members.member("queue_depth_max", lane.queue_depth_max);
  members.member("queue_timeout_ms", lane.queue_timeout_ms);
  members.member("budget_ms", lane.budget_ms);
  out += '}';
}

// ---- text ----

/// "12,345,678"
std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

/// "16 KiB", "1.5 GiB", "312 bytes"
std::string human_bytes(std::uint64_t bytes) {
  constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
  std::size_t unit = 0;
  double amount = static_cast<double>(bytes) / 1024;
  while (amount >= 1023.95 && unit + 1 < std::size(units)) {  // what would be shown as 1024.0
    amount /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", amount);
  std::string shown{text.data()};
  if (shown.ends_with(".0")) shown.resize(shown.size() - 2);
  return shown + ' ' + units[unit];
}

/// "250 ms", "1.5 s", "10 s"
std::string human_milliseconds(std::uint64_t milliseconds) {
  if (milliseconds < 1000) return std::to_string(milliseconds) + " ms";
  std::string text = grouped(milliseconds / 1000);
  if (const std::uint64_t rest = milliseconds % 1000; rest != 0) {
    std::string digits = std::to_string(1000 + rest).substr(1);
    digits.resize(digits.find_last_not_of('0') + 1);
    text += '.' + digits;
  }
  return text + " s";
}

/// A limit's value in words, by the unit in its name; empty where the plain number says it all.
std::string human_limit(std::string_view name, std::uint64_t value) {
  if (name.ends_with("_ms")) return value < 1000 ? std::string{} : human_milliseconds(value);
  const bool rate = name.find("per_second") != std::string_view::npos;
  if (name.find("bytes") == std::string_view::npos || value < 1024) return {};
  return human_bytes(value) + (rate ? " per second" : "");
}

std::size_t width_of(std::string_view text) noexcept {  // characters, for UTF-8
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

/// Rows of cells, printed in aligned columns. `numbers_from`: the first column that is aligned to the right.
class Table {
 public:
  explicit Table(std::size_t numbers_from) noexcept : numbers_from_{numbers_from} {}

  void row(std::vector<std::string> cells) {
    if (widths_.size() < cells.size()) widths_.resize(cells.size());
    for (std::size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], width_of(cells[i]));
    rows_.push_back(std::move(cells));
  }

  void print(std::string& out) const {
    for (const auto& cells : rows_) {
      std::string line;
      for (std::size_t i = 0; i < cells.size(); ++i) {
        const std::string padding(widths_[i] - width_of(cells[i]), ' ');
        line += "  ";
        line += i < numbers_from_ ? cells[i] + padding : padding + cells[i];
      }
      line.resize(line.find_last_not_of(' ') + 1);
      out += line + '\n';
    }
  }

 private:
  std::size_t numbers_from_;
  std::vector<std::size_t> widths_{};
  std::vector<std::vector<std::string>> rows_{};
};

std::string counted(std::uint64_t count, std::string_view noun) {
  return grouped(count) + ' ' + std::string{noun} + (count == 1 ? "" : "s");
}

void print_overview(const Report& report, std::string& out) {
  Table table{2};
  for (std::size_t i = 0; i < report.addresses.size(); ++i) {
    table.row({i == 0 ? "listening on" : "", report.addresses[i]});
  }
  table.row({"backend", report.backend});
  table.row({"threads", counted(report.loops, "loop") + ", " + counted(report.pool_threads, "pool thread") + ", on " +
                            counted(report.cores, "core")});
  for (const auto& [name, threads] : report.pools) table.row({"pool " + name, counted(threads, "thread")});
  table.row({"memory", "at most " + human_bytes(report.memory_bytes_max) + " under these limits"});
  out += "sluice\n";
  table.print(out);
}

void print_limits(const Report& report, std::string& out) {
  if (report.limits.empty()) return;
  std::size_t widest = 0;
  for (const auto& [name, value] : report.limits) widest = std::max(widest, grouped(value).size());
  Table table{3};
  for (const auto& [name, value] : report.limits) {
    const std::string digits = grouped(value);
    table.row({name, std::string(widest - digits.size(), ' ') + digits, human_limit(name, value)});
  }
  out += "\nlimits\n";
  table.print(out);
}

void print_lanes(const Report& report, std::string& out) {
  if (report.lanes.empty()) return;
  const auto or_dash = [](std::uint64_t value, const std::string& text) { return value == 0 ? "-" : text; };
  Table table{2};
  table.row({"lane", "runs on", "in flight", "reserved", "queue", "waits", "budget"});
  for (const Report::Lane& lane : report.lanes) {
    table.row({lane.name, lane.pool.empty() ? lane.runs : lane.runs + " " + lane.pool,
               or_dash(lane.in_flight_max, grouped(lane.in_flight_max)), or_dash(lane.reserved, grouped(lane.reserved)),
               or_dash(lane.queue_depth_max, grouped(lane.queue_depth_max)),
               or_dash(lane.queue_timeout_ms, human_milliseconds(lane.queue_timeout_ms)),
               or_dash(lane.budget_ms, human_milliseconds(lane.budget_ms))});
  }
  out += "\nlanes (\"-\": none)\n";
  table.print(out);
}

void print_warnings(const Report& report, std::string& out) {
  if (report.warnings.empty()) return;
  out += "\nwarnings\n";
  for (const std::string& warning : report.warnings) out += "  * " + warning + '\n';
}

}  // namespace

const char* to_string(ShedReason reason) noexcept {
  switch (reason) {
    case ShedReason::queue_full: return "queue_full";
    case ShedReason::infeasible: return "infeasible";
    case ShedReason::memory: return "memory";
    case ShedReason::draining: return "draining";
    case ShedReason::connection_share: return "connection_share";
    case ShedReason::rate_limited: return "rate_limited";
    case ShedReason::client_share: return "client_share";
    case ShedReason::deadline: return "deadline";
  }
  return "unknown";
}

std::string Counters::to_json() const {
  std::string out{"{\"lanes\":{"};
  JsonList named{out};
  for (const NamedLaneCounters& lane : lanes) append_json(named.key(lane.name), lane.counters);
  out += "},\"total\":";
  append_json(out, total);
  out += ",\"connections\":";
  append_json(out, connections);
  out += ",\"loops\":[";
  JsonList elements{out};
  for (const LoopStatus& loop : loops) append_json(elements.element(), loop);
  out += "]}";
  return out;
}

std::string Report::to_text() const {
  std::string out;
  print_overview(*this, out);
  print_limits(*this, out);
  print_lanes(*this, out);
  print_warnings(*this, out);
  return out;
}

std::string Report::to_json() const {
  std::string out{"{"};
  JsonList members{out};
  members.member("backend", backend);
  members.member("cores", cores);
  members.member("loops", loops);
  members.member("pool_threads", pool_threads);
  members.key("pools") += '{';
  JsonList named_pools{out};
  for (const auto& [name, threads] : pools) named_pools.member(name, std::uint64_t{threads});
  out += '}';
  members.member("addresses", addresses);
  members.key("limits") += '{';
  JsonList named{out};
  for (const auto& [name, value] : limits) named.member(name, value);
  out += '}';
  members.key("lanes") += '[';
  JsonList elements{out};
  for (const Lane& lane : lanes) append_json(elements.element(), lane);
  out += ']';
  members.member("memory_bytes_max", memory_bytes_max);
  members.member("warnings", warnings);
  out += '}';
  return out;
}

}  // namespace sluice
