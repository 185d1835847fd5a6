// response.cpp: Response and its makers. A value is built here and sent elsewhere. Any thread; no I/O.
// Nothing gets into the fields that could split the answer or that says how it is framed.
#include <sluice/message.hpp>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "http/fields.hpp"

namespace sluice {
namespace {

constexpr std::string_view content_type_name = "Content-Type";

/// Fields that only head_writer may write: they frame the answer or speak for the connection.
constexpr std::array<std::string_view, 8> library_fields = {
    "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Date", "Upgrade", "Trailer", "TE"};

bool owned_by_library(std::string_view name) noexcept {
  return std::any_of(library_fields.begin(), library_fields.end(),
                     [name](std::string_view owned) { return http::equal_ignoring_case(owned, name); });
}

void check_field(std::string_view name, std::string_view value) {
  if (!http::valid_field_name(name)) {
    throw std::invalid_argument{"Response::header: the field name is empty or has a character no name may have."};
  }
  if (owned_by_library(name)) {
    throw std::invalid_argument{"Response::header: " + std::string{name} +
                                " is written by the library; use body() and close()."};
  }
  if (!http::valid_field_value(value)) {
    throw std::invalid_argument{"Response::header: the value of " + std::string{name} +
                                " has a line break or another control character."};
  }
}

std::uint16_t checked_status(int status) {
  if (status < 200 || status > 599) {
    throw std::invalid_argument{"Response: the status " + std::to_string(status) + " is not within 200 to 599."};
  }
  return static_cast<std::uint16_t>(status);
}

}  // namespace

std::string_view to_string(Method method) noexcept {
  switch (method) {
    case Method::get: return "GET";
    case Method::head: return "HEAD";
    case Method::post: return "POST";
    case Method::put: return "PUT";
    case Method::delete_: return "DELETE";
    case Method::connect: return "CONNECT";
    case Method::options: return "OPTIONS";
    case Method::trace: return "TRACE";
    case Method::patch: return "PATCH";
  }
  return "UNKNOWN";
}

Response::Response(int status) : status_{checked_status(status)} {}

Response& Response::status(int status) & {
  status_ = checked_status(status);
  return *this;
}

Response& Response::header(std::string_view name, std::string_view value) & {
  check_field(name, value);
  const std::string_view trimmed = http::trim_ows(value);
  const bool is_type = http::equal_ignoring_case(name, content_type_name);
  std::string line;
  if (!is_type || !trimmed.empty()) {  // an empty type is no type
    line.reserve(name.size() + trimmed.size() + 4);
    line.append(name).append(": ").append(trimmed).append("\r\n");
  }
  if (is_type) {
    fields_.replace(0, type_bytes_, line);
    type_bytes_ = static_cast<std::uint32_t>(line.size());
    content_type_ = {};
  } else if (fields_.empty()) {
    fields_ = std::move(line);
  } else {
    fields_ += line;
  }
  return *this;
}

std::optional<std::string_view> Response::find_header(std::string_view name) const noexcept {
  if (!content_type_.empty() && http::equal_ignoring_case(name, content_type_name)) return content_type_;
  std::string_view rest = fields_;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');  // header() wrote "Name: value\r\n", so all three are there
    const std::size_t end = rest.find("\r\n", colon);
    if (http::equal_ignoring_case(rest.substr(0, colon), name)) return rest.substr(colon + 2, end - colon - 2);
    rest.remove_prefix(end + 2);
  }
  return std::nullopt;
}

void Response::drop_own_type() noexcept {
  fields_.erase(0, type_bytes_);
  type_bytes_ = 0;
}

void Response::drop_body() noexcept {
  owned_.clear();
  shared_ = {};
  kind_ = BodyKind::none;
}

void Response::reset() noexcept {
  constexpr std::size_t kept_max = 1024;  // what one answer needed is not kept for all that follow
  if (kind_ > BodyKind::fixed) drop_body();
  kind_ = BodyKind::none;
  if (owned_.capacity() > kept_max) owned_ = std::string{};
  if (fields_.capacity() > kept_max) fields_ = std::string{};
  fields_.clear();
  content_type_ = {};
  type_bytes_ = 0;
  status_ = 200;
  close_ = false;
}

Response& Response::body(SharedBytes bytes) & noexcept {
  owned_.clear();
  shared_ = std::move(bytes);
  kind_ = BodyKind::shared;
  return *this;
}

Response& Response::own_body(std::string&& bytes) noexcept {
  owned_ = std::move(bytes);
  shared_ = {};
  kind_ = BodyKind::owned;
  return *this;
}

std::string_view Response::body() const noexcept {
  switch (kind_) {
    case BodyKind::none:
    case BodyKind::file: return {};
    case BodyKind::owned: return owned_;
    case BodyKind::fixed:
    case BodyKind::shared: return shared_.bytes;
  }
  return {};
}

Response& Response::close() & noexcept {
  close_ = true;
  return *this;
}

namespace {
constexpr Literal plain_text = "text/plain; charset=utf-8";
constexpr Literal json_document = "application/json";
}  // namespace

Response detail::text_response(std::string&& body) { return Response{}.content_type(plain_text).body(std::move(body)); }

Response detail::json_response(std::string&& body) {
  return Response{}.content_type(json_document).body(std::move(body));
}

Response empty(int status) { return Response{status}; }

}  // namespace sluice
