// message.hpp: what a handler reads (Request) and what it answers with (Response).
//
// A Request is a view: it neither copies nor moves, and lives as long as its exchange is pinned by the
// running handler or by a live Responder. A Response is a value. Any thread; no I/O happens here.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <sluice/problem.hpp>
#include <sluice/value.hpp>

namespace sluice {

class BodyReader;

namespace detail {
class Exchange;
struct ResponseAccess;
}  // namespace detail

/// The request methods the library knows; any other well-formed method is answered 501 before routing.
///   Source: RFC 9110 9.3, RFC 5789.
enum class Method : std::uint8_t { get, head, post, put, delete_, connect, options, trace, patch };
inline constexpr std::size_t method_count = 9;

/// The method as it stands on the wire, for example "GET".
std::string_view to_string(Method method) noexcept;

/// A string known at compile time. Only constant expressions convert to it, so its bytes live for ever
/// and a Response can point at them instead of copying.
class Literal {
 public:
  template <std::size_t N>
  consteval Literal(const char (&text)[N]) : text_{text, N - 1} {}  // NOLINT: implicit by intent
  constexpr operator std::string_view() const noexcept { return text_; }
  constexpr std::string_view view() const noexcept { return text_; }

 private:
  std::string_view text_;
};

namespace detail {
/// Text that is not known at compile time: std::string, std::string_view, const char*.
template <class S>
concept TextLike = std::convertible_to<S, std::string_view> && !std::is_array_v<std::remove_reference_t<S>> &&
                   !std::same_as<std::remove_cvref_t<S>, Literal>;
template <TextLike S>
std::string into_string(S&& text) {
  if constexpr (std::same_as<S, std::string>) return std::move(text);
  else return std::string{std::string_view{text}};
}
}  // namespace detail

/// A stretch of bytes kept alive by shared ownership; several responses may send it at once.
struct SharedBytes {
  std::shared_ptr<const void> owner;
  std::string_view bytes;  // owned by `owner`

  SharedBytes() = default;
  SharedBytes(std::shared_ptr<const void> keeper, std::string_view view) : owner{std::move(keeper)}, bytes{view} {}
  /// An empty pointer gives no bytes.
  explicit SharedBytes(std::shared_ptr<const std::string> text) {
    if (text) bytes = *text;
    owner = std::move(text);
  }
};

/// One header field as it was received. Views live as long as the Request.
struct HeaderView {
  std::string_view name;
  std::string_view value;  // optional white space around it removed
};

/// Who is at the other end of the connection.
struct Peer {
  std::string address{};                       // "127.0.0.1:51234", "[::1]:51234" or "unix"
  std::optional<std::uint32_t> process_id{};   // unix sockets only
  std::optional<std::uint32_t> user_id{};      // unix sockets only
  std::optional<std::uint32_t> group_id{};     // unix sockets only
};

/// A copy of a request that may outlive it.
struct OwnedRequest {
  Method method = Method::get;
  std::string target{};
  std::string path{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::vector<std::pair<std::string, std::string>> params{};
  std::string body{};
};

/// One received request.
///   Lifetime: it and every view from it live until the handler has returned and no Responder is left;
///             to_owned() for longer.
///   Thread:   every member may be called from any thread that holds such a pin.
class Request {
 public:
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  Method method() const noexcept;
  /// The request target exactly as received, query included.
  std::string_view target() const noexcept;
  /// The path with percent-encoding removed, without the query. Always begins with '/' (or is "*").
  std::string_view path() const noexcept;
  /// What follows the first '?', still percent-encoded; empty if there is none.
  std::string_view query_string() const noexcept;
  /// The minor version of HTTP/1.x.
  unsigned version_minor() const noexcept;
  /// The effective host: of the absolute-form target if there was one, else of the Host field.
  std::string_view host() const noexcept;

  /// The first field of that name (case-insensitive), or an empty view.
  std::string_view header(std::string_view name) const noexcept;
  bool has_header(std::string_view name) const noexcept;
  std::size_t header_count() const noexcept;
  /// Fields in the order received; `index` below header_count().
  HeaderView header_at(std::size_t index) const noexcept;

  /// The whole body, already read and, if it came chunked, decoded. Empty on a route that streams it.
  std::string_view body() const noexcept;
  /// The body as it arrives; include <sluice/stream.hpp>. Once per request.
  ///   Errors: std::logic_error the second time.
  BodyReader body_reader() const;

  /// A path parameter, percent-decoded; empty if the route has none of that name.
  std::string_view param(std::string_view name) const noexcept;
  bool has_param(std::string_view name) const noexcept;
  /// A path parameter as T (integers, floating point, bool, std::string).
  ///   Errors: throws Problem 400, which the error boundary turns into the answer.
  template <Value T>
  T param(std::string_view name) const {
    return required<T>("path parameter", name, has_param(name), param(name));
  }
  template <Value T>
  std::expected<T, Problem> try_param(std::string_view name) const {
    return attempt<T>("path parameter", name, has_param(name), param(name));
  }

  /// The first query parameter of that name, decoded ('+' is a space); empty if absent.
  ///   Cost: one pass over the query; allocates only if the value is escaped.
  std::string_view query(std::string_view name) const;
  bool has_query(std::string_view name) const;
  /// A query parameter as T. Errors: throws Problem 400 if it is absent or is no T.
  template <Value T>
  T query(std::string_view name) const {
    return required<T>("query parameter", name, has_query(name), query(name));
  }
  /// A query parameter as T, or `fallback` if absent. Errors: throws Problem 400 if it is there but no T.
  template <Value T>
  T query(std::string_view name, T fallback) const {
    return has_query(name) ? query<T>(name) : fallback;
  }
  template <Value T>
  std::expected<T, Problem> try_query(std::string_view name) const {
    return attempt<T>("query parameter", name, has_query(name), query(name));
  }

