// negotiate.cpp: a field becomes a short list of members with weights; then each offer is ranked by it. Any thread.
#include <sluice/extra/negotiate.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

#include "http/fields.hpp"

namespace sluice {
namespace {

constexpr unsigned weight_full = 1'000;  // q=1

/// `range` and what follows it, both as they stand in the field.
struct Member {
  std::string_view range;
  std::string_view parameters;  // the weight among them
  unsigned weight;
};

std::string_view skip_blanks(std::string_view text) noexcept {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  return text;
}

std::size_t token_size(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), http::is_token_char) - text.begin());
}

/// The size of the quoted string that `text` begins with, quotes included; 0 if it has no end.
std::size_t quoted_size(std::string_view text) noexcept {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return i + 1;
    if (text[i] == '\\') ++i;
  }
  return 0;
}

/// Takes the next element off a list whose elements may hold quoted strings; trimmed, possibly empty.
std::string_view take_element(std::string_view& list) noexcept {
  std::size_t end = 0;
  while (end < list.size() && list[end] != ',') {
    const std::size_t quoted = list[end] == '"' ? quoted_size(list.substr(end)) : 1;
    end = quoted == 0 ? list.size() : end + quoted;
  }
  const std::string_view element = list.substr(0, end);
  list.remove_prefix(std::min(end + 1, list.size()));
  return http::trim_ows(element);
}

struct Parameter {
  std::string_view name;  // empty: there is no further one, or it is malformed
  std::string_view value;  // with its quotes, if any
};

/// Takes the next parameter off `rest`, which begins with a semicolon. If there is none, `rest` is empty afterwards; if
/// it is malformed, unchanged.
///   Source: RFC 9110 5.6.6.
Parameter take_parameter(std::string_view& rest) noexcept {
  std::string_view text = skip_blanks(rest);
  while (text.starts_with(';')) text = skip_blanks(text.substr(1));  // there may be empty ones
  if (text.empty()) {
    rest = {};
    return {};
  }
  const std::string_view name = text.substr(0, token_size(text));
  if (name.empty() || !text.substr(name.size()).starts_with('=')) return {};
  text.remove_prefix(name.size() + 1);
  const std::string_view value = text.substr(0, text.starts_with('"') ? quoted_size(text) : token_size(text));
  const std::string_view behind = skip_blanks(text.substr(value.size()));
  if (value.empty() || (!behind.empty() && !behind.starts_with(';'))) return {};
  rest = behind;
  return {name, value};
}

/// Reads a parameter's value as it is meant, without quotes and backslashes.
class ValueReader {
 public:
  explicit ValueReader(std::string_view value) noexcept : rest_{value} {
    if (rest_.starts_with('"')) rest_ = rest_.substr(1, rest_.size() - 2);
    else quoted_ = false;
  }
  /// The next character, in lower case; -1 at the end.
  int next() noexcept {
    if (quoted_ && rest_.starts_with('\\') && rest_.size() > 1) rest_.remove_prefix(1);
    if (rest_.empty()) return -1;
    const auto c = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
  }

 private:
  std::string_view rest_;  // the field's or the offer's
  bool quoted_ = true;
};

bool equal_values(std::string_view a, std::string_view b) noexcept {
  ValueReader left{a};
  ValueReader right{b};
  for (;;) {
    const int c = left.next();
    if (c != right.next()) return false;
    if (c < 0) return true;
  }
}

bool is_weight(const Parameter& parameter) noexcept { return http::equal_ignoring_case(parameter.name, "q"); }

/// A qvalue in thousandths. Source: RFC 9110 12.4.2.
std::optional<unsigned> read_weight(std::string_view text) noexcept {
  const bool whole = text.starts_with('0') || text.starts_with('1');
  unsigned weight = text.starts_with('1') ? weight_full : 0;
  if (whole) text.remove_prefix(1);
  if (whole && text.empty()) return weight;
  if (!text.starts_with('.') || text.size() > 4 || (!whole && text.size() == 1)) return std::nullopt;
  unsigned unit = weight_full / 10;
  for (const char c : text.substr(1)) {
    if (!http::is_digit(c)) return std::nullopt;
    weight += unit * static_cast<unsigned>(c - '0');
    unit /= 10;
  }
  return weight <= weight_full ? std::optional{weight} : std::nullopt;
}

enum class Parameters : std::uint8_t { weight_only, any };

/// An element as range and weight. Source: RFC 9110 12.4.2; the weight may stand anywhere (12.5.1).
std::optional<Member> read_member(std::string_view element, Parameters allowed) noexcept {
  const std::size_t size = std::min(element.find(';'), element.size());
  Member member{http::trim_ows(element.substr(0, size)), element.substr(size), weight_full};
  bool weighted = false;
  for (std::string_view rest = member.parameters; !rest.empty();) {
    const Parameter parameter = take_parameter(rest);
    if (parameter.name.empty()) {
      if (rest.empty()) break;
      return std::nullopt;
    }
    if (!is_weight(parameter)) {
      if (allowed == Parameters::weight_only) return std::nullopt;
      continue;
    }
    const std::optional<unsigned> weight = read_weight(parameter.value);
    if (!weight || weighted) return std::nullopt;
    member.weight = *weight;
    weighted = true;
  }
  return member;
}

