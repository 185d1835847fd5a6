// page.hpp: a study as one HTML document that needs nothing else: no file, no network, no server.
// In: the study's JSON. Out: the page of bench/sim/page.js, drawn with the charts of bench/report. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::sim {

/// `json`: of study_json(). Complete from doctype to </html>.
std::string study_page(std::string_view json);

/// What bench/sim/embed.cmake compiled in. Views of static storage.
struct PageSources {
  std::string_view html{}, script{};
};
PageSources page_sources() noexcept;

}  // namespace sluice::sim
