#include "load/client/merge.hpp"

#include <algorithm>

#include "load/client/client.hpp"

namespace sluice::bench {
namespace {

double seconds(base::Duration time) noexcept { return std::chrono::duration<double>(time).count(); }
double microseconds(std::uint64_t nanoseconds) noexcept { return static_cast<double>(nanoseconds) / 1000; }

ClientsResult result_of(const ClientsRecord& record) {
  ClientsResult result;
  result.planned = record.planned;
  result.sent = record.sent;
  result.unsent = record.unsent;
  result.retried = record.retried;
  result.connects = record.connects;
  result.connect_failures = record.connect_failures;
  result.bytes_sent = record.bytes_sent;
  result.bytes_received = record.bytes_received;
  Times all;
  for (std::size_t index = 0; index < outcome_count; ++index) {
    const ClassRecord& from = record.classes[index];
    result.classes[index] = {from.count, from.latency.latency(), from.service.latency()};
    all.merge(from.latency);
  }
  result.all = all.latency();
  result.connect = record.connect.latency();
  result.connection_wait = record.connection_wait.latency();
  result.send_lag = record.send_lag.latency();
  return result;
}

}  // namespace

Window window_of(const WindowRecord& record, double at_s) {
  Window window{.at_s = at_s,
                .planned = record.planned,
                .sent = record.sent,
                .outcomes = record.outcomes,
                .outstanding = record.outstanding,
                .waiting = record.waiting};
  if (const base::Histogram* const latency = record.latency.get()) {
    window.p50_us = microseconds(latency->at(0.5));
    window.p99_us = microseconds(latency->at(0.99));
    window.max_us = microseconds(latency->max());
  }
  window.ok = record.latency.latency();
  return window;
}

namespace {

std::vector<Window> windows_of(const Settings& settings, const std::vector<ThreadRecord>& records) {
  std::vector<WindowRecord> sums;
  for (const ThreadRecord& record : records) {
    if (sums.size() < record.windows.size()) sums.resize(record.windows.size());
    for (std::size_t index = 0; index < record.windows.size(); ++index) sums[index].merge(record.windows[index]);
  }
  std::vector<Window> windows;
  windows.reserve(sums.size());
  for (const WindowRecord& sum : sums) {
    windows.push_back(window_of(sum, seconds(settings.window) * static_cast<double>(windows.size())));
  }
  return windows;
}

double overlap_s(const Stretch& one, const Stretch& other) noexcept {
  return std::max(0.0, std::min(one.to_s, other.to_s) - std::max(one.from_s, other.from_s));
}

std::vector<Stretch> stretches_of(const std::vector<Span>& spans, base::TimePoint from) {
  std::vector<Stretch> stretches;
  for (const Span& span : spans) stretches.push_back({seconds(span.from - from), seconds(span.to - from)});
  std::ranges::sort(stretches, {}, &Stretch::from_s);
  return stretches;
}

std::vector<Stretch> stalls_of(const std::vector<ThreadRecord>& records, base::TimePoint from) {
  std::vector<Span> all;
  for (const ThreadRecord& record : records) {
    all.insert(all.end(), record.stalls.spans().begin(), record.stalls.spans().end());
  }
  return stretches_of(all, from);
}

/// The server was silent when every thread heard nothing, and the threads themselves were awake.
std::vector<Stretch> silences_of(const std::vector<ThreadRecord>& records, base::TimePoint from,
                                 const std::vector<Stretch>& stalls) {
  std::vector<Stretch> common = stretches_of(records.front().silences.spans(), from);
  for (std::size_t index = 1; index < records.size(); ++index) {
    std::vector<Stretch> both;
    for (const Stretch& other : stretches_of(records[index].silences.spans(), from)) {
      for (const Stretch& one : common) {
        if (overlap_s(one, other) > 0) {
          both.push_back({std::max(one.from_s, other.from_s), std::min(one.to_s, other.to_s)});
        }
      }
    }
    common = std::move(both);
  }
  std::erase_if(common, [&](const Stretch& silence) {
    const double length = silence.to_s - silence.from_s;
    if (length < seconds(Client::silence_min)) return true;
    return std::ranges::any_of(stalls, [&](const Stretch& stall) { return overlap_s(stall, silence) > length / 2; });
  });
  return common;
}

}  // namespace

RunResult merge(const Settings& settings, const std::vector<ThreadRecord>& records, base::TimePoint measured_from) {
  const Load& load = *settings.load;
  RunResult result;
  result.name = load.name;
  result.target = load.url;
  result.window_s = seconds(settings.window);

  ClientsRecord total;
  for (std::size_t place = 0; place < load.clients.size(); ++place) {
    ClientsRecord sum;
    for (const ThreadRecord& record : records) sum.merge(record.clients[place]);
    result.clients.push_back(result_of(sum));
    result.clients.back().name = load.clients[place].name;
    if (place + load.background < load.clients.size()) total.merge(sum);
  }
  result.total = result_of(total);
  result.total.name = "total";

  base::Duration busy{}, cpu{}, measured{};
  std::uint64_t answers = 0, good_answers = 0;
  for (const ThreadRecord& record : records) {
    busy += record.busy;
    cpu += record.cpu;
    measured += record.measured;
    answers += record.answers;
    good_answers += record.good_answers;
  }
  const double span_s = seconds(measured) / static_cast<double>(records.size());
  result.duration_s = span_s;
  result.generator.threads = static_cast<unsigned>(records.size());
  if (span_s > 0) {
    result.offered_rps = static_cast<double>(result.total.planned) / span_s;
    result.answered_rps = static_cast<double>(answers) / span_s;
    result.goodput_rps = static_cast<double>(good_answers) / span_s;
    result.generator.cpu_ratio = seconds(cpu) / seconds(measured);
    result.generator.busy_ratio = seconds(busy) / seconds(measured);
  }
  if (answers > 0) result.generator.cpu_us_per_request = seconds(cpu) * 1e6 / static_cast<double>(answers);
  result.windows = windows_of(settings, records);
  result.generator.stalls = stalls_of(records, measured_from);
  result.silences = silences_of(records, measured_from, result.generator.stalls);
  // A server that needs long for each answer is not silent meanwhile.
  const double usual_s = std::chrono::duration<double>(result.total.of(Outcome::ok).latency.raw(0.5)).count();
  std::erase_if(result.silences,
                [usual_s](const Stretch& silence) { return silence.to_s - silence.from_s < 5 * usual_s; });
  return result;
}

}  // namespace sluice::bench
