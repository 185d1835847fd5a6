// sim_net.hpp: a network in memory: virtual time, seeded delays and segments, scripted and random faults, clients.
// In: what scripts make clients do, what SimIo writes and connects. Out: events for SimIo, bytes for clients; the same
// for the same seed. Thread: one at a time (a driver that lets one thread run after another hands over under a lock of
// its own).
// Must never use real time, real sockets or a random number that is not the seed's.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "net/sim_random.hpp"

namespace sluice::net {

class SimIo;
class SimNet;
struct SimConnection;

enum class SimOp : std::uint8_t { accept, read, write };
enum class SimFault : std::uint8_t {
  partial,         // read, write: one byte only
  again,           // an event that turns out to be nothing; write: nothing is taken for a short while
  reset,           // read, write: the connection breaks on both sides
  no_descriptors,  // accept: EMFILE
  stall,           // read, write: as again, for seconds
};
inline constexpr std::size_t sim_op_count = 3;
inline constexpr std::size_t sim_fault_count = 5;

/// "The nth (from 1) operation of that kind, counted over the whole net, fails so."
struct SimScriptedFault {
  SimOp op = SimOp::read;
  std::uint64_t nth = 1;
  SimFault kind = SimFault::partial;
};

/// A fault that was really applied, and the connection it met: of which Io (in the order they were made), and the name
/// it has there. An accept has no connection yet: generation 0.
struct SimFaultMet {
  SimOp op = SimOp::read;
  SimFault kind = SimFault::partial;
  std::size_t io = 0;
  std::uint32_t slot = 0, generation = 0;
};

/// How the net behaves. The defaults are drawn from the seed.
struct SimOptions {
  /// As io_uring: writes are confirmed in a later dispatch, input under way is delivered after a pause, a close is
  /// final only when nothing is in flight.
  bool confirm_later = false;
  base::Duration delay_max{};           // of a segment, one way
  std::size_t segment_bytes_max = 0;
  std::size_t send_buffer_bytes = 0;    // the server kernel's, per connection
  std::size_t receive_buffer_bytes = 0;
};

/// A client of the simulated network, for scripts. Owned by its SimNet.
class SimClient {
 public:
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  SimClient(SimNet& net, std::uint32_t number) noexcept : net_{net}, number_{number} {}
  SimClient(const SimClient&) = delete;
  SimClient& operator=(const SimClient&) = delete;

  /// Once per client. The first free loop that listens on the port gets it; the seed chooses among several.
  void connect(unsigned port = 80);
  void send(std::string_view bytes);
  /// FIN behind what was sent.
  void half_close();
  /// FIN, and whatever still comes is answered with a reset.
  void close();
  void reset();
  /// Takes this many bytes more, then stalls; `unlimited` is the default.
  void set_window(std::size_t bytes);

  std::uint32_t number() const noexcept { return number_; }
  const std::string& received() const noexcept { return received_; }
  bool connected() const noexcept { return connection_ != nullptr; }
  bool saw_fin() const noexcept { return saw_fin_; }
  /// Also: nobody listens, or the server broke the connection off.
  bool saw_reset() const noexcept { return saw_reset_; }
  /// No more bytes will come.
  bool over() const noexcept { return saw_fin_ || saw_reset_ || closed_; }
  /// Bytes sent by the script that have not left yet, because the server does not read.
  std::size_t unsent() const noexcept { return outgoing_.size() - left_; }

  /// Called with each piece, after received() has it; may call the client.
  std::function<void(std::string_view)> on_data{};
  /// Called once, after a FIN or reset from the server.
  std::function<void()> on_over{};

 private:
  friend class SimNet;
  friend class SimIo;

  void arrive();
  void broken();
  void pump();
  bool push_segment();

  SimNet& net_;
  std::uint32_t number_;
  SimConnection* connection_ = nullptr;
  std::string outgoing_{};
  std::size_t left_ = 0;  // bytes of outgoing_ that are on their way
  std::string received_{};
  std::size_t window_ = unlimited;
  bool want_fin_ = false, sent_fin_ = false, closed_ = false, was_reset_ = false;
  bool saw_fin_ = false, saw_reset_ = false;
};

/// The network and its clock.
class SimNet final : public base::Clock {
 public:
  explicit SimNet(std::uint64_t seed);
  SimNet(const SimNet&) = delete;
  SimNet& operator=(const SimNet&) = delete;
  ~SimNet();

