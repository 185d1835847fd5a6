// assert.hpp: checks for bugs in this library, on in every build. Never for what a peer sent.
#pragma once

namespace sluice::base {

/// Prints the broken rule to standard error and aborts the process.
[[noreturn]] void assert_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace sluice::base

#define SLUICE_ASSERT(expression) \
  (__builtin_expect(static_cast<bool>(expression), 1) \
       ? static_cast<void>(0) \
       : ::sluice::base::assert_failed(#expression, __FILE__, __LINE__))
