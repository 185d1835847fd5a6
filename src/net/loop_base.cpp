#include "net/loop_base.hpp"

#include <utility>

#include "base/assert.hpp"

namespace sluice::net {
namespace {

// A pointer, not a flag: one thread may drive several loops in turn, and a loop may move between threads.
// Initial-exec: it is read several times per request, and a call per read would be felt.
[[gnu::tls_model("initial-exec")]] constinit thread_local LoopBase* running = nullptr;

}  // namespace

LoopBase* LoopBase::current() noexcept { return running; }

LoopBase::Running::Running(LoopBase& loop) noexcept : before_{std::exchange(running, &loop)} {}
LoopBase::Running::~Running() { running = before_; }

void LoopBase::pause(Stream& stream) noexcept {
  if (stream.reading_paused || stream.closing) return;
  stream.reading_paused = 1;
  if (stream.registered) io_pause(stream);
}

void LoopBase::resume(Stream& stream) noexcept {
  if (!stream.reading_paused || stream.closing) return;
  if (base::planted(base::Bug::resume_forgotten)) return;
  stream.reading_paused = 0;
  if (stream.registered) io_resume(stream);
}

void LoopBase::shutdown_after_flush(Stream& stream) noexcept {
  if (stream.want_shutdown || stream.closing) return;
  stream.want_shutdown = 1;
  touch(stream);
}

void LoopBase::close_after_flush(Stream& stream) noexcept {
  if (stream.closing) return;
  stream.close_when_flushed = 1;
  touch(stream);
}

void LoopBase::close(Stream& stream) noexcept {
  if (stream.closing) return;
  stream.closing = 1;
  timers_.cancel(stream.timer);
  // Bytes of a write under way are the kernel's until it is confirmed.
  if (!stream.write_queued) stream.out.clear(blocks_);
  // A dirty stream is still linked through next_dirty; the flush moves it over.
  if (!stream.dirty) append(closing_, stream);
}

void LoopBase::reset(Stream& stream) noexcept {
  if (stream.closing) return;
  stream.reset = 1;
  close(stream);
}

}  // namespace sluice::net
