// negotiate_test.cpp: fields and offers to choices, one table for each rule.
#include <sluice/extra/negotiate.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "asking.hpp"

namespace sluice {
namespace {

using Offer = std::vector<std::string_view>;

std::string_view chosen(const Offer& offer, std::optional<std::size_t> index) {
  if (!index) return "none";
  EXPECT_LT(*index, offer.size());
  return offer[*index];
}
std::string_view media_type(std::string_view field, const Offer& offer) {
  return chosen(offer, negotiate_media_type(field, offer));
}
std::string_view encoding(std::string_view field, const Offer& offer) {
  return chosen(offer, negotiate_encoding(field, offer));
}
std::string_view language(std::string_view field, const Offer& offer) {
  return chosen(offer, negotiate_language(field, offer));
}

struct Row {
  std::string_view field;
  Offer offer;
  std::string_view choice;
};

TEST(NegotiateMediaType, ExamplesOfTheRfcComeOut) {  // RFC 9110 12.5.1
  const Row rows[] = {
      {"audio/*; q=0.2, audio/basic", {"audio/mp4", "audio/basic"}, "audio/basic"},
      {"audio/*; q=0.2, audio/basic", {"audio/mp4", "text/plain"}, "audio/mp4"},
      {"text/plain; q=0.5, text/html, text/x-dvi; q=0.8, text/x-c", {"text/plain", "text/x-dvi"}, "text/x-dvi"},
      {"text/plain; q=0.5, text/html, text/x-dvi; q=0.8, text/x-c",
       {"text/x-dvi", "text/x-c", "text/html"},
       "text/x-c"},
      {"text/plain; q=0.5, text/html, text/x-dvi; q=0.8, text/x-c", {"image/png"}, "none"},
  };
  for (const Row& row : rows) EXPECT_EQ(media_type(row.field, row.offer), row.choice) << row.field;
}

TEST(NegotiateMediaType, WeightsAreThoseOfTheRfcsTable) {  // RFC 9110 12.5.1, table 5 with erratum 7138
  constexpr std::string_view field =
      "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5";
  const std::pair<std::string_view, int> weights[] = {
      {"text/plain;format=flowed", 10}, {"text/plain", 7},       {"text/html", 3}, {"image/jpeg", 5},
      {"text/plain;format=fixed", 4},   {"text/html;level=3", 3}};
  for (const auto& [left, left_weight] : weights) {
    for (const auto& [right, right_weight] : weights) {
      EXPECT_EQ(media_type(field, {left, right}), left_weight >= right_weight ? left : right) << left << ' ' << right;
    }
  }
}

TEST(NegotiateMediaType, NoFieldIsTheServersFirst) {
  for (const std::string_view field : {"", " ", ",", ", ,\t,"}) {
    EXPECT_EQ(media_type(field, {"application/json", "text/html"}), "application/json") << field;
    EXPECT_EQ(media_type(field, {}), "none");
  }
  EXPECT_EQ(media_type("*/*", {}), "none");
}

TEST(NegotiateMediaType, MostSpecificMemberDecidesWhereverItStands) {
  const Row rows[] = {
      {"*/*, text/html;q=0", {"text/html"}, "none"},
      {"text/html;q=0, */*", {"text/html", "text/plain"}, "text/plain"},
      {"text/*, text/html;q=0.1, image/png;q=0.5", {"text/html", "image/png"}, "image/png"},
      {"*/*;q=0.1, text/*;q=0", {"text/plain", "image/png"}, "image/png"},
      {"text/html;level=1;q=0.2, text/html", {"text/html;level=1", "text/html"}, "text/html"},
      {"a/b;x=1;q=0.2, a/b;x=1;y=2;q=0.4, a/c;q=0.3", {"a/c", "a/b;y=2;x=1"}, "a/b;y=2;x=1"},
      {"a/b;x=1;q=0.2, a/b;x=1;y=2;q=0.4, a/c;q=0.3", {"a/c", "a/b;x=1;y=3"}, "a/c"},
      {"*/*;q=0.5, */*;x=1;q=0.9", {"a/b", "a/c;x=1"}, "a/c;x=1"},
      {"a/b;q=0.2, a/b;q=0.9, c/d;q=0.5", {"a/b", "c/d"}, "c/d"},  // the first of two counts
  };
  for (const Row& row : rows) EXPECT_EQ(media_type(row.field, row.offer), row.choice) << row.field;
}

TEST(NegotiateMediaType, TiesAreTheServersToBreak) {
  EXPECT_EQ(media_type("text/html, application/json", {"application/json", "text/html"}), "application/json");
  EXPECT_EQ(media_type("text/html;q=0.8, application/json;q=0.800", {"application/json", "text/html"}),
            "application/json");
  EXPECT_EQ(media_type("*/*", {"b/b", "a/a"}), "b/b");
}

TEST(NegotiateMediaType, ParametersAreComparedByMeaning) {
  const Row rows[] = {
      {"text/html;charset=UTF-8", {"text/html; charset=utf-8"}, "text/html; charset=utf-8"},
      {"TEXT/Html ; Charset=\"utf-8\"", {"text/html;charset=utf-8"}, "text/html;charset=utf-8"},
      {R"(a/b;x="c\d")", {"a/b;x=cd"}, "a/b;x=cd"},
      {R"(a/b;x="c\"d, e/f;g")", {R"(a/b;x="c\"d, e/f;g")"}, R"(a/b;x="c\"d, e/f;g")"},
      {"a/b;x=1", {"a/b"}, "none"},
      {"a/b;x=1", {"a/b;x=2"}, "none"},
      {"a/b;x=1", {"a/b;x=11"}, "none"},
      {"a/b;;x=1;", {"a/b;x=1"}, "a/b;x=1"},
      {"a/b", {"a/b;x=1"}, "a/b;x=1"},
      {"a/b;q=0.5;x=1", {"a/b"}, "none"},  // a weight ends nothing
      {"a/b;q=0.5;x=1", {"a/b;x=1"}, "a/b;x=1"},
  };
  for (const Row& row : rows) EXPECT_EQ(media_type(row.field, row.offer), row.choice) << row.field;
}

TEST(NegotiateMediaType, WeightsAreThreeDecimals) {
  const Offer offer{"a/a", "b/b"};
  EXPECT_EQ(media_type("a/a;q=0.998,b/b;q=0.999", offer), "b/b");
  EXPECT_EQ(media_type("a/a;q=0.001,b/b;q=0", offer), "a/a");
  EXPECT_EQ(media_type("a/a;q=0.9,b/b;q=1", offer), "b/b");
  EXPECT_EQ(media_type("a/a;q=0.9,b/b;q=1.000", offer), "b/b");
  EXPECT_EQ(media_type("a/a;q=0.,b/b;Q=0.1", offer), "b/b");
  EXPECT_EQ(media_type("a/a;q=.2,b/b;q=.3", offer), "b/b");
  EXPECT_EQ(media_type("a/a;q=0.01,b/b;q=0.1", offer), "b/b");
  EXPECT_EQ(media_type("a/a ; q=0.1 , b/b\t;\tq=0.2", offer), "b/b");
}

TEST(NegotiateMediaType, MalformedMembersAreSkippedAndNoOthers) {
  for (const std::string_view member :
       {"a",          "/",         "a/",          "/a",          "*",          "*/a",         "a/a/a",
        "a b/c",      "a/a;q",     "a/a;q=",      "a/a;q=2",     "a/a;q=1.1",  "a/a;q=1.001", "a/a;q=0.1234",
        "a/a;q=-1",   "a/a;q=0,5", "a/a;q=\"1\"", "a/a;q=1;q=1", "a/a; q = 1", "a/a;q=.",     "a/a;q=1.x",
        "a/a;q=0.5x", "a/a;x",     "a/a;=1",      "a/a;x=",      "a/a x=1",    "a/a;x=1 y=2", "a/a;x=\"1\"2",
        "a/a;x=(",    "a/\"a\"",   "a/a;q=+1",    "a/a;q=1e0",   "a/a;q=00.5", "a/a;q=10"}) {
    const std::string field = "c/c;q=0.1, " + std::string{member} + ", d/d;q=0.2";
    EXPECT_EQ(media_type(field, {"a/a", "c/c", "d/d"}), "d/d") << field;
  }
  EXPECT_EQ(media_type("a/a;, c/c;q=0.1", {"c/c", "a/a"}), "a/a");
  EXPECT_EQ(media_type("c/c;q=0.1, a/a;x=\"1, d/d", {"a/a", "d/d", "c/c"}), "c/c");  // the quote has no end
  EXPECT_EQ(media_type("nonsense, ;q=1", {"b/b", "a/a"}), "b/b");
}

TEST(NegotiateMediaType, TakesWhatAnOldClientSends) {
  EXPECT_EQ(media_type("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", {"application/json", "text/html"}),
            "text/html");
  EXPECT_EQ(media_type("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", {"application/json"}),
            "application/json");
}

TEST(NegotiateMediaType, MalformedOffersNeverWin) {
  EXPECT_EQ(media_type("*/*", {"", "text", "text/", "/", "a b/c", "text/html"}), "text/html");
  EXPECT_EQ(media_type("a/b;x=1", {"a/b;x", "a/b;x=\"1", "a/b;=1;x=1"}), "none");
}

TEST(NegotiateMediaType, MembersBehindTheLimitAreNotRead) {
  std::string field;
  for (std::size_t i = 1; i < negotiated_members_max; ++i) field += "x/x" + std::to_string(i) + ",,";
  EXPECT_EQ(media_type(field + "a/a", {"a/a"}), "a/a");
  EXPECT_EQ(media_type(field + "y,a/a", {"a/a"}), "none");  // malformed ones count
}

TEST(NegotiateEncoding, ExamplesOfTheRfcComeOut) {  // RFC 9110 12.5.3
  const Offer offer{"gzip", "compress", "identity"};
  EXPECT_EQ(encoding("compress, gzip", offer), "gzip");
  EXPECT_EQ(encoding("", offer), "identity");
  EXPECT_EQ(encoding("*", offer), "gzip");
  EXPECT_EQ(encoding("compress;q=0.5, gzip;q=1.0", offer), "gzip");
  EXPECT_EQ(encoding("gzip;q=1.0, identity; q=0.5, *;q=0", offer), "gzip");
  EXPECT_EQ(encoding("gzip;q=1.0, identity; q=0.5, *;q=0", {"br", "identity"}), "identity");
  EXPECT_EQ(encoding("gzip;q=1.0, identity; q=0.5, *;q=0", {"br"}), "none");
}

TEST(NegotiateEncoding, IdentityIsAcceptableUnlessExcluded) {
  const Row rows[] = {
      {"br", {"gzip", "identity"}, "identity"},
      {"br", {"gzip"}, "none"},
      {"gzip;q=0.001", {"identity", "gzip"}, "gzip"},
      {"gzip;q=0", {"gzip", "identity"}, "identity"},
      {"identity;q=0", {"identity"}, "none"},
      {"identity;q=0, *", {"identity", "br"}, "br"},
      {"*;q=0", {"gzip", "identity"}, "none"},
      {"*;q=0, identity;q=0.1", {"gzip", "identity"}, "identity"},
      {"gzip, *;q=0", {"identity", "gzip"}, "gzip"},
      {"gzip, *;q=0", {"identity"}, "none"},
      {"identity, gzip;q=0.5", {"gzip", "identity"}, "identity"},
      {"*;q=0.5, gzip;q=0.2", {"gzip", "identity"}, "identity"},
      {"Identity;q=0", {"IDENTITY"}, "none"},
  };
  for (const Row& row : rows) EXPECT_EQ(encoding(row.field, row.offer), row.choice) << row.field;
}

TEST(NegotiateEncoding, NamesHaveNoLetterCaseAndTwoAliases) {
  EXPECT_EQ(encoding("GZip", {"gzip"}), "gzip");
  EXPECT_EQ(encoding("x-gzip", {"gzip"}), "gzip");
  EXPECT_EQ(encoding("gzip", {"X-GZIP"}), "X-GZIP");
  EXPECT_EQ(encoding("X-Compress;q=0, *", {"compress", "br"}), "br");
}

TEST(NegotiateEncoding, WhatBrowsersSendLetsTheServerChoose) {
  EXPECT_EQ(encoding("gzip, deflate, br, zstd", {"br", "gzip", "identity"}), "br");
  EXPECT_EQ(encoding("gzip, deflate", {"br", "gzip", "identity"}), "gzip");
}

TEST(NegotiateEncoding, MalformedMembersAreSkipped) {
  for (const std::string_view member :
       {"gzip;level=1", "gzip;q=2", "gz ip", "gzip q=1", "\"gzip\"", "gzip;q=1;q=1", "gzip;x"}) {
    EXPECT_EQ(encoding(member, {"gzip", "identity"}), "identity") << member;
    EXPECT_EQ(encoding(std::string{member} + ",br;q=0.1", {"gzip", "identity", "br"}), "br") << member;
  }
}

TEST(NegotiateEncoding, AbsentFieldIsIdentityIfThereIsOne) {
  test::ask("", [](const Request& request) {
    const Offer offer{"gzip", "identity"};
    EXPECT_EQ(chosen(offer, negotiate_encoding(request, offer)), "identity");
    EXPECT_EQ(chosen({"gzip"}, negotiate_encoding(request, Offer{"gzip"})), "gzip");
    EXPECT_FALSE(negotiate_encoding(request, {}));
  });
  test::ask("Accept-Encoding:\r\n", [](const Request& request) {
    EXPECT_EQ(negotiate_encoding(request, Offer{"gzip", "identity"}), 1U);
    EXPECT_FALSE(negotiate_encoding(request, Offer{"gzip"}));
  });
}

TEST(NegotiateLanguage, ExampleOfTheRfcComesOut) {  // RFC 9110 12.5.4
  constexpr std::string_view field = "da, en-gb;q=0.8, en;q=0.7";
  EXPECT_EQ(language(field, {"en", "en-GB", "da"}), "da");
  EXPECT_EQ(language(field, {"en", "en-GB"}), "en-GB");
  EXPECT_EQ(language(field, {"en-US", "en-AU"}), "en-US");
  EXPECT_EQ(language(field, {"de", "en-US"}), "en-US");
  EXPECT_EQ(language(field, {"de"}), "none");
}

TEST(NegotiateLanguage, RangesSuitWhatBeginsWithThem) {  // RFC 4647 3.3.1
  EXPECT_EQ(language("de-de", {"de-DE"}), "de-DE");
  EXPECT_EQ(language("de-de", {"de-DE-1996"}), "de-DE-1996");
  EXPECT_EQ(language("de-de", {"de-Deva"}), "none");
  EXPECT_EQ(language("de-de", {"de-Latn-DE"}), "none");
  EXPECT_EQ(language("de", {"den", "de-AT"}), "de-AT");
}

TEST(NegotiateLanguage, LongestRangeDecides) {
  EXPECT_EQ(language("en;q=0.9, en-GB;q=0.1, fr;q=0.5", {"en-GB", "fr"}), "fr");
  EXPECT_EQ(language("*, en;q=0", {"en-GB", "fr"}), "fr");
  EXPECT_EQ(language("en, en-GB;q=0", {"en-GB"}), "none");
}

TEST(NegotiateLanguage, MoreSpecificWishesAreMetByLessSpecificTags) {  // RFC 4647 3.4
  EXPECT_EQ(language("zh-Hant-CN-x-private1-private2", {"en", "zh-Hant"}), "zh-Hant");
  EXPECT_EQ(language("de-CH", {"fr", "de"}), "de");
  EXPECT_EQ(language("de-CH, de-AT;q=0.5, fr;q=0.8", {"fr", "de"}), "de");
  EXPECT_EQ(language("en-US", {"en", "en-US"}), "en-US");  // what is asked for before what will do
  EXPECT_EQ(language("en-US, en;q=0", {"en"}), "none");
  EXPECT_EQ(language("en-US;q=0, *;q=0.5", {"en"}), "en");
  EXPECT_EQ(language("en-US;q=0.8, *;q=0.1", {"de", "en"}), "en");
}

TEST(NegotiateLanguage, StarIsForAllOthers) {
  EXPECT_EQ(language("*", {"fr", "en"}), "fr");
  EXPECT_EQ(language("fr;q=0.5, *;q=0.8", {"fr", "en"}), "en");
  EXPECT_EQ(language("fr, *;q=0", {"en"}), "none");
}

TEST(NegotiateLanguage, MalformedMembersAndOffersAreSkipped) {
  for (const std::string_view member : {"e n", "en_US", "en-", "-en", "en--us", "e1", "123", "abcdefghi",
                                        "en-abcdefghi", "*-CH", "en;x=1", "en;q=2", "\"en\""}) {
    EXPECT_EQ(language(std::string{member} + ", fr;q=0.1", {"en", "fr"}), "fr") << member;
    EXPECT_EQ(language(member, {"fr", "en"}), "fr") << member;  // no preference
  }
  EXPECT_EQ(language("*", {"", "*", "en_US", "en"}), "en");
  EXPECT_EQ(language("", {"fr", "en"}), "fr");
}

TEST(Negotiate, ReadsAllLinesOfARequestsField) {
  test::ask(
      "Accept: a/a;q=0.1\r\naccept: b/b;q=0.2\r\nAccept-Language: de;q=0.5\r\nAccept-Language: fr\r\n"
      "Accept-Encoding: gzip;q=0.5\r\nAccept-Encoding: br\r\n",
      [](const Request& request) {
        EXPECT_EQ(negotiate_media_type(request, Offer{"a/a", "b/b"}), 1U);
        EXPECT_EQ(negotiate_language(request, Offer{"de", "fr"}), 1U);
        EXPECT_EQ(negotiate_encoding(request, Offer{"identity", "gzip", "br"}), 2U);
      });
  test::ask("", [](const Request& request) {
    EXPECT_EQ(negotiate_media_type(request, Offer{"a/a", "b/b"}), 0U);
    EXPECT_EQ(negotiate_language(request, Offer{"de", "fr"}), 0U);
    EXPECT_FALSE(negotiate_media_type(request, {}));
    EXPECT_FALSE(negotiate_language(request, {}));
  });
}

TEST(Negotiate, LimitIsOverAllLines) {
  std::string fields;
  for (std::size_t i = 0; i < negotiated_members_max / 2; ++i)
    fields += "Accept: x/x" + std::to_string(i) + ", y/y\r\n";
  test::ask(fields + "Accept: a/a\r\n", [](const Request& request) {
    EXPECT_FALSE(negotiate_media_type(request, Offer{"a/a"}));
    EXPECT_EQ(negotiate_media_type(request, Offer{"a/a", "x/x31"}), 1U);
  });
}

}  // namespace
}  // namespace sluice
