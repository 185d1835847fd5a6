#include "server/deadline.hpp"

#include <algorithm>

#include <sluice/message.hpp>
#include <sluice/value.hpp>

#include "http/fields.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using Format = DeadlineHeader::Format;

struct GrpcUnit {
  char letter;
  std::chrono::nanoseconds length;
};
constexpr GrpcUnit grpc_units[] = {{'n', 1ns}, {'u', 1us}, {'m', 1ms}, {'S', 1s}, {'M', 1min}, {'H', 1h}};  // upwards
constexpr std::size_t grpc_digits_max = 8;
constexpr std::int64_t grpc_count_max = 99'999'999;
static_assert(std::chrono::nanoseconds::max() / 1h <= grpc_count_max, "hours hold every duration");

std::optional<base::Duration> in_units(std::string_view digits, base::Duration unit) noexcept {
  const auto count = parse_value<std::uint64_t>(digits);
  if (!count || *count > static_cast<std::uint64_t>(detail::deadline_max / unit)) return std::nullopt;
  return unit * static_cast<base::Duration::rep>(*count);
}

std::optional<base::Duration> parse_grpc(std::string_view value) noexcept {
  if (value.size() < 2 || value.size() > grpc_digits_max + 1) return std::nullopt;
  const std::string_view digits = value.substr(0, value.size() - 1);
  for (const auto& [letter, length] : grpc_units) {
    if (letter == value.back()) return in_units(digits, length);
  }
  return std::nullopt;
}

std::string format_grpc(std::chrono::nanoseconds budget) {
  const GrpcUnit* unit = grpc_units;
  while (budget / unit->length > grpc_count_max) ++unit;
  return std::to_string(budget / unit->length) + unit->letter;
}

/// Takes the next element off a list of preferences; a comma within quotes ends none. Source: RFC 9110 5.6.1, 5.6.4.
std::string_view take_preference(std::string_view& list) noexcept {
  bool quoted = false;
  std::size_t size = 0;
  for (; size < list.size() && (quoted || list[size] != ','); ++size) {
    if (list[size] == '"') quoted = !quoted;
    else if (quoted && list[size] == '\\' && size + 1 < list.size()) ++size;
  }
  const std::string_view element = list.substr(0, size);
  list.remove_prefix(std::min(size + 1, list.size()));
  return http::trim_ows(element);
}

/// What one field's value says. `decides`: no further field of that name counts, whether or not this one was readable.
struct Reading {
  std::optional<base::Duration> time{};
  bool decides = false;
};

Reading find_wait(std::string_view list) noexcept {
  while (!list.empty()) {
    const std::string_view preference = take_preference(list);
    const std::size_t name_end = std::min(preference.find_first_of("=;"), preference.size());
    if (!http::equal_ignoring_case(http::trim_ows(preference.substr(0, name_end)), "wait")) continue;
    if (name_end == preference.size() || preference[name_end] == ';') return {std::nullopt, true};
    std::string_view value = preference.substr(name_end + 1);
    value = value.substr(0, value.find(';'));  // parameters have no meaning here
    return {in_units(http::trim_ows(value), 1s), true};
  }
  return {};
}

Reading read(Format format, std::string_view value) noexcept {
  switch (format) {
    case Format::milliseconds: return {in_units(value, 1ms)};
    case Format::seconds: return {in_units(value, 1s)};
    case Format::grpc: return {parse_grpc(value)};
    case Format::prefer_wait: return find_wait(value);
  }
  return {};
}

}  // namespace

namespace detail {

std::optional<base::Duration> parse_deadline(Format format, std::string_view value) noexcept {
  return read(format, value).time;
}

base::Duration shortened_budget(const std::vector<DeadlineHeader>& headers, const http::Head& head,
                                const char* head_bytes, base::Duration budget) noexcept {
  for (const DeadlineHeader& header : headers) {
    const http::Known known = http::recognise(header.name);
    for (std::size_t i = 0; i < head.field_count; ++i) {
      const http::Field& field = head.fields[i];
      if (field.known != known) continue;
      if (known == http::Known::other && !http::equal_ignoring_case(field.name.in(head_bytes), header.name)) continue;
      const Reading reading = read(header.format, field.value.in(head_bytes));
      if (reading.time) budget = std::min(budget, *reading.time);
      if (reading.decides) break;
    }
  }
  return budget;
}

}  // namespace detail

DeadlineHeader DeadlineHeader::grpc_timeout() { return {"grpc-timeout", Format::grpc}; }

DeadlineHeader DeadlineHeader::envoy_expected_timeout() {
  return {"x-envoy-expected-rq-timeout-ms", Format::milliseconds};
}

DeadlineHeader DeadlineHeader::prefer_wait() { return {"Prefer", Format::prefer_wait}; }

std::chrono::nanoseconds downstream_budget(const Request& request) noexcept {
  const std::chrono::nanoseconds left = request.remaining();
  const std::chrono::nanoseconds kept = std::max<std::chrono::nanoseconds>(5ms, left / 20);
  return std::max(left - kept, 0ns);
}

std::string format_deadline(Format format, std::chrono::nanoseconds budget) {
  budget = std::max(budget, 0ns);
  switch (format) {
    case Format::milliseconds: return std::to_string(budget / 1ms);
    case Format::seconds: return std::to_string(budget / 1s);
    case Format::prefer_wait: return "wait=" + std::to_string(budget / 1s);
    case Format::grpc: break;
  }
  return format_grpc(budget);
}

std::pair<std::string, std::string> deadline_header(const Request& request, const DeadlineHeader& header) {
  return {header.name, format_deadline(header.format, downstream_budget(request))};
}

}  // namespace sluice
