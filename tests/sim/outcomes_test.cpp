// The outcome matrix: what a handler can do with a request, by every way to write one. Each cell checks what the client
// reads, what the handler is told, the lane's counters, the log, and that nothing is left behind.
#include <gtest/gtest.h>

#include <array>
#include <new>
#include <stdexcept>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

enum class Style {
  Plain,
  Expected,
  Responder,
  Split,
  BlockingPlain,
  BlockingExpected,
  BlockingResponder,
  BlockingSplit
};
constexpr std::array styles{
    Style::Plain,         Style::Expected,         Style::Responder,         Style::Split,
    Style::BlockingPlain, Style::BlockingExpected, Style::BlockingResponder, Style::BlockingSplit};
constexpr std::array style_names{"Plain",         "Expected",         "Responder",         "Split",
                                 "BlockingPlain", "BlockingExpected", "BlockingResponder", "BlockingSplit"};

enum class Act {
  AnswersAtOnce,
  AnswersLaterOnTheLoop,
  AnswersFromAnotherThread,
  NeverAnswers,
  DropsLater,
  AnswersTwice,
  Raises,
  RaisesAnException,
  RaisesNothing,
  Throws,
  ThrowsAProblem,
  ThrowsNoException,
  ThrowsAfterHandingOn,
  AnswersThenThrows,
  RunsOutOfMemory,
  AnswersAfterItsBudget,
  AnswersAfterTheClientLeft,
  AnswersDuringADrain,
};
constexpr std::array act_names{"AnswersAtOnce",
                               "AnswersLaterOnTheLoop",
                               "AnswersFromAnotherThread",
                               "NeverAnswers",
                               "DropsLater",
                               "AnswersTwice",
                               "Raises",
                               "RaisesAnException",
                               "RaisesNothing",
                               "Throws",
                               "ThrowsAProblem",
                               "ThrowsNoException",
                               "ThrowsAfterHandingOn",
                               "AnswersThenThrows",
                               "RunsOutOfMemory",
                               "AnswersAfterItsBudget",
                               "AnswersAfterTheClientLeft",
                               "AnswersDuringADrain"};

struct Cell {
  Style style;
  Act act;
};

bool has_handles(Style style) {
  return style == Style::Responder || style == Style::Split || style == Style::BlockingResponder ||
         style == Style::BlockingSplit;
}
bool is_blocking(Style style) { return style >= Style::BlockingPlain; }
bool is_split(Style style) { return style == Style::Split || style == Style::BlockingSplit; }
bool is_expected(Style style) { return style == Style::Expected || style == Style::BlockingExpected; }

bool exists(Style style, Act act) {
  if (has_handles(style)) return true;
  switch (act) {
    case Act::AnswersAtOnce:
    case Act::Throws:
    case Act::ThrowsAProblem:
    case Act::ThrowsNoException:
    case Act::RunsOutOfMemory:
    case Act::AnswersDuringADrain: return true;
    case Act::Raises: return is_expected(style);
    // What returns its answer on the loop can't be late: the loop does nothing else meanwhile.
    case Act::AnswersAfterItsBudget:
    case Act::AnswersAfterTheClientLeft: return is_blocking(style);
    default: return false;
  }
}

std::vector<Cell> all_cells() {
  std::vector<Cell> all;
  for (const Style style : styles) {
    for (std::size_t act = 0; act < act_names.size(); ++act) {
      if (exists(style, static_cast<Act>(act))) all.push_back({style, static_cast<Act>(act)});
    }
  }
  return all;
}

/// What a cell must come to.
struct Wanted {
  int status = 200;
  std::uint64_t LaneCounters::* column = &LaneCounters::responded;
  bool dropped = false, thrown = false, late = false;
  std::vector<Sent> sent{};
  std::string event{};
};

