// uring_models.hpp: UringIo in the forms that the same tests run over, each made without arguments, and the fixture
// that skips a test where this machine has no io_uring.
#pragma once

#include <gtest/gtest.h>

#include <expected>
#include <type_traits>

#include "net/uring_io.hpp"
#include "net/uring_probe.hpp"

namespace sluice::net {

// Bits of the kernel's interface, which only one file of the library includes.
inline constexpr unsigned flag_single_issuer = 1u << 12;  // Linux 6.0
inline constexpr unsigned flag_deferred = 1u << 13;  // Linux 6.1

inline const std::expected<UringTraits, Error>& uring_traits() {
  static const std::expected<UringTraits, Error> traits = probe_uring();
  return traits;
}

/// As a server has it, but that one connection is enough for it to send through the ring.
struct UringModel : UringIo {
  explicit UringModel(UringOptions options = {}) : UringIo{with_traits(options)} {}
  static UringOptions with_traits(UringOptions options) {
    options.skip_success = uring_traits().has_value() && uring_traits()->skips_success;
    options.rings_when_quiet = true;
    return options;
  }
};
/// As on Linux 6.0, and every send has its event.
struct OldUringModel : UringIo {
  OldUringModel() : UringIo{UringOptions{.rings_when_quiet = true, .refused_flags = flag_deferred}} {}
};
/// As a server has it.
struct ServedUringModel : UringIo {
  ServedUringModel() : UringIo{served_options()} {}
  static UringOptions served_options() {
    UringOptions options = UringModel::with_traits({});
    options.rings_when_quiet = false;
    return options;
  }
};
struct FewBuffersModel : UringModel {
  FewBuffersModel() : UringModel{UringOptions{.buffers = 8}} {}
};
/// Everything is always full: the queue of operations, that of events, and the buffers.
struct SmallUringModel : UringModel {
  SmallUringModel() : UringModel{UringOptions{.submissions = 2, .completions = 4, .buffers = 8}} {}
};

template <class IoType>
class TestOf : public testing::Test {
 protected:
  void SetUp() override {
    if constexpr (std::is_base_of_v<UringIo, IoType>) {
      if (!uring_traits()) GTEST_SKIP() << "no io_uring here: " << uring_traits().error().sentence;
    }
  }
};

}  // namespace sluice::net
