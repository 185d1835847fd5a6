// shard.hpp: one loop's share of the server: its connections, its exchanges, its counters. The protocol behind
// Loop<Io, Shard>; the only place where net, http and admission meet.
//
// Thread: its loop, but for post(), release_permit() and what says so. Lives until the server is gone and the last of
// its exchanges has come home, whichever is later.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "admission/ladder.hpp"
#include "base/slab.hpp"
#include "http/date.hpp"
#include "http/head_memory.hpp"
#include "http/parser.hpp"
#include "net/loop_base.hpp"
#include "server/connection.hpp"
#include "server/core.hpp"
#include "server/exchange.hpp"
#include "server/loop_guard.hpp"
#include "server/pressure.hpp"

namespace sluice::detail {

/// Counters of one shard's connections; written by its loop alone.
struct ConnectionTally {
  admission::Count accepted, closed, refused_requests, head_timeouts, body_timeouts, idle_closed, slow_readers, resets;
  admission::Count idle_reaped, memory_pauses;
  admission::Count accept_pauses, responses, responses_dropped, bytes_buffered, bytes_copied, drain_finished, drain_cut;
  admission::Count refusals, reads_paused, accepts_paused, refusal_rung, refusal_cost_ns;
};

class Shard {
 public:
  Shard(std::shared_ptr<Core> core, std::size_t index);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  /// Before the loop runs. `loop` lives as long as this shard.
  void attach(net::LoopBase& loop, Peer (*peer_lookup)(int fd)) noexcept {
    loop_ = &loop;
    loop.refuse_blocking(core_->options().refuse_blocking);
    peer_lookup_ = peer_lookup;
  }

  /// Who keeps this shard and its loop; set once, before the loop runs.
  void held_by(std::weak_ptr<void> holder) noexcept { holder_ = std::move(holder); }
  /// Keeps this shard, its loop and its core while the result lives. For a thread that is about to end a pin: the
  /// loop may free the exchange, and the server may go, while that thread is still inside a post or a release.
  ///   Thread: any that pins an exchange.
  std::shared_ptr<void> keep() const noexcept { return holder_.lock(); }

  // ---- Protocol of Loop<Io, Shard>
  net::Stream* opened(int fd) noexcept;
  void started(net::Stream& stream) noexcept;
  void input(net::Stream& stream, std::span<char> bytes) noexcept;
  void input_ended(net::Stream& stream) noexcept;
  void failed(net::Stream& stream, int error) noexcept;
  void drained(net::Stream& stream) noexcept;
  void wrote(net::Stream& stream, std::size_t bytes) noexcept;
  void output_shut(net::Stream& stream) noexcept;
  void expired(net::Stream& stream) noexcept;
  void posted(net::MailNode& node) noexcept;
  void closed(net::Stream& stream) noexcept;
  void flushed() noexcept { guard_.look_again(); }
  void turn_ended() noexcept {
    if (has_work()) work_off();
    const std::size_t bytes = loop_->blocks().bytes_in_use();
    counts_.bytes_buffered.set_owned(bytes);
    counts_.bytes_copied.set_owned(loop_->blocks().bytes_copied());
    relief_.turn_ended(*this, bytes, (accept_holds_ & full) != 0);
    if (draining_) quit_if_drained();
  }
  bool has_work() const noexcept { return !ready_.empty() || !stops_.empty() || !calls_.empty() || !due_.empty(); }
  net::Stream* find(std::uint32_t slot, std::uint32_t generation) noexcept;
  void accept_paused(int reason) noexcept;
  void timer_fired(net::TimerNode& node) noexcept;

  // ---- any thread
  /// What the owner may ask of a running shard; each includes those before it.
  enum class Wish : std::uint8_t { nothing, drain, cut };
  /// Drain: no new connections, the rest ends after its answer, at the core's drain deadline by force.
  /// Cut: everything ends now. The loop leaves run() once no connection is left.
  void ask(Wish wish) noexcept;
  /// Whether it has begun to drain, so that its listening sockets may be closed.
  bool stopped_accepting() const noexcept { return stopped_accepting_.load(std::memory_order_acquire); }
  Core& core() noexcept { return *core_; }
  /// Puts an exchange's node into the mailbox; if the loop is gone, takes its place.
  void post(Exchange& exchange) noexcept;
  void release_permit(admission::Lane& lane, admission::Ticket ticket) noexcept;
  bool on_loop_thread() const noexcept { return loop_->on_this_thread(); }
  /// The route whose handler the loop is in at this moment, or nullptr.
  const Route* running_route() const noexcept { return guard_.running(); }
  LoopStatus status() const { return guard_.status(*loop_); }
  bool in_frame_of(const Exchange& exchange) const noexcept { return on_loop_thread() && frame_ == &exchange; }
  const ConnectionTally& connection_tally() const noexcept { return counts_; }

