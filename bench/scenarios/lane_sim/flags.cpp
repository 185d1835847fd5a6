#include "scenarios/lane_sim/flags.hpp"

#include <charconv>
#include <functional>
#include <map>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace sluice::lane_sim {
namespace {

template <class Number>
Number number(std::string_view text, Number least, Number most) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= least) || !(value <= most)) {
    throw std::invalid_argument{"not a number in range: " + std::string{text}};
  }
  return value;
}

std::uint32_t count(std::string_view text, std::uint32_t least = 0) {
  return number<std::uint32_t>(text, least, 65'536);
}

Duration milliseconds(std::string_view text) {
  return Duration{static_cast<std::int64_t>(number<double>(text, 0, 1e9) * 1e6)};
}

/// "A,B,C" as its parts.
std::vector<std::string_view> parts(std::string_view text) {
  std::vector<std::string_view> found;
  for (std::size_t comma = text.find(','); comma != text.npos; comma = text.find(',')) {
    found.push_back(text.substr(0, comma));
    text.remove_prefix(comma + 1);
  }
  found.push_back(text);
  return found;
}

Stall stall(std::string_view text) {
  const auto numbers = parts(text);
  if (numbers.size() != 3) throw std::invalid_argument{"--stall takes BEGIN_MS,LENGTH_MS,FACTOR"};
  return {milliseconds(numbers[0]), milliseconds(numbers[1]), count(numbers[2], 1)};
}

AdaptiveLimit adaptive(std::string_view text) {
  const auto numbers = parts(text);
  if (numbers.size() != 2) throw std::invalid_argument{"--adaptive takes MIN,MAX"};
  const AdaptiveLimit bounds{count(numbers[0], 1), count(numbers[1], 1)};
  if (bounds.min > bounds.max) throw std::invalid_argument{"--adaptive: MIN is above MAX"};
  return bounds;
}

using Take = std::function<void(Scenario&, std::string_view)>;

const std::map<std::string_view, Take>& load_flags() {
  static const std::map<std::string_view, Take> flags{
      {"--load", [](Scenario& s, auto text) { s.load = number<double>(text, 0.001, 1000); }},
      {"--rate", [](Scenario& s, auto text) { s.rate_per_s = number<double>(text, 0.001, 1e7); }},
      {"--requests", [](Scenario& s, auto text) { s.requests = number<std::uint64_t>(text, 1, 1'000'000'000); }},
      {"--seconds", [](Scenario& s, auto text) { s.length = milliseconds(text) * 1000; }},
      {"--seed", [](Scenario& s, auto text) { s.seed = number<std::uint64_t>(text, 0, 1'000'000'000); }},
      {"--service-ms", [](Scenario& s, auto text) { s.service = milliseconds(text); }},
      {"--client-timeout-ms", [](Scenario& s, auto text) { s.client_timeout = milliseconds(text); }},
      {"--retries", [](Scenario& s, auto text) { s.retries.more = count(text); }},
      {"--retry-delay-ms", [](Scenario& s, auto text) { s.retries.delay = milliseconds(text); }},
      {"--backoff", [](Scenario& s, auto text) { s.retries.backoff = count(text) != 0; }},
      {"--stall", [](Scenario& s, auto text) { s.stall = stall(text); }},
      {"--dist",
       [](Scenario& s, auto text) {
         const auto shape = shape_named(text);
         if (!shape) throw std::invalid_argument{"no such distribution: " + std::string{text}};
         s.shape = *shape;
       }},
  };
  return flags;
}

const std::map<std::string_view, Take>& lane_flags() {
  static const std::map<std::string_view, Take> flags{
      {"--permits", [](Scenario& s, auto text) { s.permits = count(text, 1); }},
      {"--workers", [](Scenario& s, auto text) { s.workers = count(text) != 0; }},
      {"--budget-ms", [](Scenario& s, auto text) { s.budget = milliseconds(text); }},
      {"--queue-depth", [](Scenario& s, auto text) { s.queue_depth_max = count(text, 1); }},
      {"--queue-timeout-ms", [](Scenario& s, auto text) { s.queue_timeout = milliseconds(text); }},
      {"--adaptive", [](Scenario& s, auto text) { s.adaptive = adaptive(text); }},
      {"--places", [](Scenario& s, auto text) { s.discipline.places = count(text, 1); }},
      {"--target-gaps", [](Scenario& s, auto text) { s.discipline.target_gaps = count(text); }},
      {"--interval-gaps", [](Scenario& s, auto text) { s.discipline.interval_gaps = count(text); }},
      {"--stale-gaps", [](Scenario& s, auto text) { s.discipline.stale_gaps = count(text); }},
      {"--newcomers", [](Scenario& s, auto text) { s.discipline.newcomers = count(text); }},
      {"--keep", [](Scenario& s, auto text) { s.discipline.keep = count(text); }},
      {"--service-jobs", [](Scenario& s, auto text) { s.discipline.service_jobs = count(text, 1); }},
  };
  return flags;
}

}  // namespace

const char* flags_help() noexcept {
  return "load:  --dist fixed|exp|bimodal|pareto  --service-ms 20  --load 2 (of permits / service) or --rate PER_S\n"
         "       --requests 100000 or --seconds S  --seed 1  --client-timeout-ms MS\n"
         "       --retries N  --retry-delay-ms 1  --backoff 0|1  --stall BEGIN_MS,LENGTH_MS,FACTOR\n"
         "lane:  --permits 16  --workers 1|0 (0: answered later)  --budget-ms 5000  --queue-depth 256\n"
         "       --queue-timeout-ms MS  --adaptive MIN,MAX\n"
         "       --places 64  --target-gaps 24  --interval-gaps 64  --stale-gaps 16  --keep 24  --newcomers 2  "
         "--service-jobs 16\n";
}

Scenario with_flags(Scenario scenario, std::span<const std::string> arguments) {
  for (std::size_t i = 0; i < arguments.size(); i += 2) {
    const std::string& name = arguments[i];
    const auto* take = &load_flags();
    if (!take->contains(name)) take = &lane_flags();
    const auto found = take->find(name);
    if (found == take->end()) throw std::invalid_argument{"no such flag: " + name};
    if (i + 1 == arguments.size()) throw std::invalid_argument{name + " needs a value"};
    found->second(scenario, arguments[i + 1]);
  }
  return scenario;
}

}  // namespace sluice::lane_sim
