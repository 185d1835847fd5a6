// The guard in front of calls that may block: which thread is a loop's is known to net, the rest is that loop's option.
#include <sluice/blocking.hpp>

#include <stdexcept>
#include <string>

#include "net/loop_base.hpp"

namespace sluice {

bool on_loop_thread() noexcept { return net::LoopBase::current() != nullptr; }

void check_may_block(std::string_view what) {
  net::LoopBase* const loop = net::LoopBase::current();
  if (loop == nullptr || !loop->blocking_refused()) return;
  throw std::logic_error{std::string{what} +
                         " may block, and was called on a loop's thread; wrap the handler in blocking()"};
}

}  // namespace sluice
