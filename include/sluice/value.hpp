// value.hpp: text to typed value, as path and query parameters need it. Strict: the whole text or nothing.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace sluice {

/// The types a parameter can be read as.
template <class T>
concept Value = std::same_as<T, std::remove_cv_t<T>> &&
                (std::same_as<T, std::string> || std::floating_point<T> ||
                 (std::integral<T> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
                  !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>));

/// The whole of `text` as T, or nothing. bool: "true", "false", "1", "0". No leading '+', no white space.
template <Value T>
std::optional<T> parse_value(std::string_view text) {
  if constexpr (std::same_as<T, std::string>) {
    return std::string{text};
  } else if constexpr (std::same_as<T, bool>) {
    if (text == "true" || text == "1") return true;
    if (text == "false" || text == "0") return false;
    return std::nullopt;
  } else {
    T value{};
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end) return std::nullopt;
    if constexpr (std::floating_point<T>) {
      if (!(value - value == 0)) return std::nullopt;  // no infinities, no NaN
    }
    return value;
  }
}

/// How T is called in a message to the client.
template <Value T>
constexpr std::string_view value_name() {
  if constexpr (std::same_as<T, std::string>) return "text";
  else if constexpr (std::same_as<T, bool>) return "true or false";
  else if constexpr (std::floating_point<T>) return "a number";
  else if constexpr (std::unsigned_integral<T>) return "a whole number from 0";
  else return "a whole number";
}

}  // namespace sluice
