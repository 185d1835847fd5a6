// ResponseReader and ResponseHeadParser: what good and bad answers mean, and that no cut of the bytes changes it.
// SLUICE_FUZZ_SEED and SLUICE_FUZZ_ROUNDS in the environment override the fixed seed and the number of mutations.
// One function here is longer than 60 lines: it is a table.
#include "http/response_parser.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace sluice::http {
namespace {

using namespace std::string_literals;
using Kind = ResponseReader::Step::Kind;
using Body = AnswerHead::Body;

/// Reads pieces as a client does and writes down what it understood: "200 n" (none), "l5" (length), "c" (chunked), "u"
/// (until close), "!" if the connection ends behind it; then {body} as far as it came, and "." when it is complete.
class Reading {
 public:
  explicit Reading(ResponseHeadParser& parser, bool to_head = false) : parser_{parser}, to_head_{to_head} {}

  void feed(std::string_view piece) {
    // A block of exactly this size, so that a sanitizer sees the first byte too many.
    const std::unique_ptr<char[]> block{new char[piece.size()]};
    std::memcpy(block.get(), piece.data(), piece.size());
    std::string_view in{block.get(), piece.size()};
    bool idle = false;
    for (;;) {
      const ResponseReader::Step step = reader_.next(parser_, in, to_head_);
      ASSERT_LE(step.consumed, in.size());
      if (step.kind == Kind::data) {
        ASSERT_FALSE(step.data.empty());
        ASSERT_TRUE(step.data.data() >= in.data() && step.data.data() + step.data.size() == in.data() + step.consumed);
      }
      in.remove_prefix(step.consumed);
      ASSERT_TRUE(in.empty() || step.kind != Kind::need_more);
      if (!take(step)) return;
      ASSERT_FALSE(idle && step.consumed == 0) << "no progress";
      idle = step.consumed == 0;
    }
  }

  std::string verdict() const {
    std::string text = text_ + (in_body_ ? "{" + body_ + "}" : "");
    if (!rejected_ && reader_.in_answer()) text += " more";
    return text;
  }
  ResponseReader& reader() { return reader_; }
  const std::string& reason() const { return reason_; }

 private:
  bool take(const ResponseReader::Step& step) {
    switch (step.kind) {
      case Kind::need_more: return false;
      case Kind::head: begin(); break;
      case Kind::data: body_ += step.data; break;
      case Kind::done:
        text_ += (body_.empty() ? "" : "{" + body_ + "}") + ".";
        in_body_ = false;
        break;
      case Kind::rejected:
        if (!rejected_) text_ += (in_body_ ? "{" + body_ + "}" : "") + (text_.empty() ? "rejected" : " rejected");
        in_body_ = false;
        rejected_ = true;
        reason_ = step.reject.reason;
        return false;
    }
    return true;
  }

  void begin() {
    const AnswerHead& head = reader_.head();
    if (!text_.empty()) text_ += ' ';
    text_ += std::to_string(head.status) + ' ';
    switch (head.body) {
      case Body::none: text_ += 'n'; break;
      case Body::length: text_ += 'l' + std::to_string(head.content_length); break;
      case Body::chunked: text_ += 'c'; break;
      case Body::until_close: text_ += 'u'; break;
    }
    if (head.close) text_ += '!';
    EXPECT_EQ(head.content_length > 0, head.body == Body::length);
    body_.clear();
    in_body_ = true;
  }

