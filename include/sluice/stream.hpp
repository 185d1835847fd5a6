// stream.hpp: bodies that come and go in pieces: BodyReader pulls a request's, ResponseWriter sends an answer's.
//
// Both hold back the other side: what the reader does not take stays in the client's socket, what the client does not
// take is refused to the writer. Both are handles: while one lives the request and its views live, and its permit stays
// taken. The first line of each type says on which thread it may be used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sluice/handler.hpp>

namespace sluice {

/// What a BodyReader found.
struct BodyRead {
  enum class State : std::uint8_t {
    data,  // `bytes` were read
    end,  // the whole body has been read
    later,  // nothing is there yet; on_ready() tells
    failed,  // no more will come, and it was not all: problem() says why
  };
  State state = State::later;
  std::size_t bytes = 0;
};

/// Any thread, one at a time. Reads a request's body as it arrives (RouteOptions::stream_body); the body of another
/// route, which is there already, can be read the same way.
///   Limits:   the route's body_bytes_max (413), Limits::body_rate_min while the reader waits (408), and the request's
///             budget until the answer begins. At most Limits::body_window_bytes are read ahead.
///   Lifetime: it pins the request, as a Responder does. A body that is not read to its end is thrown away if the rest
///             is known to be small; else the connection ends after the answer.
class BodyReader {
 public:
  /// One that is at its end.
  BodyReader() noexcept = default;
  BodyReader(BodyReader&&) noexcept = default;
  BodyReader& operator=(BodyReader&&) noexcept = default;

  /// What is there, up to the size of `into`; never waits. The first call of try_read, read or on_ready invites the
  /// body of a client that has sent `Expect: 100-continue`; call one of them before Responder::stream(), since no 100 can
  /// follow a final head.
  ///   Units: bytes; `into` must not be empty.
  BodyRead try_read(std::span<char> into);
  /// Waits for at least one byte; 0 is the end of the body.
  ///   Thread: not a loop's: there it throws std::logic_error instead of waiting.
  ///   Errors: throws problem(): 413 over the limit, 400 malformed, 408 too slow or no budget left, 499 the client left.
  std::size_t read(std::span<char> into);
  /// Everything that is left, for callers of read().
  ///   Errors: as read(); Problem 413 if it is more than `bytes_max`.
  std::string read_all(std::size_t bytes_max);
  /// Calls `callback` once, when try_read() would not say `later`; a second call replaces it.
  ///   Thread: it runs on the request's loop, between events, and must not block. What it throws is logged.
  void on_ready(std::move_only_function<void()> callback);

  /// Why reading failed; meaningful after State::failed.
  Problem problem() const;
  /// Fields after a chunked body, once its end was read; none that frame, route, authenticate or restrict a message.
  ///   Source: RFC 9110 6.5.
  std::vector<std::pair<std::string, std::string>> trailers() const;

 private:
  friend class DecodedReader;
  friend class Request;
  explicit BodyReader(detail::Handle&& handle) noexcept : handle_{std::move(handle)} {}
  /// As on_ready(), whatever try_read() would say.
  void call_soon(std::move_only_function<void()> callback);
  detail::Handle handle_;
  std::size_t taken_ = 0;  // of a body that was there already
};

/// How a streamed answer's body is announced.
struct StreamOptions {
  /// Its size in bytes, if it is known: sent as Content-Length, and held to. Unset: chunked, or until the connection's
  /// end for a client of HTTP/1.0.
  std::optional<std::uint64_t> length{};
};

/// Any thread, one at a time. Sends an answer's body piece by piece; made by Responder::stream, which has sent the head.
///   The request's budget ended with the head. From here on a client that takes nothing for Limits::write_timeout is
///   cut off, and the stop token tells. Destroyed before finish() it cuts the connection, so that what was sent can't
///   be taken for the whole.
class ResponseWriter {
 public:
  /// One whose client is gone.
  ResponseWriter() noexcept = default;
  ResponseWriter(ResponseWriter&&) noexcept = default;
  ResponseWriter& operator=(ResponseWriter&& other) noexcept;
  ~ResponseWriter();

  /// Takes as much of `bytes` as there is room for, and says how much that was; never waits. At most
  /// Limits::output_high_water bytes wait for the client. Small pieces are gathered: see flush().
  ///   Errors: std::length_error for more bytes than StreamOptions::length; none of them is sent.
  std::size_t try_write(std::string_view bytes);
  /// Waits until all of `bytes` was taken. False: the client is gone, or too slow.
  ///   Thread: not a loop's: there it throws std::logic_error instead of waiting.
  bool write(std::string_view bytes);
  /// Sends what was gathered: else it waits for 4 KiB, or for finish().
  void flush() noexcept;
  /// Calls `callback` once, when half of the room is free again or the client is gone; a second call replaces it.
  ///   Thread: it runs on the request's loop, between events, and must not block. What it throws is logged.
  void on_drain(std::move_only_function<void()> callback);

  /// Ends the body. False: it can't be whole any more: the client is gone, or less than StreamOptions::length was
  /// written, which cuts the connection.
  bool finish() noexcept;
  /// The same with trailer fields, which only a chunked body can carry: else they are dropped.
  ///   Errors: std::invalid_argument for a field that may not be a trailer; nothing was ended.
  bool finish(std::span<const HeaderView> trailers);

  /// Bytes that try_write() would take now.
  std::size_t room() const noexcept;
  /// Nobody will read what is written: the client has left, is too slow, or had its answer already.
  bool closed() const noexcept;
  /// False for an answer to HEAD: what is written is counted and thrown away.
  bool wants_body() const noexcept;

 private:
  friend class Responder;
  explicit ResponseWriter(detail::Handle&& handle) noexcept : handle_{std::move(handle)} {}
  detail::Handle handle_;
};

}  // namespace sluice
