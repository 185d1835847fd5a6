// fields.cpp: one table of known names, found by length, first and last byte; compared eight bytes at a time.
#include "http/fields.hpp"

#include <cstring>

namespace sluice::http {
namespace {

// In the order of Known.
constexpr std::string_view names[known_count] = {
    "",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "baggage",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-event-id",
    "origin",
    "prefer",
    "range",
    "referer",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
};

constexpr std::size_t slot_count = 512;

/// Where the search for a hash without collisions ends.
struct Mix {
  unsigned first, last;  // shifts
};

/// Letters count without their case.
constexpr std::size_t slot_of(std::string_view name, Mix mix) noexcept {
  const unsigned first = static_cast<unsigned char>(name.front()) & 0x1fu;
  const unsigned last = static_cast<unsigned char>(name.back()) & 0x1fu;
  return (name.size() + (first << mix.first) + (last << mix.last)) % slot_count;
}

consteval bool collides(Mix mix) {
  std::array<bool, slot_count> taken{};
  for (std::size_t i = 1; i < known_count; ++i) {
    bool& slot = taken[slot_of(names[i], mix)];
    if (slot) return true;
    slot = true;
  }
  return false;
}

consteval Mix find_mix() {
  for (unsigned first = 0; first < 8; ++first) {
    for (unsigned last = 0; last < 8; ++last) {
      if (!collides({first, last})) return {first, last};
    }
  }
  throw "nothing keeps all names apart: use more slots";
}
constexpr Mix mix = find_mix();

consteval std::array<std::uint8_t, slot_count> make_slots() {
  std::array<std::uint8_t, slot_count> slots{};
  for (std::size_t i = 1; i < known_count; ++i) slots[slot_of(names[i], mix)] = static_cast<std::uint8_t>(i);
  return slots;
}
constexpr std::array<std::uint8_t, slot_count> slots = make_slots();

std::uint64_t load(const char* from) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, from, sizeof word);
  return word;
}

/// Four to seven bytes as one word, those in the middle twice.
std::uint64_t load_short(const char* from, std::size_t size) noexcept {
  std::uint32_t first = 0, last = 0;
  std::memcpy(&first, from, sizeof first);
  std::memcpy(&last, from + size - sizeof last, sizeof last);
  return first | std::uint64_t{last} << 32;
}

/// Whether eight bytes of a name equal those of a known one. Only letters are folded: a known letter has 0x40 set and
/// gives the mask 0x20, '-' and the padding give 0, so that CR never passes for '-'.
bool equal_word(std::uint64_t received, std::uint64_t known) noexcept {
  const std::uint64_t letters = (known >> 1) & 0x2020202020202020u;
  return (received | letters) == known;
}

bool equal_known(std::string_view name, std::string_view known) noexcept {
  const std::size_t size = name.size();
  if (size != known.size()) return false;
  if (size < 8 && size >= 4) return equal_word(load_short(name.data(), size), load_short(known.data(), size));
  if (size < 4) {
    std::uint64_t received = 0;
    std::uint64_t wanted = 0;
    for (std::size_t i = 0; i < size; ++i) {
      received = received << 8 | static_cast<unsigned char>(name[i]);
      wanted = wanted << 8 | static_cast<unsigned char>(known[i]);
    }
    return equal_word(received, wanted);
  }
  for (std::size_t i = 0; i + 8 < size; i += 8) {
    if (!equal_word(load(&name[i]), load(&known[i]))) return false;
  }
  return equal_word(load(&name[size - 8]), load(&known[size - 8]));
}

constexpr unsigned char fold(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 'A' && byte <= 'Z' ? static_cast<unsigned char>(byte + 32) : byte;
}

}  // namespace

Known recognise(std::string_view name) noexcept {
  if (name.empty()) return Known::other;
  const std::size_t index = slots[slot_of(name, mix)];
  if (!equal_known(name, names[index])) return Known::other;
  return static_cast<Known>(index);
}

bool equal_to_word(std::string_view text, std::string_view lower_case) noexcept {
  return equal_known(text, lower_case);
}

std::string_view to_string(Known known) noexcept { return names[static_cast<std::size_t>(known)]; }

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (fold(a[i]) != fold(b[i])) return false;
  }
  return true;
}

bool valid_field_name(std::string_view name) noexcept {
  for (const char c : name) {
    if (!is_token_char(c)) return false;
  }
  return !name.empty();
}

bool valid_field_value(std::string_view value) noexcept {
  for (const char c : value) {
    if (!is_value_char(c)) return false;
  }
  return true;
}

}  // namespace sluice::http
