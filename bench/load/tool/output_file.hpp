// output_file.hpp: files for results, checked before the load starts and written as a whole after it.
// In: a path and a text. Out: the file, or the one that was there before; never a part.
// Thread: any. Must never leave a temporary file behind, except if the process dies while it writes.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace sluice::bench {

/// Whether write_file(path) would work now: makes a file beside it and removes it again.
///   Errors: one line with the path.
[[nodiscard]] std::expected<void, std::string> check_writable(const std::string& path);

/// Writes a temporary file beside `path` and renames it; what is no regular file (/dev/stdout, a pipe) is written to.
///   Errors: one line with the path; what was there before is still there.
[[nodiscard]] std::expected<void, std::string> write_file(const std::string& path, std::string_view text);

}  // namespace sluice::bench
