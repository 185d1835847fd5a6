// connection.hpp: the state machine of one connection. Bytes come in, answers go out through the stream's chain; it
// makes no system call and knows no backend. Loop thread only. Drawn in src/README.md.
//
// An idle connection is this object and nothing else: no buffer, no exchange.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <sluice/message.hpp>

#include "base/block_pool.hpp"
#include "http/head_writer.hpp"
#include "net/stream.hpp"
#include "server/exchange.hpp"
#include "server/pressure.hpp"

namespace sluice::detail {

struct FileBody;
class Shard;

struct ReadyTag {};

class Connection final : public net::Stream, public base::ListNode<ReadyTag> {
 public:
  enum class State : std::uint8_t {
    idle,      // between requests, nothing read
    head,      // part of a head is there
    body,      // the head is complete, the body is not
    discard,   // answered early; what is left of the body is thrown away
    handling,  // a handler or a queue has the request
    streaming, // its answer's head is out, the body is being written
    refusing,  // its 503 is held back for a moment
    resting,   // refused too often: what the client sends is not read for a moment
    closing,   // the last answer is on its way out
    lingering, // our side is closed; what the client still sends is thrown away
    closed,    // nothing more happens
  };

  void open(Shard& shard) noexcept;
  void start() noexcept { arm(); }
  State state() const noexcept { return state_; }
  Exchange* exchange() const noexcept { return exchange_; }

  // ---- from the loop
  void input(std::span<char> bytes);
  void input_over();
  void output_drained();
  void output_progressed() noexcept;
  void output_closed() noexcept;
  void timer_fired();
  /// The connection is over, whatever the reason: claims or unlinks its exchange, then closes. The one close function.
  void cut(bool with_reset) noexcept;

  // ---- from the shard
  /// The current exchange has its answer (or a fixed one by its claim).
  void deliver(Exchange& exchange);
  /// Goes on with bytes that were kept.
  void pump();
  /// A body of the current exchange has moved, or its reader wants something.
  void bodies_moved();
  /// A granted exchange has arrived: its handler starts.
  void run_on_loop();
  /// Ends the current exchange before it started: out of its queue or on the way from it.
  void end_unstarted(admission::Claim outcome);
  /// An idle connection gets a short grace, the others close after their answer.
  void begin_drain() noexcept;
  /// The drain's end: what waits in a queue gets its 503, everything else is cut.
  void drain_out();
  /// Since when nothing is going on here; base::never if something is, or if its last request was for an exempt route.
  base::TimePoint idle_since() const noexcept;
  /// Pauses or resumes reading, by what is kept and how scarce memory is.
  void update_reading() noexcept;
  /// For the simulator's proof alone: writes an answer nobody waits for any more.
  void deliver_late(Exchange& exchange);

  std::uint32_t in_flight_requests = 0;  // exchanges of this connection that hold a permit, zombies included

 private:
  // Reading (connection.cpp); handing over (dispatch.cpp)
  std::size_t process(std::span<char> bytes);
  inline std::size_t read_head(std::span<char> bytes);
  inline bool parse_head(std::span<char> head);
  inline bool find_route(bool known);
  bool find_route_by_pattern(std::string_view path);
  inline std::size_t follow_route(std::span<char> behind);
  inline std::size_t begin_body(std::span<char> behind);
  std::size_t read_body(std::span<char> bytes);
  std::size_t read_fixed_body(std::span<char> bytes);
  std::size_t read_chunked_body(std::span<char> bytes);
  std::size_t discard_body(std::span<char> bytes);
  bool expectation_met(std::span<char> behind);
  bool expectation_refused();
  admission::ArrivalView arrival_view() const noexcept;
  /// Frees an exchange that nothing pins, also if there was no memory for its answer. Defined in shard.hpp.
  class Done {
   public:
    Done(Connection& connection, Exchange& exchange) noexcept : connection_{connection}, exchange_{exchange} {}
    Done(const Done&) = delete;
    Done& operator=(const Done&) = delete;
    inline ~Done();
    /// It is still needed.
    void keep() noexcept { kept_ = true; }

