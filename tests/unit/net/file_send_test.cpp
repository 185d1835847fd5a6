// Files in a stream's output: the order of memory and file, partial sends, files that become shorter, and a peer that is
// gone without a signal to this process.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <span>
#include <string>

#include "base/fd.hpp"
#include "net/epoll_io.hpp"
#include "uring_models.hpp"

namespace sluice::net {
namespace {

/// Hears how a write that was under way has ended.
struct WriteSink {
  void accepted(int) {}
  void accept_failed(int) {}
  void connected(Stream&) {}
  Stream* find(std::uint32_t, std::uint32_t) { return nullptr; }
  void received(Stream&, std::span<char>) {}
  void ended(Stream&) {}
  void broke(Stream&, int) {}
  void writable(Stream&) {}
  void wrote(Stream&, std::size_t count, int error, bool blocked) {
    result = {error != 0 ? Wrote::failed : blocked ? Wrote::blocked : Wrote::all, count, error};
  }
  void gone(Stream&) {}
  void event_done() {}

  WriteResult result{Wrote::queued, 0, 0};
};

template <class IoType>
class FileSend : public TestOf<IoType> {
 protected:
  void SetUp() override {
    TestOf<IoType>::SetUp();
    if (this->IsSkipped()) return;
    io = std::make_unique<IoType>();
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
    io.reset();
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
  WriteResult write() {
    const WriteResult result = io->write(stream);
    if (result.state != Wrote::queued) return result;
    WriteSink sink;
    while (sink.result.state == Wrote::queued) {
      io->wait(base::TimePoint::min(), base::system_clock().now());
      io->dispatch(sink);
    }
    return sink.result;
  }
  /// Writes and reads until everything was sent or something failed.
  WriteResult send_all(std::string& received) {
    for (;;) {
      const WriteResult result = write();
      if (result.state == Wrote::failed) return result;
      stream.out.pop(pool, result.bytes);
      received += read();
      if (stream.out.empty()) return result;
    }
  }

  base::BlockPool pool;
  std::unique_ptr<IoType> io;
  base::Fd ours, theirs;
  Stream stream;
  std::shared_ptr<base::Fd> file;
  std::string bytes;
};

using Models = testing::Types<EpollIo, UringModel, OldUringModel>;
TYPED_TEST_SUITE(FileSend, Models);

TYPED_TEST(FileSend, MemoryAndFilesComeInTheirOrder) {
  this->fill(200'000);
  this->stream.out.append(this->pool, "head ");
  this->append(10, 5);
  this->stream.out.append(this->pool, " between ");
  this->append(0, 200'000);
  this->append(199'990, 10);
  this->stream.out.append(this->pool, " end");
  EXPECT_EQ(this->stream.out.size(), 5u + 5 + 9 + 200'000 + 10 + 4);
  EXPECT_TRUE(this->stream.out.has_files());
  std::string received;
  EXPECT_EQ(this->send_all(received).state, Wrote::all);
  EXPECT_EQ(received,
            "head " + this->bytes.substr(10, 5) + " between " + this->bytes + this->bytes.substr(199'990) + " end");
  EXPECT_FALSE(this->stream.out.has_files());
  EXPECT_EQ(this->pool.in_use(), 0u);
  EXPECT_EQ(this->file.use_count(), 1);
}

TYPED_TEST(FileSend, AFullSocketBlocksInTheMiddle) {
  this->fill(5'000'000);
  this->append(0, 5'000'000);
  WriteResult result{};
  do {
    result = this->write();
    ASSERT_NE(result.state, Wrote::failed);
    this->stream.out.pop(this->pool, result.bytes);
  } while (result.state == Wrote::all);
  EXPECT_EQ(result.state, Wrote::blocked);
  EXPECT_GT(this->stream.out.size(), 0u);
  std::string received = this->read();
  EXPECT_EQ(this->send_all(received).state, Wrote::all);
  EXPECT_EQ(received, this->bytes);
}

TYPED_TEST(FileSend, AFileThatIsShorterThanAnnouncedFails) {
  this->fill(1'000);
  this->append(0, 2'000);
  std::string received;
  const WriteResult result = this->send_all(received);
  EXPECT_EQ(result.state, Wrote::failed);
  EXPECT_EQ(result.error, EIO);
}

TYPED_TEST(FileSend, APeerThatIsGoneFailsAndNoSignalIsLeftBehind) {
  this->fill(1'000);
  this->append(0, 1'000);
  this->theirs.reset();
  const WriteResult result = this->write();
  EXPECT_EQ(result.state, Wrote::failed);
  EXPECT_EQ(result.error, EPIPE);
  sigset_t pending, mask;
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(::sigismember(&mask, SIGPIPE), 0);
}

TYPED_TEST(FileSend, ASignalThatWasPendingBeforeStaysPending) {
  sigset_t pipe, before, pending;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
  ::pthread_kill(::pthread_self(), SIGPIPE);
  this->fill(1'000);
  this->append(0, 1'000);
  this->theirs.reset();
  EXPECT_EQ(this->write().state, Wrote::failed);
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 1);
  const timespec at_once{};
  EXPECT_EQ(::sigtimedwait(&pipe, nullptr, &at_once), SIGPIPE);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TYPED_TEST(FileSend, AnEmptyStretchIsNothing) {
  this->append(0, 0);
  EXPECT_TRUE(this->stream.out.empty());
  EXPECT_FALSE(this->stream.out.has_files());
  EXPECT_EQ(this->file.use_count(), 1);
}

TYPED_TEST(FileSend, ClearingLetsGoOfTheFile) {
  this->fill(1'000);
  this->append(0, 1'000);
  EXPECT_EQ(this->file.use_count(), 2);
  this->stream.out.clear(this->pool);
  EXPECT_EQ(this->file.use_count(), 1);
  EXPECT_FALSE(this->stream.out.has_files());
}

}  // namespace
}  // namespace sluice::net
