// negotiate.hpp: which of several representations a client likes best. In: an Accept, Accept-Encoding or
// Accept-Language field and what the server offers. Out: an index into the offer, or none. Any thread; no I/O.
// It must never pick what the client has excluded with q=0.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include <sluice/message.hpp>

namespace sluice {

/// Members of one field that are looked at, over all of its lines; what follows is not read.
inline constexpr std::size_t negotiated_members_max = 64;

// What all of them share:
//   Offer:     best first; among what the client likes equally, the earliest wins. One that is malformed never wins,
//              except where everything is acceptable.
//   None:      nothing on offer is acceptable, or nothing is offered. Whether that is a 406 is the caller's decision;
//              RFC 9110 12.1 allows to send a representation all the same.
//   Weights:   q=0 to q=1 with up to three decimals; "q=.5" passes for "q=0.5", since clients in wide use send it. Of
//              two members that say the same, the first counts.
//   Malformed: such a member is skipped, the others are not affected.
//   Answers:   one that was chosen by a field says so: `Vary: Accept`.
//   Cost:      members times offers; nothing is stored or allocated. A field that is absent costs one look-up.

/// The offered media type, for example "text/html; charset=utf-8", that suits an Accept field best.
///   Most specific member first: type/subtype with parameters, type/subtype, type/*, */*. A member's parameters must
///   all be among the offer's (names and values compared without case); the offer may have more.
///   A field that is absent, empty or without a single well-formed member accepts everything: index 0.
///   Source: RFC 9110 12.5.1.
std::optional<std::size_t> negotiate_media_type(const Request& request,
                                                std::span<const std::string_view> offered) noexcept;
/// The same for a field's value; several lines are joined with a comma.
std::optional<std::size_t> negotiate_media_type(std::string_view accept,
                                                std::span<const std::string_view> offered) noexcept;

/// The offered content coding that suits an Accept-Encoding field best. Offer "identity" for the bytes as they are.
///   "identity" is acceptable unless "identity;q=0" or "*;q=0" excludes it, and comes last if it is not named. "x-gzip"
///   and "x-compress" are other names of "gzip" and "compress".
///   Absent: anything is acceptable, and identity the safest: its index, or 0. Empty or without a well-formed member:
///   identity or none.
///   Source: RFC 9110 12.5.3, 8.4.1.
std::optional<std::size_t> negotiate_encoding(const Request& request,
                                              std::span<const std::string_view> offered) noexcept;
/// The same for a field's value that is there, if only empty.
std::optional<std::size_t> negotiate_encoding(std::string_view accept_encoding,
                                              std::span<const std::string_view> offered) noexcept;

/// The offered language tag, for example "de-CH", that suits an Accept-Language field best.
///   A range suits a tag that it is equal to or a beginning of ("de" and "de-CH", basic filtering); the longest such
///   range decides. A tag that none suits is taken for a longer range that it is a beginning of ("de-CH" and "de",
///   lookup), and after one that a range suits if they weigh the same; else for "*".
///   A field that is absent, empty or without a single well-formed member accepts everything: index 0.
///   Source: RFC 9110 12.5.4; RFC 4647 3.3.1, 3.4.
std::optional<std::size_t> negotiate_language(const Request& request,
                                              std::span<const std::string_view> offered) noexcept;
/// The same for a field's value; several lines are joined with a comma.
std::optional<std::size_t> negotiate_language(std::string_view accept_language,
                                              std::span<const std::string_view> offered) noexcept;

}  // namespace sluice
