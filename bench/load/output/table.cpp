// table.cpp: one run on the terminal. Lines are made one by one; the table of outcomes aligns itself.
// Pure. What did not occur has no line.
#include "load/output/table.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include "load/output/config_json.hpp"
#include "load/output/percentiles.hpp"
#include "load/output/text_parts.hpp"
#include "load/plan/units.hpp"

namespace sluice::bench {
namespace {

constexpr std::uint64_t long_count = 10'000'000;  // from here on exact counts would make the table too wide

Duration from_seconds(double seconds) { return Duration{std::llround(seconds * 1e9)}; }

std::string seconds_text(double seconds) {
  std::array<char, 400> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), seconds, std::chars_format::fixed, 2);
  return std::string{digits.data(), end.ptr} + " s";
}

std::string stretches_text(const std::vector<Stretch>& stretches) {
  constexpr std::size_t shown_max = 8;
  std::string text;
  for (std::size_t index = 0; index < std::min(stretches.size(), shown_max); ++index) {
    text += (index == 0 ? "from " : ", from ") + seconds_text(stretches[index].from_s) + " to " +
            seconds_text(stretches[index].to_s);
  }
  if (stretches.size() > shown_max) text += " and " + std::to_string(stretches.size() - shown_max) + " more";
  return text;
}

// ---- the table of outcomes

/// A row of the table; what is known of it besides its distribution.
struct Row {
  std::string label{};
  std::uint64_t count = 0;
  std::optional<double> share{};
  std::optional<std::size_t> at_least{};  // from which of `percentiles` on
  Style style = Style::plain;
};

class OutcomeTable {
 public:
  explicit OutcomeTable(const ClientsResult& result)
      : planned_{result.planned}, compact_{std::max(result.planned, result.sent) >= long_count} {
    std::vector<std::string> heading{"", "count", "share%"};
    for (const Percentile& percentile : percentiles) heading.emplace_back(percentile.label);
    table_.add(std::move(heading), Style::strong);
  }

  void add(const Row& row, const Latency& latency) {
    std::vector<std::string> cells{row.label,
                                   compact_ ? format_rate(static_cast<double>(row.count)) : std::to_string(row.count)};
    cells.push_back(row.share ? percent_cell(*row.share) : "");
    for (std::size_t index = 0; index < percentiles.size(); ++index) {
      const auto time = latency.at(percentiles[index].quantile);
      const bool bound = time && row.at_least && index >= *row.at_least;
      dashes_ = dashes_ || !time;
      bounds_ = bounds_ || bound;
      cells.push_back(time ? (bound ? ">=" : "") + short_time(*time) : "-");
    }
    table_.add(std::move(cells), row.style);
  }

  /// Adds an outcome if it occurred.
  void add(Outcome outcome, const ClassResult& result) {
    if (result.count == 0) return;
    Row row{.label = std::string{name(outcome)}, .count = result.count, .share = share_of(result.count)};
    if (outcome == Outcome::unanswered) row.at_least = 0;
    if (outcome != Outcome::ok) row.style = Style::bad;
    add(row, result.latency);
  }

  std::optional<double> share_of(std::uint64_t count) const {
    if (planned_ == 0) return std::nullopt;
    return static_cast<double>(count) / static_cast<double>(planned_);
  }

  std::string text(bool color) const {
    std::string notes = "2xx to all: from the planned send time (closed loop: from when the connection was free)";
    if (dashes_) notes += "; -: fewer than 100 samples above";
    if (bounds_) notes += "; >=: at least, some were never answered";
    return table_.text(color) + labelled("", notes + ".");
  }

 private:
  static std::string percent_cell(double share) {
    std::string text = format_percent(share);
    return text.substr(0, text.find(' '));
  }

  std::uint64_t planned_;
  bool compact_;
  bool dashes_ = false, bounds_ = false;
  TextTable table_{};
};

