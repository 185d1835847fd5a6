// file_tree.hpp: opens files beneath one directory and nowhere else. In: relative paths from requests. Out: descriptors
// of regular files and what the kernel says of them. Any thread; the calls block. It must never follow a path out of its
// root, and never open what is no file (a pipe would hold the caller).
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <expected>
#include <string>
#include <string_view>

#include "base/fd.hpp"

namespace sluice::detail {

/// What tells one version of a file from another.
struct FileStamp {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t seconds = 0, nanoseconds = 0;  // of its last change
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

struct OpenFile {
  base::Fd fd{};
  FileStamp stamp{};
  bool directory = false;
};

FileStamp stamp_of(const struct stat& status) noexcept;

class FileTree {
 public:
  /// Errors: std::system_error that names `root`.
  explicit FileTree(const std::string& root);

  /// A regular file, or a directory, for reading.
  ///   Errors: an errno; ENOENT also for what is neither.
  std::expected<OpenFile, int> open(const std::string& relative) const;
  /// A path that is taken as it is, links and all: from the program, not from a client.
  static std::expected<OpenFile, int> open_trusted(const std::string& path);

  /// Whether a client may ask for that path: no empty segment but the last, none that is "." or "..", no NUL, no name
  /// with a dot in front unless `dot_files`.
  static bool acceptable(std::string_view relative, bool dot_files) noexcept;

 private:
  std::expected<base::Fd, int> resolve(const std::string& relative) const;
  std::expected<base::Fd, int> walk(std::string_view relative) const;

  base::Fd root_;
};

}  // namespace sluice::detail
