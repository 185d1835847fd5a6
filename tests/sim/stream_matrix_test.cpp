// The outcome matrix of streams: a handler that reads a body in pieces and writes one, on a worker and by callbacks, and
// what may happen at every point of it. Each cell checks what the client got, what the handler was told, the counters,
// and that nothing is left behind.
#include <gtest/gtest.h>

#include <array>

#include "sim/stage.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

enum class Point { BeforeReading, WithinTheBody, BehindTheBody, BehindTheHead, WithinTheAnswer, BeforeTheEnd };
constexpr std::array point_names{"BeforeReading", "WithinTheBody",   "BehindTheBody",
                                 "BehindTheHead", "WithinTheAnswer", "BeforeTheEnd"};
enum class Event { Nothing, Reset, Fin, BudgetSpent, DrainEnds, ReaderStops, HandlerGivesUp };
constexpr std::array event_names{"Nothing",   "Reset",       "Fin",           "BudgetSpent",
                                 "DrainEnds", "ReaderStops", "HandlerGivesUp"};
enum class Style { Worker, Callbacks };

struct Cell {
  Style style;
  Point point;
  Event event;
};

std::vector<Cell> all_cells() {
  std::vector<Cell> all;
  for (const Style style : {Style::Worker, Style::Callbacks}) {
    for (int point = 0; point < static_cast<int>(point_names.size()); ++point) {
      for (int event = 0; event < static_cast<int>(event_names.size()); ++event) {
        const Cell cell{style, static_cast<Point>(point), static_cast<Event>(event)};
        // By then the socket has taken everything: a reader that stops is nobody's business.
        if (cell.event == Event::ReaderStops && cell.point == Point::BeforeTheEnd) continue;
        all.push_back(cell);
      }
    }
  }
  return all;
}

/// What a cell must come to.
struct Wanted {
  std::uint64_t LaneCounters::* column = &LaneCounters::responded;  // null: timed_out or abandoned
  int status = 200;  // 0: no answer
  bool whole = true;  // the body came to its end
  bool resets = false;  // the client sees one
};

Wanted wanted(const Cell& cell) {
  const bool head_sent = cell.point >= Point::BehindTheHead;
  const bool body_read = cell.point >= Point::BehindTheBody;
  switch (cell.event) {
    case Event::Nothing: return {};
    case Event::Reset:
      if (head_sent) return {&LaneCounters::responded, 200, false, false};
      return {&LaneCounters::abandoned, 0, false, false};
    case Event::Fin:
      if (body_read) return {};
      return {&LaneCounters::abandoned, 0, false, false};
    case Event::BudgetSpent:
      if (head_sent) return {};
      return {&LaneCounters::timed_out, 504, true, false};
    case Event::DrainEnds:
      if (head_sent) return {&LaneCounters::responded, 200, false, true};
      return {.column = nullptr};  // its 504 in the last moment, or none: whichever timer is first
    case Event::ReaderStops: return {&LaneCounters::responded, 200, false, true};
    case Event::HandlerGivesUp:
      if (head_sent) return {&LaneCounters::responded, 200, false, true};
      return {&LaneCounters::raised, 500, true, false};
  }
  return {};
}

constexpr std::size_t body_size = 2'000;
constexpr std::size_t answer_size = 400'000;

class StreamOutcome : public Stage, public ::testing::WithParamInterface<Cell> {
 protected:
  void play(std::uint64_t seed, bool confirm_later);
  void TearDown() override {
    forget();
    finish();
  }

 private:
  using Next = std::function<void()>;

  void on_worker(const Request& request, Responder responder);
  void by_callbacks(const Request& request, Responder responder);
  void at(Point point, Next next);
  void read_on();
  void begin_answer();
  void write_on(std::size_t until, char letter, Point point, Next next);
  void end(bool finished);
  void happen();
  void send_request();
  void check_client(const Wanted& want);
  void check_counters(const Wanted& want) const;
  bool reached(Point point) {
    if (point != cell_.point || happened_) return false;
    happened_ = true;
    happen();
    return true;
  }
  base::Duration pause() const { return cell_.event == Event::BudgetSpent ? 4s : 300ms; }
  bool gives_up() const { return cell_.event == Event::HandlerGivesUp && happened_; }
  void forget() {
    reader_ = BodyReader{};
    writer_ = ResponseWriter{};
    responder_.reset();
  }

