// route_table.hpp: which route a method and a path lead to. Patterns go in before serving, matches come out.
// Build: one thread. Match: const, all loops at once. No HTTP types but Method; never allocates on a path without
// percent-escapes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/message.hpp>

namespace sluice::detail {

inline constexpr std::size_t route_params_max = 8;     // parameters in one pattern
inline constexpr std::size_t route_segments_max = 64;  // segments in one pattern, "{rest...}" included

/// A set of methods: bit n stands for the Method of value n.
using MethodMask = std::uint16_t;
constexpr MethodMask method_bit(Method method) noexcept {
  return static_cast<MethodMask>(1U << static_cast<unsigned>(method));
}

/// The value of an Allow field, for example "GET, HEAD, OPTIONS". Source: RFC 9110 10.2.1.
std::string allow_header(MethodMask methods);

/// As a == b, without a call for what is as short as most paths are.
inline bool same_text(std::string_view a, std::string_view b) noexcept {
  const std::size_t size = a.size();
  if (size != b.size()) return false;
  if (size > 16) return a == b;
  const auto differ = [&](std::size_t at, auto word) {
    auto other = word;
    std::memcpy(&word, a.data() + at, sizeof word);
    std::memcpy(&other, b.data() + at, sizeof other);
    return word != other;
  };
  if (size >= 8) return !differ(0, std::uint64_t{}) && !differ(size - 8, std::uint64_t{});
  if (size >= 4) return !differ(0, std::uint32_t{}) && !differ(size - 4, std::uint32_t{});
  if (size == 0) return true;
  return !differ(0, char{}) && !differ(size / 2, char{}) && !differ(size - 1, char{});
}

/// Where a path with escapes is decoded; kept by the caller and reused, so that its memory is too.
/// After match() it holds the whole decoded path if the raw path had a '%', and is untouched if not.
using PathScratch = std::string;

struct PathParam {
  std::string_view name;   // owned by the RouteTable
  std::string_view value;  // decoded; a view into the raw path, or into the scratch if the path had a '%'
};

/// What a path leads to.
///   Cost: copies only the parameters there are; a Match is filled and moved once per request.
struct Match {
  enum class Kind : std::uint8_t { found, not_found, method_not_allowed };
  Kind kind = Kind::not_found;
  std::uint8_t param_count = 0;  // of `params`; those behind are unset and not to be read
  /// With method_not_allowed: every method some pattern of this path takes, HEAD if GET is, OPTIONS always.
  MethodMask allowed = 0;
  std::uint32_t route = 0;  // with found: what add() was given
  union {
    PathParam params[route_params_max];  // in a union, so that nobody clears 256 bytes for a path without any
  };

  Match() noexcept {}
  Match(const Match& other) noexcept { *this = other; }
  Match& operator=(const Match& other) noexcept {
    kind = other.kind;
    param_count = other.param_count;
    allowed = other.allowed;
    route = other.route;
    for (std::size_t i = 0; i < param_count; ++i) std::construct_at(&params[i], other.params[i]);
    return *this;
  }
};

/// Patterns and what they lead to.
///   Patterns: decoded text. "/a/b"; "/users/{id}", where {id} is one segment that is not empty; "/files/{rest...}",
///             where {rest...} is all that follows the last '/' before it, nothing included. A trailing '/' counts.
///   Order:    from left to right a static segment beats a parameter, a parameter beats a rest. A pattern that does
///             not take the method is passed over, so 405 means that no pattern of the path takes it.
///   HEAD:     goes to a pattern's HEAD route, else to its GET route.
class RouteTable {
 public:
  RouteTable();

  /// Adds a route; `route` comes back from match().
  ///   Errors: std::invalid_argument with a sentence: a bad pattern, or one that differs from an earlier one in
  ///           parameter names only (whatever the methods), or the same pattern and method again. The table is
  ///           unchanged then.
  void add(Method method, std::string_view pattern, std::uint32_t route);

  /// Looks up the raw (still escaped) path, without its query; "" means "/". Split at '/', then decoded segment by
  /// segment, so that %2F is data. A malformed escape is not found.
  ///   Thread:   any number at once, once the last add() is done.
  ///   Lifetime: the views in the result end with the table, with the raw path's bytes or with the next use of
  ///             `scratch`.
  ///   Cost:     a fully static path: one hash lookup. Else O(segments), times the alternatives registered.
  Match match(Method method, std::string_view raw_path, PathScratch& scratch) const;

