// request_text_test.cpp: the bytes of a request, and the specs that must not become one.
#include "load/plan/request_text.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;

const RequestDefaults defaults{.host = "example.org:8080", .target = "/plain"};

RequestText compiled(const RequestSpec& spec, const RequestDefaults& with = defaults) {
  auto text = RequestText::compile(spec, with);
  EXPECT_TRUE(text.has_value()) << text.error();
  return text.value_or(RequestText{});
}

std::string refusal(const RequestSpec& spec) {
  const auto text = RequestText::compile(spec, defaults);
  return text ? "taken" : text.error();
}

std::string rendered(const RequestText& text, std::uint64_t seq, std::uint64_t rand, bool closing = false) {
  std::string out;
  text.render(out, seq, rand, closing);
  return out;
}

TEST(RequestText, MakesAPlainGetOfAnEmptySpec) {
  const RequestText text = compiled({});
  EXPECT_TRUE(text.fixed());
  EXPECT_FALSE(text.is_head());
  EXPECT_EQ(text.text(), "GET /plain HTTP/1.1\r\nHost: example.org:8080\r\n\r\n");
  EXPECT_EQ(rendered(text, 1, 2), text.text());
}

TEST(RequestText, SaysCloseInItsSecondForm) {
  EXPECT_EQ(compiled({}).text(true), "GET /plain HTTP/1.1\r\nHost: example.org:8080\r\nConnection: close\r\n\r\n");
  const RequestText closes = compiled({.headers = {{"connection", "keep-alive, Close"}}});
  EXPECT_EQ(closes.text(true), closes.text(false));
}

TEST(RequestText, AddsTheLengthOfABody) {
  EXPECT_EQ(compiled({.method = "POST", .target = "/in", .headers = {{"A", "b"}}, .body = "12345"}).text(),
            "POST /in HTTP/1.1\r\nA: b\r\nHost: example.org:8080\r\nContent-Length: 5\r\n\r\n12345");
  EXPECT_EQ(compiled({.method = "PUT"}).text(),
            "PUT /plain HTTP/1.1\r\nHost: example.org:8080\r\nContent-Length: 0\r\n\r\n");
}

TEST(RequestText, KeepsWhatTheSpecBrings) {
  const RequestSpec spec{.method = "POST", .headers = {{"host", "other"}, {"CONTENT-LENGTH", "2"}}, .body = "ab"};
  EXPECT_EQ(compiled(spec).text(), "POST /plain HTTP/1.1\r\nhost: other\r\nCONTENT-LENGTH: 2\r\n\r\nab");
}

TEST(RequestText, KnowsHead) { EXPECT_TRUE(compiled({.method = "HEAD"}).is_head()); }

TEST(RequestText, TellsTheDeadlineInWholeMilliseconds) {
  RequestDefaults with = defaults;
  with.deadline = 1'000'001ns;
  with.deadline_header = "x-request-timeout-ms";
  EXPECT_EQ(compiled({}, with).text(),
            "GET /plain HTTP/1.1\r\nHost: example.org:8080\r\nx-request-timeout-ms: 2\r\n\r\n");
  EXPECT_EQ(compiled({.headers = {{"X-Request-Timeout-Ms", "9"}}}, with).text(),
            "GET /plain HTTP/1.1\r\nX-Request-Timeout-Ms: 9\r\nHost: example.org:8080\r\n\r\n");
}

