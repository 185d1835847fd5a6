// interleave.hpp: runs a few threads of checked code under every interleaving of their atomic operations and locks.
// Threads are fibers of one real thread; CheckedSync is the Sync to write against.
//
// Explored is what sequential consistency allows, depth first, with a bound on preemptions (a thread that could go on
// is left for another one). Weaker memory orders are not modelled; ThreadSanitizer and the live tests look after those.
// Must never be used for code that blocks or yields in any other way than through this file.
#pragma once

#include <ucontext.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace sluice::interleave {

/// What an exploration found.
struct Verdict {
  std::uint64_t interleavings = 0;
  bool complete = true;  // false: the limit on interleavings came first
  std::string violation{};  // of the first interleaving that broke a rule; empty: none did
  std::string schedule{};  // the threads of that interleaving, one digit a step
};

struct Bounds {
  unsigned preemptions = 3;  // `unbounded`: every interleaving there is
  std::uint64_t interleavings_max = 3'000'000;
};
inline constexpr unsigned unbounded = ~0u;

/// A stack of its own for one thread of the model.
class Fiber {
 public:
  Fiber() : stack_{new char[stack_bytes]} {}
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber() {
#if defined(__SANITIZE_THREAD__)
    if (tsan_ != nullptr) __tsan_destroy_fiber(tsan_);
#endif
  }

  /// Makes it call `entry` when it is first switched to.
  void prepare(void (*entry)()) {
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack_.get();
    context_.uc_stack.ss_size = stack_bytes;
    context_.uc_link = nullptr;
    makecontext(&context_, entry, 0);
#if defined(__SANITIZE_THREAD__)
    tsan_ = __tsan_create_fiber(0);
#endif
  }
  /// The fiber that is already running: the caller's.
  void adopt() {
#if defined(__SANITIZE_THREAD__)
    own_tsan_ = __tsan_get_current_fiber();
#endif
  }
  static void change(Fiber& from, Fiber& to) {
#if defined(__SANITIZE_ADDRESS__)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, to.bottom_ != nullptr ? to.bottom_ : to.stack_.get(),
                                   to.bottom_ != nullptr ? to.size_ : stack_bytes);
    arriving() = {&from, &to};
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(to.own_tsan_ != nullptr ? to.own_tsan_ : to.tsan_, 0);
#endif
    swapcontext(&from.context_, &to.context_);
#if defined(__SANITIZE_ADDRESS__)
    arrived(fake);
#endif
  }
  /// The first thing a fiber does.
  static void arrived([[maybe_unused]] void* fake = nullptr) {
#if defined(__SANITIZE_ADDRESS__)
    const void* bottom = nullptr;
    std::size_t size = 0;
    __sanitizer_finish_switch_fiber(fake, &bottom, &size);
    arriving().first->bottom_ = bottom;
    arriving().first->size_ = size;
#endif
  }

 private:
  static constexpr std::size_t stack_bytes = 256 * 1024;
#if defined(__SANITIZE_ADDRESS__)
  static std::pair<Fiber*, Fiber*>& arriving() {
    static std::pair<Fiber*, Fiber*> both{};
    return both;
  }
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
#endif
#if defined(__SANITIZE_THREAD__)
  void* tsan_ = nullptr;  // owned
  void* own_tsan_ = nullptr;  // a thread's own
#endif
  ucontext_t context_{};
  std::unique_ptr<char[]> stack_;
};

/// One exploration. Thread: the test's.
class Explorer {
 public:
  using Body = std::function<void()>;

  /// What one interleaving consists of. The scenario makes everything anew each time and keeps it until the next.
  struct Plan {
    std::vector<Body> threads;
    /// Nothing can go on: true if this made something possible again, false if that is the end.
    std::function<bool()> on_stuck = [] { return false; };
    /// Every thread has ended.
    std::function<void()> at_end = [] {};
  };

  explicit Explorer(Bounds bounds) : bounds_{bounds} {}
  ~Explorer() { current() = nullptr; }
  Explorer(const Explorer&) = delete;
  Explorer& operator=(const Explorer&) = delete;

