// merge.hpp: the records of all threads to one RunResult. Pure; runs once, after the threads have ended.
#pragma once

#include <sluice/bench.hpp>

#include <vector>

#include "load/client/records.hpp"
#include "load/client/settings.hpp"

namespace sluice::bench {

/// One window of the time axis, `at_s` seconds into the measured part.
Window window_of(const WindowRecord& record, double at_s);
/// Sums up, builds the windows, turns times into seconds from `measured_from`. What judges (invalid, warnings, shape) is
/// left to the judge.
RunResult merge(const Settings& settings, const std::vector<ThreadRecord>& records, base::TimePoint measured_from);

}  // namespace sluice::bench
