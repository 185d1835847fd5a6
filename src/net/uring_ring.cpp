#include "net/uring_ring.hpp"

#include <liburing.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "base/assert.hpp"
#include "net/uring_compat.hpp"

namespace sluice::net {
namespace {

constexpr unsigned short buffer_group = 0;
constexpr unsigned features_needed =
    IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
// Both are made disabled, so that the thread that starts the ring becomes its one user, whoever has opened it.
constexpr unsigned flags_common =
    IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
constexpr unsigned flags_deferred = flags_common | IORING_SETUP_DEFER_TASKRUN;                              // 6.1
constexpr unsigned flags_cooperative = flags_common | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;  // 6.0

static_assert(IORING_CQE_F_BUFFER == 1 && IORING_CQE_F_MORE == 2 && IORING_CQE_BUFFER_SHIFT == 16);

/// Why there is no ring, for whoever reads the log.
Error refusal(int number) {
  std::string why;
  switch (number) {
    case ENOSYS: why = "this kernel has no io_uring, or a sandbox hides it"; break;
    case EPERM:
      why = "this system does not allow io_uring (kernel.io_uring_disabled, or the container's seccomp profile)";
      break;
    case EACCES: why = "a security module does not allow io_uring"; break;
    case EINVAL: why = "this kernel's io_uring is older than Linux 6.0"; break;
    case ENOMEM: why = "the memory that may be locked (RLIMIT_MEMLOCK) does not suffice for io_uring"; break;
    case EMFILE:
    case ENFILE: why = "no file descriptor is left for io_uring"; break;
    default: why = "io_uring can't be set up: " + std::generic_category().message(number);
  }
  return {number, std::move(why)};
}

/// Pages of the buffer ring, whose entries and tail the kernel shares with us.
class SharedPages {
 public:
  SharedPages() noexcept = default;
  explicit SharedPages(std::size_t size) noexcept
      : place_{::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0)}, size_{size} {}
  SharedPages(SharedPages&& other) noexcept
      : place_{std::exchange(other.place_, MAP_FAILED)}, size_{std::exchange(other.size_, 0)} {}
  SharedPages& operator=(SharedPages&& other) noexcept {
    std::swap(place_, other.place_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~SharedPages() {
    if (place_ != MAP_FAILED) ::munmap(place_, size_);
  }
  explicit operator bool() const noexcept { return place_ != MAP_FAILED; }
  io_uring_buf_ring* ring() const noexcept { return static_cast<io_uring_buf_ring*>(place_); }

 private:
  void* place_ = MAP_FAILED;
  std::size_t size_ = 0;
};

}  // namespace

struct UringRing::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (opened) io_uring_queue_exit(&ring);
  }

  int open(const UringOptions& options);
  int open_form(unsigned flags, const UringOptions& options);
  int make_buffers(unsigned wanted);
  void add_buffer(std::uint16_t id) noexcept {
    io_uring_buf_ring_add(pages.ring(), memory.get() + id * buffer_bytes, buffer_bytes, id, mask(), given++);
  }
  int mask() const noexcept { return static_cast<int>(buffer_count) - 1; }
  io_uring_sqe* entry(std::uint64_t name) noexcept;

  // The pages and buffers outlive the ring, whose end comes first.
  SharedPages pages{};
  std::unique_ptr<char[]> memory{};
  io_uring ring{};
  bool opened = false;
  bool started = false;
  bool skip_success = false;
  unsigned flags = 0;
  unsigned completions = 0;
  unsigned buffer_count = 0;
  int given = 0;  // buffers that were given back, and that the kernel does not know of yet
};

int UringRing::State::open(const UringOptions& options) {
  skip_success = options.skip_success;
  int error = EINVAL;
  for (const unsigned form : {flags_deferred, flags_cooperative}) {
    error = (form & options.refused_flags) ? EINVAL : open_form(form, options);
    if (error != EINVAL) break;
  }
  return error == 0 ? make_buffers(options.buffers) : error;
}

int UringRing::State::open_form(unsigned form, const UringOptions& options) {
  unsigned wanted = options.completions;
  for (;;) {
    io_uring_params parameters{};
    parameters.flags = form;
    parameters.cq_entries = wanted;
    const int result = io_uring_queue_init_params(options.submissions, &ring, &parameters);
    if (result == 0) {
      opened = true;
      flags = form;
      completions = parameters.cq_entries;
      return (parameters.features & features_needed) == features_needed ? 0 : EINVAL;
    }
    if (result != -ENOMEM || wanted / 2 < UringOptions::completions_min) return -result;
    wanted /= 2;
  }
}

int UringRing::State::make_buffers(unsigned wanted) {
  for (;; wanted /= 2) {
    SharedPages fresh{wanted * sizeof(io_uring_buf)};
    if (!fresh) return ENOMEM;
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(fresh.ring());
    registration.ring_entries = wanted;
    registration.bgid = buffer_group;
    const int result = io_uring_register_buf_ring(&ring, &registration, 0);
    if (result == 0) {
      pages = std::move(fresh);
      break;
    }
    if (result != -ENOMEM || wanted / 2 < UringOptions::buffers_min) return -result;
  }
  buffer_count = wanted;
  memory = std::make_unique_for_overwrite<char[]>(wanted * buffer_bytes);
  io_uring_buf_ring_init(pages.ring());
  for (unsigned id = 0; id < wanted; ++id) add_buffer(static_cast<std::uint16_t>(id));
  io_uring_buf_ring_advance(pages.ring(), std::exchange(given, 0));
  return 0;
}