std::string outcome_table(const ClientsResult& result, bool color) {
  OutcomeTable table{result};
  for (std::size_t index = 0; index < outcome_count; ++index) {
    table.add(static_cast<Outcome>(index), result.classes[index]);
  }
  const std::uint64_t all = result.all.count();
  table.add({.label = "all", .count = all, .share = table.share_of(all), .at_least = at_least_from(result)},
            result.all);
  const Latency& service = result.of(Outcome::ok).service;
  if (service.count() != 0) {
    table.add({.label = "2xx service", .count = service.count(), .style = Style::faint}, service);
  }
  if (result.connection_wait.count() != 0) {
    table.add({.label = "conn wait", .count = result.connection_wait.count(), .style = Style::faint},
              result.connection_wait);
  }
  if (result.send_lag.count() != 0) {
    table.add({.label = "send lag", .count = result.send_lag.count(), .style = Style::faint}, result.send_lag);
  }
  return table.text(color);
}

// ---- the lines around it

std::string rate_text(double per_s) { return format_rate(per_s) + "/s"; }

std::string load_line(const RunResult& result, const TextOptions& options) {
  if (options.config == nullptr) {
    return labelled("load", rate_text(result.offered_rps) + " offered, " + seconds_text(result.duration_s) +
                                " measured, " + counted(result.generator.threads, "thread"));
  }
  const Load& load = *options.config;
  const std::size_t measured = load.clients.size() - std::min<std::size_t>(load.background, load.clients.size());
  std::uint64_t connections = 0;
  for (std::size_t index = 0; index < measured; ++index) connections += load.clients[index].connections;
  std::string text = counted(connections, "connection") + ", ";
  const bool closed = load.clients.empty() || !(load.clients.front().rate_per_s > 0);
  if (closed) {
    text += "closed loop";
  } else {
    const Clients& first = load.clients.front();
    text += rate_text(result.offered_rps) + " planned (" + std::string{name(first.arrival)} + ", " +
            std::string{name(first.pattern.kind)} + ')';
  }
  text += ", " + seconds_text(result.duration_s) + " measured";
  if (load.warmup > Duration::zero()) text += " after " + format_duration(load.warmup) + " of warm-up";
  return labelled("load", text + ", " + counted(load.threads, "thread"));
}

std::string verdict_lines(const RunResult& result, bool color) {
  std::string text;
  if (!result.valid()) {
    for (const std::string& reason : result.invalid) {
      text += styled(labelled(text.empty() ? "verdict" : "", "INVALID: " + reason), Style::bad, color);
    }
  } else if (result.generator.limited) {
    text = styled(labelled("verdict",
                           "GENERATOR-LIMITED: the generator's threads were busy all the time; these "
                           "figures are its own limit, not the server's"),
                  Style::bad, color);
  } else {
    text = styled(labelled("verdict", "valid"), Style::good, color);
  }
  for (const std::string& warning : result.warnings) text += labelled("warning", warning);
  return text;
}

std::string rate_lines(const RunResult& result) {
  const ClientsResult& total = result.total;
  std::string text = labelled("rates", "offered " + rate_text(result.offered_rps) + ", answered " +
                                           rate_text(result.answered_rps) + ", 2xx " + rate_text(result.goodput_rps) +
                                           "; not 2xx " + format_percent(result.error_ratio()));
  text += labelled("requests", std::to_string(total.planned) + " planned, " + std::to_string(total.sent) + " sent, " +
                                   std::to_string(total.unsent) + " unsent, " + std::to_string(total.retried) +
                                   " retried, " + std::to_string(total.of(Outcome::unanswered).count) + " unanswered");
  const auto per_second = [&](std::uint64_t bytes) {
    return result.duration_s > 0 ? format_bytes(static_cast<double>(bytes) / result.duration_s) + "/s" : "-";
  };
  text += labelled("bytes", per_second(total.bytes_sent) + " sent, " + per_second(total.bytes_received) + " received");
  std::string connects = counted(total.connects, "connect") + ", " + std::to_string(total.connect_failures) + " failed";
  if (total.connect.count() != 0) {
    connects += "; p50 " + format_duration(total.connect.raw(0.5)) + ", max " + format_duration(total.connect.max());
  }
  return text + labelled("connects", connects);
}

