// response_access.hpp: the inside of a Response, for the one place that sends it and for what rewrites fields.
#pragma once

#include <sluice/message.hpp>

#include "server/file_body.hpp"

namespace sluice::detail {

struct ResponseAccess {
  /// Wire lines; a Content-Type set by header() among them.
  static std::string_view fields(const Response& r) noexcept { return r.fields_; }
  static std::string_view content_type(const Response& r) noexcept { return r.content_type_; }
  /// Puts text into the value of a field, which begins or goes on at `at`; never one of Content-Type.
  static void insert(Response& r, std::size_t at, std::string_view text) { r.fields_.insert(at, text); }
  static bool close(const Response& r) noexcept { return r.close_; }
  static bool owns_body(const Response& r) noexcept { return r.kind_ == Response::BodyKind::owned; }
  static bool shares_body(const Response& r) noexcept { return r.kind_ == Response::BodyKind::shared; }
  static std::uint64_t body_bytes(const Response& r) noexcept { return in_file(r) ? file_bytes(r) : r.body().size(); }
  static bool in_file(const Response& r) noexcept { return r.kind_ == Response::BodyKind::file; }
  /// Only if it is in a file.
  static std::uint64_t file_bytes(const Response& r) noexcept { return file(r)->bytes; }
  /// Null if its body does not lie in a file.
  static std::shared_ptr<const FileBody> file(const Response& r) noexcept {
    if (r.kind_ != Response::BodyKind::file) return nullptr;
    return std::static_pointer_cast<const FileBody>(r.shared_.owner);
  }
  static void set_file(Response& r, std::shared_ptr<const FileBody> body) noexcept {
    r.drop_body();
    r.shared_.owner = std::move(body);
    r.kind_ = Response::BodyKind::file;
  }
  static std::string&& take_owned(Response& r) noexcept { return std::move(r.owned_); }
  static SharedBytes&& take_shared(Response& r) noexcept { return std::move(r.shared_); }
};

}  // namespace sluice::detail
