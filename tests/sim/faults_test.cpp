// A fault at every operation: a few fixed conversations, each held once for every accept, read and write in it, with
// every kind of fault at exactly that one, and with writes confirmed at once and later.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/sim_server.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
using net::SimFault;
using net::SimOp;

struct Conversation {
  const char* name;
  std::vector<std::string> methods;  // of the requests, in order
  std::string bytes;
  std::size_t window;  // bytes the client takes before it pauses for a while
  std::vector<std::string> bodies;
};

const std::string& long_body() {
  static const std::string body = std::string(3000, 'x') + "end";
  return body;
}

const std::vector<Conversation>& conversations() {
  static const std::string host = " HTTP/1.1\r\nHost: h\r\n";
  static const std::vector<Conversation> all{
      {"pipelined, on the loop",
       {"GET", "GET", "HEAD"},
       "GET /loop?n=1" + host + "\r\nGET /loop?n=2" + host + "\r\nHEAD /loop?n=3" + host + "\r\n",
       net::SimClient::unlimited,
       {"1", "2", ""}},
      {"a chunked body to the pool",
       {"POST", "GET"},
       "POST /echo" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /loop?n=2" +
           host + "\r\n",
       net::SimClient::unlimited,
       {"hello world", "2"}},
      {"answered later",
       {"GET", "GET"},
       "GET /later" + host + "\r\nGET /later" + host + "Connection: close\r\n\r\n",
       net::SimClient::unlimited,
       {"later", "later"}},
      {"a long answer to a slow reader",
       {"GET", "GET"},
       "GET /long" + host + "\r\nGET /loop?n=2" + host + "\r\n",
       900,
       {long_body(), "2"}},
      {"a refused body",
       {"POST", "GET"},
       "POST /nowhere" + host + "Content-Length: 90\r\n\r\n" + std::string(90, 'b') + "GET /loop?n=2" + host + "\r\n",
       net::SimClient::unlimited,
       {"", "2"}},
  };
  return all;
}

Router routes(net::SimNet*& net) {
  Router app;
  app.get("/loop", [](const Request& q) { return text(std::string{q.query("n")}); });
  app.get("/long", [](const Request&) { return text(long_body()); });
  app.post("/echo", blocking([](const Request& q) {
             sleep(3ms);
             return text(std::string{q.body()});
           }));
  app.get("/later", [&net](const Request&, Responder responder) {
    auto held = std::make_shared<Responder>(std::move(responder));
    net->at(net->now() + 5ms, [held] { held->respond(text("later")); });
  });
  return app;
}

/// Whether the scenario performed the operation at all, and what is wrong with how it ended.
struct Outcome {
  bool met = false;
  std::string fault{};
};

std::string check(const Conversation& talk, const net::SimClient& client, SimFault kind) {
  std::string error;
  const auto responses = read_responses(client.received(), talk.methods, error);
  if (!error.empty()) return error;
  // A connection that broke, and a client that came too slowly, may end early; every other one gets everything.
  const bool whole = kind == SimFault::partial || kind == SimFault::again || kind == SimFault::no_descriptors;
  if (whole && responses.size() < talk.methods.size()) return "only " + std::to_string(responses.size()) + " answers";
  for (std::size_t i = 0; i < responses.size(); ++i) {
    if (!responses[i].complete) return whole ? "a truncated answer" : std::string{};
    if (responses[i].status == 408 && kind == SimFault::stall) return {};
    if (responses[i].status == 404 && talk.bodies[i].empty()) continue;
    if (responses[i].status != 200) return "status " + std::to_string(responses[i].status);
    if (responses[i].body != talk.bodies[i]) return "not its own body: " + responses[i].body.substr(0, 40);
  }
  return {};
}

Outcome hold(const Conversation& talk, const net::SimScriptedFault& fault, bool confirm_later) {
  net::SimNet* net = nullptr;
  ServerOptions options;
  options.loops = 1;
  options.pool_threads = 2;
  options.limits.output_high_water = 1024;
  SimServer server{7, routes(net), options, confirm_later};
  net = &server.net();
  net->options() = {.confirm_later = confirm_later,
                    .delay_max = 1ms,
                    .segment_bytes_max = 15,
                    .send_buffer_bytes = 700,
                    .receive_buffer_bytes = 2000};
  net->script(fault);
  net::SimClient& client = net->client();
  client.set_window(talk.window);
  client.connect();
  client.send(talk.bytes);
  net->at(server.now() + 500ms, [&client] { client.set_window(net::SimClient::unlimited); });
  server.run_for(50s);
  Outcome outcome;
  outcome.met = net->operations(fault.op) >= fault.nth;
  outcome.fault = check(talk, client, fault.kind);
  client.close();
  server.run_for(100s);
  outcome.fault += server.leaks();
  server.drain(1s);
  server.run_for(5s);
  if (!server.over()) outcome.fault += " the drain did not end: " + server.describe();
  return outcome;
}

struct Pair {
  SimOp op;
  SimFault kind;
};
constexpr std::array faults{Pair{SimOp::accept, SimFault::again},  Pair{SimOp::accept, SimFault::no_descriptors},
                            Pair{SimOp::read, SimFault::partial},  Pair{SimOp::read, SimFault::again},
                            Pair{SimOp::read, SimFault::reset},    Pair{SimOp::read, SimFault::stall},
                            Pair{SimOp::write, SimFault::partial}, Pair{SimOp::write, SimFault::again},
                            Pair{SimOp::write, SimFault::reset},   Pair{SimOp::write, SimFault::stall}};

TEST(Faults, AtEveryOperationOfEveryConversationNoPromiseIsBroken) {
  constexpr std::uint64_t operations_max = 1'000;
  std::uint64_t runs = 0;
  for (const Conversation& talk : conversations()) {
    std::uint64_t most = 0;
    for (const bool confirm_later : {false, true}) {
      for (const Pair& pair : faults) {
        for (std::uint64_t nth = 1; nth <= operations_max; ++nth) {
          const Outcome outcome = hold(talk, {pair.op, nth, pair.kind}, confirm_later);
          ++runs;
          ASSERT_EQ(outcome.fault, "") << talk.name << ", operation " << static_cast<int>(pair.op) << " number " << nth
                                       << ", fault " << static_cast<int>(pair.kind)
                                       << (confirm_later ? ", confirmed later" : "");
          if (!outcome.met) break;
          most = std::max(most, nth);
        }
      }
    }
    EXPECT_GT(most, 2u) << talk.name << " has hardly any operations";
  }
  std::printf("%llu runs\n", static_cast<unsigned long long>(runs));
}

}  // namespace
}  // namespace sluice::sim
