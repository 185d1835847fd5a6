// rigs.hpp: the same test, over real sockets and over the simulated network: a loop with the echo protocol, clients,
// and a way to let time pass until something is true. One thread drives both ends.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <limits>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "echo.hpp"
#include "net/epoll_io.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"
#include "net/sim_io.hpp"
#include "uring_models.hpp"

namespace sluice::net {

/// A client with a real, non-blocking socket.
class SocketClient {
 public:
  explicit SocketClient(const Address& server, int buffer_size = 0)
      : fd_{::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    if (buffer_size > 0) {
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &buffer_size, sizeof buffer_size);
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &buffer_size, sizeof buffer_size);
    }
    refused_ = ::connect(fd_.get(), server.data(), server.size()) != 0;
    ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
  }

  void send(std::string_view bytes) { outgoing_ += bytes; }
  void half_close() { want_fin_ = true; }
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    fd_.reset();
  }
  void set_window(std::size_t bytes) { window_ = bytes; }
  const std::string& received() const { return received_; }
  bool saw_fin() const { return saw_fin_; }
  bool saw_reset() const { return saw_reset_ || refused_; }
  std::size_t unsent() const { return outgoing_.size(); }

  void step() {
    if (!fd_) return;
    if (!outgoing_.empty()) {
      const ssize_t count = ::send(fd_.get(), outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL);
      if (count > 0) outgoing_.erase(0, static_cast<std::size_t>(count));
      if (count < 0 && errno != EAGAIN) outgoing_.clear();
    }
    if (want_fin_ && outgoing_.empty()) {
      want_fin_ = false;
      ::shutdown(fd_.get(), SHUT_WR);
    }
    char buffer[16 * 1024];
    const std::size_t size = std::min(window_, sizeof buffer);
    if (size == 0 || saw_fin_ || saw_reset_) return;
    const ssize_t count = ::recv(fd_.get(), buffer, size, 0);
    if (count > 0) received_.append(buffer, static_cast<std::size_t>(count));
    if (count > 0 && window_ != SimClient::unlimited) window_ -= static_cast<std::size_t>(count);
    if (count == 0) saw_fin_ = true;
    if (count < 0 && errno != EAGAIN) saw_reset_ = true;
  }

 private:
  base::Fd fd_;
  std::string outgoing_, received_;
  std::size_t window_ = SimClient::unlimited;
  bool want_fin_ = false, saw_fin_ = false, saw_reset_ = false, refused_ = false;
};

/// `EchoType`: Echo, or what a test has derived from it.
template <class IoType, class EchoType = Echo>
class SocketRigOf {
 public:
  using Model = IoType;
  static constexpr bool simulated = false;
  explicit SocketRigOf(std::uint64_t = 0) : SocketRigOf{Address::parse("127.0.0.1:0").value()} {}
  explicit SocketRigOf(const Address& address) : listener_{Listener::open(address, {}).value()} {
    const int small = 8 * 1024;  // inherited: makes writes short
    ::setsockopt(listener_.fd(0), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    echo.loop = &loop;
    SLUICE_ASSERT(loop.listen(listener_.fd(0), false) == 0);
  }
  ~SocketRigOf() {
    if (!stop_by_hand) stop();
  }

  SocketClient& client() { return clients_.emplace_back(listener_.address(), 4 * 1024); }
  const Address& address() const { return listener_.address(); }

  template <class Predicate>
  bool run_until(Predicate&& done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!done()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      loop.turn(false);
      for (SocketClient& client : clients_) client.step();
    }
    return true;
  }

  void stop() {
    (void)loop.post(&echo.stop_node);
    while (loop.turn(false)) {}
    stop_by_hand = true;
  }
  Listener& listener() { return listener_; }

  EchoType echo;
  Loop<IoType, EchoType> loop{echo, base::system_clock()};
  bool stop_by_hand = false;

 private:
  Listener listener_;
  std::deque<SocketClient> clients_;
};
using EpollRig = SocketRigOf<EpollIo>;

template <bool confirm_later>
class SimRigOf {
 public:
  using Model = SimIo;
  static constexpr bool simulated = true;
  explicit SimRigOf(std::uint64_t seed = 1) : net{seed} {
    net.options().confirm_later = confirm_later;
    echo.loop = &loop;
    SLUICE_ASSERT(loop.listen(SimNet::listener(80), false) == 0);
  }
  ~SimRigOf() {
    if (stop_by_hand) return;
    (void)loop.post(&echo.stop_node);
    run_until([this] { return echo.stopping && echo.connections() == 0; });
  }

  SimClient& client() {
    SimClient& client = net.client();
    client.connect(80);
    return client;
  }

  /// Until nothing can happen any more, or an hour has passed.
  template <class Predicate>
  bool run_until(Predicate&& done) {
    const base::TimePoint limit = net.now() + std::chrono::hours{1};
    while (!done()) {
      net.deliver();
      if (loop.runnable()) {
        loop.turn(true);
        ++turns;
        continue;
      }
      const base::TimePoint next = std::min(net.next_event(), loop.next_deadline());
      if (next == base::never || next > limit) return done();
      net.advance_to(std::max(next, net.now()));
    }
    return true;
  }

  SimNet net;
  Echo echo;
  Loop<SimIo, Echo> loop{echo, net, net};
  std::uint64_t turns = 0;
  bool stop_by_hand = false;
};
using SimRig = SimRigOf<false>;
using SimLaterRig = SimRigOf<true>;

}  // namespace sluice::net
