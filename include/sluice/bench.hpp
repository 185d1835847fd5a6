// bench.hpp: load on an HTTP/1.1 server, from a program or a test: describe it, run it, look at what came back.
// In: a Load (who sends what, how fast, for how long) or a Search. Out: a RunResult or SearchResult with every figure
// that `sluice-load` prints. Link sluice::bench for it. Needs no server of this library at the other end.
// Thread: run() and search() block their caller and start threads of their own, which end before they return.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::base {
class Histogram;
}

namespace sluice::bench {

using Duration = std::chrono::nanoseconds;

// ---------------------------------------------------------------------------------------------------- what to send

/// One kind of request. "{seq}" in target, header values and body becomes the request's number (from 0, per clients),
/// "{rand}" a random number below 2^32 from the load's seed.
struct RequestSpec {
  std::string method = "GET";
  std::string target{};  // as in the request line; empty: that of the load's url
  std::vector<std::pair<std::string, std::string>> headers{};  // Host and Content-Length are added if missing
  std::string body{};
  double weight = 1;  // share of the requests, relative to its neighbours
};

/// How the gaps between two planned requests are drawn.
enum class Arrival : std::uint8_t { constant, poisson };

/// How the rate moves over the run: steady; square bursts (`high` x rate for `on`, `low` x rate for `off`, repeated);
/// a straight ramp from `low` x rate at the start to `high` x rate at the end.
struct Pattern {
  enum class Kind : std::uint8_t { steady, burst, ramp };
  Kind kind = Kind::steady;
  double low = 0.2, high = 3;
  Duration on = std::chrono::seconds{1}, off = std::chrono::seconds{4};
};

/// What the clients do beyond sending and reading as fast as they can. 0 means: not.
struct Behaviour {
  unsigned pipeline = 1;                        // requests under way per connection; 1 to 64
  std::uint64_t requests_per_connection = 0;    // then it is closed and made anew; 1: a connection per request
  std::uint64_t read_bytes_per_s = 0;           // slow readers: per connection
  std::uint64_t write_bytes_per_s = 0;          // slow writers: per connection, head included
  Duration give_up_after{};                     // closes the connection when the answer has not come by then
  bool give_up_unsent = false;                  // as long waits what finds no connection, counted from its time
  bool give_up_resets = false;                  // by a reset, which is no half-close and keeps no port in TIME_WAIT
  unsigned retries = 0;                         // after 429, 503, 504, a broken connection or giving up
  Duration retry_backoff = std::chrono::milliseconds{100};  // doubled each time, plus up to as much at random
  Duration deadline{};                          // tells the server, in whole milliseconds, in `deadline_header`
  std::string deadline_header = "x-request-timeout-ms";
};

/// What can be changed of clients with a rate while they run: see Load::steer.
struct Course {
  double rate_per_s = 0;  // 0: nothing is sent
  Duration give_up_after{};
  unsigned retries = 0;

  bool operator==(const Course&) const = default;
};

/// Connections that behave alike.
struct Clients {
  std::string name = "clients";
  unsigned connections = 64;
  double rate_per_s = 0;  // of all of them together; 0: closed loop, each sends again when it has its answer
  Arrival arrival = Arrival::constant;
  Pattern pattern{};
  Behaviour behaviour{};
  std::vector<RequestSpec> requests{};  // empty: one GET of the load's url
};

// -------------------------------------------------------------------------------------------------- what came back

/// How one planned request ended. Each has a histogram of its own: a fast refusal must not improve the others.
enum class Outcome : std::uint8_t {
  ok,             // 2xx, complete
  limited,        // 429
  shed,           // 503
  timed_out,      // 504
  other,          // any other status
  broken,         // the connection ended or the answer was no HTTP before it was complete
  connect_error,  // no connection could be made for it
  gave_up,        // the client left, as Behaviour::give_up_after asked
  unanswered,     // still waiting at the end; its latency is its age then: "at least this long"
};
inline constexpr std::size_t outcome_count = 9;
/// "2xx", "429", "503", "504", "other", "broken", "connect_error", "gave_up", "unanswered".
std::string_view name(Outcome outcome) noexcept;

/// A distribution of times, 0.1 % exact. A value; copies share what is recorded.
class Latency {
 public:
  Latency() = default;
  explicit Latency(std::shared_ptr<const base::Histogram> recorded) : recorded_{std::move(recorded)} {}

