// json.hpp: a small JSON writer. Values in, one JSON document appended to a string. Any one thread; no I/O.
// What it lets through is always valid JSON, except what raw() is given.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

namespace detail {
template <class T>
concept JsonInteger =
    std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
    !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t> && sizeof(T) <= 8;
template <class T>
concept JsonText = std::convertible_to<const T&, std::string_view> && !std::same_as<T, std::nullptr_t>;
}  // namespace detail

/// Writes one JSON document, from front to back.
///
///   sluice::JsonWriter out;
///   out.begin_object();
///   out.member("id", 7).member("name", "Ada").key("tags").begin_array().value("a").value("b").end_array();
///   out.end_object();
///   return sluice::json(std::move(out).take());   // {"id":7,"name":"Ada","tags":["a","b"]}
///
///   Text:     UTF-8; each malformed sequence becomes one U+FFFD. Keys are not checked for duplicates.
///   Errors:   std::logic_error for a call that does not fit here (a value without a key, a second document,
///             begin and end that do not match, deeper than depth_max); nothing is written then.
///   Cost:     none beyond the string's growth.
///   Source:   RFC 8259.
class JsonWriter {
 public:
  /// Levels of arrays and objects, so that every reader can follow.
  static constexpr std::size_t depth_max = 64;

  /// Writes to a string of its own; take() hands it out.
  JsonWriter() noexcept : out_{&own_} {}
  /// Appends to `out`, whatever is there already.
  ///   Lifetime: `out` must outlive the writer.
  explicit JsonWriter(std::string& out) noexcept : out_{&out} {}
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  /// The name of the object's next value.
  JsonWriter& key(std::string_view name);

  template <detail::JsonText T>
  JsonWriter& value(const T& text) {
    return string(std::string_view{text});
  }
  template <std::same_as<bool> T>  // a template, so that no pointer turns into a bool
  JsonWriter& value(T flag) {
    return boolean(flag);
  }
  template <detail::JsonInteger T>
  JsonWriter& value(T number) {
    if constexpr (std::signed_integral<T>) return integer(static_cast<std::int64_t>(number));
    else return unsigned_integer(static_cast<std::uint64_t>(number));
  }
  /// The shortest digits that read back as the same number; null for NaN and the infinities, which JSON has not.
  JsonWriter& value(float number);
  JsonWriter& value(double number);
  JsonWriter& value(std::nullptr_t) { return null(); }
  /// The value, or null.
  template <class T>
  JsonWriter& value(const std::optional<T>& maybe) {
    return maybe ? value(*maybe) : null();
  }
  JsonWriter& null();
  /// One value, already JSON; written as it is and not checked.
  JsonWriter& raw(std::string_view json);

  /// key(name) and value(what) in one.
  template <class T>
  JsonWriter& member(std::string_view name, const T& what) {
    return key(name).value(what);
  }

  /// Whether exactly one whole document has been written.
  bool complete() const noexcept { return depth_ == 0 && written_; }
  /// Hands out the document; the writer may then be used for another.
  ///   Errors: std::logic_error if it is not complete, or if the text went to a string of the caller's.
  std::string take() &&;

 private:
  JsonWriter& string(std::string_view text);
  JsonWriter& boolean(bool flag);
  JsonWriter& integer(std::int64_t number);
  JsonWriter& unsigned_integer(std::uint64_t number);
  JsonWriter& append_value(std::string_view json);
  JsonWriter& begin(char bracket, bool object);
  JsonWriter& end(char bracket, bool object);
  void before_value();
  bool in_object() const noexcept { return depth_ > 0 && (objects_ >> (depth_ - 1) & 1U) != 0; }

  std::string own_{};
  std::string* out_;            // own_, or the caller's
  std::uint64_t objects_ = 0;   // bit n: level n + 1 is an object
  std::uint8_t depth_ = 0;
  bool after_key_ = false;      // a key waits for its value
  bool written_ = false;        // this level has an element
};

}  // namespace sluice