Wanted by_handles(Style style, Act act) {
  using enum Sent;
  switch (act) {
    case Act::AnswersTwice:
      if (is_split(style)) return {.late = true, .sent = {accepted, too_late, used_up}, .event = "problem"};
      return {.sent = {accepted, used_up}};
    case Act::NeverAnswers:
    case Act::DropsLater: return {500, &LaneCounters::raised, true, false, false, {}, "responder_dropped"};
    case Act::RaisesAnException:
      return {500, &LaneCounters::raised, false, false, false, {accepted}, "exception_raised"};
    case Act::ThrowsAfterHandingOn: return {500, &LaneCounters::raised, false, true, true, {too_late}, "handler_threw"};
    case Act::AnswersThenThrows: return {.sent = {accepted}, .event = "handler_threw"};
    default: return {.sent = {accepted}};
  }
}

Wanted wanted(Style style, Act act) {
  const bool handles = has_handles(style);
  const std::vector<Sent> accepted = handles ? std::vector{Sent::accepted} : std::vector<Sent>{};
  const std::vector<Sent> too_late = handles ? std::vector{Sent::too_late} : std::vector<Sent>{};
  switch (act) {
    case Act::AnswersAtOnce:
    case Act::AnswersDuringADrain: return {.sent = accepted};
    case Act::Raises: return {418, &LaneCounters::raised, false, false, false, accepted, "problem"};
    case Act::ThrowsAProblem: return {418, &LaneCounters::raised, false, false, false, {}, "problem"};
    case Act::Throws:
    case Act::ThrowsNoException:
    case Act::RunsOutOfMemory: return {500, &LaneCounters::raised, false, true, false, {}, "handler_threw"};
    case Act::AnswersAfterItsBudget: return {504, &LaneCounters::timed_out, false, false, true, too_late, {}};
    case Act::AnswersAfterTheClientLeft: return {0, &LaneCounters::abandoned, false, false, true, too_late, {}};
    case Act::RaisesNothing: return {500, &LaneCounters::raised, false, false, false, accepted, {}};
    default: return by_handles(style, act);
  }
}

/// The handles of one request, whatever their shape.
class Held {
 public:
  explicit Held(Responder responder) : whole_{std::move(responder)} {}
  Held(Respond respond, Raise raise) : pair_{std::in_place, std::move(respond), std::move(raise)} {}

  Sent respond(Response response) {
    return whole_ ? whole_->respond(std::move(response)) : pair_->first(std::move(response));
  }
  template <class Error>
  Sent raise(Error error) {
    return whole_ ? whole_->raise(std::move(error)) : pair_->second(std::move(error));
  }

 private:
  std::optional<Responder> whole_{};
  std::optional<std::pair<Respond, Raise>> pair_{};
};

class Outcome : public Stage, public ::testing::WithParamInterface<Cell> {
 protected:
  void play(std::uint64_t seed, bool confirm_later);

 private:
  Handler handler();
  void throw_as_told() const;
  void with_handles(std::shared_ptr<Held> held);
  void answer_late(std::shared_ptr<Held> held);
  void answer(Held& held) { sent_.push_back(held.respond(text("done"))); }
  Response returned();
  void add_routes();
  void provoke(Talker& talker);
  void check_counters(const Wanted& want) const;
  void check_client(Talker& talker, const Wanted& want);
  void check_log(const Wanted& want) const;

  bool on_pool() const { return is_blocking(cell_.style); }
  /// When the answer comes, after the request, for acts that take their time.
  base::Duration delay() const { return cell_.act == Act::AnswersAfterItsBudget ? 400ms : 50ms; }

  Cell cell_ = GetParam();
  std::vector<Sent> sent_;
  std::function<void()> pending_;
  int runs_ = 0;
};

void Outcome::throw_as_told() const {
  switch (cell_.act) {
    case Act::Throws:
    case Act::ThrowsAfterHandingOn:
    case Act::AnswersThenThrows: throw std::runtime_error{"secret"};
    case Act::ThrowsAProblem: throw Problem{418}.cause("secret");
    case Act::ThrowsNoException: throw 7;
    case Act::RunsOutOfMemory: throw std::bad_alloc{};
    default: return;
  }
}

