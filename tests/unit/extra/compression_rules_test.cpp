// compression_rules_test.cpp: which answers may be compressed, and what becomes of their heads.
#include "extra/compression_rules.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <string_view>

#include "server/response_access.hpp"

namespace sluice {
namespace {

const detail::CompressionRules& rules() {
  static const detail::CompressionRules made{CompressionOptions{.more_types = {"application/X-Own"}}};
  return made;
}

std::string fields(const Response& answer) { return std::string{detail::ResponseAccess::fields(answer)}; }

TEST(CompressionRules, TypesThatUsuallyGetSmaller) {
  for (const std::string_view type :
       {"text/plain", "text/html; charset=utf-8", "TEXT/CSS", "application/json", "application/json;charset=utf-8",
        "application/problem+json", "application/atom+xml", "image/svg+xml", "text/javascript",
        "application/javascript", "application/wasm", "application/xml", "Application/LD+JSON ; x=y"}) {
    EXPECT_TRUE(is_compressible(type)) << type;
  }
  for (const std::string_view type : {"", "text", "text/", "image/png", "application/octet-stream", "application/zip",
                                      "video/mp4", "font/woff2", "+json", "application/jsonx", "x/y; text/plain"}) {
    EXPECT_FALSE(is_compressible(type)) << type;
  }
}

TEST(CompressionRules, FurtherTypesAreTheOptions) {
  EXPECT_TRUE(rules().suits(Response{}.content_type("application/x-own; v=2")));
  EXPECT_FALSE(rules().suits(Response{}.content_type("application/x-other")));
}

TEST(CompressionRules, AnswersThatMustNotChange) {
  EXPECT_TRUE(rules().suits(Response{}.content_type("text/plain")));
  EXPECT_TRUE(rules().suits(Response{404}.content_type("text/plain").header("Cache-Control", "no-store, max-age=5")));
  EXPECT_TRUE(rules().suits(Response{}.header("Content-Type", "text/plain")));
  EXPECT_FALSE(rules().suits(Response{}));
  for (const int status : {204, 205, 206, 304}) {
    EXPECT_FALSE(rules().suits(Response{status}.content_type("text/plain"))) << status;
  }
  for (const auto& [name, value] : {std::pair{"Content-Encoding", "gzip"},
                                    {"content-encoding", "identity"},
                                    {"Content-Digest", "sha-256=:x:"},
                                    {"Repr-Digest", "sha-256=:x:"},
                                    {"Digest", "x"},
                                    {"Content-MD5", "x"},
                                    {"Cache-Control", "no-transform"},
                                    {"cache-control", "public, No-Transform"}}) {
    EXPECT_FALSE(rules().suits(Response{}.header("X-A", "b").header(name, value).content_type("text/plain"))) << name;
  }
}

TEST(CompressionRules, VaryIsSaidOnce) {
  Response answer;
  detail::say_that_it_varies(answer);
  detail::say_that_it_varies(answer);
  EXPECT_EQ(fields(answer), "Vary: Accept-Encoding\r\n");
  for (const char* there : {"Accept, accept-encoding", "*"}) {
    Response own = Response{}.header("Vary", "Origin").header("vary", there);
    const std::string before = fields(own);
    detail::say_that_it_varies(own);
    EXPECT_EQ(fields(own), before);
  }
  Response other = Response{}.header("Vary", "Origin");
  detail::say_that_it_varies(other);
  EXPECT_EQ(fields(other), "Vary: Origin\r\nVary: Accept-Encoding\r\n");
}

TEST(CompressionRules, AStrongTagBecomesWeak) {
  Response strong = Response{}.header("Content-Type", "text/plain").header("ETag", "\"a:b\"").header("X-After", "1");
  detail::say_coding(strong, ContentCoding::gzip);
  EXPECT_EQ(fields(strong), "Content-Type: text/plain\r\nETag: W/\"a:b\"\r\nX-After: 1\r\nContent-Encoding: gzip\r\n");
  strong.header("Content-Type", "text/html");  // the line of the type is still found
  EXPECT_TRUE(fields(strong).starts_with("Content-Type: text/html\r\nETag: W/"));
  Response weak = Response{}.header("etag", "W/\"a\"");
  detail::say_coding(weak, ContentCoding::brotli);
  EXPECT_EQ(fields(weak), "etag: W/\"a\"\r\nContent-Encoding: br\r\n");
}

TEST(CompressionRules, WithoutAnyCodingTheMiddlewareRefusesToBeMade) {
  EXPECT_THROW(compress({.codings = {}}), std::logic_error);
  if (coding_available(ContentCoding::gzip)) {
    EXPECT_NO_THROW(compress());
  } else {
    EXPECT_THROW(compress(), std::logic_error);
  }
}

}  // namespace
}  // namespace sluice
