// json_test.cpp: JsonWriter. What it writes is read back with simdjson; what it must not write throws.
#include <sluice/extra/json.hpp>

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace sluice {
namespace {

using namespace std::string_view_literals;

template <class T>
concept Writable = requires(JsonWriter out, T what) { out.value(what); };
static_assert(Writable<int> && Writable<std::uint64_t> && Writable<signed char> && Writable<bool> && Writable<double>);
static_assert(Writable<std::string> && Writable<std::string_view> && Writable<const char*> && Writable<std::nullptr_t>);
static_assert(Writable<std::optional<int>>);
static_assert(!Writable<char> && !Writable<char32_t> && !Writable<int*> && !Writable<void*>);
static_assert(!std::is_copy_constructible_v<JsonWriter> && !std::is_move_constructible_v<JsonWriter>);

template <class T>
std::string written(const T& what) {
  JsonWriter out;
  out.value(what);
  return std::move(out).take();
}

bool parses(const std::string& text) {
  simdjson::dom::parser parser;
  return parser.parse(simdjson::padded_string{text}).error() == simdjson::SUCCESS;
}

/// The one string in the document, as a reader sees it.
std::string read_string(const std::string& text) {
  simdjson::dom::parser parser;
  const simdjson::padded_string padded{"[" + text + "]"};
  std::string_view value;
  EXPECT_EQ(parser.parse(padded).at(0).get(value), simdjson::SUCCESS) << text;
  return std::string{value};
}

TEST(JsonWriter, WritesAnObjectInOneExpression) {
  JsonWriter out;
  out.begin_object().key("total").value(3).end_object();
  EXPECT_EQ(std::move(out).take(), R"({"total":3})");
}

TEST(JsonWriter, WritesTheExampleOfItsDocumentation) {
  JsonWriter out;
  out.begin_object();
  out.member("id", 7).member("name", "Ada").key("tags").begin_array().value("a").value("b").end_array();
  out.end_object();
  EXPECT_EQ(std::move(out).take(), R"({"id":7,"name":"Ada","tags":["a","b"]})");
}

TEST(JsonWriter, WritesEveryKindOfValue) {
  JsonWriter out;
  const std::string text = "s";
  out.begin_array().value(true).value(false).null().value(nullptr).value(-1).value(1U).value(1.5).value(0.1F);
  out.value(text).value(std::string_view{"v"}).value("p").raw("{\"r\": 1}").value(std::optional<int>{});
  out.value(std::optional<std::string>{"o"}).value(std::int8_t{-8}).value(std::uint8_t{200}).end_array();
  EXPECT_EQ(std::move(out).take(), R"([true,false,null,null,-1,1,1.5,0.1,"s","v","p",{"r": 1},null,"o",-8,200])");
}

TEST(JsonWriter, WritesEmptyAndNestedLevels) {
  JsonWriter out;
  out.begin_array().begin_object().end_object().begin_array().end_array();
  out.begin_object().key("a").begin_array().begin_array().end_array().value(1).end_array().member("b", 2).end_object();
  out.end_array();
  EXPECT_EQ(std::move(out).take(), R"([{},[],{"a":[[],1],"b":2}])");
}

TEST(JsonWriter, WritesASingleValueAsADocument) {
  EXPECT_EQ(written(7), "7");
  EXPECT_EQ(written("x"), "\"x\"");
  EXPECT_EQ(written(""), "\"\"");
}

TEST(JsonWriter, WritesTheLimitsOfWholeNumbers) {
  EXPECT_EQ(written(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(written(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(written(0), "0");
}

TEST(JsonWriter, WritesNullForNumbersJsonHasNot) {
  EXPECT_EQ(written(std::numeric_limits<double>::quiet_NaN()), "null");
  EXPECT_EQ(written(std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(written(-std::numeric_limits<float>::infinity()), "null");
}

TEST(JsonWriter, WritesTheShortestDigitsThatReadBack) {
  EXPECT_EQ(written(0.1), "0.1");
  EXPECT_EQ(written(0.3F), "0.3");
  EXPECT_EQ(written(3.0), "3");
  EXPECT_EQ(written(-0.0), "-0");
  EXPECT_EQ(written(9'007'199'254'740'991.0), "9007199254740991");
  EXPECT_EQ(written(1e20), "1e+20");  // as digits it would be too large an integer for many readers
  EXPECT_EQ(written(-1e20F), "-1e+20");
  std::mt19937_64 random{7};
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t bits = random();
    double number = 0;
    std::memcpy(&number, &bits, sizeof number);
    if (number - number != 0) continue;  // NaN or infinite
    const std::string text = written(number);
    EXPECT_LE(text.size(), 24U);
    simdjson::dom::parser parser;
    double read = 0;
    const simdjson::padded_string padded{"[" + text + "]"};
    ASSERT_EQ(parser.parse(padded).at(0).get_double().get(read), simdjson::SUCCESS) << text;
    ASSERT_EQ(read, number) << text;
  }
}

TEST(JsonWriter, EscapesWhatMustBeEscaped) {
  EXPECT_EQ(written("\"\\/\b\f\n\r\t\x01\x1F\x7F"), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\"");
  EXPECT_EQ(written("a\0b"sv), "\"a\\u0000b\"");
  JsonWriter out;
  out.begin_object().member("k\"\n", 1).end_object();
  EXPECT_EQ(std::move(out).take(), "{\"k\\\"\\n\":1}");
}

TEST(JsonWriter, ReadsBackEveryAsciiByteInEveryPlace) {
  for (int code = 0; code < 128; ++code) {
    const char c = static_cast<char>(code);
    for (const std::string& text : {std::string{c}, std::string{"ab"} + c, c + std::string{"ab"}, std::string(3, c)}) {
      EXPECT_EQ(read_string(written(text)), text) << code;
    }
  }
}

std::string encoded(char32_t point) {
  const auto byte = [](char32_t value) { return static_cast<char>(static_cast<unsigned char>(value)); };
  if (point < 0x80) return {byte(point)};
  if (point < 0x800) return {byte(0xC0 | point >> 6), byte(0x80 | (point & 0x3F))};
  if (point < 0x10000) {
    return {byte(0xE0 | point >> 12), byte(0x80 | (point >> 6 & 0x3F)), byte(0x80 | (point & 0x3F))};
  }
  return {byte(0xF0 | point >> 18), byte(0x80 | (point >> 12 & 0x3F)), byte(0x80 | (point >> 6 & 0x3F)),
          byte(0x80 | (point & 0x3F))};
}

TEST(JsonWriter, KeepsEveryCharacterOfUnicode) {
  std::string all;
  for (char32_t point = 0; point <= 0x10FFFF; ++point) {
    if (point < 0xD800 || point > 0xDFFF) all += encoded(point);
  }
  EXPECT_TRUE(read_string(written(all)) == all);  // not EXPECT_EQ: it would print megabytes
}

TEST(JsonWriter, ReplacesEachMalformedSequenceOnce) {
  const std::string bad = "\xEF\xBF\xBD";
  const auto shown = [](std::string_view text) { return read_string(written(text)); };
  EXPECT_EQ(shown("\xFF"), bad);
  EXPECT_EQ(shown("a\x80z"), "a" + bad + "z");
  EXPECT_EQ(shown("\xC0\xAF"), bad + bad);                  // overlong: neither byte begins anything
  EXPECT_EQ(shown("\xE0\x80\x80"), bad + bad + bad);        // overlong
  EXPECT_EQ(shown("\xED\xA0\x80"), bad + bad + bad);        // a surrogate
  EXPECT_EQ(shown("\xF4\x90\x80\x80"), bad + bad + bad + bad);  // above U+10FFFF
  EXPECT_EQ(shown("\xE2\x82"), bad);                        // cut off
  EXPECT_EQ(shown("\xE2\x82"
                  "A"),
            bad + "A");
  EXPECT_EQ(shown("\xF0\x9F\x98"
                  "\""),
            bad + "\"");
  EXPECT_EQ(shown("\xF0\x9F\x98\xE2\x82\xAC"), bad + "\xE2\x82\xAC");
  // The example of Unicode 15, table 3-8.
  EXPECT_EQ(shown("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), bad + bad + bad + bad + bad + bad + bad + bad + "A");
}

/// UTF-8 decoding by the letter of RFC 3629, written without a look at the code under test: bytes that are well
/// formed stay; what is not may turn into replacements only.
bool well_formed_at(std::string_view text, std::size_t at, std::size_t& size) {
  for (size = 1; size <= 4 && at + size <= text.size(); ++size) {
    char32_t point = 0;
    const auto first = static_cast<unsigned char>(text[at]);
    if (size == 1) point = first;
    else point = first & (0x7FU >> size);
    for (std::size_t i = 1; i < size; ++i) point = point << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3FU);
    if (point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) continue;
    if (encoded(point) == text.substr(at, size)) return true;
  }
  return false;
}

TEST(JsonWriter, StaysValidAndKeepsTheGoodPartsOfRandomBytes) {
  const unsigned seed = 4711;
  std::mt19937 random{seed};
  constexpr unsigned char interesting[] = {0x00, 0x22, 0x41, 0x5C, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1,
                                           0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
  for (int round = 0; round < 50'000; ++round) {
    std::string text;
    for (auto length = random() % 12; length > 0; --length) {
      text += static_cast<char>(random() % 4 == 0 ? random() % 256 : interesting[random() % std::size(interesting)]);
    }
    const std::string read = read_string(written(text));
    std::string expected;  // with runs of replacements made one, since their number is checked above
    std::string squeezed;
    const std::string bad = "\xEF\xBF\xBD";
    for (std::size_t at = 0, size = 0; at < text.size();) {
      if (well_formed_at(text, at, size)) {
        expected += text.substr(at, size);
        at += size;
      } else {
        if (!expected.ends_with(bad)) expected += bad;
        ++at;
      }
    }
    for (std::size_t at = 0; at < read.size();) {
      const bool is_bad = std::string_view{read}.substr(at, 3) == bad;
      if (!is_bad || !squeezed.ends_with(bad)) squeezed += read.substr(at, is_bad ? 3 : 1);
      at += is_bad ? 3 : 1;
    }
    ASSERT_EQ(squeezed, expected) << "seed " << seed << " round " << round;
  }
}

TEST(JsonWriter, AppendsToAStringOfTheCaller) {
  std::string text = "data: ";
  JsonWriter out{text};
  EXPECT_FALSE(out.complete());
  out.begin_array().value(1).end_array();
  EXPECT_TRUE(out.complete());
  EXPECT_EQ(text, "data: [1]");
  EXPECT_THROW(std::move(out).take(), std::logic_error);
}

TEST(JsonWriter, WritesAnotherDocumentAfterTake) {
  JsonWriter out;
  out.value(1);
  EXPECT_EQ(std::move(out).take(), "1");
  EXPECT_FALSE(out.complete());  // NOLINT: take() promises a writer that may be used again
  out.begin_array().end_array();
  EXPECT_EQ(std::move(out).take(), "[]");
}

TEST(JsonWriter, RefusesWhatDoesNotFitAndWritesNothing) {
  std::string text;
  JsonWriter out{text};
  const auto refuses = [&text](auto call) {
    const std::string before = text;
    EXPECT_THROW(call(), std::logic_error) << before;
    EXPECT_EQ(text, before);
  };
  refuses([&] { out.key("k"); });
  refuses([&] { out.end_object(); });
  refuses([&] { out.end_array(); });
  refuses([&] { out.raw(""); });
  out.begin_object();
  refuses([&] { out.value(1); });
  refuses([&] { out.value("text"); });
  refuses([&] { out.begin_array(); });
  refuses([&] { out.begin_object(); });
  refuses([&] { out.end_array(); });
  out.key("k");
  refuses([&] { out.key("k"); });
  refuses([&] { out.end_object(); });
  out.begin_array();
  refuses([&] { out.key("k"); });
  refuses([&] { out.end_object(); });
  out.end_array().end_object();
  refuses([&] { out.value(1); });
  refuses([&] { out.key("k"); });
  refuses([&] { out.begin_array(); });
  refuses([&] { out.end_object(); });
  EXPECT_EQ(text, R"({"k":[]})");
}

TEST(JsonWriter, DoesNotHandOutAnIncompleteDocument) {
  JsonWriter out;
  EXPECT_THROW(std::move(out).take(), std::logic_error);
  out.begin_object();
  EXPECT_THROW(std::move(out).take(), std::logic_error);
  out.end_object();
  EXPECT_EQ(std::move(out).take(), "{}");
}

TEST(JsonWriter, NestsUpToItsLimitAndNoDeeper) {
  JsonWriter out;
  for (std::size_t i = 0; i < JsonWriter::depth_max; ++i) {
    if (i % 3 == 0) out.begin_object().key("k");
    else out.begin_array();
  }
  if ((JsonWriter::depth_max - 1) % 3 == 0) {
    EXPECT_THROW(out.begin_array(), std::logic_error);
    out.null();
  } else {
    EXPECT_THROW(out.begin_object(), std::logic_error);
  }
  for (std::size_t i = JsonWriter::depth_max; i-- > 0;) {
    if (i % 3 == 0) out.end_object();
    else out.end_array();
  }
  EXPECT_TRUE(parses(std::move(out).take()));
}

TEST(JsonWriter, IsAlwaysValidOrRefusing) {
  const unsigned seed = 99;
  std::mt19937 random{seed};
  for (int round = 0; round < 2'000; ++round) {
    JsonWriter out;
    for (int step = 0; step < 60 && !out.complete(); ++step) {
      try {
        switch (random() % 8) {
          case 0: out.begin_object(); break;
          case 1: out.begin_array(); break;
          case 2: out.end_object(); break;
          case 3: out.end_array(); break;
          case 4: out.key("key"); break;
          case 5: out.value(1.5); break;
          case 6: out.member("m", "x"); break;
          default: out.null(); break;
        }
      } catch (const std::logic_error&) { continue; }
    }
    if (!out.complete()) continue;
    const std::string text = std::move(out).take();
    ASSERT_TRUE(parses(text)) << "seed " << seed << " round " << round << ": " << text;
  }
}

}  // namespace
}  // namespace sluice
