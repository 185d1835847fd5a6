#include "net/uring_probe.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"

namespace sluice::net {
namespace {

constexpr std::uint64_t name_receive = 1, name_send = 2, name_poll = 3, name_cancel = 4;

class SelfTest {
 public:
  explicit SelfTest(UringRing& ring) noexcept : ring_{ring} {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) != 0) return;
    ours_ = base::Fd{pair[0]};
    theirs_ = base::Fd{pair[1]};
  }

  /// What went wrong, or nothing. Stops at the first.
  std::optional<std::string_view> run() {
    if (!ours_ || ring_.start() != 0) return "a ring can't be used";
    if (!receives()) return "receiving again and again does not work";
    if (!cancels()) return "a receive can't be called off";
    if (!hears_the_end()) return "an end that comes with bytes is not told";
    if (!sends()) return "sending does not work";
    if (!polls()) return "waiting for room does not work";
    if (!fails()) return "a failed send is not told";
    return std::nullopt;
  }

 private:
  /// The next event of that name, or one without a name if there is none.
  UringEvent next(std::uint64_t name) noexcept {
    for (int tries = 0; tries < 8; ++tries) {
      std::array<UringEvent, 1> event;
      while (ring_.take(event) == 1) {
        if (event[0].name == name) return event[0];
      }
      ring_.wait(std::chrono::milliseconds{100});
    }
    return {};
  }
  /// As next(), of what must be there already.
  UringEvent now(std::uint64_t name) noexcept {
    ring_.look();
    std::array<UringEvent, 1> event;
    while (ring_.take(event) == 1) {
      if (event[0].name == name) return event[0];
    }
    return {};
  }

  bool receives() noexcept {
    constexpr std::string_view text = "hello";
    if (!ring_.receive(ours_.get(), name_receive)) return false;
    for (int round = 0; round < 2; ++round) {
      ring_.look();
      if (::send(theirs_.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
        return false;
      const UringEvent event = next(name_receive);
      if (event.result != static_cast<int>(text.size()) || !event.has_buffer() || !event.more()) return false;
      if (std::string_view{ring_.buffer(event.buffer()), text.size()} != text) return false;
      ring_.give(event.buffer());
      ring_.return_buffers();
    }
    return true;
  }

  bool cancels() noexcept {
    if (!ring_.cancel(name_receive, name_cancel)) return false;
    const UringEvent event = next(name_receive);
    return event.result == -ECANCELED && !event.more();
  }

  // Bytes and the end behind them, before the kernel has looked: some kernels forget the end.
  bool hears_the_end() noexcept {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) != 0) return false;
    const base::Fd ours{pair[0]}, theirs{pair[1]};
    if (!ring_.receive(ours.get(), name_receive)) return false;
    ring_.look();
    if (::send(theirs.get(), "x", 1, MSG_NOSIGNAL) != 1 || ::shutdown(theirs.get(), SHUT_WR) != 0) return false;
    const UringEvent bytes = next(name_receive);
    if (bytes.result != 1 || !bytes.has_buffer()) return false;
    ring_.give(bytes.buffer());
    ring_.return_buffers();
    const UringEvent end = next(name_receive);
    return end.name == name_receive && end.result == 0 && !end.more();
  }

  // A small one that is taken whole, then as much as there is room for, then one more: with the events that UringIo
  // expects of each. They are there when the call that hands them over returns.
  bool sends() {
    const std::vector<char> bytes(4 * 1024 * 1024, 'x');
    const int fd = ours_.get();
    if (!ring_.send(fd, bytes.data(), 100, name_send)) return false;
    const UringEvent whole = now(name_send);
    if (ring_.skips_success() ? whole.name != 0 : whole.result != 100) return false;
    if (!ring_.send(fd, bytes.data(), bytes.size(), name_send)) return false;
    const UringEvent shortened = now(name_send);
    if (shortened.result <= 0 || shortened.result >= static_cast<int>(bytes.size())) return false;
    if (!ring_.send(fd, bytes.data(), 100'000, name_send)) return false;
    return now(name_send).result == -EAGAIN;
  }

  bool polls() {
    if (!ring_.poll(ours_.get(), POLLOUT, name_poll)) return false;
    if (now(name_poll).name != 0) return false;
    std::vector<char> piece(65'536);
    while (::recv(theirs_.get(), piece.data(), piece.size(), 0) > 0) {}
    const UringEvent event = next(name_poll);
    return event.result > 0 && (event.result & POLLOUT) && event.more();
  }

  bool fails() noexcept {
    theirs_.reset();
    return ring_.send(ours_.get(), "x", 1, name_send) && now(name_send).result == -EPIPE;
  }

  UringRing& ring_;
  base::Fd ours_{}, theirs_{};
};

std::expected<UringTraits, Error> probe_with(UringOptions options) {
  auto ring = UringRing::open(options);
  if (!ring) return std::unexpected{ring.error()};
  if (const auto fault = SelfTest{*ring}.run()) {
    return std::unexpected{Error{ENOTSUP, "this kernel's io_uring failed its self-test: " + std::string{*fault}}};
  }
  return UringTraits{.skips_success = options.skip_success};
}

}  // namespace

std::expected<UringTraits, Error> probe_uring(unsigned refused_flags) {
  UringOptions options{.submissions = 8, .completions = 64, .buffers = 8, .refused_flags = refused_flags};
  options.skip_success = true;
  auto traits = probe_with(options);
  if (traits || traits.error().number != ENOTSUP) return traits;
  options.skip_success = false;
  return probe_with(options);
}

}  // namespace sluice::net
