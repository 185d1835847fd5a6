#include "sim/tool/study_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "load/output/text_parts.hpp"
#include "load/plan/units.hpp"

namespace sluice::sim {
namespace {

using bench::labelled;
using bench::Style;
using bench::TextTable;

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}
/// "99.8 %"; never 100 % where something is missing, nor 0 % where something is.
std::string percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  if (part == 0 || part == whole) return part == 0 ? "0 %" : "100 %";
  const double share = static_cast<double>(part) / static_cast<double>(whole) * 100;
  return share < 0.1 ? "<0.1 %" : fixed(std::min(share, 99.9), 1) + " %";
}
std::string per_s(std::uint64_t count, double seconds) {
  const double rate = static_cast<double>(count) / seconds;
  return fixed(rate, count != 0 && rate < 10 ? 1 : 0);
}
std::string time(const base::Histogram& times, double quantile) {
  if (times.count() == 0) return "-";
  if (times.at(quantile) == 0) return "0";
  return bench::short_time(Duration{static_cast<std::int64_t>(times.at(quantile))});
}

/// One line of the tables: a part of one run.
struct Line {
  std::string name{};
  const Result* result = nullptr;
  const PartResult* part = nullptr;
};

bool any(const std::vector<Line>& lines, Fate fate) {
  return std::any_of(lines.begin(), lines.end(),
                     [fate](const Line& line) { return line.part->counts.fates[static_cast<std::size_t>(fate)] != 0; });
}

/// What the calls ended with. Columns in which nothing is are left out.
std::string outcomes_table(const std::string& title, bool policies, const std::vector<Line>& lines, bool color) {
  constexpr Fate fates[] = {Fate::refused, Fate::timed_out, Fate::failed, Fate::gave_up, Fate::late};
  constexpr const char* names[] = {"refused", "timed out", "failed", "gave up", "late"};
  TextTable table{policies ? 2u : 1u};
  std::vector<std::string> head{title};
  if (policies) head.emplace_back("policy");
  head.insert(head.end(), {"offered/s", "good/s", "good"});
  for (std::size_t i = 0; i < std::size(fates); ++i) {
    if (any(lines, fates[i])) head.emplace_back(names[i]);
  }
  head.emplace_back("tries/call");
  table.add(head, Style::faint);
  for (const Line& line : lines) {
    const Counts& counts = line.part->counts;
    std::vector<std::string> cells{bench::printable(line.name)};
    if (policies) cells.emplace_back(to_string(line.result->policy));
    const double s = line.result->seconds;
    cells.insert(cells.end(),
                 {per_s(counts.offered, s), per_s(counts.good(), s), percent(counts.good(), counts.offered)});
    for (const Fate fate : fates) {
      if (any(lines, fate)) cells.push_back(percent(counts.fates[static_cast<std::size_t>(fate)], counts.offered));
    }
    const double tries =
        counts.offered == 0 ? 0 : static_cast<double>(counts.attempts) / static_cast<double>(counts.offered);
    cells.push_back(fixed(tries, 2));
    table.add(cells);
  }
  return table.text(color);
}

std::string times_table(const std::string& title, bool policies, const std::vector<Line>& lines, bool color) {
  TextTable table{policies ? 2u : 1u};
  std::vector<std::string> head{title};
  if (policies) head.emplace_back("policy");
  head.insert(head.end(), {"queue p50", "p99", "answer p50", "p99", "waiting", "running", "zombies"});
  table.add(head, Style::faint);
  for (const Line& line : lines) {
    const PartResult& part = *line.part;
    std::vector<std::string> cells{bench::printable(line.name)};
    if (policies) cells.emplace_back(to_string(line.result->policy));
    cells.insert(cells.end(), {time(part.wait, 0.5), time(part.wait, 0.99), time(part.latency, 0.5),
                               time(part.latency, 0.99), std::to_string(part.waiting_peak),
                               std::to_string(part.running_peak), std::to_string(part.zombies_peak)});
    table.add(cells);
  }
  return table.text(color);
}

std::string refusals_text(const Result& result, bool policies) {
  const Counts& counts = result.total.counts;
  std::string text;
  for (std::size_t i = 0; i < refusal_count; ++i) {
    if (counts.refusals[i] == 0) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(counts.refusals[i]) + ' ' + refusal_name(i);
  }
  if (text.empty()) return {};
  return labelled(policies ? std::string{"refused: "} + to_string(result.policy) : "refused",
                  text + " (attempts, of " + std::to_string(counts.attempts) + ')');
}