  base::TimePoint now() const noexcept override { return now_; }
  std::time_t wall() const noexcept override;

  std::uint64_t seed() const noexcept { return seed_; }
  SimRandom& random() noexcept { return random_; }
  /// To be changed before the first client connects.
  SimOptions& options() noexcept { return options_; }

  /// A descriptor for Loop::listen. Several loops may listen on one port.
  static int listener(unsigned port) noexcept { return listener_fd + static_cast<int>(port); }
  /// A new client; it lives as long as the net.
  SimClient& client();

  void script(const SimScriptedFault& fault) { scripted_.push_back(fault); }
  /// Every operation fails with this probability, in a way the seed chooses. `resets`: breaking connections too.
  void random_faults(unsigned per_million, bool resets) noexcept {
    fault_chance_ = per_million;
    fault_resets_ = resets;
  }
  /// How often that fault was really applied.
  std::uint64_t applied(SimOp op, SimFault kind) const noexcept {
    return applied_[static_cast<std::size_t>(op)][static_cast<std::size_t>(kind)];
  }
  /// Called at each of them, before the loop hears of it; must not call the net.
  std::function<void(const SimFaultMet&)> on_fault{};
  std::uint64_t operations(SimOp op) const noexcept { return operations_[static_cast<std::size_t>(op)]; }
  /// Events that named a connection which was closed meanwhile, and found nobody.
  std::uint64_t stale_events() const noexcept { return stale_events_; }

  /// When something happens next; base::never if nothing is under way.
  base::TimePoint next_event() const noexcept { return events_.empty() ? base::never : events_.top().at; }
  /// Sets the clock and runs all that is due, clients' callbacks included. Call it between turns of loops, often.
  void advance_to(base::TimePoint time);
  /// Inside a handler: its thread is busy for that long, and nobody else moves meanwhile.
  void pass(base::Duration time) noexcept { now_ += time; }
  /// Runs all that is due at the present time.
  void deliver() { advance_to(now_); }
  /// Runs `action` at that time, between turns.
  void at(base::TimePoint time, std::function<void()> action);

 private:
  friend class SimIo;
  friend class SimClient;

  static constexpr int listener_fd = 1 << 28;  // no real descriptor is that large
  static constexpr int connection_fd = 1 << 24;

  struct Event {
    base::TimePoint at;
    std::uint64_t order;
    std::function<void()> action;
    bool operator<(const Event& other) const noexcept {  // the queue's top is the largest: the earliest
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Verdict {
    bool faulty = false;
    SimFault kind = SimFault::partial;
  };

  base::Duration delay();
  Verdict judge(SimOp op);
  void count(SimOp op, SimFault kind, const SimConnection* connection = nullptr) noexcept;
  SimConnection& connection(int fd) noexcept;
  SimConnection& make_connection();
  void connect(SimClient& client, unsigned port);
  SimConnection& connect(SimIo& io, unsigned port);
  bool offer(SimConnection& connection, unsigned port);
  void answer(SimConnection& ours, bool offered);
  void to_server(SimConnection& connection, std::string bytes, bool fin);
  void to_client(SimConnection& connection, std::string bytes, bool fin);
  void reset_to_server(SimConnection& connection);
  void reset_to_client(SimConnection& connection, bool drops_data);
  void break_off(SimConnection& connection);
  void pass_on(SimConnection& from);
  void tell_room(SimConnection& connection);
  void tell_server(SimConnection& connection);
  void tell_writable(SimConnection& connection, base::Duration after);

  std::uint64_t seed_;
  SimRandom random_;
  SimOptions options_;
  base::TimePoint now_;
  std::uint64_t order_ = 0;
  std::priority_queue<Event> events_;
  std::vector<SimIo*> ios_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::vector<std::unique_ptr<SimConnection>> connections_;
  std::vector<SimScriptedFault> scripted_;
  unsigned fault_chance_ = 0;
  bool fault_resets_ = false;
  std::uint64_t stale_events_ = 0;
  std::array<std::uint64_t, sim_op_count> operations_{};
  std::array<std::array<std::uint64_t, sim_fault_count>, sim_op_count> applied_{};
};

}  // namespace sluice::net
