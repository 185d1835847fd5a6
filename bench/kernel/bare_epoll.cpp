// bare_epoll.cpp: kernel-epoll, the least that a server on epoll can cost: wait, receive, send, level-triggered, one
// thread. What a request costs sluice on top of it is sluice's own.
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "bare.hpp"

namespace sluice::kernel {
namespace {

struct Connection {
  std::size_t owed = 0;  // bytes still to be sent
  std::size_t offset = 0;  // of the next one, within Answers::bytes()
  unsigned char matched = 0;
  bool waits_to_write = false;
};

class EpollServer {
 public:
  explicit EpollServer(const Options& options)
      : options_{options},
        answers_{options},
        connections_(descriptors_max()),
        listener_{listen_on(options, SOCK_NONBLOCK)},
        epoll_{epoll_create1(EPOLL_CLOEXEC)} {
    watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 256> events;
    for (;;) {
      const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (fd == listener_) {
          accept_one();
        } else if (events[i].events & EPOLLIN) {
          receive(fd);
        } else {
          flush(fd);
        }
      }
    }
  }

 private:
  void watch(int operation, int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, operation, fd, &event) != 0) fail("epoll_ctl");
  }

  void accept_one() {  // a second that finds nothing would cost as much as one that does
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    connections_[fd] = {};
    watch(EPOLL_CTL_ADD, fd, EPOLLIN);
  }

  void receive(int fd) {
    const ssize_t size = recv(fd, input_.data(), input_.size(), 0);
    if (size <= 0) {
      if (size == 0 || errno != EAGAIN) close(fd);
      return;
    }
    const std::string_view in{input_.data(), static_cast<std::size_t>(size)};
    Connection& connection = connections_[fd];
    connection.owed += count_heads(in, connection.matched) * answers_.size();
    if (connection.owed > 0) flush(fd);
  }

  void flush(int fd) {
    Connection& connection = connections_[fd];
    const std::string_view bytes = answers_.bytes();
    while (connection.owed > 0) {
      const std::size_t size = std::min(connection.owed, bytes.size() - connection.offset);
      const ssize_t sent = send(fd, bytes.data() + connection.offset, size, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno != EAGAIN) {
          close(fd);
          return;
        }
        if (!connection.waits_to_write) watch(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT);
        connection.waits_to_write = true;
        return;
      }
      connection.owed -= static_cast<std::size_t>(sent);
      const std::size_t next = connection.offset + static_cast<std::size_t>(sent);
      connection.offset = connection.owed == 0 ? 0 : next % answers_.size();
    }
    if (options_.close) {
      close(fd);
      return;
    }
    if (connection.waits_to_write) watch(EPOLL_CTL_MOD, fd, EPOLLIN);
    connection.waits_to_write = false;
  }

  const Options options_;
  const Answers answers_;
  std::vector<Connection> connections_;  // by descriptor
  std::array<char, 65'536> input_{};
  const int listener_;
  const int epoll_;
};

}  // namespace
}  // namespace sluice::kernel

int main(int count, char** words) {
  static sluice::kernel::EpollServer server{sluice::kernel::read_options(count, words)};
  server.run();
}
