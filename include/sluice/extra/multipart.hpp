// multipart.hpp: forms with files, multipart/form-data. Pieces of a body in, events out. Any one thread; no I/O.
// Memory is bounded by the limits, whatever comes in; what comes out does not depend on how the body was cut.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/message.hpp>
#include <sluice/problem.hpp>

namespace sluice {

namespace detail {
enum class MultipartFault : std::uint8_t;
}  // namespace detail

/// What a multipart body may cost; more is 413. Each is enforced while the body streams in.
struct MultipartLimits {
  std::size_t parts_max = 1'000;
  /// Of one part: its header lines and the empty line, line ends included, and the padding behind its boundary.
  std::size_t part_header_bytes_max = 8 * 1024;
  /// Header fields of one part. Browsers send two.
  std::size_t part_fields_max = 16;
  std::size_t name_bytes_max = 1'024;
  std::size_t filename_bytes_max = 1'024;
  /// Data of one part, and of all parts together.
  std::uint64_t part_data_bytes_max = 16 * 1024 * 1024;
  std::uint64_t data_bytes_max = 64 * 1024 * 1024;
  /// What stands before the first boundary and behind the last one. It means nothing and no browser sends any.
  std::size_t preamble_bytes_max = 1'024;
  std::size_t epilogue_bytes_max = 1'024;
};

/// What separates the parts of a body: 1 to 70 characters that have been checked.
class MultipartBoundary {
 public:
  static constexpr std::size_t size_max = 70;

  /// From a Content-Type.
  ///   Errors: 415 if it is not multipart/form-data; 400 if it is malformed or has not exactly one good boundary.
  ///   Source: RFC 2046 5.1.1; outside of quotes only what RFC 9110 5.6.2 calls a token.
  [[nodiscard]] static std::expected<MultipartBoundary, Problem> from_content_type(std::string_view content_type);
  /// From the Content-Type of a request; also 400 if it has more than one.
  [[nodiscard]] static std::expected<MultipartBoundary, Problem> of(const Request& request);
  /// From the bare boundary, or nothing if it is not one.
  static std::optional<MultipartBoundary> from_text(std::string_view text) noexcept;

  std::string_view text() const noexcept { return {bytes_.data(), size_}; }

 private:
  MultipartBoundary() noexcept = default;

  std::array<char, size_max> bytes_{};
  std::uint8_t size_ = 0;
};

/// What a part says about itself.
struct MultipartHead {
  /// As sent, but `\"` and `\\` (old clients) without their backslash. Browsers send a quote as %22, CR as %0D and LF
  /// as %0A but leave '%' alone, so decoding could only guess; it is left as it is. May be empty. A browser's name that
  /// ends in a backslash can't be told from one with a quote in it, and is malformed.
  std::string name{};
  /// The same; never to be used as a path: see safe_file_name(). An empty one is a file input nobody used.
  /// `filename*` is ignored: RFC 7578 4.2 forbids it, and two names for one file would be a trap.
  std::optional<std::string> filename{};
  /// As sent; empty if absent, which means text/plain.
  std::string_view content_type{};
  /// All header fields, in the order sent. Only Content-Disposition, Content-Type and Content-Transfer-Encoding mean
  /// anything (RFC 7578 4.8).
  std::vector<HeaderView> fields{};
};

/// The last component of a file name as sent: no '/', no '\', no control byte, and neither "." nor "..". Empty if
/// nothing is left; then choose a name yourself. A name of yours is better in any case.
///   Text: other bytes as sent, malformed UTF-8 included.
std::string safe_file_name(std::string_view filename);

/// A strict, resumable parser: it is fed pieces of the body and pulled for events.
///
///   sluice::MultipartParser parser{boundary};
///   for (std::string_view piece : pieces) {
///     for (auto step = parser.next(piece);; step = parser.next(piece)) {
///       piece.remove_prefix(step.consumed);
///       if (step.kind == sluice::MultipartParser::Kind::need_more) break;
///       ...                                                              // part, data, part_end, error
///     }
///   }
///   parser.finish();                                                     // end or error
///
///   Rules:  lines end in CRLF, nothing else; no folded fields; one Content-Disposition, `form-data` with a name; no
///           Content-Transfer-Encoding that would have to be undone; a line that begins with the boundary is a
///           boundary, and what follows it must be well-formed; spaces and tabs behind a boundary are skipped.
///   Memory: at most twice part_header_bytes_max, and what the head of the current part takes. Data is never copied.
///   Cost:   data is searched in stretches, not byte by byte; a part's head allocates.
///   Source: RFC 7578, RFC 2046 5.1.1; the HTML standard 4.10.21.8 for what browsers send.
class MultipartParser {
 public:
  enum class Kind : std::uint8_t {
    need_more,  // all of the piece is used up
    part,  // a part begins; head() tells which
    data,  // a stretch of the part's data, never empty
    part_end,  // the part is whole
    end,  // from finish() only: the body is whole
    error,  // problem() tells why; stays
  };
  struct Step {
    Kind kind = Kind::need_more;
    std::size_t consumed = 0;  // bytes of the piece used up, `data` included; all of it for need_more
    std::string_view data{};  // part of the piece, or of the parser; until the next call
  };

