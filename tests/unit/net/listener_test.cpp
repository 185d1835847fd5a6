#include "net/listener.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace sluice::net {
namespace {

using base::Fd;

Address address(const std::string& text) { return Address::parse(text).value(); }

Fd connected(const Address& to) {
  Fd fd{::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (::connect(fd.get(), to.data(), to.size()) != 0) fd.reset();
  return fd;
}

Fd accepted(int listener) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    Fd fd{::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)};
    if (fd) return fd;
    ::usleep(1000);
  }
  return {};
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(fd, level, name, &value, &size);
  return value;
}

struct Folder {
  Folder() {
    std::string name = "/tmp/sluice-listener-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name) const { return path + '/' + name; }
  std::string path;
};

TEST(Listener, LearnsThePortAndSharesItAmongLoops) {
  const auto listener = Listener::open(address("127.0.0.1:0"), {.loops = 3});
  ASSERT_TRUE(listener) << listener.error().sentence;
  EXPECT_NE(listener->address().port(), 0);
  EXPECT_FALSE(listener->shared());
  for (unsigned loop = 0; loop < 3; ++loop) {
    EXPECT_EQ(local_address(listener->fd(loop)).to_string(), listener->address().to_string());
    EXPECT_NE(::fcntl(listener->fd(loop), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(listener->fd(loop), F_GETFL) & O_NONBLOCK, 0);
  }
}

TEST(Listener, SpreadsConnectionsOverItsLoops) {
  const auto listener = Listener::open(address("127.0.0.1:0"), {.loops = 2});
  ASSERT_TRUE(listener);
  std::vector<Fd> clients;
  for (int count = 0; count < 100; ++count) clients.push_back(connected(listener->address()));
  ::usleep(20'000);
  unsigned sum = 0;
  for (unsigned loop = 0; loop < 2; ++loop) {
    unsigned got = 0;
    while (Fd fd{::accept4(listener->fd(loop), nullptr, nullptr, SOCK_CLOEXEC)}) ++got;
    EXPECT_GT(got, 10u) << loop;
    sum += got;
  }
  EXPECT_EQ(sum, 100u);
}

TEST(Listener, FailsWhenThePortIsInUseEvenByAReuseportServerOfTheSameUser) {
  for (const unsigned loops : {1u, 2u}) {
    const auto first = Listener::open(address("127.0.0.1:0"), {.loops = 2});
    ASSERT_TRUE(first);
    const auto second = Listener::open(first->address(), {.loops = loops});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().number, EADDRINUSE);
    EXPECT_NE(second.error().sentence.find(first->address().to_string()), std::string::npos);
  }
}

TEST(Listener, CanBeOpenedAgainAtOnceAfterServing) {
  auto listener = Listener::open(address("127.0.0.1:0"), {.loops = 2});
  ASSERT_TRUE(listener);
  const Address place = listener->address();
  Fd client = connected(place);
  ASSERT_TRUE(client);
  for (int attempt = 0; attempt < 100; ++attempt) {
    Fd served{::accept4(listener->fd(attempt % 2 == 0 ? 0 : 1), nullptr, nullptr, SOCK_CLOEXEC)};
    if (served) break;
    ::usleep(1000);
  }
  listener->close();
  client.reset();
  const auto again = Listener::open(place, {.loops = 2});
  EXPECT_TRUE(again) << again.error().sentence;
}

TEST(Listener, AcceptedSocketsInheritNoDelayAndKnowTheirPeer) {
  const auto listener = Listener::open(address("127.0.0.1:0"), {});
  ASSERT_TRUE(listener);
  const Fd client = connected(listener->address());
  const Fd served = accepted(listener->fd(0));
  ASSERT_TRUE(served);
  EXPECT_EQ(option(served.get(), IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(served.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT), Listener::unsent_bytes_max);
  EXPECT_EQ(option(listener->fd(0), SOL_SOCKET, SO_REUSEPORT), 0);
  EXPECT_EQ(peer_address(served.get()).to_string(), local_address(client.get()).to_string());
  EXPECT_FALSE(peer_credentials(served.get()));
  EXPECT_EQ(peer_address(-1).to_string(), "unknown");
}

TEST(Listener, TheKernelTakesLittleForAClientThatDoesNotRead) {
  const auto listener = Listener::open(address("127.0.0.1:0"), {});
  ASSERT_TRUE(listener);
  const Fd client = connected(listener->address());
  const Fd served = accepted(listener->fd(0));
  ASSERT_TRUE(served);
  const int received_max = option(client.get(), SOL_SOCKET, SO_RCVBUF);
  const std::string piece(64 * 1024, 'x');
  std::size_t taken = 0;
  for (ssize_t count = 1; count > 0 && taken < (std::size_t{64} << 20);) {
    count = ::send(served.get(), piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) taken += static_cast<std::size_t>(count);
  }
  // What is on the client's side, what may wait unsent on ours, and the segment that crossed the line.
  EXPECT_LE(taken, static_cast<std::size_t>(received_max + Listener::unsent_bytes_max + 2 * 65'536));
}

TEST(Listener, KeepsIpv6Apart) {
  const auto six = Listener::open(address("[::]:0"), {});
  if (!six) GTEST_SKIP() << six.error().sentence;
  const auto four = Listener::open(address("0.0.0.0:" + std::to_string(six->address().port())), {});
  EXPECT_TRUE(four) << four.error().sentence;
}

TEST(Listener, MakesAUnixSocketWithItsModeWhateverTheUmask) {
  const Folder folder;
  for (const mode_t mask : {0000u, 0077u}) {
    for (const std::uint32_t mode : {0600u, 0666u}) {
      const mode_t before = ::umask(mask);
      const auto listener = Listener::open(address("unix:" + folder.file("mode")), {.unix_mode = mode});
      ::umask(before);
      ASSERT_TRUE(listener) << listener.error().sentence;
      struct stat status{};
      ASSERT_EQ(::lstat(folder.file("mode").c_str(), &status), 0);
      EXPECT_EQ(status.st_mode & 07777u, mode);
    }
  }
}

TEST(Listener, SharesOneUnixSocketAndRemovesItsFile) {
  const Folder folder;
  {
    const auto listener = Listener::open(address("unix:" + folder.file("sock")), {.loops = 2});
    ASSERT_TRUE(listener) << listener.error().sentence;
    EXPECT_TRUE(listener->shared());
    const Fd client = connected(listener->address());
    ASSERT_TRUE(client);
    const Fd served = accepted(listener->fd(1));
    const auto who = peer_credentials(served.get());
    ASSERT_TRUE(who);
    EXPECT_EQ(who->process, ::getpid());
    EXPECT_EQ(who->user, ::getuid());
    EXPECT_EQ(peer_address(served.get()).to_string(), "unix:");
  }
  EXPECT_FALSE(std::filesystem::exists(folder.file("sock")));
}

TEST(Listener, RemovesADeadSocketButNoLiveOne) {
  const Folder folder;
  const Address place = address("unix:" + folder.file("sock"));
  {
    const Fd dead{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ASSERT_EQ(::bind(dead.get(), place.data(), place.size()), 0);
  }
  const auto listener = Listener::open(place, {});
  ASSERT_TRUE(listener) << listener.error().sentence;
  const auto second = Listener::open(place, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().number, EADDRINUSE);
  EXPECT_TRUE(connected(place)) << "the failed one has removed nothing";
}

TEST(Listener, NeverRemovesAFileThatIsNoSocket) {
  const Folder folder;
  std::ofstream{folder.file("data")} << "precious";
  std::filesystem::create_symlink(folder.file("data"), folder.file("link"));
  for (const char* const name : {"data", "link"}) {
    const auto listener = Listener::open(address("unix:" + folder.file(name)), {});
    ASSERT_FALSE(listener);
    EXPECT_NE(listener.error().sentence.find("no socket"), std::string::npos) << listener.error().sentence;
  }
  EXPECT_EQ(std::filesystem::file_size(folder.file("data")), 8u);
}

TEST(Listener, LeavesAFileThatIsNotItsOwnAnyMore) {
  const Folder folder;
  const Address place = address("unix:" + folder.file("sock"));
  auto first = Listener::open(place, {});
  ASSERT_TRUE(first);
  std::filesystem::remove(folder.file("sock"));
  std::ofstream{folder.file("inode-filler")} << "so that the inode is not used again";
  const auto second = Listener::open(place, {});
  ASSERT_TRUE(second);
  first->close();
  EXPECT_TRUE(connected(place));
}

TEST(Listener, ListensToAnAbstractName) {
  const Address place = address("unix:@sluice-test-" + std::to_string(::getpid()));
  const auto listener = Listener::open(place, {.loops = 2});
  ASSERT_TRUE(listener) << listener.error().sentence;
  EXPECT_TRUE(connected(place));
  const auto second = Listener::open(place, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().number, EADDRINUSE);
}

TEST(Listener, SaysWhyItCannotBind) {
  const auto nowhere = Listener::open(address("unix:/does/not/exist/sock"), {});
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().number, ENOENT);
  const auto foreign = Listener::open(address("192.0.2.1:0"), {});
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().number, EADDRNOTAVAIL);
}

TEST(Listener, MovesWithoutClosing) {
  const Folder folder;
  auto opened = Listener::open(address("unix:" + folder.file("sock")), {});
  ASSERT_TRUE(opened);
  Listener moved = std::move(*opened);
  opened->close();
  EXPECT_TRUE(connected(moved.address()));
  moved.close();
  EXPECT_FALSE(std::filesystem::exists(folder.file("sock")));
}

}  // namespace
}  // namespace sluice::net
