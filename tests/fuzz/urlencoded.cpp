// urlencoded.cpp: any bytes as an urlencoded form. What is read must be what a slow, obvious decoder finds, every way
// to ask must give the same, and encoding the fields again must give them back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/extra/form.hpp>

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

void require(bool holds) {
  if (!holds) std::abort();
}

std::optional<std::string> decode(std::string_view text) {
  const auto digit = [](char c) {
    return std::string_view{"0123456789abcdef"}.find(c >= 'A' && c <= 'F' ? c + 32 : c);
  };
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '+') {
      out += ' ';
    } else if (text[at] != '%') {
      out += text[at];
    } else {
      if (at + 2 >= text.size()) return std::nullopt;
      const std::size_t high = digit(text[at + 1]);
      const std::size_t low = digit(text[at + 2]);
      if (high > 15 || low > 15) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      at += 2;
    }
  }
  return out;
}

std::optional<Pairs> read_slowly(std::string_view text) {
  Pairs pairs;
  std::string piece;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    if (at < text.size() && text[at] != '&') {
      piece += text[at];
      continue;
    }
    const std::string field = std::exchange(piece, {});
    if (field.empty()) continue;
    const std::size_t equals = std::min(field.find('='), field.size());
    auto name = decode(std::string_view{field}.substr(0, equals));
    auto value = decode(equals == field.size() ? std::string_view{} : std::string_view{field}.substr(equals + 1));
    if (!name || !value) return std::nullopt;
    pairs.emplace_back(*std::move(name), *std::move(value));
  }
  return pairs;
}

Pairs pairs_of(const sluice::FormFields& fields) {
  Pairs pairs;
  for (const sluice::FormField& field : fields) pairs.emplace_back(field.name.str(), field.value.str());
  return pairs;
}

std::string encode(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', digits[byte / 16], digits[byte % 16]};
  }
  return out;
}

}  // namespace

/// The first byte chooses the limit; the rest is the form.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char*>(bytes) + 1, size - 1};
  const std::size_t fields_max = bytes[0] < 128 ? 1'000'000 : bytes[0] - 128U;
  static_cast<void>(sluice::check_form_type(text));
  const auto fields = sluice::FormFields::read(text, fields_max);
  const auto expected = read_slowly(text);
  if (!fields) {
    require(fields.error().status() == (expected ? 413 : 400));
    require(!expected || expected->size() > fields_max);
    return 0;
  }
  require(expected.has_value() && pairs_of(*fields) == *expected && fields->size() == expected->size());

  std::string again;
  for (const auto& [name, value] : *expected) {
    again += encode(name) + '=' + encode(value) + '&';
    require(fields->has(name));
    const auto values = fields->all(name);
    require(!values.empty() && values.front() == *fields->first(name));
  }
  require(pairs_of(sluice::FormFields::read(again, fields_max).value()) == *expected);
  return 0;
}
