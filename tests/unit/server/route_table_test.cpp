// route_table_test.cpp: patterns that are refused, paths that are found, and a comparison with a naive matcher.
#include "server/route_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::detail {
namespace {

using namespace std::string_view_literals;
using Kind = Match::Kind;

/// "7 id=3 rest=a/b", "404" or "405 GET, HEAD, OPTIONS".
std::string shown(const Match& match) {
  if (match.kind == Kind::not_found) return "404";
  if (match.kind == Kind::method_not_allowed) return "405 " + allow_header(match.allowed);
  std::string text = std::to_string(match.route);
  for (std::size_t i = 0; i < match.param_count; ++i) {
    text += ' ';
    text.append(match.params[i].name).append("=").append(match.params[i].value);
  }
  return text;
}

std::string lookup(const RouteTable& table, std::string_view path, Method method = Method::get) {
  PathScratch scratch;
  const std::string text = shown(table.match(method, path, scratch));
  // What the quick look-up says holds, and it knows all patterns that have no parameters.
  const std::uint32_t quick = table.match_static(method, path);
  const bool plain = text.find_first_not_of("0123456789") == std::string::npos && text != "404";
  if (quick != RouteTable::none) {
    EXPECT_EQ(std::to_string(quick), text) << path;
  } else {
    EXPECT_TRUE(!plain || path.find('%') != std::string_view::npos) << path << " leads to " << text;
  }
  return text;
}

/// Routes numbered from 0, all for GET.
RouteTable table_of(std::initializer_list<std::string_view> patterns) {
  RouteTable table;
  std::uint32_t route = 0;
  for (const std::string_view pattern : patterns) table.add(Method::get, pattern, route++);
  return table;
}

std::string refusal(RouteTable& table, std::string_view pattern, Method method = Method::get) {
  try {
    table.add(method, pattern, 99);
  } catch (const std::invalid_argument& error) { return error.what(); }
  return "";
}

// ---- patterns ----

TEST(RouteTable, RefusesBadPatternsWithASentence) {
  const std::string_view bad[] = {"",
                                  "users",
                                  "{id}",
                                  "//",
                                  "/a//b",
                                  "//a",
                                  "/{}",
                                  "/{...}",
                                  "/{id",
                                  "/id}",
                                  "/a{id}",
                                  "/{id}b",
                                  "/{{id}}",
                                  "/{a}{b}",
                                  "/{a b}",
                                  "/{a.b}",
                                  "/{a..}",
                                  "/{a...}/b",
                                  "/{a...}/",
                                  "/{a....}",
                                  "/{a}/{a}",
                                  "/{a}/{a...}",
                                  "/a%20b",
                                  "/a?b",
                                  "/a#b",
                                  "/a\nb",
                                  "/a\0"sv,
                                  "/}{",
                                  "/{",
                                  "/}",
                                  "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}",
                                  "/{\xC3\xA9}"};
  for (const std::string_view pattern : bad) {
    RouteTable table;
    const std::string sentence = refusal(table, pattern);
    std::string named{pattern};  // a control character would end or break the sentence
    std::replace_if(named.begin(), named.end(), [](char c) { return c >= 0 && c < ' '; }, '?');
    EXPECT_NE(sentence.find("\"" + named + "\""), std::string::npos) << sentence;
    EXPECT_TRUE(sentence.ends_with('.')) << sentence;
    EXPECT_EQ(lookup(table, "/"), "404");
  }
}

TEST(RouteTable, TakesPatternsAtTheirLimits) {
  RouteTable table;
  EXPECT_EQ(refusal(table, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}"), "");
  std::string deep;
  for (std::size_t i = 0; i < route_segments_max; ++i) deep += "/s";
  EXPECT_EQ(refusal(table, deep), "");
  EXPECT_NE(refusal(table, deep + "/s"), "");
  EXPECT_NE(refusal(table, deep + "/"), "");
  EXPECT_EQ(lookup(table, deep), "99");
  EXPECT_EQ(lookup(table, deep + "/s"), "404");
  EXPECT_EQ(refusal(table, deep.substr(2) + "/{rest...}"), "");
  EXPECT_EQ(lookup(table, deep + "/s"), "99 rest=s/s");
}

TEST(RouteTable, NamesBothPatternsOfAConflict) {
  RouteTable table = table_of({"/users/{id}/posts", "/files/{path...}", "/static"});
  const std::string sentence = refusal(table, "/users/{name}/posts");
  EXPECT_NE(sentence.find("/users/{id}/posts"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("/users/{name}/posts"), std::string::npos) << sentence;
  EXPECT_NE(refusal(table, "/users/{name}/posts", Method::post), "");
  EXPECT_NE(refusal(table, "/files/{rest...}"), "");
  EXPECT_NE(refusal(table, "/static"), "");
  EXPECT_NE(refusal(table, "/users/{id}/posts"), "");
}

TEST(RouteTable, IsUnchangedByARefusal) {
  RouteTable table = table_of({"/a/{id}", "/b"});
  EXPECT_NE(refusal(table, "/a/{x}"), "");
  EXPECT_NE(refusal(table, "/b"), "");
  EXPECT_NE(refusal(table, "/c/{x"), "");
  EXPECT_EQ(lookup(table, "/a/1"), "0 id=1");
  EXPECT_EQ(lookup(table, "/b"), "1");
  EXPECT_EQ(lookup(table, "/c"), "404");
}

TEST(RouteTable, TakesPatternsThatDifferInMoreThanNames) {
  RouteTable table;
  for (const std::string_view pattern : {"/a/{x}", "/a/{y}/b", "/a/{z...}", "/a/", "/a", "/a/b", "/{q}/b", "/{r...}"}) {
    EXPECT_EQ(refusal(table, pattern), "") << pattern;
  }
}

TEST(RouteTable, KnowsTheSamePatternForSeveralMethods) {
  RouteTable table;
  table.add(Method::get, "/a/{id}", 1);
  table.add(Method::delete_, "/a/{id}", 2);
  EXPECT_EQ(lookup(table, "/a/5", Method::get), "1 id=5");
  EXPECT_EQ(lookup(table, "/a/5", Method::delete_), "2 id=5");
}

// ---- paths ----

TEST(SameText, EveryByteCountsAtEveryLength) {
  for (std::size_t size = 0; size <= 20; ++size) {
    const std::string text(size, 'x');
    EXPECT_TRUE(same_text(text, std::string(size, 'x')));
    EXPECT_FALSE(same_text(text, text + 'x'));
    for (std::size_t at = 0; at < size; ++at) {
      std::string other = text;
      other[at] = 'y';
      EXPECT_FALSE(same_text(text, other)) << size << " bytes, " << at;
    }
  }
}

TEST(RouteTable, FindsNothingWhenEmpty) {
  const RouteTable table;
  for (const std::string_view path : {"", "/", "/a", "*", "a", "/%41", "//"}) EXPECT_EQ(lookup(table, path), "404");
}

TEST(RouteTable, FindsStaticPathsExactly) {
  const RouteTable table = table_of({"/", "/hello", "/hello/world", "/hello/"});
  EXPECT_EQ(lookup(table, "/"), "0");
  EXPECT_EQ(lookup(table, ""), "0");
  EXPECT_EQ(lookup(table, "/hello"), "1");
  EXPECT_EQ(lookup(table, "/hello/world"), "2");
  EXPECT_EQ(lookup(table, "/hello/"), "3");
  for (const std::string_view path : {"/hell", "/helloo", "/Hello", "/hello//", "/hello/world/", "//", "hello", "*"}) {
    EXPECT_EQ(lookup(table, path), "404") << path;
  }
}

TEST(RouteTable, TreatsATrailingSlashAsAnotherPath) {
  const RouteTable table = table_of({"/a/{id}", "/b/"});
  EXPECT_EQ(lookup(table, "/a/1"), "0 id=1");
  EXPECT_EQ(lookup(table, "/a/1/"), "404");
  EXPECT_EQ(lookup(table, "/b"), "404");
  EXPECT_EQ(lookup(table, "/b/"), "1");
}

TEST(RouteTable, GivesOneNonEmptySegmentToAParameter) {
  const RouteTable table = table_of({"/{a}/x/{b}"});
  EXPECT_EQ(lookup(table, "/1/x/2"), "0 a=1 b=2");
  EXPECT_EQ(lookup(table, "//x/2"), "404");
  EXPECT_EQ(lookup(table, "/1/x/"), "404");
  EXPECT_EQ(lookup(table, "/1/x/2/3"), "404");
}

TEST(RouteTable, GivesAllThatIsLeftToARest) {
  const RouteTable table = table_of({"/files/{path...}"});
  EXPECT_EQ(lookup(table, "/files/a"), "0 path=a");
  EXPECT_EQ(lookup(table, "/files/a/b//c/"), "0 path=a/b//c/");
  EXPECT_EQ(lookup(table, "/files/"), "0 path=");
  EXPECT_EQ(lookup(table, "/files//"), "0 path=/");
  EXPECT_EQ(lookup(table, "/files"), "404");
  EXPECT_EQ(lookup(table, "/filesystem"), "404");
}

TEST(RouteTable, GivesEveryPathToARestAtTheRoot) {
  const RouteTable table = table_of({"/{all...}"});
  EXPECT_EQ(lookup(table, "/"), "0 all=");
  EXPECT_EQ(lookup(table, ""), "0 all=");
  EXPECT_EQ(lookup(table, "/a/b"), "0 all=a/b");
  EXPECT_EQ(lookup(table, "*"), "404");
}

TEST(RouteTable, PrefersStaticToParameterToRest) {
  const RouteTable table = table_of({"/{rest...}", "/{a}", "/x", "/{a}/y", "/x/{b}", "/x/y/{rest...}"});
  EXPECT_EQ(lookup(table, "/x"), "2");
  EXPECT_EQ(lookup(table, "/q"), "1 a=q");
  EXPECT_EQ(lookup(table, "/q/y"), "3 a=q");
  EXPECT_EQ(lookup(table, "/x/y"), "4 b=y");
  EXPECT_EQ(lookup(table, "/x/y/z"), "5 rest=z");
  EXPECT_EQ(lookup(table, "/q/z"), "0 rest=q/z");
  EXPECT_EQ(lookup(table, "/x/y/"), "5 rest=");
}

TEST(RouteTable, GoesBackWhenTheBetterSegmentLeadsNowhere) {
  const RouteTable table = table_of({"/a/b/c", "/a/{x}/d", "/{y}/b/e", "/{y}/{x}/{z}", "/a/{r...}"});
  EXPECT_EQ(lookup(table, "/a/b/c"), "0");
  EXPECT_EQ(lookup(table, "/a/b/d"), "1 x=b");
  EXPECT_EQ(lookup(table, "/a/b/e"), "4 r=b/e");
  EXPECT_EQ(lookup(table, "/q/b/e"), "2 y=q");
  EXPECT_EQ(lookup(table, "/q/b/f"), "3 y=q x=b z=f");
  EXPECT_EQ(lookup(table, "/a/b/c/d"), "4 r=b/c/d");
}

TEST(RouteTable, FindsPathsDeeperThanAnyPatternOnlyUnderARest) {
  const RouteTable table = table_of({"/a/{x}", "/r/{rest...}"});
  std::string deep;
  for (int i = 0; i < 2'000; ++i) deep += "/s";
  EXPECT_EQ(lookup(table, "/a" + deep), "404");
  EXPECT_EQ(lookup(table, "/r" + deep), "1 rest=" + deep.substr(1));
  EXPECT_EQ(lookup(table, "/%72" + deep + "%41"), "1 rest=" + deep.substr(1) + "A");
}

// ---- escapes ----

TEST(RouteTable, DecodesEachSegmentOnce) {
  const RouteTable table = table_of({"/users/{id}", "/a b/\xC3\xA9"});
  EXPECT_EQ(lookup(table, "/users/a%20b"), "0 id=a b");
  EXPECT_EQ(lookup(table, "/%75sers/x"), "0 id=x");
  EXPECT_EQ(lookup(table, "/users/%2541"), "0 id=%41");
  EXPECT_EQ(lookup(table, "/users/a+b"), "0 id=a+b");
  EXPECT_EQ(lookup(table, "/a%20b/%c3%A9"), "1");
  EXPECT_EQ(lookup(table, "/users/%00"), "0 id=" + std::string(1, '\0'));
}

TEST(RouteTable, TakesAnEscapedSlashAsData) {
  const RouteTable table = table_of({"/{a}/{b}", "/a/b/c", "/a/{r...}"});
  EXPECT_EQ(lookup(table, "/x%2Fy/z"), "0 a=x/y b=z");
  EXPECT_EQ(lookup(table, "/x/y%2fz"), "0 a=x b=y/z");
  EXPECT_EQ(lookup(table, "/%2F/%2F"), "0 a=/ b=/");
  EXPECT_EQ(lookup(table, "/a%2Fb/c"), "0 a=a/b b=c");
  EXPECT_EQ(lookup(table, "/a/b%2Fc"), "2 r=b/c");
  EXPECT_EQ(lookup(table, "/a%2Fb%2Fc"), "404");
}

TEST(RouteTable, DoesNotFindAMalformedEscape) {
  const RouteTable table = table_of({"/{r...}"});
  for (const std::string_view path : {"/%", "/%4", "/%zz", "/a%2", "/%4g", "/a/%%41"}) {
    EXPECT_EQ(lookup(table, path), "404") << path;
  }
}

TEST(RouteTable, LeavesTheScratchAloneWithoutAnEscapeAndFillsItWithOne) {
  const RouteTable table = table_of({"/users/{id}"});
  PathScratch scratch = "before";
  const std::string plain = "/users/7";
  const Match first = table.match(Method::get, plain, scratch);
  EXPECT_EQ(scratch, "before");
  EXPECT_EQ(static_cast<const void*>(first.params[0].value.data()), static_cast<const void*>(plain.data() + 7));
  const Match second = table.match(Method::get, "/users/%41%2F", scratch);
  EXPECT_EQ(scratch, "/users/A/");
  EXPECT_EQ(static_cast<const void*>(second.params[0].value.data()), static_cast<const void*>(scratch.data() + 7));
  table.match(Method::get, "/nowhere/%41", scratch);
  EXPECT_EQ(scratch, "/nowhere/A");
}

// ---- methods ----

TEST(RouteTable, AnswersHeadWithGetUnlessItHasARouteOfItsOwn) {
  RouteTable table;
  table.add(Method::get, "/a", 1);
  table.add(Method::get, "/b/{x}", 2);
  table.add(Method::head, "/b/{x}", 3);
  table.add(Method::post, "/c", 4);
  EXPECT_EQ(lookup(table, "/a", Method::head), "1");
  EXPECT_EQ(lookup(table, "/b/1", Method::head), "3 x=1");
  EXPECT_EQ(lookup(table, "/b/1", Method::get), "2 x=1");
  EXPECT_EQ(lookup(table, "/c", Method::head), "405 POST, OPTIONS");
}

TEST(RouteTable, NamesTheMethodsAPathTakes) {
  RouteTable table;
  table.add(Method::get, "/a", 1);
  table.add(Method::delete_, "/a", 2);
  table.add(Method::options, "/o", 3);
  EXPECT_EQ(lookup(table, "/a", Method::post), "405 GET, HEAD, DELETE, OPTIONS");
  EXPECT_EQ(lookup(table, "/a", Method::options), "405 GET, HEAD, DELETE, OPTIONS");
  EXPECT_EQ(lookup(table, "/o", Method::options), "3");
  EXPECT_EQ(lookup(table, "/o", Method::get), "405 OPTIONS");
  EXPECT_EQ(lookup(table, "/z", Method::options), "404");
}

TEST(RouteTable, PassesOverAPatternThatDoesNotTakeTheMethod) {
  RouteTable table;
  table.add(Method::get, "/a/b", 1);
  table.add(Method::post, "/a/{x}", 2);
  table.add(Method::put, "/{r...}", 3);
  EXPECT_EQ(lookup(table, "/a/b", Method::get), "1");
  EXPECT_EQ(lookup(table, "/a/b", Method::post), "2 x=b");
  EXPECT_EQ(lookup(table, "/a/b", Method::put), "3 r=a/b");
  EXPECT_EQ(lookup(table, "/a/b", Method::delete_), "405 GET, HEAD, POST, PUT, OPTIONS");
  EXPECT_EQ(lookup(table, "/q", Method::delete_), "405 PUT, OPTIONS");
}

TEST(AllowHeader, ListsMethodsInTheirOrder) {
  EXPECT_EQ(allow_header(0), "");
  EXPECT_EQ(allow_header(method_bit(Method::get)), "GET");
  EXPECT_EQ(allow_header((1U << method_count) - 1), "GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH");
}

TEST(RouteTable, StillWorksAfterItWasMoved) {
  RouteTable first = table_of({"/hello", "/users/{a-rather-long-parameter-name}"});
  const RouteTable table = std::move(first);
  EXPECT_EQ(lookup(table, "/hello"), "0");
  EXPECT_EQ(lookup(table, "/users/7"), "1 a-rather-long-parameter-name=7");
}

TEST(RouteTable, HoldsThousandsOfRoutes) {
  RouteTable table;
  for (std::uint32_t i = 0; i < 5'000; ++i) table.add(Method::get, "/static/" + std::to_string(i), i);
  for (std::uint32_t i = 0; i < 5'000; ++i) table.add(Method::get, "/param/" + std::to_string(i) + "/{x}", 5'000 + i);
  for (std::uint32_t i = 0; i < 5'000; ++i) {
    ASSERT_EQ(lookup(table, "/static/" + std::to_string(i)), std::to_string(i));
    ASSERT_EQ(lookup(table, "/param/" + std::to_string(i) + "/q"), std::to_string(5'000 + i) + " x=q");
  }
  EXPECT_EQ(lookup(table, "/static/5000"), "404");
}

TEST(RouteTable, VisitsEachNodeOnceHoweverManyAlternativesThereAre) {
  RouteTable table;  // every combination of "/a" and "/{x}" of depth 8, none of which ends as the path does
  for (unsigned bits = 0; bits < 256; ++bits) {
    std::string pattern;
    for (unsigned i = 0; i < 8; ++i) pattern += (bits >> i & 1U) != 0 ? "/a" : "/{p" + std::to_string(i) + "}";
    table.add(Method::get, pattern + "/end", bits);
  }
  std::string path;
  for (int i = 0; i < 8; ++i) path += "/a";
  EXPECT_EQ(lookup(table, path + "/end"), "255");
  EXPECT_EQ(lookup(table, path + "/other"), "404");
}

// ---- against a naive matcher ----

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> segments(1);
  for (const char c : text.substr(1)) {
    if (c == '/') segments.emplace_back();
    else segments.back() += c;
  }
  return segments;
}

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const std::string digits{text.substr(i + 1, 2)};
    if (digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos || digits.size() < 2) return {};
    out += static_cast<char>(std::stoi(digits, nullptr, 16));
    i += 2;
  }
  return out;
}

struct ModelRoute {
  std::vector<std::string> segments;
  Method method;
  std::uint32_t route;

  bool is_param(std::size_t i) const { return segments[i].starts_with('{'); }
  bool is_rest(std::size_t i) const { return segments[i].ends_with("...}"); }
  /// '0', '1', '2' for static, parameter, rest: the smaller word wins.
  std::string rank() const {
    std::string word;
    for (std::size_t i = 0; i < segments.size(); ++i) word += is_rest(i) ? '2' : is_param(i) ? '1' : '0';
    return word;
  }
  std::optional<std::string> values(const std::vector<std::string>& path) const {
    std::string text = std::to_string(route);
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (i >= path.size()) return {};
      const std::string name = segments[i].size() > 2 ? segments[i].substr(1, segments[i].size() - 2) : "";
      if (is_rest(i)) {
        text += ' ' + name.substr(0, name.size() - 3) + '=';
        for (std::size_t k = i; k < path.size(); ++k) text += (k > i ? "/" : "") + path[k];
        return text;
      }
      if (is_param(i)) {
        if (path[i].empty()) return {};
        text += ' ' + name + '=' + path[i];
      } else if (segments[i] != path[i]) {
        return {};
      }
    }
    if (path.size() != segments.size()) return {};
    return text;
  }
};

std::string model_lookup(const std::vector<ModelRoute>& routes, std::string_view raw_path, Method method) {
  if (raw_path.empty()) raw_path = "/";
  std::vector<std::string> path = split(raw_path);
  for (std::string& segment : path) {
    const auto plain = decoded(segment);
    if (!plain) return "404";
    segment = *plain;
  }
  const ModelRoute* best = nullptr;
  MethodMask allowed = 0;
  for (const ModelRoute& route : routes) {
    if (!route.values(path)) continue;
    allowed |= method_bit(route.method);
    allowed |= method_bit(Method::options);
    if (route.method == Method::get) allowed |= method_bit(Method::head);
    const bool direct = route.method == method;
    if (!direct && !(method == Method::head && route.method == Method::get)) continue;
    if (best == nullptr || route.rank() < best->rank() || (route.rank() == best->rank() && direct)) best = &route;
  }
  if (best != nullptr) return *best->values(path);
  return allowed == 0 ? "404" : "405 " + allow_header(allowed);
}

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_{seed} {}
  std::size_t below(std::size_t bound) { return engine_() % bound; }
  template <std::size_t N>
  std::string pick(const char* const (&choices)[N]) {
    return choices[below(N)];
  }

 private:
  std::mt19937 engine_;
};

std::string random_pattern(Random& random) {
  std::string pattern;
  const std::size_t segments = 1 + random.below(5);
  for (std::size_t i = 0; i < segments; ++i) {
    const bool last = i + 1 == segments;
    const std::size_t kind = random.below(10);
    if (last && kind == 0) pattern += "/";
    else if (last && kind < 3) pattern += "/{rest" + std::to_string(i) + "...}";
    else if (kind < 6) pattern += "/{p" + std::to_string(i) + "}";
    else pattern += "/" + random.pick({"a", "b", "ab", "a b", "c"});
  }
  return pattern;
}

std::string random_path(Random& random) {
  std::string path;
  for (std::size_t i = random.below(7); i > 0; --i) {
    path += "/" + random.pick({"a", "b", "ab", "c", "", "%61", "%61b", "a%20b", "a%2Fb", "%2f", "x", "%", "%41%42"});
  }
  return path;
}

TEST(RouteTable, AgreesWithANaiveMatcher) {
  constexpr Method methods[] = {Method::get, Method::post, Method::head, Method::delete_, Method::options};
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    Random random{seed};
    RouteTable table;
    std::vector<ModelRoute> routes;
    for (std::size_t i = random.below(25) + 1; i > 0; --i) {
      const std::string pattern = random_pattern(random);
      const Method method = methods[random.below(std::size(methods))];
      const auto route = static_cast<std::uint32_t>(routes.size());
      const bool taken = std::any_of(routes.begin(), routes.end(), [&](const ModelRoute& other) {
        return other.segments == split(pattern) && other.method == method;
      });
      if (taken) {
        EXPECT_THROW(table.add(method, pattern, route), std::invalid_argument) << pattern;
        continue;
      }
      table.add(method, pattern, route);
      routes.push_back({split(pattern), method, route});
    }
    for (int i = 0; i < 400; ++i) {
      const std::string path = random_path(random);
      const Method method = methods[random.below(std::size(methods))];
      ASSERT_EQ(lookup(table, path, method), model_lookup(routes, path, method))
          << "seed " << seed << ", " << to_string(method) << " " << path;
    }
  }
}

}  // namespace
}  // namespace sluice::detail
