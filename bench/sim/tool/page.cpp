#include "sim/tool/page.hpp"

#include <algorithm>

#include "load/output/report_page.hpp"

namespace sluice::sim {

std::string study_page(std::string_view json) {
  const bench::ReportSources report = bench::report_sources();
  const PageSources own = page_sources();
  std::string page;
  std::string_view rest = own.html;
  constexpr std::string_view begin = "<!-- @", end = " -->";
  for (std::size_t at = rest.find(begin); at != std::string_view::npos; at = rest.find(begin)) {
    page += rest.substr(0, at);
    rest.remove_prefix(at + begin.size());
    const std::string_view mark = rest.substr(0, rest.find(end));
    rest.remove_prefix(std::min(rest.size(), mark.size() + end.size()));
    if (mark == "style") page += report.style;
    if (mark == "data") page += json;
    if (mark != "script") continue;
    page += "\"use strict\";\n(() => {\n";
    // The last one puts the report of a load test together; this page has its own.
    for (const std::string_view script : report.scripts.first(report.scripts.size() - 1)) page += script;
    page += own.script;
    page += "})();";
  }
  page += rest;
  return page;
}

}  // namespace sluice::sim
