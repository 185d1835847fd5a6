// naive_host.hpp: what a plain thread pool does, for contrast: the same permits, a queue without a bound, first come first
// served, nobody refused, no deadline. It never learns that a client has left, and does its work all the same.
// Single-threaded, in virtual time.
#pragma once

#include <deque>
#include <vector>

#include "sim/core/lane_host.hpp"

namespace sluice::sim {

class NaiveHost final : public Host {
 public:
  NaiveHost(Timeline& timeline, Watcher& watcher, const HostSpec& spec);

  bool balanced() const noexcept override { return true; }

 private:
  struct Lane {
    std::uint32_t limit = 1, out = 0;
    bool workers = true;
    std::deque<Work*> queue{};
  };

  void admit(Work& work, const Arrival& arrival) override;
  void finish(Work& work) override;
  void queue_over(Work&) override {}
  void budget_over(Work&) override {}
  void leave(Work& work) override;
  void forget() override;

  bool may_start(const Lane& lane) const noexcept {
    return lane.out < lane.limit && (!lane.workers || busy_ < threads_);
  }
  void begin(Work& work);
  void start_next();

  std::vector<Lane> lanes_;
  unsigned threads_, busy_ = 0;
};

}  // namespace sluice::sim
