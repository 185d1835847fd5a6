// life_model.hpp: one exchange as the checker sees it: the very code of life.hpp and mailbox.hpp, the claim word, and
// around them the few lines of Exchange and Shard that use them (exchange.cpp: finish, drop, settle, run; streams.cpp:
// begin_stream, end_writer, tell_news; shard.cpp: home, retire, adopt_orphan), with ghosts that know what must never happen.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "admission/job.hpp"
#include "net/mailbox.hpp"
#include "server/life.hpp"
#include "support/interleave.hpp"

namespace sluice::interleave {

enum class Do : std::uint8_t {
  respond,  // claims RESPONDED, ends the handle
  raise,  // claims RAISED, ends the handle
  drop,  // ends the handle; the last one claims a 500 first
  begin_stream,  // claims RESPONDED and keeps the handle, which is a writer's from there on
  news,  // a reader or writer has something for the loop
  end_writer,  // that, and the end of its handle
  touch,  // reads the request
  give_first,  // one handle to the first foreign thread
  give_second,  // one handle to the second one
  give_both,  // two handles to the first foreign thread
  give_hook,  // the handle belongs to a stop callback now, which drops it on the loop
  await_stop,  // until the loop has asked for the end, or taken the answer
  await_answer,  // until the client has its answer
  throws,  // leaves the frame: handles in it are dropped by the unwinding, the frame claims
  returns,  // leaves the frame
};

struct Script {
  const char* name;
  unsigned handles;
  std::vector<Do> frame, first, second;
  bool on_loop_too = true;  // false: on the loop it would wait for itself
};

/// What happens on the loop beside the mailbox, at a moment of the explorer's choice.
enum class Meanwhile : std::uint8_t { nothing, budget_spent, disconnect, stop };

template <class Sync>
class LifeModel {
  using Claim = admission::Claim;
  using Life = detail::LifeOf<Sync>;

 public:
  LifeModel(Explorer& explorer, const Script& script, bool frame_on_loop, Meanwhile meanwhile)
      : explorer_{explorer}, script_{script}, on_loop_{frame_on_loop}, meanwhile_{meanwhile} {
    claim_.store(Claim::running);
    life_.begin();
    if (script.handles == 2) life_.add_handle();
    handles_ = script.handles;
    frame_ = true;
  }

  Explorer::Plan plan() {
    Explorer::Plan plan;
    plan.threads.push_back([this] { loop(); });
    if (!on_loop_) plan.threads.push_back([this] { play(script_.frame, false); });
    if (!script_.first.empty()) plan.threads.push_back([this] { foreign(script_.first, given_[0]); });
    if (!script_.second.empty()) plan.threads.push_back([this] { foreign(script_.second, given_[1]); });
    plan.on_stuck = [this] { return nudge(); };
    plan.at_end = [this] { judge(); };
    return plan;
  }

 private:
  // ---- the ghosts

  void touch(const char* who) { explorer_.check(!freed_, who); }

  void release() {
    explorer_.check(handles_ == 0 && !frame_, "permit released while the work is still pinned");
    explorer_.check(++released_ == 1, "permit released twice");
  }

  void free() {
    explorer_.check(handles_ == 0 && !frame_, "freed while pinned");
    explorer_.check(!posted_, "freed while its node is in the mailbox");
    explorer_.check(!freed_, "freed twice");
    freed_ = true;
  }

  void deliver() {
    touch("delivered after it was freed");
    const Claim outcome = claim_.load();
    explorer_.check(outcome == Claim::responded || outcome == Claim::raised, "delivered without an answer");
    explorer_.check(++delivered_ == 1, "delivered twice");
  }

  void judge() {
    explorer_.check(freed_, "never came home");
    explorer_.check(released_ == 1, "permit never released");
    const Claim outcome = claim_.load();
    const bool answered = outcome == Claim::responded || outcome == Claim::raised;
    explorer_.check(outcome != Claim::running, "no outcome");
    explorer_.check(delivered_ == (answered ? 1 : 0), "an answer that nobody delivered");
    explorer_.check(!news_, "news that nobody heard");
  }

  // ---- Exchange

  bool claim_running(Claim outcome) {
    Claim expected = Claim::running;
    return claim_.compare_exchange_strong(expected, outcome);
  }

  void end_handle(bool answered, bool in_frame_on_loop) {
    touch("a handle ends after the exchange was freed");
    if (in_frame_on_loop) {
      life_.end_handle_in_frame(answered);
      --handles_;
      return;
    }
    const typename Life::End end = life_.end_handle(answered);
    --handles_;
    settle(end);
  }

  void settle(typename Life::End end) {
    if (end.last) release();
    if (end.post) post();
  }

  void post() {
    touch("posted after it was freed");
    explorer_.check(!posted_, "posted twice at a time");
    posted_ = true;
    if (mailbox_.push(&node_) == net::Posted::closed) adopt();
    else pushed_ = true;
  }

  void answer(Claim outcome, bool in_frame_on_loop) {
    touch("a handle is used after the exchange was freed");
    const bool won = claim_running(outcome);
    end_handle(won, in_frame_on_loop);
  }

  void begin_stream(bool in_frame_on_loop) {
    touch("a stream begins after the exchange was freed");
    if (claim_running(Claim::responded) && life_.deliver_pinned(in_frame_on_loop)) post();
  }

  void tell_news() {
    touch("news of an exchange that was freed");
    const bool owed = life_.tell_news();
    news_ = true;  // no other thread runs between the two: they change at operations only
    if (owed) post();
  }

  void end_writer(bool in_frame_on_loop) {
    tell_news();
    end_handle(false, in_frame_on_loop);
  }

