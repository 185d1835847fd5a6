// cookies.hpp: cookies read from a request (Cookies) and set by an answer (SetCookie). Any one thread; no I/O.
// What is read is well-formed, what is set is well-formed: bytes that could end a pair or a field never pass.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/message.hpp>

namespace sluice {

/// One pair of a Cookie field. Views live as long as what it was read from.
struct Cookie {
  std::string_view name;
  std::string_view value;  // as sent: quotes around it are part of it

  friend bool operator==(const Cookie&, const Cookie&) = default;
};

/// The cookies of a request, in the order received, over all of its Cookie fields.
///
///   for (const sluice::Cookie& cookie : sluice::Cookies{request}) use(cookie.name, cookie.value);
///   if (const auto session = sluice::Cookies{request}.find("session")) ...
///
///   Syntax:   strict. Pairs lie between semicolons, with or without blanks; a name is a token, a value consists of
///             printable ASCII without blanks, quotes, commas, semicolons and backslashes, or of those between two
///             quotes. A pair that is anything else is skipped; the others are not affected.
///   Repeated: a name may come twice, for instance from two paths. Nothing tells which is which, so that the first
///             one is as good as any; a name with the prefix "__Host-" cannot be set by other sites.
///   Lifetime: views the request, or the text it was made from.
///   Cost:     one pass over the fields for each loop or find(); nothing is stored or allocated.
///   Source:   RFC 6265 4.2.1 and its revision (draft-ietf-httpbis-rfc6265bis).
class Cookies {
 public:
  explicit Cookies(const Request& request) noexcept : request_{&request} {}
  /// The cookies of one Cookie field's value.
  explicit Cookies(std::string_view field) noexcept : field_{field} {}

  class Iterator {
   public:
    using value_type = Cookie;
    using difference_type = std::ptrdiff_t;

    const Cookie& operator*() const noexcept { return cookie_; }
    const Cookie* operator->() const noexcept { return &cookie_; }
    Iterator& operator++() noexcept {
      advance();
      return *this;
    }
    void operator++(int) noexcept { advance(); }
    bool operator==(std::default_sentinel_t) const noexcept { return done_; }

   private:
    friend class Cookies;
    Iterator(const Request* request, std::string_view field) noexcept : request_{request}, rest_{field} { advance(); }
    void advance() noexcept;
    bool next_field() noexcept;

    const Request* request_;  // null if there is one field only
    std::size_t next_header_ = 0;
    std::string_view rest_;  // of the current field; the request's or the caller's
    Cookie cookie_{};
    bool done_ = false;
  };

  Iterator begin() const noexcept { return {request_, field_}; }
  std::default_sentinel_t end() const noexcept { return {}; }

  /// The value of the first cookie of that name (case-sensitive), or nothing.
  std::optional<std::string_view> find(std::string_view name) const noexcept;

 private:
  const Request* request_ = nullptr;
  std::string_view field_{};  // the caller's
};

/// Which requests of other sites may carry a cookie: none, top-level navigation, all.
enum class SameSite : std::uint8_t { strict, lax, none };

/// One cookie to set, as the value of a Set-Cookie field.
///
///   sluice::SetCookie{"__Host-session", id}.secure().max_age(1h).add_to(response);
///
///   Defaults: HttpOnly, SameSite=Lax and Path=/, for the session of the browser. Secure is up to the caller, since
///             the library does not know whether it is reached over TLS; turn it on wherever it is.
///   Errors:   std::invalid_argument with one sentence, from the member that was given what cannot be, or from text()
///             and add_to() if attributes contradict each other.
///   Same name: an answer should set each name only once; this is not checked.
///   Source:   RFC 6265 4.1 and its revision (draft-ietf-httpbis-rfc6265bis), whose limits browsers enforce.
class SetCookie {
 public:
  static constexpr std::size_t pair_bytes_max = 4096;  // name and value; browsers drop what is larger
  static constexpr std::size_t attribute_bytes_max = 1024;  // browsers ignore a longer one

  /// name: a token. value: printable ASCII without blanks, quotes, commas, semicolons and backslashes (base64 and
  /// percent-encoding pass), or that between two quotes, which become part of the value.
  SetCookie(std::string_view name, std::string_view value);

  /// A cookie that deletes the one of this name: empty, and expired since 1970. Give it the path and the domain that
  /// the cookie was set with. Secure is on for the names that demand it.
  static SetCookie expire(std::string_view name);

  /// Begins with '/'. An empty one leaves the attribute out, and the browser takes the folder of the request's path.
  SetCookie& path(std::string_view path);
  /// A host name, which the answering host must be part of; its subdomains get the cookie too. Without a domain, which
  /// is an empty one, only the answering host does.
  SetCookie& domain(std::string_view domain);
  /// From when the browser drops it; at least one second. Browsers take no more than 400 days. Wins over expires().
  SetCookie& max_age(std::chrono::seconds age);
  /// Range: 1970 to 9999; what lies outside is clamped.
  SetCookie& expires(std::chrono::sys_seconds time) noexcept;
  /// Only over TLS. Demanded by SameSite::none, partitioned() and the prefixes "__Secure-" and "__Host-"; the latter
  /// demands the path "/" and no domain as well.
  SetCookie& secure(bool on = true) noexcept;
  /// Out of reach of scripts.
  SetCookie& http_only(bool on = true) noexcept;
  SetCookie& same_site(SameSite rule) noexcept;
  /// One jar for each top-level site (CHIPS).
  SetCookie& partitioned(bool on = true) noexcept;

  /// The field's value: "id=7; Path=/; HttpOnly; SameSite=Lax".
  std::string text() const;
  /// Adds a Set-Cookie field.
  void add_to(Response& response) const { response.header("Set-Cookie", text()); }

 private:
  void check_together() const;

  std::string name_;
  std::string value_;
  std::string path_{"/"};
  std::string domain_{};
  std::optional<std::chrono::seconds> max_age_{};
  std::optional<std::chrono::sys_seconds> expires_{};
  SameSite same_site_ = SameSite::lax;
  bool secure_ = false;
  bool http_only_ = true;
  bool partitioned_ = false;
};

}  // namespace sluice
