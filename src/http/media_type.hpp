// media_type.hpp: the Content-Type of a file, told from its name.
// In: an extension or a path. Out: a constant text. Any thread; no state, no allocation.
// It must never look at a file's bytes.
#pragma once

#include <cstddef>
#include <string_view>

#include <sluice/message.hpp>

namespace sluice::http {

/// Longest extension that is known; what is longer is not looked up.
inline constexpr std::size_t extension_bytes_max = 11;

/// The media type of an extension without its dot, for example "html"; letter case does not matter.
///   Text comes with charset=utf-8, which JavaScript and CSS count as; JSON and XML say theirs themselves.
///   Default: application/octet-stream. Cost: a binary search over a hundred names.
///   Source:  the registries of IANA; for names without a registration, what browsers expect.
Literal media_type_of_extension(std::string_view extension) noexcept;

/// The media type by what follows the last dot of a path's last segment. A name that begins with its only dot has no
/// extension.
Literal media_type_of_path(std::string_view path) noexcept;

}  // namespace sluice::http
