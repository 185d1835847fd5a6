// recording.hpp: what really came, as a file that sluice-sim replays: one line per request, with the time it arrived,
// its route and how long its work took. For a day's traffic to be played again at three times its rate, or with other
// limits; it is no access log and traces nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <sluice/handler.hpp>

namespace sluice {

enum class RecordingState : std::uint8_t {
  recording,
  full,  // requests_max are in the file, or about to be
  failed,  // the file could not be written; RecordingStatus::error says why
};

/// One moment's numbers of a recording. They always balance.
struct RecordingStatus {
  RecordingState state = RecordingState::recording;
  /// Requests that were handled: in the file, waiting to be written, or in neither: there was no room in the buffer,
  /// the recording is full, the file failed.
  std::uint64_t handled = 0, written = 0, waiting = 0, missed = 0;
  /// "/var/tmp/day.csv: No space left on device"; empty unless it failed.
  std::string error{};

  bool balanced() const noexcept { return handled == written + waiting + missed; }
};

struct RecordingOptions {
  /// Replaced if it is there.
  std::string path{};
  /// 1 to 20,000,000, which is what sluice-sim reads.
  std::uint64_t requests_max = 1'000'000;
  /// Of lines that wait for the disk, 4 KiB to 1 GiB; a line has some 40 bytes. As much again while it is written.
  std::size_t buffer_bytes_max = 4 * 1024 * 1024;
  /// Called once, if the recording is full or has failed.
  ///   Thread: the one that writes, or the caller of flush(). Must not throw, call flush() or end the recording.
  std::function<void(const RecordingStatus&)> on_end{};
};

/// Writes a line for every request that its middleware sees answered.
///   Thread:   any. It has one thread of its own, which writes the file: when the buffer is half full, and every second;
///             it takes no signals. No loop ever waits for the disk; a request for which there is no room is counted as missed.
///   Lifetime: the destructor writes what waits. It may die before its server; requests go on unrecorded then.
///   Cost:     for each request a few allocations, three looks at the clock and a short lock that all share; a plain
///             handler on the loop becomes one whose head is copied.
class Recording {
 public:
  ///   Errors: std::invalid_argument for an option out of its range; std::system_error if the file can't be made.
  explicit Recording(RecordingOptions options);
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  ~Recording();

  /// For Router::use, in front of other middleware: what is wrapped by it counts as the request's work. That begins
  /// when the handler does, and ends when the request is answered and the handler has returned; with a streamed
  /// answer, when its head is out.
  ///   What was refused before it ran (503, 429, 404, ...) is not seen: record on a day without overload.
  Middleware middleware() const;

  /// Writes what waits, at once.
  ///   Thread: not a loop's, see check_may_block().
  void flush();
  RecordingStatus status() const;

 private:
  struct State;
  class Note;
  std::shared_ptr<State> state_;
  std::thread writer_;
};

}  // namespace sluice
