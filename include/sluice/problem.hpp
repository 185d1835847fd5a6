// problem.hpp: an error meant for the client, in the shape of RFC 9457. A value; may be thrown.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice {

/// What went wrong, as the client may know it. Thrown by a handler, raised through a Responder, or returned
/// as the error of std::expected<Response, Problem>; the error boundary turns it into the answer.
///   Source: RFC 9457.
class Problem : public std::exception {
 public:
  /// status: 400 to 599; anything else counts as 500. Without a title the status' reason phrase is used.
  explicit Problem(int status, std::string title = {}, std::string detail = {});

  int status() const noexcept { return status_; }
  const std::string& title() const noexcept { return title_; }
  /// Shown to the client; never put an exception's text or a secret here.
  const std::string& detail() const noexcept { return detail_; }
  /// A URI that names the kind of problem; "about:blank" if empty.
  const std::string& type() const noexcept { return type_; }
  /// For the log hook only; never sent.
  const std::string& cause() const noexcept { return cause_; }

  Problem& type(std::string uri) & {
    type_ = std::move(uri);
    return *this;
  }
  Problem&& type(std::string uri) && { return std::move(type(std::move(uri))); }
  Problem& cause(std::string text) & {
    cause_ = std::move(text);
    return *this;
  }
  Problem&& cause(std::string text) && { return std::move(cause(std::move(text))); }

  /// A field for the answer, for example WWW-Authenticate with 401; checked when the answer is built.
  Problem& header(std::string name, std::string value) & {
    headers_.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  Problem&& header(std::string name, std::string value) && {
    return std::move(header(std::move(name), std::move(value)));
  }
  const std::vector<std::pair<std::string, std::string>>& headers() const noexcept { return headers_; }

  const char* what() const noexcept override { return title_.c_str(); }

 private:
  int status_;
  std::string title_;
  std::string detail_;
  std::string type_;
  std::string cause_;
  std::vector<std::pair<std::string, std::string>> headers_;
};

/// The standard reason phrase, or "Unknown". Source: RFC 9110 15.
std::string_view reason_phrase(int status) noexcept;

/// 400 problems of typed parameters, in words a client's author understands.
Problem missing_value(std::string_view kind, std::string_view name);
Problem bad_value(std::string_view kind, std::string_view name, std::string_view wanted);

}  // namespace sluice
