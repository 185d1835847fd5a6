// head_guard.hpp: finds the fields and the end of a request's head, and refuses what must never reach a parser, byte by
// byte.
// In: all bytes of the head so far, as often as more arrive. Out: need_more, complete (with its size) or rejected.
// Loop thread, one per connection that is reading a head. It must never wait for more bytes once one is wrong, never
// go back further than one line (a head that drips in costs O(n)), but once to the first byte, and never read behind the bytes it was given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "http/head.hpp"
#include "http/limits.hpp"

namespace sluice::http {

enum class Scan : std::uint8_t { need_more, complete, rejected };

/// The verdict does not depend on how the bytes were cut: the first wrong byte decides.
///   Source: RFC 9112 2.2, 3 and 5; llhttp 8.1.0 to 9.4.2 lets most of these rules pass.
class HeadGuard {
 public:
  /// Reads on where the last call stopped. `bytes` holds the head from its first byte, the old bytes unchanged and
  /// perhaps more behind them; it may lie elsewhere than before. After complete or rejected it only repeats that.
  ///   head: the same one every time; where each name and value lies is noted in its `fields`, of which the first
  ///         field_count() are set after complete. Nothing else of it is touched.
  Scan scan(std::span<const char> bytes, const HeadLimits& limits, Head& head) noexcept;

  /// Bytes of the whole head: tolerated empty lines in front and the empty line at its end included.
  std::size_t head_size() const noexcept { return at_; }
  /// Why; only after rejected.
  Reject reject() const noexcept;
  /// Ready for the next head.
  void reset() noexcept { *this = HeadGuard{}; }

  /// Whether a byte of the request line has been seen; empty lines in front of it don't count.
  bool started() const noexcept { return state_ > State::start_line_feed; }
  /// Whether the request line was read to its end, so that method() can be relied on.
  bool has_method() const noexcept { return has_method_; }
  /// Whether the answer must go without a body, even if the head is refused.
  bool is_head() const noexcept { return has_method_ && method_ == Method::head; }

  /// The rest is for HeadParser, after complete.
  Method method() const noexcept { return method_; }
  std::uint8_t version_minor() const noexcept { return minor_; }
  Slice target() const noexcept { return {target_offset_, target_size_}; }
  std::size_t request_line_offset() const noexcept { return request_offset_; }
  /// Where the minor version's digit lies.
  std::size_t minor_offset() const noexcept { return std::size_t{target_offset_} + target_size_ + 8; }
  std::uint16_t field_count() const noexcept { return field_count_; }
  /// Whether a field value holds HTAB.
  bool has_tab() const noexcept { return has_tab_; }

 private:
  enum class State : std::uint8_t {
    start,
    start_line_feed,
    method,
    target,
    version,
    line_feed,
    field_start,
    name,
    value,
    value_line_feed,
    end_line_feed,
    complete,
    rejected,
  };
  enum class Fault : std::uint8_t;
  struct Input;

  Scan go_on(std::span<const char> bytes, const HeadLimits& limits, Head& head) noexcept;
  inline bool read_usual_head(const Input& input) noexcept;
  // Each takes the first byte not yet accepted and returns the next one, or null after a refusal.
  const char* step(const char* p, const Input& input) noexcept;
  const char* start(const char* p, const Input& input) noexcept;
  const char* scan_method(const char* p, const Input& input) noexcept;
  const char* scan_target(const char* p, const Input& input) noexcept;
  const char* scan_version(const char* p, const Input& input) noexcept;
  const char* end_request_line(const char* p, const Input& input) noexcept;
  inline const char* read_usual_lines(const char* p, const Input& input) noexcept;
  const char* start_field(const char* p, const Input& input) noexcept;
  const char* end_head(const char* p) noexcept;
  const char* scan_name(const char* p, const Input& input) noexcept;
  const char* scan_value(const char* p, const Input& input) noexcept;
  const char* refuse(Fault fault) noexcept;

  std::uint32_t at_ = 0;  // everything before it has been accepted
  std::uint32_t name_ = 0;  // where the current field's name begins
  std::uint16_t request_offset_ = 0;
  std::uint16_t target_offset_ = 0;
  std::uint16_t target_size_ = 0;
  std::uint16_t field_count_ = 0;
  State state_ = State::start;
  Fault fault_{};
  Method method_ = Method::get;
  std::uint8_t major_ = 1;
  std::uint8_t minor_ = 1;
  std::uint8_t empty_lines_ = 0;
  bool has_method_ = false;
  bool has_tab_ = false;
};
static_assert(sizeof(HeadGuard) <= 48);

}  // namespace sluice::http