  explicit MultipartParser(const MultipartBoundary& boundary, const MultipartLimits& limits = {}) noexcept;
  MultipartParser(const MultipartParser&) = delete;
  MultipartParser& operator=(const MultipartParser&) = delete;

  /// Goes on to the next event. Call again with what is left of `in` until need_more or error.
  ///   After an error and after finish() it only repeats that and consumes nothing.
  Step next(std::string_view in);
  /// To be called when the body has ended.
  ///   Errors: 400 if it ended before the last boundary, or within its line end.
  Step finish() noexcept;

  /// The head of the part that began last.
  ///   Lifetime: its views end with the next call of next(); if the piece held the whole head, with the piece. Name and
  ///             filename are owned and stay until the next part.
  const MultipartHead& head() const noexcept { return head_; }
  /// Why it failed: 400 or 413, in words for the client that repeat nothing it sent.
  Problem problem() const;

 private:
  enum class State : std::uint8_t {
    preamble,
    delimiter,  // a boundary has been read; what follows decides
    delimiter_dash,  // "--boundary-"
    delimiter_padding,
    delimiter_line_feed,
    head,
    data,
    closed,  // "--boundary--" and its padding
    closed_line_feed,
    epilogue,
    ended,
    failed,
  };

  Step advance(std::string_view in);
  Step advance_delimiter(char c) noexcept;
  Step advance_closed(char c) noexcept;
  Step advance_epilogue(std::string_view in) noexcept;
  Step advance_head(std::string_view in);
  Step begin_part(std::string_view block, std::size_t consumed);
  Step search(std::string_view in) noexcept;
  Step resume_match(std::string_view in) noexcept;
  Step give(std::string_view bytes, std::size_t consumed) noexcept;
  Step end_part(State next, std::size_t consumed) noexcept;
  Step fail(detail::MultipartFault fault) noexcept;
  void begin_match_at_line_start() noexcept;
  void take_delimiter() noexcept;
  std::string_view delimiter() const noexcept { return {delimiter_.data(), delimiter_size_}; }

  MultipartLimits limits_;
  std::array<char, MultipartBoundary::size_max + 4> delimiter_{};  // CR LF "--" boundary
  std::uint8_t delimiter_size_;
  std::uint8_t matched_ = 0;  // bytes of the delimiter that earlier pieces ended in
  std::uint8_t imaginary_ = 0;  // of these, how many were never there: the line end before the first line
  State state_ = State::preamble;
  detail::MultipartFault fault_{};
  bool in_part_ = false;
  std::size_t parts_ = 0;
  std::size_t head_bytes_ = 0;  // of this part: padding, and header block so far
  std::size_t head_line_bytes_ = 0;  // of the header line that is being read
  std::size_t head_lines_ = 0;
  std::size_t preamble_bytes_ = 0;
  std::size_t epilogue_bytes_ = 0;
  std::uint64_t part_data_bytes_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::string carried_{};  // a header block that came in pieces
  MultipartHead head_{};  // its views: into carried_ or the caller's piece
};

/// One part of a body that is there as a whole. Views into the body.
struct MultipartPart : MultipartHead {
  std::string_view data{};
};

/// All parts of a whole body, without copying their data.
///   Lifetime: views into `body`.
///   Errors:   those of MultipartParser; then no part is given.
[[nodiscard]] std::expected<std::vector<MultipartPart>, Problem> read_multipart(std::string_view body,
                                                                                const MultipartBoundary& boundary,
                                                                                const MultipartLimits& limits = {});

/// The parts of a request's body. Errors: also those of MultipartBoundary::of().
[[nodiscard]] std::expected<std::vector<MultipartPart>, Problem> try_multipart(const Request& request,
                                                                               const MultipartLimits& limits = {});
/// The same; throws the Problem, which the error boundary turns into the answer.
std::vector<MultipartPart> multipart(const Request& request, const MultipartLimits& limits = {});

}  // namespace sluice
