// multipart_test.cpp: what a multipart body is read as, however it is cut. The limits are in multipart_limits_test.cpp.
#include <sluice/extra/multipart.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sim/stage.hpp"
#include "support/multipart_reading.hpp"

namespace sluice {
namespace {

using namespace std::string_literals;
using Events = std::vector<std::string>;
using test::read_in_pieces;

static_assert(!std::is_copy_constructible_v<MultipartParser> && !std::is_move_constructible_v<MultipartParser>);

const MultipartBoundary simple = *MultipartBoundary::from_text("b");

/// Reads the body whole, byte by byte and cut in two at every place; all must be the same.
Events read_all_ways(const std::string& body, const MultipartBoundary& boundary = simple) {
  const Events whole = read_in_pieces(body, {}, boundary);
  EXPECT_EQ(read_in_pieces(body, std::vector<std::size_t>(body.size(), 1), boundary), whole);
  for (std::size_t at = 0; at <= body.size(); ++at) {
    EXPECT_EQ(read_in_pieces(body, {at}, boundary), whole) << "cut at " << at;
    if (testing::Test::HasFailure()) break;
  }
  return whole;
}

/// A part named n with this data, and the end.
std::string one_part(const std::string& data) {
  return "--b\r\nContent-Disposition: form-data; name=n\r\n\r\n" + data + "\r\n--b--\r\n";
}
const std::string n_part = "part 'n' | Content-Disposition: form-data; name=n";

/// A part with these header lines and no data, and the end.
std::string one_head(const std::string& lines) { return "--b\r\n" + lines + "\r\n\r\n\r\n--b--"; }
/// The first event for a part with this Content-Disposition, without the list of fields.
std::string named(const std::string& disposition) {
  const Events events = read_all_ways(one_head("Content-Disposition: " + disposition));
  return events.front().substr(0, events.front().find(" | "));
}

TEST(Multipart, ReadsWhatABrowserSends) {
  const auto boundary = *MultipartBoundary::from_text("----WebKitFormBoundary7MA4YWxkTrZu0gW");
  const std::string line = "------WebKitFormBoundary7MA4YWxkTrZu0gW";
  const std::string body = line + "\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nA title\r\n" + line +
                           "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.txt\"\r\n"
                           "Content-Type: text/plain\r\n\r\nline 1\r\nline 2\r\n\r\n" +
                           line +
                           "\r\nContent-Disposition: form-data; name=\"unused\"; filename=\"\"\r\n"
                           "Content-Type: application/octet-stream\r\n\r\n\r\n" +
                           line + "--\r\n";
  const Events expected = {
      "part 'title' | Content-Disposition: form-data; name=\"title\"",
      "data A title",
      "part end",
      "part 'file' file 'a b.txt' type 'text/plain' | Content-Disposition: form-data; name=\"file\"; "
      "filename=\"a b.txt\" | Content-Type: text/plain",
      "data line 1\r\nline 2\r\n",
      "part end",
      "part 'unused' file '' type 'application/octet-stream' | Content-Disposition: form-data; name=\"unused\"; "
      "filename=\"\" | Content-Type: application/octet-stream",
      "part end",
      "end"};
  EXPECT_EQ(read_all_ways(body, boundary), expected);
}

TEST(Multipart, FormWithoutPartsIsOne) {
  EXPECT_EQ(read_all_ways("--b--\r\n"), Events{"end"});
  EXPECT_EQ(read_all_ways("--b--"), Events{"end"});
}

TEST(Multipart, LastBoundaryNeedsNoLineEnd) {
  for (const std::string end : {"", "\r\n", " \t", " \t\r\n", "\r\nepilogue\r\n--b\n", "\r\n\r\n--b\r\n"}) {
    EXPECT_EQ(read_all_ways("--b--" + end), Events{"end"}) << end;
  }
}

TEST(Multipart, PreambleIsDropped) {
  for (const std::string start :
       {"", "\r\n", "preamble\r\n", "--c\r\n", "--\r\n", "\n--b\r\n", "x--b--\r\n", "\r\r\n", "\r\n-\r\n--\r\n"}) {
    EXPECT_EQ(read_all_ways(start + one_part("d")), (Events{n_part, "data d", "part end", "end"})) << start;
  }
}

TEST(Multipart, WhiteSpaceBehindABoundaryIsSkipped) {
  EXPECT_EQ(read_all_ways("--b \t \r\nContent-Disposition: form-data; name=n\r\n\r\nd\r\n--b-- \t"),
            (Events{n_part, "data d", "part end", "end"}));
}

TEST(Multipart, DataMayHoldAlmostABoundary) {
  for (const std::string data :
       {"", "\r", "\n", "\r\n", "\r\n-", "\r\n--", "\r\n--\r\n--", "--b--", "x--b\r\n", "\n--b\r\n", "\r\n--B--",
        "\r--b", "\r\n-b", "\r\n\r\n", "\r\r\n\r\r\n-\r\n--", "-", "--", "--c"}) {
    if (data.starts_with("--b")) continue;  // at the start of a part that is a boundary
    Events expected = {n_part, "data " + data, "part end", "end"};
    if (data.empty()) expected.erase(expected.begin() + 1);
    EXPECT_EQ(read_all_ways(one_part(data)), expected) << data;
  }
}

TEST(Multipart, DataMayHoldAnyByte) {
  std::string data;
  for (int byte = 0; byte < 256; ++byte) data.push_back(static_cast<char>(byte));
  EXPECT_EQ(read_all_ways(one_part(data)), (Events{n_part, "data " + data, "part end", "end"}));
}

TEST(Multipart, BoundaryRightBehindTheHeadIsAnEmptyPart) {
  EXPECT_EQ(read_all_ways("--b\r\nContent-Disposition: form-data; name=n\r\n\r\n--b--"),
            (Events{n_part, "part end", "end"}));
}

TEST(Multipart, LongestBoundaryIsFoundWhereverItIsCut) {
  const std::string text(MultipartBoundary::size_max, '-');
  const std::string body = "--" + text + "\r\nContent-Disposition: form-data; name=n\r\n\r\n" + "\r\n" +
                           text.substr(1) + "x\r\n--" + text + "--";
  EXPECT_EQ(read_all_ways(body, *MultipartBoundary::from_text(text)),
            (Events{n_part, "data \r\n" + text.substr(1) + "x", "part end", "end"}));
}

TEST(Multipart, NamesAreReadAsTheirSendersMeantThem) {
  const struct {
    const char* disposition;
    const char* expected;
  } table[] = {
      {"form-data; name=\"\"", "part ''"},
      {"FORM-DATA;NAME=x", "part 'x'"},
      {"form-data ; name=x ;", "part 'x'"},
      {"form-data; name=\"\xc3\xa4\"", "part '\xc3\xa4'"},
      {"form-data; name=\"a;b=c\"; filename=\"d\"", "part 'a;b=c' file 'd'"},
      {"form-data; filename=f; name=n", "part 'n' file 'f'"},
      {"form-data; name=\"a\\\"b\"", "part 'a\"b'"},
      {"form-data; name=\"a\\\\\"", "part 'a\\'"},
      {"form-data; name=\"a%22b%0D%0A%41\"", "part 'a%22b%0D%0A%41'"},
      {"form-data; name=n; filename=\"C:\\dir\\file.txt\"", "part 'n' file 'C:\\dir\\file.txt'"},
      {"form-data; name=n; filename*=utf-8''evil.txt", "part 'n'"},
      {"form-data; name=n; filename=a; filename*=utf-8''evil.txt", "part 'n' file 'a'"},
      {"form-data; name=n; size=\"1\"; size=2", "part 'n'"},
  };
  for (const auto& row : table) EXPECT_EQ(named(row.disposition), row.expected) << row.disposition;
}

TEST(Multipart, AllHeaderFieldsAreGiven) {
  EXPECT_EQ(
      read_all_ways(one_head("X: \t1 \r\ncontent-disposition:form-data; name=n\r\nY:\r\n"
                             "CONTENT-TRANSFER-ENCODING: Binary")),
      (Events{"part 'n' | X: 1 | content-disposition: form-data; name=n | Y:  | CONTENT-TRANSFER-ENCODING: Binary",
              "part end", "end"}));
}

TEST(Multipart, MalformedHeadsAreRefused) {
  const std::string good = "Content-Disposition: form-data; name=n";
  const struct {
    std::string lines;
    const char* detail;
  } table[] = {
      {"", "A part has no Content-Disposition."},
      {"Content-Type: text/plain", "A part has no Content-Disposition."},
      {good + "\nX: 1", "A line in a part's header does not end in CRLF."},
      {good + "\rX: 1", "A header field of a part is malformed."},
      {good + "\r\n X: 1", "A header field of a part is folded."},
      {" " + good, "A header field of a part is folded."},
      {good + "\r\n\tfolded", "A header field of a part is folded."},
      {good + "\r\nno colon", "A header field of a part is malformed."},
      {good + "\r\n: x", "A header field of a part is malformed."},
      {good + "\r\nX : x", "A header field of a part is malformed."},
      {good + "\r\nX: \x01", "A header field of a part is malformed."},
      {good + "\r\nX: a" + std::string(1, '\0'), "A header field of a part is malformed."},
      {good + "\r\n" + good, "A part's header says something twice."},
      {good + "\r\nContent-Type: a/b\r\ncontent-type: a/b", "A part's header says something twice."},
      {good + "; name=m", "A part's header says something twice."},
      {good + "; filename=m; Filename=m", "A part's header says something twice."},
      {good + "\r\nContent-Transfer-Encoding: base64", "A part has a Content-Transfer-Encoding."},
      {good + "\r\nContent-Transfer-Encoding: quoted-printable", "A part has a Content-Transfer-Encoding."},
      {good + "\r\nContent-Transfer-Encoding:", "A part has a Content-Transfer-Encoding."},
      {"Content-Disposition: form-data", "A part has no name."},
      {"Content-Disposition: form-data; filename=f", "A part has no name."},
      {"Content-Disposition: form-data; name*=utf-8''n", "A part has no name."},
      {"Content-Disposition: attachment; name=n", "A part's Content-Disposition is malformed."},
      {"Content-Disposition:", "A part's Content-Disposition is malformed."},
      {"Content-Disposition: form-data name=n", "A part's Content-Disposition is malformed."},
      {"Content-Disposition: form-data; name", "A part's Content-Disposition is malformed."},
      {"Content-Disposition: form-data; name=", "A part's Content-Disposition is malformed."},
      {"Content-Disposition: form-data; name =n", "A part's Content-Disposition is malformed."},
      {"Content-Disposition: form-data; name=\"n", "A part's Content-Disposition is malformed."},
      {"Content-Disposition: form-data; name=\"n\\\"", "A part's Content-Disposition is malformed."},
      {"Content-Disposition: form-data; name=\"n\\", "A part's Content-Disposition is malformed."},
      {"Content-Disposition: form-data; name=\"n\\\"; filename=\"f\"", "A part's Content-Disposition is malformed."},
      {"Content-Disposition: form-data; name=\"n\"x", "A part's Content-Disposition is malformed."},
      {"Content-Disposition: form-data; name=a b", "A part's Content-Disposition is malformed."},
      {"Content-Disposition: form-data; name=\xc3\xa4", "A part's Content-Disposition is malformed."},
  };
  for (const auto& row : table) {
    EXPECT_EQ(read_all_ways(one_head(row.lines)), Events{"error 400 "s + row.detail}) << row.lines;
  }
}

TEST(Multipart, MalformedBoundaryLinesAreRefused) {
  const std::string start = "--b\r\nContent-Disposition: form-data; name=n\r\n\r\nd\r\n";
  const std::string wrong = "error 400 A boundary of the form is malformed.";
  for (const std::string line :
       {"--bc", "--b\n", "--b\r\r\n", "--b-", "--b-x", "--b-\r\n", "--b --", "--b x\r\n", "--b\rx", "--b\v\r\n"}) {
    if (line == "--b-") continue;  // ended too early
    EXPECT_EQ(read_all_ways(start + line), (Events{n_part, "data d", wrong})) << line;
    EXPECT_EQ(read_all_ways(line), Events{wrong}) << line;
  }
  for (const std::string end : {"--b--x", "--b---", "--b--\n", "--b--\rx", "--b-- x"}) {
    EXPECT_EQ(read_all_ways(start + end), (Events{n_part, "data d", "part end", wrong})) << end;
  }
}

TEST(Multipart, BodyThatEndsTooEarlyIsRefused) {
  const std::string body = one_part("d");
  const std::string last = body.substr(0, body.size() - 2);
  for (std::size_t size = 0; size < last.size(); ++size) {
    const Events events = read_in_pieces(body.substr(0, size), {}, simple);
    EXPECT_EQ(events.back(), "error 400 The form ends before its last boundary.") << size;
    EXPECT_EQ(std::ranges::count(events, "part end"), 0) << size;
  }
  EXPECT_EQ(read_all_ways(last).back(), "end");
  EXPECT_EQ(read_all_ways(last + "\r").back(), "error 400 The form ends before its last boundary.");
  EXPECT_EQ(read_all_ways("only a preamble").back(), "error 400 The form ends before its last boundary.");
}

TEST(Multipart, ErrorAndEndStay) {
  MultipartParser failed{simple};
  EXPECT_EQ(failed.next("--bx").kind, MultipartParser::Kind::error);
  EXPECT_EQ(failed.next("--b--").kind, MultipartParser::Kind::error);
  EXPECT_EQ(failed.next("--b--").consumed, 0u);
  EXPECT_EQ(failed.finish().kind, MultipartParser::Kind::error);
  EXPECT_EQ(failed.problem().status(), 400);
  MultipartParser ended{simple};
  EXPECT_EQ(ended.next("--b--").kind, MultipartParser::Kind::need_more);
  EXPECT_EQ(ended.finish().kind, MultipartParser::Kind::end);
  EXPECT_EQ(ended.next("x").kind, MultipartParser::Kind::end);
  EXPECT_EQ(ended.next("x").consumed, 0u);
  EXPECT_EQ(ended.finish().kind, MultipartParser::Kind::end);
}

TEST(Multipart, DataOfAPieceIsAViewIntoIt) {
  MultipartParser parser{simple};
  const std::string body = one_part("some data");
  std::string_view rest = body;
  rest.remove_prefix(parser.next(rest).consumed);
  const auto step = parser.next(rest);
  EXPECT_EQ(step.data, "some data");
  EXPECT_EQ(step.data.data(), rest.data());
}

TEST(Multipart, ABufferedBodyIsReadWithoutCopies) {
  const std::string body =
      "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n-\r\n--\r\n--b\r\n"
      "Content-Disposition: form-data; name=b; filename=f\r\nContent-Type: x/y\r\n\r\n\r\n--b--\r\nepilogue";
  const auto parts = read_multipart(body, simple);
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 2u);
  const auto inside = [&](std::string_view view) {
    return view.data() >= body.data() && view.data() + view.size() <= body.data() + body.size();
  };
  EXPECT_EQ((*parts)[0].name, "a");
  EXPECT_EQ((*parts)[0].data, "\r\n-\r\n--");
  EXPECT_TRUE(inside((*parts)[0].data));
  EXPECT_FALSE((*parts)[0].filename);
  EXPECT_EQ((*parts)[1].filename, "f");
  EXPECT_EQ((*parts)[1].content_type, "x/y");
  EXPECT_TRUE(inside((*parts)[1].content_type));
  EXPECT_TRUE(inside((*parts)[1].fields.at(1).name));
  EXPECT_EQ((*parts)[1].data, "");
  EXPECT_EQ(read_multipart(body.substr(0, 60), simple).error().status(), 400);
}

TEST(MultipartBoundary, IsTakenFromAContentType) {
  const struct {
    const char* type;
    const char* expected;
  } table[] = {
      {"multipart/form-data; boundary=abc", "abc"},
      {"Multipart/Form-Data;BOUNDARY=abc", "abc"},
      {"multipart/form-data; charset=utf-8; boundary=\"a b\"", "a b"},
      {"multipart/form-data; boundary=\"'()+_,-./:=?\"", "'()+_,-./:=?"},
      {"multipart/form-data; boundary=\"a\\b\";", "ab"},
  };
  for (const auto& row : table) {
    const auto boundary = MultipartBoundary::from_content_type(row.type);
    ASSERT_TRUE(boundary) << row.type;
    EXPECT_EQ(boundary->text(), row.expected) << row.type;
  }
}

TEST(MultipartBoundary, IsRefusedIfItIsNone) {
  const std::string long_text(71, 'a');
  const struct {
    std::string type;
    int status;
  } table[] = {
      {"", 415},
      {"application/x-www-form-urlencoded", 415},
      {"multipart/mixed; boundary=a", 415},
      {"multipart/form-data", 400},
      {"multipart/form-data; boundary=", 400},
      {"multipart/form-data; boundary=\"\"", 400},
      {"multipart/form-data; boundary=a; boundary=a", 400},
      {"multipart/form-data; boundary=a b", 400},
      {"multipart/form-data; boundary=a:b", 400},
      {"multipart/form-data; boundary=\"a \"", 400},
      {"multipart/form-data; boundary=\"a", 400},
      {"multipart/form-data; boundary=\"a\"b", 400},
      {"multipart/form-data; boundary=a&b", 400},
      {"multipart/form-data; boundary=\"a\xc3\xa4\"", 400},
      {"multipart/form-data; boundary=a; x", 400},
      {"multipart/form-data; boundary=" + long_text, 400},
  };
  for (const auto& row : table) {
    const auto boundary = MultipartBoundary::from_content_type(row.type);
    ASSERT_FALSE(boundary) << row.type;
    EXPECT_EQ(boundary.error().status(), row.status) << row.type;
  }
  EXPECT_TRUE(MultipartBoundary::from_text(long_text.substr(1)));
  EXPECT_FALSE(MultipartBoundary::from_text(std::string{"a\0b", 3}));
  EXPECT_FALSE(MultipartBoundary::from_text("a\r\nb"));
}

TEST(SafeFileName, IsTheLastComponentOrNothing) {
  const std::pair<std::string, const char*> table[] = {{"a.txt", "a.txt"},
                                                       {"/etc/passwd", "passwd"},
                                                       {"..\\..\\x", "x"},
                                                       {"C:\\dir\\f.txt", "f.txt"},
                                                       {"a/..", ""},
                                                       {"..", ""},
                                                       {".", ""},
                                                       {"", ""},
                                                       {"dir/", ""},
                                                       {".\1.", ""},
                                                       {"a\0b"s, "ab"},
                                                       {"\0..\0"s, ""},
                                                       {"\xc3\xa4.t", "\xc3\xa4.t"},
                                                       {"...", "..."},
                                                       {".hidden", ".hidden"},
                                                       {"a\r\nb\x7f", "ab"},
                                                       {"a\\/..\\b/c", "c"},
                                                       {"%2e%2e%2f", "%2e%2e%2f"}};
  for (const auto& [sent, expected] : table) EXPECT_EQ(safe_file_name(sent), expected) << sent;
}

/// Bodies made of parts that are known, so that what must come out is known too.
class RandomForm {
 public:
  explicit RandomForm(std::uint64_t seed) : random_{seed}, boundary_{some("ab-:=' ", 1 + below(70))} {
    if (boundary_.back() == ' ') boundary_.back() = 'x';
    const std::string line = "--" + boundary_;
    if (below(3) == 0) add(some("\r\n-ab", below(20)));
    body_ = without_boundary(body_);
    if (!body_.empty()) body_ += "\r\n";
    for (std::size_t count = below(5); count > 0; --count) add_part(line);
    body_ += line + "--";
    if (below(2) == 0) body_ += "\r\n" + some("\r\n-ab", below(20));
    expected_.emplace_back("end");
  }

