// json_text.cpp: JSON string escapes and the UTF-8 check behind them. Any thread; pure.
// The check is written out here because nothing we depend on replaces bad sequences: simdjson only refuses them.
#include "server/json_text.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::detail {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

/// What a first byte of UTF-8 promises, and the second byte it asks for. Source: Unicode 15, table 3-7.
struct Lead {
  std::uint8_t length = 0;  // of the whole sequence; 0: no sequence begins so
  std::uint8_t second_min = 0x80;
  std::uint8_t second_max = 0xBF;
};

constexpr Lead lead_of(unsigned char byte) noexcept {
  if (byte < 0x80) return {1};
  if (byte < 0xC2) return {};  // a continuation, or an overlong form
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};  // shorter ones are overlong
  if (byte == 0xED) return {3, 0x80, 0x9F};  // the others are surrogates
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};  // shorter ones are overlong
  if (byte < 0xF4) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};  // the others are above U+10FFFF
  return {};
}

/// A sequence at the front of some text: how many bytes belong together, and whether they are well-formed.
struct Sequence {
  std::size_t size = 1;
  bool valid = false;
};

Sequence first_sequence(std::string_view text) noexcept {
  const Lead lead = lead_of(static_cast<unsigned char>(text[0]));
  if (lead.length == 0) return {1, false};
  for (std::size_t i = 1; i < lead.length; ++i) {
    if (i == text.size()) return {i, false};
    const auto byte = static_cast<unsigned char>(text[i]);
    const unsigned low = i == 1 ? lead.second_min : 0x80U;
    const unsigned high = i == 1 ? lead.second_max : 0xBFU;
    if (byte < low || byte > high) return {i, false};
  }
  return {lead.length, true};
}

/// Bytes that stand for themselves: ASCII but the controls, '"' and '\'.
constexpr auto plain_bytes = [] {
  std::array<bool, 256> table{};
  for (std::size_t byte = 0x20; byte < 0x80; ++byte) table[byte] = byte != '"' && byte != '\\';
  return table;
}();

void append_escape(std::string& out, char byte) {
  constexpr std::string_view digits = "0123456789abcdef";
  switch (byte) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  const auto code = static_cast<unsigned char>(byte);
  out += "\\u00";
  out += digits[code >> 4U];
  out += digits[code & 0xFU];
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t copied = 0;  // bytes of `text` already in `out`
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (plain_bytes[byte]) {
      ++at;
      continue;
    }
    const Sequence sequence = first_sequence(text.substr(at));
    if (byte >= 0x80 && sequence.valid) {
      at += sequence.size;
      continue;
    }
    out += text.substr(copied, at - copied);
    if (byte < 0x80) append_escape(out, text[at]);
    else out += replacement;
    at += sequence.size;
    copied = at;
  }
  out += text.substr(copied);
  out += '"';
}

}  // namespace sluice::detail
