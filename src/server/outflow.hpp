// outflow.hpp: what a ResponseWriter has written and the loop has not sent yet. Bytes come in from any thread, batches
// go out on the loop. Never holds more than the high-water mark, what waits in the connection's output included; never
// runs user code, never waits with its lock held.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "admission/pool.hpp"

namespace sluice::detail {

class Outflow {
 public:
  enum class End : std::uint8_t { open, finished, aborted };
  struct Options {
    std::size_t high_water = 64 * 1024;
    std::optional<std::uint64_t> length{};  // what the head has announced
    bool discards = false;                  // HEAD: nothing is sent
  };
  struct Taken {
    std::size_t bytes = 0;
    bool news = false;  // the loop is to be told
  };
  struct Batch {
    std::string bytes{};
    End end = End::open;
    std::string trailers{};  // whole lines; only with End::finished
  };
  using Callback = std::move_only_function<void()>;

  explicit Outflow(const Options& options) noexcept : options_{options} {}

  // ---- the writer; any thread
  /// Errors: std::length_error, std::bad_alloc; nothing was taken then.
  Taken take(std::string_view bytes);
  /// True: the loop is to be told.
  bool flush() noexcept;
  /// The end of writing, once. False: what was written is not the whole, and counts as aborted.
  bool end(End how, std::string&& trailers) noexcept;
  /// Waits for room. False: nobody will read it.
  bool wait_for_room();
  /// True: it is due already.
  bool on_drain(Callback&& callback) noexcept;
  std::size_t room() const noexcept;
  bool closed() const noexcept;
  bool discards() const noexcept { return options_.discards; }
  std::optional<std::uint64_t> length() const noexcept { return options_.length; }

  // ---- the loop
  /// Everything that waits here; `output_bytes` wait in the connection already.
  Batch collect(std::size_t output_bytes) noexcept;
  /// That much waits in the connection. True: the callback is due.
  bool progress(std::size_t output_bytes) noexcept;
  /// Nobody reads any more.
  void break_off() noexcept;
  bool due() const noexcept;
  /// The callback, if it is due, for the caller to run.
  Callback take_due() noexcept;

 private:
  static constexpr std::size_t gather_bytes = 4096;  // below that a piece waits for more, or for flush()

  std::size_t room_locked() const noexcept;
  bool roomy_locked() const noexcept { return broken_ || room_locked() >= options_.high_water / 2; }
  void wake_locked() noexcept;

  const Options options_;
  mutable std::mutex lock_;
  std::string pending_;
  std::string trailers_;
  std::size_t output_bytes_ = 0;  // in the connection, as far as was told
  std::uint64_t accepted_ = 0;
  End end_ = End::open;
  bool broken_ = false;
  admission::Parking* waiter_ = nullptr;  // on its thread's stack; whoever clears it wakes
  Callback drain_;
};

}  // namespace sluice::detail