/// What kind of members a field has.
struct Grammar {
  std::string_view field;
  Parameters parameters;
  bool (*valid_range)(std::string_view range) noexcept;
};

/// The well-formed members of a field. On the stack, about 3 KiB.
class Members {
 public:
  Members(std::string_view line, const Grammar& grammar) noexcept { read(line, grammar); }
  Members(const Request& request, const Grammar& grammar) noexcept {
    for (std::size_t i = 0; i < request.header_count(); ++i) {
      const HeaderView header = request.header_at(i);
      if (http::equal_ignoring_case(header.name, grammar.field)) read(header.value, grammar);
    }
  }
  std::span<const Member> list() const noexcept { return {members_.data(), count_}; }

 private:
  void read(std::string_view line, const Grammar& grammar) noexcept {
    while (!line.empty() && seen_ < negotiated_members_max) {
      const std::string_view element = take_element(line);
      if (element.empty()) continue;
      ++seen_;
      const std::optional<Member> member = read_member(element, grammar.parameters);
      if (member && grammar.valid_range(member->range)) members_[count_++] = *member;
    }
  }

  std::array<Member, negotiated_members_max> members_;
  std::size_t count_ = 0;
  std::size_t seen_ = 0;
};

using Rank = unsigned (*)(std::string_view offer, std::span<const Member> members) noexcept;

/// The first offer of the highest rank; rank 0 is not acceptable.
std::optional<std::size_t> best_of(std::span<const std::string_view> offered, std::span<const Member> members,
                                   Rank rank) noexcept {
  std::optional<std::size_t> best;
  unsigned best_rank = 0;
  for (std::size_t i = 0; i < offered.size(); ++i) {
    const unsigned its_rank = rank(offered[i], members);
    if (its_rank <= best_rank) continue;
    best = i;
    best_rank = its_rank;
  }
  return best;
}

std::optional<std::size_t> first_of(std::span<const std::string_view> offered) noexcept {
  return offered.empty() ? std::nullopt : std::optional<std::size_t>{0};
}

struct MediaType {
  std::string_view type;
  std::string_view subtype;
};

/// Both tokens, or both empty.
MediaType split_media_type(std::string_view text) noexcept {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const MediaType split{text.substr(0, slash), text.substr(std::min(slash + 1, text.size()))};
  return http::valid_field_name(split.type) && http::valid_field_name(split.subtype) ? split : MediaType{};
}

bool valid_media_range(std::string_view range) noexcept {
  const MediaType split = split_media_type(range);
  return !split.type.empty() && (split.type != "*" || split.subtype == "*");
}

bool has_parameter(std::string_view parameters, const Parameter& wanted) noexcept {
  while (!parameters.empty()) {
    const Parameter parameter = take_parameter(parameters);
    if (parameter.name.empty()) return false;
    if (http::equal_ignoring_case(parameter.name, wanted.name)) return equal_values(parameter.value, wanted.value);
  }
  return false;
}

/// How closely a member describes an offer; 0: not at all. All of the member's parameters must be there.
std::size_t specificity(const MediaType& offer, std::string_view offer_parameters, const Member& member) noexcept {
  constexpr std::size_t level = std::size_t{1} << 24;  // more than the parameters that fit into a head
  const MediaType range = split_media_type(member.range);
  std::size_t specific = level;
  if (range.type != "*") {
    if (!http::equal_ignoring_case(range.type, offer.type)) return 0;
    specific += level;
    if (range.subtype != "*") {
      if (!http::equal_ignoring_case(range.subtype, offer.subtype)) return 0;
      specific += level;
    }
  }
  for (std::string_view rest = member.parameters; !rest.empty();) {
    const Parameter parameter = take_parameter(rest);
    if (parameter.name.empty()) break;
    if (is_weight(parameter)) continue;
    if (!has_parameter(offer_parameters, parameter)) return 0;
    ++specific;
  }
  return specific;
}

unsigned rank_media_type(std::string_view offer, std::span<const Member> members) noexcept {
  const std::size_t size = std::min(offer.find(';'), offer.size());
  const MediaType type = split_media_type(http::trim_ows(offer.substr(0, size)));
  if (type.type.empty()) return 0;
  std::size_t closest = 0;
  unsigned weight = 0;
  for (const Member& member : members) {
    const std::size_t specific = specificity(type, offer.substr(size), member);
    if (specific <= closest) continue;
    closest = specific;
    weight = member.weight;
  }
  return weight;
}

std::string_view without_alias(std::string_view coding) noexcept {
  if (http::equal_ignoring_case(coding, "x-gzip")) return "gzip";
  if (http::equal_ignoring_case(coding, "x-compress")) return "compress";
  return coding;
}

