// load_rig.hpp: the generator's own code against a scripted server, in virtual time: what it writes down can be compared
// with what really happened, to the nanosecond. One thread drives both loops.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/slab.hpp"
#include "load/client/client.hpp"
#include "load/client/merge.hpp"
#include "load/client/settings.hpp"
#include "load/judge/validity.hpp"
#include "net/loop.hpp"
#include "net/sim_io.hpp"

namespace sluice::bench {

/// What the scripted server does with one request.
struct Reply {
  enum class Then : std::uint8_t { keep, close, reset };
  std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  base::Duration after{};
  Then then = Then::keep;
  bool silent = false;  // never answers

  static Reply status(int code) {
    return {.bytes = "HTTP/1.1 " + std::to_string(code) + " Text\r\nContent-Length: 0\r\n\r\n"};
  }
};

/// Reads heads (and bodies with a Content-Length) and answers as `script` says.
class ScriptedServer {
 public:
  struct Connection : net::Stream {
    std::string text{};
    std::uint64_t number = 0;
  };

  net::LoopBase* loop = nullptr;
  net::SimNet* net = nullptr;
  std::function<Reply(const std::string& head)> script = [](const std::string&) { return Reply{}; };
  std::vector<std::string> heads{};
  std::vector<base::TimePoint> times{};
  unsigned opened_count = 0, open_max = 0, resets = 0;
  std::size_t body_bytes = 0;
  bool answers_early = false;  // when it has the head; what comes of the body is read as the next request

  net::Stream* opened(int) noexcept {
    Connection& connection = *slab_.take();
    connection.text.clear();
    connection.number = ++opened_count;
    open_max = std::max(open_max, static_cast<unsigned>(slab_.in_use()));
    return &connection;
  }
  void input(net::Stream& stream, std::span<char> bytes) noexcept {
    auto& connection = static_cast<Connection&>(stream);
    connection.text.append(bytes.data(), bytes.size());
    while (!connection.closing) {
      const std::size_t end = connection.text.find("\r\n\r\n");
      if (end == std::string::npos) return;
      std::string head = connection.text.substr(0, end + 4);
      std::size_t body = 0;
      if (const std::size_t at = head.find("Content-Length: "); at != std::string::npos) {
        body = std::stoul(head.substr(at + 16));
      }
      if (!answers_early && connection.text.size() < head.size() + body) return;
      connection.text.erase(0, head.size() + body);
      body_bytes += body;
      times.push_back(net->now());
      heads.push_back(head);
      answer(connection, script(head));
    }
  }
  void input_ended(net::Stream& stream) noexcept { loop->close(stream); }
  void failed(net::Stream& stream, int) noexcept {
    ++resets;
    loop->close(stream);
  }
  void wrote(net::Stream&, std::size_t) noexcept {}
  void drained(net::Stream&) noexcept {}
  void output_shut(net::Stream&) noexcept {}
  void expired(net::Stream&) noexcept {}
  void posted(net::MailNode&) noexcept {}
  void closed(net::Stream& stream) noexcept { slab_.give(static_cast<Connection&>(stream)); }
  bool turn_ended() noexcept { return false; }
  net::Stream* find(std::uint32_t slot, std::uint32_t generation) noexcept { return slab_.find(slot, generation); }
  void accept_paused(int) noexcept {}

  std::size_t connections() const noexcept { return slab_.in_use(); }
  /// Closes everything at once.
  void stop() {
    loop->stop_accepting();
    slab_.for_each_in_use([this](Connection& connection) { loop->close(connection); });
  }
  /// Ends every connection there is now.
  void close_all() {
    slab_.for_each_in_use([this](Connection& connection) { loop->close_after_flush(connection); });
  }

 private:
  void answer(Connection& connection, const Reply& reply) {
    if (reply.silent) return;
    const auto give = [this, slot = connection.slot, generation = connection.generation, reply] {
      Connection* const found = slab_.find(slot, generation);
      if (found == nullptr || found->closing) return;
      if (reply.then == Reply::Then::reset) {
        loop->reset(*found);
        return;
      }
      found->out.append(loop->blocks(), reply.bytes);
      loop->touch(*found);
      if (reply.then == Reply::Then::close) loop->close_after_flush(*found);
    };
    if (reply.after > base::Duration{}) {
      net->at(net->now() + reply.after, give);
    } else {
      give();
    }
  }

  base::Slab<Connection> slab_;
};

/// A load to fill in, the server it goes to, and run().
class LoadRig : public ::testing::Test {
 protected:
  static constexpr unsigned port = 80;
  static constexpr unsigned turns_max = 1000;  // without time going on