  std::uint64_t count() const noexcept;
  /// The time that `quantile` (0 to 1) of all samples do not exceed; nothing if fewer than 100 samples lie above it,
  /// because a neighbour's run would then give another number. Quantile 1 is the maximum, and 0.5 is always given.
  ///   Errors: nothing also for an empty distribution.
  std::optional<Duration> at(double quantile) const noexcept;
  /// As at(), however few the samples are.
  Duration raw(double quantile) const noexcept;
  /// How many samples are at most `limit`, to within the buckets' width.
  std::uint64_t within(Duration limit) const noexcept;
  Duration max() const noexcept;
  Duration mean() const noexcept;
  /// For those inside the library; null if nothing was recorded.
  const base::Histogram* recorded() const noexcept { return recorded_.get(); }

 private:
  std::shared_ptr<const base::Histogram> recorded_{};
};

/// What all requests with one outcome have in common.
struct ClassResult {
  std::uint64_t count = 0;
  Latency latency{};  // from the planned send time; in a closed loop from the moment the connection was free
  Latency service{};  // from the actual send
};

/// A stretch of the run, in seconds from the start of the measured part.
struct Stretch {
  double from_s = 0, to_s = 0;
};

/// One window of the time axis; counts are of what happened in it.
struct Window {
  double at_s = 0;
  std::uint64_t planned = 0, sent = 0;
  std::array<std::uint64_t, outcome_count> outcomes{};  // by Outcome
  double p50_us = 0, p99_us = 0, max_us = 0;             // latency of the 2xx that came in it
  Latency ok{};                                          // the same as a whole, 1 % exact
  std::uint64_t outstanding = 0;                         // at its end: sent and unanswered
  std::uint64_t waiting = 0;                             // at its end: due, without a free connection
};

/// A lane of the server (GET /counters) at one moment.
struct LaneSample {
  std::string name{};
  std::uint64_t depth = 0, in_flight = 0, limit = 0, zombies = 0;
};

/// The server at one moment. What could not be had stays empty.
struct ServerSample {
  double at_s = 0;
  std::optional<double> cpu_cores{}, hottest_thread{};  // since the sample before; 1 is one core
  std::optional<double> voluntary_switches_per_s{}, involuntary_switches_per_s{};
  std::optional<std::uint64_t> rss_bytes{}, threads{};
  std::vector<LaneSample> lanes{};
};

/// What one kind of clients saw.
struct ClientsResult {
  std::string name{};
  std::uint64_t planned = 0;  // requests whose time came in the measured part; every one has exactly one outcome
  std::uint64_t sent = 0;     // requests written to a connection, retries included
  std::uint64_t unsent = 0;   // planned and never written; counted in unanswered, gave_up or connect_error
  std::uint64_t retried = 0;
  std::array<ClassResult, outcome_count> classes{};  // by Outcome
  Latency all{};              // every planned request; unanswered ones with their age
  Latency connect{};          // TCP connects that succeeded
  Latency connection_wait{};  // from the planned time until a connection was free
  Latency send_lag{};         // what the generator itself added: due and connection free, until written
  std::uint64_t connects = 0, connect_failures = 0;
  std::uint64_t bytes_sent = 0, bytes_received = 0;