bool is_identity(std::string_view coding) noexcept { return http::equal_ignoring_case(coding, "identity"); }

/// Weights are doubled, so that an identity that is not named finds a place between 0 and the least of them.
unsigned rank_encoding(std::string_view offer, std::span<const Member> members) noexcept {
  if (!http::valid_field_name(offer)) return 0;
  const std::string_view coding = without_alias(offer);
  std::optional<unsigned> any;
  for (const Member& member : members) {
    if (http::equal_ignoring_case(without_alias(member.range), coding)) return member.weight * 2;
    if (member.range == "*" && !any) any = member.weight * 2;
  }
  return any.value_or(is_identity(coding) ? 1 : 0);
}

/// Source: RFC 4647 2.1.
bool valid_language_range(std::string_view range) noexcept {
  constexpr std::size_t subtag_bytes_max = 8;
  if (range == "*") return true;
  std::size_t size = 0;
  bool first = true;
  for (const char c : range) {
    if (c == '-') {
      if (size == 0) return false;
      first = false;
      size = 0;
      continue;
    }
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && (first || !http::is_digit(c))) return false;
    if (++size > subtag_bytes_max) return false;
  }
  return size > 0;
}

/// Whether `start` is all of `tag` or its first subtags.
bool begins_with(std::string_view tag, std::string_view start) noexcept {
  if (!http::equal_ignoring_case(tag.substr(0, start.size()), start)) return false;
  return tag.size() == start.size() || tag[start.size()] == '-';
}

/// Weights are doubled, so that a tag that a range suits comes before one found by lookup.
unsigned rank_language(std::string_view tag, std::span<const Member> members) noexcept {
  if (tag == "*" || !valid_language_range(tag)) return 0;
  std::size_t longest = 0;
  unsigned filtered = 0;
  unsigned looked_up = 0;
  std::optional<unsigned> any;
  for (const Member& member : members) {
    if (member.range == "*") {
      if (!any) any = member.weight * 2;
    } else if (begins_with(tag, member.range)) {
      if (member.range.size() <= longest) continue;
      longest = member.range.size();
      filtered = member.weight == 0 ? 0 : member.weight * 2 + 1;
    } else if (begins_with(member.range, tag)) {
      looked_up = std::max(looked_up, member.weight * 2);
    }
  }
  if (longest > 0) return filtered;
  return looked_up > 0 ? looked_up : any.value_or(0);
}

bool valid_coding(std::string_view range) noexcept { return http::valid_field_name(range); }

constexpr Grammar media_types{"Accept", Parameters::any, valid_media_range};
constexpr Grammar encodings{"Accept-Encoding", Parameters::weight_only, valid_coding};
constexpr Grammar languages{"Accept-Language", Parameters::weight_only, valid_language_range};

/// No well-formed member at all: no preference.
std::optional<std::size_t> best_or_first(std::span<const std::string_view> offered, const Members& members,
                                         Rank rank) noexcept {
  return members.list().empty() ? first_of(offered) : best_of(offered, members.list(), rank);
}

}  // namespace

std::optional<std::size_t> negotiate_media_type(const Request& request,
                                                std::span<const std::string_view> offered) noexcept {
  if (!request.has_header(media_types.field)) return first_of(offered);
  return best_or_first(offered, Members{request, media_types}, rank_media_type);
}

std::optional<std::size_t> negotiate_media_type(std::string_view accept,
                                                std::span<const std::string_view> offered) noexcept {
  if (accept.empty()) return first_of(offered);
  return best_or_first(offered, Members{accept, media_types}, rank_media_type);
}

std::optional<std::size_t> negotiate_encoding(const Request& request,
                                              std::span<const std::string_view> offered) noexcept {
  if (request.has_header(encodings.field)) {
    return best_of(offered, Members{request, encodings}.list(), rank_encoding);
  }
  const auto identity = std::find_if(offered.begin(), offered.end(), is_identity);
  if (identity == offered.end()) return first_of(offered);
  return static_cast<std::size_t>(identity - offered.begin());
}

std::optional<std::size_t> negotiate_encoding(std::string_view accept_encoding,
                                              std::span<const std::string_view> offered) noexcept {
  if (accept_encoding.empty()) return best_of(offered, {}, rank_encoding);
  return best_of(offered, Members{accept_encoding, encodings}.list(), rank_encoding);
}

std::optional<std::size_t> negotiate_language(const Request& request,
                                              std::span<const std::string_view> offered) noexcept {
  if (!request.has_header(languages.field)) return first_of(offered);
  return best_or_first(offered, Members{request, languages}, rank_language);
}

std::optional<std::size_t> negotiate_language(std::string_view accept_language,
                                              std::span<const std::string_view> offered) noexcept {
  if (accept_language.empty()) return first_of(offered);
  return best_or_first(offered, Members{accept_language, languages}, rank_language);
}

}  // namespace sluice
