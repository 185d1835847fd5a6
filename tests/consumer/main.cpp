// A user's program: compiled with nothing but the installed headers and library.
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include <sluice/extra/compression.hpp>
#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>
#include <sluice/version.hpp>

int main() try {
  sluice::Router router;
  if (sluice::coding_available(sluice::ContentCoding::gzip)) router.use(sluice::compress());
  router.get("/hello/{name}", [](const sluice::Request& request) {
    return sluice::Response{}.content_type("text/plain").body("hello " + request.param<std::string>("name"));
  });
  sluice::ServerOptions options;
  options.listen = {"127.0.0.1:0"};
  options.loops = 1;
  sluice::Server server{std::move(router), options};
  const sluice::DrainOnSignal drain{server};
  server.start();
  std::printf("sluice %s serves /hello/{name} on %s\n", SLUICE_VERSION, server.addresses().at(0).c_str());
  server.stop();

  // Types cross the library's border both ways.
  try {
    throw sluice::missing_value("query parameter", "x");
  } catch (const sluice::Problem& problem) {
    std::printf("%d %s\n", problem.status(), std::string{sluice::reason_phrase(problem.status())}.c_str());
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
