// compression_rules.cpp: one pass over the lines of an answer's head for each question. Any thread.
#include "extra/compression_rules.hpp"

#include <algorithm>
#include <utility>

#include <sluice/extra/negotiate.hpp>

#include "http/fields.hpp"
#include "server/response_access.hpp"

namespace sluice {

namespace {

using http::equal_ignoring_case;

constexpr std::string_view identity = "identity";

/// Takes the first field off lines that a Response has written: "Name: value\r\n".
HeaderView take_field(std::string_view& lines) noexcept {
  const std::size_t colon = lines.find(':');
  const std::size_t end = lines.find("\r\n", colon);
  const HeaderView field{lines.substr(0, colon), lines.substr(colon + 2, end - colon - 2)};
  lines.remove_prefix(end + 2);
  return field;
}

bool list_has(std::string_view list, std::string_view wanted) noexcept {
  while (!list.empty()) {
    if (equal_ignoring_case(http::take_list_element(list), wanted)) return true;
  }
  return false;
}

/// Whether this field forbids to change the bytes, or would be wrong then.
bool forbids(const HeaderView& field) noexcept {
  constexpr std::string_view telling[] = {"Content-Encoding", "Content-Digest", "Content-Range",
                                          "Repr-Digest",      "Content-MD5",    "Digest"};
  if (equal_ignoring_case(field.name, "Cache-Control")) return list_has(field.value, "no-transform");
  return std::ranges::any_of(telling, [&](std::string_view name) { return equal_ignoring_case(field.name, name); });
}

bool has_body_of_its_own(int status) noexcept {
  return status != 204 && status != 205 && status != 206 && status != 304;
}

std::string_view without_parameters(std::string_view media_type) noexcept {
  return http::trim_ows(media_type.substr(0, media_type.find(';')));
}

bool ends_with_ignoring_case(std::string_view text, std::string_view end) noexcept {
  return text.size() > end.size() && equal_ignoring_case(text.substr(text.size() - end.size()), end);
}

}  // namespace

bool is_compressible(std::string_view media_type) noexcept {
  constexpr std::string_view suffixes[] = {"+json", "+xml", "+text", "+yaml"};
  constexpr std::string_view types[] = {
      "application/ecmascript",
      "application/javascript",
      "application/json",
      "application/json-seq",
      "application/postscript",
      "application/rtf",
      "application/sql",
      "application/toml",
      "application/vnd.ms-fontobject",
      "application/wasm",
      "application/x-javascript",
      "application/x-ndjson",
      "application/x-www-form-urlencoded",
      "application/xml",
      "application/xml-dtd",
      "application/yaml",
      "font/otf",
      "font/ttf",
      "image/bmp",
      "image/vnd.microsoft.icon",
      "image/x-icon",
  };
  const std::string_view type = without_parameters(media_type);
  if (equal_ignoring_case(type.substr(0, 5), "text/")) return type.size() > 5;
  return std::ranges::any_of(types, [&](std::string_view one) { return equal_ignoring_case(type, one); }) ||
         std::ranges::any_of(suffixes, [&](std::string_view one) { return ends_with_ignoring_case(type, one); });
}

namespace detail {

CompressionRules::CompressionRules(CompressionOptions options) : options_{std::move(options)} {
  for (const ContentCoding coding : options_.codings) {
    const std::string_view name = to_string(coding);
    const bool known = std::ranges::find(offered_, name) != offered_.end();
    if (known || !coding_available(coding)) continue;
    codings_[offered_count_] = coding;
    offered_[offered_count_++] = name;
  }
  offered_[offered_count_++] = identity;
}

bool CompressionRules::suits(const Response& answer) const noexcept {
  if (!has_body_of_its_own(answer.status())) return false;
  if (!suits_type(answer.find_header("Content-Type").value_or(std::string_view{}))) return false;
  for (std::string_view lines = ResponseAccess::fields(answer); !lines.empty();) {
    if (forbids(take_field(lines))) return false;
  }
  return true;
}

bool CompressionRules::suits_type(std::string_view content_type) const noexcept {
  if (is_compressible(content_type)) return true;
  const std::string_view type = without_parameters(content_type);
  return std::ranges::any_of(options_.more_types,
                             [&](const std::string& one) { return equal_ignoring_case(type, one); });
}

std::optional<ContentCoding> CompressionRules::choose(const Request& request) const noexcept {
  const std::optional<std::size_t> best = negotiate_encoding(request, {offered_.data(), offered_count_});
  if (!best || *best + 1 == offered_count_) return std::nullopt;
  return codings_[*best];
}

void say_that_it_varies(Response& answer) {
  for (std::string_view lines = ResponseAccess::fields(answer); !lines.empty();) {
    const HeaderView field = take_field(lines);
    if (!equal_ignoring_case(field.name, "Vary")) continue;
    if (list_has(field.value, "Accept-Encoding") || list_has(field.value, "*")) return;
  }
  answer.header("Vary", "Accept-Encoding");
}

void say_coding(Response& answer, ContentCoding coding) {
  answer.header("Content-Encoding", to_string(coding));
  const std::string_view all = ResponseAccess::fields(answer);
  for (std::string_view lines = all; !lines.empty();) {
    const HeaderView field = take_field(lines);
    if (!equal_ignoring_case(field.name, "ETag") || !field.value.starts_with('"')) continue;
    ResponseAccess::insert(answer, static_cast<std::size_t>(field.value.data() - all.data()), "W/");
    return;
  }
}

}  // namespace detail
}  // namespace sluice
