// multipart_reading.hpp: a multipart body, fed in pieces, as a list of events that can be compared. Each piece lies in
// memory of its own that is gone before the next one comes, so that a view kept too long is seen by AddressSanitizer.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/extra/multipart.hpp>

namespace sluice::test {

/// A part's head, written out.
inline std::string describe(const MultipartHead& head) {
  std::string text = "part '" + head.name + "'";
  if (head.filename) text += " file '" + *head.filename + "'";
  if (!head.content_type.empty()) text += " type '" + std::string{head.content_type} + "'";
  for (const HeaderView& field : head.fields) {
    text += " | " + std::string{field.name} + ": " + std::string{field.value};
  }
  return text;
}

inline std::string describe(const Problem& problem) {
  return "error " + std::to_string(problem.status()) + " " + problem.detail();
}

/// Collects a parser's events. Neighbouring stretches of data are one event: where they are cut is nobody's business.
class MultipartReading {
 public:
  explicit MultipartReading(const MultipartBoundary& boundary, const MultipartLimits& limits = {})
      : parser_{boundary, limits} {}

  /// False once the parser has failed.
  bool feed(std::string_view bytes) {
    const std::unique_ptr<char[]> memory{new char[bytes.size()]};
    std::copy(bytes.begin(), bytes.end(), memory.get());
    std::string_view rest{memory.get(), bytes.size()};
    for (;;) {
      const MultipartParser::Step step = parser_.next(rest);
      if (step.consumed > rest.size()) faults_ += "consumed too much;";
      rest.remove_prefix(std::min(step.consumed, rest.size()));
      if (step.kind == MultipartParser::Kind::need_more && !rest.empty()) faults_ += "left bytes over;";
      if (step.kind == MultipartParser::Kind::need_more) return true;
      note(step);
      if (step.kind == MultipartParser::Kind::error) return false;
    }
  }
  void finish() { note(parser_.finish()); }

  const std::vector<std::string>& events() const { return events_; }
  /// What the parser did against its contract; empty if nothing.
  const std::string& faults() const { return faults_; }

 private:
  using Kind = MultipartParser::Kind;

  void note(const MultipartParser::Step& step) {
    if ((step.kind == Kind::data) == step.data.empty()) faults_ += "data in the wrong place;";
    switch (step.kind) {
      case Kind::need_more: break;
      case Kind::part: events_.push_back(describe(parser_.head())); break;
      case Kind::data:
        if (last_ != Kind::data) events_.emplace_back("data ");
        events_.back() += step.data;
        break;
      case Kind::part_end: events_.emplace_back("part end"); break;
      case Kind::end: events_.emplace_back("end"); break;
      case Kind::error: events_.push_back(describe(parser_.problem())); break;
    }
    last_ = step.kind;
  }

  MultipartParser parser_;
  std::vector<std::string> events_{};
  std::string faults_{};
  Kind last_ = Kind::need_more;
};

/// All events of a body that is cut into pieces of these sizes; what is left comes as a last piece.
inline std::vector<std::string> read_in_pieces(std::string_view body, const std::vector<std::size_t>& sizes,
                                               const MultipartBoundary& boundary, const MultipartLimits& limits = {}) {
  MultipartReading reading{boundary, limits};
  bool more = true;
  for (const std::size_t size : sizes) {
    if (!more) break;
    const std::string_view piece = body.substr(0, size);
    body.remove_prefix(piece.size());
    more = reading.feed(piece);
  }
  if (more && reading.feed(body)) reading.finish();
  std::vector<std::string> events = reading.events();
  if (!reading.faults().empty()) events.push_back("fault: " + reading.faults());
  return events;
}

}  // namespace sluice::test
