// report_page.cpp: fills the page's template. The JSON goes in with every "<" escaped, which JSON allows wherever one
// can stand, so neither "</script>" nor "<!--" is left to be found by a reader of HTML. What those without JavaScript
// get is a sentence with the results' names. Any thread; no I/O.
#include "load/output/report_page.hpp"

#include <algorithm>
#include <cstddef>

namespace sluice::bench {
namespace {

constexpr std::size_t named_results_max = 20;  // in the sentence
constexpr std::size_t depth_of_results = 3;    // {"results":[{ here

void append_json(std::string& out, std::string_view json) {
  constexpr std::string_view line_separator = "\xE2\x80\xA8";
  constexpr std::string_view paragraph_separator = "\xE2\x80\xA9";
  while (!json.empty()) {
    const std::size_t plain = std::min(json.find_first_of("<\xE2"), json.size());
    out += json.substr(0, plain);
    json.remove_prefix(plain);
    if (json.empty()) return;
    if (json.starts_with('<')) {
      out += "\\u003c";
      json.remove_prefix(1);
    } else if (json.starts_with(line_separator) || json.starts_with(paragraph_separator)) {
      out += json.starts_with(line_separator) ? "\\u2028" : "\\u2029";
      json.remove_prefix(line_separator.size());
    } else {
      out += json.front();
      json.remove_prefix(1);
    }
  }
}

/// Text for HTML. Escapes of JSON stay as they are; they are rare in names and do no harm.
void append_html(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
}

/// One step through a JSON text: brackets, strings, and everything else byte by byte.
class Scanner {
 public:
  explicit Scanner(std::string_view json) noexcept : rest_{json} {}

  bool done() const noexcept { return rest_.empty(); }
  std::size_t depth() const noexcept { return depth_; }

  /// The next byte; for a string its opening quote, and text() is what it holds.
  char next() noexcept {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '{' || c == '[') ++depth_;
    if ((c == '}' || c == ']') && depth_ > 0) --depth_;
    if (c == '"') take_string();
    return c;
  }
  std::string_view text() const noexcept { return text_; }
  bool followed_by(std::string_view what) const noexcept { return rest_.starts_with(what); }

 private:
  void take_string() noexcept {
    std::size_t end = 0;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    end = std::min(end, rest_.size());
    text_ = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
  }

  std::string_view rest_;  // of the caller's JSON
  std::string_view text_{};
  std::size_t depth_ = 0;
};

/// A result's key figures for the sentence; views of the JSON.
struct Named {
  std::string_view kind{}, name{};
  bool valid = true;
};

void append_named(std::string& out, const Named& result) {
  out += ' ';
  append_html(out, result.kind);
  out += " \xE2\x80\x9C";
  append_html(out, result.name);
  out += result.valid ? "\xE2\x80\x9D, valid;" : "\xE2\x80\x9D, INVALID;";
}

std::string summary(std::string_view json) {
  std::string names;
  std::size_t count = 0;
  bool complete = true;
  Named result;
  Scanner scan{json};
  while (!scan.done()) {
    const char c = scan.next();
    if (c == '}' && scan.depth() + 1 == depth_of_results) {
      if (++count <= named_results_max) append_named(names, result);
      result = {};
    }
    if (c != '"' || !scan.followed_by(":")) continue;
    const std::string_view key = scan.text();
    if (scan.depth() == 1 && key == "complete" && scan.followed_by(":false")) complete = false;
    if (scan.depth() != depth_of_results) continue;
    if (key == "valid" && scan.followed_by(":false")) result.valid = false;
    if ((key == "kind" || key == "name") && scan.followed_by(":\"")) {
      scan.next();
      scan.next();
      (key == "kind" ? result.kind : result.name) = scan.text();
    }
  }
  if (count > named_results_max) names += " and others;";
  if (!names.empty()) names.back() = '.';
  return "This load test report draws itself with JavaScript, which is switched off here. It holds " +
         std::to_string(count) + (count == 1 ? " result:" : " results:") + names +
         (complete ? "" : " The report is INCOMPLETE.") + " All figures are in this file as JSON.";
}

}  // namespace

std::string report_page(std::string_view report_json) {
  const ReportSources sources = report_sources();
  constexpr std::string_view mark_begin = "<!-- @";
  constexpr std::string_view mark_end = " -->";
  std::string page;
  page.reserve(report_json.size() + report_json.size() / 64 + 200'000);
  std::string_view rest = sources.html;
  for (std::size_t at = rest.find(mark_begin); at != std::string_view::npos; at = rest.find(mark_begin)) {
    page += rest.substr(0, at);
    rest.remove_prefix(at + mark_begin.size());
    const std::size_t end = rest.find(mark_end);
    const std::string_view mark = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + mark_end.size()));
    if (mark == "style") page += sources.style;
    if (mark == "summary") page += summary(report_json);
    if (mark == "data") append_json(page, report_json);
    if (mark != "script") continue;
    page += "\"use strict\";\n(() => {\n";
    for (const std::string_view script : sources.scripts) page += script;
    page += "})();";
  }
  page += rest;
  return page;
}

}  // namespace sluice::bench
