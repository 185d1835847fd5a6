// connection.cpp: any bytes to a whole server over the simulated network, once in one piece and once cut by the seed.
// Both must get the same answers, nothing may be left behind, and no answer may come that nobody asked for.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/sluice.hpp>

#include "base/assert.hpp"
#include "support/sim_server.hpp"

namespace {

using namespace std::chrono_literals;
using namespace sluice;

struct Answers {
  std::vector<std::pair<int, std::string>> all;
  bool reset = false;  // how the connection ended
  bool operator==(const Answers& other) const { return all == other.all; }
  bool begins_with(const Answers& other) const {
    return other.all.size() <= all.size() && std::equal(other.all.begin(), other.all.end(), all.begin());
  }
  /// As much of it as a reset can't have taken away.
  Answers whole_ones() const {
    Answers whole = *this;
    if (!whole.all.empty() && whole.all.back().second == "cut") whole.all.pop_back();
    return whole;
  }
};

/// Whether some request may have said that it is the last one.
bool says_last(std::string_view bytes) {
  std::string folded{bytes};
  for (char& c : folded) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return folded.find("close") != std::string::npos || folded.find("http/1.0") != std::string::npos;
}

Router routes() {
  Router app;
  app.get("/", [](const Request&) { return text("plain"); });
  app.get("/q", [](const Request& q) { return text(std::to_string(q.query<int>("n", 0))); });
  app.post("/echo", [](const Request& q) { return text(q.body()); }, {.body_bytes_max = 2'000});
  app.post("/read", blocking([](const Request& q) { return text(q.body_reader().read_all(2'000)); }),
           {.body_bytes_max = 2'000, .stream_body = true});
  app.get("/stream", blocking([](const Request&, Responder r) {
            ResponseWriter out = std::move(r).stream(Response{}, {.length = 6'000});
            if (out.write(std::string(6'000, 's'))) out.finish();
          }));
  return app;
}

Answers ask(std::string_view bytes, std::uint64_t seed, bool whole) {
  ServerOptions options;
  options.loops = 1;
  options.pool_threads = 1;
  options.limits.pipelined_bytes_max = 16 * 1024;
  sim::SimServer server{seed, routes(), std::move(options)};
  net::SimOptions& net = server.net().options();
  net.delay_max = 10us;
  net.segment_bytes_max = whole ? 65'536 : 1 + seed % 97;
  net.send_buffer_bytes = net.receive_buffer_bytes = 1'000'000;
  net::SimClient& client = server.net().client();
  client.connect();
  client.send(bytes);
  server.run_for(1s);
  client.half_close();
  server.run_until([&] { return client.over(); }, 300s);
  SLUICE_ASSERT(client.over());
  client.close();
  server.run_for(10s);
  SLUICE_ASSERT(server.leaks().empty());
  std::string error;
  Answers answers;
  answers.reset = client.saw_reset();
  // Which answers are to HEAD is the input's secret: their statuses are compared, and the first such ends the reading.
  for (const auto& response : sim::read_responses(client.received(), {}, error)) {
    answers.all.emplace_back(response.status, response.complete ? response.body : std::string{"cut"});
    if (response.status >= 400) break;
  }
  return answers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 6'000) return 0;
  const std::uint64_t seed = 1u + data[0] + 256u * data[1];
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 2, size - 2};
  if (bytes.find("HEAD") != std::string_view::npos) return 0;
  const Answers whole = ask(bytes, seed, true);
  const Answers cut = ask(bytes, seed, false);
  if (whole == cut) return 0;
  // Behind its last request a client sends nothing (RFC 9112, 9.6). If it does, and the answer is out before that has
  // come, the connection is closed, and a reset may take what it has not read.
  if (says_last(bytes) && (whole.reset || cut.reset)) {
    const Answers first = whole.whole_ones();
    const Answers second = cut.whole_ones();
    SLUICE_ASSERT(first.begins_with(second) || second.begins_with(first));
    return 0;
  }
  // Whether a client waits for a 100 is seen by what comes together with the head; only that may end one sooner.
  SLUICE_ASSERT(bytes.find("xpect") != std::string_view::npos || bytes.find("XPECT") != std::string_view::npos);
  SLUICE_ASSERT(whole.begins_with(cut) || cut.begins_with(whole));
  return 0;
}
