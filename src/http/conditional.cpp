// conditional.cpp: entity tags and their comparison; the steps of RFC 9110 13.2.2, one after the other.
#include "http/conditional.hpp"

#include "http/date.hpp"
#include "http/fields.hpp"

namespace sluice::http {
namespace {

struct EntityTag {
  bool weak = false;
  std::string_view opaque{};  // quotes included
};

/// etagc: no quotes, no blanks, no control characters. Source: RFC 9110 8.8.3.
bool is_tag_char(char c) noexcept { return is_value_char(c) && c != '"' && c != ' ' && c != '\t'; }

/// Takes the entity tag that `text` begins with.
std::optional<EntityTag> take_entity_tag(std::string_view& text) noexcept {
  const bool weak = text.starts_with("W/");
  const std::string_view quoted = text.substr(weak ? 2 : 0);
  if (!quoted.starts_with('"')) return std::nullopt;
  std::size_t end = 1;
  while (end < quoted.size() && is_tag_char(quoted[end])) ++end;
  if (end == quoted.size() || quoted[end] != '"') return std::nullopt;
  text = quoted.substr(end + 1);
  return EntityTag{weak, quoted.substr(0, end + 1)};
}

std::optional<EntityTag> read_entity_tag(std::string_view text) noexcept {
  const std::optional<EntityTag> tag = take_entity_tag(text);
  return text.empty() ? tag : std::nullopt;
}

enum class Comparison : std::uint8_t { strong, weak };

/// Source: RFC 9110 8.8.3.2.
bool same_tag(const EntityTag& a, const EntityTag& b, Comparison comparison) noexcept {
  if (comparison == Comparison::strong && (a.weak || b.weak)) return false;
  return a.opaque == b.opaque;
}

std::string_view skip_blanks(std::string_view text) noexcept {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  return text;
}

enum class ListMatch : std::uint8_t { some, none, malformed };

/// Looks for the representation in a list of entity tags, or "*". Reads all of it, since it counts as a whole.
ListMatch match_list(std::string_view list, const Validators& validators, Comparison comparison) noexcept {
  list = trim_ows(list);
  if (list == "*") return validators.exists ? ListMatch::some : ListMatch::none;
  const std::optional<EntityTag> current = validators.exists ? read_entity_tag(validators.etag) : std::nullopt;
  ListMatch match = ListMatch::none;
  while (!(list = skip_blanks(list)).empty()) {
    if (!list.starts_with(',')) {  // elements may be empty, RFC 9110 5.6.1.2
      const std::optional<EntityTag> tag = take_entity_tag(list);
      if (!tag) return ListMatch::malformed;
      if (current && same_tag(*tag, *current, comparison)) match = ListMatch::some;
      list = skip_blanks(list);
      if (list.empty()) break;
      if (!list.starts_with(',')) return ListMatch::malformed;
    }
    list.remove_prefix(1);
  }
  return match;
}

/// Whether the representation changed after a field's date; nothing if that cannot be said.
std::optional<bool> changed_since(std::string_view field, const Validators& validators, std::time_t now) noexcept {
  if (field.empty() || !validators.exists || !validators.last_modified) return std::nullopt;
  const std::optional<std::time_t> date = parse_http_date(trim_ows(field), now);
  if (!date) return std::nullopt;
  return *validators.last_modified > *date;
}

}  // namespace

Verdict evaluate_conditions(const ConditionalFields& fields, const Validators& validators,
                            const ConditionalRequest& request) noexcept {
  if (!fields.if_match.empty()) {
    const ListMatch match = match_list(fields.if_match, validators, Comparison::strong);
    if (match != ListMatch::some) return Verdict::precondition_failed;
  } else if (changed_since(fields.if_unmodified_since, validators, request.now).value_or(false)) {
    return Verdict::precondition_failed;
  }
  if (!fields.if_none_match.empty()) {
    const ListMatch match = match_list(fields.if_none_match, validators, Comparison::weak);
    if (match == ListMatch::none) return Verdict::proceed;
    if (!request.get_or_head) return Verdict::precondition_failed;
    return match == ListMatch::some ? Verdict::not_modified : Verdict::proceed;
  }
  if (request.get_or_head && !changed_since(fields.if_modified_since, validators, request.now).value_or(true)) {
    return Verdict::not_modified;
  }
  return Verdict::proceed;
}

bool if_range_holds(std::string_view if_range, const Validators& validators, std::time_t now) noexcept {
  if (if_range.empty()) return true;
  if (!validators.exists) return false;
  if_range = trim_ows(if_range);
  if (const std::optional<EntityTag> tag = read_entity_tag(if_range)) {
    const std::optional<EntityTag> current = read_entity_tag(validators.etag);
    return current && same_tag(*tag, *current, Comparison::strong);
  }
  if (!validators.last_modified || !validators.strong_date) return false;
  return parse_http_date(if_range, now) == validators.last_modified;
}

bool valid_entity_tag(std::string_view text) noexcept { return read_entity_tag(text).has_value(); }

}  // namespace sluice::http
