// route_table.cpp: patterns in a tree of segments, and beside it a hash table of those without parameters.
// Build: one thread. Match: const, all loops at once; walks with a stack of fixed size instead of recursion.
#include "server/route_table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "base/assert.hpp"
#include "http/target.hpp"

namespace sluice::detail {

struct RouteTable::Pattern {
  enum class Kind : std::uint8_t { fixed, param, rest };
  struct Segment {
    Kind kind;
    std::string_view text;  // the segment, or the parameter's name; part of `text` below
  };
  std::string_view text;  // the caller's
  std::vector<Segment> segments{};
  std::size_t param_count = 0;
};

/// A path cut at its slashes. The text is decoded already; the cuts come from the raw path.
struct RouteTable::Segments {
  std::string_view text;  // the raw path or the scratch
  std::size_t count = 0;  // as far as the deepest pattern needs, not more
  std::array<std::uint32_t, route_segments_max + 2> begin;  // one more than count; left unset on purpose

  std::string_view at(std::size_t index) const noexcept {
    return text.substr(begin[index], begin[index + 1] - 1 - begin[index]);
  }
  std::string_view from(std::size_t index) const noexcept { return text.substr(begin[index]); }
};

namespace {

using Kind = Match::Kind;

[[noreturn]] void refuse(std::string_view pattern, std::string_view reason) {
  std::string shown{pattern};
  std::replace_if(shown.begin(), shown.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
  throw std::invalid_argument{"The route pattern \"" + shown + "\" " + std::string{reason}};
}

bool name_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/// Patterns are written decoded: an escape in one would never match what its author means.
bool pattern_character(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte != 0x7F && c != '%' && c != '?' && c != '#';
}

std::string_view parameter_name(std::string_view pattern, std::string_view inner) {
  if (inner.empty()) refuse(pattern, "has a parameter without a name.");
  if (!std::all_of(inner.begin(), inner.end(), name_character)) {
    refuse(pattern, "has a parameter name with other characters than letters, digits, '_' and '-'.");
  }
  return inner;
}

/// The methods a pattern answers, those the library adds included.
MethodMask with_implied(MethodMask methods) noexcept {
  MethodMask all = methods | method_bit(Method::options);
  if ((methods & method_bit(Method::get)) != 0) all |= method_bit(Method::head);
  return all;
}

}  // namespace

std::string allow_header(MethodMask methods) {
  std::string text;
  for (std::size_t i = 0; i < method_count; ++i) {
    const auto method = static_cast<Method>(i);
    if ((methods & method_bit(method)) == 0) continue;
    if (!text.empty()) text += ", ";
    text += to_string(method);
  }
  return text;
}

RouteTable::RouteTable() : nodes_(1) {}

// ---- building ----

RouteTable::Pattern RouteTable::parse(std::string_view text) {
  if (text.empty() || text.front() != '/') refuse(text, "must begin with '/'.");
  if (!std::all_of(text.begin(), text.end(), pattern_character)) {
    refuse(text, "has '%', '?', '#' or a control character; write the path decoded and without a query.");
  }
  Pattern pattern{.text = text};
  std::vector<std::string_view> names;
  for (std::size_t begin = 1; begin <= text.size();) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    const bool last = end == text.size();
    const std::string_view segment = text.substr(begin, end - begin);
    begin = end + 1;
    if (segment.empty() && !last) refuse(text, "has an empty segment.");
    if (segment.find_first_of("{}") == std::string_view::npos) {
      pattern.segments.push_back({Pattern::Kind::fixed, segment});
      continue;
    }
    if (segment.size() < 2 || segment.front() != '{' || segment.back() != '}') {
      refuse(text, "has a brace that does not enclose a whole segment.");
    }
    std::string_view inner = segment.substr(1, segment.size() - 2);
    const bool rest = inner.ends_with("...");
    if (rest) inner.remove_suffix(3);
    if (rest && !last) refuse(text, "has a {rest...} that is not at the end.");
    const std::string_view name = parameter_name(text, inner);
    if (std::find(names.begin(), names.end(), name) != names.end()) refuse(text, "names two parameters alike.");
    names.push_back(name);
    pattern.segments.push_back({rest ? Pattern::Kind::rest : Pattern::Kind::param, name});
  }
  if (pattern.segments.size() > route_segments_max) refuse(text, "has more than 64 segments.");
  if (names.size() > route_params_max) refuse(text, "has more than 8 parameters.");
  pattern.param_count = names.size();
  return pattern;
}

std::uint32_t RouteTable::find_edge(const Node& node, std::string_view segment) const noexcept {
  const auto found = std::lower_bound(node.edges.begin(), node.edges.end(), segment,
                                      [](const Edge& edge, std::string_view key) { return edge.segment < key; });
  return found != node.edges.end() && found->segment == segment ? found->node : none;
}

/// The endpoint of the pattern with the same shape, whatever its parameters are called.
std::uint32_t RouteTable::find_shape(const Pattern& pattern) const {
  std::uint32_t at = 0;
  for (const Pattern::Segment& segment : pattern.segments) {
    const Node& node = nodes_[at];
    if (segment.kind == Pattern::Kind::rest) return node.rest_endpoint;
    at = segment.kind == Pattern::Kind::param ? node.param : find_edge(node, segment.text);
    if (at == none) return none;
  }
  return nodes_[at].endpoint;
}

/// Makes the nodes and the endpoint of a shape that is not there yet.
std::uint32_t RouteTable::insert_path(const Pattern& pattern) {
  Endpoint endpoint;
  endpoint.pattern = pattern.text;
  const auto endpoint_index = static_cast<std::uint32_t>(endpoints_.size());
  std::uint32_t at = 0;
  for (std::size_t i = 0; i < pattern.segments.size(); ++i) {
    const auto& [kind, text] = pattern.segments[i];
    if (kind != Pattern::Kind::fixed) {
      endpoint.segment_index[endpoint.names.size()] = static_cast<std::uint8_t>(i);
      endpoint.names.emplace_back(text);
    }
    if (kind == Pattern::Kind::rest) {
      endpoint.has_rest = true;
      break;
    }
    std::uint32_t next = kind == Pattern::Kind::param ? nodes_[at].param : find_edge(nodes_[at], text);
    if (next == none) {
      next = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back();
      Node& node = nodes_[at];
      if (kind == Pattern::Kind::param) {
        node.param = next;
      } else {
        const auto place = std::lower_bound(node.edges.begin(), node.edges.end(), text,
                                            [](const Edge& edge, std::string_view key) { return edge.segment < key; });
        node.edges.insert(place, Edge{std::string{text}, next});
      }
    }
    at = next;
  }
  (endpoint.has_rest ? nodes_[at].rest_endpoint : nodes_[at].endpoint) = endpoint_index;
  endpoints_.push_back(std::move(endpoint));
  depth_max_ = std::max(depth_max_, pattern.segments.size());
  return endpoint_index;
}

void RouteTable::insert_static(std::uint32_t endpoint) {
  const auto place = [this](StaticSlot slot) {
    std::size_t i = slot.hash & (static_slots_.size() - 1);
    while (static_slots_[i].endpoint != none) i = (i + 1) & (static_slots_.size() - 1);
    static_slots_[i] = slot;
  };
  if (2 * (static_count_ + 1) > static_slots_.size()) {
    const auto old = std::exchange(static_slots_, std::vector<StaticSlot>(std::bit_ceil(4 * (static_count_ + 1))));
    for (const StaticSlot& slot : old) {
      if (slot.endpoint != none) place(slot);
    }
  }
  const std::string& path = endpoints_[endpoint].pattern;
  place({slot_hash(path), endpoint});
  ++static_count_;
  static_bytes_max_ = std::max(static_bytes_max_, path.size());
}

void RouteTable::add(Method method, std::string_view pattern, std::uint32_t route) {
  const Pattern parsed = parse(pattern);
  std::uint32_t index = find_shape(parsed);
  if (index != none) {
    const Endpoint& other = endpoints_[index];
    if (other.pattern != pattern) {
      refuse(pattern, "differs from \"" + other.pattern + "\" in parameter names only; use the same names.");
    }
    if ((other.methods & method_bit(method)) != 0) {
      refuse(pattern,
             "is registered already for " + std::string{to_string(method)} + ", as \"" + other.pattern + "\".");
    }
  } else {
    index = insert_path(parsed);
    if (parsed.param_count == 0) insert_static(index);
  }
  Endpoint& endpoint = endpoints_[index];
  endpoint.routes[static_cast<std::size_t>(method)] = route;
  endpoint.methods |= method_bit(method);
}

// ---- matching ----

/// Fills in the match if the endpoint takes the method, else notes what it would take.
[[gnu::noinline]] bool RouteTable::settle(Method method, std::uint32_t endpoint_index, const Segments& segments,
                                          Match& match) const noexcept {
  if (endpoint_index == none) return false;
  const Endpoint& endpoint = endpoints_[endpoint_index];
  if ((endpoint.methods & method_bit(method)) == 0) {
    if (method != Method::head || (endpoint.methods & method_bit(Method::get)) == 0) {
      match.kind = Kind::method_not_allowed;
      match.allowed |= with_implied(endpoint.methods);
      return false;
    }
    method = Method::get;
  }
  match.kind = Kind::found;
  match.allowed = 0;
  match.route = endpoint.routes[static_cast<std::size_t>(method)];
  match.param_count = static_cast<std::uint8_t>(endpoint.names.size());
  for (std::size_t i = 0; i < endpoint.names.size(); ++i) {
    const std::size_t index = endpoint.segment_index[i];
    const bool rest = endpoint.has_rest && i + 1 == endpoint.names.size();
    std::construct_at(&match.params[i], PathParam{endpoint.names[i], rest ? segments.from(index) : segments.at(index)});
  }
  return true;
}

/// Tries static, parameter and rest at each node, deepest first. Each node has one way from the root, so it is
/// visited once at most, and the stack is never deeper than the deepest pattern.
Match RouteTable::walk(Method method, const Segments& segments) const noexcept {
  enum class Next : std::uint8_t { fixed, param, rest, up };
  struct Frame {
    std::uint32_t node;
    Next next;
  };
  std::array<Frame, route_segments_max + 1> frames;  // left unset on purpose
  frames[0] = {0, Next::fixed};
  std::size_t depth = 0;
  Match match;
  for (;;) {
    Frame& frame = frames[depth];
    const Node& node = nodes_[frame.node];
    std::uint32_t child = none;
    switch (frame.next) {
      case Next::fixed:
        if (depth == segments.count) {
          if (settle(method, node.endpoint, segments, match)) return match;
          frame.next = Next::up;
        } else {
          child = find_edge(node, segments.at(depth));
          frame.next = Next::param;
        }
        break;
      case Next::param:
        if (node.param != none && !segments.at(depth).empty()) child = node.param;
        frame.next = Next::rest;
        break;
      case Next::rest:
        if (settle(method, node.rest_endpoint, segments, match)) return match;
        frame.next = Next::up;
        break;
      case Next::up:
        if (depth == 0) return match;
        --depth;
        break;
    }
    if (child == none) continue;
    ++depth;
    SLUICE_ASSERT(depth <= depth_max_);
    frames[depth] = {child, Next::fixed};
  }
}

/// Cuts a path at the slashes of its raw form; `text` is the same path decoded, or the raw one if it has no escape.
/// One segment more than the deepest pattern has is enough to know that a path is too deep for all but a rest.
void RouteTable::cut(std::string_view raw, Segments& segments) const noexcept {
  // An escape is two bytes longer than what it stands for, so a cut in the raw path lies that much earlier in the
  // decoded one. To cut the decoded path itself would turn %2F into a separator.
  std::size_t shrunk = 0;
  std::size_t begin = 1;
  while (begin <= raw.size() && segments.count <= depth_max_) {
    const std::size_t end = std::min(raw.find('/', begin), raw.size());
    segments.begin[segments.count++] = static_cast<std::uint32_t>(begin - shrunk);
    if (segments.text.size() != raw.size()) {
      const std::string_view segment = raw.substr(begin, end - begin);
      shrunk += 2 * static_cast<std::size_t>(std::count(segment.begin(), segment.end(), '%'));
    }
    begin = end + 1;
  }
  segments.begin[segments.count] = static_cast<std::uint32_t>(begin - shrunk);
}

Match RouteTable::match(Method method, std::string_view raw_path, PathScratch& scratch) const {
  if (raw_path.empty()) raw_path = "/";
  Segments segments;
  if (const std::uint32_t endpoint = find_static(raw_path); endpoint != none) {
    Match match;
    if (settle(method, endpoint, segments, match)) return match;
  }
  if (raw_path.front() != '/') return {};
  segments.text = raw_path;
  if (raw_path.find('%') != std::string_view::npos) {
    scratch.clear();
    if (!http::percent_decode(raw_path, scratch, false)) return {};
    segments.text = scratch;
  }
  cut(raw_path, segments);
  return walk(method, segments);
}

}  // namespace sluice::detail