void Outcome::answer_late(std::shared_ptr<Held> held) {
  if (on_pool()) {
    sleep(delay());
    answer(*held);
  } else {
    after(delay(), [this, held] { answer(*held); });
  }
}

void Outcome::with_handles(std::shared_ptr<Held> held) {
  switch (cell_.act) {
    case Act::AnswersAtOnce: answer(*held); break;
    case Act::AnswersLaterOnTheLoop: pending_ = [this, held] { answer(*held); }; break;
    case Act::ThrowsAfterHandingOn:
    case Act::AnswersFromAnotherThread: after(50ms, [this, held] { answer(*held); }); break;
    case Act::DropsLater: after(50ms, [held]() mutable { held.reset(); }); break;
    case Act::AnswersThenThrows: answer(*held); break;
    case Act::AnswersTwice:
      answer(*held);
      if (is_split(cell_.style)) sent_.push_back(held->raise(Problem{418}));
      answer(*held);
      break;
    case Act::Raises: sent_.push_back(held->raise(Problem{418}.cause("secret"))); break;
    case Act::RaisesAnException:
      sent_.push_back(held->raise(std::make_exception_ptr(std::runtime_error{"secret"})));
      break;
    case Act::RaisesNothing: sent_.push_back(held->raise(std::exception_ptr{})); break;
    case Act::AnswersAfterItsBudget:
    case Act::AnswersAfterTheClientLeft:
    case Act::AnswersDuringADrain: answer_late(held); break;
    default: break;
  }
  throw_as_told();
}

Response Outcome::returned() {
  throw_as_told();
  if (on_pool()) sleep(delay());
  else if (cell_.act == Act::AnswersDuringADrain) stage->drain(10s);
  return text("done");
}

Handler Outcome::handler() {
  const Runs runs = on_pool() ? Runs::on_pool : has_handles(cell_.style) ? Runs::answers_later : Runs::on_loop;
  if (is_split(cell_.style)) {
    return Handler{[this](const Request&, Respond respond, Raise raise) {
                     ++runs_;
                     with_handles(std::make_shared<Held>(std::move(respond), std::move(raise)));
                   },
                   runs};
  }
  if (has_handles(cell_.style)) {
    return Handler{[this](const Request&, Responder responder) {
                     ++runs_;
                     with_handles(std::make_shared<Held>(std::move(responder)));
                   },
                   runs};
  }
  if (is_expected(cell_.style)) {
    return Handler{[this](const Request&) -> std::expected<Response, Problem> {
                     ++runs_;
                     if (cell_.act == Act::Raises) return std::unexpected(Problem{418}.cause("secret"));
                     return returned();
                   },
                   runs};
  }
  return Handler{[this](const Request&) {
                   ++runs_;
                   return returned();
                 },
                 runs};
}

void Outcome::add_routes() {
  const bool spends = cell_.act == Act::AnswersAfterItsBudget;
  app.get("/act", handler(), {.budget = spends ? 100ms : 10s});
  app.get("/after", [](const Request&) { return text("after"); });
  app.get("/release", [this](const Request&) {
    std::exchange(pending_, nullptr)();
    return text("released");
  });
}

// What the world does while the handler is at work.
void Outcome::provoke(Talker& talker) {
  switch (cell_.act) {
    case Act::AnswersLaterOnTheLoop: {
      ASSERT_TRUE(until([&] { return pending_ != nullptr; }));
      client().get("/release").last();
      break;
    }
    case Act::AnswersAfterTheClientLeft:
      ASSERT_TRUE(until([&] { return runs_ == 1; }));
      talker.net().reset();
      break;
    case Act::AnswersDuringADrain:
      ASSERT_TRUE(until([&] { return runs_ == 1; }));
      if (on_pool() || has_handles(cell_.style)) stage->drain(10s);
      break;
    default: break;
  }
}

