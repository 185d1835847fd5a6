// bodies.hpp: handlers of the showcase whose bodies come and go in pieces: an upload that is summed up while it arrives,
// an answer of any size out of a few kilobytes of memory, a form. All on the pool: they wait for their clients.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <sluice/extra/form.hpp>
#include <sluice/extra/json.hpp>
#include <sluice/extra/multipart.hpp>
#include <sluice/sluice.hpp>

/// CRC-32 as zip, gzip and PNG have it, eight bits at a time.
class Crc32 {
 public:
  void add(std::string_view bytes) noexcept {
    for (const char c : bytes) sum_ = table()[(sum_ ^ static_cast<unsigned char>(c)) & 255u] ^ sum_ >> 8;
    size_ += bytes.size();
  }
  std::uint64_t size() const noexcept { return size_; }
  std::string text() const {
    char digits[8] = {'0', '0', '0', '0', '0', '0', '0', '0'};
    char found[8];
    const auto end = std::to_chars(found, found + 8, sum_ ^ 0xffff'ffffu, 16).ptr;
    std::copy(found, end, digits + (8 - (end - found)));
    return {digits, 8};
  }

 private:
  static const std::array<std::uint32_t, 256>& table() noexcept {
    static const auto made = [] {
      std::array<std::uint32_t, 256> values{};
      for (std::uint32_t i = 0; i < 256; ++i) {
        values[i] = i;
        for (int bit = 0; bit < 8; ++bit) values[i] = values[i] >> 1 ^ (values[i] & 1u ? 0xedb8'8320u : 0u);
      }
      return values;
    }();
    return made;
  }
  std::uint32_t sum_ = 0xffff'ffffu;
  std::uint64_t size_ = 0;
};

/// {"bytes":N,"crc32":"..."} of a body of any size, and its trailers if it had any.
inline sluice::Response sum_up(const sluice::Request& request) {
  sluice::BodyReader body = request.body_reader();
  std::array<char, 64 * 1024> piece;
  Crc32 sum;
  while (const std::size_t count = body.read(piece)) sum.add({piece.data(), count});
  sluice::JsonWriter out;
  out.begin_object().member("bytes", sum.size()).member("crc32", sum.text());
  if (const auto trailers = body.trailers(); !trailers.empty()) {
    out.key("trailers").begin_object();
    for (const auto& [name, value] : trailers) out.member(name, value);
    out.end_object();
  }
  out.end_object();
  return sluice::json(std::move(out).take());
}

/// As many bytes as the query says: "0123456789" over and over.
inline void stream_bytes(const sluice::Request& request, sluice::Responder responder) {
  constexpr std::uint64_t bytes_max = std::uint64_t{1} << 40;
  auto left = request.query<std::uint64_t>("bytes");
  if (left > bytes_max) throw sluice::Problem{400, {}, "no more than 2^40 bytes"};
  std::string pattern;
  while (pattern.size() < 60'000) pattern += "0123456789";
  sluice::StreamOptions how;
  if (request.query<bool>("length", false)) how.length = left;
  sluice::ResponseWriter out =
      std::move(responder).stream(sluice::Response{}.content_type("application/octet-stream"), how);
  while (left > 0 && out.wants_body()) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, pattern.size()));
    if (!out.write(std::string_view{pattern}.substr(0, size))) return;  // the client is gone
    left -= size;
  }
  out.finish();
}

namespace detail {

inline void add_part(sluice::JsonWriter& out, std::string_view name, const std::string* filename, const Crc32& sum) {
  out.begin_object().member("name", name);
  if (filename != nullptr) out.member("filename", *filename);
  out.member("bytes", sum.size()).member("crc32", sum.text()).end_object();
}

inline void read_parts(const sluice::Request& request, const sluice::MultipartBoundary& boundary,
                       sluice::JsonWriter& out) {
  using Kind = sluice::MultipartParser::Kind;
  sluice::MultipartParser parser{boundary};
  sluice::BodyReader body = request.body_reader();
  std::array<char, 16 * 1024> buffer;
  Crc32 sum;
  while (const std::size_t count = body.read(buffer)) {
    std::string_view piece{buffer.data(), count};
    for (;;) {
      const auto step = parser.next(piece);
      piece.remove_prefix(step.consumed);
      if (step.kind == Kind::need_more) break;
      if (step.kind == Kind::error) throw parser.problem();
      if (step.kind == Kind::part) sum = Crc32{};
      if (step.kind == Kind::data) sum.add(step.data);
      if (step.kind == Kind::part_end) {
        const sluice::MultipartHead& head = parser.head();
        add_part(out, head.name, head.filename ? &*head.filename : nullptr, sum);
      }
    }
  }
  if (parser.finish().kind == Kind::error) throw parser.problem();
}

}  // namespace detail

/// A form's parts as JSON, whichever of the two kinds it is. Files are never held as a whole.
inline sluice::Response list_form(const sluice::Request& request) {
  sluice::JsonWriter out;
  out.begin_object().key("parts").begin_array();
  if (auto boundary = sluice::MultipartBoundary::of(request)) {
    detail::read_parts(request, *boundary, out);
  } else if (boundary.error().status() != 415) {
    throw std::move(boundary).error();
  } else if (auto urlencoded = sluice::check_form_type(request.header("content-type")); !urlencoded) {
    throw std::move(urlencoded).error();
  } else {
    const std::string text = request.body_reader().read_all(1024 * 1024);
    auto fields = sluice::FormFields::read(text);
    if (!fields) throw std::move(fields).error();
    for (const sluice::FormField& field : *fields) {
      Crc32 sum;
      sum.add(field.value.view());
      detail::add_part(out, field.name.view(), nullptr, sum);
    }
  }
  out.end_array().end_object();
  return sluice::json(std::move(out).take());
}
