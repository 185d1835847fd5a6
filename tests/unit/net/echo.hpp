// echo.hpp: a small line protocol for tests of the loop: it answers lines, pauses, closes, and checks every rule that
// the loop promises to its protocol.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "base/block_pool.hpp"
#include "base/slab.hpp"
#include "net/loop_base.hpp"

namespace sluice::net {

/// Byte number `index` of every large answer.
inline char pattern(std::size_t index) noexcept { return static_cast<char>('a' + index % 23); }
inline std::string pattern_text(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t index = 0; index < size; ++index) text[index] = pattern(index);
  return text;
}

struct EchoConnection : Stream {
  base::Buffer pending{};
  bool open = false;
  bool over = false;    // nothing more is answered
  bool listed = false;  // in Echo::ready_
};

/// Answers "text\n" with "text\n". "big N" sends N bytes, "quit" closes, "shut" ends sending, "reset" resets.
class Echo {
 public:
  static constexpr unsigned lines_max = 16;  // per connection and turn

  LoopBase* loop = nullptr;
  std::size_t high_water = 8192;
  std::size_t pending_max = 8192;
  std::size_t connections_max = 1000;
  base::Duration idle = base::Duration::max();

  unsigned opened_count = 0, closed_count = 0, failed_count = 0, ended_count = 0, drained_count = 0, shut_count = 0,
           expired_count = 0, posted_count = 0, paused_count = 0;
  std::vector<int> accept_errors{};
  std::vector<int> errors{};
  std::size_t bytes_peak = 0;
  bool stopping = false;

  struct Stop : MailNode {
  } stop_node{};

  std::size_t connections() const noexcept { return slab_.in_use(); }

  Stream* opened(int) noexcept {
    if (slab_.in_use() >= connections_max || stopping) return nullptr;
    EchoConnection& connection = *slab_.take();
    SLUICE_ASSERT(!connection.open);
    connection.open = true;
    connection.over = connection.listed = false;
    connection.pending = base::Buffer{loop->blocks()};
    ++opened_count;
    if (idle != base::Duration::max()) loop->arm(connection, loop->now() + idle);
    return &connection;
  }
  void input(Stream& stream, std::span<char> bytes) noexcept {
    EchoConnection& connection = check(stream);
    SLUICE_ASSERT(!bytes.empty() && !stream.input_ended);
    connection.pending.append(bytes);
    std::ranges::fill(bytes, '#');  // they are ours to change
    answer(connection);
  }
  void input_ended(Stream& stream) noexcept {
    ++ended_count;
    answer(check(stream));
  }
  void failed(Stream& stream, int error) noexcept {
    check(stream);
    ++failed_count;
    errors.push_back(error);
    loop->close(stream);
  }
  void wrote(Stream& stream, std::size_t count) noexcept {
    SLUICE_ASSERT(count > 0);
    answer(check(stream));
  }
  void drained(Stream& stream) noexcept {
    check(stream);
    SLUICE_ASSERT(stream.out.empty() && !stream.write_blocked && !stream.write_queued);
    ++drained_count;
  }
  void output_shut(Stream& stream) noexcept {
    check(stream);
    SLUICE_ASSERT(stream.out.empty());
    ++shut_count;
  }
  void expired(Stream& stream) noexcept {
    check(stream);
    ++expired_count;
    loop->close(stream);
  }
  void posted(MailNode& node) noexcept {
    SLUICE_ASSERT(loop->on_this_thread());
    ++posted_count;
    if (&node != &stop_node) return;
    stopping = true;
    loop->stop_accepting();
    slab_.for_each_in_use([this](EchoConnection& connection) { loop->close(connection); });
  }
  void closed(Stream& stream) noexcept {
    auto& connection = static_cast<EchoConnection&>(stream);
    SLUICE_ASSERT(connection.open && stream.closing && stream.in_flight == 0 && stream.fd == -1);
    SLUICE_ASSERT(stream.out.empty() && !stream.timer.armed());
    connection.open = false;
    connection.pending.clear();
    ++closed_count;
    slab_.give(connection);
  }
  bool turn_ended() noexcept {
    SLUICE_ASSERT(LoopBase::current() == loop);
    bytes_peak = std::max(bytes_peak, loop->blocks().bytes_in_use());
    for (const auto& [slot, generation] : std::exchange(ready_, {})) {
      EchoConnection* const connection = slab_.find(slot, generation);
      if (connection == nullptr) continue;
      connection->listed = false;
      if (!connection->closing) answer(*connection);
    }
    if (stopping && slab_.in_use() == 0) loop->quit();
    return !ready_.empty();
  }
  Stream* find(std::uint32_t slot, std::uint32_t generation) noexcept { return slab_.find(slot, generation); }
  void accept_paused(int error) noexcept { accept_errors.push_back(error); }

