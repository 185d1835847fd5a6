// hgrm.cpp: one file per distribution. Any thread; blocks on the disk.
#include "load/output/hgrm.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>

#include "base/histogram.hpp"

namespace sluice::bench {
namespace {

constexpr double nanoseconds_per_millisecond = 1e6;

void add(std::vector<HgrmFile>& files, std::string name, const Latency& latency) {
  if (latency.count() == 0) return;
  files.push_back({std::move(name), latency.recorded()->percentiles_text(nanoseconds_per_millisecond)});
}

}  // namespace

std::vector<HgrmFile> hgrm_files(const std::string& prefix, const RunResult& result) {
  std::vector<HgrmFile> files;
  for (std::size_t index = 0; index < outcome_count; ++index) {
    const std::string start = prefix + '.' + std::string{name(static_cast<Outcome>(index))};
    add(files, start + ".hgrm", result.total.classes[index].latency);
    add(files, start + ".service.hgrm", result.total.classes[index].service);
  }
  add(files, prefix + ".all.hgrm", result.total.all);
  add(files, prefix + ".send_lag.hgrm", result.total.send_lag);
  return files;
}

std::expected<std::vector<std::string>, std::string> write_hgrm(const std::string& prefix, const RunResult& result) {
  std::vector<std::string> names;
  for (HgrmFile& file : hgrm_files(prefix, result)) {
    errno = 0;
    std::ofstream out{file.name, std::ios::binary | std::ios::trunc};
    out << file.text;
    out.close();
    if (!out) { return std::unexpected{"cannot write " + file.name + ": " + std::strerror(errno != 0 ? errno : EIO)}; }
    names.push_back(std::move(file.name));
  }
  return names;
}

}  // namespace sluice::bench
