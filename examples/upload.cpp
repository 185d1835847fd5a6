// upload.cpp: takes uploads of any size into a folder, tells how far each has come, and serves what has arrived. A file
// appears in the folder when all of it is there, never half of it.
//
//   ./upload ~/Videos 127.0.0.1:8080                 then: a browser, or
//   curl -T film.webm 127.0.0.1:8080/files/film.webm     while it runs: curl 127.0.0.1:8080/uploads
//   curl -C - -O 127.0.0.1:8080/files/film.webm      goes on where a download was cut off
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/extra/files.hpp>
#include <sluice/extra/json.hpp>
#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>

using namespace std::chrono_literals;
using sluice::Problem, sluice::Request, sluice::Response;

namespace {

/// Uploads under way. Any thread.
class Uploads {
 public:
  struct Upload {
    std::string name;
    std::optional<std::uint64_t> size;  // unknown when the body is chunked
    std::atomic<std::uint64_t> received{0};
  };

  /// One upload's place in the list, for as long as it is under way.
  class Entry {
   public:
    Entry(Uploads& uploads, const std::string& name, std::optional<std::uint64_t> size) : uploads_{uploads} {
      const std::lock_guard lock{uploads.mutex_};
      place_ = uploads.under_way_.emplace(uploads.under_way_.end());
      place_->name = name;
      place_->size = size;
    }
    ~Entry() {
      const std::lock_guard lock{uploads_.mutex_};
      uploads_.under_way_.erase(place_);
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    void add(std::uint64_t bytes) { place_->received.fetch_add(bytes, std::memory_order_relaxed); }

   private:
    Uploads& uploads_;
    std::list<Upload>::iterator place_;
  };

  void write_to(sluice::JsonWriter& out) const {
    const std::lock_guard lock{mutex_};
    out.begin_array();
    for (const Upload& upload : under_way_) {
      out.begin_object()
          .member("name", upload.name)
          .member("received", upload.received.load())
          .member("size", upload.size);
      out.end_object();
    }
    out.end_array();
  }

 private:
  mutable std::mutex mutex_;
  std::list<Upload> under_way_;
};

/// A file that is not in the folder yet. Its name begins with a dot, so that nobody is served half of it.
class PartialFile {
 public:
  explicit PartialFile(const std::string& folder)
      : path_{folder + "/.upload-XXXXXX"}, fd_{::mkostemp(path_.data(), O_CLOEXEC)} {
    if (fd_ < 0) fail("mkostemp");
  }
  ~PartialFile() {
    ::close(fd_);
    if (!kept_) ::unlink(path_.c_str());
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
      if (count < 0 && errno != EINTR) fail("write");
      if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  /// Gives it its name, in place of what may have had it before.
  void keep_as(const std::string& path) {
    if (::fchmod(fd_, 0644) != 0 || ::rename(path_.c_str(), path.c_str()) != 0) fail("rename");
    kept_ = true;
  }

 private:
  [[noreturn]] static void fail(const char* what) {
    const bool full = errno == ENOSPC || errno == EDQUOT;
    throw Problem{full ? 507 : 500, {}, full ? "the disk is full" : "the file could not be written"}.cause(what);
  }
  std::string path_;
  int fd_;
  bool kept_ = false;
};

/// One word of a path: letters, digits, and .-_ but not in front.
bool is_file_name(std::string_view name) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 100 && is_plain(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_plain(c) || c == '.' || c == '-' || c == '_'; });
}

std::optional<std::uint64_t> announced_size(const Request& request) {
  const std::string_view text = request.header("content-length");
  std::uint64_t size = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), size).ec != std::errc{}) return std::nullopt;
  return size;
}

Response take(const std::string& folder, Uploads& uploads, const Request& request) {
  const std::string name{request.param("name")};
  if (!is_file_name(name)) throw Problem{400, {}, "a file's name: letters, digits and .-_, at most 100"};
  const std::string path = folder + "/" + name;
  PartialFile file{folder};
  Uploads::Entry entry{uploads, name, announced_size(request)};
  sluice::BodyReader body = request.body_reader();
  std::array<char, 64 * 1024> piece;
  while (const std::size_t count = body.read(piece)) {
    file.write({piece.data(), count});
    entry.add(count);
  }
  const bool existed = std::filesystem::exists(path);
  file.keep_as(path);
  return sluice::empty(existed ? 204 : 201).header("Location", "/files/" + name);
}

/// {"files":[{"name":...,"size":...}],"uploads":[{"name":...,"received":...,"size":...}]}
Response list(const std::string& folder, const Uploads& uploads) {
  sluice::JsonWriter out;
  out.begin_object().key("files").begin_array();
  std::error_code error;  // a file may go while it is looked at
  for (const auto& entry : std::filesystem::directory_iterator{folder, error}) {
    const std::string name = entry.path().filename().string();
    const std::uint64_t size = entry.file_size(error);
    if (error || !is_file_name(name)) continue;
    out.begin_object().member("name", name).member("size", size).end_object();
  }
  out.end_array().key("uploads");
  uploads.write_to(out);
  out.end_object();
  return sluice::json(std::move(out).take());
}

int serve(const std::string& folder, const std::string& listen) {
  Uploads uploads;
  sluice::Router app;
  app.lane("uploads", {.in_flight_max = 8});
  app.get("/", sluice::file(SLUICE_EXAMPLES_SITE "/upload.html"));
  app.get("/uploads", sluice::blocking([&](const Request&) { return list(folder, uploads); }));
  app.get("/files/{path...}", sluice::static_files(folder));
  app.put("/files/{name}", sluice::blocking([&](const Request& request) { return take(folder, uploads, request); }),
          {.budget = 1h, .body_bytes_max = std::uint64_t{64} << 30, .stream_body = true, .lane = "uploads"});
  sluice::Server server{std::move(app), {.listen = {listen}}};
  const sluice::DrainOnSignal drain_on_signal{server};
  server.start();
  for (const std::string& address : server.addresses()) std::fprintf(stderr, "listening on %s\n", address.c_str());
  server.wait();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: upload FOLDER [LISTEN]\n");
    return 2;
  }
  try {
    return serve(argv[1], argc == 3 ? argv[2] : "127.0.0.1:8080");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "upload: %s\n", error.what());
    return 1;
  }
}
