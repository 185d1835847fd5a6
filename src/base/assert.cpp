#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace sluice::base {

void assert_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "sluice: broken invariant: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace sluice::base
