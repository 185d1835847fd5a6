// response_parser.hpp: the answers a client of ours gets, from bytes to status and framing.
// In: bytes as they come from one connection. Out: the end of each head, stretches of its body, the end of each answer.
// Loop thread. It must never need a whole body, never allocate for a head that comes in one piece.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "http/chunked.hpp"
#include "http/head.hpp"

namespace sluice::http {

/// What of an answer's head decides how to read on.
struct AnswerHead {
  std::uint16_t status = 0;
  bool close = false;  // the connection ends behind this answer
  enum class Body : std::uint8_t { none, length, chunked, until_close } body = Body::none;
  std::uint64_t content_length = 0;  // above 0 if body is `length`, else 0; at most 2^63 - 1
};

/// Parses complete heads; one per loop, shared by its connections. Remembers the last few heads: servers repeat
/// themselves byte for byte within a second, and then one compare does it.
class ResponseHeadParser {
 public:
  /// `head` ends with its empty line and has at most ResponseReader::head_bytes_max bytes. `to_head`: the answer to a
  /// HEAD request has no body.
  ///   Errors: no HTTP/1.0 or 1.1 answer; a line that does not end in CRLF or is folded; two lengths that differ; a
  ///           length beside chunked; a coding but chunked; more than head_fields_capacity fields.
  [[nodiscard]] std::expected<AnswerHead, Reject> parse(std::string_view head, bool to_head) noexcept;

  /// The size of the remembered head that `in` begins with, 0 if there is none. recalled() is what it means.
  ///   Cost: one compare if the server repeats itself; one for each head kept if not, which end at the first difference.
  std::size_t recall(std::string_view in) noexcept;
  /// Only after recall() found one.
  AnswerHead recalled(bool to_head) const noexcept;

 private:
  static constexpr std::size_t memory_bytes = 512;  // larger heads are not kept
  static constexpr std::size_t memory_count = 4;  // under overload answers and refusals take turns

  struct Kept {
    std::uint16_t size = 0;
    AnswerHead answer{};  // without what depends on the request
    std::array<char, memory_bytes> bytes;
  };
  std::array<Kept, memory_count> kept_;
  std::size_t last_ = 0;  // the one recalled or kept last
  std::size_t oldest_ = 0;  // the one to be replaced next
};

/// One connection's answers, one after another.
class ResponseReader {
 public:
  static constexpr std::size_t head_bytes_max = 64 * 1024;

  struct Step {
    enum class Kind : std::uint8_t {
      need_more,  // all of `in` is used up, the answer goes on
      head,  // head() is known; body steps follow, then done
      data,  // a stretch of the body: `data`
      done,  // the answer is complete; the rest of `in` is the next one's
      rejected,  // no HTTP, or too large a head; nothing more can be read from this connection
    };
    Kind kind = Kind::need_more;
    std::size_t consumed = 0;
    std::string_view data{};  // part of `in`; never empty for Kind::data
    Reject reject{};
  };

  /// Reads on, at most to the end of the next step. Call again with what is left until need_more or rejected. Answers of
  /// class 1xx are skipped silently, except 101, which is an answer without a body.
  ///   `to_head`: as for ResponseHeadParser::parse, for the answer that is being read.
  ///   Errors: std::bad_alloc (a head in pieces).
  Step next(ResponseHeadParser& parser, std::string_view in, bool to_head);
  /// The peer has closed. True if that completes the answer (Body::until_close).
  bool end() noexcept;

  /// Of the answer last begun.
  const AnswerHead& head() const noexcept { return head_; }
  /// Whether a byte of an answer has come that is not complete; one of class 1xx alone counts as such a byte.
  bool in_answer() const noexcept { return state_ != State::head || interim_ || !pieces_.empty(); }
  /// As new, for another connection.
  void reset() noexcept;

 private:
  enum class State : std::uint8_t { head, length, chunked, until_close, finished, rejected };

  Step read_head(ResponseHeadParser& parser, std::string_view in, bool to_head);
  std::expected<std::size_t, Reject> take_head(ResponseHeadParser& parser, std::string_view in, bool to_head);
  std::expected<std::size_t, Reject> take_pieces(std::string_view in);
  Step read_length(std::string_view in) noexcept;
  Step read_chunked(std::string_view in) noexcept;
  Step refuse(const Reject& reject) noexcept;
  void begin_body() noexcept;
  void drop_pieces() noexcept;

  State state_ = State::head;
  bool interim_ = false;  // a 1xx has come, its answer not yet
  AnswerHead head_{};
  std::uint64_t remaining_ = 0;
  ChunkedDecoder chunked_{};
  Reject reject_{};
  std::string pieces_{};  // of a head that did not come whole
};

/// An answer's head as llhttp reads it, strictly: its fields, with framing and content_length as llhttp takes them. Sets
/// nothing else of `out`. Several Content-Length are let through, for ResponseHeadParser to compare. In parser.cpp.
///   `head`: up to ResponseReader::head_bytes_max; ResponseHeadParser has checked its lines.
[[nodiscard]] std::expected<void, Reject> read_response_fields(std::string_view head, Head& out) noexcept;

}  // namespace sluice::http
