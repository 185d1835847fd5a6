// error.hpp: why a call of the system failed: the number for programs, a sentence for people.
#pragma once

#include <string>

namespace sluice::net {

struct Error {
  int number = 0;          // errno; 0 if the system was not asked
  std::string sentence{};  // names what was tried, without a full stop
};

}  // namespace sluice::net
