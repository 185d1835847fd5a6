// scenario.hpp: a service as its file describes it: who calls, what is behind each route, what goes wrong and when. Values
// only; what a file leaves out has the library's default. bench/sim/README.md lists the keys.
#pragma once

#include <sluice/admission.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/draw.hpp"
#include "sim/core/lane_host.hpp"
#include "sim/core/station.hpp"

namespace sluice::sim {

/// How long something takes: drawn from a shape, or from a list of recorded times.
struct Service {
  Shape shape = Shape::exponential;
  Duration mean{0};
  std::vector<Duration> samples{};

  bool none() const noexcept { return mean == Duration{0} && samples.empty(); }
};

/// The rate goes evenly from one to the other.
struct Stretch {
  double begin_s = 0, end_s = 0;
  double from_per_s = 0, to_per_s = 0;
};

struct Arrivals {
  bool poisson = true;
  std::vector<Stretch> stretches{};  // one after the other, from 0 to the scenario's end
};

/// One line of a recording.
struct Recorded {
  Duration at{};
  std::uint32_t route = 0;
  Duration service{};
};

struct Route {
  std::string name{};
  double share = 1;
  Service service{};
  std::size_t lane = 0;
  Duration budget = std::chrono::seconds{5};
  Criticality criticality = Criticality::critical;
  std::optional<RateLimit> rate_limit{};
  std::optional<std::size_t> dependency{};
};

struct ClientKind {
  std::string name = "clients";
  double share = 1;
  std::uint32_t count = 1000;  // how many they are, for lanes that count clients
  std::optional<Duration> timeout{};
  unsigned retries = 0;
  Duration retry_delay = std::chrono::milliseconds{100};
  bool backoff = true;  // doubled with each attempt, and spread over 50 to 150 %
  std::optional<Duration> give_up{};  // all attempts together
};

struct Dependency {
  std::string name{};
  Service service{};
  StationOptions options{};
};

enum class Balancer : std::uint8_t { round_robin, random, least_in_flight };

/// Servers leave and come back, one after the other.
struct Deploy {
  Duration at{};
  Duration notice{};  // until the balancer sends no more
  Duration drain_max = std::chrono::seconds{30};
  Duration down = std::chrono::seconds{2};
};

struct Servers {
  std::uint32_t count = 1;
  Balancer balancer = Balancer::round_robin;
  std::optional<std::uint32_t> slow{};  // this one ...
  double slow_factor = 10;  // ... takes so many times as long
  std::optional<Deploy> deploy{};
};

/// Something goes wrong for a while.
struct Trouble {
  enum class Where : std::uint8_t { dependency, route, server };
  enum class What : std::uint8_t { stall, slow, error };
  Duration at{}, length{};
  Where where = Where::dependency;
  std::size_t index = 0;
  What what = What::stall;
  double factor = 1;  // of slow
};

enum class Policy : std::uint8_t { sluice, naive };

struct Scenario {
  std::string name{}, description{};
  std::uint64_t seed = 1;
  Duration duration = std::chrono::seconds{30}, warmup = std::chrono::seconds{2};
  Arrivals arrivals{};
  std::vector<Recorded> recording{};  // in place of `arrivals`, in the order of time
  std::vector<Route> routes{};
  HostSpec host{};  // each server's
  std::vector<ClientKind> clients{};
  std::vector<Dependency> dependencies{};
  Servers servers{};
  std::vector<Trouble> troubles{};
};

inline constexpr std::uint64_t calls_max = 20'000'000;  // each attempt counts

/// How many calls will come, on average.
double expected_calls(const Scenario& scenario) noexcept;

}  // namespace sluice::sim