  const std::string& body() const { return body_; }
  const Events& expected() const { return expected_; }
  MultipartBoundary boundary() const { return *MultipartBoundary::from_text(boundary_); }
  std::vector<std::size_t> cuts() {
    std::vector<std::size_t> sizes(below(40));
    for (std::size_t& size : sizes) size = below(2) == 0 ? below(4) : below(60);
    return sizes;
  }

 private:
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }
  std::string some(std::string_view alphabet, std::size_t size) {
    std::string text(size, ' ');
    for (char& c : text) c = alphabet[below(alphabet.size())];
    return text;
  }
  void add(const std::string& text) { body_ += text; }

  std::string near_boundaries() {
    const std::string delimiter = "\r\n--" + boundary_;
    std::string data;
    for (std::size_t count = below(8); count > 0; --count) {
      switch (below(4)) {
        case 0: data += delimiter.substr(0, below(delimiter.size())); break;
        case 1: data += delimiter.substr(1 + below(3)); break;
        case 2: data += some("\r\n-ab ", below(6)); break;
        default: data.push_back(static_cast<char>(below(256))); break;
      }
    }
    return without_boundary(data);
  }
  std::string without_boundary(std::string data) const {
    const std::string delimiter = "\r\n--" + boundary_;
    std::size_t at = 0;
    while ((at = ("\r\n" + data).find(delimiter)) != std::string::npos) data.erase(at, 3);
    return data;
  }
  void add_part(const std::string& line) {
    const std::string name = some("nm", below(5));
    const std::string disposition = "form-data; name=\"" + name + "\"";
    const std::string data = near_boundaries();
    body_ += line + some(" \t", below(3)) + "\r\nContent-Disposition: " + disposition + "\r\n";
    std::string head = "part '" + name + "' | Content-Disposition: " + disposition;
    for (std::size_t count = below(3); count > 0; --count) {
      const std::string value = some("v-:;", below(20));
      body_ += "X:" + some(" \t", below(3)) + value + "\r\n";
      head += " | X: " + value;
    }
    body_ += "\r\n" + data + "\r\n";
    expected_.push_back(head);
    if (!data.empty()) expected_.push_back("data " + data);
    expected_.emplace_back("part end");
  }