  ResponseHeadParser& parser_;
  bool to_head_;
  ResponseReader reader_;
  std::string text_{};
  std::string body_{};
  std::string reason_{};
  bool in_body_ = false;
  bool rejected_ = false;
};

struct Vector {
  const char* name;
  std::string bytes;
  std::string expected;
  bool to_head = false;
};

std::string with(const std::string& fields, const std::string& body = "") {
  return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body;
}
std::string status_line(const std::string& line) { return line + "\r\nContent-Length: 0\r\n\r\n"; }

const std::string coding = "Transfer-Encoding: chunked\r\n";
const std::string five = "Content-Length: 5\r\n";
const std::string hello = with(five, "hello");
const std::string chunks = "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nTrailer-One: 1\r\n\r\n";

std::vector<Vector> good_vectors() {
  return {
      {"nothing", "", ""},
      {"length", hello, "200 l5{hello}."},
      {"no content", with("Content-Length: 0\r\n"), "200 n."},
      {"two pipelined", hello + with("Content-Length: 2\r\n", "ok"), "200 l5{hello}. 200 l2{ok}."},
      {"head torn", "HTTP/1.1 200 OK\r\nConte", " more"},
      {"body torn", with(five, "hel"), "200 l5{hel} more"},
      {"chunked", with(coding, chunks) + hello, "200 c{hello world}. 200 l5{hello}."},
      {"chunked, other case", with("TRANSFER-ENCODING: Chunked\r\n", chunks), "200 c{hello world}."},
      {"chunked and empty", with(coding, "0\r\n\r\n"), "200 c."},
      {"chunked and torn", with(coding, "5\r\nhel"), "200 c{hel} more"},
      {"until close", with("", "hello" + hello), "200 u!{hello" + hello + "} more"},
      {"until close in 1.0", "HTTP/1.0 200 OK\r\n\r\nhello", "200 u!{hello} more"},
      {"until close although keep-alive", with("Connection: keep-alive\r\n", "a"), "200 u!{a} more"},
      {"1.0 ends the connection", "HTTP/1.0 200 OK\r\n" + five + "\r\nhello", "200 l5!{hello}."},
      {"1.0 with keep-alive", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" + five + "\r\nhello", "200 l5{hello}."},
      {"close", with("Connection: close\r\n" + five, "hello"), "200 l5!{hello}."},
      {"close within a list", with("Connection: x, CLOSE ,y\r\n" + five, "hello"), "200 l5!{hello}."},
      {"close in a second field", with("Connection: x\r\nConnection: close\r\n" + five, "hello"), "200 l5!{hello}."},
      {"something like close", with("Connection: closed\r\n" + five, "hello"), "200 l5{hello}."},
      {"the same length twice", with(five + "Date: d\r\n" + five, "hello") + hello, "200 l5{hello}. 200 l5{hello}."},
      {"the same length thrice", with(five + five + five, "hello"), "200 l5{hello}."},
      {"length in blanks", with("Content-Length: \t 5 \r\n", "hello"), "200 l5{hello}."},
      {"HTAB behind other values", with("A: b\t\r\nConnection: close\t\r\n" + five, "hello"), "200 l5!{hello}."},
      {"HTAB before chunked", with("Transfer-Encoding:\tchunked \r\n", chunks), "200 c{hello world}."},
      {"leading zeros", with("Content-Length: 0005\r\n", "hello"), "200 l5{hello}."},
      {"the largest length", with("Content-Length: 9223372036854775807\r\n", "a"), "200 l9223372036854775807{a} more"},
      {"no reason", status_line("HTTP/1.1 200 "), "200 n."},
      {"no blank behind the status", status_line("HTTP/1.1 200"), "200 n."},
      {"a reason of bytes above 127", status_line("HTTP/1.1 404 nicht gefunden \xc3\xa4\t!"), "404 n."},
      {"the lowest status", status_line("HTTP/1.1 200 OK") + status_line("HTTP/1.1 100 Continue"), "200 n. more"},
      {"the highest status", status_line("HTTP/1.1 599 x"), "599 n."},
      {"empty and odd fields", with("A:\r\nb!#$: \x80\xff\t,\r\n" + five, "hello"), "200 l5{hello}."},
      {"204", "HTTP/1.1 204 No Content\r\n\r\n" + hello, "204 n. 200 l5{hello}."},
      {"204 with a length", "HTTP/1.1 204 No Content\r\n" + five + "\r\n" + hello, "204 n. 200 l5{hello}."},
      {"304 with a length", "HTTP/1.1 304 Not Modified\r\n" + five + "\r\n" + hello, "304 n. 200 l5{hello}."},
      {"304 with a coding", "HTTP/1.1 304 Not Modified\r\n" + coding + "\r\n" + hello, "304 n. 200 l5{hello}."},
      {"100 first", "HTTP/1.1 100 Continue\r\n\r\n" + hello, "200 l5{hello}."},
      {"103 twice first", "HTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 103 Hints\r\n" + five + "\r\n" + hello + hello,
       "200 l5{hello}. 200 l5{hello}."},
      {"only a 100", "HTTP/1.1 100 Continue\r\n\r\n", " more"},
      {"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "101 n!."},
      {"to HEAD", with(five) + with(coding) + with(""), "200 n. 200 n. 200 n.", true},
      {"to HEAD, closing", with("Connection: close\r\n" + five), "200 n!.", true},
      {"to HEAD, 1.0", "HTTP/1.0 200 OK\r\n\r\n", "200 n!.", true},
  };
}

std::vector<Vector> bad_vectors() {
  return {
      {"TLS", "\x15\x03\x01\x00\x02\x02\x16", "rejected"},
      {"SSH", "SSH-2.0-OpenSSH_9.2\r\n", "rejected"},
      {"HTTP/2 settings", "\0\0\x12\x04\0\0"s, "rejected"},
      {"a request", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "rejected"},
      {"the body of an answer without length", "<html>", "rejected"},
      {"an empty line first", "\r\n" + hello, "rejected"},
      {"lower-case name", status_line("http/1.1 200 OK"), "rejected"},
      {"HTTP/0.9", status_line("HTTP/0.9 200 OK"), "rejected"},
      {"HTTP/1.2", status_line("HTTP/1.2 200 OK"), "rejected"},
      {"HTTP/1.10", status_line("HTTP/1.10 200 OK"), "rejected"},
      {"HTTP/2.0", status_line("HTTP/2.0 200 OK"), "rejected"},
      {"no blank before the status", status_line("HTTP/1.1200 OK"), "rejected"},
      {"two blanks before the status", status_line("HTTP/1.1  200 OK"), "rejected"},
      {"HTAB before the status", status_line("HTTP/1.1\t200 OK"), "rejected"},
      {"two digits", status_line("HTTP/1.1 20 OK"), "rejected"},
      {"two digits and nothing else", status_line("HTTP/1.1 20"), "rejected"},
      {"four digits", status_line("HTTP/1.1 2000 OK"), "rejected"},
      {"no digits", status_line("HTTP/1.1 2x0 OK"), "rejected"},
      {"sign", status_line("HTTP/1.1 +20 OK"), "rejected"},
      {"no status", status_line("HTTP/1.1"), "rejected"},
      {"status below 100", status_line("HTTP/1.1 099 OK"), "rejected"},
      {"status above 599", status_line("HTTP/1.1 600 OK"), "rejected"},
      {"control byte in the reason", status_line("HTTP/1.1 200 O\x01K"), "rejected"},
      {"NUL in the reason", status_line("HTTP/1.1 200 O\0K"s), "rejected"},
      {"CR in the reason", status_line("HTTP/1.1 200 O\rK"), "rejected"},
      {"LF behind the status line", "HTTP/1.1 200 OK\n" + five + "\r\nhello", "rejected"},
      {"LF behind a field", "HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\nhello", "rejected"},
      {"LF as the empty line", "HTTP/1.1 200 OK\r\n" + five + "\nhello", "rejected"},
      {"all line ends LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "rejected"},
      {"CR alone", with("A: b\rC: d\r\n" + five, "hello"), "rejected"},
      {"CR CR LF", with("A: b\r\r\n" + five, "hello"), "rejected"},
      {"folded field", with("A: b\r\n c\r\n" + five, "hello"), "rejected"},
      {"field folded with HTAB", with("A: b\r\n\tc\r\n" + five, "hello"), "rejected"},
      {"blank line first", with(" A: b\r\n" + five, "hello"), "rejected"},
      {"no colon", with("A\r\n" + five, "hello"), "rejected"},
      {"no name", with(": b\r\n" + five, "hello"), "rejected"},
      {"blank before the colon", with("Content-Length : 5\r\n", "hello"), "rejected"},
      {"blank in a name", with("A b: c\r\n" + five, "hello"), "rejected"},
      {"NUL in a value", with("A: b\0c\r\n"s + five, "hello"), "rejected"},
      {"DEL in a value", with("A: b\x7f\r\n" + five, "hello"), "rejected"},
      {"lengths that differ", with(five + "Content-Length: 6\r\n", "hello!"), "rejected"},
      {"lengths that differ, the third", with(five + five + "content-length: 4\r\n", "hello"), "rejected"},
      {"lengths in a list", with("Content-Length: 5, 5\r\n", "hello"), "rejected"},
      {"length and coding", with(five + coding, "hello"), "rejected"},
      {"coding and length", with(coding + five, chunks), "rejected"},
      {"coding between lengths", with(five + coding + five, chunks), "rejected"},
      {"length empty", with("Content-Length:\r\n", "hello"), "rejected"},
      {"length with a sign", with("Content-Length: +5\r\n", "hello"), "rejected"},
      {"length below 0", with("Content-Length: -5\r\n", "hello"), "rejected"},
      {"length hexadecimal", with("Content-Length: 0x5\r\n", "hello"), "rejected"},
      {"length with a fraction", with("Content-Length: 5.0\r\n", "hello"), "rejected"},
      {"length of two words", with("Content-Length: 5 5\r\n", "hello"), "rejected"},
      {"length above 2^63 - 1", with("Content-Length: 9223372036854775808\r\n", "hello"), "rejected"},
      {"length above 2^64", with("Content-Length: 18446744073709551621\r\n", "hello"), "rejected"},
      {"length with HTAB behind", with("Content-Length: 5 \t \r\n", "hello"), "rejected"},
      {"chunked with HTAB behind", with("Transfer-Encoding: chunked\t\r\n", chunks), "rejected"},
      {"gzip", with("Transfer-Encoding: gzip\r\n", "hello"), "rejected"},
      {"gzip, chunked", with("Transfer-Encoding: gzip, chunked\r\n", chunks), "rejected"},
      {"chunked, gzip", with("Transfer-Encoding: chunked, gzip\r\n", chunks), "rejected"},
      {"chunked twice", with("Transfer-Encoding: chunked, chunked\r\n", chunks), "rejected"},
      {"chunked in two fields", with(coding + coding, chunks), "rejected"},
      {"identity", with("Transfer-Encoding: identity\r\n", "hello"), "rejected"},
      {"coding empty", with("Transfer-Encoding:\r\n", "hello"), "rejected"},
      {"chunked in 1.0", "HTTP/1.0 200 OK\r\n" + coding + "\r\n" + chunks, "rejected"},
      {"coding to HEAD", with(five + coding), "rejected", true},
      {"bad chunk", with(coding, "5\r\nhelloX"), "200 c{hello} rejected"},
      {"chunk size", with(coding, "x\r\n"), "200 c{} rejected"},
      {"bad second answer", hello + "HTTP/1.1 2OO\r\n\r\n", "200 l5{hello}. rejected"},
      {"body longer than said", with(five, "hello, world"), "200 l5{hello}. rejected"},
      {"bad answer behind 100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\n\n", "rejected"},
      {"101 and then no HTTP", "HTTP/1.1 101 X\r\n\r\n\x81\x05", "101 n!. rejected"},
  };
}

std::vector<Vector> all_vectors() {
  std::vector<Vector> vectors = good_vectors();
  for (Vector& vector : bad_vectors()) vectors.push_back(std::move(vector));
  return vectors;
}

struct Outcome {
  std::string verdict;
  std::string reason;
  bool operator==(const Outcome&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << outcome.verdict << " (" << outcome.reason << ')';
}

/// Reads `bytes` cut before each of `cuts`.
Outcome read(const Vector& vector, const std::vector<std::size_t>& cuts, ResponseHeadParser& parser) {
  Reading reading{parser, vector.to_head};
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    reading.feed(std::string_view{vector.bytes}.substr(from, cut - from));
    from = cut;
  }
  reading.feed(std::string_view{vector.bytes}.substr(from));
  return {reading.verdict(), reading.reason()};
}
Outcome read(const Vector& vector, const std::vector<std::size_t>& cuts = {}) {
  ResponseHeadParser parser;
  return read(vector, cuts, parser);
}
Outcome read_bytewise(const Vector& vector, ResponseHeadParser& parser) {
  std::vector<std::size_t> cuts;
  for (std::size_t cut = 1; cut < vector.bytes.size(); ++cut) cuts.push_back(cut);
  return read(vector, cuts, parser);
}

TEST(ResponseReader, UnderstandsGoodAnswersAndRefusesBadOnes) {
  for (const Vector& vector : all_vectors()) {
    const Outcome outcome = read(vector);
    EXPECT_EQ(outcome.verdict, vector.expected) << vector.name << ": " << outcome.reason;
    EXPECT_EQ(!outcome.reason.empty(), vector.expected.ends_with("rejected")) << vector.name;
  }
}

TEST(ResponseReader, SaysWhyAsARule) {
  const auto reason = [](const std::string& bytes) { return read({"", bytes, ""}).reason; };
  EXPECT_EQ(reason("HTTP/1.1 200 OK\n"), "line end is not CRLF");
  EXPECT_EQ(reason(with("A: b\r\n c\r\n")), "folded field line");
  EXPECT_EQ(reason(with("Content-Length: 5\r\nContent-Length: 6\r\n")), "two Content-Length that differ");
  EXPECT_EQ(reason("220 mail.example ESMTP\r\n"), "not an HTTP/1.x answer");
  EXPECT_EQ(reason(status_line("HTTP/1.1 600 x")), "status is not within 100 to 599");
}

TEST(ResponseReader, UnderstandsTheSameHoweverTheBytesAreCut) {
  for (const Vector& vector : all_vectors()) {
    const Outcome whole = read(vector);
    ResponseHeadParser parser;  // shared: what it remembers must not matter
    for (std::size_t cut = 0; cut <= vector.bytes.size(); ++cut) {
      ASSERT_EQ(read(vector, {cut}), whole) << vector.name << " cut at " << cut;
      ASSERT_EQ(read(vector, {cut}, parser), whole) << vector.name << " cut at " << cut << ", remembered";
    }
    EXPECT_EQ(read_bytewise(vector, parser), whole) << vector.name;
  }
}

TEST(ResponseReader, UnderstandsAllVectorsOneAfterAnotherThroughOneParser) {
  ResponseHeadParser parser;
  for (int round = 0; round < 3; ++round) {
    for (const Vector& vector : all_vectors()) EXPECT_EQ(read(vector, {}, parser), read(vector)) << vector.name;
  }
}

TEST(ResponseReader, RepeatsARefusalAndConsumesNothingMore) {
  ResponseHeadParser parser;
  ResponseReader reader;
  ASSERT_EQ(reader.next(parser, "SSH-", false).kind, Kind::rejected);
  const ResponseReader::Step again = reader.next(parser, hello, false);
  EXPECT_EQ(again.kind, Kind::rejected);
  EXPECT_EQ(again.consumed, 0u);
  EXPECT_STREQ(again.reject.reason, "not an HTTP/1.x answer");
}

TEST(ResponseReader, EndsABodyWithTheConnectionOnlyIfItHasNoOtherEnd) {
  ResponseHeadParser parser;
  const auto end = [&parser](const std::string& bytes) {
    Reading reading{parser};
    reading.feed(bytes);
    const bool completes = reading.reader().end();
    EXPECT_TRUE(!completes || !reading.reader().in_answer());
    return completes;
  };
  EXPECT_TRUE(end(with("")));
  EXPECT_TRUE(end(with("", "hello")));
  EXPECT_FALSE(end(""));
  EXPECT_FALSE(end("HTTP/1.1 200 OK\r\n"));
  EXPECT_FALSE(end(hello));
  EXPECT_FALSE(end(with(five, "hell")));
  EXPECT_FALSE(end(with(coding, "5\r\nhello\r\n")));
  EXPECT_FALSE(end("nonsense"));
}

TEST(ResponseReader, GivesHeadBodyAndEndAsSteps) {
  ResponseHeadParser parser;
  ResponseReader reader;
  std::string_view in{hello};
  const ResponseReader::Step head = reader.next(parser, in, false);
  EXPECT_EQ(head.kind, Kind::head);
  EXPECT_EQ(head.consumed, hello.size() - 5);
  EXPECT_EQ(reader.head().status, 200);
  EXPECT_TRUE(reader.in_answer());
  in.remove_prefix(head.consumed);
  const ResponseReader::Step data = reader.next(parser, in, false);
  EXPECT_EQ(data.kind, Kind::data);
  EXPECT_EQ(data.data, "hello");
  in.remove_prefix(data.consumed);
  EXPECT_EQ(reader.next(parser, in, false).kind, Kind::done);
  EXPECT_FALSE(reader.in_answer());
  EXPECT_EQ(reader.next(parser, in, false).kind, Kind::need_more);
}

TEST(ResponseReader, BoundsAHeadHoweverItComes) {
  const std::size_t most = ResponseReader::head_bytes_max;
  std::string fits = with("A: " + std::string(most - 24, 'a') + "\r\n");
  ASSERT_EQ(fits.size(), most);
  const std::string over = with("A: " + std::string(most - 23, 'a') + "\r\n");
  const std::string endless = with("A: " + std::string(most + 100, 'a'));
  for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{30}, most - 3, most - 1}) {
    EXPECT_EQ(read({"", fits + "x", ""}, {cut}).verdict, "200 u!{x} more") << cut;
    EXPECT_EQ(read({"", over, ""}, {cut}), (Outcome{"rejected", "head too large"})) << cut;
    EXPECT_EQ(read({"", endless, ""}, {cut}), (Outcome{"rejected", "head too large"})) << cut;
  }
}

TEST(ResponseReader, BoundsTheNumberOfFields) {
  std::string fields;
  for (std::uint32_t i = 1; i < head_fields_capacity; ++i) fields += "a: b\r\n";
  EXPECT_EQ(read({"", with(fields + five, "hello"), ""}).verdict, "200 l5{hello}.");
  EXPECT_EQ(read({"", with(fields + "a: b\r\n" + five, "hello"), ""}), (Outcome{"rejected", "too many fields"}));
}

TEST(ResponseReader, IsAsNewAfterReset) {
  ResponseHeadParser parser;
  ResponseReader reader;
  for (const std::string& before : {"HTTP/1.1 2"s, with(five, "he"), with(coding, "5\r\nhe"), with("", "he"), "x"s,
                                    "HTTP/1.1 100 Continue\r\n\r\n"s}) {
    for (std::string_view in = before; !in.empty();) {
      const ResponseReader::Step step = reader.next(parser, in, false);
      if (step.kind == Kind::rejected) break;
      in.remove_prefix(step.consumed);
    }
    EXPECT_TRUE(reader.in_answer()) << before;
    reader.reset();
    EXPECT_FALSE(reader.in_answer()) << before;
    EXPECT_EQ(reader.next(parser, hello, false).kind, Kind::head) << before;
    EXPECT_EQ(reader.head().content_length, 5u);
    reader.reset();
  }
}

TEST(ResponseHeadParser, KnowsTheSameHeadAgainAndNothingThatDiffers) {
  ResponseHeadParser parser;
  const std::string head = with("Date: Thu, 29 Feb 2024 00:00:00 GMT\r\n" + five);
  EXPECT_EQ(parser.recall(head), 0u);
  ASSERT_TRUE(parser.parse(head, false));
  EXPECT_EQ(parser.recall(head), head.size());
  EXPECT_EQ(parser.recall(head + "hello"), head.size());
  EXPECT_EQ(parser.recalled(false).content_length, 5u);
  for (std::size_t i = 0; i < head.size(); ++i) {
    std::string changed = head;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_EQ(parser.recall(changed), 0u) << i;
    EXPECT_EQ(parser.recall(std::string_view{head}.substr(0, i)), 0u) << i;
  }
}

TEST(ResponseHeadParser, ReadsAHeadOfTheSameSizeAnew) {
  ResponseHeadParser parser;
  for (const char* const length : {"5", "6", "5", "7"}) {
    const auto head = parser.parse(with("Date: d\r\nContent-Length: "s + length + "\r\n"), false);
    ASSERT_TRUE(head);
    EXPECT_EQ(head->content_length, static_cast<std::uint64_t>(length[0] - '0'));
  }
}

TEST(ResponseHeadParser, RemembersAHeadForAnyRequest) {
  const std::string endless = with("");
  for (const bool head_first : {false, true}) {
    ResponseHeadParser parser;
    for (const bool to_head : {head_first, !head_first, head_first}) {
      const auto sized = parser.parse(with(five), to_head);
      ASSERT_TRUE(sized);
      EXPECT_EQ(sized->body, to_head ? Body::none : Body::length);
      EXPECT_EQ(sized->content_length, to_head ? 0u : 5u);
      const auto open = parser.parse(endless, to_head);
      ASSERT_TRUE(open);
      EXPECT_EQ(open->body, to_head ? Body::none : Body::until_close);
      EXPECT_EQ(open->close, !to_head);
    }
  }
}

TEST(ResponseHeadParser, RemembersAnswersAndRefusalsThatTakeTurns) {
  ResponseHeadParser parser;
  const std::string refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
  ASSERT_TRUE(parser.parse(with(five), false));
  ASSERT_TRUE(parser.parse(refusal, false));
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(parser.recall(hello), hello.size() - 5);
    EXPECT_EQ(parser.recalled(false).status, 200);
    EXPECT_EQ(parser.recall(refusal), refusal.size());
    EXPECT_EQ(parser.recalled(false).status, 503);
  }
}

TEST(ResponseHeadParser, ForgetsTheOldestHeadAndDoesNotKeepLargeOrBadOnes) {
  ResponseHeadParser parser;
  ASSERT_TRUE(parser.parse(with(five), false));
  const std::string large = with("A: " + std::string(600, 'a') + "\r\n");
  ASSERT_TRUE(parser.parse(large, false));
  EXPECT_EQ(parser.recall(large), 0u);
  ASSERT_FALSE(parser.parse(with(five + coding), false));
  EXPECT_EQ(parser.recall(with(five + coding)), 0u);
  EXPECT_NE(parser.recall(hello), 0u);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(parser.parse(with("X-Request-Id: " + std::to_string(i) + "\r\n"), false));
  EXPECT_EQ(parser.recall(hello), 0u);
}

TEST(ResponseHeadParser, RefusesWhatIsNotExactlyOneHead) {
  ResponseHeadParser parser;
  for (const std::string& bytes : {""s, "\r\n"s, "HTTP/1.1 200 OK"s, "HTTP/1.1 200 OK\r\n"s, with("") + "\r\n",
                                   with("") + "a: b\r\n\r\n", "HTTP/1.1 200 OK\r\na: b\r\n"s}) {
    EXPECT_FALSE(parser.parse(bytes, false)) << bytes;
  }
  EXPECT_TRUE(parser.parse(with(""), false));
  EXPECT_FALSE(parser.parse(with("") + "x", false));
}

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_{seed} {}

