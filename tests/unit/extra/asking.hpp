// asking.hpp: a Request with given header fields, as a handler gets it. Thread: the test's.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/sluice.hpp>

#include "support/sim_server.hpp"

namespace sluice::test {

/// Calls `look` once, with a request that has these field lines ("Name: value\r\n" each) behind its Host.
inline void ask(std::string_view fields, std::function<void(const Request&)> look) {
  Router app;
  int calls = 0;
  app.get("/", [&calls, look = std::move(look)](const Request& request) {
    ++calls;
    look(request);
    return text("seen");
  });
  ServerOptions options;
  options.loops = 1;
  options.pool_threads = 1;
  sim::SimServer server{1, std::move(app), options};
  net::SimClient& client = server.net().client();
  client.connect();
  client.send("GET / HTTP/1.1\r\nHost: h\r\n" + std::string{fields} + "\r\n");
  EXPECT_TRUE(server.run_until([&client] { return client.received().ends_with("seen"); })) << client.received();
  EXPECT_EQ(calls, 1);
  client.close();
  server.run_for(std::chrono::seconds{5});
}

}  // namespace sluice::test
