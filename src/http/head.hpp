// head.hpp: a request's head after parsing: offsets into its bytes, never pointers, so that the bytes may move.
// Loop thread while it is filled; read by anyone who holds the exchange. Owns nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include <sluice/message.hpp>

#include "http/fields.hpp"

namespace sluice::http {

inline constexpr std::uint32_t head_fields_capacity = 128;
inline constexpr std::uint32_t head_bytes_capacity = 65'535;

/// A stretch of the head's bytes. Without initialisers on purpose: a Head's 128 fields must cost nothing until used.
struct Slice {
  std::uint16_t offset;
  std::uint16_t size;
  std::string_view in(const char* base) const noexcept { return {base + offset, size}; }
};

struct Field {
  Slice name;
  Slice value;  // OWS trimmed
  Known known;
};

/// How the body is delimited. `none` is also what Content-Length: 0 becomes. Source: RFC 9112 6.3.
enum class Framing : std::uint8_t { none, length, chunked };

/// What head_guard and parser agreed on. Everything here has passed every framing, Host and target rule.
struct Head {
  Method method = Method::get;
  std::uint8_t version_minor = 1;
  Framing framing = Framing::none;
  bool close = false;  // the connection ends after this request (Connection: close, or 1.0 without keep-alive)
  bool keep_alive_1_0 = false;  // HTTP/1.0 that asked for keep-alive: the answer must say so
  bool expect_continue = false;  // Expect: 100-continue, in HTTP/1.1 and with a body to come
  std::uint16_t field_count = 0;
  std::uint64_t content_length = 0;  // above 0 if framing is `length`, else 0; at most 2^63 - 1
  Slice target{};  // as received
  Slice path{};  // raw, before '?'; empty for "*" and for an absolute-form target without a path (then it means "/")
  Slice query{};  // raw, after '?'
  Slice host{};  // effective authority, port included; empty only in HTTP/1.0
  std::array<std::uint8_t, known_count> first{};  // 1 + index of the first field of that Known, 0 if there is none
  std::array<Field, head_fields_capacity> fields;  // only the first field_count are set

  /// Leaves `fields` as it is, also in `Head{}`: clearing 1.3 KB would cost more than parsing a small head.
  Head() noexcept {}  // NOLINT(modernize-use-equals-default): `= default` would make Head{} clear everything

  /// Takes over everything that is set in `other`, and no more of its fields than it has.
  void copy(const Head& other) noexcept {
    std::memcpy(static_cast<void*>(this), static_cast<const void*>(&other),
                offsetof(Head, fields) + other.field_count * sizeof(Field));
  }

  /// The first field of that identity, or null.
  const Field* find(Known known) const noexcept {
    const std::uint8_t place = first[static_cast<std::size_t>(known)];
    return place == 0 ? nullptr : &fields[place - 1U];
  }
};

static_assert(std::is_standard_layout_v<Head> && std::is_trivially_copyable_v<Head>, "copied up to its last field");

/// Why a message is refused: the status for the client, the reason for the log hook.
struct Reject {
  std::uint16_t status = 400;
  const char* reason = "";
};

}  // namespace sluice::http
