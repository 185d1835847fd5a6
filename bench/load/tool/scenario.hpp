// scenario.hpp: loads described in JSON files, so that a mix of clients need not be typed.
// In: the text of a scenario ({"url":...,"clients":[...]}) or of a mix ([{"target":...},...]). Out: a Load, requests.
// Thread: any. Must never guess: an unknown key, a wrong type or a value out of range is an error that names its place.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/bench.hpp>

namespace sluice::bench {

/// Reads the text of a scenario. What it does not say has the default of Load; clients marked as background come last.
///   `folder`: where relative body_file names start.
///   Errors: one line that names the place, as `clients[0].requests[1]: unknown key "metod"`.
[[nodiscard]] std::expected<Load, std::string> parse_scenario(std::string_view json,
                                                              const std::filesystem::path& folder);

/// Reads the text of a mix: an array of requests, as in a scenario.
[[nodiscard]] std::expected<std::vector<RequestSpec>, std::string> parse_mix(std::string_view json,
                                                                             const std::filesystem::path& folder);

/// The same from files; body_file names are relative to the file's folder. Errors begin with the file's name.
[[nodiscard]] std::expected<Load, std::string> read_scenario(const std::filesystem::path& file);
[[nodiscard]] std::expected<std::vector<RequestSpec>, std::string> read_mix(const std::filesystem::path& file);

inline constexpr std::size_t body_bytes_max = std::size_t{256} << 20;

/// A whole file. Errors: "FILE: No such file or directory"; larger than `bytes_max`.
[[nodiscard]] std::expected<std::string, std::string> read_file(const std::filesystem::path& file,
                                                                std::size_t bytes_max = body_bytes_max);

/// A body of that many bytes: letters, without anything that would be replaced.
std::string filler(std::size_t bytes);

}  // namespace sluice::bench
