// Deadline fields as clients write them and as they are handed on: each format's own rules, values that no clock holds,
// text that is no value at all, and what may never happen whatever the text: a budget that grows.
#include "server/deadline.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "http/fields.hpp"
#include "server/core.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using Format = DeadlineHeader::Format;
using detail::parse_deadline;

constexpr Format formats[] = {Format::milliseconds, Format::seconds, Format::grpc, Format::prefer_wait};

struct Row {
  std::string_view text;
  std::optional<nanoseconds> time;
};

void expect_rows(Format format, const std::vector<Row>& rows) {
  for (const auto& [text, time] : rows) { EXPECT_EQ(parse_deadline(format, text), time) << "'" << text << "'"; }
}

TEST(DeadlineFormat, MillisecondsAreAWholeNumber) {
  expect_rows(Format::milliseconds, {{"250", 250ms},
                                     {"0", 0ns},
                                     {"1", 1ms},
                                     {"007", 7ms},
                                     {"000000000000000000000000000000001", 1ms},
                                     {"", {}},
                                     {"-1", {}},
                                     {"-0", {}},
                                     {"+1", {}},
                                     {" 1", {}},
                                     {"1 ", {}},
                                     {"1.5", {}},
                                     {"1e3", {}},
                                     {"0x10", {}},
                                     {"1ms", {}},
                                     {"1,2", {}},
                                     {"NaN", {}},
                                     {std::string_view{"1\0", 2}, {}},
                                     {"\xd9\xa1", {}}});
}

TEST(DeadlineFormat, SecondsAreAWholeNumber) {
  expect_rows(Format::seconds,
              {{"2", 2s}, {"0", 0ns}, {"86400", 24h}, {"1.5", {}}, {".5", {}}, {"-2", {}}, {"2s", {}}});
}

TEST(DeadlineFormat, GrpcIsOneToEightDigitsAndAUnit) {
  expect_rows(Format::grpc, {{"1n", 1ns},        {"20u", 20us},     {"250m", 250ms},
                             {"3S", 3s},         {"4M", 4min},      {"5H", 5h},
                             {"0m", 0ns},        {"00000001S", 1s}, {"99999999n", 99'999'999ns},
                             {"000000001S", {}}, {"", {}},          {"m", {}},
                             {"1", {}},          {"12345678", {}},  {"1s", {}},
                             {"1h", {}},         {"1N", {}},        {"1U", {}},
                             {"1 m", {}},        {"1mm", {}},       {"-1m", {}},
                             {"+1m", {}},        {"1.5S", {}},      {" 1m", {}},
                             {"1m ", {}},        {"123456789m", {}}});
}

TEST(DeadlineFormat, PreferIsAListAndItsFirstWaitCounts) {
  expect_rows(Format::prefer_wait, {{"wait=2", 2s},
                                    {"WAIT=2", 2s},
                                    {"Wait = 2", 2s},
                                    {"wait\t=\t2", 2s},
                                    {"wait=0", 0ns},
                                    {"respond-async, wait=100", 100s},
                                    {"return=minimal,wait=3,handling=lenient", 3s},
                                    {",, ,wait=4", 4s},
                                    {"wait=5;x=1", 5s},
                                    {"wait=5 ; x ; y=\"a,b\"", 5s},
                                    {"wait=6, wait=1", 6s},
                                    {"wait=x, wait=1", {}},
                                    {"wait, wait=1", {}},
                                    {"wait;wait=1", {}},
                                    {"foo;wait=7", {}},
                                    {"foo=\"a, wait=8\", wait=9", 9s},
                                    {"foo=\"\\\", wait=8\", wait=9", 9s},
                                    {"foo=\"open, wait=8", {}},
                                    {"wait=\"2\"", {}},
                                    {"wait=", {}},
                                    {"wait==2", {}},
                                    {"wait=2 3", {}},
                                    {"wait=-2", {}},
                                    {"wait=2.5", {}},
                                    {"await=2", {}},
                                    {"waits=2", {}},
                                    {"wai t=2", {}},
                                    {"=2", {}},
                                    {"foo=\"", {}},
                                    {"foo=\"\\", {}},
                                    {"", {}}});
}