  /// Runs `make`'s plan under every interleaving, until one of them breaks a rule.
  template <class Make>
  Verdict explore(Make&& make) {
    current() = this;
    driver_.adopt();
    Verdict verdict;
    do {
      quiet_ = 1;  // setting up takes no part
      const Plan plan = make();
      quiet_ = 0;
      run(plan);
      ++verdict.interleavings;
      if (!violation_.empty()) {
        verdict.violation = violation_;
        verdict.schedule = schedule_;
        return verdict;
      }
      if (verdict.interleavings == bounds_.interleavings_max) verdict.complete = false;
    } while (verdict.complete && next_choices());
    return verdict;
  }

  /// The exploration that the running code is part of; nullptr outside of one.
  static Explorer*& current() {
    static Explorer* explorer = nullptr;
    return explorer;
  }

  /// Before every operation another thread might see: others may go first.
  void step() {
    if (quiet_ != 0 || running_ == none) return;
    if (++steps_ > steps_max) violate("goes round and round");
    yield_to(pick());
  }
  /// Until `ready`. Costs no preemption.
  void wait_until(const std::function<bool()>& ready) {
    if (quiet_ != 0 || running_ == none) return;
    step();
    if (ready()) return;
    threads_[running_].waits_for = &ready;
    yield_to(pick());
    threads_[running_].waits_for = nullptr;
  }
  /// One of `count` things the model leaves open. 0 is tried first.
  unsigned choose(unsigned count) { return quiet_ != 0 ? 0 : static_cast<unsigned>(decide(count)); }

  void violate(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }
  void check(bool holds, const char* what) {
    if (!holds) violate(what);
  }

  /// While one lives the others stand still: for looks of the test itself.
  struct Quiet {
    Quiet() { ++current()->quiet_; }
    ~Quiet() { --current()->quiet_; }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;
  };

 private:
  static constexpr std::size_t none = ~std::size_t{0};
  static constexpr std::uint64_t steps_max = 10'000;

  struct Thread {
    std::unique_ptr<Fiber> fiber;
    const Body* body = nullptr;
    const std::function<bool()>* waits_for = nullptr;
    bool over = true;
  };
  struct Choice {
    std::size_t taken;
    std::size_t count;
  };

  void run(const Plan& plan) {
    place_ = 0;
    steps_ = 0;
    preemptions_ = 0;
    schedule_.clear();
    while (threads_.size() < plan.threads.size()) {
      threads_.push_back({std::make_unique<Fiber>()});
      threads_.back().fiber->prepare([] { current()->serve(); });
    }
    for (std::size_t i = 0; i < plan.threads.size(); ++i) {
      threads_[i].body = &plan.threads[i];
      threads_[i].over = false;
      threads_[i].waits_for = nullptr;
    }
    for (;;) {
      const std::size_t first = pick();
      if (first != none) {
        running_ = first;
        schedule_ += static_cast<char>('0' + first);
        Fiber::change(driver_, *threads_[first].fiber);
        running_ = none;
      }
      if (!violation_.empty()) return;  // the fibers stay where they are; nobody looks at them again
      if (all_over()) break;
      const Quiet quiet;
      if (!plan.on_stuck()) break;
    }
    const Quiet quiet;
    if (!all_over()) violate("a thread waits for ever");
    if (violation_.empty()) plan.at_end();
  }

  // A fiber serves one interleaving after another.
  void serve() {
    Fiber::arrived();
    for (;;) {
      const std::size_t self = running_;
      (*threads_[self].body)();
      threads_[self].over = true;
      leave(pick());
    }
  }

  bool all_over() const {
    for (const Thread& thread : threads_) {
      if (!thread.over) return false;
    }
    return true;
  }

  bool enabled(std::size_t index) {
    const Thread& thread = threads_[index];
    if (thread.over) return false;
    if (thread.waits_for == nullptr) return true;
    const Quiet quiet;
    return (*thread.waits_for)();
  }

  /// Who goes on; none: nobody can. The running thread is the first choice.
  std::size_t pick() {
    if (!violation_.empty()) return none;
    std::size_t able[16];
    std::size_t count = 0;
    const bool free = running_ == none || !enabled(running_);
    if (!free) able[count++] = running_;
    if (free || preemptions_ < bounds_.preemptions) {
      for (std::size_t i = 0; i < threads_.size(); ++i) {
        if (i != running_ && enabled(i)) able[count++] = i;
      }
    }
    if (count == 0) return none;
    const std::size_t chosen = able[decide(count)];
    if (!free && chosen != running_) ++preemptions_;
    return chosen;
  }