  Cell cell_ = GetParam();
  Talker* talker_ = nullptr;
  bool happened_ = false;
  int ended_ = 0;  // the handler's work
  bool finished_ = false;
  std::string body_;
  // By callbacks:
  std::optional<Responder> responder_;
  BodyReader reader_;
  ResponseWriter writer_;
  std::size_t sent_ = 0;
};

// Events come from the net, as they do in life.
void StreamOutcome::happen() {
  after(1ms, [this] {
    switch (cell_.event) {
      case Event::Reset: talker_->net().reset(); break;
      case Event::Fin: talker_->net().half_close(); break;
      case Event::DrainEnds: stage->drain(100ms); break;
      case Event::ReaderStops: talker_->net().set_window(0); break;
      default: break;
    }
  });
}

void StreamOutcome::on_worker(const Request& request, Responder responder) {
  struct Ends {
    int& count;
    ~Ends() { ++count; }
  } const ends{ended_};
  const auto leaves_at = [&](Point point) {
    if (reached(point)) sleep(pause());
    return gives_up();
  };
  BodyReader in = request.body_reader();
  std::array<char, 400> piece;
  if (leaves_at(Point::BeforeReading)) return;
  while (const std::size_t count = in.read(piece)) {
    body_.append(piece.data(), count);
    if (body_.size() >= body_size / 2 && leaves_at(Point::WithinTheBody)) return;
  }
  if (leaves_at(Point::BehindTheBody)) return;
  ResponseWriter out = std::move(responder).stream(Response{});
  out.flush();
  if (leaves_at(Point::BehindTheHead)) return;
  if (!out.write(std::string(answer_size / 2, 'a')) || leaves_at(Point::WithinTheAnswer)) return;
  if (!out.write(std::string(answer_size / 2, 'b')) || leaves_at(Point::BeforeTheEnd)) return;
  finished_ = out.finish();
}

void StreamOutcome::by_callbacks(const Request& request, Responder responder) {
  reader_ = request.body_reader();
  responder_.emplace(std::move(responder));
  at(Point::BeforeReading, [this] { read_on(); });
}

void StreamOutcome::at(Point point, Next next) {
  if (!reached(point)) {
    next();
    return;
  }
  after(pause(), [this, next] {
    if (gives_up()) end(false);
    else next();
  });
}

void StreamOutcome::read_on() {
  std::array<char, 400> piece;
  for (;;) {
    const BodyRead found = reader_.try_read(piece);
    switch (found.state) {
      case BodyRead::State::later: reader_.on_ready([this] { read_on(); }); return;
      case BodyRead::State::failed: end(false); return;
      case BodyRead::State::end: at(Point::BehindTheBody, [this] { begin_answer(); }); return;
      case BodyRead::State::data: body_.append(piece.data(), found.bytes);
    }
    if (body_.size() < body_size / 2 || happened_ || cell_.point != Point::WithinTheBody) continue;
    at(Point::WithinTheBody, [this] { read_on(); });
    return;
  }
}

void StreamOutcome::begin_answer() {
  writer_ = std::move(*responder_).stream(Response{});
  at(Point::BehindTheHead, [this] {
    write_on(answer_size / 2, 'a', Point::WithinTheAnswer,
             [this] { write_on(answer_size, 'b', Point::BeforeTheEnd, [this] { end(writer_.finish()); }); });
  });
}

void StreamOutcome::write_on(std::size_t until, char letter, Point point, Next next) {
  sent_ += writer_.try_write(std::string(until - sent_, letter));
  if (sent_ == until) at(point, next);
  else if (writer_.closed()) end(false);
  else writer_.on_drain([this, until, letter, point, next] { write_on(until, letter, point, next); });
}

