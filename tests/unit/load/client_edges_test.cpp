// The generator in virtual time, at the edges: the ends of a run, connections that are slow to come, rates, who was late.
#include <chrono>

#include "load_rig.hpp"

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;

using OpenLoop = LoadRig;
using ClosedLoop = LoadRig;
using Outcomes = LoadRig;
using Behaviours = LoadRig;
using Truth = LoadRig;

// ---- the ends of a run ----

TEST_F(OpenLoop, SendsWhatWasDueBeforeTheEndHoweverLateItIs) {
  clients().rate_per_s = 1000;
  client_frozen = [this] {
    return measured_from != base::TimePoint{} && net->now() >= second(1.995) && net->now() < second(2.001);
  };
  const RunResult result = run();
  EXPECT_EQ(result.total.planned, 2000u);
  EXPECT_EQ(result.total.of(Outcome::ok).count, 2000u);
  EXPECT_EQ(result.total.unsent, 0u);
  EXPECT_GE(ms(result.total.send_lag.max()), 5);
}

TEST_F(OpenLoop, NothingWaitsWhileConnectionsAreFree) {
  clients().rate_per_s = 1000;  // one is due when a window ends
  const RunResult result = run();
  for (const Window& window : result.windows) EXPECT_EQ(window.waiting, 0u) << window.at_s;
}

TEST_F(OpenLoop, WhatHasItsConnectionBeingMadeIsWaiting) {
  clients().rate_per_s = 500;
  clients().behaviour.requests_per_connection = 1;
  clients().connections = 500;
  prepare();
  net->options().delay_max = 100ms;
  const RunResult result = run();
  ASSERT_GE(result.windows.size(), 20u);
  EXPECT_GT(result.windows[15].waiting, 10u);
  EXPECT_LE(result.windows[15].waiting + result.windows[15].outstanding, 500u);
}

TEST_F(OpenLoop, GraceWaitsForConnectionsThatAreBeingMade) {
  clients().rate_per_s = 100;
  clients().behaviour.requests_per_connection = 1;
  load.duration = 1'990'100us;  // the last request is due 0.1 ms before
  prepare();
  net->options().delay_max = 2ms;
  const RunResult result = run();
  EXPECT_EQ(result.total.planned, 200u);
  EXPECT_EQ(result.total.of(Outcome::ok).count, 200u);
}

TEST_F(ClosedLoop, ARequestOfTheMomentOfAnInterruptHasAnOutcome) {
  prepare();
  net->options().delay_max = 0ms;
  server->script = [](const std::string&) { return Reply{.after = 10ms}; };
  on_start = [this] { net->at(second(0.5), [this] { meeting.stop = true; }); };
  const RunResult result = run();
  EXPECT_EQ(outcomes(result.total), result.total.planned);
  EXPECT_GT(result.total.planned, 0u);
}

TEST_F(Truth, ABacklogAtTheEndIsNoFaultOfTheGenerator) {
  clients().rate_per_s = 1000;
  clients().connections = 1;
  load.duration = 2050ms;  // no multiple of the window
  prepare();
  server->script = [](const std::string&) { return Reply{.after = 15ms}; };
  const RunResult result = run();
  EXPECT_GT(result.total.unsent, 1000u);
  EXPECT_TRUE(result.valid()) << result.invalid.front();
  ASSERT_EQ(record.windows.size(), 21u);
  EXPECT_GE(record.windows.back().waiting, result.total.unsent);
}

TEST_F(Outcomes, UnsentAreAllThatWereNeverWritten) {
  clients().rate_per_s = 500;
  clients().behaviour.requests_per_connection = 1;
  on_start = [this] { net->at(second(1), [this] { server_loop->stop_accepting(); }); };
  const RunResult result = run();
  EXPECT_EQ(result.total.planned, 1000u);
  EXPECT_EQ(result.total.unsent, result.total.of(Outcome::connect_error).count);
  EXPECT_EQ(result.total.sent + result.total.unsent, 1000u);
  EXPECT_TRUE(result.valid()) << result.invalid.front();
}

TEST_F(Outcomes, ARequestSentAgainIsOneRequest) {
  clients().rate_per_s = 500;
  clients().connections = 2;
  clients().behaviour.pipeline = 4;
  prepare();
  server->script = [count = 0](const std::string&) mutable {
    Reply reply{.after = 5ms};
    if (++count % 7 == 0) {
      reply.bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
      reply.then = Reply::Then::close;
    }
    return reply;
  };
  const RunResult result = run();
  EXPECT_GT(result.total.retried, 0u);
  EXPECT_EQ(result.total.sent, result.total.planned - result.total.unsent + result.total.retried);
  EXPECT_EQ(result.total.send_lag.count(), result.total.planned - result.total.unsent);
}

// ---- connections ----

TEST_F(OpenLoop, SleepsWhileEnoughConnectionsAreBeingMade) {
  clients().rate_per_s = 2000;
  clients().connections = 1000;
  clients().behaviour.requests_per_connection = 1;
  load.duration = 500ms;
  prepare();
  net->options().delay_max = 200ms;
  const RunResult result = run();  // the rig notices a spin
  EXPECT_EQ(outcomes(result.total), result.total.planned);
  EXPECT_GT(ms(result.total.send_lag.raw(0.9)), 20) << "there were slots; the generator held the connections back";
}

TEST_F(ClosedLoop, SleepsUntilItMayConnectAgain) {
  clients().behaviour.requests_per_connection = 1;
  clients().behaviour.retries = 2;
  clients().behaviour.retry_backoff = 1ms;
  prepare();
  server->script = [this](const std::string&) {
    if (net->now() >= second(1)) server_loop->stop_accepting();
    return Reply::status(503);
  };
  const RunResult result = run();
  EXPECT_EQ(outcomes(result.total), result.total.planned);
  EXPECT_GT(result.total.of(Outcome::connect_error).count, 0u);
}