  std::mt19937_64 random_;
  std::string boundary_;
  std::string body_{};
  Events expected_{};
};

TEST(Multipart, RandomFormsComeOutAsTheyWentInWhereverTheyAreCut) {
  const char* const one = std::getenv("SLUICE_SEED");
  const std::uint64_t first = one == nullptr ? 1 : std::strtoull(one, nullptr, 0);
  const std::uint64_t last = one == nullptr ? 3'000 : first;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    RandomForm form{seed};
    EXPECT_EQ(read_in_pieces(form.body(), {}, form.boundary()), form.expected());
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(read_in_pieces(form.body(), form.cuts(), form.boundary()), form.expected());
    }
    const auto parts = read_multipart(form.body(), form.boundary());
    Events events;
    for (const MultipartPart& part : parts.value_or(std::vector<MultipartPart>{})) {
      events.push_back(test::describe(part));
      if (!part.data.empty()) events.push_back("data " + std::string{part.data});
      events.emplace_back("part end");
    }
    events.emplace_back("end");
    EXPECT_EQ(events, form.expected());
    if (testing::Test::HasFailure()) FAIL() << "SLUICE_SEED=" << seed;
  }
}

class MultipartRequests : public sim::Stage {};

TEST_F(MultipartRequests, AreReadByAHandler) {
  app.post("/", [](const Request& request) {
    std::string names;
    for (const MultipartPart& part : multipart(request)) names += part.name + "=" + std::string{part.data} + ";";
    return text(std::move(names));
  });
  serve();
  sim::Talker& talker = client();
  const std::string type = "Content-Type: multipart/form-data; boundary=b\r\n";
  EXPECT_EQ(talker.ask("POST", "/", type, one_part("d")).last().body, "n=d;");
  EXPECT_EQ(talker.ask("POST", "/", type, "--b").last().status, 400);
  EXPECT_EQ(talker.ask("POST", "/", type + type, one_part("d")).last().status, 400);
  const sim::ClientResponse other = talker.ask("POST", "/", "Content-Type: text/plain\r\n", one_part("d")).last();
  EXPECT_EQ(other.status, 415);
  EXPECT_EQ(other.header("accept"), "multipart/form-data");
}

}  // namespace
}  // namespace sluice
