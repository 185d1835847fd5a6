#include "extra/file_cache.hpp"

#include <algorithm>
#include <utility>

namespace sluice::detail {
namespace {

// What an entry costs beside its bytes: paths, tags, fields, list and map nodes.
constexpr std::uint64_t entry_bytes = 1024;

}  // namespace

std::uint64_t FileEntry::bytes() const noexcept {
  std::uint64_t sum = entry_bytes;
  for (const FileVersion& version : versions) sum += version.bytes ? version.bytes->size() : 0;
  return sum;
}

bool FileEntry::whole() const noexcept {
  return std::ranges::all_of(versions, [](const FileVersion& version) { return version.bytes != nullptr; });
}

std::shared_ptr<const FileEntry> FileCache::find(std::string_view path, base::TimePoint now) {
  const std::lock_guard lock{lock_};
  const auto found = index_.find(path);
  if (found == index_.end()) return nullptr;
  Place& place = *found->second;
  if (now - place.compared >= recheck_) {
    place.compared = now;
    return nullptr;
  }
  if (found->second != places_.begin()) places_.splice(places_.begin(), places_, found->second);
  return place.entry;
}

void FileCache::keep(const std::string& path, std::shared_ptr<const FileEntry> entry, base::TimePoint now) {
  std::vector<std::shared_ptr<const FileEntry>> dropped;  // their bytes are freed after the lock
  const std::uint64_t size = entry->bytes();
  if (size > bytes_max_) {
    forget(path);
    return;
  }
  const std::lock_guard lock{lock_};
  if (const auto found = index_.find(path); found != index_.end()) {
    dropped.push_back(found->second->entry);
    drop_locked(found->second);
  }
  while (bytes_ + size > bytes_max_ || places_.size() >= entries_max) {
    dropped.push_back(places_.back().entry);
    drop_locked(std::prev(places_.end()));
  }
  places_.push_front({path, std::move(entry), now});
  index_.emplace(places_.front().path, places_.begin());
  bytes_ += size;
}

void FileCache::forget(std::string_view path) {
  const std::lock_guard lock{lock_};
  if (const auto found = index_.find(path); found != index_.end()) drop_locked(found->second);
}

void FileCache::drop_locked(Places::iterator place) {
  bytes_ -= place->entry->bytes();
  index_.erase(place->path);
  places_.erase(place);
}

}  // namespace sluice::detail
