// blocking.hpp: a guard in front of calls that may block. A loop serves thousands of connections from one thread, and
// none of them while it waits for a query, a file or a lock: such calls belong into blocking() handlers. Any thread.
#pragma once

#include <string_view>

namespace sluice {

/// Whether the calling thread is a loop's: in a handler that returns its answer there, in the beginning of one that
/// answers later, in a stop token's callback.
///   Cost: one read of a thread-local pointer.
bool on_loop_thread() noexcept;

/// To be put in front of a call that may block: nothing happens on any thread but a loop's.
///   Errors: std::logic_error that names `what`, on a loop whose server has ServerOptions::refuse_blocking; a handler
///           that lets it through is answered 500. On other loops the call is counted (LoopStatus::blocking_calls).
///   Cost:   as on_loop_thread.
void check_may_block(std::string_view what);

}  // namespace sluice
