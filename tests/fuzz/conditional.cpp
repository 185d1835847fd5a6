// conditional.cpp: any condition against validators that fit it or not; any date. A tag matches itself, and a date that
// is read is the same when it is written and read again.
#include "http/conditional.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "http/date.hpp"

namespace {

using namespace sluice::http;

constexpr std::time_t now = 1'780'000'000;
constexpr ConditionalRequest get{.get_or_head = true, .now = now};
constexpr ConditionalRequest put{.get_or_head = false, .now = now};

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return line;
}

void check_date(std::string_view text) {
  const auto time = parse_http_date(text, now);
  if (!time) return;
  SLUICE_ASSERT(*time >= -62'167'219'200 && *time <= 253'402'300'800);
  if (*time < 0 || *time > 253'402'300'799) return;  // is clamped when written
  char written[http_date_size];
  write_http_date(written, *time);
  SLUICE_ASSERT(parse_http_date({written, sizeof written}, now) == time);
  const Validators exact{.last_modified = *time, .strong_date = true};
  SLUICE_ASSERT(if_range_holds(text, exact, now));
  SLUICE_ASSERT(evaluate_conditions({.if_modified_since = text}, exact, get) == Verdict::not_modified);
  SLUICE_ASSERT(evaluate_conditions({.if_unmodified_since = text}, exact, put) == Verdict::proceed);
}

/// A tag matches itself; a list that holds it matches as well.
void check_tag(std::string_view text) {
  if (!valid_entity_tag(text)) return;
  const Validators own{.etag = text};
  const bool strong = text.front() == '"';
  const std::string list = "\"another\" ," + std::string{text};
  for (const std::string_view field : {text, std::string_view{list}}) {
    SLUICE_ASSERT((evaluate_conditions({.if_match = field}, own, put) == Verdict::proceed) == strong);
    SLUICE_ASSERT(evaluate_conditions({.if_none_match = field}, own, get) == Verdict::not_modified);
    SLUICE_ASSERT(evaluate_conditions({.if_none_match = field}, own, put) == Verdict::precondition_failed);
  }
  SLUICE_ASSERT(if_range_holds(text, own, now) == strong);
}

void check_verdicts(const ConditionalFields& fields, const Validators& validators) {
  const Verdict to_get = evaluate_conditions(fields, validators, get);
  const Verdict to_put = evaluate_conditions(fields, validators, put);
  SLUICE_ASSERT(to_put != Verdict::not_modified);
  if (to_put == Verdict::proceed && to_get == Verdict::not_modified) {
    SLUICE_ASSERT(fields.if_none_match.empty() && !fields.if_modified_since.empty());
  }
  if (to_get == Verdict::precondition_failed) SLUICE_ASSERT(to_put == Verdict::precondition_failed);
  if (!fields.if_match.empty() && !validators.exists) SLUICE_ASSERT(to_put == Verdict::precondition_failed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  ConditionalFields fields;
  fields.if_match = take_line(text);
  fields.if_none_match = take_line(text);
  fields.if_modified_since = take_line(text);
  fields.if_unmodified_since = take_line(text);
  const std::string_view etag = take_line(text);
  for (const std::string_view line : {fields.if_match, fields.if_none_match, fields.if_modified_since, etag}) {
    check_tag(line);
    check_date(line);
    if (if_range_holds(line, {.exists = false}, now)) SLUICE_ASSERT(line.empty());
  }
  check_verdicts(fields, {.etag = etag, .last_modified = 784'111'777});
  check_verdicts(fields, {.etag = "\"v1\""});
  check_verdicts(fields, {.last_modified = parse_http_date(text, now)});
  check_verdicts(fields, {.exists = false});
  return 0;
}
