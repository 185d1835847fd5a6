// httplib.cpp: what run.py asks of sluice-showcase, on cpp-httplib: a pool of threads, each of which serves one
// connection for as long as that lasts, behind a queue of connections without a bound. Defaults, but for the 16 threads.
//
//   peer-httplib --port 8080
#include <httplib.h>

#include <cstdio>

#include "peer.hpp"

int main(int argc, char** argv) {
  const int port = peer::port_of(argc, argv);
  peer::end_on_sigterm();
  httplib::Server server;
  server.new_task_queue = [] { return new httplib::ThreadPool(peer::threads); };
  server.set_tcp_nodelay(true);
  const auto number = [](const httplib::Request& request, const char* name) {
    return peer::number_of(request.get_param_value(name));
  };
  server.Get("/",
             [](const httplib::Request&, httplib::Response& out) { out.set_content("Hello, World!", "text/plain"); });
  server.Get("/sleep", [&](const httplib::Request& request, httplib::Response& out) {
    out.set_content(peer::sleep_for_ms(number(request, "ms")), "text/plain");
  });
  server.Get("/spin", [&](const httplib::Request& request, httplib::Response& out) {
    out.set_content(peer::spin_for_us(number(request, "us")), "text/plain");
  });
  const int bound = port == 0                                ? server.bind_to_any_port("127.0.0.1")
                    : server.bind_to_port("127.0.0.1", port) ? port
                                                             : -1;
  if (bound < 0) {
    std::fprintf(stderr, "peer-httplib: can't listen on 127.0.0.1:%d\n", port);
    return 1;
  }
  std::fprintf(stderr, "version cpp-httplib %s\nlistening on 127.0.0.1:%d\n", CPPHTTPLIB_VERSION, bound);
  return server.listen_after_bind() ? 0 : 1;
}
