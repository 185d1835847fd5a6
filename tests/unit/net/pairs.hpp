// pairs.hpp: the same test of outgoing connections, over real sockets and over the simulated network: a loop that
// connects, the echo server it talks to, and a way to let time pass for both. One thread drives both ends.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <chrono>

#include "base/fd.hpp"
#include "dialer.hpp"
#include "rigs.hpp"

namespace sluice::net {

/// A port of this host that nobody listens on, and nobody else gets while it lives.
class ClosedPort {
 public:
  ClosedPort() : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    const Address any = Address::parse("127.0.0.1:0").value();
    SLUICE_ASSERT(::bind(fd_.get(), any.data(), any.size()) == 0);
  }
  Address address() const { return local_address(fd_.get()); }

 private:
  base::Fd fd_;
};

/// A server that echoes, and a loop that connects to it; one thread drives both.
template <class IoType>
class SocketPairOf {
 public:
  using Model = IoType;
  static constexpr bool simulated = false;
  explicit SocketPairOf(std::uint64_t = 0) : SocketPairOf{Address::parse("127.0.0.1:0").value()} {}
  explicit SocketPairOf(const Address& address) : server{address} { dialer.loop = &loop; }
  ~SocketPairOf() {
    dialer.close_all();
    run_until([this] { return dialer.streams() == 0; });
    SLUICE_ASSERT(loop.blocks().bytes_in_use() == 0);
  }

  Address address() const { return server.address(); }
  Address closed_port() const { return closed_.address(); }

  template <class Predicate>
  bool run_until(Predicate&& done) {
    return server.run_until([&] {
      loop.turn(false);
      return done();
    });
  }

  SocketRigOf<IoType> server;
  Dialer dialer;
  Loop<IoType, Dialer> loop{dialer, base::system_clock()};

 private:
  ClosedPort closed_;
};
using EpollPair = SocketPairOf<EpollIo>;

template <bool confirm_later>
class SimPairOf {
 public:
  using Model = SimIo;
  static constexpr bool simulated = true;
  explicit SimPairOf(std::uint64_t seed = 1) : server{seed} { dialer.loop = &loop; }
  ~SimPairOf() {
    dialer.close_all();
    run_until([this] { return dialer.streams() == 0; });
    SLUICE_ASSERT(dialer.streams() == 0 && loop.blocks().bytes_in_use() == 0);
  }

  static Address address() { return Address::parse("127.0.0.1:80").value(); }
  static Address closed_port() { return Address::parse("127.0.0.1:81").value(); }
  SimNet& net() { return server.net; }

  /// Until nothing can happen any more, or a day has passed.
  template <class Predicate>
  bool run_until(Predicate&& done) {
    const base::TimePoint limit = net().now() + std::chrono::hours{24};
    while (!done()) {
      net().deliver();
      const bool dialed = step(loop);
      if (step(server.loop) || dialed) continue;
      const base::TimePoint next = std::min({net().next_event(), loop.next_deadline(), server.loop.next_deadline()});
      if (next == base::never || next > limit) return done();
      net().advance_to(std::max(next, net().now()));
    }
    return true;
  }

  SimRigOf<confirm_later> server;
  Dialer dialer;
  Loop<SimIo, Dialer> loop{dialer, server.net, server.net};
  std::uint64_t turns = 0;

 private:
  bool step(auto& one) {
    if (!one.runnable()) return false;
    one.turn(true);
    ++turns;
    return true;
  }
};
using SimPair = SimPairOf<false>;
using SimLaterPair = SimPairOf<true>;

}  // namespace sluice::net
