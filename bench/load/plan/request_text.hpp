// request_text.hpp: a RequestSpec as the bytes that go out, checked and laid out once before the run.
// In: specs and what the load adds to them. Out: whole requests, ready or rendered; and the choice between several.
// Read-only after compile(), so any number of threads. Must never let a spec end its own head or body early.
#pragma once

#include <sluice/bench.hpp>

#include <array>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "load/plan/random.hpp"

namespace sluice::bench {

/// What a spec does not say.
struct RequestDefaults {
  std::string host{};          // of the Host header
  std::string target = "/";    // if the spec's is empty
  Duration deadline{};         // 0: none is sent
  std::string deadline_header{};
};

/// One kind of request, as bytes.
class RequestText {
 public:
  /// Host, Content-Length (with a body, or where the method is POST, PUT or PATCH) and the deadline are added unless the
  /// spec has them. The deadline is rounded up to a whole millisecond.
  ///   Errors: a sentence; for whatever would break the framing: a line end, a name that is no token, two Hosts, a
  ///           Content-Length that is not the body's, any Transfer-Encoding, CONNECT.
  [[nodiscard]] static std::expected<RequestText, std::string> compile(const RequestSpec& spec,
                                                                       const RequestDefaults& defaults);

  /// No "{seq}" or "{rand}" in it: text() is the request.
  bool fixed() const noexcept { return fixed_; }
  /// The whole request; empty unless fixed(). `closing`: with "Connection: close".
  ///   Lifetime: this object's.
  std::string_view text(bool closing = false) const noexcept { return whole_[closing ? 1 : 0]; }
  /// Appends the whole request to `out`; also works if fixed(). "{rand}" is `rand` modulo 2^32.
  void render(std::string& out, std::uint64_t seq, std::uint64_t rand, bool closing = false) const;
  /// The answer has no body, whatever its head says.
  bool is_head() const noexcept { return head_; }

 private:
  struct Piece {
    enum class Kind : std::uint8_t { literal, seq, rand };
    Kind kind = Kind::literal;
    std::string text{};  // of a literal
  };
  struct Template {
    std::vector<Piece> pieces{};
    bool fixed() const noexcept;
  };
  struct Values {
    std::string_view seq, rand;  // digits, on render()'s stack
  };
  struct Given;

  static void append(Template& to, std::string_view text, bool with_places);
  static void write(std::string& out, const Template& what, const Values& values);
  static std::size_t size_of(const Template& what, const Values& values) noexcept;

  Template start_{};  // all of the head but Content-Length, Connection and the empty line
  Template body_{};
  std::array<std::string, 2> whole_{};
  bool with_length_ = false;  // Content-Length is to be written
  bool closes_ = false;  // the spec itself says Connection: close
  bool fixed_ = true;
  bool head_ = false;
};

/// Several kinds of requests and how often each comes.
class RequestMix {
 public:
  static constexpr std::size_t specs_max = 10'000;

  /// No specs: one GET of the default target.
  ///   Errors: a sentence; as RequestText::compile(), and for weights that are no shares.
  [[nodiscard]] static std::expected<RequestMix, std::string> compile(std::span<const RequestSpec> specs,
                                                                      const RequestDefaults& defaults);

  /// Which kind the next request has: each with its weight's share.
  std::size_t choose(Random& random) const noexcept;
  const RequestText& text(std::size_t index) const noexcept { return texts_[index]; }
  std::size_t size() const noexcept { return texts_.size(); }

 private:
  std::vector<RequestText> texts_{};
  std::vector<double> upto_{};  // sums of the weights; the last is their total
};

}  // namespace sluice::bench