   private:
    Connection& connection_;
    Exchange& exchange_;
    bool kept_ = false;
  };
  void dispatch();
  void pass_gate(admission::Tally& tally);
  void serve_in_place(admission::Tally& tally);
  /// Whether the handler had an answer at hand, without a permit.
  bool answered_first();
  void admit(const admission::ArrivalView& arrival);
  std::uint64_t client_of(Exchange& exchange) const;
  void phase_over();
  bool handling_timed_out(base::TimePoint now);
  bool body_is_slow() const noexcept;
  void keep(std::span<const char> rest);

  // Bodies in pieces (streaming.cpp)
  enum class Rest : std::uint8_t { none, small, large };
  /// What is still to come of the current exchange's streamed body: nothing, what can be thrown away, or more.
  Rest rest_of_body() const noexcept {
    return exchange_ == nullptr || exchange_->inflow == nullptr ? Rest::none : rest_of_streamed_body();
  }
  Rest rest_of_streamed_body() const noexcept;
  std::size_t begin_streamed_body();
  std::size_t feed_body(std::span<char> bytes);
  std::size_t feed_fixed_body(std::span<char> piece);
  std::size_t feed_chunked_body(std::span<char> piece);
  void fail_body(Inflow::Failure failure) noexcept;
  /// Whether its client has been too slow for a reader that waits; fails it then.
  void judge_body_rate() noexcept;
  base::TimePoint next_rate_check() const noexcept;
  void discard_rest(const Exchange& answered);
  void begin_streaming(Response& head);
  void send_stream();
  void stream_over_time();
  void write_piece(std::string&& bytes, bool chunked);
  void expect_progress() noexcept;

  // Waiting for memory (pressure.cpp)
  /// Whether reading has to wait because memory is scarce.
  bool held_back() noexcept;
  bool body_held_back(Pressure level) noexcept;
  void keep_little();

  // Answering (answers.cpp)
  void answer_options();
  void answer_not_allowed(MethodMask allowed);
  /// An answer before the request's end, without its handler.
  void answer_early(int status, std::string_view fields = {});
  void end_early(int status, std::string_view fields, bool body_withheld);
  /// The client broke a rule: answer, then close.
  void refuse(http::Reject reject);
  void shed(ShedReason reason, bool body_withheld);
  void answer_shed(ShedReason reason, bool body_withheld);
  /// The route's on_shed in place of a 503. False: it has none.
  bool answer_degraded(ShedReason reason);
  void rest_or_idle() noexcept;
  /// Cuts the budget to what the client's deadline fields leave of it. True: nothing is left, and it has been told so.
  bool spent_on_arrival();
  /// By the claim: the work's answer, or a fixed one. Leaves the exchange to whoever called.
  void answer_claimed(Exchange& exchange);
  void answer_fixed(Exchange& exchange);
  void write_response(Response& response);
  void write_rare_response(Response& response, bool close, bool small);
  void write_fixed(int status, std::string_view fields, bool close);
  inline void place_head(const http::ResponseHead& head, std::string_view small_body);
  void write_head(const http::ResponseHead& head, std::string_view small_body);
  void write_large_head(const http::ResponseHead& head, std::string_view small_body);
  void write_body(Response& response);
  void write_file(std::shared_ptr<const FileBody> body);
  void sent_answer() noexcept;
  void leave_exchange(bool close);
  bool is_last_request() const noexcept;
  bool must_close() const noexcept;
  bool head_only() const noexcept;

  // State
  void enter_idle() noexcept;
  void begin_closing() noexcept;
  /// As begin_closing(), behind the answer to the request at hand, which said that it is the last one.
  void end_behind_answer(const http::Head& head) noexcept;
  /// Nothing more will be asked: ends the connection behind the answers that are still on their way.
  void end_after_output() noexcept;
  void release_exchange() noexcept;
  void arm() noexcept;
  base::TimePoint next_deadline() const noexcept;

  Shard* shard_ = nullptr;
  Exchange* exchange_ = nullptr;  // being read, handled or discarded; in the shard's slab
  base::Buffer kept_;  // input not consumed yet
  base::TimePoint phase_deadline_{};
  base::TimePoint write_deadline_ = base::never;  // while output waits and the peer takes none
  std::uint32_t discarded_ = 0;  // bytes thrown away after our last answer
  State state_ = State::closed;
  std::uint8_t refused_in_a_row_ = 0;
  bool alone_ = false;  // the request at hand is here as a whole, and nothing has come behind it
  bool for_exempt_ = false;  // the last request was for an exempt route
};

static_assert(sizeof(Connection) <= 192);

}  // namespace sluice::detail
