// cookies.cpp: pairs out of Cookie fields, Set-Cookie values. Any one thread; no I/O.
#include <sluice/extra/cookies.hpp>

#include <algorithm>
#include <stdexcept>

#include "http/date.hpp"
#include "http/fields.hpp"

namespace sluice {
namespace {

/// cookie-octet. Source: RFC 6265 4.1.1.
bool is_cookie_octet(char c) noexcept { return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\'; }

bool valid_cookie_value(std::string_view value) noexcept {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  return std::all_of(value.begin(), value.end(), is_cookie_octet);
}

/// av-octet: what an attribute's value may hold. Source: RFC 6265 4.1.1.
bool valid_attribute(std::string_view value) noexcept {
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c < 0x7f && c != ';'; });
}

bool is_alphanumeric(char c) noexcept { return http::is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool valid_label(std::string_view label) noexcept {
  constexpr std::size_t label_bytes_max = 63;
  return !label.empty() && label.size() <= label_bytes_max && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), [](char c) { return is_alphanumeric(c) || c == '-'; });
}

/// Letters, digits and hyphens between dots. Source: RFC 1034 3.5, RFC 1123 2.1.
bool valid_domain(std::string_view domain) noexcept {
  constexpr std::size_t domain_bytes_max = 253;
  if (domain.size() > domain_bytes_max) return false;
  for (std::size_t dot = domain.find('.'); dot != std::string_view::npos; dot = domain.find('.')) {
    if (!valid_label(domain.substr(0, dot))) return false;
    domain.remove_prefix(dot + 1);
  }
  return valid_label(domain);
}

/// Browsers compare the prefixes without case.
bool has_prefix(std::string_view name, std::string_view prefix) noexcept {
  return http::equal_ignoring_case(name.substr(0, prefix.size()), prefix);
}

constexpr std::string_view secure_prefix = "__Secure-";
constexpr std::string_view host_prefix = "__Host-";

std::string_view same_site_text(SameSite rule) noexcept {
  switch (rule) {
    case SameSite::strict: return "Strict";
    case SameSite::lax: return "Lax";
    case SameSite::none: return "None";
  }
  return "Lax";
}

}  // namespace

bool Cookies::Iterator::next_field() noexcept {
  if (request_ == nullptr) return false;
  while (next_header_ < request_->header_count()) {
    const HeaderView header = request_->header_at(next_header_++);
    if (!http::equal_ignoring_case(header.name, "Cookie")) continue;
    rest_ = header.value;
    return true;
  }
  return false;
}

void Cookies::Iterator::advance() noexcept {
  do {
    while (!rest_.empty()) {
      const std::size_t end = rest_.find(';');
      const std::string_view pair = http::trim_ows(rest_.substr(0, end));
      rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos) continue;
      cookie_ = {pair.substr(0, equals), pair.substr(equals + 1)};
      if (http::valid_field_name(cookie_.name) && valid_cookie_value(cookie_.value)) return;  // both names are tokens
    }
  } while (next_field());
  done_ = true;
}

std::optional<std::string_view> Cookies::find(std::string_view name) const noexcept {
  for (const Cookie& cookie : *this) {
    if (cookie.name == name) return cookie.value;
  }
  return std::nullopt;
}

SetCookie::SetCookie(std::string_view name, std::string_view value) : name_{name}, value_{value} {
  if (!http::valid_field_name(name)) {
    throw std::invalid_argument{"SetCookie: the name is empty or has a character that no cookie's name may have."};
  }
  if (!valid_cookie_value(value)) {
    throw std::invalid_argument{"SetCookie: the value of " + name_ +
                                " has a character that no cookie may hold; encode it, for example in base64."};
  }
  if (name.size() + value.size() > pair_bytes_max) {
    throw std::invalid_argument{"SetCookie: name and value have more than 4096 bytes, which browsers drop."};
  }
}

SetCookie SetCookie::expire(std::string_view name) {
  SetCookie cookie{name, ""};
  cookie.expires(std::chrono::sys_seconds{});
  cookie.secure(has_prefix(name, secure_prefix) || has_prefix(name, host_prefix));
  return cookie;
}

SetCookie& SetCookie::path(std::string_view path) {
  if (!path.empty() && path.front() != '/') throw std::invalid_argument{"SetCookie: a path begins with '/'."};
  if (path.size() > attribute_bytes_max) {
    throw std::invalid_argument{"SetCookie: the path has more than 1024 bytes, which browsers ignore."};
  }
  if (!valid_attribute(path)) {
    throw std::invalid_argument{"SetCookie: the path has a semicolon, a control character or one that is not ASCII."};
  }
  if (path.ends_with(' ')) throw std::invalid_argument{"SetCookie: the path ends in a blank, which browsers cut off."};
  path_ = path;
  return *this;
}

SetCookie& SetCookie::domain(std::string_view domain) {
  if (!domain.empty() && !valid_domain(domain)) {
    throw std::invalid_argument{"SetCookie: the domain is not a host name such as example.com, without a leading dot."};
  }
  domain_ = domain;
  return *this;
}

SetCookie& SetCookie::max_age(std::chrono::seconds age) {
  if (age < std::chrono::seconds{1}) {
    throw std::invalid_argument{"SetCookie: a maximum age is at least one second; use SetCookie::expire() to delete."};
  }
  max_age_ = age;
  return *this;
}

SetCookie& SetCookie::expires(std::chrono::sys_seconds time) noexcept {
  expires_ = time;
  return *this;
}

SetCookie& SetCookie::secure(bool on) noexcept {
  secure_ = on;
  return *this;
}

SetCookie& SetCookie::http_only(bool on) noexcept {
  http_only_ = on;
  return *this;
}

SetCookie& SetCookie::same_site(SameSite rule) noexcept {
  same_site_ = rule;
  return *this;
}

SetCookie& SetCookie::partitioned(bool on) noexcept {
  partitioned_ = on;
  return *this;
}

void SetCookie::check_together() const {
  if (!secure_) {
    if (has_prefix(name_, secure_prefix)) throw std::invalid_argument{"SetCookie: a __Secure- name needs secure()."};
    if (has_prefix(name_, host_prefix)) throw std::invalid_argument{"SetCookie: a __Host- name needs secure()."};
    if (same_site_ == SameSite::none) throw std::invalid_argument{"SetCookie: SameSite::none needs secure()."};
    if (partitioned_) throw std::invalid_argument{"SetCookie: partitioned() needs secure()."};
  }
  if (has_prefix(name_, host_prefix) && (path_ != "/" || !domain_.empty())) {
    throw std::invalid_argument{"SetCookie: a __Host- name needs the path / and no domain."};
  }
}

std::string SetCookie::text() const {
  check_together();
  std::string text;
  text.reserve(name_.size() + value_.size() + path_.size() + domain_.size() + 160);
  text.append(name_).append("=").append(value_);
  if (!path_.empty()) text.append("; Path=").append(path_);
  if (!domain_.empty()) text.append("; Domain=").append(domain_);
  if (max_age_) text.append("; Max-Age=").append(std::to_string(max_age_->count()));
  if (expires_) {
    char date[http::http_date_size];
    http::write_http_date(date, static_cast<std::time_t>(expires_->time_since_epoch().count()));
    text.append("; Expires=").append(date, sizeof date);
  }
  if (secure_) text.append("; Secure");
  if (http_only_) text.append("; HttpOnly");
  text.append("; SameSite=").append(same_site_text(same_site_));
  if (partitioned_) text.append("; Partitioned");
  return text;
}

}  // namespace sluice
