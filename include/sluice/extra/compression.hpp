// compression.hpp: content codings. Answers are compressed by a middleware or while they are streamed; bodies of
// requests are taken out of theirs. gzip and deflate come with zlib, br and zstd if the library was built with them: a
// build without zlib has none of them, and says so where it is asked for one. The first line of each type names its
// thread. Memory is bounded whatever comes in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/stream.hpp>

namespace sluice {

namespace detail {
class DecodedStream;
class EncodedStream;
}  // namespace detail

/// The codings this library knows. `deflate` is the zlib format, as the standard says; bare deflate data is malformed.
///   Source: RFC 9110 8.4.1, RFC 7932 (br), RFC 8878 and RFC 9659 (zstd).
enum class ContentCoding : std::uint8_t { gzip, deflate, brotli, zstd };
inline constexpr std::size_t content_coding_count = 4;

/// The name on the wire, for example "br".
std::string_view to_string(ContentCoding coding) noexcept;
/// Whether this build of the library can encode and decode it.
bool coding_available(ContentCoding coding) noexcept;

/// How much time compressing may take: gzip 1, 6, 9; br 2, 5, 9; zstd 1, 3, 9.
enum class CompressionLevel : std::uint8_t { fast, balanced, small };

struct CompressionOptions {
  /// Smaller bodies are sent as they are: one packet takes them in any case.
  std::size_t bytes_min = 1024;
  /// Larger bodies are left alone on a loop's thread, where all connections wait meanwhile (for this default and level
  /// fast some 0.1 to 0.3 ms, for small up to 3 ms), and on any other thread.
  std::size_t loop_bytes_max = 32 * 1024;
  std::size_t bytes_max = 8 * 1024 * 1024;
  CompressionLevel level = CompressionLevel::fast;
  /// In the server's order, which decides between what a client likes equally. One that is not available is skipped.
  std::vector<ContentCoding> codings = {ContentCoding::zstd, ContentCoding::brotli, ContentCoding::gzip};
  /// Media types to compress beside those of is_compressible(), for example "application/x-protobuf".
  std::vector<std::string> more_types{};
};

/// Whether data of this type usually gets smaller: text, JSON, XML, JavaScript, SVG, WebAssembly, fonts that are not
/// compressed already; anything that ends in +json, +xml, +text or +yaml. Parameters are ignored.
bool is_compressible(std::string_view media_type) noexcept;

/// Compresses answers for clients that accept it.
///
///   app.get("/login", login);             // before use(): never compressed
///   app.use(sluice::compress());
///   app.get("/report", report);
///
///   Does:    chooses by Accept-Encoding; adds Content-Encoding and `Vary: Accept-Encoding`, the latter also to answers
///            that would have been compressed for another client; makes a strong ETag weak, so that If-Match with it
///            never matches.
///   Leaves:  what already has a Content-Encoding, a digest of its bytes (Content-Digest, Repr-Digest, Digest,
///            Content-MD5) or `Cache-Control: no-transform`; 204, 205, 206 and 304; what does not get smaller; streamed
///            answers (see stream_compressed) and other bodies that are not in memory; the library's own refusals.
///   HEAD:    has the fields that GET has, since the body is compressed and thrown away; a handler that leaves its body
///            out for HEAD leaves these fields out too.
///   Order:   use() it first: then it sees what other middleware has added.
///   Danger:  BREACH: where one answer holds a secret and text that somebody else chose (a token beside an echoed
///            query), its size tells the secret to whoever can make the client ask and can watch; leave such routes out
///            by adding them before use(), or by giving use() to a Group of the others.
///   Thread:  compresses on the answering thread.
///   Errors:  std::logic_error if none of the codings is available.
///   Cost:    one allocation a request; for a compressed one the encoder's memory too, 20 KiB to a few MiB.
///   Source:  RFC 9110 8.4, 12.5.3; RFC 9111 5.2.2.6.
Middleware compress(CompressionOptions options = {});

/// Any thread, one at a time. Compresses what is written and sends it through a ResponseWriter. See stream_compressed().
///   Memory:  16 KiB of compressed bytes beside the writer's, and the encoder's.
///   Cost:    compresses on the calling thread; on a loop's write small pieces.
///   Destroyed before finish() it cuts the connection, as a ResponseWriter does.
class CompressedWriter {
 public:
  /// One whose client is gone.
  CompressedWriter() noexcept = default;
  /// Around a writer whose head has said the coding already; without a coding bytes go through as they are.
  ///   Errors: std::logic_error for a coding that is not available.
  CompressedWriter(ResponseWriter&& out, std::optional<ContentCoding> coding,
                   CompressionLevel level = CompressionLevel::fast);
  CompressedWriter(CompressedWriter&&) noexcept = default;
  CompressedWriter& operator=(CompressedWriter&&) noexcept = default;
  CompressedWriter(const CompressedWriter&) = delete;
  CompressedWriter& operator=(const CompressedWriter&) = delete;

