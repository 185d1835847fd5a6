// deadline.hpp: what a client's deadline fields leave of a route's budget. Pure functions of the head's text, which the
// client chose: nothing here is asserted, allocated or kept. Any thread.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <sluice/deadline.hpp>

#include "base/clock.hpp"
#include "http/head.hpp"

namespace sluice::detail {

/// A client that says more than this has not thought about it, or means "no limit"; either way it is ignored.
inline constexpr base::Duration deadline_max = std::chrono::years{10};

/// How many fields a server may be told to look for.
inline constexpr std::size_t deadline_headers_max = 8;

/// One field's value, white space around it removed; nothing if it is not of that format or above deadline_max.
///   Cost: one pass.
std::optional<base::Duration> parse_deadline(DeadlineHeader::Format format, std::string_view value) noexcept;

/// The shortest of `budget` and what the request's fields of these names say; 0: the time is over already. A field that
/// is there twice counts twice, but of `Prefer` lines, which are one list, the first "wait" counts.
///   Cost: one pass over the fields for each of `headers`.
base::Duration shortened_budget(const std::vector<DeadlineHeader>& headers, const http::Head& head,
                                const char* head_bytes, base::Duration budget) noexcept;

}  // namespace sluice::detail
