// hgrm.hpp: percentile tables in files, in the format that HdrHistogram's plotters read. Values are milliseconds.
// In: a run. Out: files PREFIX.2xx.hgrm, PREFIX.2xx.service.hgrm, ..., PREFIX.all.hgrm, PREFIX.send_lag.hgrm.
// Thread: any; blocks on the disk. What has no samples gets no file.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include <sluice/bench.hpp>

namespace sluice::bench {

struct HgrmFile {
  std::string name{};
  std::string text{};
};

/// The files, not yet written. Every percentile is in them, however few samples lie above it.
std::vector<HgrmFile> hgrm_files(const std::string& prefix, const RunResult& result);

/// Writes them, over what is there, and tells their names.
///   Errors: one line with the name of the file; those before it have been written.
[[nodiscard]] std::expected<std::vector<std::string>, std::string> write_hgrm(const std::string& prefix,
                                                                              const RunResult& result);

}  // namespace sluice::bench
