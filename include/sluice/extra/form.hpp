// form.hpp: the fields of an HTML form sent as application/x-www-form-urlencoded. A body in, fields out, as views
// into it. Any one thread; no I/O. It must never let a malformed escape through.
#pragma once

#include <cstddef>
#include <expected>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/message.hpp>
#include <sluice/problem.hpp>
#include <sluice/value.hpp>

namespace sluice {

/// A decoded name or value: a view into the form's bytes, or a string of its own if it was escaped.
///   Text:     any bytes, NUL and malformed UTF-8 included; check what you need.
///   Lifetime: as the form's bytes. The view ends with this object, so a temporary gives none: name it first.
class FormText {
 public:
  FormText() noexcept = default;

  std::string_view view() const& noexcept { return owned_ ? std::string_view{*owned_} : raw_; }
  std::string_view view() const&& = delete;
  operator std::string_view() const& noexcept { return view(); }
  operator std::string_view() const&& = delete;
  /// A copy that may outlive everything.
  std::string str() const& { return std::string{view()}; }
  std::string str() && { return owned_ ? *std::move(owned_) : std::string{raw_}; }
  bool empty() const noexcept { return view().empty(); }

  friend bool operator==(const FormText& a, const FormText& b) noexcept { return a.view() == b.view(); }
  friend bool operator==(const FormText& a, std::string_view b) noexcept { return a.view() == b; }

 private:
  friend class FormFields;
  explicit FormText(std::string_view raw);

  std::string_view raw_{};  // owned by who owns the form's bytes; unused if owned_ is set
  std::optional<std::string> owned_{};
};

/// One field of a form.
struct FormField {
  FormText name;
  FormText value;  // empty if there was no '='
};

/// The fields of an urlencoded form, in the order sent; the same name may come more than once. A view type.
///
///   const sluice::FormFields fields = sluice::form(request);
///   const auto amount = fields.value<std::uint32_t>("amount");           // 400 if it is missing or no number
///   for (const sluice::FormField& field : fields) log(field.name, field.value);
///
///   Lifetime: as the bytes it was made from: of a Request's body as long as the request.
///   Cost:     reading checks once and allocates nothing; each look-up is one pass; a name or value is copied only
///             if it is escaped ('%' or '+').
///   Source:   WHATWG URL, application/x-www-form-urlencoded parsing; but a malformed escape is an error, not text.
class FormFields {
 public:
  /// Enough for any form made by hand, and few enough that a look-up per field stays cheap.
  static constexpr std::size_t fields_max_default = 1'000;

  /// Checks every escape and counts the fields, so that nothing that follows can fail.
  ///   Errors: 400 for a malformed escape, 413 for more than `fields_max` fields.
  [[nodiscard]] static std::expected<FormFields, Problem> read(std::string_view text,
                                                               std::size_t fields_max = fields_max_default);
  /// No fields.
  FormFields() noexcept = default;

  /// Decodes a field when it is asked for; reading it twice decodes it twice.
  class Iterator {
   public:
    using iterator_concept = std::forward_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = FormField;
    using difference_type = std::ptrdiff_t;

    Iterator() noexcept = default;
    FormField operator*() const;
    Iterator& operator++() noexcept;
    Iterator operator++(int) noexcept {
      Iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept {
      return a.name_.data() == b.name_.data() && a.at_end_ == b.at_end_;
    }

   private:
    friend class FormFields;
    explicit Iterator(std::string_view text) noexcept : rest_{text}, at_end_{false} { ++*this; }

    std::string_view name_{};   // raw
    std::string_view value_{};  // raw
    std::string_view rest_{};
    bool at_end_ = true;
  };

  Iterator begin() const noexcept { return size_ == 0 ? Iterator{} : Iterator{text_}; }
  Iterator end() const noexcept { return {}; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  bool has(std::string_view name) const noexcept;
  /// The first value of that name, or nothing.
  std::optional<FormText> first(std::string_view name) const;
  /// Every value of that name, in the order sent.
  std::vector<FormText> all(std::string_view name) const;

  /// The first value of that name as T (integers, floating point, bool, std::string).
  ///   Errors: throws Problem 400 if it is absent or is no T.
  template <Value T>
  T value(std::string_view name) const {
    auto value = try_value<T>(name);
    if (!value) throw std::move(value).error();
    return *std::move(value);
  }
  /// The same, or `fallback` if absent. Errors: throws Problem 400 if it is there but no T.
  template <Value T>
  T value(std::string_view name, T fallback) const {
    return has(name) ? value<T>(name) : std::move(fallback);
  }
  template <Value T>
  std::expected<T, Problem> try_value(std::string_view name) const {
    const std::optional<FormText> text = first(name);
    if (!text) return std::unexpected(missing_value(kind, name));
    if (auto value = parse_value<T>(text->view())) return *std::move(value);
    return std::unexpected(bad_value(kind, name, value_name<T>()));
  }

 private:
  static constexpr std::string_view kind = "form field";
  FormFields(std::string_view text, std::size_t size) noexcept : text_{text}, size_{size} {}

  std::string_view text_{};  // owned by the caller; every escape in it is well-formed
  std::size_t size_ = 0;
};

/// Whether a Content-Type is that of an urlencoded form.
///   Errors: 415 for another type, for none, and for a charset other than UTF-8: the format is UTF-8 by definition, and
///           guessing would turn one name into another. Other parameters are ignored. 400 if it is malformed.
[[nodiscard]] std::expected<void, Problem> check_form_type(std::string_view content_type);

/// The form in a request's body; views into it.
///   Errors: those of check_form_type() and FormFields::read(); 400 for more than one Content-Type.
[[nodiscard]] std::expected<FormFields, Problem> try_form(const Request& request,
                                                          std::size_t fields_max = FormFields::fields_max_default);
/// The same; throws the Problem, which the error boundary turns into the answer.
FormFields form(const Request& request, std::size_t fields_max = FormFields::fields_max_default);

}  // namespace sluice
