// recording.cpp: lines of CSV in two buffers that change places: one is appended to under a short lock, by whoever lets
// go of a request last; the other belongs to whoever writes the file. The lock of the file is never taken by a request.
#include <sluice/extra/recording.hpp>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/blocking.hpp>

#include "base/clock.hpp"
#include "base/fd.hpp"
#include "server/core.hpp"
#include "server/exchange.hpp"
#include "server/shard.hpp"

namespace sluice {
namespace {

using std::chrono::microseconds;

constexpr std::string_view header = "arrival_us,route,service_us\n";
constexpr std::uint64_t requests_limit = 20'000'000;
constexpr std::size_t buffer_bytes_min = 4096, buffer_bytes_limit = std::size_t{1} << 30;
constexpr microseconds service_max = std::chrono::hours{1};  // the most that sluice-sim reads
constexpr std::chrono::seconds write_interval{1};

RecordingOptions checked(RecordingOptions&& options) {
  if (options.path.empty()) throw std::invalid_argument{"Recording: path is empty"};
  if (options.requests_max < 1 || options.requests_max > requests_limit) {
    throw std::invalid_argument{"Recording: requests_max must be 1 to 20,000,000"};
  }
  if (options.buffer_bytes_max < buffer_bytes_min || options.buffer_bytes_max > buffer_bytes_limit) {
    throw std::invalid_argument{"Recording: buffer_bytes_max must be 4 KiB to 1 GiB"};
  }
  return std::move(options);
}

base::Fd open_file(const std::string& path) {
  base::Fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
  if (!file) throw std::system_error{errno, std::system_category(), "Recording: " + path};
  return file;
}

/// Keeps signals from the thread that is started meanwhile: they are for the program's own (DrainOnSignal), which may not
/// have blocked them yet.
class NoSignals {
 public:
  NoSignals() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_;
};

/// As a field of CSV. Source: RFC 4180 2.
std::string quoted(std::string_view text) {
  if (text.find_first_of(",\"") == text.npos) return std::string{text};
  std::string field{'"'};
  for (const char c : text) {
    if (c == '"') field += c;
    field += c;
  }
  return field += '"';
}

/// A whole number at the end of `line`, which has room for it.
void append(std::string& line, microseconds time) {
  std::array<char, 24> digits;
  const std::int64_t count = std::max<std::int64_t>(time.count(), 0);
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), count).ptr;
  line.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

microseconds whole(base::Duration time) noexcept { return std::chrono::floor<microseconds>(time); }

}  // namespace

/// Shared by the Recording, its middleware and the requests under way.
struct Recording::State {
  explicit State(RecordingOptions&& given) : options{checked(std::move(given))}, file{open_file(options.path)} {
    filling.reserve(options.buffer_bytes_max);
    writing.reserve(options.buffer_bytes_max);
    filling = header;
  }

  void add(base::TimePoint arrival, std::string_view route, base::Duration service) noexcept;
  void write_in_turns() noexcept;
  void flush() noexcept;

  const RecordingOptions options;

  std::mutex lock;  // of everything up to `ending`
  std::condition_variable wake;
  std::string filling;
  RecordingStatus status;
  bool ending = false;

  std::mutex file_lock;  // of the rest; taken before `lock`
  std::string writing;
  base::Fd file;
  off_t whole_bytes = 0;  // of the file, up to the end of its last line
  bool header_written = false, end_told = false;

 private:
  std::uint64_t write(int& error) noexcept;
};

/// Thread: any, a loop's included.
void Recording::State::add(base::TimePoint arrival, std::string_view route, base::Duration service) noexcept {
  constexpr std::size_t numbers_bytes = 2 * 20 + 3;  // two of them, two commas, the end of the line
  bool hurry = false;
  {
    const std::lock_guard guard{lock};
    ++status.handled;
    const bool room = filling.size() + route.size() + numbers_bytes <= options.buffer_bytes_max;
    if (status.state != RecordingState::recording || ending || !room) {
      ++status.missed;
      return;
    }
    const std::size_t before = filling.size();
    append(filling, whole(arrival.time_since_epoch()));
    filling += ',';
    filling += route;
    filling += ',';
    append(filling, std::min(whole(service), service_max));
    filling += '\n';
    ++status.waiting;
    if (status.written + status.waiting == options.requests_max) status.state = RecordingState::full;
    const std::size_t half = options.buffer_bytes_max / 2;
    hurry = status.state == RecordingState::full || (before < half && filling.size() >= half);
  }
  if (hurry) wake.notify_one();
}

/// Thread: the recording's own.
void Recording::State::write_in_turns() noexcept {
  bool last = false;
  while (!last) {
    {
      std::unique_lock guard{lock};
      wake.wait_for(guard, write_interval, [&] {
        const bool rest = status.state == RecordingState::full && !filling.empty();
        return ending || rest || filling.size() >= options.buffer_bytes_max / 2;
      });
      last = ending;
    }
    flush();
  }
}