  static constexpr std::uint32_t none = UINT32_MAX;
  /// The route of the pattern without parameters that is this very path and takes the method, or `none`: match() knows
  /// more. Thread: as match(). Cost: one hash lookup.
  std::uint32_t match_static(Method method, std::string_view raw_path) const noexcept {
    const std::uint32_t index = find_static(raw_path.empty() ? "/" : raw_path);
    if (index == none) return none;
    const Endpoint& endpoint = endpoints_[index];
    if (method == Method::head && (endpoint.methods & method_bit(method)) == 0) method = Method::get;
    return (endpoint.methods & method_bit(method)) == 0 ? none : endpoint.routes[static_cast<std::size_t>(method)];
  }

 private:
  /// One pattern and its routes.
  struct Endpoint {
    std::string pattern{};
    std::vector<std::string> names{};  // of its parameters, from left to right
    std::array<std::uint8_t, route_params_max> segment_index{};  // where each parameter stands
    bool has_rest = false;  // the last parameter takes all that is left
    MethodMask methods = 0;  // those with a route of their own
    std::array<std::uint32_t, method_count> routes{};  // meaningful where `methods` has the bit
  };
  struct Edge {
    std::string segment{};
    std::uint32_t node = none;
  };
  /// A prefix of patterns; the root stands for the leading '/'.
  struct Node {
    std::vector<Edge> edges{};  // static segments, sorted
    std::uint32_t param = none;  // node behind any one segment
    std::uint32_t endpoint = none;  // pattern that ends here
    std::uint32_t rest_endpoint = none;  // pattern that goes on with {rest...} and ends
  };
  /// A slot of the open-addressed table of patterns without parameters.
  struct StaticSlot {
    std::size_t hash = 0;
    std::uint32_t endpoint = none;  // none: free
  };
  struct Pattern;  // a checked pattern, before it is inserted
  struct Segments;  // a split path

  static Pattern parse(std::string_view text);
  std::uint32_t insert_path(const Pattern& pattern);
  std::uint32_t find_shape(const Pattern& pattern) const;
  void insert_static(std::uint32_t endpoint);
  static std::size_t slot_hash(std::string_view path) noexcept;
  std::uint32_t find_static(std::string_view path) const noexcept;
  std::uint32_t find_edge(const Node& node, std::string_view segment) const noexcept;
  void cut(std::string_view raw, Segments& segments) const noexcept;
  Match walk(Method method, const Segments& segments) const noexcept;
  bool settle(Method method, std::uint32_t endpoint, const Segments& segments, Match& match) const noexcept;

  std::vector<Node> nodes_;
  std::vector<Endpoint> endpoints_{};
  std::vector<StaticSlot> static_slots_{};  // size 0 or a power of two, at most half full
  std::size_t static_count_ = 0;
  std::size_t static_bytes_max_ = 0;  // length of the longest static pattern
  std::size_t depth_max_ = 0;  // segments of the deepest pattern
};

/// Spreads the program's own patterns; what clients send can only miss. Eight bytes at a time, the last ones twice.
inline std::size_t RouteTable::slot_hash(std::string_view path) noexcept {
  constexpr std::uint64_t odd = 0x9E37'79B9'7F4A'7C15u;
  const auto load = [&path](std::size_t at, std::size_t size) {
    std::uint64_t word = 0;
    std::memcpy(&word, path.data() + at, size);
    return word;
  };
  const std::size_t size = path.size();
  std::uint64_t sum = size * odd;
  if (size >= 8) {
    for (std::size_t at = 0; at + 8 < size; at += 8) sum = (sum ^ load(at, 8)) * odd;
    sum = (sum ^ load(size - 8, 8)) * odd;
  } else if (size >= 4) {
    sum = (sum ^ load(0, 4) ^ load(size - 4, 4) << 32) * odd;
  } else if (size > 0) {
    sum = (sum ^ load(0, 1) ^ load(size / 2, 1) << 8 ^ load(size - 1, 1) << 16) * odd;
  }
  return static_cast<std::size_t>(sum >> 32);  // the upper bits depend on every byte
}

/// The pattern without parameters that is this very path. Patterns hold no '%', so a path with one is never found.
inline std::uint32_t RouteTable::find_static(std::string_view path) const noexcept {
  // A long path is not worth hashing; also: no static pattern.
  if (path.empty() || path.size() > static_bytes_max_) return none;
  const std::size_t hash = slot_hash(path);
  const std::size_t mask = static_slots_.size() - 1;
  for (std::size_t i = hash & mask; static_slots_[i].endpoint != none; i = (i + 1) & mask) {
    const StaticSlot& slot = static_slots_[i];
    if (slot.hash == hash && same_text(endpoints_[slot.endpoint].pattern, path)) return slot.endpoint;
  }
  return none;
}

}  // namespace sluice::detail
