// bare.hpp: what the bare servers share: options, a listener, the bytes they answer with, and request heads counted by
// their empty lines. They stand for what the kernel alone costs: nothing is parsed, nothing is checked, and a body passes
// because it holds no empty line. One thread; never for use.
#pragma once

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace sluice::kernel {

inline constexpr int backlog = 4096;
inline constexpr std::size_t repeats = 512;

struct Options {
  std::uint16_t port = 0;  // 0: the kernel chooses
  bool big = false;  // 64 KiB in place of 13 bytes
  bool close = false;  // after each answer
};

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline Options read_options(int count, char** words) {
  Options options;
  const option known[] = {{"port", required_argument, nullptr, 'p'},
                          {"big", no_argument, nullptr, 'b'},
                          {"close", no_argument, nullptr, 'c'},
                          {}};
  for (int found; (found = getopt_long(count, words, "", known, nullptr)) != -1;) {
    switch (found) {
      case 'p': options.port = static_cast<std::uint16_t>(std::atoi(optarg)); break;
      case 'b': options.big = true; break;
      case 'c': options.close = true; break;
      default: std::fprintf(stderr, "usage: %s [--port N] [--big] [--close]\n", words[0]), std::exit(2);
    }
  }
  return options;
}

/// The answer, so often in a row that one send serves many requests.
class Answers {
 public:
  explicit Answers(const Options& options) {
    const std::string body = options.big ? std::string(65'536, 'x') : std::string{"Hello, World!"};
    const std::string one = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                            (options.close ? "Connection: close\r\n\r\n" : "\r\n") + body;
    size_ = one.size();
    for (std::size_t i = 0; i < (options.big ? 1 : repeats); ++i) bytes_ += one;
  }
  std::size_t size() const noexcept { return size_; }
  std::string_view bytes() const noexcept { return bytes_; }

 private:
  std::size_t size_ = 0;
  std::string bytes_;
};

/// Counts the empty lines that end heads; `matched` is what of the next one has come, kept between two receives.
inline unsigned count_heads(std::string_view in, unsigned char& matched) {
  constexpr std::string_view empty_line = "\r\n\r\n";
  unsigned heads = 0;
  for (std::size_t at = 0; at < in.size();) {
    if (matched == 0) {
      at = in.find('\r', at);
      if (at == std::string_view::npos) break;
      ++at;
      matched = 1;
      continue;
    }
    const char c = in[at++];
    if (c == empty_line[matched]) {
      if (++matched == empty_line.size()) ++heads, matched = 0;
    } else {
      matched = c == '\r' ? 1 : 0;
    }
  }
  return heads;
}

/// A listener on the loopback address; says where once it listens. SIGTERM ends the program.
inline int listen_on(const Options& options, int type) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGTERM, [](int) { _exit(0); });
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // what it accepts inherits that
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0) fail("bind");
  if (listen(listener, backlog) != 0) fail("listen");
  if (getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) fail("getsockname");
  std::fprintf(stderr, "listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
  return listener;
}

/// How many descriptors there can be: the tables are indexed by them.
inline std::size_t descriptors_max() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur == RLIM_INFINITY ? std::size_t{1} << 20 : limit.rlim_cur;
}

}  // namespace sluice::kernel