void Outcome::check_counters(const Wanted& want) const {
  const LaneCounters c = lane("GET /act");
  EXPECT_TRUE(c.balanced());
  EXPECT_EQ(c.received, 1u);
  EXPECT_EQ(c.started, 1u);
  EXPECT_EQ(c.*want.column, 1u);
  EXPECT_EQ(c.responded + c.raised + c.timed_out + c.abandoned, 1u);
  EXPECT_EQ(c.dropped, want.dropped ? 1u : 0u);
  EXPECT_EQ(c.thrown, want.thrown ? 1u : 0u);
  EXPECT_EQ(c.late, want.late ? 1u : 0u);
  EXPECT_EQ(c.in_flight, 0u);
  EXPECT_EQ(c.zombies, 0u);
}

void Outcome::check_client(Talker& talker, const Wanted& want) {
  if (want.status == 0) {
    EXPECT_EQ(talker.received(), "");
    return;
  }
  const ClientResponse first = talker.answer();
  EXPECT_EQ(first.status, want.status);
  EXPECT_EQ(first.header("x-request-outcome"), want.status == 504 ? "unknown" : "");
  EXPECT_EQ(first.header("content-type"),
            want.status == 200 ? "text/plain; charset=utf-8" : "application/problem+json");
  EXPECT_TRUE(want.status != 200 || first.body == "done") << first.body;
  EXPECT_EQ(talker.received().find("secret"), std::string::npos) << talker.received();
  if (cell_.act == Act::AnswersDuringADrain) {
    // An answer made in the very turn that asked for the drain goes out before the loop hears of it.
    const bool in_time = on_pool() || has_handles(cell_.style);
    EXPECT_EQ(first.header("connection"), in_time ? "close" : "");
    EXPECT_TRUE(talker.ended());
    talker.net().close();
    return;
  }
  EXPECT_EQ(first.header("connection"), "");
  EXPECT_EQ(talker.get("/after").answer(1).body, "after");
}

void Outcome::check_log(const Wanted& want) const {
  if (want.event.empty()) {
    EXPECT_TRUE(log.empty()) << log.front().what;
    return;
  }
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log.front().what, want.event);
  EXPECT_EQ(log.front().route, "/act");
  const bool has_text = cell_.act == Act::Throws || cell_.act == Act::ThrowsAProblem ||
                        cell_.act == Act::RaisesAnException || cell_.act == Act::Raises;
  EXPECT_TRUE(!has_text || log.front().detail == "secret") << log.front().detail;
}

void Outcome::play(std::uint64_t seed, bool confirm_later) {
  SCOPED_TRACE("seed " + std::to_string(seed) + (confirm_later ? ", writes confirmed later" : ""));
  sent_.clear();
  runs_ = 0;
  const Wanted want = wanted(cell_.style, cell_.act);
  add_routes();
  serve(seed, confirm_later);
  Talker& talker = client().get("/act");
  provoke(talker);
  check_client(talker, want);
  stage->run_for(1s);  // what comes late has come
  EXPECT_EQ(runs_, 1);
  EXPECT_EQ(sent_, want.sent);
  check_counters(want);
  check_log(want);
  EXPECT_EQ(stage->over(), cell_.act == Act::AnswersDuringADrain);
  finish();
}

TEST_P(Outcome, IsOneAndTheRightOne) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    play(seed, false);
    play(seed, true);
  }
}

INSTANTIATE_TEST_SUITE_P(Matrix, Outcome, ::testing::ValuesIn(all_cells()), [](const auto& instance) {
  return std::string{style_names[static_cast<std::size_t>(instance.param.style)]} + "_" +
         act_names[static_cast<std::size_t>(instance.param.act)];
});

}  // namespace
}  // namespace sluice::sim
