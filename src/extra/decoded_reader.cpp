// decoded_reader.cpp: a BodyReader, a buffer of encoded bytes, a BodyDecoder. Any thread, one at a time; waits in
// read() only.
#include <array>
#include <stdexcept>
#include <utility>

#include <sluice/extra/compression.hpp>

#include "base/assert.hpp"
#include "extra/body_decoder.hpp"
#include "http/fields.hpp"

namespace sluice {
namespace detail {

class DecodedStream {
 public:
  DecodedStream(std::optional<ContentCoding> coding, const DecodingOptions& options) : decoder{coding, options} {}

  /// Whether something can be said without more of the body.
  bool ready() const noexcept { return ended || decoder.failed() || decoder.holds_back() || !input.empty(); }

  BodyDecoder decoder;
  std::array<char, 16 * 1024> buffer;
  std::string_view input{};  // in buffer: not decoded yet
  bool ended = false;
};

}  // namespace detail

namespace {

/// Source: RFC 9110 15.5.16, 12.5.3.
Problem unsupported(std::string detail) {
  std::string known;
  for (const ContentCoding coding :
       {ContentCoding::gzip, ContentCoding::deflate, ContentCoding::brotli, ContentCoding::zstd}) {
    if (!coding_available(coding)) continue;
    if (!known.empty()) known += ", ";
    known += to_string(coding);
  }
  return Problem{415, {}, std::move(detail)}.header("Accept-Encoding", known.empty() ? "identity" : std::move(known));
}

/// Source: RFC 9110 8.4.1.3 for x-gzip.
std::optional<ContentCoding> coding_named(std::string_view name) noexcept {
  if (http::equal_ignoring_case(name, "x-gzip")) name = "gzip";
  for (const ContentCoding coding :
       {ContentCoding::gzip, ContentCoding::deflate, ContentCoding::brotli, ContentCoding::zstd}) {
    if (http::equal_ignoring_case(name, to_string(coding)) && coding_available(coding)) return coding;
  }
  return std::nullopt;
}

std::optional<ContentCoding> required_coding(const Request& request) {
  auto coding = content_coding(request);
  if (!coding) throw std::move(coding).error();
  return *coding;
}

}  // namespace

std::expected<std::optional<ContentCoding>, Problem> content_coding(const Request& request) {
  std::optional<ContentCoding> found;
  std::size_t count = 0;
  for (std::size_t i = 0; i < request.header_count(); ++i) {
    const HeaderView field = request.header_at(i);
    if (!http::equal_ignoring_case(field.name, "Content-Encoding")) continue;
    for (std::string_view list = field.value; !list.empty();) {
      const std::string_view name = http::take_list_element(list);
      if (name.empty()) continue;
      if (++count > 1) return std::unexpected(unsupported("The body has more than one content coding."));
      if (http::equal_ignoring_case(name, "identity")) continue;
      found = coding_named(name);
      if (!found) return std::unexpected(unsupported("The body's content coding is not known here."));
    }
  }
  return found;
}

DecodedReader::DecodedReader() noexcept = default;
DecodedReader::DecodedReader(DecodedReader&&) noexcept = default;
DecodedReader& DecodedReader::operator=(DecodedReader&&) noexcept = default;
DecodedReader::~DecodedReader() = default;

DecodedReader::DecodedReader(const Request& request, const DecodingOptions& options)
    : stream_{std::make_unique<detail::DecodedStream>(required_coding(request), options)} {
  body_ = request.body_reader();
}

DecodedReader::DecodedReader(BodyReader&& body, std::optional<ContentCoding> coding, const DecodingOptions& options)
    : body_{std::move(body)}, stream_{std::make_unique<detail::DecodedStream>(coding, options)} {}

BodyRead DecodedReader::advance(std::span<char> into, bool waits) {
  if (into.empty()) throw std::invalid_argument{"DecodedReader: reading into no room"};
  if (!stream_) return {BodyRead::State::end, 0};
  detail::DecodedStream& s = *stream_;
  for (;;) {
    if (s.decoder.failed()) return {BodyRead::State::failed, 0};
    if (s.ended) return {BodyRead::State::end, 0};
    if (s.decoder.holds_back() || !s.input.empty()) {
      const auto step = s.decoder.next(s.input, into);
      s.input.remove_prefix(step.consumed);
      if (step.produced > 0 && !s.decoder.failed()) return {BodyRead::State::data, step.produced};
      continue;
    }
    BodyRead found;
    if (waits) {
      found.bytes = body_.read(s.buffer);
      found.state = found.bytes > 0 ? BodyRead::State::data : BodyRead::State::end;
    } else {
      found = body_.try_read(s.buffer);
    }
    if (found.state == BodyRead::State::later || found.state == BodyRead::State::failed) return {found.state, 0};
    if (found.state == BodyRead::State::data) {
      s.input = {s.buffer.data(), found.bytes};
    } else {
      s.decoder.finish();
      s.ended = true;
    }
  }
}

BodyRead DecodedReader::try_read(std::span<char> into) { return advance(into, false); }

std::size_t DecodedReader::read(std::span<char> into) {
  const BodyRead found = advance(into, true);
  if (found.state == BodyRead::State::failed) throw problem();
  return found.bytes;
}

std::string DecodedReader::read_all(std::size_t bytes_max) {
  std::string all;
  std::array<char, 16 * 1024> piece;
  while (const std::size_t count = read(piece)) {
    if (count > bytes_max - all.size()) throw Problem{413};
    all.append(piece.data(), count);
  }
  return all;
}

void DecodedReader::on_ready(std::move_only_function<void()> callback) {
  if (stream_ && stream_->ready()) body_.call_soon(std::move(callback));
  else body_.on_ready(std::move(callback));
}

Problem DecodedReader::problem() const {
  return stream_ && stream_->decoder.failed() ? stream_->decoder.problem() : body_.problem();
}

std::vector<std::pair<std::string, std::string>> DecodedReader::trailers() const { return body_.trailers(); }

std::expected<std::string, Problem> try_decoded_body(const Request& request, const DecodingOptions& options) {
  const auto coding = content_coding(request);
  if (!coding) return std::unexpected(coding.error());
  detail::BodyDecoder decoder{*coding, options};
  std::string all;
  std::array<char, 16 * 1024> piece;
  for (std::string_view left = request.body(); !left.empty() || decoder.holds_back();) {
    const auto step = decoder.next(left, piece);
    if (decoder.failed()) return std::unexpected(decoder.problem());
    left.remove_prefix(step.consumed);
    all.append(piece.data(), step.produced);
  }
  decoder.finish();
  if (decoder.failed()) return std::unexpected(decoder.problem());
  return all;
}

std::string decoded_body(const Request& request, const DecodingOptions& options) {
  auto body = try_decoded_body(request, options);
  if (!body) throw std::move(body).error();
  return *std::move(body);
}

}  // namespace sluice
