// file_cache.hpp: files that were answered lately, with everything an answer needs. Values that are shared and never
// changed; the cache is bounded in bytes and entries. Any thread; one short lock.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/message.hpp>

#include "base/clock.hpp"
#include "extra/file_tree.hpp"

namespace sluice::detail {

/// One representation of a file: as it is, or one of its precompressed siblings.
struct FileVersion {
  std::string coding{};  // of Content-Encoding; empty: as it is
  FileStamp stamp{};
  std::string etag{};  // with its quotes
  std::shared_ptr<const std::string> bytes{};  // null: not kept
  Response plain{};    // 200 with all of it and every field; its body only if `bytes` is there
};

struct FileEntry {
  std::vector<FileVersion> versions{};  // as it is first, then by preference
  std::uint64_t bytes() const noexcept;
  /// Every version is in memory.
  bool whole() const noexcept;
};

class FileCache {
 public:
  static constexpr std::size_t entries_max = 4096;

  FileCache(std::uint64_t bytes_max, base::Duration recheck) noexcept : bytes_max_{bytes_max}, recheck_{recheck} {}

  /// What is known of that path and was compared with the disk lately; null: look at the disk. When it is time to
  /// compare, one asker is sent there, and the others are served for another while.
  std::shared_ptr<const FileEntry> find(std::string_view path, base::TimePoint now);
  /// Keeps it, if there is room for it at all; in place of what was known of the path.
  void keep(const std::string& path, std::shared_ptr<const FileEntry> entry, base::TimePoint now);
  void forget(std::string_view path);

 private:
  struct Place {
    std::string path;
    std::shared_ptr<const FileEntry> entry;
    base::TimePoint compared;
  };
  using Places = std::list<Place>;

  void drop_locked(Places::iterator place);

  const std::uint64_t bytes_max_;
  const base::Duration recheck_;
  std::mutex lock_;
  Places places_;  // the latest asked for first
  std::map<std::string_view, Places::iterator> index_;  // keys are the places' own paths
  std::uint64_t bytes_ = 0;
};

}  // namespace sluice::detail