  /// When it was complete, or its head if its body is streamed: what it waited for a permit comes after it. To the turn
  /// of its loop.
  std::chrono::steady_clock::time_point received_at() const noexcept;
  /// When this request's budget is spent.
  std::chrono::steady_clock::time_point deadline() const noexcept;
  /// What is left of the budget, never negative; reads the clock. Pass it on to whatever you call.
  std::chrono::nanoseconds remaining() const noexcept;
  /// Fires when the client is gone, the budget is spent or the server's drain cuts this request.
  ///   Thread: callbacks run on the request's loop. Cost: one allocation, on first use.
  std::stop_token stop_token() const;
  bool stop_requested() const noexcept;

  /// The pattern of the matched route, for example "/users/{id}".
  std::string_view route() const noexcept;
  /// Cost: one or two system calls.
  Peer peer() const;
  OwnedRequest to_owned() const;

 private:
  friend class detail::Exchange;
  explicit Request(detail::Exchange& exchange) noexcept : exchange_{&exchange} {}

  template <Value T>
  static std::expected<T, Problem> attempt(std::string_view kind, std::string_view name, bool present,
                                           std::string_view text) {
    if (!present) return std::unexpected(missing_value(kind, name));
    if (auto value = parse_value<T>(text)) return *std::move(value);
    return std::unexpected(bad_value(kind, name, value_name<T>()));
  }
  template <Value T>
  static T required(std::string_view kind, std::string_view name, bool present, std::string_view text) {
    auto value = attempt<T>(kind, name, present, text);
    if (!value) throw std::move(value).error();
    return *std::move(value);
  }

  detail::Exchange* exchange_;  // the owner of all bytes behind the views
};

/// An answer: status, header fields, body. Built by a handler, sent by the loop.
///   Errors: a field that could split the response (CR, LF, NUL, a bad name) or that frames it
///           (Content-Length, Transfer-Encoding, Connection, Date, ...) throws std::invalid_argument.
class Response {
 public:
  Response() noexcept = default;  // 200
  /// status: 200 to 599.
  explicit Response(int status);

  int status() const noexcept { return status_; }
  Response& status(int status) &;
  Response&& status(int status) && { return std::move(this->status(status)); }

  /// Adds a field; the same name may be added more than once. Content-Type replaces the one set.
  Response& header(std::string_view name, std::string_view value) &;
  Response&& header(std::string_view name, std::string_view value) && { return std::move(header(name, value)); }
  /// The first field of that name added so far.
  std::optional<std::string_view> find_header(std::string_view name) const noexcept;

  Response& content_type(Literal type) & noexcept {
    content_type_ = type;
    if (type_bytes_ != 0) drop_own_type();
    return *this;
  }
  Response&& content_type(Literal type) && noexcept { return std::move(content_type(type)); }

  /// A literal is sent from where it lies, a moved string is owned, anything else that reads as text is copied.
  Response& body(Literal bytes) & noexcept {
    if (kind_ != BodyKind::none) drop_body();
    shared_.bytes = bytes;
    kind_ = BodyKind::fixed;
    return *this;
  }
  Response& body(SharedBytes bytes) & noexcept;
  template <detail::TextLike S>
  Response& body(S&& bytes) & {
    return own_body(detail::into_string(std::forward<S>(bytes)));
  }
  Response&& body(Literal bytes) && noexcept { return std::move(body(bytes)); }
  Response&& body(SharedBytes bytes) && noexcept { return std::move(body(std::move(bytes))); }
  template <detail::TextLike S>
  Response&& body(S&& bytes) && {
    return std::move(body(std::forward<S>(bytes)));
  }
  /// Empty for a body that lies in a file.
  std::string_view body() const noexcept;

  /// Closes the connection after this answer (`Connection: close`).
  Response& close() & noexcept;
  Response&& close() && noexcept { return std::move(close()); }

 private:
  friend class detail::Exchange;
  friend struct detail::ResponseAccess;
  enum class BodyKind : std::uint8_t { none, fixed, owned, shared, file };
  Response& own_body(std::string&& bytes) noexcept;
  void drop_own_type() noexcept;
  void drop_body() noexcept;
  /// As new, but for memory worth keeping.
  void reset() noexcept;

  std::string fields_{};  // "Name: value\r\n" each, ready for the wire
  std::string_view content_type_{};  // a Literal's bytes; empty if header() set the type
  std::string owned_{};
  SharedBytes shared_;  // for `fixed` only the view is used, for `file` only the owner
  std::uint32_t type_bytes_ = 0;  // of the Content-Type line at the front of fields_
  std::uint16_t status_ = 200;
  BodyKind kind_ = BodyKind::none;
  bool close_ = false;
};

namespace detail {
Response text_response(std::string&& body);
Response json_response(std::string&& body);
}  // namespace detail

/// 200 text/plain; charset=utf-8. A string literal is sent from where it lies; anything else is owned.
inline Response text(Literal body) { return Response{}.content_type("text/plain; charset=utf-8").body(body); }
template <detail::TextLike S>
Response text(S&& body) {
  return detail::text_response(detail::into_string(std::forward<S>(body)));
}

/// 200 application/json of a document already serialised (see extra/json.hpp).
inline Response json(Literal body) { return Response{}.content_type("application/json").body(body); }
template <detail::TextLike S>
Response json(S&& body) {
  return detail::json_response(detail::into_string(std::forward<S>(body)));
}

/// An answer without a body, for example empty(204).
Response empty(int status);

}  // namespace sluice
