// request_text.cpp: checks a spec, cuts it at its places and lays the bytes out.
// Content-Length is the last thing of the head that depends on the body: it is written when the places are known.
#include "load/plan/request_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

namespace sluice::bench {
namespace {

constexpr std::string_view seq_place = "{seq}", rand_place = "{rand}";
constexpr std::string_view token_marks = "!#$%&'*+-.^_`|~";

std::string quoted(std::string_view text) { return '"' + std::string{text} + '"'; }

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool same_name(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

/// RFC 9110 5.6.2.
bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    const bool letter = lower(c) >= 'a' && lower(c) <= 'z';
    return letter || (c >= '0' && c <= '9') || token_marks.find(c) != std::string_view::npos;
  });
}

/// RFC 9110 5.5: no controls but the tab.
bool is_value(std::string_view text) noexcept {
  return std::ranges::all_of(text,
                             [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 0x7f); });
}

bool is_target(std::string_view text) noexcept {
  const bool clean = std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) > ' ' && c != 0x7f; });
  return clean && (text.starts_with('/') || text == "*" || text.starts_with("http://") || text.starts_with("https://"));
}

bool has_place(std::string_view text) noexcept {
  return text.find(seq_place) != std::string_view::npos || text.find(rand_place) != std::string_view::npos;
}

