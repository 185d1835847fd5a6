// csv.hpp: results as CSV, for spreadsheets and scripts. What is not known is an empty cell.
// In: a run, a sweep or a search. Out: a header line and one line per row; LF, fields quoted where RFC 4180 asks for it.
// Thread: any; pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sluice/bench.hpp>

#include "load/output/sweep.hpp"

namespace sluice::bench {

/// The runs of a result, in order. Made from any kind of result.
///   Lifetime: refers to the result.
class RunList {
 public:
  struct Entry {
    const RunResult& run;
    std::string_view stage;  // of a search; else ""
    double rate_per_s;  // as asked for; offered_rps of a single run
  };

  RunList(const RunResult& run) : entries_{{run, "", run.offered_rps}} {}
  RunList(const SweepResult& sweep) {
    for (const SweepRun& one : sweep.runs) entries_.push_back({one.run, "", one.rate_per_s});
  }
  RunList(const SearchResult& search) {
    for (const Probe& probe : search.probes) entries_.push_back({probe.run, name(probe.stage), probe.rate_per_s});
  }

  const std::vector<Entry>& entries() const noexcept { return entries_; }

 private:
  std::vector<Entry> entries_{};
};

/// One row per run and outcome class, all nine of them and "all":
/// run,name,stage,rate_rps,target,started_at,valid,duration_s,offered_rps,answered_rps,goodput_rps,outcome,count,share,
/// p50_us,p75_us,p90_us,p99_us,p999_us,p9999_us,p99999_us,max_us,mean_us, and the same with service_ before it.
///   Units: `run` counts from 0; `share` is of the planned requests; `valid` is true or false.
std::string runs_csv(const RunList& runs);

/// One row per run and window:
/// run,name,stage,rate_rps,at_s,window_s,planned,sent,2xx,429,503,504,other,broken,connect_error,gave_up,unanswered,
/// p50_us,p99_us,max_us,outstanding,waiting
///   Units: times are those of the window's 2xx; empty if it had none.
std::string series_csv(const RunList& runs);

/// A field as it stands in a row.
std::string csv_field(std::string_view text);

}  // namespace sluice::bench
