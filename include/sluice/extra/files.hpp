// files.hpp: handlers that answer with files: one, or a folder of them. Opening and looking at a file happens on the
// blocking-work pool, sending it is the kernel's work; small ones that are asked for often are answered from memory.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include <sluice/handler.hpp>

namespace sluice {

/// How files are served.
struct FileOptions {
  /// Sent as Cache-Control if not empty, for example "public, max-age=3600".
  std::string cache_control{};
  /// Content-Type of every file; empty: by its extension, application/octet-stream for one that is not known.
  std::string content_type{};
  /// What is sent for a directory, if it is there; empty: nothing, a directory is 404. There are no listings.
  std::string index = "index.html";
  /// Whether `name.br`, `name.zst` and `name.gz` beside a file are sent in its place to clients that accept them.
  bool precompressed = true;
  /// Whether names that begin with a dot are served. By default they are 404, as version control's folders should be.
  bool dot_files = false;
  /// Largest file that is kept in memory, in bytes; 0: none is.
  std::uint64_t cached_file_bytes_max = 64 * 1024;
  /// All files kept in memory, in bytes; the least recently asked for leave first.
  std::uint64_t cache_bytes_max = 16 * 1024 * 1024;
  /// A file in memory is compared with the one on disk at most that often; until then a change is not seen.
  std::chrono::milliseconds recheck{1000};
};

/// Serves one file, to GET and HEAD.
///   Answers:  200, or 206 for a Range (up to 16 ranges, merged where they overlap), 304 and 412 by the conditions of
///             RFC 9110 13 on a strong ETag and Last-Modified, 416; 404 if it is missing or no regular file, 403 if it
///             can't be read, 503 without descriptors. A file that becomes shorter while it is sent ends the connection.
///   Thread:   `path` is opened anew for every request that is not answered from memory, on the pool.
///   Lifetime: register it with Router::get.
///   Errors:   std::invalid_argument for an empty path or options that can't be sent.
Handler file(std::string path, FileOptions options = {});

/// Serves the files below `root` on a route that ends in a rest parameter, "/static/{path...}".
///   A directory is its index file; without its slash it is a redirect (301) to the path with one.
///   Nothing outside of `root` can be reached: the kernel resolves each path beneath it, symbolic links included
///   (openat2); where it can't, no link is followed at all. `root` itself is resolved once, here.
///   Errors: std::system_error if `root` can't be opened, and as for file().
Handler static_files(const std::string& root, FileOptions options = {});

}  // namespace sluice
