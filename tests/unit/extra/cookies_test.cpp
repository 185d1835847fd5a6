// cookies_test.cpp: Cookies and SetCookie. What is malformed is skipped when read, and refused when set.
#include <sluice/extra/cookies.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <iterator>
#include <ranges>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "asking.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using namespace std::string_view_literals;

static_assert(std::input_iterator<Cookies::Iterator>);
static_assert(std::ranges::input_range<Cookies>);

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs(const Cookies& cookies) {
  Pairs found;
  for (const Cookie& cookie : cookies) found.emplace_back(cookie.name, cookie.value);
  return found;
}
Pairs pairs(std::string_view field) { return pairs(Cookies{field}); }

TEST(Cookies, PairsComeInTheirOrder) {  // RFC 6265 3.1
  EXPECT_EQ(pairs("SID=31d4d96e407aad42"), (Pairs{{"SID", "31d4d96e407aad42"}}));
  EXPECT_EQ(pairs("SID=31d4d96e407aad42; lang=en-US"), (Pairs{{"SID", "31d4d96e407aad42"}, {"lang", "en-US"}}));
}

TEST(Cookies, NoneIsAnEmptyRange) {
  for (const std::string_view field : {""sv, " "sv, ";"sv, "; ;;\t;"sv}) EXPECT_EQ(pairs(field), Pairs{}) << field;
  EXPECT_FALSE(Cookies{""}.find("a"));
  EXPECT_FALSE(Cookies{"a=1"}.find(""));
}

TEST(Cookies, FirstOfTwoWithOneNameIsFound) {
  const Cookies cookies{"a=1; b=2; a=3; A=4"};
  EXPECT_EQ(cookies.find("a"), "1");
  EXPECT_EQ(cookies.find("A"), "4");
  EXPECT_EQ(cookies.find("b"), "2");
  EXPECT_FALSE(cookies.find("c"));
}

TEST(Cookies, BlanksBetweenPairsDoNotMatter) {
  EXPECT_EQ(pairs(" a=1;b=2;\t c=3 ;"), (Pairs{{"a", "1"}, {"b", "2"}, {"c", "3"}}));
}

TEST(Cookies, ValuesMayBeEmptyQuotedOrHoldEqualSigns) {
  EXPECT_EQ(pairs("a=; b==; c=x=y; d=\"\"; e=\"v\""),
            (Pairs{{"a", ""}, {"b", "="}, {"c", "x=y"}, {"d", "\"\""}, {"e", "\"v\""}}));
}

TEST(Cookies, MalformedPairsAreSkippedAndNoOthers) {
  for (const std::string_view pair :
       {"a"sv,     "=1"sv,      "a b=1"sv,      "a =1"sv,       "a= 1"sv,      "a=1 2"sv,     "a=1,2"sv,   "a=\\1"sv,
        "a=\""sv,  "a=\"1"sv,   "a=1\""sv,      "a=\"1\"2\""sv, "a=\"1,2\""sv, "a=\"1 2\""sv, "a@=1"sv,    "(a)=1"sv,
        "a,b=1"sv, "\"a\"=1"sv, "a=\xc3\xa9"sv, "\xc3\xa9=1"sv, "a=\x7f"sv,    "a=1\0"sv,     "a=1\r\n"sv, "a=\t1"sv}) {
    const std::string field = "x=7; " + std::string{pair} + "; y=8";
    EXPECT_EQ(pairs(field), (Pairs{{"x", "7"}, {"y", "8"}})) << field;
  }
}

TEST(Cookies, EveryOtherByteIsJudgedInNameAndValue) {
  constexpr std::string_view token_marks = "!#$%&'*+-.^_`|~";
  constexpr std::string_view not_octets = "\",;\\";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool token = alphanumeric || (c != '\0' && token_marks.contains(c));
    const bool octet = c > 0x20 && c < 0x7f && !not_octets.contains(c);
    if (c != '=' && c != ';') { EXPECT_EQ(pairs(std::string{"a"} + c + "b=1").size(), token ? 1U : 0U) << byte; }
    if (c != ';') { EXPECT_EQ(pairs(std::string{"a=1"} + c + "2").size(), octet ? 1U : 0U) << byte; }
  }
}

