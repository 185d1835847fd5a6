// compressed_writer.cpp: bytes in, an encoder, a small buffer, a ResponseWriter. What the writer has no room for stays
// in the buffer, and nothing further is encoded until it is gone. Any thread, one at a time; never waits but in write().
#include <array>
#include <atomic>
#include <stdexcept>
#include <utility>

#include <sluice/blocking.hpp>
#include <sluice/extra/compression.hpp>

#include "base/assert.hpp"
#include "extra/coding.hpp"
#include "extra/compression_rules.hpp"

namespace sluice {
namespace detail {

class EncodedStream {
 public:
  EncodedStream(ResponseWriter&& to, std::optional<ContentCoding> how, CompressionLevel level)
      : out{std::move(to)}, coding{how} {
    if (!coding) return;
    if (!coding_available(*coding)) {
      throw std::logic_error{"CompressedWriter: this sluice was built without " + std::string{to_string(*coding)}};
    }
    if (!out.wants_body()) return;
    encoder_ = make_encoder({*coding, level, std::nullopt});
    buffer_ = std::make_unique<Buffer>();
  }

  /// Whether bytes go through as they are: without a coding, and to nobody.
  bool plain() const noexcept { return !encoder_; }
  std::string_view pending() const noexcept { return pending_; }
  void sent_pending() noexcept { pending_ = {}; }

  std::size_t take(std::string_view bytes) {
    std::size_t taken = 0;
    if (!settle()) return 0;
    while (taken < bytes.size() && push()) taken += encode(bytes.substr(taken)).consumed;
    push();
    return taken;
  }
  /// Lets settle() flush or finish; a flush that has begun goes first.
  void ask(Encoder::Mode mode) noexcept {
    if (mode_ == Encoder::Mode::run) mode_ = mode;
    else if (mode == Encoder::Mode::finish) finish_asked_ = true;
  }
  /// Carries on with what was asked for. True: it is done, and nothing is pending.
  bool settle() {
    while (push()) {
      if (mode_ == Encoder::Mode::run && !std::exchange(finish_asked_, false)) return true;
      if (mode_ == Encoder::Mode::run) mode_ = Encoder::Mode::finish;
      if (ended_) return true;
      const Encoder::Mode asked = mode_;
      if (!encode({}).done) continue;
      if (asked == Encoder::Mode::finish) {
        ended_ = true;
      } else {
        mode_ = Encoder::Mode::run;
        flush_owed_ = true;
      }
    }
    return false;
  }

  /// Ends the body now, or as soon as there is room. False: it can't be whole.
  static bool finish(std::shared_ptr<EncodedStream> stream);

  ResponseWriter out;
  const std::optional<ContentCoding> coding;

 private:
  using Buffer = std::array<char, 16 * 1024>;
  enum class Turn : std::uint8_t { open, registered, called };

  /// True: nothing is pending.
  bool push() {
    if (!pending_.empty()) pending_.remove_prefix(out.try_write(pending_));
    if (!pending_.empty()) return false;
    if (std::exchange(flush_owed_, false)) out.flush();
    return true;
  }
  Encoder::Step encode(std::string_view bytes) {
    SLUICE_ASSERT(pending_.empty());
    const Encoder::Step step = encoder_->encode(bytes, *buffer_, mode_);
    pending_ = {buffer_->data(), step.produced};
    return step;
  }

  std::unique_ptr<Encoder> encoder_;
  std::unique_ptr<Buffer> buffer_;
  std::string_view pending_;  // in buffer_: encoded and not taken by the writer
  Encoder::Mode mode_ = Encoder::Mode::run;
  bool finish_asked_ = false;  // while a flush was under way
  bool ended_ = false;
  bool flush_owed_ = false;  // the writer's, behind what is pending
  std::atomic<Turn> turn_{Turn::open};
};

// The callback may run on the loop before on_drain() has returned here, and finishing in it would end the pin that
// on_drain() still needs. So whoever of the two comes second goes on.
bool EncodedStream::finish(std::shared_ptr<EncodedStream> stream) {
  for (;;) {
    if (stream->out.closed()) return false;
    if (stream->settle()) return stream->out.finish();
    stream->turn_.store(Turn::open, std::memory_order_relaxed);
    stream->out.on_drain([stream] {
      if (stream->turn_.exchange(Turn::called, std::memory_order_acq_rel) == Turn::registered) finish(stream);
    });
    if (stream->turn_.exchange(Turn::registered, std::memory_order_acq_rel) == Turn::open) return true;
  }
}

}  // namespace detail

CompressedWriter::CompressedWriter(ResponseWriter&& out, std::optional<ContentCoding> coding, CompressionLevel level)
    : stream_{std::make_shared<detail::EncodedStream>(std::move(out), coding, level)} {}

std::optional<ContentCoding> CompressedWriter::coding() const noexcept {
  return stream_ ? stream_->coding : std::nullopt;
}

std::size_t CompressedWriter::try_write(std::string_view bytes) {
  if (!stream_) return 0;
  return stream_->plain() ? stream_->out.try_write(bytes) : stream_->take(bytes);
}

bool CompressedWriter::write(std::string_view bytes) {
  if (!stream_) return false;
  if (stream_->plain()) return stream_->out.write(bytes);
  for (;;) {
    bytes.remove_prefix(stream_->take(bytes));
    if (bytes.empty()) return !closed();
    if (closed()) return false;
    if (on_loop_thread()) {
      throw std::logic_error{"CompressedWriter::write() would block its loop; wrap the handler in blocking()"};
    }
    if (!stream_->out.write(stream_->pending())) return false;
    stream_->sent_pending();
  }
}

bool CompressedWriter::flush() {
  if (!stream_) return false;
  if (stream_->plain()) {
    stream_->out.flush();
    return true;
  }
  stream_->ask(detail::Encoder::Mode::flush);
  return stream_->settle();
}

void CompressedWriter::on_drain(std::move_only_function<void()> callback) {
  if (stream_) stream_->out.on_drain(std::move(callback));
}

bool CompressedWriter::finish() {
  const std::shared_ptr<detail::EncodedStream> stream = std::move(stream_);
  stream_.reset();
  if (!stream) return false;
  if (stream->plain()) return stream->out.finish();
  stream->ask(detail::Encoder::Mode::finish);
  return detail::EncodedStream::finish(stream);
}

bool CompressedWriter::closed() const noexcept { return !stream_ || stream_->out.closed(); }

bool CompressedWriter::wants_body() const noexcept { return stream_ && stream_->out.wants_body(); }

CompressedWriter stream_compressed(const Request& request, Responder&& responder, Response head,
                                   const CompressionOptions& options) {
  const detail::CompressionRules rules{options};
  std::optional<ContentCoding> coding;
  if (rules.any() && rules.suits(head)) {
    detail::say_that_it_varies(head);
    coding = rules.choose(request);
    if (coding) detail::say_coding(head, *coding);
  }
  return CompressedWriter{std::move(responder).stream(std::move(head)), coding, options.level};
}

}  // namespace sluice
