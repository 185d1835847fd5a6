// response_access.hpp: the inside of a Response, for the one place that sends it.
#pragma once

#include <sluice/message.hpp>

namespace sluice::detail {

struct ResponseAccess {
  /// Wire lines; a Content-Type set by header() among them.
  static std::string_view fields(const Response& r) noexcept { return r.fields_; }
  static std::string_view content_type(const Response& r) noexcept { return r.content_type_; }
  static bool close(const Response& r) noexcept { return r.close_; }
  static bool owns_body(const Response& r) noexcept { return r.kind_ == Response::BodyKind::owned; }
  static bool shares_body(const Response& r) noexcept { return r.kind_ == Response::BodyKind::shared; }
  static std::string&& take_owned(Response& r) noexcept { return std::move(r.owned_); }
  static SharedBytes&& take_shared(Response& r) noexcept { return std::move(r.shared_); }
};

}  // namespace sluice::detail