TEST(RequestText, FillsItsPlacesForEachRequest) {
  const RequestText text = compiled(
      {.method = "POST", .target = "/item/{seq}?r={rand}", .headers = {{"X-Id", "{seq}-{seq}"}}, .body = "n={rand}"});
  EXPECT_FALSE(text.fixed());
  EXPECT_EQ(text.text(), "");
  EXPECT_EQ(rendered(text, 7, 0x1'0000'0009),
            "POST /item/7?r=9 HTTP/1.1\r\nX-Id: 7-7\r\nHost: example.org:8080\r\nContent-Length: 3\r\n\r\nn=9");
  EXPECT_EQ(rendered(text, 123, 4'294'967'295, true),
            "POST /item/123?r=4294967295 HTTP/1.1\r\nX-Id: 123-123\r\nHost: example.org:8080\r\n"
            "Content-Length: 12\r\nConnection: close\r\n\r\nn=4294967295");
}

TEST(RequestText, AppendsToWhatIsThere) {
  std::string out = "before";
  compiled({}).render(out, 0, 0);
  EXPECT_TRUE(out.starts_with("beforeGET "));
}

TEST(RequestText, LeavesOtherBracesAlone) {
  EXPECT_EQ(compiled({.method = "POST", .body = "{\"seq\":{}}{seq"}).text(),
            "POST /plain HTTP/1.1\r\nHost: example.org:8080\r\nContent-Length: 14\r\n\r\n{\"seq\":{}}{seq");
}

TEST(RequestText, RefusesWhatWouldBreakTheFraming) {
  EXPECT_NE(refusal({.target = "/a\r\nX: y"}), "taken");
  EXPECT_NE(refusal({.target = "/a b"}), "taken");
  EXPECT_NE(refusal({.target = "a"}), "taken");
  EXPECT_NE(refusal({.method = "GE T"}), "taken");
  EXPECT_NE(refusal({.method = ""}), "taken");
  EXPECT_NE(refusal({.method = "CONNECT"}), "taken");
  EXPECT_NE(refusal({.headers = {{"A", "b\nc"}}}), "taken");
  EXPECT_NE(refusal({.headers = {{"A", std::string{"b\0c", 3}}}}), "taken");
  EXPECT_NE(refusal({.headers = {{"A:", "b"}}}), "taken");
  EXPECT_NE(refusal({.headers = {{"", "b"}}}), "taken");
  EXPECT_NE(refusal({.headers = {{"Host", "a"}, {"host", "b"}}}), "taken");
  EXPECT_EQ(refusal({.headers = {{"transfer-encoding", "chunked"}}}),
            "Transfer-Encoding is not sent; bodies go out with a Content-Length");
}

TEST(RequestText, RefusesALengthThatIsNotTheBodys) {
  EXPECT_EQ(refusal({.headers = {{"Content-Length", "4"}}, .body = "abc"}),
            "Content-Length is \"4\", but the body has 3 bytes");
  EXPECT_NE(refusal({.headers = {{"Content-Length", "+3"}}, .body = "abc"}), "taken");
  EXPECT_NE(refusal({.headers = {{"Content-Length", "5"}}, .body = "{seq}"}), "taken");
  EXPECT_NE(refusal({.headers = {{"Content-Length", "3"}, {"Content-Length", "3"}}, .body = "abc"}), "taken");
}

TEST(RequestText, TakesAbsoluteTargetsAndTheAsterisk) {
  EXPECT_EQ(refusal({.method = "OPTIONS", .target = "*"}), "taken");
  EXPECT_EQ(refusal({.target = "http://example.org/a"}), "taken");
}

TEST(RequestMix, ChoosesByWeightAndRepeatsItself) {
  const std::vector<RequestSpec> specs{{.target = "/a", .weight = 1},
                                       {.target = "/b", .weight = 0},
                                       {.target = "/c", .weight = 3},
                                       {.target = "/d", .weight = 0}};
  const auto mix = RequestMix::compile(specs, defaults);
  ASSERT_TRUE(mix.has_value());
  ASSERT_EQ(mix->size(), 4U);
  Random random{5}, again{5};
  std::array<int, 4> counts{};
  for (int draw = 0; draw < 40'000; ++draw) {
    const std::size_t chosen = mix->choose(random);
    ASSERT_EQ(chosen, mix->choose(again));
    ++counts.at(chosen);
  }
  EXPECT_NEAR(counts[0], 10'000, 400);
  EXPECT_EQ(counts[1], 0);
  EXPECT_NEAR(counts[2], 30'000, 400);
  EXPECT_EQ(counts[3], 0);
  EXPECT_TRUE(mix->text(2).text().starts_with("GET /c "));
}

TEST(RequestMix, IsOneGetWithoutSpecs) {
  const auto mix = RequestMix::compile({}, defaults);
  ASSERT_TRUE(mix.has_value());
  EXPECT_EQ(mix->size(), 1U);
  Random random{1};
  EXPECT_EQ(mix->choose(random), 0U);
}

TEST(RequestMix, SaysWhichSpecIsWrong) {
  const auto named = [](std::vector<RequestSpec> specs) {
    const auto mix = RequestMix::compile(specs, defaults);
    return mix ? "taken" : mix.error();
  };
  EXPECT_TRUE(named({{}, {.method = "A B"}}).starts_with("request 2: the method"));
  EXPECT_EQ(named({{}, {.weight = -1}}), "request 2: the weight must be a number, at least 0");
  EXPECT_EQ(named({{.weight = 0}}), "one weight at least must be above 0");
}

}  // namespace
}  // namespace sluice::bench
