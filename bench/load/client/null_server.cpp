#include "load/client/null_server.hpp"

#include <sched.h>

#include <string_view>
#include <system_error>
#include <thread>

#include "base/slab.hpp"
#include "net/epoll_io.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"

namespace sluice::bench {
namespace {

constexpr std::string_view answer =
    "HTTP/1.1 200 OK\r\n"
    "Server: null\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 13\r\n"
    "\r\n"
    "Hello, World!";
constexpr std::string_view head_end = "\r\n\r\n";

struct NullConnection : net::Stream {
  unsigned matched = 0;  // characters of head_end that came last
};

class NullProtocol {
 public:
  net::LoopBase* loop = nullptr;
  struct Stop : net::MailNode {
  } stop{};

  net::Stream* opened(int) noexcept {
    if (stopping_) return nullptr;
    NullConnection& connection = *slab_.take();
    connection.matched = 0;
    return &connection;
  }
  void input(net::Stream& stream, std::span<char> bytes) noexcept {
    auto& connection = static_cast<NullConnection&>(stream);
    std::string_view in{bytes.data(), bytes.size()};
    if (connection.matched == 0 && in.ends_with(head_end) && in.find(head_end) == in.size() - head_end.size()) {
      respond(connection);  // the usual: one whole head
      return;
    }
    for (const char c : in) {
      connection.matched = c == head_end[connection.matched] ? connection.matched + 1 : (c == '\r' ? 1U : 0U);
      if (connection.matched < head_end.size()) continue;
      connection.matched = 0;
      respond(connection);
    }
  }
  void input_ended(net::Stream& stream) noexcept { loop->close(stream); }
  void failed(net::Stream& stream, int) noexcept { loop->close(stream); }
  void wrote(net::Stream&, std::size_t) noexcept {}
  void drained(net::Stream&) noexcept {}
  void output_shut(net::Stream&) noexcept {}
  void expired(net::Stream&) noexcept {}
  void posted(net::MailNode&) noexcept {
    stopping_ = true;
    loop->stop_accepting();
    slab_.for_each_in_use([this](NullConnection& connection) { loop->close(connection); });
  }
  void closed(net::Stream& stream) noexcept { slab_.give(static_cast<NullConnection&>(stream)); }
  bool turn_ended() noexcept {
    if (stopping_ && slab_.in_use() == 0) loop->quit();
    return false;
  }
  net::Stream* find(std::uint32_t slot, std::uint32_t generation) noexcept { return slab_.find(slot, generation); }
  void accept_paused(int) noexcept {}

 private:
  void respond(NullConnection& connection) noexcept {
    connection.out.append(loop->blocks(), answer);
    loop->touch(connection);
  }

  base::Slab<NullConnection> slab_;
  bool stopping_ = false;
};

/// Leaves the CPUs of the calling thread to the generator.
void move_away(const cpu_set_t& taken) noexcept {
  cpu_set_t others;
  CPU_ZERO(&others);
  for (unsigned cpu = 0; cpu < std::thread::hardware_concurrency() || cpu < 64; ++cpu) {
    if (!CPU_ISSET(cpu, &taken)) CPU_SET(cpu, &others);
  }
  ::sched_setaffinity(0, sizeof others, &others);  // fails where there are none: then the thread stays
}

net::Listener open(std::uint16_t port) {
  net::Address address = *net::Address::parse("127.0.0.1:0");
  address.set_port(port);
  auto listener = net::Listener::open(address, {.loops = 1, .backlog = 4096});
  if (!listener) throw std::system_error{listener.error().number, std::system_category(), listener.error().sentence};
  return std::move(*listener);
}

}  // namespace

class NullServer::Inside {
 public:
  Inside(bool apart, std::uint16_t port) : listener_{open(port)}, loop_{protocol_, base::system_clock()} {
    protocol_.loop = &loop_;
    if (const int error = loop_.listen(listener_.fd(0), false); error != 0) {
      throw std::system_error{error, std::system_category(), "null server"};
    }
    cpu_set_t taken;
    const bool known = ::sched_getaffinity(0, sizeof taken, &taken) == 0;
    thread_ = std::jthread{[this, apart, known, taken] {
      if (apart && known) move_away(taken);
      loop_.run();
    }};
  }
  ~Inside() {
    if (loop_.post(&protocol_.stop)) thread_.join();
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  std::uint16_t port() const noexcept { return listener_.address().port(); }

 private:
  net::Listener listener_;
  NullProtocol protocol_{};
  net::Loop<net::EpollIo, NullProtocol> loop_;
  std::jthread thread_{};
};

NullServer::NullServer(bool apart, std::uint16_t port) : inside_{std::make_unique<Inside>(apart, port)} {}
NullServer::~NullServer() = default;
std::uint16_t NullServer::port() const noexcept { return inside_->port(); }

}  // namespace sluice::bench
