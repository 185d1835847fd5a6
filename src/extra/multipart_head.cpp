// multipart_head.cpp: one pass over the lines, then one over the parameters of Content-Disposition.
#include "extra/multipart_head.hpp"

#include <utility>

#include "extra/media_type.hpp"
#include "http/fields.hpp"

namespace sluice::detail {
namespace {

constexpr auto none = std::string_view::npos;

/// The value of a name or filename. A backslash escapes a quote and itself; before anything else it is one: browsers
/// escape none, and some have sent whole Windows paths.
std::string read_name(const Parameter& parameter) {
  std::string text;
  text.reserve(parameter.value.size());
  const std::string_view raw = parameter.value;
  for (std::size_t at = 0; at < raw.size(); ++at) {
    const bool escape = parameter.quoted && raw[at] == '\\' && at + 1 < raw.size();
    if (escape && (raw[at + 1] == '"' || raw[at + 1] == '\\')) ++at;
    text.push_back(raw[at]);
  }
  return text;
}

std::expected<HeaderView, MultipartFault> read_field(std::string_view line) noexcept {
  if (line.front() == ' ' || line.front() == '\t') return std::unexpected(MultipartFault::folded);
  const std::size_t colon = line.find(':');
  if (colon == none) return std::unexpected(MultipartFault::field_form);
  const HeaderView field{line.substr(0, colon), http::trim_ows(line.substr(colon + 1))};
  if (!http::valid_field_name(field.name) || !http::valid_field_value(field.value)) {
    return std::unexpected(MultipartFault::field_form);
  }
  return field;
}

bool keeps_bytes(std::string_view encoding) noexcept {
  return http::equal_ignoring_case(encoding, "7bit") || http::equal_ignoring_case(encoding, "8bit") ||
         http::equal_ignoring_case(encoding, "binary");
}

/// Takes name and filename from a Content-Disposition.
MultipartFault read_disposition(std::string_view value, MultipartHead& head) {
  ParameterScan scan{value};
  if (!http::equal_ignoring_case(scan.value(), "form-data")) return MultipartFault::disposition_form;
  bool named = false;
  while (const auto parameter = scan.next()) {
    if (http::equal_ignoring_case(parameter->name, "name")) {
      if (named) return MultipartFault::duplicate;
      named = true;
      head.name = read_name(*parameter);
    } else if (http::equal_ignoring_case(parameter->name, "filename")) {
      if (head.filename) return MultipartFault::duplicate;
      head.filename = read_name(*parameter);
    }
  }
  if (scan.malformed()) return MultipartFault::disposition_form;
  return named ? MultipartFault::none : MultipartFault::no_name;
}

/// The fields that mean something; each may be there once.
struct Meaning {
  std::optional<std::string_view> disposition{};
  std::optional<std::string_view> type{};
  std::optional<std::string_view> encoding{};

  std::optional<std::string_view>* find(std::string_view name) noexcept {
    if (http::equal_ignoring_case(name, "content-disposition")) return &disposition;
    if (http::equal_ignoring_case(name, "content-type")) return &type;
    if (http::equal_ignoring_case(name, "content-transfer-encoding")) return &encoding;
    return nullptr;
  }
};

}  // namespace

std::expected<MultipartHead, MultipartFault> read_part_head(std::string_view block, const MultipartLimits& limits) {
  MultipartHead head;
  Meaning meaning;
  while (!block.empty()) {
    const std::size_t end = block.find("\r\n");
    const auto field = read_field(block.substr(0, end));
    if (!field) return std::unexpected(field.error());
    block.remove_prefix(end + 2);
    if (auto* const place = meaning.find(field->name)) {
      if (*place) return std::unexpected(MultipartFault::duplicate);
      *place = field->value;
    }
    head.fields.push_back(*field);
  }
  if (!meaning.disposition) return std::unexpected(MultipartFault::no_disposition);
  if (meaning.encoding && !keeps_bytes(*meaning.encoding)) return std::unexpected(MultipartFault::encoding);
  const MultipartFault fault = read_disposition(*meaning.disposition, head);
  if (fault != MultipartFault::none) return std::unexpected(fault);
  if (head.name.size() > limits.name_bytes_max) return std::unexpected(MultipartFault::name_bytes);
  if (head.filename && head.filename->size() > limits.filename_bytes_max) {
    return std::unexpected(MultipartFault::filename_bytes);
  }
  head.content_type = meaning.type.value_or(std::string_view{});
  return head;
}

Problem multipart_problem(MultipartFault fault) {
  const auto malformed = [](const char* detail) { return Problem{400, {}, detail}; };
  const auto too_large = [](const char* detail) { return Problem{413, {}, detail}; };
  switch (fault) {
    case MultipartFault::none: break;
    case MultipartFault::boundary_line: return malformed("A boundary of the form is malformed.");
    case MultipartFault::truncated: return malformed("The form ends before its last boundary.");
    case MultipartFault::bare_line_feed: return malformed("A line in a part's header does not end in CRLF.");
    case MultipartFault::folded: return malformed("A header field of a part is folded.");
    case MultipartFault::field_form: return malformed("A header field of a part is malformed.");
    case MultipartFault::no_disposition: return malformed("A part has no Content-Disposition.");
    case MultipartFault::duplicate: return malformed("A part's header says something twice.");
    case MultipartFault::disposition_form: return malformed("A part's Content-Disposition is malformed.");
    case MultipartFault::no_name: return malformed("A part has no name.");
    case MultipartFault::encoding: return malformed("A part has a Content-Transfer-Encoding.");
    case MultipartFault::too_many_parts: return too_large("The form has too many parts.");
    case MultipartFault::head_bytes: return too_large("A part's header is too large.");
    case MultipartFault::too_many_fields: return too_large("A part has too many header fields.");
    case MultipartFault::name_bytes: return too_large("A part's name is too long.");
    case MultipartFault::filename_bytes: return too_large("A part's file name is too long.");
    case MultipartFault::part_data_bytes: return too_large("A part is too large.");
    case MultipartFault::data_bytes: return too_large("The form is too large.");
    case MultipartFault::preamble_bytes: return too_large("There is too much before the form's first boundary.");
    case MultipartFault::epilogue_bytes: return too_large("There is too much behind the form's last boundary.");
  }
  return Problem{500};
}

}  // namespace sluice::detail