TEST_F(ClosedLoop, AConnectionThatWaitedForARetryGoesOnWithoutIt) {
  clients().connections = 2;
  clients().behaviour.retries = 1;
  clients().behaviour.retry_backoff = 10ms;
  prepare();
  server->script = [count = 0](const std::string&) mutable {
    return ++count == 1 ? Reply::status(503) : Reply{.after = 5ms};
  };
  // While the retry becomes due, the other connection's answer comes, and takes it.
  client_frozen = [this] {
    return measured_from != base::TimePoint{} && net->now() >= second(0.008) && net->now() < second(0.05);
  };
  const RunResult result = run();
  EXPECT_NEAR(result.goodput_rps, 2 * 195, 10);
  EXPECT_EQ(outcomes(result.total), result.total.planned);
}

// ---- rates ----

TEST_F(Behaviours, ASlowReaderKeepsItsRate) {
  clients().connections = 1;
  clients().behaviour.read_bytes_per_s = 500'000;
  prepare();
  net->options().segment_bytes_max = 500;
  server->script = [](const std::string&) {
    return Reply{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + std::string(50'000, 'x')};
  };
  const RunResult result = run();
  EXPECT_NEAR(ms(result.total.of(Outcome::ok).service.mean()), 100, 5);
}

TEST_F(Behaviours, ASlowWriterKeepsItsRate) {
  clients().connections = 1;
  clients().behaviour.write_bytes_per_s = 10'000;
  clients().requests = {{.method = "POST", .target = "/", .body = std::string(9'950, 'x')}};
  load.duration = 10s;
  run();
  ASSERT_GE(server->times.size(), 5u);
  for (std::size_t index = 1; index < server->times.size(); ++index) {
    EXPECT_NEAR(ms(server->times[index] - server->times[index - 1]), 1000, 25);
  }
}

TEST_F(Behaviours, ASlowWriterThatIsAnsweredEarlyLeaves) {
  clients().connections = 1;
  clients().behaviour.write_bytes_per_s = 10'000;
  clients().requests = {{.method = "POST", .target = "/", .body = std::string(2'000, 'x')}};
  prepare();
  server->answers_early = true;
  server->script = [](const std::string&) { return Reply::status(413); };
  const RunResult result = run();
  EXPECT_TRUE(std::ranges::all_of(server->heads, [](const std::string& head) { return head.starts_with("POST "); }));
  EXPECT_EQ(outcomes(result.total), result.total.planned);
}

// ---- who was late, and what is told ----

TEST_F(Truth, APipelineHidesNoLag) {
  clients().connections = 1;
  clients().rate_per_s = 1000;
  clients().behaviour.pipeline = 64;
  prepare();
  server->script = [](const std::string&) { return Reply{.after = 3ms}; };
  client_frozen = [this] {
    if (measured_from == base::TimePoint{} || net->now() < measured_from) return false;
    return (net->now() - measured_from) % 100ms >= 50ms && (net->now() - measured_from) % 100ms < 58ms;
  };
  const RunResult result = run();
  EXPECT_EQ(result.total.of(Outcome::ok).count, 2000u);
  EXPECT_GE(ms(result.total.send_lag.raw(0.98)), 1);
  EXPECT_LE(ms(result.total.connection_wait.max()), 0.1) << "there was always room";
}

TEST_F(Truth, OnlySilencesOfTheMeasuredPartAreTold) {
  clients().rate_per_s = 1000;
  load.warmup = 1s;
  prepare();
  server->script = [this, count = 0](const std::string&) mutable {
    const base::TimePoint now = net->now();
    Reply reply{.silent = ++count == 2900};
    if (now >= second(-0.5) && now < second(-0.2)) reply.after = second(-0.2) - now;
    return reply;
  };
  const RunResult result = run();
  EXPECT_EQ(result.total.of(Outcome::unanswered).count, 1u);
  EXPECT_TRUE(result.silences.empty()) << result.silences[0].from_s << ' ' << result.silences[0].to_s;
}

TEST_F(Truth, BytesAreThoseOfTheMeasuredPart) {
  clients().rate_per_s = 1000;
  load.warmup = 2s;
  const RunResult result = run();
  EXPECT_NEAR(static_cast<double>(result.total.bytes_received), 2000.0 * static_cast<double>(Reply{}.bytes.size()),
              200);
  EXPECT_NEAR(static_cast<double>(result.total.bytes_sent), 2000.0 * static_cast<double>(server->heads[0].size()), 200);
}

TEST(MergedRecords, ThreadsThatWereSilentOneAfterTheOtherMakeNoSilence) {
  Load load;
  Settings settings;
  settings.load = &load;
  settings.window = 1s;
  std::vector<ThreadRecord> records(2);
  for (ThreadRecord& record : records) record.clients.resize(1);
  const base::TimePoint from{1s};
  records[0].silences.add({from, from + 300ms});
  records[1].silences.add({from + 290ms, from + 600ms});
  records[0].silences.add({from + 1s, from + 1300ms});
  records[1].silences.add({from + 1100ms, from + 1400ms});
  const RunResult result = merge(settings, records, from);
  ASSERT_EQ(result.silences.size(), 1u);
  EXPECT_NEAR(result.silences[0].from_s, 1.1, 1e-9);
  EXPECT_NEAR(result.silences[0].to_s, 1.3, 1e-9);
}

}  // namespace
}  // namespace sluice::bench
