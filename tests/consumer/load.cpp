// A user's test program: server and load in one process, with nothing but what is installed.
#include <chrono>
#include <cstdio>
#include <utility>

#include <sluice/bench.hpp>
#include <sluice/sluice.hpp>

int main() {
  using namespace std::chrono_literals;
  sluice::Router router;
  router.get("/", [](const sluice::Request&) { return sluice::text("ok"); });
  sluice::Server server{std::move(router), {.listen = {"127.0.0.1:0"}}};
  server.start();
  sluice::bench::Load load{.url = "http://" + server.addresses().at(0) + "/", .duration = 500ms};
  load.clients = {{.connections = 2, .rate_per_s = 100}};
  const auto result = sluice::bench::run(load);
  if (!result) {
    std::printf("%s\n", result.error().text.c_str());
    return 1;
  }
  std::printf("%s%llu planned, %llu answered\n", to_text(*result).c_str(),
              static_cast<unsigned long long>(result->total.planned),
              static_cast<unsigned long long>(result->total.of(sluice::bench::Outcome::ok).count));
  server.stop();
  return 0;
}