  LoadRig() {
    load.url = "http://127.0.0.1:80/";
    load.duration = std::chrono::seconds{2};
    load.grace = std::chrono::seconds{1};
    clients().connections = 8;
  }

  Clients& clients() { return load.clients.front(); }

  /// A net that is quick and regular, unless the test says otherwise.
  void prepare(std::uint64_t seed = 1) {
    net = std::make_unique<net::SimNet>(seed);
    net->options().delay_max = std::chrono::microseconds{20};
    net->options().segment_bytes_max = 65'536;
    net->options().send_buffer_bytes = 1'000'000;
    net->options().receive_buffer_bytes = 1'000'000;
    server = std::make_unique<ScriptedServer>();
    server_loop = std::make_unique<net::Loop<net::SimIo, ScriptedServer>>(*server, *net, *net);
    server->loop = server_loop.get();
    server->net = net.get();
    if (listening && server_loop->listen(net::SimNet::listener(port), false) != 0) ADD_FAILURE();
  }

  RunResult run() {
    if (net == nullptr) prepare();
    settings = Settings{};
    settings.load = &load;
    settings.target = *net::Address::parse("127.0.0.1:80");
    settings.window = std::chrono::milliseconds{100};
    for (const Clients& each : load.clients) {
      auto mix = RequestMix::compile(each.requests, {.host = "h",
                                                     .target = "/",
                                                     .deadline = each.behaviour.deadline,
                                                     .deadline_header = each.behaviour.deadline_header});
      EXPECT_TRUE(mix.has_value()) << mix.error();
      settings.mixes.push_back(std::move(*mix));
    }
    client = std::make_unique<Client>(settings, meeting, Part{}, *net);
    client_loop = std::make_unique<net::Loop<net::SimIo, Client>>(*client, *net, *net);
    client->use(*client_loop);
    drive();
    record = client->take_record();
    RunResult result = merge(settings, {record}, measured_from);
    judge(load, result);
    return result;
  }

  base::TimePoint second(double after_start) const {
    return measured_from + std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>{after_start});
  }

  static std::uint64_t outcomes(const ClientsResult& result) {
    std::uint64_t sum = 0;
    for (const ClassResult& each : result.classes) sum += each.count;
    return sum;
  }
  static double ms(Duration time) { return static_cast<double>(time.count()) / 1e6; }

  Load load{};
  bool listening = true;
  /// Called once, when the start is known: the place for what happens in the middle of the run.
  std::function<void()> on_start{};
  /// While it holds, the generator's thread does not run.
  std::function<bool()> client_frozen{};

  std::unique_ptr<net::SimNet> net{};
  std::unique_ptr<ScriptedServer> server{};
  std::unique_ptr<net::Loop<net::SimIo, ScriptedServer>> server_loop{};
  Settings settings{};
  Meeting meeting{};
  std::unique_ptr<Client> client{};
  std::unique_ptr<net::Loop<net::SimIo, Client>> client_loop{};
  ThreadRecord record{};
  base::TimePoint measured_from{};

 private:
  void drive() {
    bool over = false;
    const base::TimePoint limit = net->now() + std::chrono::hours{1};
    base::TimePoint moment{};
    unsigned turns = 0;  // of the client, at that moment
    while (!over) {
      ASSERT_LT(net->now(), limit) << "the run does not end";
      if (meeting.ready.load() == 1 && meeting.start.load() == Meeting::not_yet) {
        const base::TimePoint start = net->now() + std::chrono::microseconds{2300};  // no multiple of what it sleeps
        measured_from = start + load.warmup;
        meeting.start.store(std::chrono::nanoseconds{start.time_since_epoch()}.count());
        if (on_start) on_start();
      }
      net->deliver();
      const bool client_runs = !client_frozen || !client_frozen();
      if (server_loop->runnable()) {
        server_loop->turn(true);
      } else if (client_runs && client_loop->runnable()) {
        turns = std::exchange(moment, net->now()) == net->now() ? turns + 1 : 0;
        if (turns == turns_max) {
          ADD_FAILURE() << "it spins";
          meeting.abandon = true;
        }
        over = !client_loop->turn(true);
      } else {
        base::TimePoint next = std::min(net->next_event(), server_loop->next_deadline());
        if (client_runs) next = std::min(next, client_loop->next_deadline());
        else next = std::min(next, net->now() + std::chrono::milliseconds{1});
        net->advance_to(std::max(next, net->now()));
      }
    }
    server->stop();
    while (server->connections() > 0) {
      net->advance_to(std::max(net->now(), std::min(net->next_event(), net->now() + std::chrono::milliseconds{1})));
      server_loop->turn(false);
    }
  }
};

}  // namespace sluice::bench