/// Whether a comma-separated list has the element.
bool lists(std::string_view list, std::string_view element) noexcept {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    while (item.starts_with(' ') || item.starts_with('\t')) item.remove_prefix(1);
    while (item.ends_with(' ') || item.ends_with('\t')) item.remove_suffix(1);
    if (same_name(item, element)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

bool expects_body(std::string_view method) noexcept { return method == "POST" || method == "PUT" || method == "PATCH"; }

struct Digits {
  std::array<char, 20> bytes;
  std::size_t size;
  explicit Digits(std::uint64_t number) noexcept
      : bytes{},
        size{static_cast<std::size_t>(std::to_chars(bytes.data(), bytes.data() + 20, number).ptr - bytes.data())} {}
  std::string_view view() const noexcept { return {bytes.data(), size}; }
};

std::optional<std::string> length_fault(std::string_view value, std::string_view body) {
  if (has_place(body)) {
    return "Content-Length is " + quoted(value) + ", but the body's length varies with its places; leave it out";
  }
  if (value == Digits{body.size()}.view()) return std::nullopt;
  return "Content-Length is " + quoted(value) + ", but the body has " + std::to_string(body.size()) + " bytes";
}

std::optional<std::string> header_fault(std::string_view name, std::string_view value) {
  if (!is_token(name)) return "the header name " + quoted(name) + " is no token (RFC 9110 5.6.2)";
  if (!is_value(value)) return "the value of the header " + std::string{name} + " has a control character in it";
  if (same_name(name, "transfer-encoding")) return "Transfer-Encoding is not sent; bodies go out with a Content-Length";
  return std::nullopt;
}

}  // namespace

/// The headers that the spec brings itself.
struct RequestText::Given {
  bool host = false, length = false, close = false, deadline = false;
};

bool RequestText::Template::fixed() const noexcept {
  return std::ranges::all_of(pieces, [](const Piece& piece) { return piece.kind == Piece::Kind::literal; });
}

/// Adds the text, cut at its places if it may have any; literals that touch become one.
void RequestText::append(Template& to, std::string_view text, bool with_places) {
  const auto literal = [&to](std::string_view more) {
    if (more.empty()) return;
    if (to.pieces.empty() || to.pieces.back().kind != Piece::Kind::literal) to.pieces.emplace_back();
    to.pieces.back().text += more;
  };
  while (with_places && !text.empty()) {
    const std::size_t seq = text.find(seq_place), rand = text.find(rand_place);
    if (seq == rand) break;  // neither is there
    literal(text.substr(0, std::min(seq, rand)));
    to.pieces.push_back({.kind = seq < rand ? Piece::Kind::seq : Piece::Kind::rand});
    text.remove_prefix(seq < rand ? seq + seq_place.size() : rand + rand_place.size());
  }
  literal(text);
}

void RequestText::write(std::string& out, const Template& what, const Values& values) {
  for (const Piece& piece : what.pieces) {
    switch (piece.kind) {
      case Piece::Kind::literal: out += piece.text; break;
      case Piece::Kind::seq: out += values.seq; break;
      case Piece::Kind::rand: out += values.rand; break;
    }
  }
}

std::size_t RequestText::size_of(const Template& what, const Values& values) noexcept {
  return std::accumulate(what.pieces.begin(), what.pieces.end(), std::size_t{0},
                         [&](std::size_t sum, const Piece& piece) {
                           switch (piece.kind) {
                             case Piece::Kind::literal: return sum + piece.text.size();
                             case Piece::Kind::seq: return sum + values.seq.size();
                             case Piece::Kind::rand: return sum + values.rand.size();
                           }
                           return sum;
                         });
}

std::expected<RequestText, std::string> RequestText::compile(const RequestSpec& spec, const RequestDefaults& defaults) {
  const std::string& target = spec.target.empty() ? defaults.target : spec.target;
  if (!is_token(spec.method))
    return std::unexpected{"the method " + quoted(spec.method) + " is no token (RFC 9110 9.1)"};
  if (spec.method == "CONNECT") return std::unexpected{std::string{"CONNECT makes a tunnel, which is no load"}};
  if (!is_target(target)) {
    return std::unexpected{"the target " + quoted(target) +
                           " must begin with / and have no blank or control character"};
  }
  if (!is_value(defaults.host)) return std::unexpected{std::string{"the host has a control character in it"}};
  RequestText made;
  append(made.start_, spec.method + ' ', false);
  append(made.start_, target, true);
  append(made.start_, " HTTP/1.1\r\n", false);
  Given given;
  for (const auto& [name, value] : spec.headers) {
    if (auto fault = header_fault(name, value)) return std::unexpected{std::move(*fault)};
    if (same_name(name, "host") && std::exchange(given.host, true))
      return std::unexpected{std::string{"there are two Host headers"}};
    if (same_name(name, "content-length")) {
      if (std::exchange(given.length, true))
        return std::unexpected{std::string{"there are two Content-Length headers"}};
      if (auto fault = length_fault(value, spec.body)) return std::unexpected{std::move(*fault)};
    }
    if (same_name(name, "connection")) given.close = given.close || lists(value, "close");
    if (same_name(name, defaults.deadline_header)) given.deadline = true;
    append(made.start_, name + ": ", false);
    append(made.start_, value, true);
    append(made.start_, "\r\n", false);
  }
  if (!given.host) append(made.start_, "Host: " + defaults.host + "\r\n", false);
  if (defaults.deadline > Duration{} && !given.deadline) {
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(defaults.deadline).count();
    if (auto fault = header_fault(defaults.deadline_header, "")) return std::unexpected{std::move(*fault)};
    append(made.start_, defaults.deadline_header + ": " + std::to_string(whole) + "\r\n", false);
  }
  append(made.body_, spec.body, true);
  made.with_length_ = !given.length && (!spec.body.empty() || expects_body(spec.method));
  made.closes_ = given.close;
  made.head_ = spec.method == "HEAD";
  made.fixed_ = made.start_.fixed() && made.body_.fixed();
  if (made.fixed_) {
    made.render(made.whole_[0], 0, 0, false);
    made.render(made.whole_[1], 0, 0, true);
  }
  return made;
}

void RequestText::render(std::string& out, std::uint64_t seq, std::uint64_t rand, bool closing) const {
  const Digits seq_digits{seq}, rand_digits{rand & 0xffff'ffff};
  const Values values{seq_digits.view(), rand_digits.view()};
  write(out, start_, values);
  if (with_length_) {
    out += "Content-Length: ";
    out += Digits{size_of(body_, values)}.view();
    out += "\r\n";
  }
  if (closing && !closes_) out += "Connection: close\r\n";
  out += "\r\n";
  write(out, body_, values);
}

std::expected<RequestMix, std::string> RequestMix::compile(std::span<const RequestSpec> specs,
                                                           const RequestDefaults& defaults) {
  const RequestSpec plain;
  if (specs.empty()) specs = {&plain, 1};
  if (specs.size() > specs_max) return std::unexpected{"more than " + std::to_string(specs_max) + " kinds of requests"};
  RequestMix mix;
  double total = 0;
  for (const RequestSpec& spec : specs) {
    const std::string place = specs.size() == 1 ? "" : "request " + std::to_string(mix.texts_.size() + 1) + ": ";
    auto text = RequestText::compile(spec, defaults);
    if (!text) return std::unexpected{place + text.error()};
    if (!(spec.weight >= 0) || !std::isfinite(spec.weight)) {
      return std::unexpected{place + "the weight must be a number, at least 0"};
    }
    mix.texts_.push_back(std::move(*text));
    mix.upto_.push_back(total += spec.weight);
  }
  if (!(total > 0) || !std::isfinite(total)) return std::unexpected{std::string{"one weight at least must be above 0"}};
  return mix;
}

std::size_t RequestMix::choose(Random& random) const noexcept {
  if (texts_.size() == 1) return 0;
  const double at = random.uniform() * upto_.back();
  const auto found = std::ranges::upper_bound(upto_, at);
  // A product that was rounded up to the total belongs to the last kind with a weight.
  if (found == upto_.end())
    return static_cast<std::size_t>(std::ranges::lower_bound(upto_, upto_.back()) - upto_.begin());
  return static_cast<std::size_t>(found - upto_.begin());
}

}  // namespace sluice::bench
