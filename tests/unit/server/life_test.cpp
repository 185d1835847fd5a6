// The pins of an exchange under every interleaving: the scripts of a handler and its handles that the protocol was
// designed against, each with its frame on the loop and on a worker, alone and with what may happen meanwhile.
#include "server/life.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "support/life_model.hpp"

namespace sluice::interleave {
namespace {

// A sanitizer slows every switch down; the plain build looks at all of them.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr unsigned preemptions = 1;
#else
constexpr unsigned preemptions = 3;
#endif

/// With four threads one preemption less: it is millions all the same.
Bounds bounds_of(const Script& script) {
  return {.preemptions = script.second.empty() ? preemptions : std::max(1u, preemptions - 1)};
}

using enum Do;

const std::vector<Script>& scripts() {
  static const std::vector<Script> all{
      {"respond, touch, return", 1, {respond, touch, returns}, {}, {}},
      {"drop, return", 1, {drop, returns}, {}, {}},
      {"throw with the responder in the frame", 1, {throws}, {}, {}},
      {"give away; there touch and respond", 1, {give_first, touch, returns}, {touch, respond}, {}},
      {"give away, then throw", 1, {give_first, throws}, {respond}, {}},
      {"give away; dropped there", 1, {give_first, returns}, {drop}, {}},
      {"respond, then throw", 1, {respond, throws}, {}, {}},
      {"wait for the stop, then respond", 1, {await_stop, respond, returns}, {}, {}, false},
      {"give away; kept past the stop", 1, {give_first, returns}, {await_stop, respond}, {}},
      {"split: respond and drop in the frame", 2, {respond, drop, returns}, {}, {}},
      {"split: respond here, raise there", 2, {give_first, give_second, returns}, {respond}, {raise}},
      {"split: drop here, raise there", 2, {drop, give_second, returns}, {}, {raise}},
      {"split: respond; dropped there once answered", 2, {respond, give_second, returns}, {}, {await_answer, drop}},
      {"split: both dropped elsewhere", 2, {give_first, give_second, returns}, {drop}, {drop}},
      {"split: respond there, throw with the other", 2, {give_first, throws}, {respond}, {}},
      {"split: respond then raise in one thread", 2, {give_both, returns}, {respond, raise}, {}},
      {"raise in the frame, touch", 1, {Do::raise, touch, returns}, {}, {}},
      {"split: throw with both in the frame", 2, {throws}, {}, {}},
      {"a stream in the frame", 1, {begin_stream, news, end_writer, touch, returns}, {}, {}},
      {"a stream begun here, written there", 1, {begin_stream, give_first, returns}, {news, end_writer}, {}},
      {"a stream begun and written elsewhere", 1, {give_first, returns}, {begin_stream, news, touch, end_writer}, {}},
      {"a reader elsewhere while the frame answers", 2, {give_first, respond, returns}, {news, touch, drop}, {}},
      {"a reader and a writer on threads of their own",
       2,
       {give_first, give_second, returns},
       {news, drop},
       {begin_stream, end_writer}},
      {"a stop callback owns the responder", 1, {give_hook, returns}, {}, {}},
  };
  return all;
}

template <class Sync>
Verdict run(const Script& script, bool on_loop, Meanwhile meanwhile, Bounds bounds) {
  Explorer explorer{bounds};
  std::unique_ptr<LifeModel<Sync>> model;
  return explorer.explore([&] {
    model = std::make_unique<LifeModel<Sync>>(explorer, script, on_loop, meanwhile);
    return model->plan();
  });
}

TEST(Life, KeepsEveryPromiseUnderEveryInterleaving) {
  constexpr Meanwhile all[] = {Meanwhile::nothing, Meanwhile::budget_spent, Meanwhile::disconnect, Meanwhile::stop};
  std::uint64_t total = 0;
  for (const Script& script : scripts()) {
    for (const bool on_loop : {false, true}) {
      if (on_loop && !script.on_loop_too) continue;
      for (const Meanwhile meanwhile : all) {
        const Verdict verdict = run<CheckedSync>(script, on_loop, meanwhile, bounds_of(script));
        total += verdict.interleavings;
        EXPECT_EQ(verdict.violation, "") << script.name << (on_loop ? ", on the loop" : ", on a worker")
                                         << ", meanwhile " << static_cast<int>(meanwhile) << ", threads "
                                         << verdict.schedule;
        EXPECT_TRUE(verdict.complete) << script.name;
      }
    }
  }
  std::printf("%llu interleavings, at most %u preemptions each\n", static_cast<unsigned long long>(total), preemptions);
}

// What fits is run without any bound.
TEST(Life, KeepsEveryPromiseOfSmallScriptsWithoutABoundOnPreemptions) {
  std::uint64_t total = 0;
  for (const Script& script : scripts()) {
    // A writer on a thread of its own does not: each of its steps is two operations, and a post.
    const bool writes_elsewhere = std::ranges::find(script.first, end_writer) != script.first.end();
    if (script.handles != 1 || !script.on_loop_too || writes_elsewhere) continue;
    const Verdict verdict = run<CheckedSync>(script, true, Meanwhile::budget_spent, {.preemptions = unbounded});
    total += verdict.interleavings;
    EXPECT_EQ(verdict.violation, "") << script.name << ", threads " << verdict.schedule;
    EXPECT_TRUE(verdict.complete) << script.name;
  }
  std::printf("%llu interleavings\n", static_cast<unsigned long long>(total));
}

// The checker can fail: were the life word not atomic, most scripts with two threads would break.
TEST(LifeDeathTest, TheCheckerNoticesALifeWordThatIsNotAtomic) {
  const Script& split = scripts()[13];
  EXPECT_DEATH(
      {
        const Verdict verdict = run<TornSync>(split, false, Meanwhile::nothing, {.preemptions = 2});
        if (!verdict.violation.empty()) SLUICE_ASSERT(!"the checker has found it");
      },
      "broken invariant");
}

}  // namespace
}  // namespace sluice::interleave
