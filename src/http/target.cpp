// target.cpp: one pass over the path with a table of character classes; dot segments are found while passing.
#include "http/target.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "http/strides.hpp"

namespace sluice::http {
namespace {

constexpr std::size_t host_bytes_max = 255;  // a DNS name has at most 253

enum Class : std::uint8_t { bad, percent, question, dot, slash, plain };  // from slash on: nothing to look into

consteval std::array<std::uint8_t, 256> make_path_table() {
  std::array<std::uint8_t, 256> table{};
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = plain;
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = plain;
  for (const char c : std::string_view{"-_~!$&'()*+,;=:@"}) table[static_cast<unsigned char>(c)] = plain;
  table['/'] = slash;
  table['.'] = dot;
  table['%'] = percent;
  table['?'] = question;
  return table;
}
constexpr std::array<std::uint8_t, 256> path_table = make_path_table();

Class class_of(char c) noexcept { return static_cast<Class>(path_table[static_cast<unsigned char>(c)]); }

std::unexpected<Reject> bad_target(const char* reason) noexcept { return std::unexpected(Reject{400, reason}); }

/// The byte that the escape at `at` stands for, or -1.
int unescape(std::string_view text, std::size_t at) noexcept {
  if (text.size() - at < 3) return -1;
  const int high = hex_value(text[at + 1]);
  const int low = hex_value(text[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/// Knows whether the segment read so far consists of nothing but one or two dots.
class Segment {
 public:
  void plain_byte() noexcept { dots_ = other; }
  void dot() noexcept { dots_ = dots_ < other ? dots_ + 1 : other; }
  bool climbs() const noexcept { return dots_ == 1 || dots_ == 2; }
  void restart() noexcept { dots_ = 0; }

 private:
  static constexpr unsigned other = 3;
  unsigned dots_ = 0;
};

/// Where the path ends ('?' or the text's end); npos if it isn't clean.
std::size_t check_unusual_path(std::string_view text) noexcept {
  Segment segment;
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    Class kind = class_of(text[at]);
    if (kind == plain) {
      segment.plain_byte();
      continue;
    }
    if (kind == question) break;
    if (kind == percent) {
      const int byte = unescape(text, at);
      if (byte < 0x20 || byte == 0x7f) return std::string_view::npos;
      at += 2;
      kind = byte == '/' ? slash : byte == '.' ? dot : plain;  // judged by what a handler will see
    }
    if (kind == slash) {
      if (segment.climbs()) return std::string_view::npos;
      segment.restart();
    } else if (kind == dot) {
      segment.dot();
    } else if (kind == plain) {
      segment.plain_byte();
    } else {
      return std::string_view::npos;
    }
  }
  return segment.climbs() ? std::string_view::npos : at;
}

/// The same, quickly, for paths without escapes and without a segment that begins with a dot.
std::size_t check_path(std::string_view text) noexcept {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    const Class kind = class_of(text[at]);
    if (kind >= slash) continue;
    if (kind == question) break;
    const bool inside = kind == dot && at > 0 && text[at - 1] != '/';
    if (!inside) return check_unusual_path(text);
  }
  return at;
}

/// Escaped control bytes pass: a form sent by GET carries its line ends so.
bool check_query(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const Class kind = class_of(text[at]);
    if (kind > percent) continue;
    if (kind == percent) {
      if (unescape(text, at) < 0) return false;
      at += 2;
    } else if (text[at] != '[' && text[at] != ']') {
      return false;
    }
  }
  return true;
}

std::expected<Target, Reject> read_path_and_query(std::string_view text) noexcept {
  const std::size_t path_size = check_path(text);
  if (path_size == std::string_view::npos) return bad_target("path of the target");
  Target target{.path = text.substr(0, path_size), .query = {}, .authority = {}, .default_port = {}};
  if (path_size < text.size()) {
    target.query = text.substr(path_size + 1);
    if (!check_query(target.query)) return bad_target("query of the target");
  }
  return target;
}

std::expected<Target, Reject> read_absolute(std::string_view text, std::string_view default_port) noexcept {
  const std::size_t authority_size = std::min(text.find_first_of("/?#"), text.size());
  const std::string_view authority = text.substr(0, authority_size);
  if (!read_authority(authority)) return bad_target("authority of the target");
  auto target = read_path_and_query(text.substr(authority_size));
  if (target) {
    target->authority = authority;
    target->default_port = default_port;
  }
  return target;
}

bool starts_ignoring_case(std::string_view text, std::string_view prefix) noexcept {
  return equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

/// reg-name without the comma; '%' is judged apart.
consteval std::array<bool, 256> make_host_table() {
  std::array<bool, 256> table{};
  for (std::size_t c = 0; c < table.size(); ++c) table[c] = path_table[c] == dot || path_table[c] == plain;
  for (const char c : std::string_view{":@,"}) table[static_cast<unsigned char>(c)] = false;
  return table;
}
constexpr std::array<bool, 256> host_table = make_host_table();

/// Bytes of a host's name. The strides leave out those that are rare, which makes it a name to be looked at closely.
struct UsualHostBytes {
  static bool stops(char c) noexcept { return !host_table[static_cast<unsigned char>(c)]; }
#ifdef __SSE2__
  static unsigned stops(__m128i bytes) noexcept {
    const __m128i others = _mm_min_epu8(outside(bytes, '0', '9'), outside(bytes, '-', '.'));
    return mask_of_outside(_mm_min_epu8(outside_letters(bytes), others));
  }
#endif
};

/// Bytes of a path that say nothing of its segments.
struct UsualPathBytes {
  static bool stops(char c) noexcept { return class_of(c) < slash; }
#ifdef __SSE2__
  static unsigned stops(__m128i bytes) noexcept {
    const __m128i digits_and_slash = outside(bytes, '/', '9');
    const __m128i others = _mm_min_epu8(other_than(bytes, '-'), other_than(bytes, '_'));
    return mask_of_outside(_mm_min_epu8(_mm_min_epu8(outside_letters(bytes), digits_and_slash), others));
  }
#endif
};

/// Bytes of a query; no escape.
struct UsualQueryBytes {
  static bool stops(char c) noexcept { return class_of(c) < question; }
#ifdef __SSE2__
  static unsigned stops(__m128i bytes) noexcept {
    const __m128i marks_and_digits = outside(bytes, '&', ';');  // & ' ( ) * + , - . / 0 to 9 : ;
    const __m128i others = _mm_min_epu8(other_than(bytes, '='), other_than(bytes, '_'));
    return mask_of_outside(_mm_min_epu8(_mm_min_epu8(outside_letters(bytes), marks_and_digits), others));
  }
#endif
};

/// Where the name at the front of an authority ends: at its colon or at the text's end; npos if it is none.
std::size_t name_end(std::string_view text) noexcept {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    if (host_table[static_cast<unsigned char>(text[at])]) continue;
    if (text[at] == ':') break;
    if (text[at] != '%' || unescape(text, at) <= 0x20) return std::string_view::npos;
    at += 2;
  }
  return at == 0 ? std::string_view::npos : at;
}

bool valid_ipv6(std::string_view address) noexcept {
  char text[INET6_ADDRSTRLEN];
  if (address.size() >= sizeof text) return false;
  std::memcpy(text, address.data(), address.size());
  text[address.size()] = '\0';
  in6_addr parsed;
  return std::memchr(text, '\0', address.size()) == nullptr && inet_pton(AF_INET6, text, &parsed) == 1;
}

bool valid_port(std::string_view port) noexcept {
  unsigned number = 0;
  for (const char c : port) {
    if (!is_digit(c)) return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
    if (number > 65'535) return false;
  }
  return true;
}

}  // namespace

std::size_t usual_path_size(std::string_view target, std::string_view head) noexcept {
  constexpr std::size_t short_max = 16;  // byte by byte is quicker
  const char* p = target.data();
  const char* const end = p + target.size();
  if (p == end || *p != '/') return not_usual;
  const char* const head_end = head.data() + head.size();
  const bool is_short = target.size() <= short_max;
  if (!is_short) p = find_stop<UsualPathBytes>(head.data(), p, head_end);
  for (; p != end; ++p) {
    const Class kind = class_of(*p);
    if (kind >= slash) continue;
    if (kind == question) break;
    if (kind < dot || p[-1] == '/') return not_usual;
  }
  const auto size = static_cast<std::size_t>(p - target.data());
  if (!is_short && p != end) return find_stop<UsualQueryBytes>(head.data(), p + 1, head_end) == end ? size : not_usual;
  for (; p != end; ++p) {
    if (class_of(*p) < question) return not_usual;
  }
  return size;
}

std::expected<Target, Reject> read_target(std::string_view target, Method method) noexcept {
  if (target.starts_with('/')) return read_path_and_query(target);
  if (target == "*") {
    if (method != Method::options) return bad_target("'*' is for OPTIONS only");
    return Target{};
  }
  if (starts_ignoring_case(target, "http://")) return read_absolute(target.substr(7), "80");
  if (starts_ignoring_case(target, "https://")) return read_absolute(target.substr(8), "443");
  return bad_target("form of the target");
}

bool is_usual_host(std::string_view text, std::string_view head) noexcept {
  if (text.empty() || text.size() > host_bytes_max) return false;
  return find_stop<UsualHostBytes>(head.data(), text.data(), head.data() + head.size()) == text.data() + text.size();
}

std::optional<Authority> read_authority(std::string_view text) noexcept {
  std::size_t host_size = 0;
  if (text.starts_with('[')) {
    host_size = text.find(']') + 1;  // 0 if there is none
    if (host_size == 0 || !valid_ipv6(text.substr(1, host_size - 2))) return std::nullopt;
  } else {
    host_size = name_end(text);
    if (host_size > host_bytes_max) return std::nullopt;
  }
  Authority authority{.host = text.substr(0, host_size), .port = {}};
  const std::string_view rest = text.substr(host_size);
  if (!rest.empty()) {
    if (rest.front() != ':' || !valid_port(rest.substr(1))) return std::nullopt;
    authority.port = rest.substr(1);
  }
  return authority;
}

bool percent_decode(std::string_view in, std::string& out, bool plus_is_space) {
  out.reserve(out.size() + in.size());
  for (std::size_t at = 0; at < in.size(); ++at) {
    char c = in[at];
    if (c == '%') {
      const int byte = unescape(in, at);
      if (byte < 0) return false;
      c = static_cast<char>(byte);
      at += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    out.push_back(c);
  }
  return true;
}

std::optional<QueryScan::Pair> QueryScan::next() noexcept {
  while (!rest_.empty()) {
    const std::size_t end = rest_.find('&');
    const std::string_view pair = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return Pair{pair, {}};
    return Pair{pair.substr(0, equals), pair.substr(equals + 1)};
  }
  return std::nullopt;
}

bool matches(std::string_view raw_name, std::string_view wanted) noexcept {
  std::size_t place = 0;
  for (std::size_t at = 0; at < raw_name.size(); ++at, ++place) {
    char c = raw_name[at];
    if (c == '%') {
      const int byte = unescape(raw_name, at);
      if (byte < 0) return false;
      c = static_cast<char>(byte);
      at += 2;
    } else if (c == '+') {
      c = ' ';
    }
    if (place == wanted.size() || c != wanted[place]) return false;
  }
  return place == wanted.size();
}

}  // namespace sluice::http
