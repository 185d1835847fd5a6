// form_test.cpp: FormFields, and which requests it takes for forms.
#include <sluice/extra/form.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/stage.hpp"

namespace sluice {
namespace {

using namespace std::string_literals;
using Pairs = std::vector<std::pair<std::string, std::string>>;

template <class T>
concept GivesAView = requires(T&& text) { std::string_view{std::forward<T>(text)}; };
static_assert(GivesAView<const FormText&> && !GivesAView<FormText>, "a temporary's view would end at once");
static_assert(std::forward_iterator<FormFields::Iterator>);

Pairs pairs(const FormFields& fields) {
  Pairs all;
  for (const FormField& field : fields) all.emplace_back(field.name.str(), field.value.str());
  return all;
}

Pairs read(std::string_view text) {
  const auto fields = FormFields::read(text);
  EXPECT_TRUE(fields) << text;
  if (!fields) return {};
  EXPECT_EQ(fields->size(), pairs(*fields).size()) << text;
  EXPECT_EQ(fields->empty(), pairs(*fields).empty()) << text;
  return pairs(*fields);
}

FormFields form_of(std::string_view text) { return FormFields::read(text).value(); }

/// The detail of the Problem that `action` throws.
template <class F>
std::string refusal(F action) {
  try {
    action();
  } catch (const Problem& problem) { return std::to_string(problem.status()) + " " + problem.detail(); }
  return "none";
}

TEST(Form, FieldsComeInTheOrderSent) { EXPECT_EQ(read("a=1&b=2&a=3"), (Pairs{{"a", "1"}, {"b", "2"}, {"a", "3"}})); }

TEST(Form, OddPiecesAreReadAsBrowsersMeanThem) {
  const std::pair<std::string, Pairs> table[] = {
      {"", {}},
      {"&", {}},
      {"&&a&&", {{"a", ""}}},
      {"a", {{"a", ""}}},
      {"a=", {{"a", ""}}},
      {"=", {{"", ""}}},
      {"=a", {{"", "a"}}},
      {"a=b=c", {{"a", "b=c"}}},
      {"a;b=c", {{"a;b", "c"}}},
      {"a+b=+c+", {{"a b", " c "}}},
      {"%61%3D=%26%2b%25", {{"a=", "&+%"}}},
      {"a=%e2%82%AC", {{"a", "\xe2\x82\xac"}}},
      {"a=\xe2\x82\xac\r\n", {{"a", "\xe2\x82\xac\r\n"}}},
      {"a=x%00y", {{"a", "x\0y"s}}},
      {"a=%2541", {{"a", "%41"}}},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(read(text), expected) << text;
}

TEST(Form, MalformedEscapesAreRefusedWhereverTheyStand) {
  for (const std::string bad : {"%", "%4", "%4g", "%g4", "%%41", "%u0041", "% 41", "%\xc3\xa4"}) {
    for (const std::string& text :
         {bad, "a=" + bad, bad + "=a", "a=1&b=" + bad, "a=" + bad + "&b=1", "&" + bad + "&"}) {
      const auto fields = FormFields::read(text);
      ASSERT_FALSE(fields) << text;
      EXPECT_EQ(fields.error().status(), 400) << text;
      EXPECT_EQ(fields.error().detail(), "The form has a malformed percent-escape.");
    }
  }
  EXPECT_FALSE(FormFields::read("a=%4&1=2"));  // an escape does not reach across fields
}

TEST(Form, FieldsAreCounted) {
  EXPECT_EQ(FormFields::read("&a&&b&", 2)->size(), 2u);
  EXPECT_EQ(FormFields::read("a&b&c", 2).error().status(), 413);
  EXPECT_EQ(FormFields::read("&&", 0)->size(), 0u);
  std::string text;
  for (int i = 0; i < 1'000; ++i) text += "a&";
  EXPECT_EQ(FormFields::read(text)->size(), 1'000u);
  EXPECT_EQ(FormFields::read(text + "a").error().status(), 413);
}

TEST(Form, FirstAndAllValuesOfAName) {
  const FormFields fields = form_of("a=1&%61=2&b=&a=+3&c");
  EXPECT_EQ(fields.first("a"), "1");
  EXPECT_EQ(fields.first("b"), "");
  EXPECT_EQ(fields.first("d"), std::nullopt);
  EXPECT_TRUE(fields.has("c"));
  EXPECT_FALSE(fields.has("A"));
  std::vector<std::string> values;
  for (FormText& value : fields.all("a")) values.push_back(std::move(value).str());
  EXPECT_EQ(values, (std::vector<std::string>{"1", "2", " 3"}));
  EXPECT_TRUE(fields.all("d").empty());
}

TEST(Form, ValuesAreTyped) {
  const FormFields fields = form_of("n=42&minus=-1&f=1.5&yes=true&text=a+b&empty=");
  EXPECT_EQ(fields.value<int>("n"), 42);
  EXPECT_EQ(fields.value<std::int64_t>("minus"), -1);
  EXPECT_EQ(fields.value<double>("f"), 1.5);
  EXPECT_EQ(fields.value<bool>("yes"), true);
  EXPECT_EQ(fields.value<std::string>("text"), "a b");
  EXPECT_EQ(fields.value<int>("none", 7), 7);
  EXPECT_EQ(fields.value<int>("n", 7), 42);
  EXPECT_EQ(fields.value<std::string>("none", "x"), "x");
  EXPECT_EQ(fields.try_value<int>("n"), 42);
}

TEST(Form, MissingAndBadValuesAreProblems) {
  const FormFields fields = form_of("n=4x&minus=-1&empty=");
  EXPECT_EQ(refusal([&] { fields.value<int>("none"); }), "400 The form field 'none' is missing.");
  EXPECT_EQ(refusal([&] { fields.value<int>("n"); }), "400 The form field 'n' must be a whole number.");
  EXPECT_EQ(refusal([&] { fields.value<int>("n", 7); }), "400 The form field 'n' must be a whole number.");
  EXPECT_EQ(refusal([&] { fields.value<unsigned>("minus"); }),
            "400 The form field 'minus' must be a whole number from 0.");
  EXPECT_EQ(fields.try_value<int>("empty").error().status(), 400);
  EXPECT_EQ(fields.try_value<int>("none").error().detail(), "The form field 'none' is missing.");
}

TEST(Form, OnlyEscapedTextIsCopied) {
  const std::string body = "name=plain&other=a+b";
  const FormFields fields = form_of(body);
  const auto inside = [&](std::string_view view) {
    return view.data() >= body.data() && view.data() <= body.data() + body.size();
  };
  const auto plain = fields.first("name");
  const auto escaped = fields.first("other");
  EXPECT_TRUE(inside(plain->view()));
  EXPECT_FALSE(inside(escaped->view()));
  const auto copy = escaped;  // NOLINT(performance-unnecessary-copy-initialization): a copy has a string of its own
  EXPECT_EQ(copy, "a b");
  EXPECT_NE(copy->view().data(), escaped->view().data());
}

TEST(Form, IteratorsMayBeKeptAndCompared) {
  const FormFields fields = form_of("a=1&&=&b=2&");
  auto second = std::next(fields.begin());
  auto same = fields.begin();
  EXPECT_EQ((*same++).value, "1");
  EXPECT_EQ(same, second);
  EXPECT_NE(same, fields.begin());
  EXPECT_EQ((*++same).name, "b");
  EXPECT_NE(same, second);
  EXPECT_EQ(++same, fields.end());
  EXPECT_EQ(FormFields{}.begin(), FormFields{}.end());
}

TEST(Form, RandomFieldsComeOutAsTheyWentIn) {
  const char* const one = std::getenv("SLUICE_SEED");
  const std::uint64_t first = one == nullptr ? 1 : std::strtoull(one, nullptr, 0);
  const std::uint64_t last = one == nullptr ? 2'000 : first;
  const auto escaped = [](const std::string& text, std::mt19937_64& random) {
    constexpr std::string_view digits = "0123456789abcdef0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      const bool must = std::string_view{"&=+% "}.find(c) != std::string_view::npos;
      const unsigned digit_set = random() % 2 * 16;
      if (c == ' ' && random() % 2 == 0) out += '+';
      else if (must || random() % 4 == 0) out += {'%', digits[byte / 16 + digit_set], digits[byte % 16 + digit_set]};
      else out += c;
    }
    return out;
  };
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    std::mt19937_64 random{seed};
    Pairs expected(random() % 6);
    std::string body;
    for (auto& [name, value] : expected) {
      for (std::size_t i = random() % 5; i > 0; --i) name.push_back(static_cast<char>(random()));
      for (std::size_t i = random() % 9; i > 0; --i) value.push_back(static_cast<char>(random()));
      body += escaped(name, random) + "=" + escaped(value, random) + (random() % 2 == 0 ? "&" : "&&");
    }
    EXPECT_EQ(read(body), expected);
    if (testing::Test::HasFailure()) FAIL() << "SLUICE_SEED=" << seed;
  }
}

TEST(Form, OnlyItsOwnTypeInUtf8IsTaken) {
  const std::pair<const char*, int> table[] = {
      {"application/x-www-form-urlencoded", 0},
      {"Application/X-WWW-Form-UrlEncoded", 0},
      {"application/x-www-form-urlencoded;", 0},
      {"application/x-www-form-urlencoded; charset=UTF-8", 0},
      {"application/x-www-form-urlencoded ;charset=\"utf-8\"", 0},
      {"application/x-www-form-urlencoded; charset=utf8", 0},
      {"application/x-www-form-urlencoded; a=b; c=\"d;charset=x\"", 0},
      {"", 415},
      {"text/plain", 415},
      {"multipart/form-data; boundary=b", 415},
      {"application/x-www-form-urlencodedx", 415},
      {"application/x-www-form-urlencoded, text/plain", 415},
      {"application/x-www-form-urlencoded; charset=iso-8859-1", 415},
      {"application/x-www-form-urlencoded; Charset=utf-8; charset=utf-16", 415},
      {"application/x-www-form-urlencoded; charset=\"\"", 415},
      {"application/x-www-form-urlencoded; charset", 400},
      {"application/x-www-form-urlencoded; charset =utf-8", 400},
      {"application/x-www-form-urlencoded; charset=\"utf-8", 400},
      {"application/x-www-form-urlencoded; charset=utf-8 x", 400},
  };
  for (const auto& [type, status] : table) {
    const auto checked = check_form_type(type);
    EXPECT_EQ(checked ? 0 : checked.error().status(), status) << type;
  }
}

class FormRequests : public sim::Stage {};

TEST_F(FormRequests, AreReadByAHandler) {
  app.post("/", [](const Request& request) {
    const FormFields fields = form(request, 3);
    return text(std::to_string(fields.value<int>("a") + fields.value<int>("b", 0)));
  });
  serve();
  sim::Talker& talker = client();
  const std::string type = "Content-Type: application/x-www-form-urlencoded\r\n";
  EXPECT_EQ(talker.ask("POST", "/", type, "a=1&b=2").last().body, "3");
  EXPECT_EQ(talker.ask("POST", "/", type, "b=1").last().status, 400);
  EXPECT_EQ(talker.ask("POST", "/", type, "a=%zz").last().status, 400);
  EXPECT_EQ(talker.ask("POST", "/", type, "a=1&c&d&e").last().status, 413);
  EXPECT_EQ(talker.ask("POST", "/", type + type, "a=1").last().status, 400);
  EXPECT_EQ(talker.ask("POST", "/", "", "a=1").last().status, 415);
  const sim::ClientResponse other = talker.ask("POST", "/", "Content-Type: text/plain\r\n", "a=1").last();
  EXPECT_EQ(other.status, 415);
  EXPECT_EQ(other.header("accept"), "application/x-www-form-urlencoded");
}

}  // namespace
}  // namespace sluice