TEST(Cookies, AreReadFromEveryFieldOfARequest) {
  test::ask("Cookie: a=1; bad pair\r\nX-Other: b=2\r\ncookie: c=3\r\nCOOKIE:\r\nCookie: a=4\r\n",
            [](const Request& request) {
              const Cookies cookies{request};
              EXPECT_EQ(pairs(cookies), (Pairs{{"a", "1"}, {"c", "3"}, {"a", "4"}}));
              EXPECT_EQ(pairs(cookies).size(), 3U);  // and again
              EXPECT_EQ(cookies.find("c"), "3");
              EXPECT_FALSE(cookies.find("b"));
            });
  test::ask("X-Other: 1\r\n", [](const Request& request) { EXPECT_EQ(pairs(Cookies{request}), Pairs{}); });
}

TEST(SetCookie, DefaultsAreTheSafeOnes) {
  EXPECT_EQ((SetCookie{"SID", "31d4d96e407aad42"}.text()), "SID=31d4d96e407aad42; Path=/; HttpOnly; SameSite=Lax");
}

TEST(SetCookie, WritesEveryAttribute) {
  SetCookie cookie{"id", "7"};
  cookie.path("/docs").domain("example.com").max_age(1h).expires(std::chrono::sys_seconds{784'111'777s}).secure();
  cookie.http_only(false).same_site(SameSite::none).partitioned();
  EXPECT_EQ(cookie.text(),
            "id=7; Path=/docs; Domain=example.com; Max-Age=3600; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Secure; "
            "SameSite=None; Partitioned");
  cookie.path("").domain("").secure(false).partitioned(false).same_site(SameSite::strict);
  EXPECT_EQ(cookie.text(), "id=7; Max-Age=3600; Expires=Sun, 06 Nov 1994 08:49:37 GMT; SameSite=Strict");
}

TEST(SetCookie, IsAddedToAResponse) {
  Response response;
  SetCookie{"a", "1"}.add_to(response);
  SetCookie{"b", "2"}.secure().add_to(response);
  EXPECT_EQ(response.find_header("Set-Cookie"), "a=1; Path=/; HttpOnly; SameSite=Lax");
}

TEST(SetCookie, ExpireDeletes) {
  EXPECT_EQ(SetCookie::expire("id").text(),
            "id=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax");
  EXPECT_EQ(SetCookie::expire("id").path("/docs").domain("example.com").text(),
            "id=; Path=/docs; Domain=example.com; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax");
  for (const std::string name : {"__Host-id", "__Secure-id"}) {
    EXPECT_EQ(SetCookie::expire(name).text(),
              name + "=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly; SameSite=Lax");
  }
  EXPECT_THROW(SetCookie::expire("a b"), std::invalid_argument);
}

TEST(SetCookie, RefusesNamesThatAreNoTokens) {
  for (const std::string_view name :
       {""sv, "a b"sv, "a=b"sv, "a;b"sv, "a,b"sv, "\"a\""sv, "a\r\n"sv, "\xc3\xa9"sv, "a\0"sv}) {
    EXPECT_THROW((SetCookie{name, "1"}), std::invalid_argument) << name;
  }
}

TEST(SetCookie, RefusesValuesThatCouldEndThePair) {
  for (const std::string_view value : {" "sv, "a b"sv, "a;b"sv, "a,b"sv, "a\\b"sv, "a\"b"sv, "\""sv, "\"a"sv,
                                       "\"a b\""sv, "a\r\nb"sv, "\xc3\xa9"sv, "a\0"sv}) {
    EXPECT_THROW((SetCookie{"a", value}), std::invalid_argument) << value;
  }
  for (const std::string_view value :
       {""sv, "\"\""sv, "\"a\""sv, "a=b"sv, "eyJhIjoxfQ=="sv, "%7B%22a%22%7D"sv, "(a)[b]{c}"sv}) {
    EXPECT_EQ((SetCookie{"a", value}.text()), "a=" + std::string{value} + "; Path=/; HttpOnly; SameSite=Lax");
  }
}