  const ClassResult& of(Outcome outcome) const noexcept { return classes[static_cast<std::size_t>(outcome)]; }
};

/// What the generator knows of itself; it decides whether the run counts.
struct Generator {
  unsigned threads = 1;
  double cpu_ratio = 0;   // of its threads' time, spinning included
  double busy_ratio = 0;  // of its threads' time, in turns that did something
  double cpu_us_per_request = 0;
  double steal_ratio = 0;  // of the machine's time, taken by the hypervisor
  std::vector<Stretch> stalls{};  // a thread was late or busy for long; the run's times are not the server's then
  bool limited = false;  // closed loop with the generator's threads above 90 %: it measured itself
};

/// How the distribution ends. Source: the classes and the wall of the closing figures, bench/load/README.md.
struct Shape {
  enum class Kind : std::uint8_t { unknown, well_behaved, wall, on_fire };
  Kind kind = Kind::unknown;
  double wall_quantile = 0;  // where latency turns exponential; 0 if it does not
  double wall_us = 0;        // how high it is there
};
/// "unknown", "well-behaved", "wall", "on fire".
std::string_view name(Shape::Kind kind) noexcept;

/// One run.
struct RunResult {
  std::string name{};
  std::string target{};
  std::string started_at{};  // UTC, ISO 8601
  double duration_s = 0;     // of the measured part
  double offered_rps = 0;    // planned per second
  double answered_rps = 0;   // answers of any status within the measured part, per second
  double goodput_rps = 0;    // 2xx within the measured part, per second
  double window_s = 1;
  std::vector<ClientsResult> clients{};  // one per Load::clients
  ClientsResult total{};                 // of those whose rate or loop is the measurement: Load::clients[0] ...
  std::vector<Window> windows{};
  std::vector<Stretch> silences{};  // requests were waiting and not one answer came
  std::vector<ServerSample> server{};
  Generator generator{};
  Shape shape{};
  std::vector<std::string> invalid{};   // why the run does not count; empty: it does
  std::vector<std::string> warnings{};
  std::vector<std::string> covers{};    // "large-payload", "slow-client", "failing", "overloaded"

  bool valid() const noexcept { return invalid.empty(); }
  /// Share of the planned requests that did not end in a 2xx.
  double error_ratio() const noexcept;
};

/// Why a run could not be made.
struct Error {
  enum class Kind : std::uint8_t { usage, unreachable, not_http, descriptors, system, interrupted };
  Kind kind = Kind::usage;
  std::string text{};  // one line
};

/// What is known while a run goes on.
struct Progress {
  double at_s = 0, of_s = 0;  // of the measured part; at_s below 0 while connecting and warming up
  std::uint64_t ok = 0, refused = 0, failed = 0, outstanding = 0;
};

/// A load. `url` and the defaults make a closed loop with 64 connections for 10 seconds.
struct Load {
  std::string url{};  // http://HOST[:PORT][/PATH] or unix:PATH[:/PATH]
  std::string name{};
  std::vector<Clients> clients{Clients{}};  // the first ones are the measurement; `background` ones only disturb it
  unsigned background = 0;                  // how many of `clients`, from the end, do not count in RunResult::total
  unsigned threads = 1;
  Duration warmup{};                        // same load, before the measured part
  Duration duration = std::chrono::seconds{10};
  Duration grace = std::chrono::seconds{5};            // for answers after the last request
  Duration connect_timeout = std::chrono::seconds{5};  // of the first connections; then the run fails or warns
  std::vector<std::string> sources{};  // local IP addresses, taken in turn; for more than 28,000 connections to a port
  std::uint64_t seed = 1;
  std::function<void(const Progress&)> on_progress{};  // about ten times a second, on the caller's thread
  std::function<std::optional<ServerSample>()> watch_server{};  // once a second, on the caller's thread
  std::function<bool()> interrupted{};  // asked about ten times a second; true ends the run
  /// Of the time axis. 0: 100 ms for a run of less than five seconds, else a second or, of a longer one, a 600th of it.
  /// Otherwise 10 ms or more, and without on_window fewer than 10,000 of them in duration and grace.
  Duration window{};
  /// Each window once it is over, on the caller's thread, so that a run of any length can be watched in little memory;
  /// RunResult::windows stays empty then. What was planned for a window that is over already counts in the present one.
  std::function<void(const Window&)> on_window{};
  /// Asked before the first request and about ten times a second, on the caller's thread: one course per `clients`, as
  /// it is. A new rate holds from then on; what was due before stays due. New retries hold for every try that ends from
  /// then on. A new patience holds for what is sent from then on or waits for a connection, and for what is under way
  /// when it is looked at next: when the patience it was sent with is over, or a slow reader reads on. What was sent with
  /// none may not be looked at until it is answered. Needs a steady pattern, and a rate above zero to begin with.
  std::function<void(std::span<Course>)> steer{};
};

/// Runs the load to its end.
///   Thread: blocks the caller for warmup + duration + at most grace; uses Load::threads threads of its own.
///   Errors: nothing listens, the other end does not speak HTTP, too few descriptors, a setting that makes no sense.
[[nodiscard]] std::expected<RunResult, Error> run(const Load& load);

// ---------------------------------------------------------------------------------------------------------- search

/// One condition a run has to meet, as `p99<50ms`, `max<1s`, `errors<0.1%`, `mean<2ms`.
struct Slo {
  enum class Kind : std::uint8_t { quantile, mean, max, errors };
  Kind kind = Kind::quantile;
  double quantile = 0.99;
  Duration limit{};  // quantile, mean, max
  double ratio = 0;  // errors
  std::string text{};  // as given

