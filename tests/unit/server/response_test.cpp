// response_test.cpp: what a Response takes, keeps and refuses.
#include <sluice/message.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace sluice {
namespace {

using namespace std::string_view_literals;

TEST(Response, IsA200WithoutBodyOrFieldsAtFirst) {
  const Response response;
  EXPECT_EQ(response.status(), 200);
  EXPECT_EQ(response.body(), "");
  EXPECT_FALSE(response.find_header("Content-Type"));
  EXPECT_FALSE(response.find_header("X-Any"));
}

TEST(Response, TakesEveryStatusFrom200To599AndNoOther) {
  for (int status = -1; status <= 1000; ++status) {
    if (status >= 200 && status <= 599) {
      EXPECT_EQ(Response{status}.status(), status);
      EXPECT_EQ(empty(status).status(), status);
    } else {
      EXPECT_THROW(Response{status}, std::invalid_argument) << status;
      EXPECT_THROW(empty(status), std::invalid_argument) << status;
    }
  }
  EXPECT_THROW(Response{65'536 + 200}, std::invalid_argument);  // would be 200 if cut to 16 bits
}

TEST(Response, KeepsItsStatusWhenANewOneIsRefused) {
  Response response{404};
  EXPECT_THROW(response.status(101), std::invalid_argument);
  EXPECT_EQ(response.status(), 404);
  EXPECT_EQ(response.status(410).status(), 410);
}

TEST(Response, FindsFieldsWithoutRegardToCase) {
  Response response;
  response.header("X-Trace", "abc").header("ETag", "\"1\"");
  EXPECT_EQ(response.find_header("x-trace"), "abc");
  EXPECT_EQ(response.find_header("ETAG"), "\"1\"");
  EXPECT_FALSE(response.find_header("X-Trac"));
  EXPECT_FALSE(response.find_header("X-Tracee"));
  EXPECT_FALSE(response.find_header(""));
}

TEST(Response, FindsTheFirstOfSeveralFieldsOfAName) {
  Response response;
  response.header("Set-Cookie", "a=1").header("Vary", "Origin").header("Set-Cookie", "b=2");
  EXPECT_EQ(response.find_header("set-cookie"), "a=1");
  EXPECT_EQ(response.find_header("vary"), "Origin");
}

TEST(Response, FindsValuesThatLookLikeFields) {
  Response response;
  response.header("X-First", "X-Second: no").header("X-Second", "yes: really");
  EXPECT_EQ(response.find_header("X-Second"), "yes: really");
  EXPECT_EQ(response.find_header("X-First"), "X-Second: no");
}

TEST(Response, TrimsWhiteSpaceAroundAValueAndAllowsAnEmptyOne) {
  Response response;
  response.header("A", " \t x y\t ").header("B", "").header("C", " \t ");
  EXPECT_EQ(response.find_header("A"), "x y");
  EXPECT_EQ(response.find_header("B"), "");
  EXPECT_EQ(response.find_header("C"), "");
}

TEST(Response, TakesEveryByteOfAValueThatCannotEndALine) {
  for (int code = 0; code < 256; ++code) {
    const std::string value = std::string{"a"} + static_cast<char>(code) + "b";
    Response response;
    const bool fine = code == '\t' || (code >= 0x20 && code != 0x7F);
    if (fine) {
      response.header("X", value);
      EXPECT_EQ(response.find_header("X"), value) << code;
    } else {
      EXPECT_THROW(response.header("X", value), std::invalid_argument) << code;
      EXPECT_FALSE(response.find_header("X")) << code;
    }
  }
}

TEST(Response, TakesTokensAsNamesAndNothingElse) {
  const std::string_view others = "!#$%&'*+-.^_`|~";
  for (int code = 0; code < 256; ++code) {
    const char c = static_cast<char>(code);
    const bool token = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       (code != 0 && others.find(c) != std::string_view::npos);
    const std::string name = std::string{"X"} + c;
    Response response;
    if (token) EXPECT_NO_THROW(response.header(name, "v")) << code;
    else EXPECT_THROW(response.header(name, "v"), std::invalid_argument) << code;
  }
  EXPECT_THROW(Response{}.header("", "v"), std::invalid_argument);
}

TEST(Response, RefusesToBeSplit) {
  const std::string_view attacks[] = {"a\r\nSet-Cookie: b=1", "a\nX: y", "a\rX: y", "\r\n\r\n<html>", "a\0b"sv};
  for (const std::string_view attack : attacks) {
    EXPECT_THROW(Response{}.header("Location", attack), std::invalid_argument);
    EXPECT_THROW(Response{}.header("Content-Type", attack), std::invalid_argument);
    EXPECT_THROW(Response{}.header(attack, "v"), std::invalid_argument);
  }
}

TEST(Response, RefusesFieldsThatTheLibraryWrites) {
  const char* const names[] = {"Content-Length",
                               "Transfer-Encoding",
                               "Connection",
                               "Keep-Alive",
                               "Date",
                               "Upgrade",
                               "Trailer",
                               "TE",
                               "te",
                               "CONTENT-LENGTH",
                               "dAtE"};
  for (const char* const name : names) {
    Response response;
    try {
      response.header(name, "x");
      FAIL() << name << " was taken";
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string_view{error.what()}.find(name), std::string_view::npos) << error.what();
      EXPECT_EQ(std::string_view{error.what()}.back(), '.') << error.what();
    }
    EXPECT_FALSE(response.find_header(name));
  }
}

TEST(Response, DoesNotRepeatABadValueInItsError) {
  try {
    Response{}.header("Location", "secret\r\n");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(std::string_view{error.what()}.find("secret"), std::string_view::npos);
  }
}

TEST(Response, IsUnchangedByARefusedField) {
  Response response;
  response.header("A", "1").header("Content-Type", "text/css");
  EXPECT_THROW(response.header("Content-Type", "a\nb"), std::invalid_argument);
  EXPECT_THROW(response.header("A", "\x01"), std::invalid_argument);
  EXPECT_EQ(response.find_header("content-type"), "text/css");
  EXPECT_EQ(response.find_header("a"), "1");
}

TEST(Response, HasOneContentTypeAndTheLastOneCounts) {
  Response response = text("hello");
  EXPECT_EQ(response.find_header("Content-Type"), "text/plain; charset=utf-8");
  response.header("content-type", "text/html");
  EXPECT_EQ(response.find_header("Content-Type"), "text/html");
  response.content_type("image/png");
  EXPECT_EQ(response.find_header("Content-Type"), "image/png");
  response.header("CONTENT-TYPE", " a/b ");
  EXPECT_EQ(response.find_header("Content-Type"), "a/b");
  response.header("Content-Type", "");
  EXPECT_FALSE(response.find_header("Content-Type"));
}

TEST(Response, SendsALiteralFromWhereItLies) {
  static constexpr char bytes[] = "Hello, World!";
  const Response response = text(bytes);
  EXPECT_EQ(static_cast<const void*>(response.body().data()), static_cast<const void*>(bytes));
  EXPECT_EQ(response.body(), "Hello, World!");
}

TEST(Response, KeepsAMovedStringWithoutCopyingIt) {
  std::string bytes(1000, 'x');
  const char* const place = bytes.data();
  const Response response = Response{}.body(std::move(bytes));
  EXPECT_EQ(static_cast<const void*>(response.body().data()), static_cast<const void*>(place));
}

TEST(Response, CopiesTextItIsNotGiven) {
  std::string bytes = "changes later";
  const std::string constant = "constant";
  const char* const pointer = bytes.c_str();
  const Response from_string = text(bytes);
  const Response from_view = text(std::string_view{bytes}.substr(0, 7));
  const Response from_pointer = text(pointer);
  const Response from_constant = json(std::move(constant));  // NOLINT: a const string can only be copied
  bytes.assign(bytes.size(), '?');
  EXPECT_EQ(from_string.body(), "changes later");
  EXPECT_EQ(from_view.body(), "changes");
  EXPECT_EQ(from_pointer.body(), "changes later");
  EXPECT_EQ(from_constant.body(), "constant");
  EXPECT_EQ(constant, "constant");
}

TEST(Response, KeepsSharedBytesAliveAndLetsThemGo) {
  auto bytes = std::make_shared<const std::string>("shared");
  const std::weak_ptr<const std::string> watch = bytes;
  Response response;
  response.body(SharedBytes{std::move(bytes)});
  EXPECT_EQ(response.body(), "shared");
  EXPECT_FALSE(watch.expired());
  Response moved = std::move(response);
  EXPECT_EQ(moved.body(), "shared");
  moved.body("literal");
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(moved.body(), "literal");
}

TEST(Response, TakesAnEmptySharedPointerAsNoBytes) {
  EXPECT_EQ(Response{}.body(SharedBytes{std::shared_ptr<const std::string>{}}).body(), "");
}

TEST(Response, HasTheBodySetLast) {
  Response response;
  response.body("one");
  response.body(std::string{"two"});
  EXPECT_EQ(response.body(), "two");
  response.body(SharedBytes{std::make_shared<const std::string>("three")});
  EXPECT_EQ(response.body(), "three");
  response.body("four");
  EXPECT_EQ(response.body(), "four");
  response.body(std::string{});
  EXPECT_EQ(response.body(), "");
}

TEST(Response, KeepsItsShortBodyWhenCopiedOrMoved) {
  Response first = text(std::string{"short"});  // within the string object itself
  const Response copy = first;
  const Response moved = std::move(first);
  EXPECT_EQ(copy.body(), "short");
  EXPECT_EQ(moved.body(), "short");
}

TEST(Response, HoldsBodiesWithEveryByte) {
  const std::string bytes{"a\0b\r\n\xFF"sv};
  EXPECT_EQ(text(bytes).body(), bytes);
  EXPECT_EQ(text("a\0b").body(), "a\0b"sv);
}

TEST(Response, IsBuiltInOneExpression) {
  const Response response =
      Response{201}.header("Location", "/users/7").content_type("application/json").body("{}").close();
  EXPECT_EQ(response.status(), 201);
  EXPECT_EQ(response.find_header("Location"), "/users/7");
  EXPECT_EQ(response.body(), "{}");
}

TEST(Response, MakersSetStatusAndType) {
  EXPECT_EQ(json("{}").find_header("Content-Type"), "application/json");
  EXPECT_EQ(json(std::string{"[1]"}).body(), "[1]");
  EXPECT_EQ(json(std::string{"[1]"}).find_header("Content-Type"), "application/json");
  EXPECT_EQ(text(std::string{"x"}).find_header("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(empty(204).status(), 204);
  EXPECT_EQ(empty(204).body(), "");
  EXPECT_FALSE(empty(204).find_header("Content-Type"));
}

TEST(Method, IsWrittenAsOnTheWire) {
  EXPECT_EQ(to_string(Method::get), "GET");
  EXPECT_EQ(to_string(Method::delete_), "DELETE");
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < method_count; ++i) names.insert(to_string(static_cast<Method>(i)));
  EXPECT_EQ(names, (std::set<std::string_view>{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE",
                                               "PATCH"}));
}

}  // namespace
}  // namespace sluice
