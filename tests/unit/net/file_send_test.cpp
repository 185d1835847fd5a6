// Files in a stream's output: the order of memory and file, partial sends, files that become shorter, and a peer that is
// gone without a signal to this process.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/fd.hpp"
#include "net/epoll_io.hpp"

namespace sluice::net {
namespace {

class FileSend : public testing::Test {
 protected:
  FileSend() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    ours = base::Fd{pair[0]};
    theirs = base::Fd{pair[1]};
    stream.fd = ours.get();
    std::string name = testing::TempDir() + "/sluice-send-XXXXXX";
    file = std::make_shared<base::Fd>(::mkstemp(name.data()));
    ::unlink(name.c_str());
  }
  ~FileSend() override {
    stream.out.clear(pool);
    stream.fd = -1;
  }
  void fill(std::size_t size) {
    bytes.resize(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('a' + i * 7 % 26);
    EXPECT_EQ(::pwrite(file->get(), bytes.data(), size, 0), static_cast<ssize_t>(size));
  }
  void append(std::uint64_t offset, std::size_t size) {
    stream.out.append_file(pool, {file->get(), offset, size}, std::shared_ptr<base::Fd>{file});
  }
  std::string read() {
    std::string all;
    char piece[65'536];
    for (ssize_t count; (count = ::read(theirs.get(), piece, sizeof piece)) > 0;)
      all.append(piece, static_cast<std::size_t>(count));
    return all;
  }
  /// Writes and reads until everything was sent or something failed.
  WriteResult send_all(std::string& received) {
    for (;;) {
      const WriteResult result = io.write(stream);
      if (result.state == Wrote::failed) return result;
      stream.out.pop(pool, result.bytes);
      received += read();
      if (stream.out.empty()) return result;
    }
  }

  base::BlockPool pool;
  EpollIo io;
  base::Fd ours, theirs;
  Stream stream;
  std::shared_ptr<base::Fd> file;
  std::string bytes;
};

TEST_F(FileSend, MemoryAndFilesComeInTheirOrder) {
  fill(200'000);
  stream.out.append(pool, "head ");
  append(10, 5);
  stream.out.append(pool, " between ");
  append(0, 200'000);
  append(199'990, 10);
  stream.out.append(pool, " end");
  EXPECT_EQ(stream.out.size(), 5u + 5 + 9 + 200'000 + 10 + 4);
  EXPECT_TRUE(stream.out.has_files());
  std::string received;
  EXPECT_EQ(send_all(received).state, Wrote::all);
  EXPECT_EQ(received, "head " + bytes.substr(10, 5) + " between " + bytes + bytes.substr(199'990) + " end");
  EXPECT_FALSE(stream.out.has_files());
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_EQ(file.use_count(), 1);
}

TEST_F(FileSend, AFullSocketBlocksInTheMiddle) {
  fill(5'000'000);
  append(0, 5'000'000);
  WriteResult result{};
  do {
    result = io.write(stream);
    ASSERT_NE(result.state, Wrote::failed);
    stream.out.pop(pool, result.bytes);
  } while (result.state == Wrote::all);
  EXPECT_EQ(result.state, Wrote::blocked);
  EXPECT_GT(stream.out.size(), 0u);
  std::string received = read();
  EXPECT_EQ(send_all(received).state, Wrote::all);
  EXPECT_EQ(received, bytes);
}

TEST_F(FileSend, AFileThatIsShorterThanAnnouncedFails) {
  fill(1'000);
  append(0, 2'000);
  std::string received;
  const WriteResult result = send_all(received);
  EXPECT_EQ(result.state, Wrote::failed);
  EXPECT_EQ(result.error, EIO);
}

TEST_F(FileSend, APeerThatIsGoneFailsAndNoSignalIsLeftBehind) {
  fill(1'000);
  append(0, 1'000);
  theirs.reset();
  const WriteResult result = io.write(stream);
  EXPECT_EQ(result.state, Wrote::failed);
  EXPECT_EQ(result.error, EPIPE);
  sigset_t pending, mask;
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(::sigismember(&mask, SIGPIPE), 0);
}

TEST_F(FileSend, ASignalThatWasPendingBeforeStaysPending) {
  sigset_t pipe, before, pending;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
  ::pthread_kill(::pthread_self(), SIGPIPE);
  fill(1'000);
  append(0, 1'000);
  theirs.reset();
  EXPECT_EQ(io.write(stream).state, Wrote::failed);
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 1);
  const timespec at_once{};
  EXPECT_EQ(::sigtimedwait(&pipe, nullptr, &at_once), SIGPIPE);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(FileSend, AnEmptyStretchIsNothing) {
  append(0, 0);
  EXPECT_TRUE(stream.out.empty());
  EXPECT_FALSE(stream.out.has_files());
  EXPECT_EQ(file.use_count(), 1);
}

TEST_F(FileSend, ClearingLetsGoOfTheFile) {
  fill(1'000);
  append(0, 1'000);
  EXPECT_EQ(file.use_count(), 2);
  stream.out.clear(pool);
  EXPECT_EQ(file.use_count(), 1);
  EXPECT_FALSE(stream.out.has_files());
}

}  // namespace
}  // namespace sluice::net
