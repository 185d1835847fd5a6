// Which backend is taken: with all of io_uring, with an older one, with none, and where it is forbidden.
#include "net/choose.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>

#include "child.hpp"
#include "rigs.hpp"

namespace sluice::net {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// The choice as text: how many rings, and the reason; or the refusal.
std::string text_of(Wanted wanted, unsigned loops = 2, const UringOptions& options = {}) {
  const auto choice = choose(wanted, loops, options);
  if (!choice) return "refused: " + choice.error();
  return std::to_string(choice->rings.size()) + " rings: " + choice->reason;
}

class ChooseUring : public TestOf<UringIo> {};

TEST(Choose, TakesEpollWhenAskedTo) { EXPECT_EQ(text_of(Wanted::epoll), "0 rings: epoll (asked for)"); }

TEST_F(ChooseUring, OpensARingForEachLoop) {
  EXPECT_THAT(text_of(Wanted::io_uring, 3), StartsWith("3 rings: io_uring (asked for"));
  EXPECT_THAT(text_of(Wanted::automatic, 1), StartsWith("1 rings: io_uring (taken automatically"));
}

TEST_F(ChooseUring, TakesTheFormOfLinux60OnlyWhenAskedByName) {
  const UringOptions older{.refused_flags = flag_deferred};
  EXPECT_THAT(text_of(Wanted::io_uring, 1, older), HasSubstr("in the form of Linux 6.0"));
  EXPECT_EQ(text_of(Wanted::automatic, 1, older), "0 rings: epoll (this kernel's io_uring is older than Linux 6.1)");
}

TEST_F(ChooseUring, RefusesAKernelBefore60) {
  const UringOptions old{.refused_flags = flag_single_issuer};
  EXPECT_EQ(text_of(Wanted::io_uring, 1, old),
            "refused: io_uring can't be had: this kernel's io_uring is older than Linux 6.0");
  EXPECT_EQ(text_of(Wanted::automatic, 1, old), "0 rings: epoll (this kernel's io_uring is older than Linux 6.0)");
}

TEST_F(ChooseUring, SaysWhyWhereASandboxForbidsIt) {
  const std::string forbidden = ask_in_child([] {
    if (!forbid_io_uring(EPERM)) return std::string{"no seccomp"};
    return text_of(Wanted::io_uring) + " / " + text_of(Wanted::automatic);
  });
  const std::string hidden = ask_in_child([] {
    if (!forbid_io_uring(ENOSYS)) return std::string{"no seccomp"};
    return text_of(Wanted::io_uring) + " / " + text_of(Wanted::automatic);
  });
  if (forbidden == "no seccomp") GTEST_SKIP() << "this machine allows no seccomp filter";
  const std::string not_allowed =
      "this system does not allow io_uring (kernel.io_uring_disabled, or the container's seccomp profile)";
  EXPECT_EQ(forbidden, "refused: io_uring can't be had: " + not_allowed + " / 0 rings: epoll (" + not_allowed + ")");
  const std::string not_there = "this kernel has no io_uring, or a sandbox hides it";
  EXPECT_EQ(hidden, "refused: io_uring can't be had: " + not_there + " / 0 rings: epoll (" + not_there + ")");
}

/// As somebody without privileges, who may lock 64 KiB.
bool become_small() {
  const rlimit little{65'536, 65'536};
  if (::setrlimit(RLIMIT_MEMLOCK, &little) != 0) return false;
  return ::geteuid() != 0 || (::setgid(65'534) == 0 && ::setuid(65'534) == 0);
}

TEST_F(ChooseUring, MakesItsQueuesSmallerWhereLittleMemoryMayBeLocked) {
  const std::string answer = ask_in_child([] {
    if (!become_small()) return std::string{"still large"};
    auto ring = UringRing::open({});
    if (!ring) return ring.error().sentence;
    if (ring->completions() == 4096 && ring->buffers() == 256) return std::string{"nothing is charged"};
    const bool smaller = ring->completions() < 4096 && ring->completions() >= 1024;
    ring = UringRing::open({.submissions = 8, .completions = 64, .buffers = 8});  // what the first one left
    return std::string{smaller ? "smaller" : "of another size"};
  });
  if (answer == "still large" || answer == "nothing is charged") GTEST_SKIP() << answer;
  EXPECT_EQ(answer, "smaller");
}

TEST_F(ChooseUring, TakesEpollForAllLoopsWhereMemoryDoesNotSufficeForAll) {
  const std::string answer = ask_in_child([] {
    if (!become_small()) return std::string{"still large"};
    return text_of(Wanted::automatic, 64) + " / " + text_of(Wanted::io_uring, 64);
  });
  if (answer == "still large" || answer.starts_with("64 rings")) GTEST_SKIP() << answer;
  const std::string why = "the memory that may be locked (RLIMIT_MEMLOCK) does not suffice for io_uring";
  EXPECT_EQ(answer, "0 rings: epoll (" + why + ") / refused: io_uring can't be had: " + why);
}

}  // namespace
}  // namespace sluice::net
