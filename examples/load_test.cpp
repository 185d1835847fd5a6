// load_test.cpp: your own server, tested under load by a program of your own. It ends with 0 if every request got a
// 2xx. It counts and does not judge times, so that it passes on a busy machine too.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>

#include <sluice/bench.hpp>
#include <sluice/sluice.hpp>

using namespace std::chrono_literals;
using namespace sluice;

namespace {

Response report(const Request& request) {
  std::this_thread::sleep_for(1ms);  // a query, a file, anything that blocks
  return text("report " + std::to_string(request.param<std::uint64_t>("id")) + "\n");
}

int test_under_load() {
  Router app;
  app.get("/", [](const Request&) { return text("Hello, World!"); });
  app.get("/reports/{id}", blocking(report));
  Server server{std::move(app), {.listen = {"127.0.0.1:0"}}};  // the kernel finds a port
  server.start();

  bench::Load load{.url = "http://" + server.addresses().front() + "/", .name = "all get an answer", .duration = 1s};
  load.clients = {{.name = "readers",
                   .connections = 8,  // fewer than there are permits: nothing has to wait for one
                   .rate_per_s = 400,
                   .requests = {{.target = "/", .weight = 3}, {.target = "/reports/{seq}"}}}};
  const auto result = bench::run(load);
  if (!result) {
    std::fprintf(stderr, "load_test: no load: %s\n", result.error().text.c_str());
    return 1;
  }
  std::fputs(bench::to_text(*result).c_str(), stdout);
  const bench::ClientsResult& total = result->total;
  const std::uint64_t asked = total.planned - total.unsent;  // too busy a machine may not get to send the last ones
  const std::uint64_t good = total.of(bench::Outcome::ok).count;
  const bool passed = asked > 0 && good == asked;
  std::printf("load_test: %s: %llu of %llu requests got a 2xx\n", passed ? "passed" : "FAILED",
              static_cast<unsigned long long>(good), static_cast<unsigned long long>(asked));
  return passed ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return test_under_load();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "load_test: %s\n", error.what());
    return 1;
  }
}
