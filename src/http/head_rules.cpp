// head_rules.cpp: one function per subject, applied in the order in which a refusal matters most: framing first.
#include "http/head_rules.hpp"

#include <limits>
#include <string_view>

namespace sluice::http {
namespace {

using Verdict = std::expected<void, Reject>;

Verdict refuse(std::uint16_t status, const char* reason) noexcept { return std::unexpected(Reject{status, reason}); }

bool repeated(const RuleInput& input, Known known) noexcept {
  return (input.repeated >> static_cast<unsigned>(known) & 1) != 0;
}

/// Gives `visit` every element of every field of that name, until it returns false.
template <class Visit>
bool all_elements(const RuleInput& input, const Head& head, Known known, Visit&& visit) noexcept {
  for (std::uint16_t i = static_cast<std::uint16_t>(head.find(known) - head.fields.data()); i < head.field_count; ++i) {
    if (head.fields[i].known != known) continue;
    std::string_view list = head.fields[i].value.in(input.head.data());
    while (!list.empty()) {
      const std::string_view element = take_list_element(list);
      if (!element.empty() && !visit(element)) return false;
    }
    if (!repeated(input, known)) break;
  }
  return true;
}

/// A coding that ends in chunked can be delimited but not understood (501); any other can't even be delimited (400).
std::uint16_t status_of_codings(std::string_view value) noexcept {
  bool chunked = false;
  while (!value.empty()) {
    if (chunked) return 400;  // chunked is not the last one, or is there twice
    chunked = equal_ignoring_case(take_list_element(value), "chunked");
  }
  return chunked ? 501 : 400;
}

Verdict read_transfer_encoding(const RuleInput& input, Head& head, const Field& field) noexcept {
  if (head.version_minor == 0) return refuse(400, "Transfer-Encoding in HTTP/1.0");
  if (repeated(input, Known::transfer_encoding)) return refuse(400, "Transfer-Encoding more than once");
  if (head.find(Known::content_length) != nullptr) return refuse(400, "Transfer-Encoding and Content-Length");
  const std::string_view value = field.value.in(input.head.data());
  if (!equal_ignoring_case(value, "chunked"))
    return refuse(status_of_codings(value), "Transfer-Encoding is not chunked");
  head.framing = Framing::chunked;
  return {};
}

Verdict read_content_length(const RuleInput& input, Head& head, const Field& field) noexcept {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  if (repeated(input, Known::content_length)) return refuse(400, "Content-Length more than once");
  const std::string_view value = field.value.in(input.head.data());
  if (value.empty()) return refuse(400, "Content-Length empty");
  std::uint64_t length = 0;
  bool too_large = false;
  for (const char c : value) {
    if (!is_digit(c)) return refuse(400, "Content-Length is not a number");
    const auto digit = static_cast<std::uint64_t>(c - '0');
    too_large = too_large || length > (most - digit) / 10;
    if (!too_large) length = length * 10 + digit;
  }
  if (too_large) return refuse(413, "Content-Length above 2^63 - 1");
  head.content_length = length;
  head.framing = length > 0 ? Framing::length : Framing::none;
  return {};
}

Verdict decide_framing(const RuleInput& input, Head& head) noexcept {
  if (const Field* const field = head.find(Known::transfer_encoding))
    return read_transfer_encoding(input, head, *field);
  if (const Field* const field = head.find(Known::content_length)) return read_content_length(input, head, *field);
  return {};
}

bool same_authority(const Authority& a, const Authority& b, std::string_view default_port) noexcept {
  const auto port_of = [default_port](const Authority& authority) {
    return authority.port.empty() ? default_port : authority.port;
  };
  return equal_ignoring_case(a.host, b.host) && port_of(a) == port_of(b);
}

Slice slice_of(std::string_view part, const char* base) noexcept {
  return {static_cast<std::uint16_t>(part.data() - base), static_cast<std::uint16_t>(part.size())};
}

Verdict decide_host(const RuleInput& input, Head& head) noexcept {
  const Field* const field = head.find(Known::host);
  const std::string_view named = input.authority;
  if (!named.empty()) head.host = slice_of(named, input.head.data());
  if (field == nullptr) return head.version_minor == 0 ? Verdict{} : refuse(400, "Host missing");
  if (repeated(input, Known::host)) return refuse(400, "Host more than once");
  const std::string_view value = field->value.in(input.head.data());
  if (named.empty()) {
    head.host = field->value;
    if (is_usual_host(value, input.head)) return {};
  }
  const auto authority = read_authority(value);
  if (!authority) return refuse(400, "Host malformed");
  if (named.empty()) return {};
  // The target would win (RFC 9112 3.2.2); whoever sends two different hosts wants one of the readers to be wrong.
  const auto other = read_authority(named);
  if (!other || !same_authority(*other, *authority, input.default_port)) {
    return refuse(400, "Host differs from the target's");
  }
  return {};
}

void decide_keep_alive(const RuleInput& input, Head& head) noexcept {
  bool close = false;
  bool keep_alive = false;
  const Field* const field = head.find(Known::connection);
  if (field != nullptr && !repeated(input, Known::connection) &&
      equal_to_word(field->value.in(input.head.data()), "keep-alive")) {
    keep_alive = true;  // what most say
  } else if (field != nullptr) {
    all_elements(input, head, Known::connection, [&](std::string_view option) {
      close = close || equal_ignoring_case(option, "close");
      keep_alive = keep_alive || equal_ignoring_case(option, "keep-alive");
      return true;
    });
  }
  head.close = close || (head.version_minor == 0 && !keep_alive);
  head.keep_alive_1_0 = head.version_minor == 0 && !head.close;
}

Verdict decide_expect(const RuleInput& input, Head& head) noexcept {
  if (head.version_minor == 0 || head.find(Known::expect) == nullptr) return {};
  bool any = false;
  const bool known = all_elements(input, head, Known::expect, [&](std::string_view expectation) {
    any = true;
    return equal_ignoring_case(expectation, "100-continue");
  });
  if (!known || !any) return refuse(417, "expectation is not 100-continue");
  head.expect_continue = head.framing != Framing::none;
  return {};
}

}  // namespace

std::expected<void, Reject> apply_head_rules(const RuleInput& input, Head& head) noexcept {
  head.framing = Framing::none;
  head.content_length = 0;
  head.expect_continue = false;
  head.host = {0, 0};
  if (auto verdict = decide_framing(input, head); !verdict) return verdict;
  if (auto verdict = decide_host(input, head); !verdict) return verdict;
  decide_keep_alive(input, head);
  return decide_expect(input, head);
}

}  // namespace sluice::http
