// What is said of events: each is judged by what is its own, and by no more than was seen.
#include <gtest/gtest.h>

#include "questions.hpp"
#include "sim/tool/study_json.hpp"
#include "sim/tool/study_text.hpp"

namespace sluice::sim {
namespace {

/// 20 s of 200 calls a second for one route that waits for a database; `more`: further keys, each with its comma.
Study played(std::string_view more, std::string_view route = R"("service":{"mean_ms":1},"budget_ms":200)",
             Policy policy = Policy::sluice) {
  Question question;
  question.scenario =
      file_of("scenario.json", R"({"duration_s":20,"warmup_s":1,"arrivals":{"rate_per_s":200},"routes":[{"name":"a",)" +
                                   std::string{route} + "}]" + std::string{more} + '}');
  question.changes = {{"seed", seed()}};
  question.policies = {policy};
  Study study = study_of(question);
  EXPECT_TRUE(study.balanced());
  return study;
}

bool says(const Study& study, std::string_view words) {
  std::string text = study_text(study, false);
  for (std::size_t at = 0; (at = text.find_first_of("\n", at)) != text.npos;) {  // as it is without line breaks
    const std::size_t next = std::min(text.find_first_not_of("\n ", at), text.size());
    text.replace(at, next - at, " ");
    ++at;
  }
  return text.find(words) != text.npos;
}

TEST(SimEvents, OneIsNotBlamedForTheNext) {
  const Study study = played(R"(,"events":[{"at_s":12,"for_s":2,"route":"a","stall":true},
                                           {"at_s":5,"for_s":2,"route":"a","stall":true}])");
  const auto& events = study.runs.at(0).result.events;
  ASSERT_EQ(events.size(), 2u);
  ASSERT_TRUE(events[0].recovered_s.has_value());
  EXPECT_LE(*events[0].recovered_s, 1.0) << "long before the second one begins";
  EXPECT_GE(events[1].good_before, 0.97) << "the first one's calls are no part of it";
}

TEST(SimEvents, CallsThatTheNextOneSpoiledAreNotHeldAgainstTheOneBefore) {
  // 80 are under way when the second one begins: most of what came in the half second before it.
  const Study study = played(
      R"(,"events":[{"at_s":5,"for_s":2,"route":"a","error":true},{"at_s":12,"for_s":2,"route":"a","stall":true}])",
      R"("service":{"distribution":"fixed","mean_ms":400},"handler":"answers_later","budget_ms":600)");
  EXPECT_EQ(study.runs.at(0).result.events.at(0).recovered_s, 0.0);
}

TEST(SimEvents, OneThatIsNotOverItByTheNextIsNotBackAtAll) {
  // Seven seconds of work wait behind the stall, in front of a pool that gives none of it up.
  const Study study = played(
      R"(,"clients":[{"timeout_ms":300}],
          "events":[{"at_s":5,"for_s":5,"route":"a","stall":true},{"at_s":12,"for_s":1,"route":"a","error":true}])",
      R"("service":{"mean_ms":70},"budget_ms":200)", Policy::naive);
  EXPECT_FALSE(study.runs.at(0).result.events.at(0).recovered_s.has_value());
  EXPECT_TRUE(says(study, "not back at 95 % of before when the next event began"));
}

TEST(SimEvents, CallsThatStillWaitWhenTheNextOneBeginsSayNothing) {
  // What waits behind the stall is seconds long, and nobody leaves.
  const Study study = played(
      R"(,"events":[{"at_s":5,"for_s":5,"route":"a","stall":true},{"at_s":11.5,"for_s":1,"route":"a","error":true}])",
      R"("service":{"mean_ms":70},"budget_ms":2000)", Policy::naive);
  EXPECT_FALSE(study.runs.at(0).result.events.at(0).recovered_s.has_value());
  EXPECT_TRUE(says(study, "its end was not seen behind another event"));
}

TEST(SimEvents, WhatWasNotSeenIsNotCalledBad) {
  for (const char* const events : {R"(,"events":[{"at_s":15,"for_s":4.7,"route":"a","stall":true}])",
                                   R"(,"events":[{"at_s":15,"for_s":5,"route":"a","stall":true}])"}) {
    const Study study = played(events);
    EXPECT_TRUE(says(study, "its end was not seen")) << study_text(study, false);
    EXPECT_FALSE(says(study, "not back at 95 %"));
    EXPECT_NE(study_json(study).find(R"("aftermath_seen":false)"), std::string::npos);
  }
  EXPECT_TRUE(says(played(R"(,"events":[{"at_s":5,"for_s":2,"route":"a","stall":true},
                                        {"at_s":7.4,"for_s":2,"route":"a","stall":true}])"),
                   "its end was not seen behind another event"));
}

TEST(SimEvents, WithoutCallsBeforeItNothingIsCompared) {
  const Study study = played(R"(,"events":[{"at_s":1.05,"for_s":4,"route":"a","slow":2},
                                           {"at_s":1.05,"for_s":6,"route":"a","stall":true}])");
  EXPECT_TRUE(says(study, "Good before: -, during"));
  EXPECT_TRUE(says(study, "nothing before it to compare with"));
  EXPECT_NE(study_json(study).find(R"("good_share_before":null)"), std::string::npos);
}

TEST(SimEvents, ADeployThatOutlastsTheRunIsOneForBothPolicies) {
  for (const Policy policy : {Policy::sluice, Policy::naive}) {
    const Study study = played(R"(,"servers":{"count":4,"deploy":{"at_s":5,"down_s":10}})",
                               R"("service":{"mean_ms":1},"budget_ms":200)", policy);
    const auto& events = study.runs.at(0).result.events;
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].end_s, 20);
    EXPECT_FALSE(events[0].recovered_s.has_value());
    EXPECT_TRUE(says(study, "5.0 to 20.0 s: deploy of 4 servers"));
    EXPECT_TRUE(says(study, "its end was not seen"));
  }
}

}  // namespace
}  // namespace sluice::sim
