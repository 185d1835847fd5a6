// units_test.cpp: rates, times and sizes from text and back.
#include "load/plan/units.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;

TEST(Units, ReadsRatesWithAndWithoutAMultiplier) {
  EXPECT_EQ(parse_rate("800"), 800.0);
  EXPECT_EQ(parse_rate("20k"), 20'000.0);
  EXPECT_EQ(parse_rate("1.5M"), 1'500'000.0);
  EXPECT_EQ(parse_rate("0.5/s"), 0.5);
  EXPECT_EQ(parse_rate("2k/s"), 2000.0);
}

TEST(Units, RefusesWhatIsNoRateAndSaysSo) {
  for (const char* text : {"", "k", "-1", "1e3", "1.2.3", "20kk", ".5", "5.", "0x10", "nan", "inf", " 5"}) {
    EXPECT_FALSE(parse_rate(text).has_value()) << text;
  }
  EXPECT_EQ(parse_rate("fast").error(), "\"fast\" is no rate; write it as 800, 20k or 1.5M");
  EXPECT_FALSE(parse_rate("2G").has_value());
}

TEST(Units, ReadsTimesInEveryUnit) {
  EXPECT_EQ(parse_duration("60s"), Duration{60s});
  EXPECT_EQ(parse_duration("250ms"), Duration{250ms});
  EXPECT_EQ(parse_duration("1.5s"), Duration{1500ms});
  EXPECT_EQ(parse_duration("2m"), Duration{2min});
  EXPECT_EQ(parse_duration("100us"), Duration{100us});
  EXPECT_EQ(parse_duration("1h"), Duration{1h});
  EXPECT_EQ(parse_duration("7 ns"), Duration{7ns});
  EXPECT_EQ(parse_duration("0"), Duration{});
}

TEST(Units, RefusesATimeWithoutUnitOrBeyondAllReason) {
  EXPECT_EQ(parse_duration("5").error(), "\"5\" lacks a unit; write 5s, or ns, us, ms, m, h");
  EXPECT_FALSE(parse_duration("-5s").has_value());
  EXPECT_FALSE(parse_duration("5 days").has_value());
  EXPECT_FALSE(parse_duration("99999999999h").has_value());
  EXPECT_FALSE(parse_duration("").has_value());
}

TEST(Units, ReadsSizes) {
  EXPECT_EQ(parse_bytes("512"), 512U);
  EXPECT_EQ(parse_bytes("64k"), 65'536U);
  EXPECT_EQ(parse_bytes("64kB"), 64'000U);
  EXPECT_EQ(parse_bytes("1MiB"), 1'048'576U);
  EXPECT_EQ(parse_bytes("0.5k"), 512U);
  EXPECT_EQ(parse_bytes("2G"), 2'147'483'648U);
  EXPECT_FALSE(parse_bytes("0.3").has_value());
  EXPECT_FALSE(parse_bytes("many").has_value());
  EXPECT_FALSE(parse_bytes("99999999999G").has_value());
}

TEST(Units, WritesRatesWithThreeDigits) {
  EXPECT_EQ(format_rate(0), "0");
  EXPECT_EQ(format_rate(0.25), "0.25");
  EXPECT_EQ(format_rate(12.5), "12.5");
  EXPECT_EQ(format_rate(812.4), "812");
  EXPECT_EQ(format_rate(9340), "9340");
  EXPECT_EQ(format_rate(9999.6), "10.0k");
  EXPECT_EQ(format_rate(20'000), "20.0k");
  EXPECT_EQ(format_rate(999'600), "1.00M");
  EXPECT_EQ(format_rate(1'500'000), "1.50M");
}

TEST(Units, WritesTimesInTheUnitThatFits) {
  EXPECT_EQ(format_duration(0ns), "0 ns");
  EXPECT_EQ(format_duration(850ns), "850 ns");
  EXPECT_EQ(format_duration(250us), "250 us");
  EXPECT_EQ(format_duration(1240us), "1.24 ms");
  EXPECT_EQ(format_duration(999'600ns), "1.00 ms");
  EXPECT_EQ(format_duration(61'230us), "61.2 ms");
  EXPECT_EQ(format_duration(12s), "12.0 s");
  EXPECT_EQ(format_duration(90min), "1.50 h");
  EXPECT_EQ(format_duration(150s), "2.50 min");
  EXPECT_EQ(format_duration(-1ms), "-1.00 ms");
}

TEST(Units, WritesSharesWithoutLosingSmallOnes) {
  EXPECT_EQ(format_percent(0), "0 %");
  EXPECT_EQ(format_percent(0.005), "0.5 %");
  EXPECT_EQ(format_percent(0.9951), "99.51 %");
  EXPECT_EQ(format_percent(0.00001), "0.001 %");
  EXPECT_EQ(format_percent(1), "100 %");
}

}  // namespace
}  // namespace sluice::bench
