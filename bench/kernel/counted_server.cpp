// counted_server.cpp: counted-server, whose instructions per request a test holds to a limit. A user's program with a
// handful of routes; CMakeLists.txt compiles into it what of the library is on a request's way, as users compile it.
#include <cstdio>
#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>
#include <string>
#include <utility>

int main() {
  sluice::Router app;
  app.get("/", [](const sluice::Request&) { return sluice::text("Hello, World!"); });
  app.get("/health", [](const sluice::Request&) { return sluice::text("ok"); });
  app.get("/users", [](const sluice::Request&) { return sluice::text("[]"); });
  app.get("/users/{id}", [](const sluice::Request& request) { return sluice::text(request.param("id")); });
  sluice::ServerOptions options;
  options.listen = {"127.0.0.1:0"};
  options.loops = 1;
  options.pool_threads = 1;
  options.backend = sluice::Backend::epoll;
  sluice::Server server{std::move(app), std::move(options)};
  const sluice::DrainOnSignal drain_on_signal{server};
  server.start();
  for (const std::string& address : server.addresses()) std::fprintf(stderr, "listening on %s\n", address.c_str());
  server.wait();
  return 0;
}
