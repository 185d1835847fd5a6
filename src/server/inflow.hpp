// inflow.hpp: what has come of a streamed request body and its BodyReader has not taken yet. Bytes go in on the loop,
// and come out on any thread. Never holds more than its window; never runs user code, never waits with its lock held.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include <sluice/stream.hpp>

#include "admission/pool.hpp"

namespace sluice::detail {

class Inflow {
 public:
  struct Taken {
    BodyRead read;
    bool news = false;  // the loop is to be told
  };
  using Callback = std::move_only_function<void()>;

  explicit Inflow(std::size_t window) noexcept : window_{window} {}

  // ---- the reader; any thread
  Taken take(std::span<char> into) noexcept;
  /// Waits until take() has something to say.
  void wait();
  struct Asked {
    bool due = false;   // the callback can be run already
    bool news = false;
  };
  Asked on_ready(Callback&& callback) noexcept;
  /// Why it failed: a status, and a sentence for the log.
  struct Failure {
    std::uint16_t status = 0;
    const char* reason = "";
  };
  Failure failure() const noexcept;
  /// The raw lines; empty before the end.
  std::string trailer_lines() const;

  // ---- the loop
  /// Bytes that put() takes now; 0 before the reader has asked for the first time. The reader makes more room at any
  /// moment and tells if there was none.
  std::size_t room() noexcept;
  /// Errors: std::bad_alloc. `bytes` fits into room().
  void put(std::string_view bytes);
  void end(std::string&& trailer_lines) noexcept;
  void fail(Failure failure) noexcept;
  /// The reader has asked for something: the client may be told to send.
  bool asked() const noexcept;
  /// The reader waits for the client.
  bool hungry() const noexcept;
  /// Loop only: nothing more will come.
  bool over() const noexcept { return over_; }
  bool failed() const noexcept { return failed_; }
  bool due() const noexcept;
  Callback take_due() noexcept;

 private:
  bool ready_locked() const noexcept { return size_ > 0 || ended_ || failure_.status != 0; }
  void wake_locked() noexcept;

  const std::size_t window_;
  bool over_ = false, failed_ = false;  // the loop's own view
  mutable std::mutex lock_;
  std::unique_ptr<char[]> ring_;  // window_ bytes, from the first put() on
  std::size_t begin_ = 0, size_ = 0;
  std::string trailers_;
  Failure failure_{};
  bool ended_ = false;
  bool asked_ = false;
  bool waits_ = false;    // the reader has found nothing
  bool refused_ = false;  // the loop has found no room, and is to be told of some
  admission::Parking* waiter_ = nullptr;  // on its thread's stack; whoever clears it wakes
  Callback ready_;
};

}  // namespace sluice::detail