TEST(DeadlineFormat, WhatIsAboveTenYearsIsIgnored) {
  expect_rows(Format::milliseconds, {{"315569520000", std::chrono::years{10}},
                                     {"315569520001", {}},
                                     {"9223372036854775807", {}},
                                     {"9223372036854775808", {}},
                                     {"18446744073709551615", {}},
                                     {"18446744073709551616", {}},
                                     {std::string_view{"99999999999999999999999999999999999999"}, {}}});
  expect_rows(Format::seconds,
              {{"315569520", std::chrono::years{10}}, {"315569521", {}}, {"18446744073709551615", {}}});
  expect_rows(Format::grpc, {{"87658H", 87'658h}, {"87659H", {}}, {"99999999H", {}}, {"99999999S", 99'999'999s}});
  expect_rows(Format::prefer_wait, {{"wait=315569521", {}}, {"wait=99999999999999999999999", {}}});
}

TEST(DeadlineFormat, IsWrittenWithoutEverBeingRoundedUp) {
  const auto expect = [](nanoseconds budget, const char* ms, const char* s, const char* grpc) {
    EXPECT_EQ(format_deadline(Format::milliseconds, budget), ms);
    EXPECT_EQ(format_deadline(Format::seconds, budget), s);
    EXPECT_EQ(format_deadline(Format::grpc, budget), grpc);
    EXPECT_EQ(format_deadline(Format::prefer_wait, budget), std::string{"wait="} + s);
  };
  expect(0ns, "0", "0", "0n");
  expect(-5s, "0", "0", "0n");
  expect(nanoseconds::min(), "0", "0", "0n");
  expect(1ns, "0", "0", "1n");
  expect(999'999ns, "0", "0", "999999n");
  expect(99'999'999ns, "99", "0", "99999999n");
  expect(100ms, "100", "0", "100000u");
  expect(1999ms + 999'999ns, "1999", "1", "1999999u");
  expect(100s, "100000", "100", "100000m");
  expect(100'000s, "100000000", "100000", "100000S");
  expect(nanoseconds::max(), "9223372036854", "9223372036", "2562047H");
}

/// The length of the coarsest unit that the text stands for.
nanoseconds unit_of(Format format, std::string_view text) {
  if (format == Format::milliseconds) return 1ms;
  if (format != Format::grpc) return 1s;
  switch (text.back()) {
    case 'n': return 1ns;
    case 'u': return 1us;
    case 'm': return 1ms;
    case 'S': return 1s;
    case 'M': return 1min;
    default: return 1h;
  }
}

TEST(DeadlineFormat, WhatIsWrittenIsReadBackAsNoMoreAndHardlyLess) {
  std::mt19937_64 random{20};
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t bits = random() % 60 + 4;  // as many short ones as long ones
    const nanoseconds budget{static_cast<std::int64_t>(random() >> bits) % detail::deadline_max.count()};
    for (const Format format : formats) {
      const std::string text = format_deadline(format, budget);
      const auto back = parse_deadline(format, text);
      ASSERT_TRUE(back) << text;
      EXPECT_LE(*back, budget) << text;
      EXPECT_GT(*back + unit_of(format, text), budget) << text;
      if (format == Format::grpc) { EXPECT_LE(text.size(), 9u) << text; }
    }
  }
}

TEST(DeadlineFormat, NoTextGivesATimeOutOfRange) {
  constexpr std::string_view letters = "0123456789wait=,;\" \\\tHSMmunWAIT-+.x\x80\xff";
  constexpr std::string_view starts[] = {"", "wait=", "wait=1", "99999999", "18446744073709551", "a=\"b\", wait"};
  std::mt19937_64 random{4711};
  std::size_t readable = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text{starts[random() % std::size(starts)]};
    for (std::size_t left = random() % 12; left != 0; --left) text += letters[random() % letters.size()];
    const std::vector<char> exact{text.begin(), text.end()};  // on the heap, so that a read beyond its end is seen
    for (const Format format : formats) {
      const auto time = parse_deadline(format, {exact.data(), exact.size()});
      if (!time) continue;
      ++readable;
      EXPECT_GE(*time, 0ns) << text;
      EXPECT_LE(*time, detail::deadline_max) << text;
    }
  }
  EXPECT_GT(readable, 1'000u);
}

// ---- fields of a head

using FieldList = std::vector<std::pair<std::string, std::string>>;

/// What a head of these fields, and nothing else, leaves of a budget.
nanoseconds left_of(const FieldList& fields, nanoseconds budget, const std::vector<DeadlineHeader>& headers) {
  std::string bytes;
  const auto add = [&bytes](const std::string& text) {
    const http::Slice slice{static_cast<std::uint16_t>(bytes.size()), static_cast<std::uint16_t>(text.size())};
    bytes += text;
    return slice;
  };
  http::Head head;
  for (const auto& [name, value] : fields) {
    head.fields[head.field_count++] = {add(name), add(value), http::recognise(name)};
  }
  return detail::shortened_budget(headers, head, bytes.data(), budget);
}

TEST(DeadlineFields, OnlyShorten) {
  const std::vector<DeadlineHeader> grpc = {DeadlineHeader::grpc_timeout()};
  EXPECT_EQ(left_of({}, 5s, grpc), 5s);
  EXPECT_EQ(left_of({{"grpc-timeout", "250m"}}, 5s, grpc), 250ms);
  EXPECT_EQ(left_of({{"Grpc-Timeout", "250m"}}, 5s, grpc), 250ms);
  EXPECT_EQ(left_of({{"grpc-timeout", "10S"}}, 5s, grpc), 5s);
  EXPECT_EQ(left_of({{"grpc-timeout", "99999999H"}}, 5s, grpc), 5s);
  EXPECT_EQ(left_of({{"grpc-timeout", "0n"}}, 5s, grpc), 0s);
  EXPECT_EQ(left_of({{"grpc-timeout", ""}}, 5s, grpc), 5s);
  EXPECT_EQ(left_of({{"grpc-timeout", "soon"}}, 5s, grpc), 5s);
  EXPECT_EQ(left_of({{"grpc-timeou", "1m"}, {"xgrpc-timeout", "1m"}}, 5s, grpc), 5s);
  EXPECT_EQ(left_of({{"grpc-timeout", "1m"}}, 5s, {}), 5s);
}

TEST(DeadlineFields, TheShortestOfAllWins) {
  const std::vector<DeadlineHeader> all = {DeadlineHeader::grpc_timeout(),
                                           DeadlineHeader::envoy_expected_timeout(),
                                           DeadlineHeader::prefer_wait(),
                                           {"X-Patience", Format::seconds}};
  const FieldList mixed = {
      {"x-patience", "3"}, {"Prefer", "wait=4"}, {"X-Envoy-Expected-Rq-Timeout-Ms", "2500"}, {"grpc-timeout", "2600m"}};
  EXPECT_EQ(left_of(mixed, 60s, all), 2500ms);
  EXPECT_EQ(left_of(mixed, 1s, all), 1s);
  EXPECT_EQ(left_of(mixed, 60s, {all[2]}), 4s);
  EXPECT_EQ(left_of(mixed, 60s, {all[3]}), 3s);
  const FieldList twice = {{"grpc-timeout", "3S"}, {"grpc-timeout", "junk"}, {"grpc-timeout", "2S"}, {"accept", "x"}};
  EXPECT_EQ(left_of(twice, 60s, all), 2s);
}

TEST(DeadlineFields, PreferLinesAreOneList) {
  const std::vector<DeadlineHeader> prefer = {DeadlineHeader::prefer_wait()};
  EXPECT_EQ(left_of({{"prefer", "return=minimal"}, {"prefer", "wait=2"}, {"prefer", "wait=1"}}, 9s, prefer), 2s);
  EXPECT_EQ(left_of({{"prefer", "wait=x"}, {"prefer", "wait=1"}}, 9s, prefer), 9s);
}

TEST(DeadlineFields, AKnownNameOfOwnFormatIsFoundToo) {
  EXPECT_EQ(left_of({{"X-Request-Id", "7"}}, 9s, {{"x-request-id", Format::seconds}}), 7s);
}

// ---- the option

std::string refusal(std::vector<DeadlineHeader> headers) {
  Router app;
  app.get("/", [](const Request&) { return text("x"); });
  ServerOptions options;
  options.deadline_headers = std::move(headers);
  try {
    detail::Core{detail::RouterState::take(std::move(app)), std::move(options), base::system_clock(),
                 [](unsigned threads) { return std::make_unique<admission::ThreadHost>(threads); }};
  } catch (const std::invalid_argument& error) { return error.what(); }
  return {};
}

TEST(DeadlineHeaders, AreRefusedByNameWhenTheyCannotBeMeant) {
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal(std::vector<DeadlineHeader>(8, DeadlineHeader::grpc_timeout())), "");
  EXPECT_EQ(refusal(std::vector<DeadlineHeader>(9, DeadlineHeader::grpc_timeout())),
            "deadline_headers: their number must not be above 8");
  EXPECT_EQ(refusal({{"", Format::seconds}}), "deadline_headers: \"\" is not the name of a field");
  EXPECT_EQ(refusal({DeadlineHeader::prefer_wait(), {"X Y", Format::seconds}}),
            "deadline_headers: \"X Y\" is not the name of a field");
  EXPECT_EQ(refusal({{"X-Y:", Format::seconds}}), "deadline_headers: \"X-Y:\" is not the name of a field");
  EXPECT_EQ(refusal({{"X-Y", static_cast<Format>(9)}}), "deadline_headers: X-Y has no known format");
}

}  // namespace
}  // namespace sluice
