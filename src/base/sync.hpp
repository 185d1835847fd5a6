// sync.hpp: the primitives that the protocol between threads is written against, so that a checker can put its own
// in their place and run the very same code under every interleaving.
#pragma once

#include <atomic>
#include <mutex>

namespace sluice::base {

struct StdSync {
  template <class T>
  using Atomic = std::atomic<T>;
  using Mutex = std::mutex;
};

}  // namespace sluice::base
