// head_rules.hpp: the rules that make a request unambiguous: Host, body framing, Connection, Expect.
// In: a Head whose fields are filled and indexed. Out: the Head's decisions, or a refusal. Loop thread; no state.
// It must never choose between two readings of a message: what could be read in two ways is refused.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "http/head.hpp"
#include "http/target.hpp"

namespace sluice::http {

/// What the rules are applied to.
struct RuleInput {
  std::string_view head;   // its bytes
  std::uint64_t repeated;  // one bit for each Known that occurs more than once
  std::string_view authority;     // that the target names; empty: none
  std::string_view default_port;  // of the target's scheme
};

/// Decides framing, close, keep_alive_1_0, expect_continue, content_length and host.
///   Errors: 400, 413 (Content-Length above 2^63 - 1), 417, 501 (a transfer coding that isn't chunked alone).
///   Source: RFC 9112 3.2, 6 and 9.3; RFC 9110 10.1.1.
[[nodiscard]] std::expected<void, Reject> apply_head_rules(const RuleInput& input, Head& head) noexcept;

}  // namespace sluice::http
