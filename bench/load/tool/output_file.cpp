// output_file.cpp: temporary file, write, sync, rename. Any thread; blocks on the disk.
#include "load/tool/output_file.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/fd.hpp"

namespace sluice::bench {
namespace {

std::unexpected<std::string> failed(const std::string& path, int error) {
  return std::unexpected{"cannot write " + path + ": " + std::strerror(error)};
}

/// A name and a descriptor; the file is removed when this dies, unless it was renamed.
class TemporaryFile {
 public:
  /// Beside `path`, so that renaming it stays within one file system.
  explicit TemporaryFile(const std::string& path) : name_{path + ".XXXXXX"} {
    fd_ = base::Fd{::mkostemp(name_.data(), O_CLOEXEC)};
    error_ = fd_ ? 0 : errno;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (fd_ && !renamed_) ::unlink(name_.c_str());
  }

  int error() const noexcept { return error_; }
  int fd() const noexcept { return fd_.get(); }
  bool rename_to(const std::string& path) noexcept {
    renamed_ = ::rename(name_.c_str(), path.c_str()) == 0;
    return renamed_;
  }

 private:
  std::string name_;
  base::Fd fd_{};
  int error_ = 0;
  bool renamed_ = false;
};

/// Where a chain of links ends, so that the link is not replaced by the file.
std::string real_path(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  return error ? path : real.string();
}

/// Something that exists and is no regular file. Directories are an error anyway.
bool is_special(const std::string& path) {
  struct ::stat status{};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ::ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

/// What a file made by open() would have; temporary ones are for their owner alone.
::mode_t usual_mode(const std::string& path) {
  struct ::stat status{};
  if (::stat(path.c_str(), &status) == 0) return status.st_mode & 07777;
  const ::mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

}  // namespace

std::expected<void, std::string> check_writable(const std::string& path) {
  if (is_special(path)) {
    // Opening a pipe would wait for its reader, and writing is what its name asks for.
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) return failed(path, EISDIR);
    if (::access(path.c_str(), W_OK) != 0) return failed(path, errno);
    return {};
  }
  const TemporaryFile file{real_path(path)};
  if (file.error() != 0) return failed(path, file.error());
  return {};
}

std::expected<void, std::string> write_file(const std::string& path, std::string_view text) {
  if (is_special(path)) {
    const base::Fd fd{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    if (!fd || !write_all(fd.get(), text)) return failed(path, errno);
    return {};
  }
  const std::string real = real_path(path);
  TemporaryFile file{real};
  if (file.error() != 0) return failed(path, file.error());
  if (!write_all(file.fd(), text) || ::fchmod(file.fd(), usual_mode(real)) != 0 || ::fsync(file.fd()) != 0 ||
      !file.rename_to(real)) {
    return failed(path, errno);
  }
  return {};
}

}  // namespace sluice::bench
