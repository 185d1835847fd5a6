// live_server.hpp: the fixture of tests with real sockets: a server on a port of the kernel's choice, and the promise
// that no thread, no descriptor and no unbalanced counter is left when a test ends. Thread: the test's.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/live_client.hpp"

namespace sluice::live {

/// How many entries a folder has, for example /proc/self/task.
std::size_t entries(const char* folder);
/// Asks again and again, for 20 s at most, without sleeping.
bool soon(const std::function<bool()>& holds);

/// SLUICE_IO names it, as the showcase's flag --io does; unset: automatic.
Backend backend_of_environment();

class LiveTest : public ::testing::Test {
 protected:
  LiveTest();
  void SetUp() override;
  void TearDown() override;

  /// A server of `app` and `options`, started.
  Server& serve();
  std::string address(std::size_t index = 0) const { return server->addresses().at(index); }
  Client client(std::size_t index = 0) const { return Client{address(index)}; }
  LaneCounters lane(std::string_view name) const;
  std::vector<std::string> logged() const;

  Router app;
  ServerOptions options;
  std::unique_ptr<Server> server;

 private:
  std::size_t threads_before_ = 0;
  std::size_t descriptors_before_ = 0;
  mutable std::mutex lock_;
  std::vector<std::string> log_;  // under it
};

}  // namespace sluice::live
