// lane_host.hpp: a host whose lanes are those of src/admission, and the lines of Pool, Connection and Exchange that use
// them. The one place of the simulators that knows a lane's interface.
// In: arrivals, ends, departures. Out: outcomes, in the order the real lanes decide. Single-threaded, in virtual time.
#pragma once

#include <memory>
#include <vector>

#include "admission/lane_group.hpp"
#include "admission/rate_limit.hpp"
#include "sim/core/host.hpp"

namespace sluice::sim {

/// A lane, and where its work runs.
struct LaneSpec {
  admission::Lane::Settings settings{};
  bool workers = true;  // false: work that is answered later, granted on its loop
  Duration budget_max{};  // the longest of its routes'; 0: not told to the lane
};

struct HostSpec {
  std::vector<LaneSpec> lanes{};
  unsigned pool_threads = 16;  // behind all lanes with workers
  /// A limit for each route that arrivals name; may be shorter than the routes are many.
  std::vector<std::optional<RateLimit>> rate_limits{};
};

class LaneHost final : public Host {
 public:
  LaneHost(Timeline& timeline, Watcher& watcher, const HostSpec& spec);

  const admission::Lane& lane(std::size_t place) const noexcept { return *lanes_[place]; }
  /// As an arrival of that budget would see it.
  admission::LaneView view(std::size_t place, Duration budget) const noexcept { return lanes_[place]->view(budget); }
  bool balanced() const noexcept override;

 private:
  void admit(Work& work, const Arrival& arrival) override;
  void finish(Work& work) override;
  void queue_over(Work& work) override;
  void budget_over(Work& work) override;
  void leave(Work& work) override;
  void settle() override;

  std::optional<ShedReason> judge(const Arrival& arrival, const admission::ArrivalView& view);
  void begin(Work& work, int worker);
  void run_worker(int worker);
  bool claim(Work& work, admission::Claim outcome);
  void refused_in_queue(Work& work);

  std::vector<Work*> home_;
  admission::LaneGroup pool_;
  std::vector<std::unique_ptr<admission::LaneGroup>> later_;  // one for each lane without workers
  std::vector<std::unique_ptr<admission::Lane>> lanes_;
  std::vector<std::unique_ptr<admission::RateLimiter>> limiters_;
};

}  // namespace sluice::sim