  /// What the body is sent in; none: as it is.
  std::optional<ContentCoding> coding() const noexcept;

  /// Takes as much of `bytes` as there is room for, and says how much that was; never waits.
  std::size_t try_write(std::string_view bytes);
  /// Waits until all of `bytes` was taken. False: the client is gone, or too slow.
  ///   Thread: not a loop's: there it throws std::logic_error instead of waiting.
  bool write(std::string_view bytes);
  /// Sends all that was written, so that the client can decode it; costs compression, a few bytes each time. Never
  /// waits. False: it did not fit; call it again after on_drain().
  bool flush();
  /// As ResponseWriter::on_drain.
  void on_drain(std::move_only_function<void()> callback);
  /// Ends the body; never waits: what does not fit yet follows on the request's loop. False: it can't be whole any more,
  /// as far as is known now.
  bool finish();

  /// As of ResponseWriter.
  bool closed() const noexcept;
  bool wants_body() const noexcept;

 private:
  std::shared_ptr<detail::EncodedStream> stream_{};
};

/// Begins an answer that is compressed while it is written, if its type suits and the client accepts it; else it goes
/// out as it is. Completes `head` as compress() does. BREACH as there.
///   Lifetime: uses up `responder`.
///   Errors:   as Responder::stream(), and then `responder` can still answer.
CompressedWriter stream_compressed(const Request& request, Responder&& responder, Response head,
                                   const CompressionOptions& options = {});

/// What a body may grow to: against the bombs that turn kilobytes into gigabytes.
struct DecodingOptions {
  /// Of the decoded body. The route's body_bytes_max limits the encoded one.
  std::uint64_t bytes_max = 16 * 1024 * 1024;
  /// Decoded bytes for each encoded one, judged once more than `ratio_grace_bytes` were decoded. Text seldom has 20.
  std::uint32_t ratio_max = 100;
  std::uint64_t ratio_grace_bytes = 1024 * 1024;
};

/// Any thread, one at a time. Reads a request's body with its Content-Encoding taken off; a body without one comes as
/// it is, under the same limit.
///   Errors:   415 with Accept-Encoding for an unknown coding or more than one; 413 over the limits; 400 for what is
///             malformed, cut short, or followed by other bytes. Several gzip members or zstd frames in a row are one
///             body. What the BodyReader throws passes through.
///   Memory:   16 KiB, and the decoder's: up to 64 KiB for gzip and deflate, 8 MiB for zstd, 17 MiB for br, as far as
///             the data asks for it.
///   Cost:     decodes on the calling thread.
class DecodedReader {
 public:
  /// One that is at its end.
  DecodedReader() noexcept;
  /// Takes the request's BodyReader.
  ///   Errors: throws Problem 415.
  explicit DecodedReader(const Request& request, const DecodingOptions& options = {});
  /// The same for a reader at hand. Errors: std::logic_error for a coding that is not available.
  DecodedReader(BodyReader&& body, std::optional<ContentCoding> coding, const DecodingOptions& options = {});
  DecodedReader(DecodedReader&&) noexcept;
  DecodedReader& operator=(DecodedReader&&) noexcept;
  ~DecodedReader();

  /// As the same members of BodyReader, with decoded bytes.
  BodyRead try_read(std::span<char> into);
  std::size_t read(std::span<char> into);
  std::string read_all(std::size_t bytes_max);
  void on_ready(std::move_only_function<void()> callback);
  Problem problem() const;
  std::vector<std::pair<std::string, std::string>> trailers() const;

 private:
  BodyRead advance(std::span<char> into, bool waits);

  BodyReader body_{};
  std::unique_ptr<detail::DecodedStream> stream_{};
};

/// The coding of a request's body; none if it has none or "identity".
///   Errors: 415, as of DecodedReader.
[[nodiscard]] std::expected<std::optional<ContentCoding>, Problem> content_coding(const Request& request);

/// The decoded body of a request whose whole body is there, for handlers that return their answer.
///   Errors: as DecodedReader's.
[[nodiscard]] std::expected<std::string, Problem> try_decoded_body(const Request& request,
                                                                   const DecodingOptions& options = {});
/// The same; throws the Problem, which the error boundary turns into the answer.
std::string decoded_body(const Request& request, const DecodingOptions& options = {});

}  // namespace sluice
