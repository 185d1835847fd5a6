// sim_server.hpp: a whole server in virtual time: the real Core, shards, lanes and loops over the simulated network
// and simulated workers. One thing runs at a time; the seed decides which.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sluice/server.hpp>

#include "net/loop.hpp"
#include "net/sim_io.hpp"
#include "server/shard.hpp"
#include "support/sim_workers.hpp"

namespace sluice::sim {

/// A server and its network. Thread: the test's.
class SimServer {
 public:
  /// `options.listen` is ignored: all loops listen on port 80 of the net.
  SimServer(std::uint64_t seed, Router router, ServerOptions options = {}, bool confirm_later = false);
  ~SimServer();
  SimServer(const SimServer&) = delete;
  SimServer& operator=(const SimServer&) = delete;

  net::SimNet& net() noexcept { return *net_; }
  detail::Core& core() noexcept { return *core_; }
  /// Of the server's own pool.
  SimWorkers& workers() noexcept { return *pools_.front(); }
  base::TimePoint now() const noexcept { return net_->now(); }

  /// Does one thing. False: nothing is left to do, ever.
  bool step();
  /// Runs until `done` says so, nothing is left to do, or that much virtual time has passed. True: `done` said so.
  bool run_until(const std::function<bool()>& done, base::Duration at_most = std::chrono::seconds{600});
  /// Runs for that much virtual time.
  void run_for(base::Duration time);

  void drain(base::Duration timeout);
  void stop();
  /// Whether every loop has ended.
  bool over() const noexcept { return units_over_ == units_.size(); }

  Counters counters() const;
  LaneCounters lane(std::string_view name) const;
  detail::Shard& shard(std::size_t index) noexcept { return units_[index]->shard; }
  net::LoopBase& loop(std::size_t index) noexcept { return units_[index]->loop; }
  std::size_t loop_count() const noexcept { return units_.size(); }

  /// Called whenever nothing can move and the clock is about to; what should never wait is seen here.
  std::function<void()> on_quiet{};

  /// The state of every loop and connection, for a failure's message.
  std::string describe();
  /// What is not as it should be once nothing moves any more and every client has left; empty if all is well.
  std::string leaks() const;

 private:
  struct Unit {
    Unit(std::shared_ptr<detail::Core> core, std::size_t index, std::shared_ptr<net::SimNet> its_net)
        : net{std::move(its_net)}, shard{core, index}, loop{shard, core->clock(), *net} {
      shard.attach(loop, nullptr);
    }
    std::shared_ptr<net::SimNet> net;  // its clock is asked by whoever brings the last exchange home
    detail::Shard shard;
    net::Loop<net::SimIo, detail::Shard> loop;
    bool over = false;
  };

  void turn(Unit& unit);

  std::shared_ptr<net::SimNet> net_;
  std::vector<SimWorkers*> pools_;  // owned by the core; the server's own first
  std::shared_ptr<detail::Core> core_;
  std::vector<std::shared_ptr<Unit>> units_;
  std::size_t units_over_ = 0;
};

/// One response as a client read it.
struct ClientResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;  // with the chunked coding taken off
  std::string trailers;  // the lines behind it
  bool complete = false;  // never for a body that ends with its connection
  std::string header(std::string_view name) const;
};

/// Reads a client's bytes as responses to requests of these methods, in order. Interim (1xx) ones are left out.
///   error: what is not a well-formed response; empty if there is nothing to complain about.
std::vector<ClientResponse> read_responses(std::string_view bytes, const std::vector<std::string>& methods,
                                           std::string& error);

/// One loop, one worker, and a network that delays nothing and cuts nothing unless a test does: for tests of bytes.
std::unique_ptr<SimServer> plain_sim_server(Router router);

}  // namespace sluice::sim
