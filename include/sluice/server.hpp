// server.hpp: a server from its options to its last connection. Owns its loops, its pool and its sockets; touches
// no signal, no environment variable, no standard stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/admission.hpp>
#include <sluice/deadline.hpp>
#include <sluice/router.hpp>

namespace sluice {

/// Which kernel interface moves the bytes. `automatic` takes io_uring where it can be had, from Linux 6.1 on, and else
/// epoll; it never fails. io_uring needs Linux 6.0, a library built with liburing, and a system that allows it.
enum class Backend : std::uint8_t { automatic, epoll, io_uring };

unsigned default_loops() noexcept;              // one per core this process may use
unsigned default_pool_threads() noexcept;       // max(16, 4 x cores)
std::uint32_t default_connections_max() noexcept;  // min(10,000, half of the fd limit)
bool default_refuse_blocking() noexcept;        // true unless the library was compiled with NDEBUG

/// Every bound of the server. None is 0 or infinite by default; 0 is refused at start.
struct Limits {
  // Shared out evenly among the loops, as buffered_bytes_max is.
  std::uint32_t connections_max = default_connections_max();
  std::uint32_t connection_in_flight_max = 16;     // requests of one connection that still hold a permit
  std::chrono::milliseconds head_timeout{10'000};  // from the first byte to the end of the head, absolute
  std::uint32_t head_bytes_max = 16 * 1024;        // request line and fields; up to 65,535
  std::uint32_t head_fields_max = 100;             // up to 128
  std::uint32_t target_bytes_max = 8 * 1024;
  std::uint64_t body_bytes_max = 1024 * 1024;      // per request, unless its route says otherwise
  std::chrono::milliseconds body_timeout{60'000};  // the whole body, absolute
  std::uint32_t body_rate_min = 240;               // bytes per second, judged after body_grace
  std::chrono::milliseconds body_grace{5'000};
  std::uint32_t body_window_bytes = 64 * 1024;     // of a streamed body, read ahead of its reader
  std::chrono::milliseconds idle_timeout{60'000};  // keep-alive connection without a request
  std::chrono::milliseconds write_timeout{10'000}; // response bytes waiting and none taken
  // Bytes that wait for a client; above it no further pipelined request is parsed and a ResponseWriter takes no more.
  std::uint32_t output_high_water = 64 * 1024;
  std::uint32_t pipelined_max = 16;  // requests answered per connection and turn
  std::uint32_t pipelined_bytes_max = 64 * 1024;  // bytes kept behind a request in progress; then reads pause
  std::chrono::milliseconds linger_timeout{2'000};  // after an error, reading what the client still sends
  std::uint32_t linger_bytes_max = 64 * 1024;  // also: largest refused body that is read and thrown away
  /// All connections together; each loop has its share. From 3/4 of that on idle connections are closed, the longest
  /// idle first; from 7/8 on arriving bodies wait for up to a second; above it new requests and arriving bodies are
  /// refused with 503. Exempt routes are not held to it.
  std::uint64_t buffered_bytes_max = 256ull * 1024 * 1024;
  std::chrono::milliseconds drain_timeout{30'000};
  std::chrono::milliseconds drain_grace{100};  // an idle connection lives so long after drain began
};

/// One event for the log hook. Views live for the call.
struct LogEvent {
  enum class Level : std::uint8_t { info, warning, error };
  Level level = Level::info;
  std::string_view what;  // stable, machine-readable: "handler_threw", "backend", ...
  std::string_view route;  // the route's pattern, or empty
  std::string_view detail;  // free text; may hold an exception's message
};

struct ServerOptions {
  /// "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:80", "unix:/run/app.sock", "unix:@name" (abstract). Port 0: the kernel's
  /// choice, see Server::addresses().
  std::vector<std::string> listen = {"127.0.0.1:8080"};
  unsigned loops = default_loops();
  /// Each loop's thread stays on one of the processors that the process may use: the first on the first, and round again
  /// if there are more loops than processors. For a machine that does nothing else; else the kernel places them better.
  bool pin_loops = false;
  unsigned pool_threads = default_pool_threads();
  Backend backend = Backend::automatic;
  Limits limits{};
  std::uint32_t unix_mode = 0600;  // of a unix socket's path
  /// A client that closes its sending side, with nothing more to be read, counts as having lost interest: a request
  /// that waits in a queue is dropped and the stop token of a running one fires; its answer is sent all the same.
  /// false: only a reset or a failed write counts.
  bool half_close_cancels = true;
  /// Who the client of a request is, for LaneOptions::client_share: an API key, say. Unset, or an empty key: the peer's
  /// address, without the port. Thread: the request's loop; must not block. What it throws counts as an empty key.
  std::function<std::string(const Request&)> client_key{};
  /// Request fields by which a client says how long it will wait, for example DeadlineHeader::grpc_timeout(). They
  /// shorten a request's budget and never lengthen it: the deadline is the complete request plus the least of the
  /// route's budget and what they say; its place in the queue, remaining() and the 504 follow. What can't be read is
  /// ignored. A client whose time is over already has its 504 at once, not started, before its body is read.
  ///   Units: at most 8. Default: none, for clients send such fields without knowing that a server acts on them.
  std::vector<DeadlineHeader> deadline_headers{};
  /// A handler (or a stop token's callback) that holds its loop for longer is counted (LaneCounters::loop_stalls) and
  /// logged as "loop_stalled", once per second and loop at most. Up to seven days. The clock for it moves with the
  /// kernel's tick, every 1 to 10 ms: while that is regular none is counted that took less, and one that took up to two
  /// ticks more may be missed.
  std::chrono::milliseconds loop_stall_threshold{20};
  /// What check_may_block() does on a loop's thread: throw. false: count.
  bool refuse_blocking = default_refuse_blocking();
  /// Renders what a handler raised or threw; default is application/problem+json. The library's own answers (404, 405,
  /// every other refusal, 504, a dropped responder's 500) are fixed and don't come here. Thread: any. Must not throw.
  std::function<Response(const Request&, const Problem&)> render_problem{};
  /// Called once per error and for a few life-cycle events. Thread: any. Must not throw or block.
  std::function<void(const LogEvent&)> log{};
};

/// What the server runs with, for the log of whoever starts it.
struct Report {
  std::string backend{};
  unsigned cores = 0, loops = 0, pool_threads = 0;
  std::vector<std::pair<std::string, unsigned>> pools{};  // named ones -> threads
  std::vector<std::string> addresses{};
  std::vector<std::pair<std::string, std::uint64_t>> limits{};  // name with unit -> value, every one of them
  struct Lane {
    std::string name{};
    std::string runs{};  // "loop", "later" or "pool"
    std::uint64_t in_flight_max = 0, reserved = 0, queue_depth_max = 0, queue_timeout_ms = 0, budget_ms = 0;
    std::string pool{};  // empty: the server's own, or none
  };
  std::vector<Lane> lanes{};
  /// Worst case of what the limits allow the library to hold; bodies of exempt routes and what handlers hold, responses
  /// included, come on top.
  std::uint64_t memory_bytes_max = 0;
  std::vector<std::string> warnings{};

  std::string to_text() const;
  std::string to_json() const;
};

/// What a drain or stop found.
struct DrainReport {
  std::uint64_t finished = 0;  // requests in progress that got an answer, a 503 or 504 included
  std::uint64_t cut = 0;  // requests in progress that did not
  std::vector<std::pair<std::string, std::uint64_t>> still_running{};  // route -> handlers that have not returned
  std::chrono::milliseconds took{0};
};

/// An HTTP/1.1 server.
///   Thread:   start, drain and stop may be called from any thread; drain and stop called on a loop or pool thread of
///             this server begin the work and return without waiting for it. run and wait may be called from any
///             other thread; on one of its own they throw std::logic_error. On a loop of another server all four are
///             calls that block, see check_may_block.
///   Lifetime: the destructor stops the server and waits for handlers that still run. A Responder may outlive it. A
///             handler that never returns can't be ended: drain and stop report it after their deadline and a second,
///             the destructor waits for it.
class Server {
 public:
  /// Checks everything and binds the sockets; nothing is served yet.
  ///   Errors: std::invalid_argument for a bad option, std::system_error for a socket, std::runtime_error for a backend
  ///           that was asked for by name and can't be had; the text names the option.
  Server(Router router, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves on threads of its own and returns at once; does nothing if the server was drained or stopped before.
  ///   Errors: std::logic_error if it was started before.
  void start();
  /// start(), then waits until a drain or stop is over. Returns 0, for main().
  int run();
  /// Stops accepting, answers what is in progress with `Connection: close`, cuts the rest at the deadline.
  DrainReport drain(std::chrono::milliseconds timeout);
  DrainReport drain();
  /// As drain, without waiting for anything in progress.
  DrainReport stop();
  /// Waits until a drain or stop begun elsewhere is over.
  void wait();

  /// The bound addresses, with the kernel's port in place of 0.
  std::vector<std::string> addresses() const;
  /// "epoll" or "io_uring": what the loops run on, from the constructor on.
  std::string_view backend() const noexcept;
  Report report() const;
  Counters counters() const;
  /// Whether it serves, is not draining, and no lane marked with `readiness` is stalled. Thread: any.
  Readiness ready() const;
  /// Every handler that holds a permit now, the oldest first; zombies are those whose client has its answer or is gone.
  ///   Thread: any. Cost: the sum of all lanes' limits.
  std::vector<RunningWork> running() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
