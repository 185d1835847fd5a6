// report_page_test.cpp: what may stand in a report without becoming part of its page, and what the page may ask for.
#include "load/output/report_page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice::bench {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view block_begin = R"(<script type="application/json" id="report-data">)";

/// What a browser takes for the report: from the element's start to the first thing that ends it.
std::string data_block(std::string_view page) {
  const std::size_t begin = page.find(block_begin) + block_begin.size();
  return std::string{page.substr(begin, page.find("</script", begin) - begin)};
}

std::string report_with_name(std::string_view name) {
  return R"({"schema":"sluice-load/1","kind":"report","complete":true,"results":[{"kind":"run","name":")" +
         std::string{name} + R"(","valid":true,"classes":{"name":{"count":1}}}]})";
}

std::string noscript_of(const std::string& page) {
  const std::size_t begin = page.find("<noscript>");
  return page.substr(begin, page.find("</noscript>") - begin);
}

TEST(ReportPage, HoldsTheReportAsItIs) {
  const std::string json = report_with_name("checkout");
  EXPECT_EQ(data_block(report_page(json)), "\n" + json + "\n");
}

TEST(ReportPage, LetsNoTextOfTheReportEndItsElement) {
  const std::string block = data_block(report_page(report_with_name("a</script><script>alert(1)</script>b<!-- c")));
  EXPECT_THAT(block, HasSubstr(R"(a\u003c/script>\u003cscript>alert(1)\u003c/script>b\u003c!-- c)"));
  EXPECT_THAT(block, HasSubstr("\"count\":1"));
  EXPECT_THAT(block, Not(HasSubstr("<")));
}

TEST(ReportPage, EscapesLineSeparatorsAndKeepsTheirNeighbours) {
  const std::string block = data_block(report_page(report_with_name("x\xE2\x80\xA8y\xE2\x80\xA9z\xE2\x80\xA6\xE2")));
  EXPECT_THAT(block, HasSubstr("x\\u2028y\\u2029z\xE2\x80\xA6\xE2\""));
}

TEST(ReportPage, DoesNotTakeTextOfTheReportForAMark) {
  const std::string page = report_page(report_with_name("<!-- @script --> <!-- @style -->"));
  EXPECT_THAT(data_block(page), HasSubstr(R"(\u003c!-- @script -->)"));
  EXPECT_THAT(page, Not(HasSubstr("<!-- @")));
}

TEST(ReportPage, NamesTheResultsForThoseWithoutScripts) {
  const std::string page = report_page(
      R"({"kind":"report","complete":false,"results":[{"kind":"run","name":"a \"<b>\" & c","valid":true,"x":[{"name":"n"}]},)"
      R"({"kind":"search","name":"second","valid":false}]})");
  const std::string words = noscript_of(page);
  EXPECT_THAT(words, HasSubstr("2 results:"));
  EXPECT_THAT(words, HasSubstr("&lt;b&gt;"));
  EXPECT_THAT(words, HasSubstr("&amp; c"));
  EXPECT_THAT(words, HasSubstr("search \xE2\x80\x9Csecond\xE2\x80\x9D, INVALID."));
  EXPECT_THAT(words, HasSubstr("INCOMPLETE"));
  EXPECT_THAT(words, Not(HasSubstr("<b>")));
  EXPECT_THAT(words, Not(HasSubstr("\xE2\x80\x9Cn\xE2\x80\x9D")));
}

TEST(ReportPage, SurvivesTextThatIsNoReport) {
  for (const std::string_view text : {"", "\"", "\"\\", "{", "}}}]]]", "[[[[", "{\"complete\":", "\xE2"}) {
    EXPECT_THAT(noscript_of(report_page(text)), HasSubstr("It holds 0 results")) << text;
  }
}

TEST(ReportPage, AsksForNothingOutsideOfItself) {
  const std::string page = report_page(report_with_name("x"));
  for (const std::string_view scheme : {"http://", "https://", "//"}) {
    for (const std::string_view before : {"src=\"", "src='", "href=\"", "href='", "url(", "url(\"", "url('",
                                          "@import \"", "@import '", "import(\"", "fetch(\""}) {
      EXPECT_THAT(page, Not(HasSubstr(std::string{before} + std::string{scheme})));
    }
  }
  for (const std::string_view word : {"<link", "<img", "<iframe", "src=", "@import", "innerHTML", "outerHTML",
                                      "insertAdjacentHTML", "document.write", "eval(", "XMLHttpRequest", "fetch("}) {
    EXPECT_THAT(page, Not(HasSubstr(word)));
  }
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
}

TEST(ReportPage, HasAllItsSourcesAndStaysSmall) {
  const ReportSources sources = report_sources();
  const std::string page = report_page("{}");
  EXPECT_THAT(page, HasSubstr(sources.style));
  EXPECT_GE(sources.scripts.size(), 2U);
  for (const std::string_view script : sources.scripts) EXPECT_THAT(page, HasSubstr(script));
  EXPECT_LT(page.size(), 400U * 1000U);
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
}

}  // namespace
}  // namespace sluice::bench
