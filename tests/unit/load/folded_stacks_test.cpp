// folded_stacks_test.cpp: what `perf script` prints, folded for a flame graph. The sample is perf's own text, shortened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>

#include "load/tool/profile.hpp"

namespace sluice::bench {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr std::string_view recorded = R"(burn 17287 12509.755152:   10101010 cpu-clock:pppH: 
	            1152 inner+0x29 (/tmp/burn)
	            117b main+0x9 (/tmp/burn)
	           2724a __libc_start_call_main+0x7a (/usr/lib/x86_64-linux-gnu/libc.so.6)

burn 17287 12509.765251:   10101010 cpu-clock:pppH: 
	            1155 inner+0x2c (/tmp/burn)
	            117b main+0x9 (/tmp/burn)
	           2724a __libc_start_call_main+0x7a (/usr/lib/x86_64-linux-gnu/libc.so.6)

burn 17287 12509.775353:   10101010 cpu-clock:pppH: 
	ffffffff8107f1b2 read_tsc+0x12 ([kernel.kallsyms])
	            117b main+0x9 (/tmp/burn)
	           2724a __libc_start_call_main+0x7a (/usr/lib/x86_64-linux-gnu/libc.so.6)

)";

TEST(FoldedStacks, JoinsFramesOutermostFirstBelowTheCommand) {
  EXPECT_THAT(fold(recorded), ElementsAre(Pair("burn;__libc_start_call_main;main;inner", 2),
                                          Pair("burn;__libc_start_call_main;main;read_tsc", 1)));
}

TEST(FoldedStacks, CountsTheLastSampleWithoutAnEmptyLineAfterIt) {
  EXPECT_THAT(fold("a 1 2.5: 1 cycles:\n\t 1f f+0x1 (/x)"), ElementsAre(Pair("a;f", 1)));
}

TEST(FoldedStacks, KeepsBlanksAndDigitsInTheCommand) {
  EXPECT_THAT(fold("pool 3 of 8 17/18 [001] 12.5:  1 cycles: \n\t 1f f (/x)\n\n"),
              ElementsAre(Pair("pool 3 of 8;f", 1)));
}

TEST(FoldedStacks, TakesColonsOfTheCommandForItsOwn) {
  EXPECT_THAT(fold("kworker/0:1 9 12.5: 1 cycles:\n\t 1f f (/x)\n\n"), ElementsAre(Pair("kworker/0:1;f", 1)));
}

TEST(FoldedStacks, KeepsSignaturesAndDropsOffsetsAndFiles) {
  const std::string text =
      "a 1 2.5: 1 cycles:\n\t 1f std::function<void (int)>::operator()(int) const+0x1f (/opt/my server (new)/x)\n\n";
  // The file's own brackets end at the last " (": what is before them stays.
  const auto stacks = fold(text);
  ASSERT_EQ(stacks.size(), 1U);
  EXPECT_THAT(stacks[0].first, testing::StartsWith("a;std::function<void (int)>::operator()(int) const"));
}

TEST(FoldedStacks, NamesFramesWithoutASymbol) {
  EXPECT_THAT(fold("a 1 2.5: 1 cycles:\n\t 7f12 [unknown] (/x)\n\t 8\n\n"),
              ElementsAre(Pair("a;[unknown];[unknown]", 1)));
}

TEST(FoldedStacks, LetsNoSemicolonOfANameBecomeAFrame) {
  EXPECT_THAT(fold("a;b 1 2.5: 1 cycles:\n\t 1f f;g+0x1 (/x)\n\n"), ElementsAre(Pair("a:b;f:g", 1)));
}

TEST(FoldedStacks, SkipsWhatIsNoSample) {
  EXPECT_THAT(fold("# captured on: today\n# ========\n\nWarning: no symbols\n\n"), IsEmpty());
  EXPECT_THAT(fold(""), IsEmpty());
}

TEST(FoldedStacks, CountsStacksBeyondTheLimitTogether) {
  std::string text;
  for (int i = 0; i < 10; ++i) text += "a 1 2.5: 1 cycles:\n\t 1f f" + std::to_string(i) + " (/x)\n\n";
  const auto stacks = fold(text, 4);
  EXPECT_EQ(stacks.size(), 5U);
  EXPECT_THAT(stacks.front(), Pair("a;[other stacks]", 6));
  const auto sum = std::accumulate(stacks.begin(), stacks.end(), std::uint64_t{0},
                                   [](std::uint64_t total, const auto& stack) { return total + stack.second; });
  EXPECT_EQ(sum, 10U);
}

}  // namespace
}  // namespace sluice::bench
