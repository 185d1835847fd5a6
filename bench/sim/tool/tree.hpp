// tree.hpp: a JSON document as a tree that can be changed before it is read: --set and --what-if put numbers into it.
// In: JSON text (through simdjson, in tree.cpp alone). Out: nodes that are read by key; what is wrong names its place.
// Thread: any. Must never guess: an unknown key, a wrong type or a value out of range is an error.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::sim {

struct Node {
  enum class Kind : std::uint8_t { null, flag, number, text, array, object };
  Kind kind = Kind::null;
  bool flag = false;
  double number = 0;
  std::string text{};
  std::vector<std::string> keys{};  // of an object, one for each child
  std::vector<Node> children{};     // of an object or an array

  const Node* find(std::string_view key) const noexcept;
};

/// Errors: what simdjson says.
[[nodiscard]] std::expected<Node, std::string> parse_tree(std::string_view json);

/// Puts a number at "key.key": an array's entry is named by its "name", or by its index from 0. Objects that are missing
/// on the way are made.
///   Errors: "routes.x: there is no entry with this name".
[[nodiscard]] std::expected<void, std::string> put_number(Node& root, std::string_view path, double number);

/// The first error stays, and what comes after it is not looked at.
struct Document {
  std::string error{};
};

/// A node with its place, as the tables of keys are given it.
struct Value {
  const Node& node;
  std::string place;
  Document& document;

  void fail(const std::string& problem) const;
};

using Read = std::function<void(const Value&)>;
struct Key {
  std::string_view name;
  Read read;
};

void read_object(const Value& value, std::initializer_list<Key> keys);
void read_array(const Value& value, const Read& read);
void read_text(const Value& value, std::string& out);
void read_flag(const Value& value, bool& out);

struct Range {
  double least = 0, most = std::numeric_limits<double>::max();
  bool above = false;  // `least` itself is not allowed
};
/// Errors: "must be a number from 0 to 1"
double read_number(const Value& value, Range range);
/// The same, without a fraction.
std::uint64_t read_count(const Value& value, Range range);

template <class T>
void read_choice(const Value& value, T& out, std::initializer_list<std::pair<std::string_view, T>> choices) {
  std::string names;
  for (const auto& [name, choice] : choices) {
    if (value.node.kind == Node::Kind::text && value.node.text == name) {
      out = choice;
      return;
    }
    names += (names.empty() ? "\"" : ", \"") + std::string{name} + '"';
  }
  value.fail("must be one of " + names);
}

}  // namespace sluice::sim
