#include <sluice/sluice.hpp>

int main() {
  sluice::Router app;
  app.get("/", [](const sluice::Request&) { return sluice::text("ok"); });
  sluice::Server server{std::move(app), {.listen = {"127.0.0.1:8080"}}};
  return server.run();
}