  // ---- loop thread
  net::LoopBase& loop() noexcept { return *loop_; }
  base::BlockPool& blocks() noexcept { return loop_->blocks(); }
  base::TimePoint now() const noexcept { return loop_->now(); }
  const Limits& limits() const noexcept { return core_->limits(); }
  const http::DateLine& date() noexcept {
    date_.update(loop_->wall());
    return date_;
  }
  http::HeadParser& parser() noexcept { return parser_; }
  http::HeadMemory& head_memory() noexcept { return head_memory_; }
  ConnectionTally& counts() noexcept { return counts_; }
  admission::Tally& tally(admission::Lane& lane) noexcept { return lane.tally(index_); }
  const http::HeadLimits& head_limits() const noexcept { return head_limits_; }
  Pressure pressure() const noexcept { return relief_.level(loop_->blocks().bytes_in_use()); }
  PressureRelief& relief() noexcept { return relief_; }
  bool memory_tight() const noexcept { return pressure() == Pressure::refuse; }
  /// Bytes of a connection's output above which none of its further requests is looked at. While new requests are
  /// refused a client that does not read has one refusal waiting, not a thousand.
  std::size_t output_max() const noexcept { return memory_tight() ? 0 : limits().output_high_water; }
  bool draining() const noexcept { return draining_; }

  /// A request was refused at a gate. How that is to be told is the ladder's to say.
  void note_refusal() noexcept;
  admission::Ladder& ladder() noexcept { return ladder_; }
  LoopGuard& guard() noexcept { return guard_; }
  /// Whether a refusal may be held back: not where connections are short.
  bool may_hold_refusals() const noexcept {
    return ladder_.rung() >= admission::Rung::delay && !draining_ && connections_.in_use() * 5 < connections_max_ * 4;
  }
  /// How long to hold back an answer, or not to read: different for each, so that they don't come back together.
  base::Duration refusal_delay() noexcept;

  Exchange* take_exchange(Connection& connection) {
    Exchange* const exchange = exchanges_.take();
    exchange->open(*this, connection.slot, connection.generation);
    return exchange;
  }
  /// Runs the handler on the loop and gives the permit back if that was the last pin. Writing the answer, then
  /// freeing the exchange, is the caller's.
  LifeOf<base::StdSync>::Arrival run_frame(Exchange& exchange) noexcept;
  /// The connection of this exchange is over: claims it or takes it out of its queue.
  void abandon(Exchange& exchange) noexcept;
  /// The budget's end, or the drain's if that is nearer.
  base::TimePoint effective_deadline(const Exchange& exchange) const noexcept {
    return std::min(exchange.deadline, core_->drain_deadline());
  }
  Peer peer_of(const Exchange& exchange);
  Peer peer_of(int fd) const { return peer_lookup_ == nullptr ? Peer{"unknown"} : peer_lookup_(fd); }
  /// A claim by the loop while the work goes on.
  void mark_zombie(Exchange& exchange) noexcept;
  void free(Exchange& exchange) noexcept {
    SLUICE_ASSERT(!exchange.alive());  // what was admitted ends with an outcome
    if (exchange.has_more()) [[unlikely]]
      strike(exchange);
    exchange.clear();
    exchanges_.give(exchange);
  }
  void fire_stop_later(Exchange& exchange) noexcept;
  /// The exchange's callbacks that are due run before this turn ends, or in the next one.
  void call_later(Exchange& exchange) noexcept {
    exchange.note_more();
    if (!exchange.base::ListNode<CallListTag>::linked()) calls_.push_back(exchange);
  }
  /// Has the watch looked at when it wants to be; never from inside of this call.
  void settle(const std::shared_ptr<Watch>& watch, const Route* route) noexcept;
  /// The connection has kept bytes and deserves another go, at the list's tail.
  void requeue(Connection& connection) noexcept;
  void forget(Connection& connection) noexcept;

