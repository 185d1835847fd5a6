// list.hpp: an intrusive doubly linked list. Nodes are owned elsewhere; nothing is allocated.
#pragma once

#include "base/assert.hpp"

namespace sluice::base {

/// A place in at most one list. Derive from it (with a tag, for several lists at once).
template <class Tag>
struct ListNode {
  ListNode* previous = nullptr;
  ListNode* next = nullptr;

  bool linked() const noexcept { return next != nullptr; }
  void unlink() noexcept {
    SLUICE_ASSERT(linked());
    previous->next = next;
    next->previous = previous;
    previous = next = nullptr;
  }
};

/// FIFO at both ends. Thread: one at a time. T derives from ListNode<Tag>.
template <class T, class Tag>
class List {
  using Node = ListNode<Tag>;

 public:
  List() noexcept { head_.previous = head_.next = &head_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;

  bool empty() const noexcept { return head_.next == &head_; }
  T& front() noexcept { return static_cast<T&>(*head_.next); }
  const T& front() const noexcept { return static_cast<const T&>(*head_.next); }
  T& back() noexcept { return static_cast<T&>(*head_.previous); }

  void push_back(T& item) noexcept { insert_before(head_, item); }
  void push_front(T& item) noexcept { insert_before(*head_.next, item); }
  T* pop_front() noexcept {
    if (empty()) return nullptr;
    T& item = front();
    static_cast<Node&>(item).unlink();
    return &item;
  }
  /// Visits every item; `visit` may unlink the one it is given, no other.
  template <class F>
  void for_each(F&& visit) {
    for (Node* node = head_.next; node != &head_;) {
      Node* const next = node->next;
      visit(static_cast<T&>(*node));
      node = next;
    }
  }

 private:
  static void insert_before(Node& place, T& item) noexcept {
    Node& node = item;
    SLUICE_ASSERT(!node.linked());
    node.previous = place.previous;
    node.next = &place;
    place.previous->next = &node;
    place.previous = &node;
  }

  Node head_;
};

}  // namespace sluice::base