  /// Errors: a sentence that says what is wrong.
  [[nodiscard]] static std::expected<Slo, std::string> parse(std::string_view text);
};

/// What to search for, and how thoroughly.
struct SearchOptions {
  std::vector<Slo> slos{};  // empty: p99<50ms and errors<0.1%
  Arrival arrival = Arrival::poisson;
  Duration warmup = std::chrono::seconds{1};  // of each window
  Duration window = std::chrono::seconds{5};  // of each probe
  Duration confirm = std::chrono::seconds{60};  // at the limit found
  Duration stage = std::chrono::seconds{5};  // of each point of the curve and of the overload
  double precision = 0.03;  // of the limit: ratio between the last pass and the first failure
  double start_per_s = 0;  // 0: a tenth of the closed-loop ceiling
  bool self_check = true;  // measure the generator against a null server first
  bool curve = true, overload = true;
  /// Called around a stage at 80 % and one at 120 % of the limit, for a profiler: "80" or "120", true at its start.
  std::function<void(std::string_view percent, bool begins)> on_profile_stage{};
  std::function<void(std::string_view)> on_stage{};  // one line of progress
};

/// One window of a search.
struct Probe {
  enum class Stage : std::uint8_t { ceiling, climb, bisect, confirm, curve, overload, recovery };
  Stage stage = Stage::climb;
  double rate_per_s = 0;
  double percent = 0;  // of the limit, for curve, overload and recovery
  bool passed = false;
  std::vector<std::string> failures{};  // which conditions, with the values
  RunResult run{};
};
/// "ceiling", "climb", "bisect", "confirm", "curve", "overload", "recovery".
std::string_view name(Probe::Stage stage) noexcept;

/// What the generator can do by itself, against a server that only answers.
struct SelfCheck {
  double ceiling_rps = 0;  // closed loop
  double floor_p50_us = 0;  // at half of it
  double send_lag_p999_us = 0;  // at half of it
  std::vector<std::string> problems{};
};

/// Measures the generator, with a server of its own on a thread that is moved off the caller's CPUs where there are others.
///   Thread: blocks the caller for about 8 seconds.
///   Errors: as run().
[[nodiscard]] std::expected<SelfCheck, Error> self_check(unsigned threads = 1, unsigned connections = 64);

struct SearchResult {
  std::string target{};
  std::string started_at{};
  std::vector<Slo> slos{};
  double capacity_rps = 0;  // R_slo, confirmed; 0 if no rate passed
  double capacity_low_rps = 0, capacity_high_rps = 0;  // last pass and first failure
  double good_rps = 0;  // R_good: max below 200 ms
  double ok_rps = 0;  // R_ok: max below 1 s
  double ceiling_rps = 0;  // closed loop, 2xx only
  std::string limit{};  // what ends it: generator, loop CPU, pool, connections, latency, errors
  std::string limit_evidence{};  // one sentence
  Shape shape{};  // at the limit
  bool valid = true;
  std::vector<std::string> invalid{};
  std::optional<SelfCheck> self_check{};
  std::vector<Probe> probes{};  // in the order they were made
  std::string first_full{};  // which queue of the server filled first, if it was watched
  double goodput_kept_200 = 0;  // 2xx per second at twice the limit, as a share of it
  double recovery_s = 0;  // until p99 was back after the overload; -1 if it was not
};

/// Finds the highest rate at which `load` meets the conditions; the rate of load.clients[0] is what is varied.
///   Thread: as run(); takes the sum of its stages, minutes by default.
///   Errors: as run().
[[nodiscard]] std::expected<SearchResult, Error> search(const Load& load, const SearchOptions& options);

// ---------------------------------------------------------------------------------------------------------- output

/// The result as one JSON document; its keys are listed in bench/load/README.md and stay as they are.
std::string to_json(const RunResult& result);
std::string to_json(const SearchResult& result);
/// The result as `sluice-load` prints it: a table of plain text, ending in a newline.
std::string to_text(const RunResult& result);
std::string to_text(const SearchResult& result);

}  // namespace sluice::bench
