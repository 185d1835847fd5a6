// target.hpp: the request target: which form it has, whether it is clean, and the reading of its escaped text.
// In: raw target bytes. Out: the parts, or a refusal. Any thread; no state.
// It must never let a path through whose decoded form climbs ("..") or holds a control byte.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "http/head.hpp"

namespace sluice::http {

/// The parts of a target; views into it.
struct Target {
  std::string_view path;       // raw; empty for "*" and for an absolute form without path
  std::string_view query;      // raw, behind '?'
  std::string_view authority;  // of the absolute form, else empty
  std::string_view default_port;  // of its scheme: "80" or "443"
};

/// Splits and checks a request target. `*` passes for OPTIONS only, authority-form never.
///   Errors: 400. Path: only pchar and '/', escapes complete and not of control bytes, no "." or ".." segment after
///   decoding. Query: escapes complete; '[' and ']' pass there, since browsers and common clients send them bare.
///   Source: RFC 9112 3.2, RFC 3986 3.3 and 3.4.
[[nodiscard]] std::expected<Target, Reject> read_target(std::string_view target, Method method) noexcept;

inline constexpr std::size_t not_usual = std::string_view::npos;

/// How long the path of a target is that is as nearly all are: origin-form, without escapes and rare bytes, without a
/// segment that begins with a dot. not_usual: read_target() is to say what it is.
///   head: it contains `target`, and a byte that no target has behind it.
std::size_t usual_path_size(std::string_view target, std::string_view head) noexcept;

/// Whether it is a name, or an IPv4 address, without port and rare bytes, as read_authority() takes it. False: that one
/// is to say.
///   head: it contains `text`, and a byte that no name has behind it.
bool is_usual_host(std::string_view text, std::string_view head) noexcept;

/// An authority taken apart. `host` keeps the brackets of an IPv6 address.
struct Authority {
  std::string_view host;
  std::string_view port;  // digits, possibly none
};

/// Checks `uri-host [ ":" port ]`: reg-name, IPv4 or bracketed IPv6, not empty, at most 255 bytes, port up to 65535.
///   A comma is refused although RFC 3986 allows it in a reg-name: it would make "a,b" of a joined list of hosts.
///   Source: RFC 9110 4.2 and 7.2.
std::optional<Authority> read_authority(std::string_view text) noexcept;

/// Appends `in` with its percent-encoding removed. False on an incomplete escape; `out` then holds what came before it.
[[nodiscard]] bool percent_decode(std::string_view in, std::string& out, bool plus_is_space);

/// Goes through the name=value pairs of a raw query, once, without allocating. Views end with the query's bytes.
class QueryScan {
 public:
  struct Pair {
    std::string_view name;  // raw
    std::string_view value;  // raw; empty if there was no '='
  };
  explicit QueryScan(std::string_view query) noexcept : rest_{query} {}
  /// The next pair, or nothing. Stretches without a byte ("&&") are skipped.
  std::optional<Pair> next() noexcept;

 private:
  std::string_view rest_;
};

/// Whether a raw name equals `wanted` once decoded ('+' is a space). A bad escape matches nothing.
bool matches(std::string_view raw_name, std::string_view wanted) noexcept;

}  // namespace sluice::http
