// signals.hpp: opt-in help for programs that want SIGTERM and SIGINT to drain their server.
#pragma once

#include <memory>

#include <sluice/server.hpp>

namespace sluice {

/// While it lives, SIGTERM and SIGINT drain the server; a second one stops it at once.
///   Thread:   make it before other threads are started: it blocks the two signals in the calling thread (and in
///             those started later) and takes them on a thread of its own.
///   Lifetime: must not outlive `server`; the destructor restores the caller's signal mask.
class DrainOnSignal {
 public:
  explicit DrainOnSignal(Server& server);
  ~DrainOnSignal();
  DrainOnSignal(const DrainOnSignal&) = delete;
  DrainOnSignal& operator=(const DrainOnSignal&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
