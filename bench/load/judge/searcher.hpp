// searcher.hpp: the state of one search and its steps, in the order they are taken.
// In: what search_with() was given. Out: the SearchResult. One thread. For search.cpp and stages.cpp alone.
#pragma once

#include <sluice/bench.hpp>

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "load/judge/search.hpp"

namespace sluice::bench {

/// One search; used once. A step that returns an Error ends it.
class Searcher {
 public:
  /// Lifetime: all three outlive it.
  Searcher(const RunFn& run, const Load& load, const SearchOptions& options);

  std::expected<SearchResult, Error> search(std::optional<SelfCheck> self_check);

 private:
  using Step = std::expected<void, Error>;
  using Passed = std::expected<bool, Error>;

  struct Plan {
    Probe::Stage stage{};
    double rate_per_s = 0;  // 0: closed loop
    Duration length{};
    double percent = 0;
    bool warm = true;
  };

  // search.cpp: the limit.
  Step find_ceiling();
  Step climb();
  Step descend();
  Step check_failure();
  Step bisect();
  Step confirm();
  void conclude();

  // stages.cpp: what the server does below and above it.
  Step draw_curve();
  Step profile(std::string_view percent);
  Step overload();
  Step recover();
  void rate_by_maximum();

  Passed probe(const Plan& plan);
  Passed best_of_three(const Plan& plan);
  Step settle(const RunResult& before);
  std::expected<RunResult, Error> measure(const Plan& plan);
  void tell(const Plan& plan, const std::string& what) const;
  const Probe& last() const noexcept { return result_.probes.back(); }
  /// The last probe of that stage and share of the limit; null if none was made.
  const Probe* find(Probe::Stage stage, double percent) const noexcept;

  const RunFn& run_;
  const Load& load_;
  const SearchOptions& options_;
  SearchResult result_{};
  double low_ = 0;   // the highest rate that passed and was followed by failures
  double high_ = 0;  // the lowest rate that failed; 0 if none did
  double beyond_ = 0;  // the failure of the climb that followed high_
  std::uint64_t runs_ = 0;
};

}  // namespace sluice::bench
