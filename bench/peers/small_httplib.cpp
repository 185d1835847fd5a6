// small_httplib.cpp: the small server on cpp-httplib, which gives each connection a thread for as long as it is kept: a
// pool of more threads than the load has connections.
//
//   peer-small-httplib --port 8080
#include <httplib.h>

#include "small.hpp"

int main(int argc, char** argv) {
  constexpr int connections_max = 128;
  const int port = peer::port_of(argc, argv);
  peer::end_on_signal();
  httplib::Server server;
  server.new_task_queue = [] { return new httplib::ThreadPool(connections_max); };
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(1'000'000'000);  // by default it closes after five requests
  server.set_keep_alive_timeout(60);  // seconds
  server.Get("/", [](const httplib::Request&, httplib::Response& out) {
    out.set_content(peer::hello.data(), peer::hello.size(), peer::text_type);
  });
  server.Post("/count", [](const httplib::Request& request, httplib::Response& out) {
    out.set_content(std::to_string(request.body.size()), peer::text_type);
  });
  server.Get("/big",
             [](const httplib::Request&, httplib::Response& out) { out.set_content(peer::big(), peer::big_type); });
  const int bound = port == 0                                ? server.bind_to_any_port("127.0.0.1")
                    : server.bind_to_port("127.0.0.1", port) ? port
                                                             : -1;
  if (bound < 0) {
    std::fprintf(stderr, "peer-small-httplib: can't listen on 127.0.0.1:%d\n", port);
    return 1;
  }
  peer::say_ready("cpp-httplib", CPPHTTPLIB_VERSION, bound);
  return server.listen_after_bind() ? 0 : 1;
}
