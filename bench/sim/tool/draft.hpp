// draft.hpp: a scenario while its file is read: names are not looked up yet, and what is automatic is not settled.
// Values only. Private to scenario_file.cpp and link.cpp.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/model/scenario.hpp"
#include "sim/tool/tree.hpp"

namespace sluice::sim {

struct LaneDraft {
  std::string name{}, place{};
  bool workers = true;
  bool given = false;  // any of its keys
  std::optional<std::uint32_t> in_flight_max{};
  std::uint32_t queue_depth_max = 256, reserved = 0;
  std::optional<Duration> queue_timeout{};
  std::optional<AdaptiveLimit> adaptive{};
  double client_share = 0;
};

struct RouteDraft {
  Route route{};
  LaneDraft own{};
  std::string place{}, lane{}, depends_on{};
};

struct EventDraft {
  Trouble trouble{};
  std::string place{}, name{};
};

struct StepDraft {
  double at_s = 0, rate_per_s = 0;
};

struct ArrivalsDraft {
  enum class Kind : std::uint8_t { steady, burst, ramp, steps };
  std::optional<Kind> pattern{};  // as the file has it
  bool poisson = true;
  double rate_per_s = 0;
  double low = 0.2, high = 3;  // of a burst or a ramp: times the rate
  double on_s = 1, off_s = 4;
  std::vector<StepDraft> steps{};
  std::set<std::string, std::less<>> given{};  // the keys that are there

  Kind kind() const noexcept { return pattern.value_or(given.contains("steps") ? Kind::steps : Kind::steady); }
};

struct Draft {
  bool replayed = false;  // arrivals come from elsewhere
  Scenario scenario{};
  ArrivalsDraft arrivals{};
  std::vector<LaneDraft> lanes{};
  std::vector<RouteDraft> routes{};
  std::vector<EventDraft> events{};
  std::optional<std::uint64_t> pool_threads{};
};

/// Finishes draft.scenario, or says in `document` what does not fit together.
void link(Draft& draft, Document& document);

}  // namespace sluice::sim
