// http_get.hpp: fetches one document over HTTP/1.1, again and again on one connection: the counters of a server.
// In: a Target. Out: the body of a 200, or nothing.
// Thread: one at a time; blocks for at most about a second. Must never wait longer, whatever the other end does.
#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.hpp"
#include "load/client/target.hpp"

namespace sluice::bench {

/// A complete answer at the start of `bytes`: status and body, chunks joined.
struct Answer {
  unsigned status = 0;
  std::string body{};
  bool keeps_connection = true;
};
enum class Wants : unsigned char { more, nothing };
/// Errors: Wants::more if bytes are missing, Wants::nothing if this is no HTTP or too large.
///   `ended`: nothing more will come; a body without a length is then complete.
[[nodiscard]] std::expected<Answer, Wants> read_answer(std::string_view bytes, bool ended);

class HttpGet {
 public:
  static constexpr std::chrono::milliseconds timeout{500};  // for the connect, and for the answer
  static constexpr std::size_t answer_bytes_max = 4 << 20;

  /// Fetches `target.path`. Connects when that is first asked for.
  explicit HttpGet(Target target) : target_{std::move(target)} {}

  /// The body of the answer if that is a 200; nothing if anything else happens. Connects when there is no connection.
  std::optional<std::string> fetch();

 private:
  bool connect();
  std::optional<Answer> ask();

  Target target_;
  base::Fd fd_{};
};

}  // namespace sluice::bench
