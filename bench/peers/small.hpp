// small.hpp: what the small servers share, one per library, for the cost of a request beside sluice: `/` answers 13 bytes,
// `POST /count` the size of the body, `/big` 64 KiB from memory. One thread each, unless the library knows only threads.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "peer.hpp"

namespace peer {

constexpr std::string_view hello = "Hello, World!";
constexpr const char* text_type = "text/plain";
constexpr const char* big_type = "application/octet-stream";

inline const std::string& big() {
  static const std::string bytes(65'536, 'x');
  return bytes;
}

/// A signal ends the program at once. No thread waits for it: a second one would make each lock and reference count dearer.
inline void end_on_signal() {
  signal(SIGPIPE, SIG_IGN);
  for (const int number : {SIGTERM, SIGINT}) signal(number, [](int) { _exit(0); });
}

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

/// A listener on the loopback address, as the bare servers have it: a queue that 64 clients at once don't fill.
inline int listen_on(int port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) fail("socket");
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // what it accepts inherits that
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<in_port_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
  if (listen(listener, 4096) != 0) fail("listen");
  return listener;
}

/// What the scripts wait for, once the server is ready.
inline void say_ready(const char* name, const char* version, int port) {
  std::fprintf(stderr, "version %s %s\nlistening on 127.0.0.1:%d\n", name, version, port);
}

inline int port_of_listener(int listener) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) fail("getsockname");
  return ntohs(address.sin_port);
}

}  // namespace peer
