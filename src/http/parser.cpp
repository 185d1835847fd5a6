// parser.cpp: the only file that knows llhttp. Works with 8.1.0 and with 9.2.1 and later.
// llhttp reads the head as a second, independent opinion: it finds the fields; guard and rules must agree with it.
#include "http/parser.hpp"

#include <llhttp.h>

#include <cstring>
#include <new>
#include <string_view>

#include "base/assert.hpp"
#include "http/head_rules.hpp"
#include "http/response_parser.hpp"
#include "http/target.hpp"

#if LLHTTP_VERSION_MAJOR < 9 && !LLHTTP_STRICT_MODE
#error "llhttp 8 must be compiled, and its header used, with LLHTTP_STRICT_MODE=1"
#endif

namespace sluice::http {
namespace {

/// What one run of llhttp fills.
struct Collector {
  const char* base;
  Head* head;
  std::uint64_t repeated = 0;
  bool complete = false;
};

Collector& collector_of(llhttp_t* parser) noexcept { return *static_cast<Collector*>(parser->data); }

Slice slice(const Collector& collector, std::string_view part) noexcept {
  return {static_cast<std::uint16_t>(part.data() - collector.base), static_cast<std::uint16_t>(part.size())};
}

/// The head is contiguous, so each name and each value comes in one piece, and a field begins with its name.
int on_name(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  Collector& collector = collector_of(parser);
  Head& head = *collector.head;
  if (head.field_count == head_fields_capacity) return HPE_USER;
  const std::string_view name{at, size};
  const Known known = recognise(name);
  Field& field = head.fields[head.field_count];
  field.name = slice(collector, name);
  field.value = {static_cast<std::uint16_t>(field.name.offset + size), 0};
  field.known = known;
  ++head.field_count;
  if (known != Known::other) {
    std::uint8_t& first = head.first[static_cast<std::size_t>(known)];
    if (first == 0) first = static_cast<std::uint8_t>(head.field_count);
    else collector.repeated |= std::uint64_t{1} << static_cast<unsigned>(known);
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

/// Stops llhttp here: bodies are not its business, and neither is what Upgrade would do to it.
int on_headers_complete(llhttp_t* parser) noexcept {
  collector_of(parser).complete = true;
  return HPE_PAUSED;
}

constexpr llhttp_settings_t make_settings() noexcept {
  llhttp_settings_t
      settings{};  // what llhttp_settings_init does, but at compile time; the member order differs by version
  settings.on_header_field = on_name;
  settings.on_header_value = on_value;
  settings.on_headers_complete = on_headers_complete;
  return settings;
}
constinit const llhttp_settings_t settings = make_settings();

/// llhttp refuses a second Content-Length even if it says the same; in an answer that is for the rules to compare.
int on_answer_name(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  if ((parser->flags & F_CONTENT_LENGTH) != 0 && recognise({at, size}) == Known::content_length) {
    parser->flags = static_cast<decltype(parser->flags)>(parser->flags & ~F_CONTENT_LENGTH);
    parser->content_length = 0;
  }
  return on_name(parser, at, size);
}

constexpr llhttp_settings_t make_answer_settings() noexcept {
  llhttp_settings_t answers = make_settings();
  answers.on_header_field = on_answer_name;
  return answers;
}
constinit const llhttp_settings_t answer_settings = make_answer_settings();

/// Turns HTAB at the end of values into SP, which means the same: llhttp 8.1.0 refuses "Content-Length: 5<HTAB>", does
/// not see "chunked<HTAB>" as chunked, and misses "close<HTAB>".
void normalise_tabs(std::span<char> head) noexcept {
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

bool is_pause(llhttp_errno error) noexcept {
  return error == HPE_OK || error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE;
}

std::unexpected<Reject> refuse(std::uint16_t status, const char* reason) noexcept {
  return std::unexpected(Reject{status, reason});
}

/// Whether llhttp reads the message as guard and rules do. A difference is a bug in one of them; the client gets 400,
/// for a message that two readers understand differently is not served.
bool agrees(const llhttp_t& parser, const HeadGuard& guard, const Head& head) noexcept {
  const bool chunked = (parser.flags & F_CHUNKED) != 0;
  const bool length = (parser.flags & F_CONTENT_LENGTH) != 0;
  return parser.method == llhttp_method_of(head.method) && parser.http_major == 1 &&
         head.field_count == guard.field_count() && chunked == (head.framing == Framing::chunked) &&
         (!length || parser.content_length == head.content_length) && (length || head.content_length == 0);
}

void fill_target(const Target& target, const HeadGuard& guard, const char* base, Head& out) noexcept {
  const auto slice_in_head = [base](std::string_view part) -> Slice {
    if (part.data() == nullptr) return {0, 0};
    return {static_cast<std::uint16_t>(part.data() - base), static_cast<std::uint16_t>(part.size())};
  };
  out.target = guard.target();
  out.path = slice_in_head(target.path);
  out.query = slice_in_head(target.query);
}

}  // namespace

static_assert(sizeof(llhttp_t) <= 128 && alignof(llhttp_t) <= 8);

HeadParser::HeadParser() noexcept = default;

std::expected<void, Reject> HeadParser::parse(std::span<char> head, const HeadGuard& guard, Head& out) noexcept {
  SLUICE_ASSERT(head.size() == guard.head_size() && head.size() <= head_bytes_capacity);
  char* const base = head.data();
  out.method = guard.method();
  out.version_minor = guard.version_minor();
  out.field_count = 0;
  out.first.fill(0);
  const auto target = read_target(guard.target().in(base), out.method);
  if (!target) return std::unexpected(target.error());
  fill_target(*target, guard, base, out);

  if (out.version_minor > 1) base[guard.minor_offset()] = '1';  // RFC 9110 2.5: treat as 1.1; llhttp refuses it
  if (guard.has_tab()) normalise_tabs(head);

  llhttp_t& parser = *::new (static_cast<void*>(llhttp_)) llhttp_t;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  Collector collector{.base = base, .head = &out};
  parser.data = &collector;
  const std::size_t skipped = guard.request_line_offset();  // the empty lines the guard let pass
  const llhttp_errno error = llhttp_execute(&parser, base + skipped, head.size() - skipped);
  if (!collector.complete || !is_pause(error)) return refuse(400, llhttp_errno_name(error));

  const RuleInput input{.base = base, .repeated = collector.repeated, .target = *target, .host_memory = host_memory_};
  if (auto verdict = apply_head_rules(input, out); !verdict) return verdict;
  if (!agrees(parser, guard, out)) return refuse(400, "readers disagree");
  return {};
}

std::expected<void, Reject> read_response_fields(std::string_view head, Head& out) noexcept {
  SLUICE_ASSERT(head.size() <= head_bytes_capacity + 1);  // no offset is above head_bytes_capacity then
  out.field_count = 0;
  out.first.fill(0);
  llhttp_t parser;
  llhttp_init(&parser, HTTP_RESPONSE, &answer_settings);
  Collector collector{.base = head.data(), .head = &out};
  parser.data = &collector;
  const llhttp_errno error = llhttp_execute(&parser, head.data(), head.size());
  if (error == HPE_USER && out.field_count == head_fields_capacity) return refuse(400, "too many fields");
  if (!collector.complete || !is_pause(error)) return refuse(400, llhttp_errno_name(error));
  const bool chunked = (parser.flags & F_CHUNKED) != 0;
  const bool length = (parser.flags & F_CONTENT_LENGTH) != 0;
  out.framing = chunked ? Framing::chunked : length ? Framing::length : Framing::none;
  out.content_length = parser.content_length;
  return {};
}

bool parser_self_test() noexcept {
  static constexpr std::string_view loose = "GET / HTTP/1.1\r\nX : y\r\n\r\n";
  static constexpr std::string_view sound = "GET / HTTP/1.1\r\nX: y\r\n\r\n";
  const auto run = [](std::string_view text) {
    llhttp_t parser;
    Head head;
    const char* const base = text.data();
    Collector collector{.base = base, .head = &head};
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &collector;
    const llhttp_errno error = llhttp_execute(&parser, base, text.size());
    return is_pause(error) && collector.complete;
  };
  return run(sound) && !run(loose);
}

#define SLUICE_TEXT(number) #number
#define SLUICE_DOTTED(major, minor, patch) SLUICE_TEXT(major) "." SLUICE_TEXT(minor) "." SLUICE_TEXT(patch)
const char* parser_version() noexcept {
  return SLUICE_DOTTED(LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
}
#undef SLUICE_DOTTED
#undef SLUICE_TEXT

}  // namespace sluice::http
