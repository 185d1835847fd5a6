// text_output_load_test.cpp: what the terminal shows of fabricated results, line by line, and the progress line.
#include "load/output/table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/histogram.hpp"
#include "load/output/progress.hpp"
#include "load/output/text_parts.hpp"

namespace sluice::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

struct Times {
  Duration each{};
  std::uint64_t count = 1;
};

Latency latency_of(std::initializer_list<Times> times) {
  auto histogram = std::make_shared<base::Histogram>();
  for (const Times& one : times) histogram->record(static_cast<std::uint64_t>(one.each.count()), one.count);
  return Latency{std::move(histogram)};
}

ClassResult& of(RunResult& run, Outcome outcome) { return run.total.classes[static_cast<std::size_t>(outcome)]; }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream{text};
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

RunResult some_run() {
  RunResult run;
  run.name = "math";
  run.target = "http://127.0.0.1:8080/plus";
  run.duration_s = 10;
  run.offered_rps = 20'000;
  run.answered_rps = 19'999;
  run.goodput_rps = 19'900;
  run.total.planned = 200'000;
  run.total.sent = 200'005;
  run.total.retried = 5;
  run.total.connects = 64;
  run.total.bytes_sent = 123'000'000;
  run.total.bytes_received = 4'500;
  of(run, Outcome::ok) = {199'000, latency_of({{microseconds{500}, 198'000}, {milliseconds{2}, 1'000}}),
                          latency_of({{microseconds{400}, 199'000}})};
  of(run, Outcome::shed) = {990, latency_of({{microseconds{50}, 990}}), {}};
  of(run, Outcome::unanswered) = {10, latency_of({{seconds{3}, 10}}), {}};
  run.total.all =
      latency_of({{microseconds{50}, 990}, {microseconds{500}, 198'000}, {milliseconds{2}, 1'000}, {seconds{3}, 10}});
  run.shape.kind = Shape::Kind::well_behaved;
  return run;
}

TEST(RunText, ShowsOneRowPerOutcomeThatOccurred) {
  const std::string text = to_text(some_run());
  const std::vector<std::string> lines = lines_of(text);
  EXPECT_THAT(lines, Contains("              count  share%      p50     p75    p90    p99   p99.9  p99.99  p99.999"
                              "      max"));
  EXPECT_THAT(lines, Contains("2xx          199000    99.5    500us   500us  500us  500us  2.00ms       -        -"
                              "   2.00ms"));
  EXPECT_THAT(lines, Contains("2xx service  199000            400us   400us  400us  400us   400us       -        -"
                              "    400us"));
  EXPECT_THAT(text, Not(HasSubstr("gave_up")));
  EXPECT_THAT(text, Not(HasSubstr("send lag")));
}

TEST(RunText, ShowsADashWhereTooFewSamplesLieAboveAndSaysSo) {
  const std::string text = to_text(some_run());
  EXPECT_THAT(lines_of(text), Contains("503             990     0.5   50.0us  50.0us      -      -       -       -"
                                       "        -   50.0us"));
  EXPECT_THAT(text, HasSubstr("-: fewer than 100 samples above"));
}

TEST(RunText, MarksLowerBoundsOfWhatWasNeverAnswered) {
  const std::string text = to_text(some_run());
  EXPECT_THAT(lines_of(text), Contains("unanswered       10   0.005  >=3.00s       -      -      -       -       -"
                                       "        -  >=3.00s"));
  EXPECT_THAT(lines_of(text), Contains("all          200000     100    500us   500us  500us  500us  2.00ms       -"
                                       "        -  >=3.00s"));
  EXPECT_THAT(text, HasSubstr(">=: at least, some were never answered."));
}

TEST(RunText, ShowsRatesCountsAndShapeAroundTheTable) {
  RunResult run = some_run();
  run.silences = {{3.21, 4.21}, {6, 6.5}};
  run.warnings = {"the server has no counters"};
  const std::vector<std::string> lines = lines_of(to_text(run));
  EXPECT_EQ(lines.front(), "run         math  http://127.0.0.1:8080/plus");
  EXPECT_THAT(lines, Contains("verdict     valid"));
  EXPECT_THAT(lines, Contains("warning     the server has no counters"));
  EXPECT_THAT(lines, Contains("rates       offered 20.0k/s, answered 20.0k/s, 2xx 19.9k/s; not 2xx 0.5 %"));
  EXPECT_THAT(lines, Contains("requests    200000 planned, 200005 sent, 0 unsent, 5 retried, 10 unanswered"));
  EXPECT_THAT(lines, Contains("bytes       12.3 MB/s sent, 450 B/s received"));
  EXPECT_THAT(lines, Contains("connects    64 connects, 0 failed"));
  EXPECT_THAT(lines, Contains("silences    no answers from 3.21 s to 4.21 s, from 6.00 s to 6.50 s"));
  EXPECT_THAT(lines, Contains("shape       well-behaved"));
}

TEST(RunText, SaysWhyARunDoesNotCount) {
  RunResult run = some_run();
  run.invalid = {"the generator stalled", "steal above 1 %"};
  const std::vector<std::string> lines = lines_of(to_text(run));
  EXPECT_THAT(lines, Contains("verdict     INVALID: the generator stalled"));
  EXPECT_THAT(lines, Contains("            INVALID: steal above 1 %"));
  EXPECT_THAT(lines, Not(Contains("verdict     valid")));
}

TEST(RunText, SaysThatTheGeneratorMeasuredItself) {
  RunResult run = some_run();
  run.generator.limited = true;
  EXPECT_THAT(to_text(run), HasSubstr("verdict     GENERATOR-LIMITED: "));
}

TEST(RunText, DescribesTheLoadIfItIsKnown) {
  Load load;
  load.clients[0].rate_per_s = 20'000;
  load.clients[0].arrival = Arrival::poisson;
  const TextOptions options{.config = &load};
  EXPECT_THAT(lines_of(to_text(some_run(), options)),
              Contains("load        64 connections, 20.0k/s planned (poisson, steady), 10.00 s measured, 1 thread"));
  load.clients[0].rate_per_s = 0;
  EXPECT_THAT(lines_of(to_text(some_run(), options)),
              Contains("load        64 connections, closed loop, 10.00 s measured, 1 thread"));
}

TEST(RunText, ShowsSeveralKindsOfClientsBesideEachOther) {
  RunResult run = some_run();
  run.clients = {run.total, ClientsResult{}};
  run.clients[0].name = "callers";
  run.clients[1].name = "slow";
  Load load;
  load.clients = {Clients{}, Clients{}};
  load.background = 1;
  const std::vector<std::string> lines = lines_of(to_text(run, {.config = &load}));
  EXPECT_THAT(lines, Contains("callers             200000  199000     1000          10    500us  500us  2.00ms"));
  EXPECT_THAT(lines, Contains("slow (background)        0       0        0           0        -      -       -"));
}

TEST(RunText, StaysWithinAHundredColumns) {
  RunResult run = some_run();
  for (ClassResult& one : run.total.classes) {
    one = {12'345'678'901, latency_of({{microseconds{1'234}, 100'000'000}}), {}};
  }
  run.total.planned = 123'456'789'012;
  run.total.all = latency_of({{microseconds{1'234}, 100'000'000}});
  run.total.connect = run.total.send_lag = run.total.connection_wait = run.total.all;
  run.invalid = {
      "a reason that takes a good many words to say what was wrong with this run, so that it needs two lines"};
  for (const std::string& line : lines_of(to_text(run))) EXPECT_LE(line.size(), 100U) << line;
}

TEST(RunText, HasColoursOnlyIfAsked) {
  EXPECT_THAT(to_text(some_run()), Not(HasSubstr("\x1b")));
  EXPECT_THAT(to_text(some_run(), {.color = true}), HasSubstr("\x1b[32mverdict     valid\x1b[0m\n"));
}

TEST(RunText, LetsNoNameMoveTheCursor) {
  RunResult run = some_run();
  run.name = "a\x1b[2Jb\r";
  EXPECT_THAT(to_text(run), HasSubstr("a?[2Jb?"));
}

TEST(RunText, OfAnEmptyRunIsStillAText) {
  const std::vector<std::string> lines = lines_of(to_text(RunResult{}));
  EXPECT_THAT(lines, Contains("shape       unknown"));
}

TEST(Shape, IsDescribedInWords) {
  EXPECT_EQ(describe({Shape::Kind::wall, 0.999, 12'500}), "a wall at p99.9, 12.5 ms high");
  EXPECT_EQ(describe({Shape::Kind::on_fire, 0, 0}), "on fire");
}

TEST(SweepText, ShowsOneRowPerRate) {
  SweepResult sweep{.name = "steps", .target = "http://h/", .runs = {{10'000, some_run()}, {20'000, some_run()}}};
  sweep.runs[1].run.invalid = {"the generator stalled"};
  const std::vector<std::string> lines = lines_of(to_text(sweep, {}));
  EXPECT_EQ(lines.front(), "sweep       steps  http://h/");
  EXPECT_THAT(lines, Contains("10.0k       20.0k  19.9k    0.5 %  500us  500us  2.00ms  2.00ms  well-behaved"));
  EXPECT_THAT(lines, Contains("20.0k       20.0k  19.9k    0.5 %  500us  500us  2.00ms  2.00ms  INVALID"));
  EXPECT_THAT(lines, Contains("INVALID     20.0k/s: the generator stalled"));
}

SearchResult some_search() {
  SearchResult search;
  search.target = "http://h/";
  search.slos = {Slo{.text = "p99<50ms"}, Slo{.text = "errors<0.1%"}};
  search.capacity_rps = 48'200;
  search.capacity_low_rps = 47'900;
  search.capacity_high_rps = 49'100;
  search.good_rps = 40'000;
  search.ceiling_rps = 60'250;
  search.limit = "loop CPU";
  search.limit_evidence = "one thread at 99 % of a core.";
  search.goodput_kept_200 = 0.953;
  search.recovery_s = 1.2;
  const auto add = [&](Probe::Stage stage, double rate_per_s, bool passed) {
    search.probes.push_back({.stage = stage, .rate_per_s = rate_per_s, .passed = passed, .run = some_run()});
  };
  add(Probe::Stage::ceiling, 60'250, false);
  add(Probe::Stage::climb, 49'100, false);
  search.probes.back().failures = {"p99 is 61.0 ms"};
  add(Probe::Stage::curve, 48'200, true);
  add(Probe::Stage::curve, 24'100, true);
  add(Probe::Stage::overload, 96'400, false);
  add(Probe::Stage::recovery, 24'100, true);
  return search;
}

TEST(SearchText, LeadsWithTheLimitAndWhatEndsIt) {
  const std::vector<std::string> lines = lines_of(to_text(some_search()));
  EXPECT_THAT(lines, Contains("conditions  p99<50ms, errors<0.1%"));
  EXPECT_THAT(lines, Contains("limit       48.2k/s meets the conditions; last pass 47.9k/s, first failure 49.1k/s"));
  EXPECT_THAT(lines, Contains("ended by    loop CPU: one thread at 99 % of a core."));
  EXPECT_THAT(lines, Contains("failed at   49.1k/s: p99 is 61.0 ms"));
  EXPECT_THAT(lines, Contains("good        40.0k/s with every answer below 200 ms"));
  EXPECT_THAT(lines, Contains("ok          none with every answer below 1 s"));
  EXPECT_THAT(lines, Contains("ceiling     60.2k/s in a closed loop, 2xx only; the limit is 80 % of it"));
}

TEST(SearchText, ShowsTheCurveByRateThenOverloadAndRecovery) {
  const std::vector<std::string> lines = lines_of(to_text(some_search()));
  const auto heading =
      std::find(lines.begin(), lines.end(), "stage      rate  of limit    p50    p99   p99.9     max  2xx/s");
  ASSERT_GE(lines.end() - heading, 5);
  EXPECT_EQ(heading[1], "curve     24.1k      50 %  500us  500us  2.00ms  2.00ms  19.9k  pass");
  EXPECT_EQ(heading[2], "curve     48.2k     100 %  500us  500us  2.00ms  2.00ms  19.9k  pass");
  EXPECT_EQ(heading[3], "overload  96.4k     200 %  500us  500us  2.00ms  2.00ms  19.9k  FAIL");
  EXPECT_EQ(heading[4], "recovery  24.1k      50 %  500us  500us  2.00ms  2.00ms  19.9k  pass");
  EXPECT_THAT(lines, Contains("overload    at twice the limit 95.3 % of it still came back as 2xx"));
  EXPECT_THAT(lines, Contains("recovery    p99 was back 1.20 s after it"));
}

TEST(SearchText, SaysThatNothingPassed) {
  SearchResult search = some_search();
  search.capacity_rps = search.capacity_low_rps = 0;
  search.recovery_s = -1;
  search.valid = false;
  search.invalid = {"the generator was the limit"};
  const std::vector<std::string> lines = lines_of(to_text(search));
  EXPECT_THAT(lines, Contains("limit       no rate met the conditions; lowest failure 49.1k/s"));
  EXPECT_THAT(lines, Contains("recovery    p99 did not come back"));
  EXPECT_THAT(lines, Contains("verdict     INVALID: the generator was the limit"));
}

TEST(TextParts, WrapsLinesBelowTheirText) {
  const std::string text = labelled("label", std::string(60, 'a') + ' ' + std::string(40, 'b'));
  EXPECT_EQ(text, "label       " + std::string(60, 'a') + "\n            " + std::string(40, 'b') + '\n');
}

TEST(TextParts, WritesBytesInPowersOfAThousand) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(812), "812 B");
  EXPECT_EQ(format_bytes(1'300), "1.30 kB");
  EXPECT_EQ(format_bytes(12'000'000), "12.0 MB");
  EXPECT_EQ(format_bytes(999'700'000), "1.00 GB");
}

TEST(ProgressText, ShowsABarWhereThereIsRoom) {
  const Progress progress{.at_s = 5, .of_s = 10, .ok = 12, .outstanding = 3};
  EXPECT_EQ(progress_text(progress, 79), "[==========          ] 5.0 of 10.0 s  2xx 12  waiting 3");
  EXPECT_EQ(progress_text(progress, 40), "5.0 of 10.0 s  2xx 12  waiting 3");
  EXPECT_EQ(progress_text(progress, 8), "5.0 of 1");
}

TEST(ProgressText, ShowsRefusedAndFailedOnceThereAreAny) {
  EXPECT_EQ(progress_text({.at_s = -1.5, .of_s = 10, .refused = 2, .failed = 1}, 79),
            "starting, 1.5 s to go  2xx 0  refused 2  failed 1  waiting 0");
}

TEST(ProgressLine, DrawsNothingOnWhatIsNoTerminal) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const base::Fd reader{ends[0]};
  {
    const base::Fd writer{ends[1]};
    ProgressLine line{writer.get()};
    EXPECT_FALSE(line.active());
    line.show({.at_s = 1, .of_s = 2});
    line.note("a stage");
  }
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 0);
}

/// A terminal, and the program's side of it.
class Terminal {
 public:
  Terminal() : master_{::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK)} {
    if (master_ && ::grantpt(master_.get()) == 0 && ::unlockpt(master_.get()) == 0) {
      slave_ = base::Fd{::open(::ptsname(master_.get()), O_RDWR | O_NOCTTY)};
    }
    const ::winsize size{.ws_row = 24, .ws_col = 41, .ws_xpixel = 0, .ws_ypixel = 0};
    if (slave_) ::ioctl(slave_.get(), TIOCSWINSZ, &size);
  }

  int fd() const { return slave_.get(); }
  bool there() const { return static_cast<bool>(slave_); }
  /// What was drawn since the call before. The kernel hands bytes over in its own time, in order: a mark is drawn
  /// behind them and waited for.
  std::string drawn() const {
    constexpr char mark = '\x04';
    EXPECT_EQ(::write(slave_.get(), &mark, 1), 1);
    std::string text;
    for (;;) {
      ::pollfd ready{.fd = master_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, 60'000) != 1) return text + " (and no mark behind it)";
      std::array<char, 4096> bytes{};
      const ::ssize_t count = ::read(master_.get(), bytes.data(), bytes.size());
      if (count > 0) text.append(bytes.data(), static_cast<std::size_t>(count));
      if (text.ends_with(mark)) break;
    }
    text.pop_back();
    return text;
  }

 private:
  base::Fd master_;
  base::Fd slave_{};
};

TEST(ProgressLine, RenewsAndErasesItselfOnATerminal) {
  const Terminal terminal;
  if (!terminal.there()) GTEST_SKIP() << "no terminals here";
  ProgressLine line{terminal.fd()};
  line.show({.at_s = 5, .of_s = 10, .ok = 12});
  EXPECT_EQ(terminal.drawn(), "\r\x1b[K5.0 of 10.0 s  2xx 12  waiting 0");
  line.show({.at_s = 5, .of_s = 10, .ok = 12});
  EXPECT_EQ(terminal.drawn(), "");
  line.note("climbing");
  EXPECT_EQ(terminal.drawn(), "\r\x1b[Kclimbing\r\n");
  line.erase();
  EXPECT_EQ(terminal.drawn(), "");
}

TEST(ProgressJson, IsOneLineEach) {
  EXPECT_EQ(
      progress_json({.at_s = 1.23456, .of_s = 10, .ok = 7, .refused = 1, .failed = 2, .outstanding = 3}),
      "{\"event\":\"progress\",\"at_s\":1.235,\"of_s\":10,\"ok\":7,\"refused\":1,\"failed\":2,\"outstanding\":3}\n");
  EXPECT_EQ(stage_json("climb: 20k/s\n"), "{\"event\":\"stage\",\"text\":\"climb: 20k/s\\n\"}\n");
}

}  // namespace
}  // namespace sluice::bench
