// conditional.hpp: whether a request's conditions hold for a representation.
// In: field values and the representation's validators. Out: a verdict. Any thread; no state, no allocation.
// It must never let an unsafe method proceed on a condition that cannot be read, unless RFC 9110 says to ignore it.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>

namespace sluice::http {

/// Values of the request's conditional fields; empty means absent. Views into the request.
/// If-Match and If-None-Match are lists: a caller that meets several lines of one joins them with a comma.
struct ConditionalFields {
  std::string_view if_match{};
  std::string_view if_none_match{};
  std::string_view if_modified_since{};
  std::string_view if_unmodified_since{};
};

/// What is known of the representation that the answer would carry.
struct Validators {
  std::string_view etag{};  // as in the ETag field, quotes included; empty or malformed: none. The caller's bytes.
  std::optional<std::time_t> last_modified{};
  bool exists = true;  // false: there is no current representation, so "*" does not match
  bool strong_date = false;  // it is known not to have changed twice within the second of last_modified
};

enum class Verdict : std::uint8_t {
  proceed,  // as if there were no condition
  not_modified,  // 304; GET and HEAD only
  precondition_failed,  // 412
};

/// How a request came.
struct ConditionalRequest {
  bool get_or_head = true;
  std::time_t now = 0;  // for the two-digit years of RFC 850 dates
};

/// Evaluates the conditions in the order of RFC 9110 13.2.2. Call it only where the answer without conditions would be
/// a 2xx or a 412.
///   Dates:     one that is malformed, or with no last_modified to compare it to, is ignored.
///   Malformed: a list of entity tags counts as a whole. If-Match fails then; If-None-Match changes nothing for GET and
///              HEAD and fails for other methods: where the client's intent is unknown, nothing is overwritten.
///   Source:    RFC 9110 13.1, 13.2.
Verdict evaluate_conditions(const ConditionalFields& fields, const Validators& validators,
                            const ConditionalRequest& request) noexcept;

/// Whether a Range field may be honoured under this If-Range value; empty means absent and is true.
///   An entity tag must match by strong comparison. A date must be exactly last_modified, and that one be strong
///   (strong_date). What is malformed is false: the whole representation is sent.
///   Source: RFC 9110 13.1.5.
bool if_range_holds(std::string_view if_range, const Validators& validators, std::time_t now) noexcept;

/// Whether `text` is one entity tag, such as "v1" or W/"v1" with the quotes. Source: RFC 9110 8.8.3.
bool valid_entity_tag(std::string_view text) noexcept;

}  // namespace sluice::http