  // ---- between turns or after the last one, on the loop's thread
  /// Work that has not come home yet, by route.
  void count_running(std::map<std::string, std::uint64_t>& by_route);
  /// From here on whoever posts last frees this shard: `self` keeps it and its loop alive until then.
  void retire(std::shared_ptr<void> self) noexcept;

  /// Requests whose work is over while their connection still waits for the answer. Not 0 only while a post is under
  /// way.
  std::size_t undelivered() noexcept;
  template <class F>
  void for_each_connection(F&& visit) {
    connections_.for_each_in_use(visit);
  }
  std::size_t connection_count() const noexcept { return connections_.in_use(); }
  std::size_t exchange_count() const noexcept { return exchanges_.in_use(); }

 private:
  template <class F>
  void guarded(Connection& connection, F&& event) noexcept;
  void start_granted(Exchange& exchange) noexcept;
  void home(Exchange& exchange) noexcept;
  void news_of(Exchange& exchange) noexcept;
  void look() noexcept { guard_.look(now(), loop_->blocks().owners_ended()); }
  void strike(Exchange& exchange) noexcept;
  void deliver_to_nobody(Exchange& exchange) noexcept;
  void adopt_orphan(Exchange& exchange) noexcept;
  void obey() noexcept;
  void quit_if_drained() noexcept;
  void begin_drain() noexcept;
  void cut_all() noexcept;
  Connection* owner_of(const Exchange& exchange) noexcept;
  void fire_stops() noexcept;
  void run_calls() noexcept;
  void look_at_due() noexcept;
  void look_at_armed() noexcept;
  void break_streams(Exchange& exchange) noexcept;
  void work_off() noexcept;
  void resume_ready() noexcept;
  void ladder_window() noexcept;
  void hold_accepting(unsigned why, bool held) noexcept;

  std::shared_ptr<Core> core_;
  const std::size_t index_;
  net::LoopBase* loop_ = nullptr;
  std::weak_ptr<void> holder_;
  const http::HeadLimits head_limits_;
  const std::size_t connections_max_;
  LoopGuard guard_;
  PressureRelief relief_;
  http::HeadParser parser_;
  http::HeadMemory head_memory_;
  http::DateLine date_;
  base::Slab<Connection> connections_;
  base::Slab<Exchange> exchanges_;
  base::List<Exchange, StopListTag> stops_;
  base::List<Exchange, CallListTag> calls_;
  base::List<Watch, WatchTag> armed_;  // in the wheel
  base::List<Watch, WatchTag> due_;
  base::List<Connection, ReadyTag> ready_;
  Peer (*peer_lookup_)(int fd) = nullptr;
  const Exchange* frame_ = nullptr;  // whose handler is running on the loop
  bool draining_ = false;
  enum AcceptHold : unsigned { full = 1, refusing = 2 };
  unsigned accept_holds_ = 0;
  bool cut_ = false;
  bool last_words_over_ = false;  // the second cut has come
  ConnectionTally counts_;

  struct ControlNode : net::MailNode {
    std::atomic<bool> posted{false};
  } control_;
  std::atomic<Wish> wish_{Wish::nothing};
  std::atomic<bool> stopped_accepting_{false};
  net::TimerNode drain_timer_;

  admission::Ladder ladder_;
  net::TimerNode ladder_timer_;  // armed while there are refusals, or a rung to come down from
  struct {
    base::TimePoint begin{};
    base::Duration busy{0};  // CPU time of this thread
    std::uint64_t answers = 0, refusals = 0;
  } window_;  // what had been counted when it began
  std::uint64_t spread_ = 0x9E3779B97F4A7C15u;

  std::mutex orphan_lock_;     // after retire(): several threads may bring the last exchanges home
  std::shared_ptr<void> self_;  // under it
};

inline Connection::Done::~Done() {
  if (kept_) return;
  if (connection_.exchange_ == &exchange_) connection_.exchange_ = nullptr;
  connection_.shard_->free(exchange_);
}

}  // namespace sluice::detail