std::string generator_line(const Generator& generator) {
  std::string text = counted(generator.threads, "thread") + ", CPU " + format_percent(generator.cpu_ratio) + ", busy " +
                     format_percent(generator.busy_ratio) + ", " +
                     format_duration(from_seconds(generator.cpu_us_per_request / 1e6)) + " a request";
  if (generator.steal_ratio > 0) text += ", steal " + format_percent(generator.steal_ratio);
  if (!generator.stalls.empty()) text += "; stalled " + stretches_text(generator.stalls);
  return labelled("generator", text);
}

/// The largest of what was seen; empty if nothing was.
template <class Value>
std::optional<Value> largest(const std::vector<ServerSample>& samples, std::optional<Value> ServerSample::* member) {
  std::optional<Value> most;
  for (const ServerSample& sample : samples) {
    if (sample.*member && (!most || *(sample.*member) > *most)) most = sample.*member;
  }
  return most;
}

std::string server_line(const std::vector<ServerSample>& samples) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "at most " : ", ") + part; };
  const auto in_cores = [](double cores) {
    std::string digits = seconds_text(cores);
    return digits.substr(0, digits.size() - 2);
  };
  if (const auto cores = largest(samples, &ServerSample::cpu_cores)) add(in_cores(*cores) + " CPU cores");
  if (const auto thread = largest(samples, &ServerSample::hottest_thread)) {
    add(in_cores(*thread) + " by one thread");
  }
  if (const auto bytes = largest(samples, &ServerSample::rss_bytes)) add(format_bytes(static_cast<double>(*bytes)));
  if (const auto threads = largest(samples, &ServerSample::threads)) add(counted(*threads, "thread"));
  return text.empty() ? text : labelled("server", text);
}

std::string clients_table(const RunResult& result, const TextOptions& options) {
  if (result.clients.size() < 2) return {};
  TextTable table;
  table.add({"clients", "planned", "2xx", "not 2xx", "unanswered", "2xx p50", "p99", "max"}, Style::strong);
  const auto cell = [](const Latency& latency, double quantile) {
    const auto time = latency.at(quantile);
    return time ? short_time(*time) : std::string{"-"};
  };
  for (std::size_t index = 0; index < result.clients.size(); ++index) {
    const ClientsResult& one = result.clients[index];
    const Load* const load = options.config;
    const bool background = load != nullptr && index + load->background >= load->clients.size();
    const ClassResult& ok = one.of(Outcome::ok);
    table.add({printable(one.name) + (background ? " (background)" : ""), std::to_string(one.planned),
               std::to_string(ok.count), std::to_string(one.planned - std::min(one.planned, ok.count)),
               std::to_string(one.of(Outcome::unanswered).count), cell(ok.latency, 0.5), cell(ok.latency, 0.99),
               cell(ok.latency, 1)},
              background ? Style::faint : Style::plain);
  }
  return '\n' + table.text(options.color);
}

}  // namespace

std::string describe(const Shape& shape) {
  if (shape.kind != Shape::Kind::wall) return std::string{name(shape.kind)};
  std::string percentile = format_percent(shape.wall_quantile);
  percentile.resize(percentile.find(' '));
  return "a wall at p" + percentile + ", " + format_duration(from_seconds(shape.wall_us / 1e6)) + " high";
}

std::string to_text(const RunResult& result, const TextOptions& options) {
  std::string heading = result.target;
  if (!result.name.empty()) heading = result.name + "  " + heading;
  std::string text = styled(labelled("run", heading), Style::strong, options.color);
  text += load_line(result, options) + verdict_lines(result, options.color);
  text += '\n' + outcome_table(result.total, options.color) + '\n';
  text += rate_lines(result);
  if (!result.silences.empty()) text += labelled("silences", "no answers " + stretches_text(result.silences));
  text += labelled("shape", describe(result.shape));
  text += generator_line(result.generator) + server_line(result.server);
  return text + clients_table(result, options);
}

std::string to_text(const RunResult& result) { return to_text(result, TextOptions{}); }

}  // namespace sluice::bench
