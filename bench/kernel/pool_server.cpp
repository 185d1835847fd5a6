// pool_server.cpp: pool-server, for study.py: what a request costs that goes to the pool and back. The same empty handler
// on the loop and on the pool, and one on the pool that waits.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>

namespace {

using namespace std::chrono_literals;

[[noreturn]] void usage() {
  std::fprintf(stderr, "usage: pool-server [--workers N] [--io auto|epoll|io_uring]\n");
  std::exit(2);
}

sluice::ServerOptions options_from(int count, char** words) {
  sluice::ServerOptions options;
  options.listen = {"127.0.0.1:0"};
  options.loops = 1;
  options.pool_threads = 16;
  for (int at = 1; at < count; at += 2) {
    if (at + 1 == count) usage();
    const std::string value = words[at + 1];
    if (std::strcmp(words[at], "--workers") == 0) {
      options.pool_threads = static_cast<unsigned>(std::strtoul(value.c_str(), nullptr, 10));
    } else if (std::strcmp(words[at], "--io") == 0 && value == "epoll") {
      options.backend = sluice::Backend::epoll;
    } else if (std::strcmp(words[at], "--io") == 0 && value == "io_uring") {
      options.backend = sluice::Backend::io_uring;
    } else if (std::strcmp(words[at], "--io") != 0 || value != "auto") {
      usage();
    }
  }
  return options;
}

}  // namespace

int main(int count, char** words) {
  sluice::ServerOptions options = options_from(count, words);
  // All threads may work for either route, and the queue holds whatever a closed loop of connections can bring.
  const sluice::RouteOptions all{.in_flight_max = options.pool_threads, .queue_depth_max = 4096};
  sluice::Router app;
  app.get("/loop", [](const sluice::Request&) { return sluice::text("Hello, World!"); });
  app.get("/pool", sluice::blocking([](const sluice::Request&) { return sluice::text("Hello, World!"); }), all);
  app.get("/wait", sluice::blocking([](const sluice::Request&) {
            std::this_thread::sleep_for(10ms);
            return sluice::text("Hello, World!");
          }),
          all);
  sluice::Server server{std::move(app), std::move(options)};
  const sluice::DrainOnSignal drain_on_signal{server};
  server.start();
  for (const std::string& address : server.addresses()) std::fprintf(stderr, "listening on %s\n", address.c_str());
  server.wait();
  return 0;
}
