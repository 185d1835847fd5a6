// problem_test.cpp: problems, their words, and how they look to the client.
#include <sluice/problem.hpp>

#include <gtest/gtest.h>
#include <simdjson.h>

#include <set>
#include <string>
#include <string_view>

#include "server/problem_json.hpp"

namespace sluice {
namespace {

using detail::render_problem;

TEST(Problem, TakesItsTitleFromTheStatusUnlessGivenOne) {
  EXPECT_EQ(Problem{404}.title(), "Not Found");
  EXPECT_EQ((Problem{404, "No such user"}.title()), "No such user");
  EXPECT_STREQ(Problem{413}.what(), "Content Too Large");
  EXPECT_EQ(Problem{499}.title(), "Unknown");
}

TEST(Problem, CountsEverythingThatIsNoErrorStatusAs500) {
  for (const int status : {-1, 0, 100, 200, 304, 399, 600, 1000, 65'536 + 404}) {
    EXPECT_EQ(Problem{status}.status(), 500) << status;
    EXPECT_EQ(Problem{status}.title(), "Internal Server Error") << status;
  }
  for (int status = 400; status <= 599; ++status) EXPECT_EQ(Problem{status}.status(), status);
}

TEST(Problem, IsThrownAndCaughtAsAnException) {
  try {
    throw Problem{409, {}, "Taken."}.type("https://example.org/taken").cause("row 7");
  } catch (const std::exception& error) {
    const auto* const problem = dynamic_cast<const Problem*>(&error);
    ASSERT_NE(problem, nullptr);
    EXPECT_EQ(problem->detail(), "Taken.");
    EXPECT_EQ(problem->type(), "https://example.org/taken");
    EXPECT_EQ(problem->cause(), "row 7");
    EXPECT_STREQ(error.what(), "Conflict");
  }
}

TEST(ReasonPhrase, NamesTheRegisteredStatuses) {
  EXPECT_EQ(reason_phrase(100), "Continue");
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(418), "I'm a teapot");
  EXPECT_EQ(reason_phrase(422), "Unprocessable Content");
  EXPECT_EQ(reason_phrase(511), "Network Authentication Required");
  int named = 0;
  std::set<std::string_view> phrases;
  for (int status = -1000; status < 2000; ++status) {
    if (reason_phrase(status) == "Unknown") continue;
    ++named;
    phrases.insert(reason_phrase(status));
    EXPECT_TRUE(status >= 100 && status <= 511) << status;
  }
  EXPECT_EQ(named, 63);
  EXPECT_EQ(phrases.size(), 63U);
}

TEST(ValueProblem, SaysWhatIsMissing) {
  const Problem problem = missing_value("query parameter", "page");
  EXPECT_EQ(problem.status(), 400);
  EXPECT_EQ(problem.detail(), "The query parameter 'page' is missing.");
}

TEST(ValueProblem, SaysWhatIsWanted) {
  const Problem problem = bad_value("path parameter", "id", "a whole number from 0");
  EXPECT_EQ(problem.status(), 400);
  EXPECT_EQ(problem.detail(), "The path parameter 'id' must be a whole number from 0.");
}

/// The body of a rendered problem, parsed.
class Rendered {
 public:
  explicit Rendered(const Problem& problem) : response_{render_problem(problem)} {
    const simdjson::padded_string padded{response_.body()};
    EXPECT_EQ(parser_.parse(padded).get(root_), simdjson::SUCCESS) << response_.body();
  }
  const Response& response() const { return response_; }
  bool has(const char* name) const { return root_[name].error() == simdjson::SUCCESS; }
  std::string text(const char* name) const {
    std::string_view value;
    EXPECT_EQ(root_[name].get(value), simdjson::SUCCESS) << name;
    return std::string{value};
  }
  std::int64_t number(const char* name) const {
    std::int64_t value = 0;
    EXPECT_EQ(root_[name].get(value), simdjson::SUCCESS) << name;
    return value;
  }

 private:
  Response response_;
  simdjson::dom::parser parser_;
  simdjson::dom::element root_;
};

TEST(RenderProblem, WritesTheFieldsOfRfc9457InAFixedOrder) {
  EXPECT_EQ(render_problem(Problem{400, {}, "Bad."}).body(),
            R"({"type":"about:blank","title":"Bad Request","status":400,"detail":"Bad."})");
  EXPECT_EQ(render_problem(Problem{404}).body(), R"({"type":"about:blank","title":"Not Found","status":404})");
}

TEST(RenderProblem, SetsStatusAndContentType) {
  const Rendered rendered{Problem{429}};
  EXPECT_EQ(rendered.response().status(), 429);
  EXPECT_EQ(rendered.response().find_header("Content-Type"), "application/problem+json");
  EXPECT_EQ(rendered.number("status"), 429);
  EXPECT_FALSE(rendered.has("detail"));
}

TEST(RenderProblem, KeepsOddTextIntact) {
  const std::string odd = "quote\" back\\slash\nline \x01 </script> \xC3\xA9 \xF0\x9F\x98\x80";
  const Rendered rendered{Problem{400, odd, odd}.type("https://example.org/\"x\"")};
  EXPECT_EQ(rendered.text("title"), odd);
  EXPECT_EQ(rendered.text("detail"), odd);
  EXPECT_EQ(rendered.text("type"), "https://example.org/\"x\"");
}

TEST(RenderProblem, StaysValidJsonWhenTheTextIsNotUtf8) {
  const Rendered rendered{Problem{400, {}, "bad \xFF byte"}};
  EXPECT_EQ(rendered.text("detail"), "bad \xEF\xBF\xBD byte");
}

TEST(RenderProblem, NeverShowsTheCause) {
  const Response response = render_problem(Problem{500}.cause("password=hunter2"));
  EXPECT_EQ(response.body().find("hunter2"), std::string_view::npos);
}

}  // namespace
}  // namespace sluice