  void drop(bool in_frame_on_loop, bool unwinding = false) {
    touch("a handle is dropped after the exchange was freed");
    typename Life::End end;
    if (life_.end_if_not_last_handle(end)) {
      --handles_;
      return;
    }
    const bool won = !unwinding && claim_running(Claim::raised);
    end_handle(won, in_frame_on_loop);
  }

  void end_frame(bool answered, bool on_loop) {
    touch("the frame ends after the exchange was freed");
    if (!on_loop) {
      const typename Life::End end = life_.end_frame(answered);
      frame_ = false;
      settle(end);
      return;
    }
    const typename Life::Arrival end = life_.end_frame_on_loop(answered);
    frame_ = false;
    if (end.last) release();
    if (end.deliver) deliver();
    if (end.free) free();
  }

  // ---- the threads

  void play(const std::vector<Do>& steps, bool on_loop) {
    unsigned held = script_.handles;
    for (const Do next : steps) {
      switch (next) {
        case Do::respond: --held, answer(Claim::responded, on_loop); break;
        case Do::raise: --held, answer(Claim::raised, on_loop); break;
        case Do::drop: --held, drop(on_loop); break;
        case Do::begin_stream: begin_stream(on_loop); break;
        case Do::news: tell_news(); break;
        case Do::end_writer: --held, end_writer(on_loop); break;
        case Do::touch:
          touch("the handler reads a request that was freed");
          step();
          break;
        case Do::give_first: --held, ++given_[0]; break;
        case Do::give_second: --held, ++given_[1]; break;
        case Do::give_both: held -= 2, given_[0] += 2; break;
        case Do::give_hook: --held, hook(on_loop); break;
        case Do::await_stop: await_stop(); break;
        case Do::await_answer: await_answer(); break;
        case Do::throws: {
          for (; held > 0; --held) drop(on_loop, true);
          touch("the catch finds the exchange freed");
          end_frame(claim_running(Claim::raised), on_loop);
          return;
        }
        case Do::returns: end_frame(false, on_loop); return;
      }
    }
  }

  // A stop callback that is registered after the stop runs at once, where it is registered.
  void hook(bool on_loop) {
    if (meanwhile_over_) drop(on_loop);
    else hooked_ = true;
  }

  void foreign(const std::vector<Do>& steps, const unsigned& given) {
    explorer_.wait_until([&] { return given > 0; });
    for (const Do next : steps) {
      switch (next) {
        case Do::respond: answer(Claim::responded, false); break;
        case Do::raise: answer(Claim::raised, false); break;
        case Do::drop: drop(false); break;
        case Do::begin_stream: begin_stream(false); break;
        case Do::news: tell_news(); break;
        case Do::end_writer: end_writer(false); break;
        case Do::touch:
          touch("a foreign thread reads a request that was freed");
          step();
          break;
        case Do::await_stop: await_stop(); break;
        case Do::await_answer: await_answer(); break;
        default: SLUICE_ASSERT(!"nothing a foreign thread does");
      }
    }
  }

  void await_stop() {
    explorer_.wait_until([this] { return meanwhile_over_; });
  }
  void await_answer() {
    explorer_.wait_until([this] { return delivered_ > 0 || meanwhile_over_; });
  }

  // ---- Shard

  void loop() {
    if (on_loop_) play(script_.frame, true);
    while (!freed_ && !closed_) {
      if (!meanwhile_over_ && (nudged_ || explorer_.choose(2) == 1)) {
        happen();
        continue;
      }
      mailbox_.drain(1, [this](net::MailNode&) { home(); });
      if (freed_) return;
      explorer_.wait_until([this] { return pushed_ || (nudged_ && !meanwhile_over_); });
      pushed_ = false;
    }
  }

  // Nothing else can go on: what is to happen on the loop happens now.
  bool nudge() { return !std::exchange(nudged_, true); }

  void happen() {
    meanwhile_over_ = true;
    switch (meanwhile_) {
      case Meanwhile::nothing: break;
      case Meanwhile::budget_spent: claim_running(Claim::timed_out); break;
      case Meanwhile::disconnect: claim_running(Claim::abandoned); break;
      case Meanwhile::stop: retire(); return;
    }
    if (std::exchange(hooked_, false)) drop(false);  // the stop callback, outside of the frame
  }

  void home() {
    posted_ = false;
    touch("a freed exchange arrives");
    const typename Life::Arrival arrival = life_.arrive();
    if (arrival.news) news_ = false;
    if (arrival.deliver) deliver();
    if (arrival.free) free();
  }

  void retire() {
    claim_running(Claim::abandoned);
    if (std::exchange(hooked_, false)) drop(false);
    closed_ = true;
    net::MailNode* node = mailbox_.close();
    while (node != nullptr) {
      node = node->next;  // adopt() may free it
      adopt();
    }
  }

  void adopt() {
    const std::lock_guard lock{orphans_};
    home();
  }

  Explorer& explorer_;
  const Script& script_;
  const bool on_loop_;
  const Meanwhile meanwhile_;
  bool meanwhile_over_ = false;
  bool closed_ = false;

  Life life_;
  typename Sync::template Atomic<Claim> claim_{Claim::idle};
  net::Mailbox<Sync> mailbox_;
  net::MailNode node_;
  typename Sync::Mutex orphans_;

  unsigned handles_ = 0;  // pins that really exist
  bool frame_ = false;
  std::array<unsigned, 2> given_{};
  bool hooked_ = false;
  bool posted_ = false;  // the node is in the mailbox, or its poster is about to put it there
  bool pushed_ = false;  // the loop is awake
  bool nudged_ = false;
  bool news_ = false;  // told, and the loop has not looked yet
  bool freed_ = false;
  int released_ = 0;
  int delivered_ = 0;
};

}  // namespace sluice::interleave