std::string event_text(const EventResult& event, const Result& result, bool policies) {
  std::string text = fixed(event.begin_s, 1) + " to " + fixed(event.end_s, 1) + " s: " + event.what +
                     ". Good before: " + (event.good_before ? fixed(*event.good_before * 100, 1) + " %" : "-") +
                     ", during: " + fixed(event.good_during * 100, 1) + " %, ";
  const char* const last = event.next_began ? "when the next event began" : "by the end";
  if (!event.good_before) text += "nothing before it to compare with";
  else if (!event.aftermath_seen)
    text += event.next_began ? "its end was not seen behind another event" : "its end was not seen";
  else if (!event.recovered_s) text += std::string{"not back at 95 % of before "} + last;
  else if (*event.recovered_s == 0) text += "back at once";
  else text += "back " + fixed(*event.recovered_s, 1) + " s after it";
  return labelled(policies ? std::string{"event, "} + to_string(result.policy) : "event", text);
}

std::string servers_text(const Result& result, bool policies) {
  if (result.servers.size() < 2) return {};
  std::vector<std::uint64_t> attempts;
  std::uint64_t sum = 0;
  for (const ServerResult& server : result.servers) {
    attempts.push_back(server.attempts);
    sum += server.attempts;
  }
  std::string text = std::to_string(attempts.size()) + " share the attempts: ";
  const auto [least, most] = std::minmax_element(attempts.begin(), attempts.end());
  text += "server " + std::to_string(least - attempts.begin() + 1) + " gets least, " + percent(*least, sum) +
          "; server " + std::to_string(most - attempts.begin() + 1) + " most, " + percent(*most, sum);
  return labelled(policies ? std::string{"servers, "} + to_string(result.policy) : "servers", text);
}

std::string sweep_text(const Study& study, bool policies, bool color) {
  std::vector<Line> lines;
  for (const Run& run : study.runs) {
    lines.push_back(
        {study.loads ? "x " + plain_number(run.load) : plain_number(run.value), &run.result, &run.result.total});
  }
  const std::string title = study.loads ? "load" : bench::printable(study.what_if);
  return outcomes_table(title, policies, lines, color) + '\n' + times_table(title, policies, lines, color);
}

std::string clients_text(const Study& study, bool policies, bool color) {
  if (study.scenario.clients.size() < 2) return {};
  std::vector<PartResult> parts;
  std::vector<Line> lines;
  parts.reserve(study.runs.size() * study.scenario.clients.size());  // lines point into it
  for (std::size_t i = 0; i < study.scenario.clients.size(); ++i) {
    for (const Run& run : study.runs) {
      parts.emplace_back().counts = run.result.clients[i].second;
      lines.push_back({run.result.clients[i].first, &run.result, &parts.back()});
    }
  }
  return '\n' + outcomes_table("clients", policies, lines, color);
}

std::string run_text(const Study& study, bool policies, bool color) {
  std::vector<Line> lines;
  if (study.scenario.routes.size() > 1) {
    for (std::size_t i = 0; i < study.scenario.routes.size(); ++i) {
      for (const Run& run : study.runs)
        lines.push_back({run.result.routes[i].name, &run.result, &run.result.routes[i]});
    }
  }
  const std::string total = study.scenario.routes.size() > 1 ? "total" : study.scenario.routes.front().name;
  for (const Run& run : study.runs) lines.push_back({total, &run.result, &run.result.total});
  std::string text = outcomes_table("route", policies, lines, color) + '\n' +
                     times_table("route", policies, lines, color) + clients_text(study, policies, color) + '\n';
  for (const Run& run : study.runs) {
    text += refusals_text(run.result, policies) + servers_text(run.result, policies);
    for (const EventResult& event : run.result.events) text += event_text(event, run.result, policies);
  }
  return text;
}

}  // namespace

std::string study_text(const Study& study, bool color) {
  const Scenario& scenario = study.scenario;
  const bool policies = study.runs.size() > 1 && study.runs[0].result.policy != study.runs[1].result.policy;
  std::string text = styled(bench::printable(scenario.name), Style::strong, color) + '\n';
  if (!scenario.description.empty()) text += bench::printable(scenario.description) + '\n';
  text += plain_number(seconds(scenario.duration)) + " s of virtual time, the first " +
          plain_number(seconds(scenario.warmup)) + " s not counted; seed " + std::to_string(scenario.seed) + "\n\n";
  text += study.sweeps() ? sweep_text(study, policies, color) : run_text(study, policies, color);
  if (!study.balanced()) text += "\nThe lanes' books do not balance. This is a fault of sluice; please report it.\n";
  return text;
}

}  // namespace sluice::sim
