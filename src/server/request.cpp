#include <sluice/message.hpp>

#include "http/target.hpp"
#include "server/exchange.hpp"
#include "server/shard.hpp"

namespace sluice {
namespace {

const http::Field* find(const detail::Exchange& exchange, std::string_view name) noexcept {
  const http::Head& head = exchange.head;
  const http::Known known = http::recognise(name);
  if (known != http::Known::other) {
    const std::uint8_t first = head.first[static_cast<std::size_t>(known)];
    return first == 0 ? nullptr : &head.fields[first - 1];
  }
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const http::Field& field = head.fields[i];
    if (field.known != http::Known::other || field.name.size != name.size()) continue;
    if (http::equal_ignoring_case(field.name.in(exchange.head_bytes), name)) return &field;
  }
  return nullptr;
}

std::optional<std::string_view> find_query(const detail::Exchange& exchange, std::string_view name) noexcept {
  http::QueryScan scan{exchange.head.query.in(exchange.head_bytes)};
  while (const auto pair = scan.next()) {
    if (http::matches(pair->name, name)) return pair->value;
  }
  return std::nullopt;
}

}  // namespace

Method Request::method() const noexcept { return exchange_->head.method; }

std::string_view Request::target() const noexcept { return exchange_->head.target.in(exchange_->head_bytes); }

std::string_view Request::path() const noexcept {
  const std::string_view raw = exchange_->head.path.in(exchange_->head_bytes);
  if (raw.empty()) return target() == "*" ? std::string_view{"*"} : std::string_view{"/"};
  return raw.find('%') == std::string_view::npos ? raw : std::string_view{exchange_->path_scratch};
}

std::string_view Request::query_string() const noexcept { return exchange_->head.query.in(exchange_->head_bytes); }

unsigned Request::version_minor() const noexcept { return exchange_->head.version_minor; }

std::string_view Request::host() const noexcept { return exchange_->head.host.in(exchange_->head_bytes); }

std::string_view Request::header(std::string_view name) const noexcept {
  const http::Field* const field = find(*exchange_, name);
  return field == nullptr ? std::string_view{} : field->value.in(exchange_->head_bytes);
}

bool Request::has_header(std::string_view name) const noexcept { return find(*exchange_, name) != nullptr; }

std::size_t Request::header_count() const noexcept { return exchange_->head.field_count; }

HeaderView Request::header_at(std::size_t index) const noexcept {
  SLUICE_ASSERT(index < header_count());
  const http::Field& field = exchange_->head.fields[index];
  return {field.name.in(exchange_->head_bytes), field.value.in(exchange_->head_bytes)};
}

std::string_view Request::body() const noexcept { return exchange_->body; }

std::string_view Request::param(std::string_view name) const noexcept {
  const detail::Match& match = exchange_->match;
  for (std::size_t i = 0; i < match.param_count; ++i) {
    if (match.params[i].name == name) return match.params[i].value;
  }
  return {};
}

bool Request::has_param(std::string_view name) const noexcept {
  const detail::Match& match = exchange_->match;
  for (std::size_t i = 0; i < match.param_count; ++i) {
    if (match.params[i].name == name) return true;
  }
  return false;
}

std::string_view Request::query(std::string_view name) const {
  const auto raw = find_query(*exchange_, name);
  if (!raw) return {};
  if (raw->find_first_of("%+") == std::string_view::npos) return *raw;
  const std::lock_guard lock{exchange_->decoded_lock_};
  for (const auto& [place, text] : exchange_->decoded_) {
    if (place == raw->data()) return text;
  }
  std::string text;
  if (!http::percent_decode(*raw, text, true)) throw Problem{400, {}, "malformed percent-escape in the query"};
  exchange_->note_more();
  exchange_->decoded_.emplace_back(raw->data(), std::move(text));
  return exchange_->decoded_.back().second;
}

bool Request::has_query(std::string_view name) const { return find_query(*exchange_, name).has_value(); }

// Connection::dispatch counts the budget from there.
std::chrono::steady_clock::time_point Request::received_at() const noexcept {
  return exchange_->deadline - exchange_->budget;
}

std::chrono::steady_clock::time_point Request::deadline() const noexcept {
  return std::min(exchange_->deadline, exchange_->home().core().drain_deadline());
}

std::chrono::nanoseconds Request::remaining() const noexcept {
  const auto left = deadline() - exchange_->home().core().clock().now();
  return std::max<std::chrono::nanoseconds>(left, std::chrono::nanoseconds{0});
}

std::stop_token Request::stop_token() const { return exchange_->stop_token(); }

bool Request::stop_requested() const noexcept { return exchange_->stop_requested(); }

std::string_view Request::route() const noexcept {
  return exchange_->route == nullptr ? std::string_view{} : std::string_view{exchange_->route->pattern};
}

Peer Request::peer() const { return exchange_->peer(); }

OwnedRequest Request::to_owned() const {
  OwnedRequest owned;
  owned.method = method();
  owned.target = target();
  owned.path = path();
  for (std::size_t i = 0; i < header_count(); ++i) {
    const HeaderView field = header_at(i);
    owned.headers.emplace_back(field.name, field.value);
  }
  const detail::Match& match = exchange_->match;
  for (std::size_t i = 0; i < match.param_count; ++i) {
    owned.params.emplace_back(match.params[i].name, match.params[i].value);
  }
  owned.body = body();
  return owned;
}

}  // namespace sluice
