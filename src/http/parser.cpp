// parser.cpp: the only file that knows llhttp, with llhttp_unit.c. Works with 8.1.0 and with 9.2.1 and later.
// llhttp reads the head as a second, independent opinion: what guard and rules have found is held to it, field by field.
#include "http/parser.hpp"

#include <llhttp.h>

#include <cstring>
#include <new>
#include <string_view>

#include "base/assert.hpp"
#include "http/head_rules.hpp"
#include "http/places.h"
#include "http/response_parser.hpp"
#include "http/target.hpp"

#if LLHTTP_VERSION_MAJOR < 9 && !LLHTTP_STRICT_MODE
#error "llhttp 8 must be compiled, and its header used, with LLHTTP_STRICT_MODE=1"
#endif

namespace sluice::http {
namespace {

bool is_pause(llhttp_errno error) noexcept {
  return error == HPE_OK || error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE;
}

std::unexpected<Reject> refuse_head(const char* reason) noexcept { return std::unexpected(Reject{400, reason}); }

/// Recognises a field and notes the first one of each Known. Returns the bit of one that has come before, or 0.
std::uint64_t index_field(const char* base, Head& head, std::size_t index) noexcept {
  Field& field = head.fields[index];
  field.known = recognise(field.name.in(base));
  if (field.known == Known::other) return 0;
  std::uint8_t& first = head.first[static_cast<std::size_t>(field.known)];
  if (first != 0) return std::uint64_t{1} << static_cast<unsigned>(field.known);
  first = static_cast<std::uint8_t>(index + 1);
  return 0;
}

// ---- requests: llhttp is held to what the guard found

static_assert(sizeof(Field) == sizeof(sluice_place) && offsetof(Field, name) == offsetof(sluice_place, name_offset) &&
              offsetof(Field, value) == offsetof(sluice_place, value_offset) &&
              offsetof(Slice, size) == offsetof(sluice_place, name_size));

#ifdef SLUICE_LLHTTP_UNIT
constexpr const llhttp_settings_t* request_settings = nullptr;  // llhttp_unit.c does what they would
#else
sluice_places& places_of(llhttp_t* parser) noexcept { return *static_cast<sluice_places*>(parser->data); }

constexpr llhttp_settings_t make_request_settings() noexcept {
  llhttp_settings_t
      settings{};  // what llhttp_settings_init does, but at compile time; the member order differs by version
  settings.on_header_field = [](llhttp_t* parser, const char* at, std::size_t size) noexcept -> int {
    return sluice_agrees_on_name(&places_of(parser), at, size) != 0 ? 0 : static_cast<int>(HPE_USER);
  };
  settings.on_header_value = [](llhttp_t* parser, const char* at, std::size_t size) noexcept -> int {
    return sluice_agrees_on_value(&places_of(parser), at, size) != 0 ? 0 : static_cast<int>(HPE_USER);
  };
  settings.on_headers_complete = [](llhttp_t* parser) noexcept -> int {
    places_of(parser).complete = 1;
    return HPE_PAUSED;  // bodies are not llhttp's business, and neither is what Upgrade would do to it
  };
  return settings;
}
constinit const llhttp_settings_t made_request_settings = make_request_settings();
constexpr const llhttp_settings_t* request_settings = &made_request_settings;
#endif

/// Turns HTAB at the end of values into SP, which means the same: llhttp 8.1.0 refuses "Content-Length: 5<HTAB>", does
/// not see "chunked<HTAB>" as chunked, and misses "close<HTAB>".
[[gnu::noinline]] void normalise_tabs(std::span<char> head) noexcept {
  std::size_t line_end = std::string_view{head.data(), head.size()}.find('\r');
  while (line_end != std::string_view::npos) {
    for (std::size_t at = line_end; at > 0 && (head[at - 1] == ' ' || head[at - 1] == '\t'); --at) head[at - 1] = ' ';
    line_end = std::string_view{head.data(), head.size()}.find('\r', line_end + 1);
  }
}

int llhttp_method_of(Method method) noexcept {
  static constexpr llhttp_method methods[method_count] = {
      HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_CONNECT, HTTP_OPTIONS, HTTP_TRACE, HTTP_PATCH};
  return methods[static_cast<std::size_t>(method)];
}

/// Whether llhttp reads the message as guard and rules do. A difference is a bug in one of them; the client gets 400,
/// for a message that two readers understand differently is not served.
bool agrees(const llhttp_t& parser, const Head& head) noexcept {
  const bool chunked = (parser.flags & F_CHUNKED) != 0;
  const bool length = (parser.flags & F_CONTENT_LENGTH) != 0;
  return parser.method == llhttp_method_of(head.method) && parser.http_major == 1 &&
         chunked == (head.framing == Framing::chunked) && (!length || parser.content_length == head.content_length) &&
         (length || head.content_length == 0);
}

/// False: the target is not a usual one, and only out.target is set.
bool split_usual_target(std::string_view head, Head& out) noexcept {
  const Slice target = out.target;
  const std::size_t path_size = usual_path_size(target.in(head.data()), head);
  if (path_size == not_usual) return false;
  out.path = {target.offset, static_cast<std::uint16_t>(path_size)};
  out.query = {0, 0};
  if (path_size < target.size) {
    const std::size_t before = path_size + 1;
    out.query = {static_cast<std::uint16_t>(target.offset + before), static_cast<std::uint16_t>(target.size - before)};
  }
  return true;
}

[[gnu::noinline]] std::expected<Target, Reject> split_target(const char* base, Head& out) noexcept {
  const auto slice_in_head = [base](std::string_view part) -> Slice {
    if (part.data() == nullptr) return {0, 0};
    return {static_cast<std::uint16_t>(part.data() - base), static_cast<std::uint16_t>(part.size())};
  };
  const auto target = read_target(out.target.in(base), out.method);
  if (target) {
    out.path = slice_in_head(target->path);
    out.query = slice_in_head(target->query);
  }
  return target;
}

}  // namespace

static_assert(sizeof(llhttp_t) <= 128 && alignof(llhttp_t) <= 8);

HeadParser::HeadParser() noexcept = default;

[[gnu::flatten]] std::expected<void, Reject> HeadParser::parse(std::span<char> head, const HeadGuard& guard,
                                                               Head& out) noexcept {
  SLUICE_ASSERT(head.size() == guard.head_size() && head.size() <= head_bytes_capacity);
  out.method = guard.method();
  out.version_minor = guard.version_minor();
  out.field_count = guard.field_count();
  out.first.fill(0);
  out.target = guard.target();
  if (split_usual_target({head.data(), head.size()}, out)) [[likely]]
    return read_fields(head, guard, {}, out);
  const auto target = split_target(head.data(), out);
  if (!target) return std::unexpected(target.error());
  return read_fields_behind(head, guard, {target->authority, target->default_port}, out);
}

[[gnu::noinline]] std::expected<void, Reject> HeadParser::read_fields_behind(std::span<char> head,
                                                                             const HeadGuard& guard, const Named& named,
                                                                             Head& out) noexcept {
  return read_fields(head, guard, named, out);
}

std::expected<void, Reject> HeadParser::read_fields(std::span<char> head, const HeadGuard& guard, const Named& named,
                                                    Head& out) noexcept {
  char* const base = head.data();
  if (out.version_minor > 1) base[guard.minor_offset()] = '1';  // RFC 9110 2.5: treat as 1.1; llhttp refuses it
  if (guard.has_tab()) normalise_tabs(head);

  llhttp_t& parser = *::new (static_cast<void*>(llhttp_)) llhttp_t;
  llhttp_init(&parser, HTTP_REQUEST, request_settings);
  const auto* const first = reinterpret_cast<const sluice_place*>(out.fields.data());
  sluice_places places{.base = base, .next = first, .end = first + out.field_count, .owed = 0, .complete = 0};
  parser.data = &places;
  const std::size_t skipped = guard.request_line_offset();  // the empty lines the guard let pass
  const llhttp_errno error = llhttp_execute(&parser, base + skipped, head.size() - skipped);
  if (places.complete == 0 || !is_pause(error)) return refuse_head(llhttp_errno_name(error));

  std::uint64_t repeated = 0;
  for (std::size_t index = 0; index < out.field_count; ++index) repeated |= index_field(base, out, index);
  const RuleInput input{.head = {base, head.size()},
                        .repeated = repeated,
                        .authority = named.authority,
                        .default_port = named.default_port};
  if (auto verdict = apply_head_rules(input, out); !verdict) return verdict;
  if (sluice_agrees_on_end(&places) == 0 || !agrees(parser, out)) return refuse_head("readers disagree");
  return {};
}

// ---- answers: llhttp alone finds the fields

namespace {

/// What one run of llhttp fills.
struct Collector {
  const char* base;
  Head* head;
  bool complete = false;
};

Collector& collector_of(llhttp_t* parser) noexcept { return *static_cast<Collector*>(parser->data); }

Slice slice(const Collector& collector, std::string_view part) noexcept {
  return {static_cast<std::uint16_t>(part.data() - collector.base), static_cast<std::uint16_t>(part.size())};
}

/// The head is contiguous, so each name and each value comes in one piece, and a field begins with its name.
int on_name(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  const Collector& collector = collector_of(parser);
  Head& head = *collector.head;
  if (head.field_count == head_fields_capacity) return HPE_USER;
  Field& field = head.fields[head.field_count];
  field.name = slice(collector, {at, size});
  field.value = {static_cast<std::uint16_t>(field.name.offset + size), 0};
  index_field(collector.base, head, head.field_count);
  ++head.field_count;
  // llhttp refuses a second Content-Length even if it says the same; in an answer that is for the rules to compare.
  if (field.known == Known::content_length && (parser->flags & F_CONTENT_LENGTH) != 0) {
    parser->flags = static_cast<decltype(parser->flags)>(parser->flags & ~F_CONTENT_LENGTH);
    parser->content_length = 0;
  }
  return 0;
}

int on_value(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  const Collector& collector = collector_of(parser);
  Head& head = *collector.head;
  if (head.field_count == 0) return HPE_USER;
  if (size == 0) return 0;
  head.fields[head.field_count - 1U].value = slice(collector, trim_ows({at, size}));
  return 0;
}

int on_headers_complete(llhttp_t* parser) noexcept {
  collector_of(parser).complete = true;
  return HPE_PAUSED;
}

constexpr llhttp_settings_t make_answer_settings() noexcept {
  llhttp_settings_t
      settings{};  // what llhttp_settings_init does, but at compile time; the member order differs by version
  settings.on_header_field = on_name;
  settings.on_header_value = on_value;
  settings.on_headers_complete = on_headers_complete;
  return settings;
}
constinit const llhttp_settings_t answer_settings = make_answer_settings();

}  // namespace

std::expected<void, Reject> read_response_fields(std::string_view head, Head& out) noexcept {
  SLUICE_ASSERT(head.size() <= head_bytes_capacity + 1);  // no offset is above head_bytes_capacity then
  out.field_count = 0;
  out.first.fill(0);
  llhttp_t parser;
  llhttp_init(&parser, HTTP_RESPONSE, &answer_settings);
  Collector collector{.base = head.data(), .head = &out};
  parser.data = &collector;
  const llhttp_errno error = llhttp_execute(&parser, head.data(), head.size());
  if (error == HPE_USER && out.field_count == head_fields_capacity) return refuse_head("too many fields");
  if (!collector.complete || !is_pause(error)) return refuse_head(llhttp_errno_name(error));
  const bool chunked = (parser.flags & F_CHUNKED) != 0;
  const bool length = (parser.flags & F_CONTENT_LENGTH) != 0;
  out.framing = chunked ? Framing::chunked : length ? Framing::length : Framing::none;
  out.content_length = parser.content_length;
  return {};
}

bool parser_self_test() noexcept {
  static constexpr std::string_view loose = "GET / HTTP/1.1\r\nX : y\r\n\r\n";
  llhttp_t parser;
  Head head;
  Collector collector{.base = loose.data(), .head = &head};
  llhttp_init(&parser, HTTP_REQUEST, &answer_settings);
  parser.data = &collector;
  const bool lax = is_pause(llhttp_execute(&parser, loose.data(), loose.size())) && collector.complete;

  char sound[] = "GET / HTTP/1.1\r\nHost: y\r\n\r\n";
  const std::span<char> bytes{sound, sizeof sound - 1};
  HeadGuard guard;
  return !lax && guard.scan(bytes, {}, head) == Scan::complete && HeadParser{}.parse(bytes, guard, head).has_value();
}

#define SLUICE_TEXT(number) #number
#define SLUICE_DOTTED(major, minor, patch) SLUICE_TEXT(major) "." SLUICE_TEXT(minor) "." SLUICE_TEXT(patch)
const char* parser_version() noexcept {
  return SLUICE_DOTTED(LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
}
#undef SLUICE_DOTTED
#undef SLUICE_TEXT

}  // namespace sluice::http