  std::size_t decide(std::size_t count) {
    if (count == 1) return 0;
    if (place_ == choices_.size()) choices_.push_back({0, count});
    SLUICE_ASSERT(choices_[place_].count == count);  // the same choices lead to the same place
    return choices_[place_++].taken;
  }

  void yield_to(std::size_t next) {
    if (next == running_) return;
    leave(next);
  }

  void leave(std::size_t next) {
    const std::size_t self = running_;
    if (next != none) schedule_ += static_cast<char>('0' + next);
    running_ = next;
    Fiber::change(*threads_[self].fiber, next == none ? driver_ : *threads_[next].fiber);
  }

  bool next_choices() {
    while (!choices_.empty() && ++choices_.back().taken == choices_.back().count) choices_.pop_back();
    return !choices_.empty();
  }

  const Bounds bounds_;
  std::vector<Thread> threads_;
  Fiber driver_;
  std::size_t running_ = none;
  unsigned quiet_ = 0;
  std::uint64_t steps_ = 0;
  unsigned preemptions_ = 0;
  std::vector<Choice> choices_;
  std::size_t place_ = 0;
  std::string violation_;
  std::string schedule_;
};

inline void step() {
  if (Explorer* explorer = Explorer::current()) explorer->step();
}

/// torn: read-modify-writes are done in two steps, as if they were not atomic: to show that a checker notices.
template <class T, bool torn>
class CheckedAtomic {
 public:
  CheckedAtomic() = default;
  CheckedAtomic(T value) : value_{value} {}
  CheckedAtomic(const CheckedAtomic&) = delete;
  CheckedAtomic& operator=(const CheckedAtomic&) = delete;

  T load(std::memory_order = std::memory_order_seq_cst) const {
    step();
    return value_;
  }
  void store(T value, std::memory_order = std::memory_order_seq_cst) {
    step();
    value_ = value;
  }
  T exchange(T value, std::memory_order = std::memory_order_seq_cst) {
    return change([&](T) { return value; });
  }
  T fetch_add(T value, std::memory_order = std::memory_order_seq_cst) {
    return change([&](T old) { return static_cast<T>(old + value); });
  }
  T fetch_and(T value, std::memory_order = std::memory_order_seq_cst) {
    return change([&](T old) { return static_cast<T>(old & value); });
  }
  T fetch_or(T value, std::memory_order = std::memory_order_seq_cst) {
    return change([&](T old) { return static_cast<T>(old | value); });
  }
  bool compare_exchange_strong(T& expected, T wanted, std::memory_order = std::memory_order_seq_cst,
                               std::memory_order = std::memory_order_seq_cst) {
    step();
    if (value_ != expected) {
      expected = value_;
      return false;
    }
    if constexpr (torn) step();
    value_ = wanted;
    return true;
  }
  bool compare_exchange_weak(T& expected, T wanted, std::memory_order first = std::memory_order_seq_cst,
                             std::memory_order second = std::memory_order_seq_cst) {
    return compare_exchange_strong(expected, wanted, first, second);
  }

 private:
  template <class F>
  T change(F&& made_of) {
    step();
    const T old = value_;
    if constexpr (torn) step();
    value_ = made_of(old);
    return old;
  }
  T value_{};
};

/// works: false locks nothing: to show that a checker notices.
template <bool works>
class CheckedMutex {
 public:
  void lock() {
    if (Explorer* explorer = Explorer::current()) explorer->wait_until([this] { return !held_ || !works; });
    held_ = true;
  }
  void unlock() { held_ = false; }  // whatever others may see next has a step of its own

 private:
  bool held_ = false;
};

struct CheckedSync {
  template <class T>
  using Atomic = CheckedAtomic<T, false>;
  using Mutex = CheckedMutex<true>;
};

/// Read-modify-writes that are none.
struct TornSync {
  template <class T>
  using Atomic = CheckedAtomic<T, true>;
  using Mutex = CheckedMutex<true>;
};

/// Locks that do not lock.
struct LocklessSync {
  template <class T>
  using Atomic = CheckedAtomic<T, false>;
  using Mutex = CheckedMutex<false>;
};

}  // namespace sluice::interleave
