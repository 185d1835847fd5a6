// gateway.cpp: passes an upload on to another service while it arrives, at the pace of whoever is slower. A slow service
// fills its socket, the handler waits in send(), reads no more, and the client's own socket fills: a gigabyte on its way
// takes a few hundred kilobytes here.
//
//   nc -l 127.0.0.1 9000 > received &                the other service: takes bytes, answers with a line
//   ./gateway 127.0.0.1:9000 127.0.0.1:8080          then: curl -T large.iso -X POST 127.0.0.1:8080/forward
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>

using namespace std::chrono_literals;
using sluice::Problem, sluice::Request, sluice::Response;

namespace {

/// A connection to the other service; what takes longer than the request has left fails.
class Upstream {
 public:
  Upstream(const sockaddr_in& place, const Request& request)
      : request_{request}, fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    limit_waiting();
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0) fail("connect");
  }
  ~Upstream() {
    if (fd_ >= 0) ::close(fd_);
  }
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      limit_waiting();
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0 && errno != EINTR) fail("send");
      if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  /// Ends our side, then reads what it has to say.
  std::string answer() {
    ::shutdown(fd_, SHUT_WR);
    std::string all;
    std::array<char, 1024> piece;
    while (all.size() < 64 * 1024) {
      limit_waiting();
      const ssize_t count = ::recv(fd_, piece.data(), piece.size(), 0);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail("recv");
      if (count == 0) break;
      all.append(piece.data(), static_cast<std::size_t>(count));
    }
    return all;
  }

 private:
  void limit_waiting() const {
    const auto left = std::max<std::chrono::microseconds>(
        std::chrono::duration_cast<std::chrono::microseconds>(request_.remaining()), 1us);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    const timeval limit{.tv_sec = seconds.count(), .tv_usec = (left - seconds).count()};
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  [[noreturn]] static void fail(const char* what) {
    throw Problem{502, {}, "the service behind this one did not take the upload"}.cause(what);
  }

  const Request& request_;
  const int fd_;
};

Response forward(const sockaddr_in& place, const Request& request) {
  Upstream upstream{place, request};
  sluice::BodyReader body = request.body_reader();
  std::array<char, 32 * 1024> piece;
  while (const std::size_t count = body.read(piece)) upstream.send({piece.data(), count});
  return sluice::text(upstream.answer());
}

bool read_address(std::string_view text, sockaddr_in& place) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  const std::string host{text.substr(0, colon)};
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  place.sin_family = AF_INET;
  place.sin_port = htons(static_cast<std::uint16_t>(port));
  return error == std::errc{} && end == text.data() + text.size() && port <= 65'535 &&
         ::inet_pton(AF_INET, host.c_str(), &place.sin_addr) == 1;
}

}  // namespace

int main(int argc, char** argv) {
  sockaddr_in place{};
  if (argc < 2 || argc > 3 || !read_address(argv[1], place)) {
    std::fprintf(stderr, "usage: gateway SERVICE_IPV4:PORT [LISTEN]\n");
    return 2;
  }
  try {
    sluice::Router app;
    app.post("/forward", sluice::blocking([place](const Request& request) { return forward(place, request); }),
             {.budget = 10min, .body_bytes_max = std::uint64_t{16} << 30, .stream_body = true});
    sluice::Server server{std::move(app), {.listen = {argc == 3 ? argv[2] : "127.0.0.1:8080"}}};
    const sluice::DrainOnSignal drain_on_signal{server};
    server.start();
    for (const std::string& address : server.addresses()) std::fprintf(stderr, "listening on %s\n", address.c_str());
    server.wait();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gateway: %s\n", error.what());
    return 1;
  }
  return 0;
}
