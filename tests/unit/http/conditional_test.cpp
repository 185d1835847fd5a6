// conditional_test.cpp: the conditions one by one, in their order, and what cannot be read.
#include "http/conditional.hpp"

#include <gtest/gtest.h>

#include <string>

#include "http/date.hpp"

namespace sluice::http {
namespace {

constexpr std::time_t modified = 784'111'777;
constexpr std::string_view modified_text = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view before = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr std::string_view after = "Sun, 06 Nov 1994 08:49:38 GMT";
constexpr Validators strong{.etag = "\"v1\"", .last_modified = modified};
constexpr Validators weak{.etag = "W/\"v1\"", .last_modified = modified};
constexpr Validators bare{};
constexpr Validators absent{.exists = false};
constexpr ConditionalRequest get{.get_or_head = true, .now = 1'780'000'000};
constexpr ConditionalRequest put{.get_or_head = false, .now = 1'780'000'000};

Verdict if_match(std::string_view list, const Validators& validators = strong) {
  return evaluate_conditions({.if_match = list}, validators, put);
}
Verdict if_none_match(std::string_view list, const Validators& validators = strong, bool get_or_head = true) {
  return evaluate_conditions({.if_none_match = list}, validators, get_or_head ? get : put);
}

TEST(EntityTag, IsAQuotedTextThatMayBeWeak) {
  // RFC 9110 8.8.3: the first three are its examples.
  for (const std::string_view tag : {R"("xyzzy")", R"(W/"xyzzy")", R"("")", R"(W/"")", R"("a,b")",
                                     R"("!#$%&'()*+/:;<=>?@[\]^_`{|}~")", "\"\xc3\xa9\""}) {
    EXPECT_TRUE(valid_entity_tag(tag)) << tag;
  }
  for (const std::string_view tag :
       {"", "*", "xyzzy", R"(")", R"("xyzzy)", R"(xyzzy")", R"(w/"xyzzy")", R"(W "xyzzy")", R"(W/xyzzy)", R"(W/)",
        R"("a b")", "\"a\tb\"", R"("a"b")", R"("a" )", R"( "a")", R"("a","b")", "\"a\x7f\"", "\"a\r\""}) {
    EXPECT_FALSE(valid_entity_tag(tag)) << tag;
  }
}

TEST(EntityTag, ComparisonIsAsInTheTableOfTheRfc) {  // RFC 9110 8.8.3.2
  struct Row {
    std::string_view a, b;
    bool strong, weak;
  };
  for (const Row& row : {Row{R"(W/"1")", R"(W/"1")", false, true}, Row{R"(W/"1")", R"(W/"2")", false, false},
                         Row{R"(W/"1")", R"("1")", false, true}, Row{R"("1")", R"("1")", true, true}}) {
    for (const auto& [field, own] : {std::pair{row.a, row.b}, std::pair{row.b, row.a}}) {
      EXPECT_EQ(if_match(field, {.etag = own}) == Verdict::proceed, row.strong) << field << own;
      EXPECT_EQ(if_none_match(field, {.etag = own}) == Verdict::not_modified, row.weak) << field << own;
    }
  }
}

TEST(Conditions, NoneIsProceed) {
  for (const Validators& validators : {strong, weak, bare, absent}) {
    EXPECT_EQ(evaluate_conditions({}, validators, get), Verdict::proceed);
    EXPECT_EQ(evaluate_conditions({}, validators, put), Verdict::proceed);
  }
}

TEST(IfMatch, HoldsForOneTagOfTheList) {  // RFC 9110 13.1.1
  EXPECT_EQ(if_match(R"("v1")"), Verdict::proceed);
  EXPECT_EQ(if_match(R"("xyzzy", "v1", "c3piozzzz")"), Verdict::proceed);
  EXPECT_EQ(if_match("\"xyzzy\"\t,\"v1\""), Verdict::proceed);
  EXPECT_EQ(if_match(R"(, ,"v1",,)"), Verdict::proceed);
  EXPECT_EQ(if_match(R"(W/"a", "v1")"), Verdict::proceed);
  EXPECT_EQ(if_match(R"("V1")"), Verdict::precondition_failed);
  EXPECT_EQ(if_match(R"("xyzzy", "v2")"), Verdict::precondition_failed);
  EXPECT_EQ(if_match(R"("a,"v1",b")"), Verdict::precondition_failed);
}

TEST(IfMatch, NeverHoldsForWeakOrMissingTags) {
  EXPECT_EQ(if_match(R"(W/"v1")"), Verdict::precondition_failed);
  EXPECT_EQ(if_match(R"("v1")", weak), Verdict::precondition_failed);
  EXPECT_EQ(if_match(R"("v1")", bare), Verdict::precondition_failed);
  EXPECT_EQ(if_match(R"("v1")", {.etag = "v1"}), Verdict::precondition_failed);
  EXPECT_EQ(if_match(R"("v1")", {.etag = "\"v1\"", .exists = false}), Verdict::precondition_failed);
}

TEST(IfMatch, StarHoldsForWhateverExists) {
  EXPECT_EQ(if_match("*"), Verdict::proceed);
  EXPECT_EQ(if_match(" * "), Verdict::proceed);
  EXPECT_EQ(if_match("*", bare), Verdict::proceed);
  EXPECT_EQ(if_match("*", absent), Verdict::precondition_failed);
}

TEST(IfMatch, FailsForAListThatCannotBeRead) {
  for (const std::string_view list : {"v1", R"("v1", *)", R"(*, "v1")", "**", R"("v1" "v1")", R"("v1"; "v2")",
                                      R"("v1", "v2)", R"("v1",v2)", R"(w/"v1", "v1")", ",", " ", R"("v1"x)"}) {
    EXPECT_EQ(if_match(list), Verdict::precondition_failed) << list;
    EXPECT_EQ(evaluate_conditions({.if_match = list}, strong, get), Verdict::precondition_failed) << list;
  }
}

TEST(IfNoneMatch, IsNotModifiedForGetAndFailedForOthers) {  // RFC 9110 13.1.2
  for (const std::string_view list : {R"("v1")", R"(W/"v1")", R"("xyzzy", "r2d2xxxx", "v1")", "*", R"(,W/"a","v1")"}) {
    for (const Validators& validators : {strong, weak}) {
      EXPECT_EQ(if_none_match(list, validators), Verdict::not_modified) << list;
      EXPECT_EQ(if_none_match(list, validators, false), Verdict::precondition_failed) << list;
    }
  }
}

TEST(IfNoneMatch, ProceedsIfNothingMatches) {
  for (const bool get_or_head : {true, false}) {
    EXPECT_EQ(if_none_match(R"("v2", W/"v3")", strong, get_or_head), Verdict::proceed);
    EXPECT_EQ(if_none_match(R"("v1")", bare, get_or_head), Verdict::proceed);
    EXPECT_EQ(if_none_match("*", absent, get_or_head), Verdict::proceed);
    EXPECT_EQ(if_none_match("*", bare, get_or_head),
              get_or_head ? Verdict::not_modified : Verdict::precondition_failed);
  }
}

TEST(IfNoneMatch, MalformedListGivesTheWholeAnswerButOverwritesNothing) {
  for (const std::string_view list : {"v1", R"("v1", *)", R"("v1" "v2")", R"("v1", "v2)", "\"v1\", \"v 2\""}) {
    EXPECT_EQ(if_none_match(list), Verdict::proceed) << list;
    EXPECT_EQ(if_none_match(list, strong, false), Verdict::precondition_failed) << list;
  }
}

TEST(IfModifiedSince, IsNotModifiedUpToItsSecond) {  // RFC 9110 13.1.3
  const auto since = [](std::string_view date, const ConditionalRequest& request = get) {
    return evaluate_conditions({.if_modified_since = date}, strong, request);
  };
  EXPECT_EQ(since(before), Verdict::proceed);
  EXPECT_EQ(since(modified_text), Verdict::not_modified);
  EXPECT_EQ(since(after), Verdict::not_modified);
  EXPECT_EQ(since("Sunday, 06-Nov-94 08:49:37 GMT"), Verdict::not_modified);
  EXPECT_EQ(since("Sun Nov  6 08:49:36 1994"), Verdict::proceed);
  EXPECT_EQ(since(after, put), Verdict::proceed);
}

TEST(IfUnmodifiedSince, FailsAfterItsSecond) {  // RFC 9110 13.1.4
  const auto since = [](std::string_view date, const ConditionalRequest& request) {
    return evaluate_conditions({.if_unmodified_since = date}, strong, request);
  };
  for (const ConditionalRequest& request : {get, put}) {
    EXPECT_EQ(since(before, request), Verdict::precondition_failed);
    EXPECT_EQ(since(modified_text, request), Verdict::proceed);
    EXPECT_EQ(since(after, request), Verdict::proceed);
  }
}

TEST(Conditions, DatesThatCannotBeComparedAreIgnored) {
  for (const std::string_view date :
       {"yesterday", "0", "-1", "Sun, 06 Nov 1994 08:49:36", "Sun, 31 Feb 1994 08:49:36 GMT",
        "Sun, 06 Nov 1994 08:49:36 GMT, Sun, 06 Nov 1994 08:49:36 GMT"}) {
    EXPECT_EQ(evaluate_conditions({.if_modified_since = date}, strong, get), Verdict::proceed) << date;
    EXPECT_EQ(evaluate_conditions({.if_unmodified_since = date}, strong, put), Verdict::proceed) << date;
  }
  for (const Validators& undated : {Validators{.etag = "\"v1\""}, bare, absent}) {
    EXPECT_EQ(evaluate_conditions({.if_modified_since = after}, undated, get), Verdict::proceed);
    EXPECT_EQ(evaluate_conditions({.if_unmodified_since = before}, undated, put), Verdict::proceed);
  }
}

TEST(Conditions, AreEvaluatedInTheOrderOfTheRfc) {  // RFC 9110 13.2.2
  struct Row {
    ConditionalFields fields;
    Verdict to_get, to_put;
  };
  constexpr Verdict proceed = Verdict::proceed;
  constexpr Verdict failed = Verdict::precondition_failed;
  constexpr Verdict same = Verdict::not_modified;
  const Row rows[] = {
      // If-Match alone decides; If-Unmodified-Since is not looked at.
      {{.if_match = "\"v1\"", .if_unmodified_since = before}, proceed, proceed},
      {{.if_match = "\"v2\"", .if_unmodified_since = after}, failed, failed},
      // Then If-None-Match.
      {{.if_match = "\"v1\"", .if_none_match = "\"v1\""}, same, failed},
      {{.if_match = "\"v2\"", .if_none_match = "\"v1\""}, failed, failed},
      {{.if_match = "\"v1\"", .if_none_match = "\"v2\""}, proceed, proceed},
      {{.if_none_match = "\"v1\"", .if_unmodified_since = before}, failed, failed},
      {{.if_none_match = "\"v1\"", .if_unmodified_since = after}, same, failed},
      // If-None-Match alone decides; If-Modified-Since is not looked at.
      {{.if_none_match = "\"v1\"", .if_modified_since = before}, same, failed},
      {{.if_none_match = "\"v2\"", .if_modified_since = after}, proceed, proceed},
      {{.if_none_match = "v1", .if_modified_since = after}, proceed, failed},
      // Dates alone.
      {{.if_modified_since = after, .if_unmodified_since = after}, same, proceed},
      {{.if_modified_since = before, .if_unmodified_since = after}, proceed, proceed},
      {{.if_modified_since = after, .if_unmodified_since = before}, failed, failed},
      {{.if_match = "\"v1\"", .if_modified_since = after}, same, proceed},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(evaluate_conditions(row.fields, strong, get), row.to_get) << &row - rows;
    EXPECT_EQ(evaluate_conditions(row.fields, strong, put), row.to_put) << &row - rows;
  }
}

TEST(IfRange, HoldsForTheSameStrongTag) {  // RFC 9110 13.1.5
  EXPECT_TRUE(if_range_holds("", strong, get.now));
  EXPECT_TRUE(if_range_holds("\"v1\"", strong, get.now));
  EXPECT_TRUE(if_range_holds(" \"v1\" ", strong, get.now));
  EXPECT_FALSE(if_range_holds("\"v1\"", weak, get.now));
  EXPECT_FALSE(if_range_holds("W/\"v1\"", strong, get.now));
  EXPECT_FALSE(if_range_holds("W/\"v1\"", weak, get.now));
  EXPECT_FALSE(if_range_holds("\"v2\"", strong, get.now));
  EXPECT_FALSE(if_range_holds("\"v1\", \"v2\"", strong, get.now));
  EXPECT_FALSE(if_range_holds("*", strong, get.now));
  EXPECT_FALSE(if_range_holds("v1", strong, get.now));
  EXPECT_FALSE(if_range_holds("\"v1\"", bare, get.now));
  EXPECT_FALSE(if_range_holds("\"v1\"", {.etag = "\"v1\"", .exists = false}, get.now));
}

TEST(IfRange, HoldsForExactlyTheDateIfThatIsStrong) {
  const Validators dated{.last_modified = modified, .strong_date = true};
  EXPECT_TRUE(if_range_holds(modified_text, dated, get.now));
  EXPECT_FALSE(if_range_holds(before, dated, get.now));
  EXPECT_FALSE(if_range_holds(after, dated, get.now));
  EXPECT_FALSE(if_range_holds("then", dated, get.now));
  EXPECT_FALSE(if_range_holds(modified_text, strong, get.now));
  EXPECT_FALSE(if_range_holds(modified_text, bare, get.now));
  EXPECT_FALSE(if_range_holds("then", {.strong_date = true}, get.now));
}

}  // namespace
}  // namespace sluice::http
