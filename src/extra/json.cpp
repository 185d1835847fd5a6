// json.cpp: JsonWriter. Every call first checks that it fits, then writes. Any one thread; no I/O.
#include <sluice/extra/json.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "server/json_text.hpp"

namespace sluice {
namespace {

/// A number's shortest text; to_chars takes no more than 24 characters for any type used here.
struct NumberText {
  std::array<char, 32> bytes;
  std::size_t size;
  std::string_view view() const noexcept { return {bytes.data(), size}; }
};

template <class T>
NumberText number_text(T number) noexcept {
  NumberText text;
  char* const begin = text.bytes.data();
  char* const end = begin + text.bytes.size();
  std::to_chars_result result{};
  if constexpr (std::floating_point<T>) {
    // Without an exponent a reader would take a large number for an integer, and refuse it above 64 bits.
    constexpr T exact_max = 9'007'199'254'740'992;  // 2^53
    const bool large = number >= exact_max || number <= -exact_max;
    result =
        large ? std::to_chars(begin, end, number, std::chars_format::scientific) : std::to_chars(begin, end, number);
  } else {
    result = std::to_chars(begin, end, number);
  }
  text.size = static_cast<std::size_t>(result.ptr - begin);
  return text;
}

}  // namespace

void JsonWriter::before_value() {
  if (in_object()) {
    if (!after_key_) throw std::logic_error{"JsonWriter: a value inside an object needs a key first."};
    after_key_ = false;
    return;
  }
  if (written_ && depth_ == 0) throw std::logic_error{"JsonWriter: the document is complete; one writer writes one."};
  if (written_) *out_ += ',';
}

JsonWriter& JsonWriter::append_value(std::string_view json) {
  before_value();
  *out_ += json;
  written_ = true;
  return *this;
}

JsonWriter& JsonWriter::begin(char bracket, bool object) {
  if (depth_ == depth_max) throw std::logic_error{"JsonWriter: nested deeper than JsonWriter::depth_max."};
  append_value({&bracket, 1});
  const std::uint64_t bit = std::uint64_t{1} << depth_;
  objects_ = object ? objects_ | bit : objects_ & ~bit;
  ++depth_;
  written_ = false;
  return *this;
}

JsonWriter& JsonWriter::end(char bracket, bool object) {
  if (depth_ == 0) throw std::logic_error{"JsonWriter: an end without a begin."};
  if (in_object() != object) throw std::logic_error{"JsonWriter: end_object() and end_array() must match their begin."};
  if (after_key_) throw std::logic_error{"JsonWriter: the last key has no value."};
  *out_ += bracket;
  --depth_;
  written_ = true;
  return *this;
}

JsonWriter& JsonWriter::begin_object() { return begin('{', true); }
JsonWriter& JsonWriter::end_object() { return end('}', true); }
JsonWriter& JsonWriter::begin_array() { return begin('[', false); }
JsonWriter& JsonWriter::end_array() { return end(']', false); }

JsonWriter& JsonWriter::key(std::string_view name) {
  if (!in_object()) throw std::logic_error{"JsonWriter: a key outside of an object."};
  if (after_key_) throw std::logic_error{"JsonWriter: two keys in a row."};
  if (written_) *out_ += ',';
  detail::append_json_string(*out_, name);
  *out_ += ':';
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::string(std::string_view text) {
  before_value();
  detail::append_json_string(*out_, text);
  written_ = true;
  return *this;
}

JsonWriter& JsonWriter::boolean(bool flag) { return append_value(flag ? "true" : "false"); }
JsonWriter& JsonWriter::integer(std::int64_t number) { return append_value(number_text(number).view()); }
JsonWriter& JsonWriter::unsigned_integer(std::uint64_t number) { return append_value(number_text(number).view()); }

JsonWriter& JsonWriter::value(float number) {
  return std::isfinite(number) ? append_value(number_text(number).view()) : null();
}

JsonWriter& JsonWriter::value(double number) {
  return std::isfinite(number) ? append_value(number_text(number).view()) : null();
}

JsonWriter& JsonWriter::null() { return append_value("null"); }

JsonWriter& JsonWriter::raw(std::string_view json) {
  if (json.empty()) throw std::logic_error{"JsonWriter: raw() needs one value, not nothing."};
  return append_value(json);
}

std::string JsonWriter::take() && {
  if (out_ != &own_) throw std::logic_error{"JsonWriter: the text is in the string given to the writer."};
  if (!complete()) throw std::logic_error{"JsonWriter: the document is not complete."};
  written_ = false;
  return std::exchange(own_, {});
}

}  // namespace sluice
