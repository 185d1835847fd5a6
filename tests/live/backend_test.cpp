// Which backend a server says it runs on, and that it really does: in the report, in the log, and in what the process has
// open. The other tests of this folder run over both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>

#include "net/uring_probe.hpp"
#include "support/live_server.hpp"

namespace sluice::live {
namespace {

class BackendOf : public LiveTest {
 protected:
  BackendOf() {
    app.get("/", [](const Request&) { return text("plain"); });
    options.log = [this](const LogEvent& event) {
      const std::lock_guard lock{lock_};
      if (event.what == "backend") line_ = event.detail;
    };
  }
  std::string line() {
    const std::lock_guard lock{lock_};
    return line_;
  }
  /// Descriptors of this process that are of that kind, as /proc names it.
  static unsigned open_of_kind(const std::string& kind) {
    unsigned count = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
      std::error_code gone;
      count += std::filesystem::read_symlink(entry.path(), gone).native() == "anon_inode:" + kind;
    }
    return count;
  }

 private:
  std::mutex lock_;
  std::string line_;
};

TEST_F(BackendOf, IsTheOneThatWasAskedForOrIoUringAndServes) {
  const bool there = net::probe_uring().has_value();
  const bool uring = options.backend == Backend::io_uring || (options.backend == Backend::automatic && there);
  const unsigned rings = open_of_kind("[io_uring]");
  serve();
  const std::string name = uring ? "io_uring" : "epoll";
  EXPECT_EQ(server->backend(), name);
  EXPECT_EQ(server->report().backend, name);
  EXPECT_THAT(line(), testing::StartsWith(name + " ("));
  EXPECT_EQ(open_of_kind("[io_uring]") - rings, uring ? 2u : 0u) << "one for each loop";
  Client talker = client();
  talker.get("/");
  EXPECT_EQ(talker.read().body, "plain");
}

TEST_F(BackendOf, IsKnownBeforeTheServerStarts) {
  options.backend = Backend::epoll;
  server = std::make_unique<Server>(std::move(app), options);
  EXPECT_EQ(server->backend(), "epoll");
}

TEST_F(BackendOf, IsAnErrorIfItWasAskedForByNameAndCantBeHad) {
  options.backend = Backend::io_uring;
  try {
    server = std::make_unique<Server>(std::move(app), options);
    EXPECT_EQ(server->backend(), "io_uring");
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("backend: io_uring can't be had: "));
  }
}

}  // namespace
}  // namespace sluice::live
