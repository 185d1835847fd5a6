// exchange.hpp: one request's whole life: its bytes, route, deadline, claim word, pins and the slot for its answer.
//
// Lives in a shard's slab; taken and freed by the loop only. Handlers and handles on any thread pin it; the rules that
// keep this sound are those of life.hpp and job.hpp. Members are grouped by who may touch them.
#pragma once

#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/handler.hpp>

#include "admission/job.hpp"
#include "base/block_pool.hpp"
#include "http/chunked.hpp"
#include "http/head.hpp"
#include "http/head_guard.hpp"
#include "net/mailbox.hpp"
#include "server/inflow.hpp"
#include "server/life.hpp"
#include "server/outflow.hpp"
#include "server/route.hpp"
#include "server/watch.hpp"

namespace sluice::detail {

class Connection;
class Core;
class Shard;

struct StopListTag {};
struct CallListTag {};

class Exchange final : public admission::Job,
                       public net::MailNode,
                       public base::ListNode<StopListTag>,
                       public base::ListNode<CallListTag> {
 public:
  // ---- set by the slab
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  // ---- loop thread, before the handler starts; read-only while it is pinned
  void open(Shard& home, std::uint32_t of_slot, std::uint32_t of_generation) noexcept {
    if (home_ == nullptr) settle_in(home);
    connection_slot = of_slot;
    connection_generation = of_generation;
    claim.store(admission::Claim::idle, std::memory_order_relaxed);
    guard.reset();
  }
  /// Copies the head's bytes, so that they outlive the Io's buffer; views into the old place move along.
  void own_head();
  /// As own_head, and remembers who the client is: from here on the connection may end while the work goes on.
  void own_bytes(int fd);
  /// Everything goes back to its pool; the last thing before the slab gets it.
  void clear() noexcept {
    if (has_more()) [[unlikely]]
      clear_more();
    body = {};
    match.param_count = 0;
    route = nullptr;
    lane = nullptr;
    body_received = 0;
    if (has_response_) response_.reset();
    has_response_ = false;
    stop_requested_.store(false, std::memory_order_relaxed);
    if (head.framing == http::Framing::chunked) chunked.reset();
  }
  /// It owns its bytes, is in a list or a count of its shard's, or has something else that a request answered in place
  /// has not: there is more to clear. Thread: any that pins it.
  void note_more() noexcept { has_more_.store(true, std::memory_order_relaxed); }
  bool has_more() const noexcept { return has_more_.load(std::memory_order_relaxed); }

  http::HeadGuard guard;
  http::ChunkedDecoder chunked;
  http::Head head;
  const char* head_bytes = nullptr;  // the Io's or the connection's until own_head(), then own_head_buffer's
  std::size_t head_size = 0;
  base::Buffer own_head_buffer;
  std::string_view body;  // in place, or own_body's
  base::Buffer own_body;
  std::string path_scratch;
  Match match;
  Route* route = nullptr;
  base::Duration budget{0};  // the route's, or less if the client said so; set with the route
  std::uint32_t connection_slot = 0;
  std::uint32_t connection_generation = 0;
  std::uint64_t body_received = 0;
  ShedReason refused = ShedReason::queue_full;  // while its 503 is held back
  base::TimePoint held_until{};  // when its body's wait for memory ends; {}: it has not waited
  std::unique_ptr<Inflow> inflow;  // of a streamed body; null: there is none to come
  base::TimePoint rate_since{};  // loop only: since when its reader has waited, as far as the minimum rate goes
  std::uint64_t rate_from = 0;  // loop only: what had come by then
  bool continue_owed = false;  // loop only: the client waits for a 100
  bool chunks = false;  // loop only: its streamed answer is chunked
  std::string trailers{};  // loop only: of its request body, as they come
  bool closes = false;  // loop only: the connection ends behind its streamed answer
  bool zombie = false;  // claimed by the loop while its work goes on
  bool counted = false;  // in its connection's in-flight number

  // ---- any thread
  Request& request() noexcept { return request_; }
  Shard& home() const noexcept { return *home_; }
  /// Asks for the end of the work. The loop fires the token's callbacks later, outside of any state change.
  ///   Thread: loop.
  void request_stop() noexcept;
  bool stop_requested() const noexcept { return stop_requested_.load(std::memory_order_acquire); }
  std::stop_token stop_token();
  /// Runs the callbacks. Thread: loop.
  void fire_stop() noexcept;

  /// RUNNING becomes `outcome`, or somebody was quicker. Thread: any.
  bool claim_running(admission::Claim outcome) noexcept;

  /// A handle answers, fails or is dropped. Thread: any.
  Sent answer(Response&& response) noexcept;
  Sent fail(Problem&& problem) noexcept;
  Sent fail(std::exception_ptr error) noexcept;
  void drop() noexcept;
  Handle second_handle() noexcept;
  /// Answers with a head whose body is to be written to outflow(). False: too late. `response` has no body.
  ///   Errors: std::bad_alloc; nothing was claimed then.
  bool begin_stream(Response&& response, std::optional<std::uint64_t> length);
  /// Null until begin_stream() has won.
  Outflow* outflow() const noexcept { return outflow_.load(std::memory_order_acquire); }
  /// A ResponseWriter is done. False: the body is not whole.
  bool end_writer(Outflow::End how, std::string&& trailer_lines) noexcept;
  /// The loop is to look at the bodies. Thread: any that pins it.
  void tell_news() noexcept;
  /// True once: whoever asks gets the reader.
  bool take_reader() noexcept {
    note_more();
    return !reader_taken_.exchange(true, std::memory_order_relaxed);
  }
  /// A callback of user code that has nothing to wait for: the loop runs it soon. Thread: any that pins it.
  void call_soon(std::move_only_function<void()>&& callback);
  /// The loop looks at `watch` at that moment, or at one it was told before if that is nearer; base::never: not at all.
  /// No pin is held meanwhile. Thread: any that pins this exchange and holds no lock that look() takes.
  void look_at(const std::shared_ptr<Watch>& watch, base::TimePoint at) noexcept;
  /// Those that other threads have told about, linked by next_. Thread: the loop's, or whoever adopts this exchange.
  std::shared_ptr<Watch> take_watches() noexcept;
  static Exchange& of(const Request& request) noexcept { return *request.exchange_; }
  /// Callbacks of user code whose moment has come.
  struct Calls {
    std::move_only_function<void()> read, written;
    std::vector<std::move_only_function<void()>> others{};
  };
  bool call_due() noexcept;
  Calls take_calls() noexcept;
  /// Runs those that are due. Thread: loop.
  void run_calls() noexcept;
  /// A callback may hold the exchange's last handle: nothing of the exchange is touched here.
  static void run(Calls& calls, Core& core, const Route& route) noexcept;
  void add_edit(std::move_only_function<void(Response&)> edit) {
    note_more();
    edits_.push_back(std::move(edit));
  }

  // ---- the frame
  After run() noexcept override;  // on a worker
  LifeOf<base::StdSync>::Arrival run_on_loop() noexcept;
  /// On the loop, for a plain function from request to response: there is no handle that anybody else could have, so
  /// claim and pins need no atomics. True: the answer has been built at `place`. False: it has thrown, and what is to be
  /// said is here.
  bool run_in_place(admission::Tally& tally, void* place) noexcept;
  /// The answer it built is to be had from response().
  void keep_answer(Response&& answer) noexcept { store(std::move(answer)); }
  /// On the loop, for a handler that may have its answer at hand. True: the answer is here.
  bool answer_first() noexcept;
  void send_home() noexcept override;
  void send_home_unstarted() noexcept override;
  LifeOf<base::StdSync>::Arrival arrive() noexcept { return life_.arrive(); }
  bool pinned() const noexcept { return life_.pinned(); }

  /// What the route's on_shed says to the client in place of a 503; nullptr: it has none, or it threw. Thread: loop.
  Response* degraded(ShedReason reason) noexcept;
  /// What the route's on_expect says. Thread: loop.
  enum class Expectation : std::uint8_t { met, refused, threw };
  Expectation ask_about_expectation() noexcept;
  /// The answer it refused with.
  Response& refusal() noexcept { return response_; }
  /// The answer the work gave, once DELIVER was seen; nullptr: a fixed one, by the claim. Thread: loop.
  Response* response() noexcept;
  /// Thread: any that pins it.
  Peer peer() const;

 private:
  friend class sluice::Request;

  bool invoke() noexcept;
  template <class Call>
  bool call_user(Call&& call) noexcept;
  bool fail_frame(const Problem* problem) noexcept;
  void log_problem(const Problem& problem) const noexcept;
  Sent finish(Response&& response, admission::Claim outcome) noexcept;
  Sent finish_fixed() noexcept;
  bool edit(Response& response) noexcept;
  void store(Response&& response) noexcept;
  void end_handle(bool answered) noexcept;
  void settle(LifeOf<base::StdSync>::End end, Shard& home, admission::Lane* held, admission::Ticket of_permit) noexcept;
  /// Counts one more; `running` alone goes down.
  void count(admission::Count admission::Tally::* column,
             admission::Count admission::Tally::* second = nullptr) noexcept;
  void settle_in(Shard& home) noexcept;
  void clear_more() noexcept;
  bool unwinding_own_frame() const noexcept;

  Shard* home_ = nullptr;
  Request request_{*this};
  LifeOf<base::StdSync> life_;
  std::atomic<bool> stop_requested_{false};
  std::atomic<std::stop_source*> stop_{nullptr};  // made on first use, owned
  std::atomic<const void*> frame_thread_{nullptr};
  int frame_exceptions_ = 0;  // in flight on the frame's thread when it began
  std::atomic<Outflow*> outflow_{nullptr};  // owned
  std::atomic<bool> reader_taken_{false};
  std::atomic<bool> has_more_{false};  // what clear_more() clears is not as new
  std::vector<std::move_only_function<void()>> calls_;  // under decoded_lock_
  std::shared_ptr<Watch> watches_;  // the same; newest first
  std::vector<std::move_only_function<void(Response&)>> edits_;
  std::mutex decoded_lock_;  // a request may be read from several threads
  std::optional<Peer> peer_;  // set by own_bytes; until then the connection is asked
  std::deque<std::pair<const char*, std::string>> decoded_;  // query values that were escaped, by where they lie

  // Written by the winner of the claim before DELIVER is set; read by the loop after it saw that.
  Response response_;
  bool has_response_ = false;
};

}  // namespace sluice::detail
