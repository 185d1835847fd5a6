// limits.hpp: how large a request's head may be. Values only; the server checks them once, at start.
#pragma once

#include <cstdint>

namespace sluice::http {

/// Limits of one head. Larger values than head.hpp's capacities count as those.
struct HeadLimits {
  std::uint32_t head_bytes_max = 16'384;   // request line, fields and line ends; more is 431
  std::uint32_t fields_max = 100;          // more is 431
  std::uint32_t target_bytes_max = 8'192;  // more is 414; RFC 9112 3 wants at least 8000 to pass
};

}  // namespace sluice::http
