// report_page.hpp: a report as one HTML document that needs nothing else: no file, no network, no server.
// In: the JSON of kind "report". Out: the page of bench/report with that JSON inside, which draws itself.
// Thread: any; no I/O. No text of the report may ever become markup or end the element that holds it.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice::bench {

/// The page's sources, compiled in by bench/report/embed.cmake. Views of static storage.
struct ReportSources {
  std::string_view html{};  // with <!-- @style -->, <!-- @summary -->, <!-- @data --> and <!-- @script --> in it
  std::string_view style{};
  std::span<const std::string_view> scripts{};  // in this order
};
ReportSources report_sources() noexcept;

/// The page that shows `report_json`, UTF-8, complete from doctype to </html>.
///   Errors: none; of text that is no JSON the page says so when it is opened.
///   Cost:   one string; about 150 KB more than the JSON.
std::string report_page(std::string_view report_json);

}  // namespace sluice::bench
