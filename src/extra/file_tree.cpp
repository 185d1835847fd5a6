#include "extra/file_tree.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace sluice::detail {
namespace {

// A pipe without a writer must not hold us, and a terminal must not become ours.
constexpr int read_flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

std::expected<OpenFile, int> examined(base::Fd fd) {
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return std::unexpected(errno);
  const bool directory = S_ISDIR(status.st_mode);
  if (!directory && !S_ISREG(status.st_mode)) return std::unexpected(ENOENT);
  return OpenFile{std::move(fd), stamp_of(status), directory};
}

int retrying(const auto& call) {
  int fd = -1;
  do fd = static_cast<int>(call());
  while (fd < 0 && errno == EINTR);
  return fd;
}

}  // namespace

FileStamp stamp_of(const struct stat& status) noexcept {
  return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size), status.st_mtim.tv_sec,
          status.st_mtim.tv_nsec};
}

FileTree::FileTree(const std::string& root) : root_{::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)} {
  if (!root_) throw std::system_error{errno, std::system_category(), "static_files: cannot open \"" + root + "\""};
}

bool FileTree::acceptable(std::string_view relative, bool dot_files) noexcept {
  constexpr std::size_t path_bytes_max = 4096;
  if (relative.size() >= path_bytes_max || relative.find('\0') != std::string_view::npos) return false;
  while (!relative.empty()) {
    const std::size_t slash = relative.find('/');
    const std::string_view segment = relative.substr(0, slash);
    if (segment.empty() || segment == "." || segment == "..") return false;
    if (segment.front() == '.' && !dot_files) return false;
    if (slash == std::string_view::npos) return true;
    relative.remove_prefix(slash + 1);
  }
  return true;
}

std::expected<OpenFile, int> FileTree::open(const std::string& relative) const {
  auto fd = resolve(relative.empty() ? "." : relative);
  if (!fd) return std::unexpected(fd.error());
  return examined(*std::move(fd));
}

std::expected<OpenFile, int> FileTree::open_trusted(const std::string& path) {
  base::Fd fd{retrying([&] { return ::open(path.c_str(), read_flags); })};
  if (!fd) return std::unexpected(errno);
  return examined(std::move(fd));
}

std::expected<base::Fd, int> FileTree::resolve(const std::string& relative) const {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(read_flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  constexpr int attempts_max = 4;  // EAGAIN: something above was renamed meanwhile
  for (int attempt = 0;; ++attempt) {
    base::Fd fd{retrying([&] { return ::syscall(SYS_openat2, root_.get(), relative.c_str(), &how, sizeof how); })};
    if (fd) return fd;
    if (errno == EAGAIN && attempt < attempts_max) continue;
    // Before Linux 5.6, or a sandbox that does not know the call.
    if (errno == ENOSYS || errno == EPERM) return walk(relative);
    return std::unexpected(errno);
  }
}

// One directory after the other, and no link: slower, and safe without the kernel's help.
std::expected<base::Fd, int> FileTree::walk(std::string_view relative) const {
  base::Fd place{retrying([&] { return ::openat(root_.get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC); })};
  if (!place) return std::unexpected(errno);
  while (relative.ends_with('/')) relative.remove_suffix(1);
  for (;;) {
    const std::size_t slash = relative.find('/');
    const std::string name{relative.substr(0, slash)};
    const bool last = slash == std::string_view::npos;
    const int flags = (last ? read_flags : O_PATH | O_DIRECTORY | O_CLOEXEC) | O_NOFOLLOW;
    base::Fd next{retrying([&] { return ::openat(place.get(), name.c_str(), flags); })};
    if (!next) return std::unexpected(errno);
    if (last) return next;
    place = std::move(next);
    relative.remove_prefix(slash + 1);
  }
}

}  // namespace sluice::detail
