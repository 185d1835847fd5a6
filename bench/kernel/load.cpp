// load.cpp: kernel-load, a generator so light that the server's core is the one that is full: requests are rendered before
// the start, only the first answer is read, of the others the bytes are counted. Prints one JSON object.
// For anything but the cost of a request, sluice-load is the tool.
//
//   kernel-load --port N [--path /] [--connections 64] [--depth 1] [--seconds 5]
//               [--rate 0] [--body 0] [--browser]
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::kernel {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::duration;

constexpr std::size_t variants = 61;  // a prime, so that the connections don't fall into step

struct Plan {
  std::uint16_t port = 0;
  std::string path = "/";
  unsigned connections = 64;
  unsigned depth = 1;  // requests sent at once
  double seconds = 5;
  double rate = 0;  // sends a second, of all connections; 0: as soon as the answers are there
  std::size_t body = 0;  // bytes; 0: GET
  bool browser = false;  // the head that a browser sends, about 450 bytes
};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

Plan read_plan(int count, char** words) {
  Plan plan;
  const option known[] = {{"port", required_argument, nullptr, 'p'},
                          {"path", required_argument, nullptr, 't'},
                          {"connections", required_argument, nullptr, 'c'},
                          {"depth", required_argument, nullptr, 'd'},
                          {"seconds", required_argument, nullptr, 's'},
                          {"rate", required_argument, nullptr, 'r'},
                          {"body", required_argument, nullptr, 'b'},
                          {"browser", no_argument, nullptr, 'w'},
                          {}};
  for (int found; (found = getopt_long(count, words, "", known, nullptr)) != -1;) {
    switch (found) {
      case 'p': plan.port = static_cast<std::uint16_t>(std::atoi(optarg)); break;
      case 't': plan.path = optarg; break;
      case 'c': plan.connections = static_cast<unsigned>(std::atoi(optarg)); break;
      case 'd': plan.depth = static_cast<unsigned>(std::atoi(optarg)); break;
      case 's': plan.seconds = std::atof(optarg); break;
      case 'r': plan.rate = std::atof(optarg); break;
      case 'b': plan.body = static_cast<std::size_t>(std::atol(optarg)); break;
      case 'w': plan.browser = true; break;
      default: std::exit(2);
    }
  }
  if (plan.port == 0 || plan.connections == 0 || plan.depth == 0 || plan.seconds <= 0 || plan.rate < 0) {
    std::fprintf(stderr, "%s: --port is needed, and connections, depth and seconds above 0\n", words[0]);
    std::exit(2);
  }
  return plan;
}

std::string digits(std::size_t number, std::size_t width) {
  std::string text = std::to_string(number);
  return std::string(width - std::min(width, text.size()), '0') + text;
}

/// One request; `number` changes the query and some fields, never the length.
std::string request(const Plan& plan, std::size_t number) {
  std::string text = (plan.body > 0 ? "POST " : "GET ") + plan.path + "?n=" + digits(number, 3) + " HTTP/1.1\r\n";
  if (plan.browser) {
    text += "Host: www" + digits(number % 10, 1) +
            ".example.com\r\n"
            "Connection: keep-alive\r\n"
            "Upgrade-Insecure-Requests: 1\r\n"
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1" +
            digits(number % 30, 2) +
            ".0.0.0 Safari/537.36\r\n"
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n"
            "Referer: http://www.example.com/list/" +
            digits(number, 2) +
            "\r\n"
            "Accept-Encoding: gzip, deflate, br\r\n"
            "Accept-Language: en-US,en;q=0.9\r\n"
            "Cookie: session=" +
            digits(number * 7'919'777 % 100'000'000, 8) + "; theme=dark\r\n";
  } else {
    text += "Host: " + digits(number * 5 % 997, 3) + ".test\r\n";
  }
  if (plan.body > 0) text += "Content-Length: " + std::to_string(plan.body) + "\r\n";
  return text + "\r\n" + std::string(plan.body, 'x');
}

/// Every 100 ns up to 200 ms a counter of its own.
class Times {
 public:
  void record(Clock::duration time) {
    max_ = std::max(max_, time);
    const auto slot = static_cast<std::size_t>(std::max<Clock::rep>(0, time / step));
    ++counts_[std::min(slot, counts_.size() - 1)];
    ++total_;
  }
  double micros(double share) const {
    const double wanted = share * static_cast<double>(total_);
    double passed = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      passed += counts_[i];
      if (passed > wanted) return duration<double, std::micro>{step * (i + 1)}.count();
    }
    return max_micros();
  }
  double max_micros() const { return duration<double, std::micro>{max_}.count(); }

 private:
  static constexpr auto step = std::chrono::nanoseconds{100};
  std::vector<std::uint32_t> counts_ = std::vector<std::uint32_t>(2'000'000);
  std::uint64_t total_ = 0;
  Clock::duration max_{};
};

struct Connection {
  int fd = -1;
  std::size_t received = 0;  // of the answers to what was sent last
  std::size_t turn = 0;
  bool waits = false;
  std::uint64_t late = 0;  // sends that are due and wait for the answers before them
  Clock::time_point began;  // open loop: when it was due
};