// What is in a full queue is handed over; the kernel takes it unless it is short of memory.
io_uring_sqe* UringRing::State::entry(std::uint64_t name) noexcept {
  io_uring_sqe* place = io_uring_get_sqe(&ring);
  if (place == nullptr && started) {
    io_uring_submit(&ring);
    place = io_uring_get_sqe(&ring);
  }
  if (place != nullptr) place->user_data = name;
  return place;
}

std::expected<UringRing, Error> UringRing::open(const UringOptions& options) {
  auto state = std::make_unique<State>();
  if (const int error = state->open(options); error != 0) return std::unexpected{refusal(error)};
  return UringRing{std::move(state)};
}

UringRing::UringRing(std::unique_ptr<State> state) noexcept : state_{std::move(state)} {}
UringRing::UringRing(UringRing&& other) noexcept = default;
UringRing& UringRing::operator=(UringRing&& other) noexcept = default;
UringRing::~UringRing() = default;

bool UringRing::deferred() const noexcept { return state_->flags & IORING_SETUP_DEFER_TASKRUN; }
bool UringRing::skips_success() const noexcept { return state_->skip_success; }
unsigned UringRing::completions() const noexcept { return state_->completions; }
unsigned UringRing::buffers() const noexcept { return state_->buffer_count; }
bool UringRing::started() const noexcept { return state_->started; }

int UringRing::start() noexcept {
  if (state_->started) return 0;
  if (const int result = enable(&state_->ring); result < 0) return -result;
  state_->started = true;
  // Saves the kernel a look-up per call; a thread has room for a few rings only, and does without beyond these.
  (void)io_uring_register_ring_fd(&state_->ring);
  hide_wait(&state_->ring);
  return 0;
}

bool UringRing::accept(int fd, std::uint64_t name) noexcept {
  io_uring_sqe* const entry = state_->entry(name);
  if (entry == nullptr) return false;
  io_uring_prep_multishot_accept(entry, fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return true;
}

bool UringRing::receive(int fd, std::uint64_t name) noexcept {
  io_uring_sqe* const entry = state_->entry(name);
  if (entry == nullptr) return false;
  io_uring_prep_recv_multishot(entry, fd, nullptr, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = buffer_group;
  return true;
}

// MSG_DONTWAIT: carried out while it is handed over, or not at all. Without it a peer that has half-closed and reads
// slowly costs a thread of the kernel. MSG_WAITALL: a short one counts as a failure, which is told in any case.
bool UringRing::send(int fd, const void* bytes, std::size_t size, std::uint64_t name) noexcept {
  io_uring_sqe* const entry = state_->entry(name);
  if (entry == nullptr) return false;
  io_uring_prep_send(entry, fd, bytes, size, MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL);
  if (state_->skip_success) entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  return true;
}

// Again and again: one that ends with its first event ends at once, for ever, on a socket whose peer has half-closed.
bool UringRing::poll(int fd, unsigned events, std::uint64_t name) noexcept {
  io_uring_sqe* const entry = state_->entry(name);
  if (entry == nullptr) return false;
  io_uring_prep_poll_multishot(entry, fd, events);
  return true;
}

bool UringRing::cancel(std::uint64_t target, std::uint64_t name) noexcept {
  io_uring_sqe* const entry = state_->entry(name);
  if (entry == nullptr) return false;
  io_uring_prep_cancel64(entry, target, 0);
  return true;
}

unsigned UringRing::unsubmitted() const noexcept { return io_uring_sq_ready(&state_->ring); }

// The results of both say nothing that the two queues don't say: short of memory, interrupted, timed out.
void UringRing::look() noexcept { (void)io_uring_submit_and_get_events(&state_->ring); }

void UringRing::wait(base::Duration at_most) noexcept {
  io_uring_cqe* first = nullptr;
  if (at_most == base::Duration::max()) {
    (void)io_uring_submit_and_wait_timeout(&state_->ring, &first, 1, nullptr, nullptr);
    return;
  }
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at_most);
  __kernel_timespec limit{.tv_sec = seconds.count(), .tv_nsec = (at_most - seconds).count()};
  (void)io_uring_submit_and_wait_timeout(&state_->ring, &first, 1, &limit, nullptr);
}

unsigned UringRing::take(std::span<UringEvent> events) noexcept {
  unsigned count = 0;
  unsigned head = 0;
  io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(&state_->ring, head, entry) {
    if (count == events.size()) break;
    events[count++] = {entry->user_data, entry->res, entry->flags};
  }
  io_uring_cq_advance(&state_->ring, count);
  return count;
}

unsigned UringRing::ready() const noexcept { return io_uring_cq_ready(&state_->ring); }
bool UringRing::overflowed() const noexcept { return io_uring_cq_has_overflow(&state_->ring); }

char* UringRing::buffer(std::uint16_t id) noexcept {
  SLUICE_ASSERT(id < state_->buffer_count);
  return state_->memory.get() + id * buffer_bytes;
}

void UringRing::give(std::uint16_t id) noexcept { state_->add_buffer(id); }

void UringRing::return_buffers() noexcept {
  if (state_->given > 0) io_uring_buf_ring_advance(state_->pages.ring(), std::exchange(state_->given, 0));
}

}  // namespace sluice::net
