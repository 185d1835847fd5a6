// The generator in virtual time: what it reports is what happened.
#include <algorithm>
#include <chrono>

#include "load_rig.hpp"

namespace sluice::bench {
namespace {

using namespace std::chrono_literals;
using ::testing::Test;

using OpenLoop = LoadRig;
using ClosedLoop = LoadRig;
using Outcomes = LoadRig;
using Behaviours = LoadRig;
using Truth = LoadRig;

TEST_F(OpenLoop, SendsThePlanAndNothingElse) {
  clients().rate_per_s = 1000;
  const RunResult result = run();
  EXPECT_EQ(result.total.planned, 2000u);
  EXPECT_EQ(result.total.sent, 2000u);
  EXPECT_EQ(result.total.of(Outcome::ok).count, 2000u);
  EXPECT_EQ(server->heads.size(), 2000u);
  EXPECT_NEAR(result.offered_rps, 1000, 1);
  EXPECT_NEAR(result.goodput_rps, 1000, 1);
  EXPECT_TRUE(result.valid()) << result.invalid.front();
}

TEST_F(OpenLoop, SendsAtThePlannedTimes) {
  clients().rate_per_s = 500;
  run();
  ASSERT_EQ(server->times.size(), 1000u);
  for (std::size_t index = 0; index < server->times.size(); ++index) {
    const base::TimePoint planned = measured_from + 2ms * index;
    EXPECT_GE(server->times[index], planned);
    EXPECT_LE(server->times[index], planned + 100us) << index;
  }
}

TEST_F(OpenLoop, PoissonGapsVaryAndTheirRateHolds) {
  clients().rate_per_s = 1000;
  clients().arrival = Arrival::poisson;
  const RunResult result = run();
  EXPECT_NEAR(static_cast<double>(result.total.planned), 2000, 200);
  EXPECT_EQ(outcomes(result.total), result.total.planned);
  std::vector<base::Duration> gaps;
  for (std::size_t index = 1; index < server->times.size(); ++index) {
    gaps.push_back(server->times[index] - server->times[index - 1]);
  }
  std::ranges::sort(gaps);
  EXPECT_LT(gaps[gaps.size() / 10], 200us);
  EXPECT_GT(gaps[gaps.size() * 9 / 10], 2ms);
}

TEST_F(OpenLoop, BurstsComeAsPlanned) {
  clients().rate_per_s = 1000;
  clients().pattern = {.kind = Pattern::Kind::burst, .low = 0.2, .high = 3, .on = 200ms, .off = 800ms};
  const RunResult result = run();
  ASSERT_GE(result.windows.size(), 20u);
  EXPECT_NEAR(static_cast<double>(result.windows[0].planned), 300, 2);
  EXPECT_NEAR(static_cast<double>(result.windows[1].planned), 300, 2);
  EXPECT_NEAR(static_cast<double>(result.windows[5].planned), 20, 2);
  EXPECT_NEAR(static_cast<double>(result.windows[10].planned), 300, 2);
  EXPECT_EQ(outcomes(result.total), result.total.planned);
}

TEST_F(Truth, AFrozenServerShowsInTheLatencyOfEveryRequestThatWasDue) {
  clients().rate_per_s = 1000;
  clients().connections = 16;
  load.duration = 10s;
  prepare();
  server->script = [this](const std::string&) {
    const base::TimePoint now = net->now();
    Reply reply;
    if (now >= second(4) && now < second(5)) reply.after = second(5) - now;
    return reply;
  };
  const RunResult result = run();
  EXPECT_EQ(result.total.planned, 10'000u);
  EXPECT_EQ(result.total.of(Outcome::ok).count, 10'000u);
  EXPECT_GE(ms(result.total.of(Outcome::ok).latency.at(0.99).value()), 899);
  EXPECT_LE(ms(result.total.of(Outcome::ok).service.raw(0.99)), 10) << "only 16 requests were under way when it froze";
  ASSERT_EQ(result.silences.size(), 1u);
  EXPECT_NEAR(result.silences[0].from_s, 4, 0.01);
  EXPECT_NEAR(result.silences[0].to_s, 5, 0.01);
  EXPECT_TRUE(result.generator.stalls.empty());
  EXPECT_TRUE(result.valid());
}

TEST_F(Truth, AFrozenGeneratorIsNotTheServersFault) {
  clients().rate_per_s = 1000;
  load.duration = 5s;
  client_frozen = [this] {
    return measured_from != base::TimePoint{} && net->now() >= second(2) && net->now() < second(2.2);
  };
  const RunResult result = run();
  ASSERT_FALSE(result.generator.stalls.empty());
  EXPECT_NEAR(result.generator.stalls[0].from_s, 2, 0.02);
  EXPECT_NEAR(result.generator.stalls[0].to_s, 2.2, 0.02);
  EXPECT_TRUE(result.silences.empty());
  EXPECT_FALSE(result.valid());
  EXPECT_GE(ms(result.total.send_lag.max()), 190);
  EXPECT_EQ(result.total.of(Outcome::ok).count, 5000u) << "it catches up, without a cap";
}

TEST_F(Truth, LatencyCountsFromThePlanAndServiceFromTheSend) {
  clients().rate_per_s = 100;
  clients().connections = 1;
  prepare();
  server->script = [](const std::string&) { return Reply{.after = 15ms}; };  // 66 a second, 100 are asked for
  const RunResult result = run();
  const ClassResult& ok = result.total.of(Outcome::ok);
  EXPECT_NEAR(ms(ok.service.raw(0.5)), 15, 0.5);
  EXPECT_GT(ms(ok.latency.raw(1)), 600);
  EXPECT_LT(ms(result.total.send_lag.max()), 0.2) << "waiting for the connection is not the generator's lag";
  EXPECT_GT(ms(result.total.connection_wait.raw(0.9)), 400);
  EXPECT_EQ(outcomes(result.total), result.total.planned);
  EXPECT_GT(result.total.unsent, 50u);
  EXPECT_EQ(result.total.of(Outcome::unanswered).count, result.total.unsent);
  EXPECT_FALSE(result.warnings.empty());
}

TEST_F(Truth, RequestsWithoutAnAnswerCountWithTheirAge) {
  clients().rate_per_s = 100;
  clients().connections = 300;
  prepare();
  server->script = [this](const std::string&) { return Reply{.silent = net->now() >= second(1)}; };
  const RunResult result = run();
  EXPECT_EQ(result.total.of(Outcome::ok).count, 100u);
  const ClassResult& unanswered = result.total.of(Outcome::unanswered);
  EXPECT_EQ(unanswered.count, 100u);
  EXPECT_EQ(result.total.unsent, 0u);
  EXPECT_NEAR(ms(unanswered.latency.max()), 2000, 25);  // due at 1 s, given up on at 2 s + 1 s of grace
  EXPECT_GE(ms(unanswered.latency.raw(0)), 1000);
  EXPECT_GE(ms(result.total.all.raw(0.9)), 1000);
}

TEST_F(Truth, WarmUpIsSentAndNotCounted) {
  clients().rate_per_s = 200;
  load.warmup = 1s;
  prepare();
  server->script = [this](const std::string&) { return net->now() < measured_from ? Reply::status(500) : Reply{}; };
  const RunResult result = run();
  EXPECT_EQ(server->heads.size(), 600u);
  EXPECT_EQ(result.total.planned, 400u);
  EXPECT_EQ(result.total.of(Outcome::ok).count, 400u);
  EXPECT_EQ(result.total.of(Outcome::other).count, 0u);
}

TEST_F(ClosedLoop, KeepsEveryConnectionBusy) {
  prepare();
  server->script = [](const std::string&) { return Reply{.after = 10ms}; };
  const RunResult result = run();
  EXPECT_NEAR(result.goodput_rps, 800, 20);
  EXPECT_EQ(server->open_max, 8u);
  EXPECT_EQ(outcomes(result.total), result.total.planned);
  EXPECT_NEAR(ms(result.total.of(Outcome::ok).latency.raw(0.5)), 10, 0.5);
}

TEST_F(ClosedLoop, PipelinesToItsDepth) {
  clients().connections = 1;
  clients().behaviour.pipeline = 4;
  prepare();
  server->script = [](const std::string&) { return Reply{.after = 10ms}; };
  const RunResult result = run();
  EXPECT_NEAR(result.goodput_rps, 400, 20);
  EXPECT_EQ(outcomes(result.total), result.total.planned);
}

TEST_F(Outcomes, EachStatusHasItsClass) {
  clients().rate_per_s = 600;
  prepare();
  server->script = [count = 0](const std::string&) mutable {
    static constexpr int statuses[] = {204, 429, 503, 504, 404, 301};
    return Reply::status(statuses[count++ % 6]);
  };
  const RunResult result = run();
  EXPECT_EQ(result.total.of(Outcome::ok).count, 200u);
  EXPECT_EQ(result.total.of(Outcome::limited).count, 200u);
  EXPECT_EQ(result.total.of(Outcome::shed).count, 200u);
  EXPECT_EQ(result.total.of(Outcome::timed_out).count, 200u);
  EXPECT_EQ(result.total.of(Outcome::other).count, 400u);
  EXPECT_NEAR(result.error_ratio(), 5.0 / 6, 0.001);
}

TEST_F(Outcomes, ABrokenConnectionIsMadeAnewAndItsRequestIsBroken) {
  clients().rate_per_s = 500;
  prepare();
  server->script = [count = 0](const std::string&) mutable {
    Reply reply;
    if (++count % 10 == 0) reply.then = Reply::Then::reset;
    return reply;
  };
  const RunResult result = run();
  EXPECT_EQ(result.total.of(Outcome::broken).count, 100u);
  EXPECT_EQ(result.total.of(Outcome::ok).count, 900u);
  EXPECT_EQ(result.total.connects, 8u + 100u);
}

TEST_F(Outcomes, AnAnswerThatClosesCostsNoRequest) {
  clients().rate_per_s = 500;
  clients().behaviour.pipeline = 4;
  clients().connections = 2;
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
  EXPECT_EQ(result.total.planned, 1000u);
  EXPECT_EQ(outcomes(result.total), 1000u);
  EXPECT_EQ(result.total.of(Outcome::broken).count, 0u);
  EXPECT_GT(result.total.of(Outcome::ok).count, 990u);
}

TEST_F(Outcomes, AServerThatGoesAwayGivesConnectErrors) {
  clients().rate_per_s = 500;
  on_start = [this] {
    net->at(second(1), [this] {
      server_loop->stop_accepting();
      server->close_all();
    });
  };
  const RunResult result = run();
  EXPECT_EQ(result.total.planned, 1000u);
  EXPECT_EQ(outcomes(result.total), 1000u);
  EXPECT_NEAR(static_cast<double>(result.total.of(Outcome::ok).count), 500, 10);
  EXPECT_GT(result.total.of(Outcome::connect_error).count, 0u);
  EXPECT_GT(result.total.connect_failures, 0u);
}

TEST_F(Outcomes, WhatIsNoHttpIsToldAtOnce) {
  clients().rate_per_s = 100;
  prepare();
  server->script = [](const std::string&) { return Reply{.bytes = "SSH-2.0-Server\r\n"}; };
  run();
  EXPECT_TRUE(meeting.not_http.load());
}

TEST_F(Outcomes, ConnectionsThatAllFailMakeTheThreadReadyAndSayWhy) {
  listening = false;
  clients().rate_per_s = 10;
  run();
  EXPECT_EQ(meeting.connected.load(), 0u);
  EXPECT_EQ(meeting.connect_error.load(), ECONNREFUSED);
}

TEST_F(Behaviours, AConnectionPerRequest) {
  clients().rate_per_s = 300;
  clients().behaviour.requests_per_connection = 1;
  const RunResult result = run();
  EXPECT_EQ(result.total.of(Outcome::ok).count, 600u);
  EXPECT_EQ(result.total.connects, 600u);
  EXPECT_EQ(server->opened_count, 600u);
  EXPECT_TRUE(std::ranges::all_of(
      server->heads, [](const std::string& head) { return head.find("Connection: close\r\n") != std::string::npos; }));
}

TEST_F(Behaviours, AFewRequestsPerConnectionInAClosedLoop) {
  clients().connections = 2;
  clients().behaviour.requests_per_connection = 3;
  load.duration = 100ms;
  prepare();
  server->script = [](const std::string&) { return Reply{.after = 1ms}; };
  const RunResult result = run();
  EXPECT_GT(result.total.of(Outcome::ok).count, 100u);
  EXPECT_EQ(outcomes(result.total), result.total.planned);
  EXPECT_NEAR(static_cast<double>(result.total.connects), static_cast<double>(server->heads.size()) / 3, 2.0);
}

TEST_F(Behaviours, ClientsLeaveWhenTheyHaveWaitedLongEnough) {
  clients().rate_per_s = 100;
  clients().connections = 100;
  clients().behaviour.give_up_after = 50ms;
  prepare();
  server->script = [count = 0](const std::string&) mutable { return Reply{.after = ++count % 2 == 0 ? 20ms : 500ms}; };
  const RunResult result = run();
  EXPECT_EQ(result.total.of(Outcome::ok).count, 100u);
  EXPECT_EQ(result.total.of(Outcome::gave_up).count, 100u);
  EXPECT_GE(ms(result.total.of(Outcome::gave_up).latency.raw(0)), 50);
  EXPECT_LE(ms(result.total.of(Outcome::gave_up).latency.max()), 52);
}

TEST_F(Behaviours, ARetriedRequestHasOneOutcomeAndItsFirstPlannedTime) {
  clients().rate_per_s = 100;
  clients().behaviour.retries = 2;
  clients().behaviour.retry_backoff = 10ms;
  prepare();
  server->script = [count = 0](const std::string&) mutable { return ++count % 3 == 0 ? Reply{} : Reply::status(503); };
  const RunResult result = run();
  EXPECT_EQ(result.total.planned, 200u);
  EXPECT_EQ(outcomes(result.total), 200u);
  EXPECT_GT(result.total.retried, 100u);
  EXPECT_EQ(result.total.sent, 200u + result.total.retried);
  EXPECT_GT(result.total.of(Outcome::ok).count, 100u);
  EXPECT_GE(ms(result.total.of(Outcome::ok).latency.raw(0.95)), 20);
}

TEST_F(Behaviours, AClosedLoopWaitsBeforeItTriesAgain) {
  clients().connections = 4;
  clients().behaviour.retries = 1;
  clients().behaviour.retry_backoff = 100ms;
  prepare();
  server->script = [](const std::string&) { return Reply::status(503); };
  const RunResult result = run();
  // Each of the four: a request, a pause of 100 to 200 ms, the retry.
  EXPECT_LT(server->heads.size(), 4u * 2 * 21);
  EXPECT_GT(server->heads.size(), 4u * 2 * 9);
  EXPECT_EQ(outcomes(result.total), result.total.planned);
}

TEST_F(Behaviours, ASlowWriterTakesItsTime) {
  clients().connections = 1;
  clients().behaviour.write_bytes_per_s = 1000;
  clients().requests = {{.method = "POST", .target = "/", .body = std::string(450, 'x')}};
  const RunResult result = run();
  ASSERT_GE(server->times.size(), 2u);
  for (std::size_t index = 1; index < server->times.size(); ++index) {
    EXPECT_NEAR(ms(server->times[index] - server->times[index - 1]), 500, 60);
  }
  EXPECT_EQ(outcomes(result.total), result.total.planned);
}

TEST_F(Behaviours, BackgroundClientsAreKeptOutOfTheTotal) {
  clients().rate_per_s = 100;
  load.clients.push_back(Clients{.name = "others", .connections = 2, .rate_per_s = 50});
  load.background = 1;
  const RunResult result = run();
  ASSERT_EQ(result.clients.size(), 2u);
  EXPECT_EQ(result.clients[0].planned, 200u);
  EXPECT_EQ(result.clients[1].planned, 100u);
  EXPECT_EQ(result.total.planned, 200u);
}

TEST_F(Behaviours, PlacesInARequestAreFilledIn) {
  clients().rate_per_s = 50;
  clients().requests = {{.target = "/item/{seq}"}};
  run();
  ASSERT_EQ(server->heads.size(), 100u);
  EXPECT_TRUE(server->heads[0].starts_with("GET /item/0 HTTP/1.1\r\n"));
  EXPECT_TRUE(server->heads[99].starts_with("GET /item/99 HTTP/1.1\r\n"));
}

TEST_F(Behaviours, TheDeadlineGoesAlong) {
  clients().rate_per_s = 10;
  clients().behaviour.deadline = 250ms;
  run();
  ASSERT_FALSE(server->heads.empty());
  EXPECT_NE(server->heads[0].find("x-request-timeout-ms: 250\r\n"), std::string::npos) << server->heads[0];
}

/// Whatever server and net do: every planned request has exactly one outcome.
class LoadChaos : public LoadRig, public ::testing::WithParamInterface<int> {};

TEST_P(LoadChaos, EveryPlannedRequestHasExactlyOneOutcome) {
  const auto first = static_cast<std::uint64_t>(GetParam()) * 25;
  for (std::uint64_t seed = first; seed < first + 25; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random{seed};
    load = Load{};
    load.seed = seed;
    load.duration = 500ms;
    load.warmup = random.next() % 2 == 0 ? 0ms : 100ms;
    load.grace = 200ms;
    load.connect_timeout = 300ms;
    Clients& some = clients();
    some.connections = 1 + static_cast<unsigned>(random.next() % 12);
    some.rate_per_s = random.next() % 3 == 0 ? 0 : 50.0 * static_cast<double>(1 + random.next() % 40);
    some.arrival = random.next() % 2 == 0 ? Arrival::constant : Arrival::poisson;
    some.behaviour.pipeline = 1 + static_cast<unsigned>(random.next() % 4);
    some.behaviour.requests_per_connection = random.next() % 3 == 0 ? 1 + random.next() % 5 : 0;
    if (random.next() % 3 == 0) some.behaviour.give_up_after = 30ms;
    if (random.next() % 3 == 0) some.behaviour.retries = static_cast<unsigned>(random.next() % 3);
    some.behaviour.retry_backoff = 5ms;
    if (random.next() % 5 == 0) some.behaviour.write_bytes_per_s = 2000;
    if (random.next() % 5 == 0) some.behaviour.read_bytes_per_s = 5000;
    prepare(seed);
    net->options() = net::SimNet{seed}.options();  // as the seed has it: delays, segments, confirmations
    net->options().confirm_later = random.next() % 2 == 0;
    if (random.next() % 2 == 0) net->random_faults(20'000, random.next() % 2 == 0);
    server->script = [&random](const std::string&) {
      const std::uint64_t what = random.next() % 16;
      Reply reply{.after = std::chrono::microseconds{random.next() % 20'000}};
      if (what == 0) reply.then = Reply::Then::reset;
      if (what == 1) reply.silent = true;
      if (what == 2) reply.then = Reply::Then::close;
      if (what == 3) reply.bytes = "HTTP/1.1 503 Busy\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!";
      if (what == 4) reply.bytes = "rubbish";
      if (what == 5) reply.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
      if (what == 6) reply.bytes.assign("HTTP/1.1 200 OK\r\n\r\nuntil the end"), reply.then = Reply::Then::close;
      if (what == 7) reply = Reply::status(503);
      return reply;
    };
    meeting.ready = 0;
    meeting.start = Meeting::not_yet;
    meeting.stop = meeting.abandon = false;
    on_start = [this, what = random.next() % 8, at = 0.001 * static_cast<double>(random.next() % 500)] {
      if (what == 0) net->at(second(at), [this] { meeting.stop = true; });
      if (what == 1) net->at(second(at), [this] { meeting.abandon = true; });
      if (what == 2) net->at(second(at), [this] { server_loop->stop_accepting(); });  // new connections are refused
      if (what == 3) net->options().delay_max = 200ms;  // some connections come too late
    };
    const RunResult result = run();
    EXPECT_EQ(outcomes(result.total), result.total.planned);
    EXPECT_LE(result.total.unsent,
              result.total.of(Outcome::unanswered).count + result.total.of(Outcome::connect_error).count);
    EXPECT_EQ(result.total.sent - result.total.retried, result.total.planned - result.total.unsent);
    client_loop.reset();
    client.reset();
    server_loop.reset();
    server.reset();
    net.reset();
    if (HasFailure()) return;
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, LoadChaos, ::testing::Range(0, 16));

}  // namespace
}  // namespace sluice::bench
