// client.hpp: the protocol of a generator thread: keeps to the plan, sends, reads answers, and writes down when.
// In: events of a Loop, the clock. Out: requests on connections, one ThreadRecord. Thread: its loop's, also in simulated
// time. Must never let the answers decide when the next planned request is due, never drop a planned request unrecorded.
// client.cpp holds what happens to connections and requests, pace.cpp the phases of the run and the thread's own time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/slab.hpp"
#include "http/response_parser.hpp"
#include "load/client/group.hpp"
#include "load/client/records.hpp"
#include "load/client/settings.hpp"
#include "net/loop_base.hpp"

namespace sluice::bench {

class Client {
 public:
  /// Late by that much, or busy for that long in one turn: the thread stood still.
  static constexpr base::Duration stall_min = std::chrono::milliseconds{10};
  /// No answer for that long, while requests waited, is worth noting.
  static constexpr base::Duration silence_min = std::chrono::milliseconds{100};
  /// The longest sleep, so that a thread that was held up is noticed whatever it waited for.
  static constexpr base::Duration heartbeat = std::chrono::milliseconds{10};
  /// Connects under way at once, so that a listener's backlog is not flooded.
  static constexpr unsigned connecting_max = 128;

  Client(const Settings& settings, Meeting& meeting, Part part, const base::Clock& clock);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Before the first turn.
  void use(net::LoopBase& loop) noexcept { loop_ = &loop; }
  /// After the loop has quit.
  ThreadRecord take_record() noexcept {
    if (settings_.load->on_window) give_windows(record_.windows.size());
    return std::move(record_);
  }

  // ---- for the loop ----
  net::Stream* opened(int) noexcept { return nullptr; }
  void connected(net::Stream& stream) noexcept;
  void input(net::Stream& stream, std::span<char> bytes) noexcept;
  void input_ended(net::Stream& stream) noexcept;
  void failed(net::Stream& stream, int error) noexcept;
  void writing(net::Stream& stream) noexcept;
  void wrote(net::Stream& stream, std::size_t count) noexcept;
  void drained(net::Stream&) noexcept {}
  void output_shut(net::Stream&) noexcept {}
  void expired(net::Stream& stream) noexcept;
  void posted(net::MailNode&) noexcept {}
  void closed(net::Stream& stream) noexcept;
  bool turn_ended() noexcept;
  net::Stream* find(std::uint32_t slot, std::uint32_t generation) noexcept { return slab_.find(slot, generation); }
  void accept_paused(int) noexcept {}
  base::TimePoint next_wake() noexcept;

 private:
  enum class Phase : std::uint8_t { connecting, waiting, loading, grace, over };

  // Connections.
  void connect_more(base::TimePoint now) noexcept;
  bool may_connect(const Group& group, base::TimePoint now) const noexcept;
  Connection* open_connection(Group& group) noexcept;
  void connect_failed(Group& group, int error) noexcept;
  void lose_request(Group& group, base::TimePoint now) noexcept;
  void stop_connecting(Connection& connection, int error) noexcept;
  void leave(Connection& connection) noexcept;
  void close(Connection& connection) noexcept;
  void reset(Connection& connection) noexcept;

  // Requests.
  void serve(Group& group, base::TimePoint now) noexcept;
  void release_idle(Group& group, base::TimePoint now) noexcept;
  void offer(Connection& connection, base::TimePoint now) noexcept;
  void send(Connection& connection, Flight flight) noexcept;
  void send_piece(Connection& connection) noexcept;
  void read_answers(Connection& connection, std::string_view in, base::TimePoint now) noexcept;
  void answered(Connection& connection, base::TimePoint now) noexcept;
  void lose_flights(Connection& connection, Outcome outcome, base::TimePoint now) noexcept;
  void send_elsewhere(Group& group, Flight flight) noexcept;
  Flight pop_flight(Connection& connection) noexcept;

  // What became of them.
  void count_planned(Group& group, Flight& flight) noexcept;
  void finish(Group& group, Flight flight, Outcome outcome, base::TimePoint now) noexcept;
  void record(Group& group, const Flight& flight, Outcome outcome, base::TimePoint now) noexcept;
  void note_answer(Outcome outcome, base::TimePoint now) noexcept;
  void note_silence(base::TimePoint now) noexcept;
  WindowRecord* window_at(base::TimePoint at) noexcept;
  void end_windows(base::TimePoint now) noexcept;
  void end_last_window() noexcept;
  void give_windows(std::size_t count) noexcept;
  std::uint64_t waiting(base::TimePoint now) const;

  // Time.
  void advance(base::TimePoint now) noexcept;
  base::TimePoint wake_for(const Group& group) const noexcept;
  bool connected_all() const noexcept;
  void follow_courses(base::TimePoint now) noexcept;
  void start(base::TimePoint at) noexcept;
  void end_load(base::TimePoint now) noexcept;
  void finish_all(base::TimePoint now) noexcept;
  void account(base::TimePoint now) noexcept;
  void tell() noexcept;
  bool measured(base::TimePoint at) const noexcept { return at >= measure_from_ && at < end_; }

  const Settings& settings_;
  Meeting& meeting_;
  const Part part_;
  const base::Clock& clock_;
  net::LoopBase* loop_ = nullptr;
  base::Slab<Connection> slab_;
  http::ResponseHeadParser parser_{};
  std::vector<std::unique_ptr<Group>> groups_{};
  ThreadRecord record_{};
  std::string text_{};  // a rendered request

  Phase phase_ = Phase::connecting;
  base::TimePoint connect_by_, measure_from_ = base::never, end_ = base::never, grace_end_ = base::never;
  unsigned connecting_ = 0;  // under way
  std::size_t next_source_;
  std::uint64_t held_ = 0;  // requests on connections, sent or not; of those that are measured, no background
  std::uint64_t outstanding_ = 0;  // of them: sent
  std::uint64_t unconnected_ = 0;  // of them: on connections that are being made
  bool spoke_http_ = false;

  // For account().
  base::TimePoint turn_end_, wait_begin_ = base::never, planned_wake_ = base::never;
  base::TimePoint last_answer_{}, waiting_since_{};
  base::Duration cpu_at_start_{};
  bool measuring_ = false;
  std::uint64_t work_seen_ = 0;
  std::size_t windows_ended_ = 0, windows_given_ = 0;
  unsigned courses_seen_ = 0;
  std::uint64_t ok_ = 0, refused_ = 0, failed_ = 0;  // not told yet
  std::int64_t outstanding_told_ = 0;
};

}  // namespace sluice::bench
