// media_type.cpp: one pass from front to back; a quoted string ends at the first quote without a backslash.
#include "extra/media_type.hpp"

#include "http/fields.hpp"

namespace sluice::detail {
namespace {

constexpr auto none = std::string_view::npos;

/// Where the quoted string that begins at 0 ends (behind its quote); npos if it does not or holds a control byte.
std::size_t quoted_size(std::string_view text) noexcept {
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') ++at;
    if (at == text.size() || !http::is_value_char(text[at])) return none;
  }
  return none;
}

std::size_t token_size(std::string_view text) noexcept {
  std::size_t size = 0;
  while (size < text.size() && http::is_token_char(text[size])) ++size;
  return size;
}

std::string_view skip_blanks(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

}  // namespace

ParameterScan::ParameterScan(std::string_view field) noexcept {
  const std::size_t semicolon = field.find(';');
  value_ = http::trim_ows(field.substr(0, semicolon));
  if (semicolon != none) rest_ = field.substr(semicolon);
}

std::optional<Parameter> ParameterScan::give_up() noexcept {
  malformed_ = true;
  rest_ = {};
  return std::nullopt;
}

std::optional<Parameter> ParameterScan::next() noexcept {
  while (rest_.starts_with(';')) rest_ = skip_blanks(rest_.substr(1));
  if (rest_.empty()) return std::nullopt;
  Parameter parameter;
  parameter.name = rest_.substr(0, token_size(rest_));
  rest_.remove_prefix(parameter.name.size());
  if (parameter.name.empty() || !rest_.starts_with('=')) return give_up();
  rest_.remove_prefix(1);
  if (rest_.starts_with('"')) {
    const std::size_t size = quoted_size(rest_);
    if (size == none) return give_up();
    parameter.value = rest_.substr(1, size - 2);
    parameter.quoted = true;
    rest_.remove_prefix(size);
  } else {
    parameter.value = rest_.substr(0, token_size(rest_));
    if (parameter.value.empty()) return give_up();
    rest_.remove_prefix(parameter.value.size());
  }
  rest_ = skip_blanks(rest_);
  if (!rest_.empty() && rest_.front() != ';') return give_up();
  return parameter;
}

std::string unquote(const Parameter& parameter) {
  std::string text;
  text.reserve(parameter.value.size());
  for (std::size_t at = 0; at < parameter.value.size(); ++at) {
    if (parameter.quoted && parameter.value[at] == '\\') ++at;  // never the last: that would have hidden the quote
    text.push_back(parameter.value[at]);
  }
  return text;
}

std::expected<std::string_view, Problem> one_content_type(const Request& request) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < request.header_count(); ++i) {
    if (http::equal_ignoring_case(request.header_at(i).name, "content-type")) ++count;
  }
  if (count > 1) return std::unexpected(Problem{400, {}, "There is more than one Content-Type."});
  return request.header("content-type");
}

Problem wrong_type(std::string_view wanted) {
  std::string detail{"The body must be "};
  detail += wanted;
  detail += '.';
  return Problem{415, {}, std::move(detail)}.header("Accept", std::string{wanted});
}

}  // namespace sluice::detail
