// form.cpp: FormFields, on the reading of queries in http/target. Any one thread; no I/O.
#include <sluice/extra/form.hpp>

#include "base/assert.hpp"
#include "extra/media_type.hpp"
#include "http/fields.hpp"
#include "http/target.hpp"

namespace sluice {
namespace {

constexpr std::string_view form_type = "application/x-www-form-urlencoded";

bool escapes_are_well_formed(std::string_view text) noexcept {
  for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 3)) {
    if (text.size() - at < 3) return false;
    if (http::hex_value(text[at + 1]) < 0 || http::hex_value(text[at + 2]) < 0) return false;
  }
  return true;
}

bool is_utf_8(std::string_view charset) noexcept {
  return http::equal_ignoring_case(charset, "utf-8") || http::equal_ignoring_case(charset, "utf8");
}

}  // namespace

FormText::FormText(std::string_view raw) : raw_{raw} {
  if (raw.find_first_of("%+") == std::string_view::npos) return;
  std::string decoded;
  const bool whole = http::percent_decode(raw, decoded, true);
  SLUICE_ASSERT(whole);  // FormFields::read() has checked it
  owned_ = std::move(decoded);
}

std::expected<FormFields, Problem> FormFields::read(std::string_view text, std::size_t fields_max) {
  if (!escapes_are_well_formed(text)) {
    return std::unexpected(Problem{400, {}, "The form has a malformed percent-escape."});
  }
  std::size_t size = 0;
  http::QueryScan scan{text};
  while (scan.next()) {
    if (size == fields_max) return std::unexpected(Problem{413, {}, "The form has too many fields."});
    ++size;
  }
  return FormFields{text, size};
}

FormField FormFields::Iterator::operator*() const { return {FormText{name_}, FormText{value_}}; }

FormFields::Iterator& FormFields::Iterator::operator++() noexcept {
  while (rest_.starts_with('&')) rest_.remove_prefix(1);
  if (rest_.empty()) return *this = Iterator{};
  const std::string_view pair = rest_.substr(0, rest_.find('&'));
  rest_.remove_prefix(pair.size());
  name_ = pair.substr(0, pair.find('='));
  value_ = name_.size() == pair.size() ? std::string_view{} : pair.substr(name_.size() + 1);
  return *this;
}

bool FormFields::has(std::string_view name) const noexcept {
  http::QueryScan scan{text_};
  while (const auto pair = scan.next()) {
    if (http::matches(pair->name, name)) return true;
  }
  return false;
}

std::optional<FormText> FormFields::first(std::string_view name) const {
  http::QueryScan scan{text_};
  while (const auto pair = scan.next()) {
    if (http::matches(pair->name, name)) return FormText{pair->value};
  }
  return std::nullopt;
}

std::vector<FormText> FormFields::all(std::string_view name) const {
  std::vector<FormText> values;
  http::QueryScan scan{text_};
  while (const auto pair = scan.next()) {
    if (http::matches(pair->name, name)) values.push_back(FormText{pair->value});
  }
  return values;
}

std::expected<void, Problem> check_form_type(std::string_view content_type) {
  detail::ParameterScan scan{content_type};
  if (!http::equal_ignoring_case(scan.value(), form_type)) return std::unexpected(detail::wrong_type(form_type));
  while (const auto parameter = scan.next()) {
    if (!http::equal_ignoring_case(parameter->name, "charset")) continue;
    if (!is_utf_8(detail::unquote(*parameter))) {
      return std::unexpected(Problem{415, {}, "The form must be in UTF-8."});
    }
  }
  if (scan.malformed()) return std::unexpected(Problem{400, {}, "The Content-Type is malformed."});
  return {};
}

std::expected<FormFields, Problem> try_form(const Request& request, std::size_t fields_max) {
  const auto type = detail::one_content_type(request);
  if (!type) return std::unexpected(type.error());
  if (auto checked = check_form_type(*type); !checked) return std::unexpected(std::move(checked).error());
  return FormFields::read(request.body(), fields_max);
}

FormFields form(const Request& request, std::size_t fields_max) {
  auto fields = try_form(request, fields_max);
  if (!fields) throw std::move(fields).error();
  return *fields;
}

}  // namespace sluice