  Vector next() {
    Vector vector = corpus_[below(corpus_.size())];
    vector.to_head = below(8) == 0;
    for (std::size_t count = 1 + below(4); count > 0; --count) mutate(vector.bytes);
    return vector;
  }
  std::vector<std::size_t> cuts(std::size_t size) {
    std::vector<std::size_t> cuts;
    for (std::size_t at = below(size + 1); at < size; at += 1 + below(size)) cuts.push_back(at);
    return cuts;
  }

 private:
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }

  void mutate(std::string& bytes) {
    static const std::string pieces[] = {"\r\n",
                                         "\n",
                                         "\r",
                                         "\r\n\r\n",
                                         " ",
                                         "\t",
                                         ":",
                                         ",",
                                         "0",
                                         "5",
                                         "chunked",
                                         "close",
                                         "HTTP/1.1 ",
                                         "HTTP/1.0 200",
                                         "100",
                                         "204",
                                         "304 X\r\n\r\n",
                                         five,
                                         coding,
                                         hello,
                                         chunks};
    const std::size_t at = below(bytes.size() + 1);
    switch (below(5)) {
      case 0: bytes.insert(at, pieces[below(std::size(pieces))]); break;
      case 1: bytes.erase(at, 1 + below(6)); break;
      case 2:
        if (at < bytes.size()) bytes[at] = static_cast<char>(random_());
        break;
      case 3: bytes += corpus_[below(corpus_.size())].bytes; break;
      default: bytes.insert(at, bytes.substr(below(bytes.size() + 1), below(40))); break;
    }
  }

  std::mt19937_64 random_;
  std::vector<Vector> corpus_ = all_vectors();
};

TEST(ResponseReader, UnderstandsMutatedAnswersTheSameHoweverTheyAreCut) {
  const std::uint64_t seed = setting("SLUICE_FUZZ_SEED", 2'024);
  const std::uint64_t rounds = setting("SLUICE_FUZZ_ROUNDS", 20'000);
  Mutator mutator{seed};
  ResponseHeadParser remembering;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const Vector vector = mutator.next();
    const Outcome whole = read(vector);
    ASSERT_EQ(read(vector, mutator.cuts(vector.bytes.size())), whole) << seed << ' ' << round << '\n' << vector.bytes;
    ASSERT_EQ(read(vector, {}, remembering), whole) << seed << ' ' << round << '\n' << vector.bytes;
    ASSERT_EQ(read_bytewise(vector, remembering), whole) << seed << ' ' << round << '\n' << vector.bytes;
    ASSERT_FALSE(HasFatalFailure()) << seed << ' ' << round << '\n' << vector.bytes;
    ASSERT_NE(whole.reason, "readers disagree") << seed << ' ' << round << '\n' << vector.bytes;
  }
}

}  // namespace
}  // namespace sluice::http
