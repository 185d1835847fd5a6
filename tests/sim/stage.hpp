// stage.hpp: what the tests of a whole server in virtual time share: routes and options to fill in, a calm net, clients
// that read answers, and the promise that nothing is left behind when a test ends. Thread: the test's.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/sim_server.hpp"

namespace sluice::sim {

/// That many bytes, of which no stretch looks like its neighbours.
inline std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

/// One client's side of one connection.
class Talker {
 public:
  explicit Talker(SimServer& server) : server_{server}, client_{server.net().client()} { client_.connect(); }

  /// Sends one request; its answer is number asked() - 1.
  Talker& ask(std::string_view method, std::string_view target, std::string_view fields = {},
              std::string_view body = {}) {
    std::string bytes{method};
    bytes += ' ';
    bytes += target;
    bytes += " HTTP/1.1\r\nHost: h\r\n";
    bytes += fields;
    if (!body.empty()) bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    bytes += "\r\n";
    bytes += body;
    return say(bytes, method);
  }
  Talker& get(std::string_view target, std::string_view fields = {}) { return ask("GET", target, fields); }
  /// Sends bytes that make (or begin) a request of that method.
  Talker& say(std::string_view bytes, std::string_view method = {}) {
    if (!method.empty()) methods_.emplace_back(method);
    client_.send(bytes);
    return *this;
  }

  /// What has been read so far, as answers.
  std::vector<ClientResponse> answers() const {
    std::string error;
    auto all = read_responses(client_.received(), methods_, error);
    EXPECT_EQ(error, "");
    return all;
  }
  /// Waits for that answer to be complete.
  ClientResponse answer(std::size_t index = 0, base::Duration at_most = std::chrono::seconds{30}) {
    ClientResponse found;
    std::size_t seen = std::string::npos;
    const bool there = server_.run_until(
        [&] {
          if (client_.received().size() == seen) return false;  // a step that brought nothing
          seen = client_.received().size();
          const auto all = answers();
          if (all.size() <= index || !all[index].complete) return false;
          found = all[index];
          return true;
        },
        at_most);
    EXPECT_TRUE(there) << "answer " << index << " did not come; received: " << client_.received().substr(0, 400) << "\n"
                       << server_.describe();
    return found;
  }
  /// Waits for the answer to the last request.
  ClientResponse last() { return answer(methods_.size() - 1); }
  /// Waits for the end of the connection.
  bool ended(base::Duration at_most = std::chrono::seconds{120}) {
    return server_.run_until([&] { return client_.over(); }, at_most);
  }

  const std::string& received() const { return client_.received(); }
  net::SimClient& net() { return client_; }

 private:
  SimServer& server_;
  net::SimClient& client_;
  std::vector<std::string> methods_{};
};

/// A server whose net is quick and keeps no secrets, unless a test says otherwise.
class Stage : public ::testing::Test {
 protected:
  Stage() {
    options.loops = 1;
    options.pool_threads = 4;
    options.log = [this](const LogEvent& event) {
      if (event.what == "refused") return;  // what the peer sends is no event of the server's
      log.push_back({std::string{event.what}, std::string{event.route}, std::string{event.detail}});
    };
  }

  SimServer& serve(std::uint64_t seed = 1, bool confirm_later = false) {
    stage = std::make_unique<SimServer>(seed, std::move(app), options, confirm_later);
    net::SimOptions& net = stage->net().options();
    net.delay_max = std::chrono::microseconds{20};
    net.segment_bytes_max = 65'536;
    net.send_buffer_bytes = 1'000'000;
    net.receive_buffer_bytes = 1'000'000;
    return *stage;
  }
  Talker& client() { return clients.emplace_back(*stage); }

  bool until(const std::function<bool()>& done) { return stage->run_until(done, std::chrono::seconds{60}); }
  void after(base::Duration delay, std::function<void()> action) {
    stage->net().at(stage->now() + delay, std::move(action));
  }
  LaneCounters lane(std::string_view name) const { return stage->lane(name); }
  const detail::ConnectionTally& tally() { return stage->shard(0).connection_tally(); }

  /// Everybody leaves; then nothing may be left. The stage is empty again.
  void finish() {
    if (stage == nullptr) return;
    stage->run_for(std::chrono::seconds{1});
    for (Talker& talker : clients) {
      talker.net().set_window(net::SimClient::unlimited);
      talker.net().close();
    }
    stage->run_for(std::chrono::seconds{120});
    EXPECT_EQ(stage->leaks(), "");
    clients.clear();
    stage.reset();
    log.clear();
    app = Router{};
  }
  void TearDown() override { finish(); }

  struct Logged {
    std::string what, route, detail;
  };

  Router app;
  ServerOptions options;
  std::vector<Logged> log;
  std::deque<Talker> clients;
  std::unique_ptr<SimServer> stage;
};

}  // namespace sluice::sim
