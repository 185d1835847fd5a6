// The parts of sluice-sim: times of arrival, stations, hosts, recovery. All numbers are the same on every machine.
#include <gtest/gtest.h>

#include <vector>

#include "sim/core/naive_host.hpp"
#include "sim/core/recovery.hpp"
#include "sim/core/station.hpp"
#include "sim/model/arrivals.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

std::vector<std::int64_t> times_of(const Arrivals& arrivals, std::uint64_t seed = 1) {
  ArrivalTimes times{arrivals, seed};
  std::vector<std::int64_t> all;
  while (const auto next = times.next()) all.push_back(next->count());
  return all;
}

TEST(SimArrivals, ConstantOnesAreEvenlySpaced) {
  const auto all = times_of({.poisson = false, .stretches = {{0, 1, 10, 10}}});
  EXPECT_EQ(all, (std::vector<std::int64_t>{100'000'000, 200'000'000, 300'000'000, 400'000'000, 500'000'000,
                                            600'000'000, 700'000'000, 800'000'000, 900'000'000}));
}

TEST(SimArrivals, FollowStepsAndRampsAndPauses) {
  const Arrivals arrivals{.poisson = false, .stretches = {{0, 10, 100, 100}, {10, 20, 0, 0}, {20, 30, 0, 200}}};
  std::vector<int> per_second(30);
  for (const auto at : times_of(arrivals)) ++per_second[static_cast<std::size_t>(at / 1'000'000'000)];
  EXPECT_NEAR(per_second[3], 100, 1);
  EXPECT_EQ(per_second[15], 0);
  EXPECT_NEAR(per_second[20], 10, 1) << "on average over its first second";
  EXPECT_NEAR(per_second[29], 190, 2);
}

TEST(SimArrivals, PoissonOnesAreTheSameOnEveryMachine) {
  const Arrivals arrivals{.poisson = true, .stretches = {{0, 3600, 1000, 1000}}};
  ArrivalTimes times{arrivals, 7};
  Duration last{};
  for (int i = 0; i < 100'000; ++i) last = *times.next();
  EXPECT_EQ(last.count(), 100'060'526'656);
}

TEST(SimStation, ServesSoManyAsItHasConnectionsAndTheOthersInTheirOrder) {
  Station station{{.connections = 2}, TimePoint{}};
  for (std::uint64_t job = 1; job <= 4; ++job) station.begin(job, 10ms, TimePoint{});
  EXPECT_EQ(station.waiting(), 2u);
  std::vector<std::pair<std::uint64_t, std::int64_t>> ends;
  for (int i = 0; i < 4; ++i) {
    const TimePoint at = *station.next_end();
    ends.emplace_back(station.take(at), std::chrono::round<std::chrono::milliseconds>(at.time_since_epoch()).count());
  }
  EXPECT_EQ(ends, (std::vector<std::pair<std::uint64_t, std::int64_t>>{{1, 10}, {2, 10}, {3, 20}, {4, 20}}));
}

TEST(SimStation, StandsStillWhileItStallsAndGoesOnWhereItWas) {
  Station station{{}, TimePoint{}};
  station.begin(1, 10ms, TimePoint{});
  station.change_pace(0, TimePoint{4ms});
  EXPECT_FALSE(station.next_end().has_value());
  station.change_pace(1, TimePoint{100ms});
  EXPECT_EQ(std::chrono::round<std::chrono::milliseconds>(station.next_end()->time_since_epoch()), 106ms);
  station.change_pace(0.5, TimePoint{101ms});
  EXPECT_EQ(std::chrono::round<std::chrono::milliseconds>(station.next_end()->time_since_epoch()), 111ms);
}

TEST(SimStation, SharesWhatItsKneeCanDo) {
  Station station{{.knee = 2}, TimePoint{}};
  for (std::uint64_t job = 1; job <= 4; ++job) station.begin(job, 10ms, TimePoint{});
  EXPECT_EQ(std::chrono::round<std::chrono::milliseconds>(station.next_end()->time_since_epoch()), 20ms);
}

TEST(SimStation, EndsWhatWouldTakeLongerThanTimeCanHold) {
  Station station{{.connections = 1}, TimePoint{}};
  for (std::uint64_t job = 1; job <= 200; ++job) station.begin(job, 1h, TimePoint{});
  station.change_pace(1e-12, TimePoint{});
  TimePoint last{};
  for (int job = 1; job <= 200; ++job) {
    const TimePoint next = *station.next_end();
    ASSERT_GT(next, last) << job;
    ASSERT_GT(next, TimePoint{24h * 365});
    station.take(next);
    last = next;
  }
}

/// What a host tells, each thing that it starts taking 10 ms.
struct Listener final : Watcher {
  explicit Listener(Timeline& line) : timeline{line} {}
  std::optional<TimePoint> begun(Work&) override {
    ++started;
    return timeline.now() + 10ms;
  }
  void told(const Work& work, admission::Claim outcome, std::optional<ShedReason>) override {
    outcomes.emplace_back(work.owner, outcome);
  }
  void ended(const Work&) override { ++over; }

  Timeline& timeline;
  int started = 0, over = 0;
  std::vector<std::pair<std::uint64_t, admission::Claim>> outcomes{};
};

HostSpec one_permit() {
  HostSpec spec;
  spec.lanes.resize(1);
  spec.lanes[0].settings.limit = 1;
  spec.pool_threads = 1;
  return spec;
}

TEST(SimHost, ANaiveOneWorksForClientsThatHaveLeft) {
  using admission::Claim;
  Timeline timeline;
  Listener listener{timeline};
  NaiveHost host{timeline, listener, one_permit()};
  for (std::uint64_t owner = 1; owner <= 3; ++owner) host.arrive({.owner = owner, .budget = 1s, .patience = 15ms});
  while (timeline.step()) {}
  const std::vector<std::pair<std::uint64_t, Claim>> told{
      {1, Claim::responded}, {2, Claim::abandoned}, {3, Claim::abandoned}};
  EXPECT_EQ(listener.outcomes, told);
  EXPECT_EQ(listener.started, 3) << "also what nobody waits for";
  EXPECT_EQ(listener.over, 3);
}

TEST(SimHost, ALaneNeverStartsWhatNobodyWaitsFor) {
  using admission::Claim;
  Timeline timeline;
  Listener listener{timeline};
  LaneHost host{timeline, listener, one_permit()};
  for (std::uint64_t owner = 1; owner <= 3; ++owner) host.arrive({.owner = owner, .budget = 1s, .patience = 15ms});
  while (timeline.step()) {}
  EXPECT_EQ(listener.started, 2);
  const std::vector<std::pair<std::uint64_t, Claim>> told{
      {1, Claim::responded}, {2, Claim::abandoned}, {3, Claim::cancelled}};
  EXPECT_EQ(listener.outcomes, told);
  EXPECT_TRUE(host.balanced());
}

TEST(SimHost, ADrainingOneRefusesAndACutOneTellsEverybody) {
  using admission::Claim;
  for (const bool naive : {false, true}) {
    Timeline timeline;
    Listener listener{timeline};
    std::unique_ptr<Host> host;
    if (naive) host = std::make_unique<NaiveHost>(timeline, listener, one_permit());
    else host = std::make_unique<LaneHost>(timeline, listener, one_permit());
    host->arrive({.owner = 1, .budget = 1s});
    host->arrive({.owner = 2, .budget = 1s});
    host->drain();
    host->arrive({.owner = 3, .budget = 1s});
    ASSERT_EQ(listener.outcomes.size(), 1u);
    EXPECT_EQ(listener.outcomes[0], (std::pair{std::uint64_t{3}, Claim::idle}));
    host->cut();
    EXPECT_EQ(listener.outcomes.size(), 3u);
    while (timeline.step()) {}
    EXPECT_EQ(listener.started, 1) << "what waited is never started";
    EXPECT_EQ(listener.outcomes.size(), 3u);
    EXPECT_TRUE(host->balanced());
  }
}

TEST(SimRecovery, IsTheEndOfTheLastBadHalfSecond) {
  std::vector<Slot> slots(40, Slot{.offered = 100, .good = 100});
  EXPECT_EQ(recovery(slots, 10, 0.95), 0s);
  for (std::size_t i = 10; i < 20; ++i) slots[i].good = 0;
  EXPECT_EQ(recovery(slots, 10, 0.95), 1400ms) << "0.4 s of the last window that is bad are good";
  slots.assign(40, Slot{.offered = 100, .good = 93});
  EXPECT_GT(recovery(slots, 10, 0.95), 0s);
  EXPECT_EQ(recovery(slots, 10, 0.95, 3), 0s) << "within three standard deviations";
}

}  // namespace
}  // namespace sluice::sim