  /// What the server has to answer to that input.
  static std::string expected(std::string_view input) {
    std::string output;
    while (!input.empty()) {
      const std::size_t end = input.find('\n');
      if (end == std::string_view::npos) break;
      const std::string_view line = input.substr(0, end + 1);
      input.remove_prefix(end + 1);
      if (line.starts_with("big ")) {
        output += pattern_text(std::stoul(std::string{line.substr(4)}));
      } else {
        output += line;
        if (line == "quit\n" || line == "shut\n" || line == "reset\n") break;
      }
    }
    return output;
  }

 private:
  EchoConnection& check(Stream& stream) noexcept {
    auto& connection = static_cast<EchoConnection&>(stream);
    SLUICE_ASSERT(connection.open && !stream.closing && loop->on_this_thread());
    SLUICE_ASSERT(slab_.find(stream.slot, stream.generation) == &connection);
    return connection;
  }

  void answer(EchoConnection& connection) noexcept {
    unsigned lines = 0;
    while (!connection.over && connection.out.size() < high_water) {
      const std::string_view text{connection.pending.data(), connection.pending.size()};
      const std::size_t end = text.find('\n');
      if (end == std::string_view::npos) break;
      if (++lines > lines_max) {
        if (!connection.listed) ready_.emplace_back(connection.slot, connection.generation);
        connection.listed = true;
        break;
      }
      answer_line(connection, text.substr(0, end + 1));
      if (connection.closing) return;
      connection.pending.consume(end + 1);
    }
    if (connection.over) connection.pending.clear();
    const bool has_line = std::string_view{connection.pending.data(), connection.pending.size()}.contains('\n');
    if (connection.input_ended && !has_line) {
      if (!connection.over || connection.was_shutdown || connection.want_shutdown) loop->close_after_flush(connection);
      return;
    }
    const bool full = connection.out.size() >= high_water || (has_line && connection.pending.size() >= pending_max);
    if (full && !connection.reading_paused) ++paused_count;
    if (full) {
      loop->pause(connection);
    } else {
      loop->resume(connection);
    }
  }

  void answer_line(EchoConnection& connection, std::string_view line) noexcept {
    base::BlockPool& pool = loop->blocks();
    if (line == "reset\n") {
      loop->reset(connection);
      return;
    }
    if (line.starts_with("big ")) {
      std::string body = pattern_text(std::stoul(std::string{line.substr(4)}));
      const std::string_view view = body;
      connection.out.append_external(pool, view, std::move(body));
    } else if (line.size() <= OutputChain::reserve_max && line.size() % 2 == 0) {
      char* const room = connection.out.reserve(pool, line.size());
      std::ranges::copy(line, room);
      connection.out.commit(line.size());
    } else {
      connection.out.append(pool, line);
    }
    loop->touch(connection);
    if (line == "quit\n") {
      connection.over = true;
      loop->close_after_flush(connection);
    } else if (line == "shut\n") {
      connection.over = true;
      loop->shutdown_after_flush(connection);
    }
  }

  base::Slab<EchoConnection> slab_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ready_;
};

}  // namespace sluice::net
