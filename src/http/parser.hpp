// parser.hpp: a complete head to a Head. Runs llhttp over it, then every rule that llhttp leaves out.
// In: the bytes a HeadGuard has accepted. Out: offsets, framing, keep-alive; or the status of the refusal.
// Loop thread, one per loop, reused for every request. It must never see a head that is incomplete or unguarded;
// parser.cpp is the only file that includes llhttp, llhttp_unit.c compiles it.
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string_view>

#include "http/head.hpp"
#include "http/head_guard.hpp"
#include "http/head_rules.hpp"

namespace sluice::http {

/// A parser of request heads.
class HeadParser {
 public:
  HeadParser() noexcept;
  HeadParser(const HeadParser&) = delete;
  HeadParser& operator=(const HeadParser&) = delete;

  /// Fills `out` from the guard's complete head; on a refusal `out` means nothing.
  ///   `out` is the one that the guard has noted the fields in.
  ///   `head` starts where the guard's bytes started and is guard.head_size() long. A few bytes of it may be
  ///   rewritten in place without changing its meaning: HTAB at the end of a value becomes SP, and the minor version
  ///   of HTTP/1.2 to 1.9 becomes 1 (out.version_minor keeps the real one).
  ///   Errors: every refusal ends the connection. Statuses: 400, 413, 417, 501.
  ///   Cost:   no allocation.
  [[nodiscard]] std::expected<void, Reject> parse(std::span<char> head, const HeadGuard& guard, Head& out) noexcept;

 private:
  using Verdict = std::expected<void, Reject>;
  /// What a target in absolute-form names; else empty.
  struct Named {
    std::string_view authority{}, default_port{};
  };
  Verdict read_fields(std::span<char> head, const HeadGuard& guard, const Named& named, Head& out) noexcept;
  Verdict read_fields_behind(std::span<char> head, const HeadGuard& guard, const Named& named, Head& out) noexcept;

  // llhttp_t lives here, so that its header stays out of ours; parser.cpp asserts that it fits.
  alignas(8) std::byte llhttp_[128];
};

/// Whether the llhttp that was linked is strict: a loose one takes "X : y". The server refuses to start without.
bool parser_self_test() noexcept;

/// The version of the llhttp that was compiled in, for example "8.1.0".
const char* parser_version() noexcept;

}  // namespace sluice::http
