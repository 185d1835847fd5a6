// mailbox_model.hpp: two threads that post two nodes each, and a loop that sleeps and wakes as Loop::turn does: the
// very code of mailbox.hpp under every interleaving. What must hold: no wake-up is lost, each poster's order is kept,
// and close() hands over every node exactly once.
#pragma once

#include <array>
#include <vector>

#include "net/mailbox.hpp"
#include "support/interleave.hpp"

namespace sluice::interleave {

template <class Sync>
class MailboxModel {
  static constexpr unsigned posters = 2;
  static constexpr unsigned each = 2;

  struct Note : net::MailNode {
    unsigned sender = 0, number = 0;
    unsigned run = 0, handed_over = 0, refused = 0;
  };

 public:
  /// closes: the loop ends at a moment of the explorer's choice.
  MailboxModel(Explorer& explorer, bool closes) : explorer_{explorer}, closes_{closes} {
    for (unsigned sender = 0; sender < posters; ++sender) {
      for (unsigned number = 0; number < each; ++number) {
        notes_[sender][number].sender = sender;
        notes_[sender][number].number = number;
      }
    }
  }

  Explorer::Plan plan() {
    Explorer::Plan plan;
    plan.threads.push_back([this] { loop(); });
    for (unsigned sender = 0; sender < posters; ++sender) plan.threads.push_back([this, sender] { post(sender); });
    plan.on_stuck = [this] {
      explorer_.check(seen_ == posters * each, "the loop sleeps while a node waits: a wake-up was lost");
      return false;
    };
    plan.at_end = [this] { judge(); };
    return plan;
  }

 private:
  void post(unsigned sender) {
    for (Note& note : notes_[sender]) {
      const net::Posted posted = mailbox_.push(&note);
      if (posted == net::Posted::closed) ++note.refused;
      if (posted == net::Posted::queued_wake) woken_ = true;
    }
  }

  void loop() {
    bool asleep = false;
    while (seen_ < posters * each) {
      if (closes_ && explorer_.choose(2) == 1) break;
      if (asleep) explorer_.wait_until([this] { return woken_; });
      woken_ = false;
      mailbox_.cancel_sleep();
      mailbox_.drain(1, [this](net::MailNode& node) { run(static_cast<Note&>(node)); });
      asleep = !mailbox_.has_left_over() && mailbox_.prepare_sleep();
    }
    if (!closes_) return;
    net::MailNode* node = mailbox_.close();
    for (; node != nullptr; node = node->next) ++static_cast<Note*>(node)->handed_over;
  }

  void run(Note& note) {
    ++seen_;
    ++note.run;
    explorer_.check(note.number == next_[note.sender]++, "a poster's nodes come out of order");
  }

  void judge() {
    for (const auto& of_one : notes_) {
      for (const Note& note : of_one) {
        explorer_.check(note.run + note.handed_over + note.refused == 1, "a node was lost or came twice");
        explorer_.check(closes_ || note.run == 1, "a node was not run");
      }
    }
  }

  Explorer& explorer_;
  const bool closes_;
  net::Mailbox<Sync> mailbox_;
  std::array<std::array<Note, each>, posters> notes_{};
  std::array<unsigned, posters> next_{};
  unsigned seen_ = 0;
  bool woken_ = false;  // the eventfd
};

template <class Sync>
Verdict check_mailbox(bool closes, Bounds bounds) {
  Explorer explorer{bounds};
  std::unique_ptr<MailboxModel<Sync>> model;
  return explorer.explore([&] {
    model = std::make_unique<MailboxModel<Sync>>(explorer, closes);
    return model->plan();
  });
}

}  // namespace sluice::interleave