class Load {
 public:
  explicit Load(const Plan& plan) : plan_{plan}, epoll_{epoll_create1(EPOLL_CLOEXEC)}, connections_(plan.connections) {
    for (std::size_t i = 0; i < variants; ++i) {
      std::string some;
      for (unsigned k = 0; k < plan.depth; ++k) some += request(plan, i * plan.depth + k);
      sends_.push_back(std::move(some));
    }
    for (std::uint32_t i = 0; i < plan.connections; ++i) connect(i);
  }

  void run() {
    answer_bytes_ = first_answer();
    const Clock::time_point start = Clock::now();
    const Clock::time_point end = start + std::chrono::duration_cast<Clock::duration>(duration<double>{plan_.seconds});
    const bool open = plan_.rate > 0;
    const duration<double> gap{open ? 1 / plan_.rate : 0};
    if (!open)
      for (Connection& connection : connections_) send_some(connection, Clock::now());
    std::array<epoll_event, 256> events;
    std::uint64_t planned = 0;
    for (Clock::time_point now = Clock::now(); now < end; now = Clock::now()) {
      for (; open; ++planned) {
        const auto due = start + std::chrono::duration_cast<Clock::duration>(gap * static_cast<double>(planned));
        if (due > now) break;
        Connection& connection = connections_[planned % connections_.size()];
        if (connection.waits) {
          ++connection.late;
        } else {
          send_some(connection, due);
        }
      }
      const int count = epoll_wait(epoll_, events.data(), events.size(), open ? 0 : 100);
      for (int i = 0; i < count; ++i) receive(connections_[events[i].data.u32]);
    }
    report(duration<double>{Clock::now() - start}.count());
  }

 private:
  void connect(std::uint32_t number) {
    Connection& connection = connections_[number];
    connection.turn = number;
    connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(plan_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connect");
    const int on = 1;
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = number;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) != 0) fail("epoll_ctl");
  }

  /// The size of an answer, from the first one's Content-Length: the only answer that is looked into.
  std::size_t first_answer() {
    const int fd = connections_[0].fd;
    const std::string one = request(plan_, 0);
    if (send(fd, one.data(), one.size(), MSG_NOSIGNAL) < 0) fail("send");
    std::string answer;
    std::size_t size = std::string::npos;
    while (answer.size() < size) {
      const ssize_t got = recv(fd, input_.data(), input_.size(), 0);
      if (got <= 0) fail("the first answer did not come");
      answer.append(input_.data(), static_cast<std::size_t>(got));
      const std::size_t head = answer.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      constexpr std::string_view name = "\r\nContent-Length: ";
      const std::size_t field = answer.find(name);
      if (!answer.starts_with("HTTP/1.1 200 ") || field > head) {
        std::fprintf(stderr, "the first answer is no 200 with a Content-Length: %s\n", answer.substr(0, head).c_str());
        std::exit(1);
      }
      size = head + 4 + std::strtoul(answer.c_str() + field + name.size(), nullptr, 10);
    }
    ++requests_;
    return size;
  }

  void send_some(Connection& connection, Clock::time_point due) {
    connection.waits = true;
    connection.began = due;
    const std::string& some = sends_[connection.turn++ % variants];
    // Sockets block, so that a full one makes us slow and never leaves a request cut.
    if (send(connection.fd, some.data(), some.size(), MSG_NOSIGNAL) < 0) lose(connection);
  }

  void lose(Connection& connection) {
    ++errors_;
    epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.fd, nullptr);
  }

  void receive(Connection& connection) {
    const ssize_t got = recv(connection.fd, input_.data(), input_.size(), MSG_DONTWAIT);
    if (got <= 0) {
      if (got == 0 || errno != EAGAIN) lose(connection);
      return;
    }
    connection.received += static_cast<std::size_t>(got);
    if (connection.received < answer_bytes_ * plan_.depth) return;
    connection.received = 0;
    connection.waits = false;
    requests_ += plan_.depth;
    const Clock::time_point now = Clock::now();
    times_.record(now - connection.began);
    if (plan_.rate == 0) {
      send_some(connection, now);
    } else if (connection.late > 0) {
      --connection.late;
      const duration<double> round{static_cast<double>(connections_.size()) / plan_.rate};
      send_some(connection, connection.began + std::chrono::duration_cast<Clock::duration>(round));
    }
  }

  void report(double seconds) const {
    std::printf(
        "{\"requests\": %llu, \"seconds\": %.3f, \"answer_bytes\": %zu, \"errors\": %llu, \"p50_us\": %.1f, "
        "\"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
        static_cast<unsigned long long>(requests_), seconds, answer_bytes_, static_cast<unsigned long long>(errors_),
        times_.micros(0.5), times_.micros(0.99), times_.micros(0.999), times_.max_micros());
  }

  const Plan plan_;
  const int epoll_;
  std::vector<Connection> connections_;
  std::vector<std::string> sends_;  // `depth` requests each
  std::vector<char> input_ = std::vector<char>(1 << 20);
  std::size_t answer_bytes_ = 0;
  std::uint64_t requests_ = 0, errors_ = 0;
  Times times_;
};

}  // namespace
}  // namespace sluice::kernel

int main(int count, char** words) {
  sluice::kernel::Load load{sluice::kernel::read_plan(count, words)};
  load.run();
}
