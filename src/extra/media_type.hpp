// media_type.hpp: field values of the form `value; name=value; name="value"`, and the type of a request's body.
// In: a field's value. Out: its parts, as views into it. Any thread; no state, no I/O.
// It must never guess: what the grammar does not allow is malformed.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/message.hpp>
#include <sluice/problem.hpp>

namespace sluice::detail {

/// One `name=value`; views into the field's value.
struct Parameter {
  std::string_view name;
  std::string_view value;  // without the quotes, its backslashes still there
  bool quoted = false;
};

/// Goes through the parameters of a field value, once, without allocating.
///   Source: RFC 9110 5.6.6: white space around ';' but none around '='; empty parameters are skipped.
class ParameterScan {
 public:
  explicit ParameterScan(std::string_view field) noexcept;

  /// What stands before the first ';', trimmed.
  std::string_view value() const noexcept { return value_; }
  /// The next parameter; nothing at the end and at what is malformed.
  std::optional<Parameter> next() noexcept;
  /// Whether next() stopped before the end.
  bool malformed() const noexcept { return malformed_; }

 private:
  std::optional<Parameter> give_up() noexcept;

  std::string_view value_;
  std::string_view rest_;  // empty, or begins with ';'
  bool malformed_ = false;
};

/// A parameter's value with its quoted pairs undone. Source: RFC 9110 5.6.4.
std::string unquote(const Parameter& parameter);

/// The request's Content-Type; an empty view if there is none.
///   Errors: 400 for more than one such field: two readers would each believe another.
std::expected<std::string_view, Problem> one_content_type(const Request& request);

/// 415 that names the type wanted. Source: RFC 9110 15.5.16.
Problem wrong_type(std::string_view wanted);

}  // namespace sluice::detail