/// Thread: any that may wait for the disk.
void Recording::State::flush() noexcept {
  const std::lock_guard file_guard{file_lock};
  std::uint64_t taken = 0;
  {
    const std::lock_guard guard{lock};
    if (filling.empty()) return;
    writing.swap(filling);
    taken = status.waiting;
  }
  int error = 0;
  const std::uint64_t written = write(error);
  writing.clear();
  RecordingStatus told;
  {
    const std::lock_guard guard{lock};
    status.written += written;
    status.waiting -= written;
    if (error != 0) {  // what came meanwhile has no file either
      status.missed += std::exchange(status.waiting, 0);
      filling.clear();
      status.state = RecordingState::failed;
      status.error = options.path + ": " + std::system_category().message(error);
    } else {
      SLUICE_ASSERT(written == taken);
    }
    const bool over = status.state == RecordingState::failed ||
                      (status.state == RecordingState::full && status.waiting == 0);  // all of it is in the file
    if (!over || end_told) return;
    told = status;
  }
  end_told = true;
  if (options.on_end) options.on_end(told);
}

/// How many requests of `writing` are in the file now: all of them unless there was an error. A line that is there in
/// part is taken back.
std::uint64_t Recording::State::write(int& error) noexcept {
  std::string_view left = writing;
  while (!left.empty()) {
    const ssize_t count = ::write(file.get(), left.data(), left.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      error = count < 0 ? errno : EIO;
      break;
    }
    left.remove_prefix(static_cast<std::size_t>(count));
  }
  const std::string_view out = std::string_view{writing}.substr(0, writing.size() - left.size());
  const std::string_view lines = out.substr(0, out.rfind('\n') + 1);  // npos + 1 is 0
  whole_bytes += static_cast<off_t>(lines.size());
  // A pipe can't be cut; its reader sees the end in the middle of a line.
  if (error != 0 && lines.size() != out.size()) static_cast<void>(ftruncate(file.get(), whole_bytes) == 0);
  auto requests = static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
  if (requests > 0 && !std::exchange(header_written, true)) --requests;
  return requests;
}

/// One request under way. Pinned by its frame and by its answer; the last of them to go writes it down.
class Recording::Note {
 public:
  Note(std::shared_ptr<State> state, const Request& request) : Note{std::move(state), detail::Exchange::of(request)} {
    arrival_ = request.received_at();
  }
  Note(const Note&) = delete;
  Note& operator=(const Note&) = delete;
  ~Note() {
    const base::TimePoint answered{base::Duration{answered_.load(std::memory_order_relaxed)}};
    // Without an answer that it saw (a responder that was dropped) it ends here.
    const base::TimePoint end = answered == base::TimePoint{} ? clock_.now() : std::max(answered, returned_);
    state_->add(arrival_, route_, end - start_);
  }

  /// Both halves of a split pair may be used at once; the first counts.
  void answered() noexcept {
    base::Duration::rep none = 0;
    answered_.compare_exchange_strong(none, clock_.now().time_since_epoch().count(), std::memory_order_relaxed);
  }
  void returned() noexcept { returned_ = clock_.now(); }

 private:
  Note(std::shared_ptr<State>&& state, detail::Exchange& exchange)
      : state_{std::move(state)},
        clock_{exchange.home().core().clock()},
        route_{quoted(std::string{to_string(exchange.route->method)} + ' ' + exchange.route->pattern)},
        start_{clock_.now()} {}

  const std::shared_ptr<State> state_;
  const base::Clock& clock_;  // the server's
  const std::string route_;
  base::TimePoint arrival_{};
  const base::TimePoint start_;
  std::atomic<base::Duration::rep> answered_{0};
  base::TimePoint returned_{};  // written by the frame, which pins this
};

Recording::Recording(RecordingOptions options) : state_{std::make_shared<State>(std::move(options))} {
  const NoSignals for_the_thread;
  writer_ = std::thread{[state = state_.get()] { state->write_in_turns(); }};
}

Recording::~Recording() {
  {
    const std::lock_guard guard{state_->lock};
    state_->ending = true;
  }
  state_->wake.notify_one();
  writer_.join();
}

Middleware Recording::middleware() const {
  return [state = state_](Handler next) -> Handler {
    return [state, next = std::move(next)](const Request& request, Responder responder) mutable {
      const auto note = std::make_shared<Note>(state, request);
      next(request, std::move(responder).edit([note](Response&) { note->answered(); }));
      note->returned();
    };
  };
}

void Recording::flush() {
  check_may_block("Recording::flush");
  state_->flush();
}

RecordingStatus Recording::status() const {
  const std::lock_guard guard{state_->lock};
  return state_->status;
}

}  // namespace sluice
