#include "sim/tool/tree.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace sluice::sim {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t entries_max = 1'000'000;  // of an array: recorded samples
constexpr int depth_max = 16;

std::optional<Node> converted(const dom::element& from, int depth);

std::optional<Node> converted_object(const dom::object& from, int depth) {
  Node node{.kind = Node::Kind::object};
  for (const dom::key_value_pair member : from) {
    auto child = converted(member.value, depth + 1);
    if (!child) return std::nullopt;
    node.keys.emplace_back(member.key);
    node.children.push_back(std::move(*child));
  }
  return node;
}

std::optional<Node> converted_array(const dom::array& from, int depth) {
  Node node{.kind = Node::Kind::array};
  for (const dom::element element : from) {
    auto child = converted(element, depth + 1);
    if (!child) return std::nullopt;
    node.children.push_back(std::move(*child));
  }
  return node;
}

/// Depth is bounded, by simdjson as well; none: deeper than any scenario is.
std::optional<Node> converted(const dom::element& from, int depth) {
  if (depth > depth_max) return std::nullopt;
  switch (from.type()) {
    case dom::element_type::OBJECT: return converted_object(from.get_object().value_unsafe(), depth);
    case dom::element_type::ARRAY: return converted_array(from.get_array().value_unsafe(), depth);
    case dom::element_type::STRING:
      return Node{.kind = Node::Kind::text, .text = std::string{from.get_string().value_unsafe()}};
    case dom::element_type::BOOL: return Node{.kind = Node::Kind::flag, .flag = from.get_bool().value_unsafe()};
    case dom::element_type::NULL_VALUE: return Node{};
    default: break;
  }
  double number = 0;
  if (from.get_double().get(number) != simdjson::SUCCESS) return std::nullopt;
  return Node{.kind = Node::Kind::number, .number = number};
}

/// A number as people write it.
std::string shown(double number) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::general, 12);
  return {digits, end.ptr};
}

std::string words(const Range& range) {
  if (range.most == std::numeric_limits<double>::max())
    return (range.above ? "above " : "at least ") + shown(range.least);
  return (range.above ? "above " + shown(range.least) + ", up to " : "from " + shown(range.least) + " to ") +
         shown(range.most);
}

bool inside(double number, const Range& range) noexcept {
  return std::isfinite(number) && number <= range.most && (range.above ? number > range.least : number >= range.least);
}

Node* entry_named(Node& array, std::string_view name) {
  for (Node& child : array.children) {
    const Node* const own = child.find("name");
    if (own != nullptr && own->kind == Node::Kind::text && own->text == name) return &child;
  }
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  const bool whole = error == std::errc{} && end == name.data() + name.size();
  return whole && index < array.children.size() ? &array.children[index] : nullptr;
}

}  // namespace

const Node* Node::find(std::string_view key) const noexcept {
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &children[static_cast<std::size_t>(found - keys.begin())];
}

std::expected<Node, std::string> parse_tree(std::string_view json) {
  dom::parser parser;
  dom::element root;
  const simdjson::padded_string padded{json};
  if (const auto error = parser.parse(padded).get(root); error != simdjson::SUCCESS) {
    return std::unexpected{std::string{"is not valid JSON: "} + simdjson::error_message(error)};
  }
  auto tree = converted(root, 0);
  if (!tree) return std::unexpected{"is nested more than " + std::to_string(depth_max) + " levels deep"};
  return std::move(*tree);
}

std::expected<void, std::string> put_number(Node& root, std::string_view path, double number) {
  Node* at = &root;
  std::string_view rest = path;
  while (true) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view step = rest.substr(0, dot);
    const auto failed = [&](const char* why) { return std::unexpected{std::string{path} + ": " + why}; };
    if (step.empty()) return failed("is not a path of keys such as routes.NAME.budget_ms");
    if (at->kind == Node::Kind::null) *at = Node{.kind = Node::Kind::object};
    if (at->kind == Node::Kind::array) {
      at = entry_named(*at, step);
      if (at == nullptr) return failed("there is no entry with this name");
    } else if (at->kind == Node::Kind::object) {
      auto found = std::find(at->keys.begin(), at->keys.end(), step);
      if (found == at->keys.end()) {
        at->keys.emplace_back(step);
        at->children.emplace_back();
        found = at->keys.end() - 1;
      }
      at = &at->children[static_cast<std::size_t>(found - at->keys.begin())];
    } else {
      return failed("there is a value already where the path goes on");
    }
    if (dot == rest.size()) break;
    rest.remove_prefix(dot + 1);
  }
  *at = Node{.kind = Node::Kind::number, .number = number};
  return {};
}

void Value::fail(const std::string& problem) const {
  if (!document.error.empty()) return;
  document.error = place.empty() ? problem : place + ": " + problem;
}

void read_object(const Value& value, std::initializer_list<Key> keys) {
  const Node& node = value.node;
  if (node.kind != Node::Kind::object) return value.fail("must be an object");
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const std::string& name = node.keys[i];
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const Key& known) { return known.name == name; });
    if (key == keys.end()) {
      std::string names;
      for (const Key& known : keys) names += (names.empty() ? "" : ", ") + std::string{known.name};
      return value.fail("unknown key \"" + name + "\"; known are " + names);
    }
    if (std::find(node.keys.begin(), node.keys.begin() + static_cast<std::ptrdiff_t>(i), name) !=
        node.keys.begin() + static_cast<std::ptrdiff_t>(i)) {
      return value.fail("the key \"" + name + "\" is there twice");
    }
    key->read({node.children[i], (value.place.empty() ? "" : value.place + '.') + name, value.document});
    if (!value.document.error.empty()) return;
  }
}

void read_array(const Value& value, const Read& read) {
  if (value.node.kind != Node::Kind::array) return value.fail("must be an array");
  if (value.node.children.size() > entries_max) {
    return value.fail("has more than " + std::to_string(entries_max) + " entries");
  }
  std::size_t index = 0;
  for (const Node& child : value.node.children) {
    read({child, value.place + '[' + std::to_string(index++) + ']', value.document});
    if (!value.document.error.empty()) return;
  }
}

void read_text(const Value& value, std::string& out) {
  if (value.node.kind != Node::Kind::text) return value.fail("must be a text");
  out = value.node.text;
}

void read_flag(const Value& value, bool& out) {
  if (value.node.kind != Node::Kind::flag) return value.fail("must be true or false");
  out = value.node.flag;
}

double read_number(const Value& value, Range range) {
  if (value.node.kind == Node::Kind::number && inside(value.node.number, range)) return value.node.number;
  value.fail("must be a number " + words(range));
  return range.least;
}

std::uint64_t read_count(const Value& value, Range range) {
  range.most = std::min(range.most, 9e15);
  const double number = value.node.number;
  if (value.node.kind == Node::Kind::number && inside(number, range) && number == std::floor(number)) {
    return static_cast<std::uint64_t>(number);
  }
  value.fail("must be a whole number " + words(range));
  return static_cast<std::uint64_t>(range.least);
}

}  // namespace sluice::sim