TEST(SetCookie, NameAndValueHaveALimit) {
  const std::string name(96, 'n');
  EXPECT_NO_THROW((SetCookie{name, std::string(4'000, 'v')}));
  EXPECT_THROW((SetCookie{name, std::string(4'001, 'v')}), std::invalid_argument);
}

TEST(SetCookie, PathsAreCheckedAndLimited) {
  SetCookie cookie{"a", "1"};
  for (const std::string_view path :
       {"docs"sv, " /"sv, "/a;b"sv, "/a\r\n"sv, "/\xc3\xa9"sv, "/\x7f"sv, "/a\0"sv, "/a "sv, "/\t"sv}) {
    EXPECT_THROW(cookie.path(path), std::invalid_argument) << path;
  }
  EXPECT_NO_THROW(cookie.path("/" + std::string(1'023, 'p')));
  EXPECT_THROW(cookie.path("/" + std::string(1'024, 'p')), std::invalid_argument);
}

TEST(SetCookie, DomainsAreHostNames) {
  SetCookie cookie{"a", "1"};
  for (const std::string_view domain : {".example.com"sv, "example.com."sv, "a..b"sv, "-a.b"sv, "a-.b"sv, "a_b"sv,
                                        "a b"sv, "a;b"sv, "a:80"sv, "[::1]"sv, "."sv, "b\xc3\xbc.de"sv, "a\r\n"sv}) {
    EXPECT_THROW(cookie.domain(domain), std::invalid_argument) << domain;
  }
  EXPECT_THROW(cookie.domain(std::string(64, 'a') + ".de"), std::invalid_argument);
  std::string longest = "a";
  while (longest.size() < 253) longest += ".a";
  EXPECT_NO_THROW(cookie.domain(longest));
  EXPECT_THROW(cookie.domain(longest + ".a"), std::invalid_argument);
  for (const std::string_view domain :
       {"localhost", "example.com", "a-b.EXAMPLE.com", "127.0.0.1", "xn--bcher-kva.de"}) {
    EXPECT_NO_THROW(cookie.domain(domain)) << domain;
  }
}

TEST(SetCookie, AgeIsAtLeastASecond) {
  SetCookie cookie{"a", "1"};
  EXPECT_THROW(cookie.max_age(0s), std::invalid_argument);
  EXPECT_THROW(cookie.max_age(-1s), std::invalid_argument);
  EXPECT_NO_THROW(cookie.max_age(1s));
  EXPECT_EQ(cookie.max_age(std::chrono::seconds::max()).text(),
            "a=1; Path=/; Max-Age=9223372036854775807; HttpOnly; SameSite=Lax");
}

TEST(SetCookie, TimesOutsideTheFormatAreClamped) {
  SetCookie cookie{"a", "1"};
  EXPECT_TRUE(cookie.expires(std::chrono::sys_seconds::max()).text().contains("Expires=Fri, 31 Dec 9999 23:59:59 GMT"));
  EXPECT_TRUE(cookie.expires(std::chrono::sys_seconds::min()).text().contains("Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
}

TEST(SetCookie, PrefixesDemandWhatTheyPromise) {
  for (const std::string_view name : {"__Secure-a", "__secure-a", "__SECURE-", "__Host-a", "__hOST-a", "__Host-"}) {
    EXPECT_THROW((SetCookie{name, "1"}.text()), std::invalid_argument) << name;
    EXPECT_NO_THROW((SetCookie{name, "1"}.secure().text())) << name;
  }
  EXPECT_NO_THROW((SetCookie{"__Secure-a", "1"}.secure().path("/a").domain("b.de").text()));
  for (const std::string_view name : {"__Host-a", "__host-a"}) {
    EXPECT_THROW((SetCookie{name, "1"}.secure().path("/a").text()), std::invalid_argument);
    EXPECT_THROW((SetCookie{name, "1"}.secure().path("").text()), std::invalid_argument);
    EXPECT_THROW((SetCookie{name, "1"}.secure().domain("b.de").text()), std::invalid_argument);
  }
  EXPECT_NO_THROW((SetCookie{"__Hosta", "1"}.text()));
}

TEST(SetCookie, CrossSiteAndPartitionedNeedSecure) {
  EXPECT_THROW((SetCookie{"a", "1"}.same_site(SameSite::none).text()), std::invalid_argument);
  EXPECT_NO_THROW((SetCookie{"a", "1"}.same_site(SameSite::none).secure().text()));
  EXPECT_THROW((SetCookie{"a", "1"}.partitioned().text()), std::invalid_argument);
  EXPECT_NO_THROW((SetCookie{"a", "1"}.partitioned().secure().text()));
}

TEST(SetCookie, RefusalSaysWhy) {
  try {
    SetCookie{"a", "1"}.same_site(SameSite::none).text();
    FAIL();
  } catch (const std::invalid_argument& refusal) {
    EXPECT_STREQ(refusal.what(), "SetCookie: SameSite::none needs secure().");
  }
}

TEST(SetCookie, RefusedAttributeLeavesTheCookieAsItWas) {
  SetCookie cookie{"a", "1"};
  cookie.path("/b").domain("c.de");
  EXPECT_THROW(cookie.path("x"), std::invalid_argument);
  EXPECT_THROW(cookie.domain("x;"), std::invalid_argument);
  EXPECT_EQ(cookie.text(), "a=1; Path=/b; Domain=c.de; HttpOnly; SameSite=Lax");
}

}  // namespace
}  // namespace sluice
