// study_json.hpp: a study as JSON, schema "sluice-sim/1"; bench/sim/README.md lists keys and units.
// In: a study. Out: one document, the same bytes for the same file on every machine. Pure.
#pragma once

#include <string>

#include "sim/tool/study.hpp"

namespace sluice::sim {

/// Holds neither "<" nor the line separators U+2028 and U+2029 as they are, so that a page may have it inside.
std::string study_json(const Study& study);

}  // namespace sluice::sim
