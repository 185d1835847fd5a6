// chaos_script.hpp: what one client of a chaos run asks for, and what the routes promise it.
// Thread: the test's. Values only; the run that uses them is chaos.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "net/sim_net.hpp"

namespace sluice::sim {

using namespace std::chrono_literals;
using base::TimePoint;

enum class Kind {
  on_loop,
  echo,
  echo_pool,
  pool,
  small,
  later,
  never,
  twice,
  throws,
  throws_pool,
  drops,
  raises,
  watches,
  hooked,
  big,
  missing,
  too_large,
  streams_in,
  streams_both
};
inline constexpr int kind_count = 19;

/// What a route promises; the routes and the checks read it here.
struct Terms {
  const char* path;
  std::chrono::milliseconds budget;
  std::chrono::milliseconds wait_max;  // in its queue; the automatic one is a quarter of a short budget
};
inline constexpr std::array<Terms, kind_count> terms{{{"/loop", 5000ms, 1250ms},
                                                      {"/echo", 5000ms, 1250ms},
                                                      {"/echo-pool", 300ms, 75ms},
                                                      {"/pool", 100ms, 25ms},
                                                      {"/small", 200ms, 150ms},
                                                      {"/later", 100ms, 80ms},
                                                      {"/never", 100ms, 25ms},
                                                      {"/twice", 100ms, 25ms},
                                                      {"/throw", 5000ms, 1250ms},
                                                      {"/throw-pool", 100ms, 25ms},
                                                      {"/drop", 100ms, 25ms},
                                                      {"/raise", 100ms, 25ms},
                                                      {"/watch", 100ms, 25ms},
                                                      {"/hook", 100ms, 25ms},
                                                      {"/big", 5000ms, 1250ms},
                                                      {"/nowhere", 0ms, 0ms},
                                                      {"/tiny", 5000ms, 1250ms},
                                                      {"/stream-in", 300ms, 75ms},
                                                      {"/through", 300ms, 75ms}}};
constexpr const Terms& of(Kind kind) { return terms[static_cast<std::size_t>(kind)]; }

/// One request of a client's script.
struct Ask {
  Kind kind = Kind::on_loop;
  std::uint64_t id = 0;
  std::chrono::milliseconds takes{0};
  std::string method = "GET";
  std::string bytes;
  std::string body;
  TimePoint sent{};
  bool was_sent = false;
  bool closes = false;  // says that it is the last one
};

struct Script {
  net::SimClient* client = nullptr;
  std::vector<Ask> asks;
  std::size_t next = 0;         // first ask not sent yet
  bool pipelines = false;
  bool left = false;            // by its own will
  bool polite = true;           // reads, waits, does not leave early
  bool said_close = false;      // the last request sent had Connection: close
  bool broke_its_word = false;  // and another followed
  bool leaves_when_done = false;
  Script* successor = nullptr;  // connects once this one is over, so that slots are used again at once
  const Script* predecessor = nullptr;
  bool begun = false;
  TimePoint left_at = base::never;
  // What complete() has read so far, so that it looks at every byte once.
  std::size_t read_bytes = 0;
  std::size_t read_answers = 0;
  std::size_t wanted_bytes = 0;  // no answer can end before that many bytes are there
};

/// How many complete answers the client has.
inline std::size_t complete(Script& script) {
  const std::string& bytes = script.client->received();
  while (bytes.size() > script.read_bytes && bytes.size() >= script.wanted_bytes) {
    const std::size_t end = bytes.find("\r\n\r\n", script.read_bytes);
    if (end == std::string::npos) break;
    const std::string_view head = std::string_view{bytes}.substr(script.read_bytes, end - script.read_bytes);
    if (head.starts_with("HTTP/1.1 1")) {  // interim
      script.read_bytes = end + 4;
      continue;
    }
    const bool bodiless = script.read_answers < script.asks.size() && script.asks[script.read_answers].method == "HEAD";
    std::size_t length = 0;
    const std::size_t at = head.find("Content-Length: ");
    if (at != std::string_view::npos && !bodiless) length = std::stoul(std::string{head.substr(at + 16, 10)});
    script.wanted_bytes = end + 4 + length;
    if (bytes.size() < script.wanted_bytes) break;
    script.read_bytes = script.wanted_bytes;
    ++script.read_answers;
  }
  return script.read_answers;
}

}  // namespace sluice::sim
