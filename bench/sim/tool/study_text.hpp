// study_text.hpp: a study for the terminal. In: a study. Out: text of at most 100 columns where names allow it. Pure.
#pragma once

#include <string>

#include "sim/tool/study.hpp"

namespace sluice::sim {

std::string study_text(const Study& study, bool color);

}  // namespace sluice::sim
