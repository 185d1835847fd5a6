// media_type_test.cpp: names to types.
#include "http/media_type.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::http {
namespace {

std::string_view of_extension(std::string_view extension) { return media_type_of_extension(extension); }
std::string_view of_path(std::string_view path) { return media_type_of_path(path); }

constexpr std::string_view unknown = "application/octet-stream";

TEST(MediaType, KnowsWhatAWebSiteConsistsOf) {
  EXPECT_EQ(of_extension("html"), "text/html; charset=utf-8");
  EXPECT_EQ(of_extension("css"), "text/css; charset=utf-8");
  EXPECT_EQ(of_extension("js"), "text/javascript; charset=utf-8");
  EXPECT_EQ(of_extension("mjs"), "text/javascript; charset=utf-8");
  EXPECT_EQ(of_extension("json"), "application/json");
  EXPECT_EQ(of_extension("svg"), "image/svg+xml");
  EXPECT_EQ(of_extension("png"), "image/png");
  EXPECT_EQ(of_extension("woff2"), "font/woff2");
  EXPECT_EQ(of_extension("wasm"), "application/wasm");
  EXPECT_EQ(of_extension("webmanifest"), "application/manifest+json");
  EXPECT_EQ(of_extension("7z"), "application/x-7z-compressed");
  EXPECT_EQ(of_extension("zst"), "application/zstd");
}

TEST(MediaType, LetterCaseDoesNotMatter) {
  EXPECT_EQ(of_extension("HTML"), of_extension("html"));
  EXPECT_EQ(of_extension("JpG"), "image/jpeg");
}

TEST(MediaType, WhatIsNotKnownIsAnOctetStream) {
  for (const std::string_view extension : {"", "x", "htmlx", "htm1", "html ", ".html", "webmanifests", "\xff", "["}) {
    EXPECT_EQ(of_extension(extension), unknown) << extension;
  }
  EXPECT_EQ(of_extension(std::string(10'000, 'a')), unknown);
  EXPECT_EQ(of_extension({"html\0", 5}), unknown);
}

TEST(MediaType, OfAPathIsThatOfItsLastSegment) {
  EXPECT_EQ(of_path("/index.html"), "text/html; charset=utf-8");
  EXPECT_EQ(of_path("a.b/archive.tar.gz"), "application/gzip");
  EXPECT_EQ(of_path("index.TXT"), "text/plain; charset=utf-8");
  for (const std::string_view path :
       {"", "/", "/.html", ".html", "/site.html/", "/site.html/readme", "html", "/a.", "/.."}) {
    EXPECT_EQ(of_path(path), unknown) << path;
  }
  EXPECT_EQ(of_path("/.page.html"), "text/html; charset=utf-8");
}

TEST(MediaType, EveryTextTypeSaysItsCharset) {
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'z'; ++b) {
      for (char c = 'a'; c <= 'z'; ++c) {
        const std::string_view type = of_extension(std::string{a, b, c});
        EXPECT_EQ(type.starts_with("text/"), type.ends_with("; charset=utf-8")) << type;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::http