void StreamOutcome::end(bool finished) {
  forget();
  finished_ = finished;
  ++ended_;
}

void StreamOutcome::send_request() {
  const std::string body(body_size, 'q');
  talker_->say("POST /act HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body_size) + "\r\n\r\n" +
                   body.substr(0, body_size / 2),
               "POST");
  const bool leaves_before =
      (cell_.event == Event::Reset || cell_.event == Event::Fin) && cell_.point < Point::BehindTheBody;
  if (!leaves_before) after(500ms, [this, body] { talker_->net().send(body.substr(body_size / 2)); });
}

void StreamOutcome::check_client(const Wanted& want) {
  const auto answers = talker_->answers();
  if (want.column == nullptr) {
    EXPECT_TRUE(answers.empty() || answers[0].status == 504);
    return;
  }
  EXPECT_EQ(talker_->net().saw_reset(), want.resets);
  // A client that does not read does not see the head either.
  const bool reads_nothing = cell_.event == Event::ReaderStops && cell_.point < Point::BehindTheHead;
  if (want.status == 0 || reads_nothing) {
    EXPECT_TRUE(answers.empty()) << talker_->received().substr(0, 200);
    return;
  }
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].status, want.status);
  EXPECT_EQ(answers[0].complete, want.whole);
  if (want.status != 200 || !want.whole) return;
  EXPECT_EQ(answers[0].body, std::string(answer_size / 2, 'a') + std::string(answer_size / 2, 'b'));
  EXPECT_EQ(body_, std::string(body_size, 'q'));
}

void StreamOutcome::check_counters(const Wanted& want) const {
  const LaneCounters c = lane("POST /act");
  EXPECT_TRUE(c.balanced());
  EXPECT_EQ(c.received, 1u);
  EXPECT_EQ(c.started, 1u);
  if (want.column != nullptr) EXPECT_EQ(c.*want.column, 1u);
  else EXPECT_EQ(c.timed_out + c.abandoned, 1u);
  EXPECT_EQ(c.responded + c.raised + c.timed_out + c.abandoned, 1u);
  EXPECT_EQ(c.in_flight, 0u);
  EXPECT_EQ(c.zombies, 0u);
}

void StreamOutcome::play(std::uint64_t seed, bool confirm_later) {
  SCOPED_TRACE("seed " + std::to_string(seed) + (confirm_later ? ", writes confirmed later" : ""));
  happened_ = finished_ = false;
  ended_ = 0;
  sent_ = 0;
  body_.clear();
  const Wanted want = wanted(cell_);
  Handler handler{[this](const Request& q, Responder r) {
                    if (cell_.style == Style::Worker) on_worker(q, std::move(r));
                    else by_callbacks(q, std::move(r));
                  },
                  cell_.style == Style::Worker ? Runs::on_pool : Runs::answers_later};
  app.post("/act", std::move(handler), {.budget = cell_.event == Event::BudgetSpent ? 3s : 60s, .stream_body = true});
  serve(seed, confirm_later);
  stage->net().options().send_buffer_bytes = 10'000;
  talker_ = &client();
  send_request();
  EXPECT_TRUE(until([&] { return ended_ > 0; }));
  stage->run_for(30s);
  EXPECT_EQ(ended_, 1);
  EXPECT_EQ(happened_, true);
  EXPECT_EQ(finished_, want.column == &LaneCounters::responded && want.whole);
  check_client(want);
  check_counters(want);
  EXPECT_EQ(stage->over(), cell_.event == Event::DrainEnds);
  finish();
}

TEST_P(StreamOutcome, IsOneAndTheRightOne) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    play(seed, false);
    play(seed, true);
  }
}

INSTANTIATE_TEST_SUITE_P(Matrix, StreamOutcome, ::testing::ValuesIn(all_cells()), [](const auto& instance) {
  return std::string{instance.param.style == Style::Worker ? "Worker" : "Callbacks"} + "_" +
         point_names[static_cast<std::size_t>(instance.param.point)] + "_" +
         event_names[static_cast<std::size_t>(instance.param.event)];
});

}  // namespace
}  // namespace sluice::sim
