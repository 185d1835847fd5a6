// bare_io_uring.cpp: kernel-io-uring, the least that a server on io_uring can cost: multishot accept and receive into a
// ring of provided buffers, sends whose success is not told, one submission a turn, one thread.
#include <liburing.h>

#include <cerrno>
#include <vector>

#include "bare.hpp"

namespace sluice::kernel {
namespace {

constexpr unsigned submissions = 1024;
constexpr unsigned completions = 16'384;
constexpr unsigned buffers = 1024;  // a power of two
constexpr std::size_t buffer_bytes = 4096;

enum class What : std::uint32_t { accept, receive, other };

class UringServer {
 public:
  explicit UringServer(const Options& options)
      : options_{options}, answers_{options}, matched_(descriptors_max()), input_(buffers * buffer_bytes) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    params.cq_entries = completions;
    check(io_uring_queue_init_params(submissions, &ring_, &params), "io_uring_setup");
    provide_buffers();
    listener_ = listen_on(options, 0);
    accept();
  }

  [[noreturn]] void run() {
    for (;;) {
      check(io_uring_submit_and_wait(&ring_, 1), "io_uring_enter");
      unsigned head = 0, count = 0;
      io_uring_cqe* completion = nullptr;
      io_uring_for_each_cqe(&ring_, head, completion) {
        ++count;
        handle(*completion);
      }
      io_uring_buf_ring_advance(free_, returned_);
      returned_ = 0;
      io_uring_cq_advance(&ring_, count);
    }
  }

 private:
  static void check(int result, const char* what) {
    if (result >= 0 || result == -EINTR) return;
    errno = -result;
    fail(what);
  }

  void provide_buffers() {
    void* memory = nullptr;
    if (posix_memalign(&memory, 4096, buffers * sizeof(io_uring_buf)) != 0) fail("posix_memalign");
    std::memset(memory, 0, buffers * sizeof(io_uring_buf));
    free_ = static_cast<io_uring_buf_ring*>(memory);
    io_uring_buf_reg request{};
    request.ring_addr = reinterpret_cast<std::uint64_t>(memory);
    request.ring_entries = buffers;
    check(io_uring_register_buf_ring(&ring_, &request, 0), "io_uring_register_buf_ring");
    io_uring_buf_ring_init(free_);
    for (unsigned i = 0; i < buffers; ++i) give_back(i);
    io_uring_buf_ring_advance(free_, returned_);
    returned_ = 0;
  }

  char* buffer(unsigned number) { return input_.data() + number * buffer_bytes; }

  void give_back(unsigned number) {
    io_uring_buf_ring_add(free_, buffer(number), buffer_bytes, static_cast<unsigned short>(number),
                          io_uring_buf_ring_mask(buffers), static_cast<int>(returned_++));
  }

  io_uring_sqe& next(What what, int fd) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) {
      check(io_uring_submit(&ring_), "io_uring_enter");
      entry = io_uring_get_sqe(&ring_);
    }
    entry->user_data = std::uint64_t{static_cast<std::uint32_t>(what)} << 32 | static_cast<std::uint32_t>(fd);
    return *entry;
  }

  // The io_uring_prep functions of some versions clear user_data, so it is written after them.
  template <class Prepare>
  io_uring_sqe& submit(What what, int fd, Prepare prepare) {
    io_uring_sqe& entry = next(what, fd);
    const std::uint64_t name = entry.user_data;
    prepare(&entry);
    entry.user_data = name;
    return entry;
  }

  void accept() {
    submit(What::accept, listener_,
           [&](io_uring_sqe* e) { io_uring_prep_multishot_accept(e, listener_, nullptr, nullptr, SOCK_CLOEXEC); });
  }

  void receive(int fd) {
    io_uring_sqe& entry =
        submit(What::receive, fd, [&](io_uring_sqe* e) { io_uring_prep_recv_multishot(e, fd, nullptr, 0, 0); });
    entry.flags |= IOSQE_BUFFER_SELECT;
    entry.buf_group = 0;
  }

  void send_answers(int fd, unsigned count) {
    const std::size_t whole = answers_.bytes().size() / answers_.size();
    while (count > 0) {
      const unsigned some = count < whole ? count : static_cast<unsigned>(whole);
      count -= some;
      io_uring_sqe& entry = submit(What::other, fd, [&](io_uring_sqe* e) {
        io_uring_prep_send(e, fd, answers_.bytes().data(), some * answers_.size(), MSG_NOSIGNAL | MSG_WAITALL);
      });
      entry.flags |= IOSQE_CQE_SKIP_SUCCESS | (count > 0 || options_.close ? IOSQE_IO_LINK : 0);
    }
    if (!options_.close) return;
    submit(What::other, fd, [&](io_uring_sqe* e) { io_uring_prep_shutdown(e, fd, SHUT_RDWR); }).flags |=
        IOSQE_CQE_SKIP_SUCCESS;
  }

  void handle(const io_uring_cqe& completion) {
    const auto what = static_cast<What>(completion.user_data >> 32);
    const int fd = static_cast<int>(completion.user_data & 0xffff'ffffU);
    const bool goes_on = completion.flags & IORING_CQE_F_MORE;
    if (what == What::accept) {
      if (completion.res >= 0) {
        matched_[completion.res] = 0;
        receive(completion.res);
      }
      if (!goes_on) accept();
    } else if (what == What::receive) {
      received(fd, completion);
      if (!goes_on && (completion.res > 0 || completion.res == -ENOBUFS)) receive(fd);
    }
  }

  void received(int fd, const io_uring_cqe& completion) {
    if (completion.res == -ENOBUFS) return;
    if (completion.res <= 0) {
      submit(What::other, fd, [&](io_uring_sqe* e) { io_uring_prep_close(e, fd); }).flags |= IOSQE_CQE_SKIP_SUCCESS;
      return;
    }
    const unsigned number = completion.flags >> IORING_CQE_BUFFER_SHIFT;
    const std::string_view in{buffer(number), static_cast<std::size_t>(completion.res)};
    const unsigned heads = count_heads(in, matched_[fd]);
    give_back(number);
    if (heads > 0) send_answers(fd, heads);
  }

  const Options options_;
  const Answers answers_;
  std::vector<unsigned char> matched_;  // by descriptor
  std::vector<char> input_;
  io_uring ring_{};
  io_uring_buf_ring* free_ = nullptr;
  unsigned returned_ = 0;  // buffers given back and not yet told
  int listener_ = -1;
};

}  // namespace
}  // namespace sluice::kernel

int main(int count, char** words) {
  static sluice::kernel::UringServer server{sluice::kernel::read_options(count, words)};
  server.run();
}
