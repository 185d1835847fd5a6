// csv.cpp: rows of comma-separated fields. Pure; numbers never depend on the program's locale.
#include "load/output/csv.hpp"

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "load/output/config_json.hpp"
#include "load/output/percentiles.hpp"

namespace sluice::bench {
namespace {

/// One line.
class CsvRow {
 public:
  CsvRow& add(std::string_view text) { return raw(csv_field(text)); }
  CsvRow& add(std::uint64_t number) { return raw(std::to_string(number)); }
  CsvRow& add(double number) {
    std::array<char, 400> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, std::chars_format::fixed);
    return raw({digits.data(), end.ptr});
  }
  CsvRow& empty() { return raw({}); }
  std::string line() const { return text_ + '\n'; }

 private:
  CsvRow& raw(std::string_view field) {
    if (!first_) text_ += ',';
    first_ = false;
    text_ += field;
    return *this;
  }

  std::string text_{};
  bool first_ = true;
};

void add_time_names(CsvRow& row, const std::string& prefix) {
  for (const Percentile& percentile : percentiles) row.add(prefix + std::string{percentile.name} + "_us");
  row.add(prefix + "mean_us");
}

void add_times(CsvRow& row, const Latency& latency) {
  for (const Percentile& percentile : percentiles) {
    const auto time = latency.at(percentile.quantile);
    if (time) row.add(microseconds(*time));
    else row.empty();
  }
  if (latency.count() != 0) row.add(microseconds(latency.mean()));
  else row.empty();
}

void add_place(CsvRow& row, const RunList::Entry& entry, std::uint64_t index) {
  row.add(index).add(entry.run.name).add(entry.stage).add(rounded_rate(entry.rate_per_s));
}

struct ClassRow {
  std::string_view outcome;
  std::uint64_t count;
  const Latency& latency;
  const Latency& service;
};

std::string class_line(const RunList::Entry& entry, std::uint64_t index, const ClassRow& one) {
  const RunResult& run = entry.run;
  CsvRow row;
  add_place(row, entry, index);
  row.add(run.target).add(run.started_at).add(run.valid() ? "true" : "false").add(rounded_time(run.duration_s));
  row.add(rounded_rate(run.offered_rps)).add(rounded_rate(run.answered_rps)).add(rounded_rate(run.goodput_rps));
  row.add(one.outcome).add(one.count);
  if (run.total.planned == 0) row.empty();
  else row.add(rounded_share(static_cast<double>(one.count) / static_cast<double>(run.total.planned)));
  add_times(row, one.latency);
  add_times(row, one.service);
  return row.line();
}

}  // namespace

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string{text};
  std::string field = "\"";
  for (const char c : text) {
    if (c == '"') field += '"';
    field += c;
  }
  return field + '"';
}

std::string runs_csv(const RunList& runs) {
  CsvRow heading;
  for (const std::string_view column :
       {"run", "name", "stage", "rate_rps", "target", "started_at", "valid", "duration_s", "offered_rps",
        "answered_rps", "goodput_rps", "outcome", "count", "share"}) {
    heading.add(column);
  }
  add_time_names(heading, "");
  add_time_names(heading, "service_");
  std::string text = heading.line();
  std::uint64_t index = 0;
  for (const RunList::Entry& entry : runs.entries()) {
    const ClientsResult& total = entry.run.total;
    for (std::size_t outcome = 0; outcome < outcome_count; ++outcome) {
      const ClassResult& one = total.classes[outcome];
      text += class_line(entry, index, {name(static_cast<Outcome>(outcome)), one.count, one.latency, one.service});
    }
    text += class_line(entry, index, {"all", total.all.count(), total.all, Latency{}});
    ++index;
  }
  return text;
}

std::string series_csv(const RunList& runs) {
  CsvRow heading;
  for (const std::string_view column : {"run", "name", "stage", "rate_rps", "at_s", "window_s", "planned", "sent"}) {
    heading.add(column);
  }
  for (std::size_t outcome = 0; outcome < outcome_count; ++outcome) heading.add(name(static_cast<Outcome>(outcome)));
  for (const std::string_view column : {"p50_us", "p99_us", "max_us", "outstanding", "waiting"}) heading.add(column);
  std::string text = heading.line();
  std::uint64_t index = 0;
  for (const RunList::Entry& entry : runs.entries()) {
    for (const Window& window : entry.run.windows) {
      CsvRow row;
      add_place(row, entry, index);
      row.add(rounded_time(window.at_s)).add(rounded_time(entry.run.window_s)).add(window.planned).add(window.sent);
      for (const std::uint64_t count : window.outcomes) row.add(count);
      for (const double time_us : {window.p50_us, window.p99_us, window.max_us}) {
        if (window.outcomes[static_cast<std::size_t>(Outcome::ok)] != 0) row.add(rounded_time(time_us));
        else row.empty();
      }
      row.add(window.outstanding).add(window.waiting);
      text += row.line();
    }
    ++index;
  }
  return text;
}

}  // namespace sluice::bench
