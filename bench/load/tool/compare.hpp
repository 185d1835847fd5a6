// compare.hpp: whether one set of results is better than another, figure by figure, and what else differs.
// In: saved results, replicates of each other on each side. Out: verdicts, or a table of them.
// Thread: any; pure. Must never claim a difference that the replicates' own spread explains.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "load/tool/result_file.hpp"

namespace sluice::bench {

enum class Change : std::uint8_t { better, same, worse, unknown };
/// "better", "same", "worse", "unknown".
std::string_view name(Change change) noexcept;

/// Replicates of one figure.
struct Spread {
  double median = 0, low = 0, high = 0;
  std::size_t count = 0;
};
Spread spread_of(std::vector<double> values);

/// With one result on a side, smaller changes say nothing.
inline constexpr double single_change_min = 0.05;
/// Values all within this share of each other are the same for whoever uses the server.
inline constexpr double same_spread_max = 0.02;

/// The verdict on `after`, from the first rule that applies: nothing on a side: unknown. All values equal, or within 2 %
/// of each other with two or more on each side: same. Intervals that overlap: unknown. One value on a side and medians
/// less than 5 % apart: unknown. Else better or worse.
Change judge(const Spread& before, const Spread& after, Better better) noexcept;

/// A table of all figures with A's and B's median, interval, ratio and verdict; before it, what is INVALID, after it, in
/// which conditions the two sides differ.
///   Errors: one line; results of different kinds.
[[nodiscard]] std::expected<std::string, std::string> compare_text(std::span<const ResultFile> before,
                                                                   std::span<const ResultFile> after,
                                                                   bool color = false);

}  // namespace sluice::bench
